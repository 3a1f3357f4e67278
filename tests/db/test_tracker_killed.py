"""A sync that is killed at any step leaves the file whole, the database sound, and the next one finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.tracker.edits import set_status
from db.tracker.export import export_note
from db.tracker.importer import default_note, import_note
from db.tracker.sync import sync_note

SYNC = """
import os, sys
from pathlib import Path
from db.connect import connect
from db.tracker.sync import sync_note

def die(*_): os.kill(os.getpid(), 9)
write, flush, rename = os.fdopen, os.fsync, Path.replace
match sys.argv[3]:
    case "open": os.fdopen = die
    case "written": os.fsync = die
    case "flushed": Path.replace = die
    case "renamed": Path.replace = lambda *paths: (rename(*paths), die())
sync_note(connect(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("step", ["open", "written", "flushed", "renamed"])
def test_killed_while_it_writes(tmp_path: Path, step: str) -> None:
    home, note = Home(tmp_path / "home").ensure(), tmp_path / "n.md"
    migrate(home)
    note.write_bytes(default_note())
    with closing(connect(home.fada_db)) as conn:
        import_note(conn, default_note(), "n.md", "test", path=note)
        set_status(conn, "Pixtral-12B", "Tested")
        by_hand = default_note().replace(b"Latest Llama vision", b"by hand")
        note.write_bytes(by_hand)
        ended = subprocess.run(
            [sys.executable, "-c", SYNC, str(home.fada_db), str(note), step], cwd=Path(__file__).parents[2], check=False
        )
        assert ended.returncode == -signal.SIGKILL
        both = by_hand.replace(b"12B | ~24GB | TODO", b"12B | ~24GB | Tested", 1)
        assert note.read_bytes() == (both if step == "renamed" else by_hand)
        assert b"by hand" not in export_note(conn)
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        left = list(tmp_path.glob(".fada-*.tmp"))
        assert len(left) == (step != "renamed")
        for path in left:
            os.utime(path, (time.time() - 7200,) * 2)
        assert not sync_note(conn, note).conflicts
        assert note.read_bytes() == export_note(conn) == both
    # What was left is swept away by the next who writes there.
    assert not list(tmp_path.glob(".fada-*.tmp"))


def test_a_temporary_file_of_somebody_at_work_stays(tmp_path: Path) -> None:
    home, note = Home(tmp_path / "home").ensure(), tmp_path / "n.md"
    migrate(home)
    others = [tmp_path / ".fada-0123456789abcdef.tmp", tmp_path / ".fada-mine.tmp"]
    for path in others:
        path.touch()
    os.utime(others[1], (0, 0))
    with closing(connect(home.fada_db)) as conn:
        import_note(conn, default_note(), "n.md", "test")
        sync_note(conn, note)
    assert all(path.exists() for path in others)
