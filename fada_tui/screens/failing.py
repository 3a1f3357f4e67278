"""A thread of a screen that breaks down says so: what it was to bring would else be waited for without end."""

from __future__ import annotations

from textual.message_pump import MessagePump
from textual.worker import Worker, WorkerState

from fada_tui.sources.trouble import explain


def broken(event: Worker.StateChanged) -> str | None:
    """What a worker died of, with what to do; None where it did not."""
    error = event.worker.error
    if event.state is not WorkerState.ERROR or not isinstance(error, Exception):
        return None
    message, hint = explain(error)
    return message if hint is None else f"{message}\n→ {hint}"


class TellsFailures(MessagePump):
    """Put before the base of a screen that has workers with ``exit_on_error=False``."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        text = broken(event)
        if text is not None:
            self.app.notify(text, title="This screen is not whole", severity="error", markup=False, timeout=12)
