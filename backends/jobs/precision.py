"""In what numbers a model is loaded, as a spec says it: checked before anything is queued. Light."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from backends.estimate.ask import QUANTISATION
from backends.jobs.errors import QueueError

PRECISIONS = ("auto", "bf16", "fp32", "8bit", "4bit")


def precision_part(precision: str, loader: str, here: bool) -> dict[str, Any]:
    """The keys of a spec's ``model``; ``quantisation`` is part of the fingerprint. Empty for ``auto``.

    Args:
        loader: What loads the model.
        here: It is loaded on this machine, and not by a server.

    Raises:
        QueueError: There is no such precision, nothing here applies it, or its package is missing.
    """
    if precision not in PRECISIONS:
        raise QueueError(f"there is no precision {precision!r}", hint=f"known: {', '.join(PRECISIONS)}")
    if precision == "auto":
        return {}
    if not here or loader == "open_clip":
        who = "a server loads its models" if not here else "a contrastive model is loaded"
        raise QueueError(f"--precision {precision}: {who} in its own", hint="leave --precision out")
    if precision in QUANTISATION and find_spec("bitsandbytes") is None:
        raise QueueError(
            f"--precision {precision} needs bitsandbytes, which is not installed",
            hint="pip install 'fada-tui[quantised]'",
        )
    return {"precision": precision, "quantisation": QUANTISATION.get(precision, precision)}
