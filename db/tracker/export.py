"""The note back, byte for byte but for what was edited."""

from __future__ import annotations

import sqlite3


def export_note(conn: sqlite3.Connection) -> bytes:
    """The current note's exact bytes; empty where none was ever imported."""
    row = conn.execute("SELECT body FROM notes WHERE is_current").fetchone()
    return bytes(row["body"]) if row else b""
