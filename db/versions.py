"""How many migrations each database has. Standard library only: a job's small process checks it."""

from __future__ import annotations

from typing import Final

from db.runs.rows import SCHEMA_VERSION

TRACKER_VERSION: Final = 3
KNOWN: Final = {"runs.db": SCHEMA_VERSION, "fada.db": TRACKER_VERSION}
