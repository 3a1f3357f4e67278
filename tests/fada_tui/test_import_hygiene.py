"""The panel and the command start without the heavy libraries, also indirectly."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fada_tui

HEAVY = ("torch", "numpy", "transformers", "sentence_transformers", "sqlite_utils", "pandas", "PIL", "peft", "datasets")
STARTS = {
    "panel": "import fada_tui.app, fada_tui.cli.panel, fada_tui.sources.watcher, fada_tui.sources.telemetry",
    "what the panel's workers import": "import db.tracker.edits, backends.jobs.queue, backends.jobs.reconcile, "
    "backends.jobs.logs, fada_tui.screens.evaluate, fada_tui.screens.finetune, fada_tui.screens.log, "
    "fada_tui.screens.samples, fada_tui.screens.help, fada_tui.screens.status, fada_tui.screens.prompt, "
    "fada_tui.screens.model, fada_tui.screens.stats, fada_tui.screens.sync, fada_tui.screens.add",
    "fada jobs": "from fada_tui.cli import build_parser; build_parser().parse_args(['jobs'])",
}


@pytest.mark.parametrize("start", STARTS)
def test_nothing_heavy_is_imported(start: str) -> None:
    code = f"{STARTS[start]}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_tracker_is_shown_without_what_comes_after_it() -> None:
    """Other verbs, the Markdown parser, jobs and NVML together took longer than the panel itself."""
    code = (
        "import sys, fada_tui.cli, fada_tui.app, fada_tui.driver, fada_tui.sources.watcher, db.tracker.queries\n"
        "fada_tui.cli._parse(['--home', '/nowhere'])\n"
        "later = ('fada_tui.cli.', 'markdown_it', 'backends.jobs.', 'backends.estimate', 'psutil', 'pynvml')\n"
        "print([name for name in sys.modules if name.startswith(later)])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    allowed = {"fada_tui.cli.context", "fada_tui.cli.errors", "fada_tui.cli.output", "fada_tui.cli.panel"}
    assert {name for name in ast.literal_eval(done.stdout) if name != "backends.jobs.code"} == allowed


def test_no_widget_that_repaints_whole_or_rescales_by_itself_is_used() -> None:
    """A DataTable sends all its rows again when one cell changes, a Sparkline draws 3 % as high as 97 %."""
    files = list(Path(fada_tui.__file__).parent.rglob("*.py"))
    assert len(files) > 100
    names = {
        str(file): {
            part
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for part in (
                [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else
                [node.attr] if isinstance(node, ast.Attribute) else []
            )
        }
        for file in files
    }  # fmt: skip
    assert {file for file, used in names.items() if used & {"DataTable", "Sparkline"}} == set()
