"""The code of a hub model at one commit, fetched to be read and agreed to: it is not run. Light at import."""

from __future__ import annotations

import os
from pathlib import Path

from backends.catalog.hub import cached_snapshot, is_offline
from backends.catalog.remote import explained
from backends.jobs.errors import QueueError

_WANTED = ("*.py", "**/*.py", "*.so", "**/*.so", "config.json", "preprocessor_config.json", "tokenizer_config.json")


def fetch_code(repo: str, revision: str | None) -> Path:
    """The snapshot folder of the commit that ``revision`` stands for, all code of it there.

    Raises:
        QueueError: The hub cannot or will not give it.
    """
    here = cached_snapshot(repo, revision)
    if is_offline():
        if here is None:
            raise QueueError(
                f"{repo} is not on this machine, and downloads are switched off (HF_HUB_OFFLINE)",
                hint="unset HF_HUB_OFFLINE, or give a checkpoint folder that was downloaded elsewhere",
            )
        return here
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(_WANTED)))
    except ImportError as error:
        raise QueueError(f"{repo}: huggingface_hub is not installed", hint="pip install 'fada-tui[eval]'") from error
    except Exception as error:
        found = explained(error, repo, revision)
        if here is not None and not found.final:
            return here
        raise QueueError(found.message, hint=found.hint) from error
