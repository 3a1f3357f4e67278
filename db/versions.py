"""How many migrations each database has. Standard library only: a job's small process checks it."""

from __future__ import annotations

from typing import Final

RUNS_VERSION: Final = 5
TRACKER_VERSION: Final = 3
KNOWN: Final = {"runs.db": RUNS_VERSION, "fada.db": TRACKER_VERSION}
