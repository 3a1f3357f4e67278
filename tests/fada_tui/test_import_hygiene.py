"""The panel and the command start without the heavy libraries, also indirectly."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
