"""The states of a run; here, apart from the rows, so that they cost nothing to import."""

ACTIVE_STATES = ("starting", "running", "paused")
WAITING_STATES = ("queued", "held")
END_STATES = ("done", "failed", "cancelled", "lost")
STATES = WAITING_STATES + ACTIVE_STATES + END_STATES

STOPPING, SAVING = "being stopped", "saving, then it stops"
"""What an active run says that was asked to end and has yet to obey."""
