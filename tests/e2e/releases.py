"""Two releases of the program for the test of an upgrade: this one, and one that differs wherever it can.

A release lives in an environment of its own, installed and not linked, so that its files can be replaced.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("fada_tui", "backends", "db")
_RENAMED = (
    ("backends/jobs/runner.py", "backends/jobs/attendant.py"),
    ("backends/jobs/state.py", "backends/jobs/standing.py"),
    ("backends/work/live.py", "backends/work/growing.py"),
    ("backends/scoring", "backends/marks"),
    ("fada_tui/screens/help.py", "fada_tui/screens/guide.py"),
)
_MIGRATION = """

def _next(db: sqlite_utils.Database) -> None:
    db.conn.execute("ALTER TABLE offsets RENAME COLUMN offset TO upto")


MIGRATIONS.append(_next)
assert len(MIGRATIONS) == RUNS_VERSION
"""


class Release:
    """The program in a virtual environment; what else it needs is taken from the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = str(folder / "bin" / "python")
        self._site = next(folder.glob("lib/python*/site-packages"))
        # A plain line: the links to the working tree in there are not followed.
        (self._site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._copy(self._site)

    def _copy(self, target: Path) -> None:
        for name in PACKAGES:
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))

    @property
    def fada(self) -> list[str]:
        return [self.python, "-P", "-m", "fada_tui"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.fada, *words], capture_output=True, text=True, check=False, timeout=300)

    def upgrade(self, *, schema: bool) -> None:
        """Replace every file in place by a release with other names and, if asked, another schema of runs.db."""
        stage = self._site / "stage"
        self._copy(stage)
        _rename(stage)
        if schema:
            _migrate(stage)
        version = stage / "fada_tui/__init__.py"
        version.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.0"', version.read_text()))
        for name in PACKAGES:
            shutil.rmtree(self._site / name)
            (stage / name).rename(self._site / name)


def _rename(stage: Path) -> None:
    """Modules and one function are called otherwise, everywhere."""
    for old, new in _RENAMED:
        (stage / old).rename(stage / new)
    changes = [(_dotted(old), _dotted(new)) for old, new in _RENAMED]
    for path in stage.rglob("*.py"):
        text = path.read_text()
        for old, new in changes:
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
            package, _, module = old.rpartition(".")
            text = re.sub(
                rf"from {re.escape(package)} import {module}\b",
                f"from {new.rpartition('.')[0]} import {new.rpartition('.')[2]} as {module}",
                text,
            )
        path.write_text(re.sub(r"\bderive\b", "standing_of", text))


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _migrate(stage: Path) -> None:
    """One more migration, after which code that does not know of it fails at its first statement."""
    versions, schema, ingest = (
        stage / name for name in ("db/versions.py", "db/runs/schema.py", "backends/jobs/ingest.py")
    )
    number = re.compile(r"^RUNS_VERSION(.*)= (\d+)", re.MULTILINE)
    versions.write_text(number.sub(lambda found: f"RUNS_VERSION{found[1]}= {int(found[2]) + 1}", versions.read_text()))
    schema.write_text(schema.read_text().replace("assert len(MIGRATIONS) == RUNS_VERSION\n", "") + _MIGRATION)
    text = ingest.read_text()
    assert "SELECT offset FROM offsets" in text and "offsets(run, file, offset)" in text
    text = text.replace("SELECT offset FROM offsets", "SELECT upto FROM offsets")
    ingest.write_text(text.replace("offsets(run, file, offset)", "offsets(run, file, upto)"))
