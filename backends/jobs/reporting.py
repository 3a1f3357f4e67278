"""Trackers of other makers that a training's curves also go to, by a person's explicit setting. Light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from backends.jobs.errors import QueueError

_LEAVES: Mapping[str, str] = {
    "wandb": "wandb sends curves and settings to its host (api.wandb.ai, or WANDB_BASE_URL); WANDB_MODE=offline keeps "
    "them in the run's folder",
    "mlflow": "mlflow writes where MLFLOW_TRACKING_URI says, else into HOME (`fada where`): there `mlflow ui` shows it",
    "trackio": "trackio writes on this machine, and to the hub where TRACKIO_SPACE_ID names a Space",
}


def check_trackers(names: Iterable[str] | None) -> None:
    """That each is installed, before anything is queued.

    Raises:
        QueueError: One is not.
    """
    for name in names or ():
        if find_spec(name) is None:
            raise QueueError(f"report_to={name}: {name} is not installed", hint=f"pip install {name}, or leave it out")


def notices(names: Iterable[str] | None) -> list[str]:
    """Where what is reported goes, in words."""
    return [_LEAVES[name] for name in names or () if name in _LEAVES]
