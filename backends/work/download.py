"""Fetch a model and nothing else, so that it is there when a job wants it."""

from __future__ import annotations

from typing import Any

from huggingface_hub import __version__

from backends.jobs.job import Job
from backends.models.download import fetch


def run(job: Job) -> dict[str, Any]:
    """Of ``spec["tool"]["args"]``: repo, revision, branch, allow_pickle.

    Returns:
        Where the model lies, at which commit, and its bytes.

    Raises:
        JobError: as :func:`backends.models.download.fetch`.
    """
    wanted = job.spec["tool"]["args"]
    job.events.started(device="disk", versions={"huggingface_hub": __version__}, total=None, unit="bytes")
    folder = fetch(
        job,
        wanted["repo"],
        wanted["revision"],
        allow_pickle=bool(wanted.get("allow_pickle")),
        branch=wanted.get("branch"),
    )
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return {"repo": wanted["repo"], "revision": folder.name, "folder": str(folder), "bytes": size}
