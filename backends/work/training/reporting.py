"""Keys and folders of the trackers that a training reports to; their keys are never in a spec, an event or a log."""

from __future__ import annotations

import netrc
import os
from collections.abc import MutableMapping
from urllib.parse import urlparse

from backends.jobs.errors import QueueError
from backends.jobs.job import Job, JobError
from backends.jobs.keys import take_key
from backends.work.plan import TrainingPlan

_KEYS = {
    "wandb": ("WANDB_API_KEY",),
    "mlflow": ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
}
_OFF = ("offline", "disabled", "dryrun")


def prepare_reporting(job: Job, plan: TrainingPlan, environment: MutableMapping[str, str] = os.environ) -> None:
    """Give the trackers of the plan their keys, from HOME/secrets.env, and the run's folder to write in.

    Raises:
        JobError: wandb would send something and has no key.
    """
    for tracker in plan.report_to:
        for name in _KEYS.get(tracker, ()):
            key = _key(job, name, environment)
            if key:
                environment[name] = key
    if "mlflow" in plan.report_to:
        environment.setdefault("MLFLOW_EXPERIMENT_NAME", "fada")
    if "wandb" in plan.report_to:
        environment.setdefault("WANDB_DIR", str(job.dir))
        environment.setdefault("WANDB_PROJECT", "fada")
        environment["WANDB_SILENT"] = "true"
        if (
            environment.get("WANDB_MODE") not in _OFF
            and not environment.get("WANDB_API_KEY")
            and not _logged_in(environment)
        ):
            raise JobError(
                "report_to=wandb: there is no key for it",
                f"write WANDB_API_KEY=… into {job.home.secrets} (chmod 600), log in with `wandb login`, "
                "or set WANDB_MODE=offline",
            )


def _key(job: Job, name: str, environment: MutableMapping[str, str]) -> str | None:
    try:
        return take_key(job.home, name, environment)
    except QueueError:
        return None  # the tracker may need none, or have another way to log in


def _logged_in(environment: MutableMapping[str, str]) -> bool:
    """Whether ``wandb login`` has left a key in ~/.netrc."""
    host = urlparse(environment.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
