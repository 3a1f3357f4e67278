"""Everything known of a model, read from real databases and set in lines."""

from __future__ import annotations

from contextlib import closing

from db.connect import connect
from db.home import Home
from fada_tui.screens.known import read_known
from fada_tui.screens.modelrows import known_rows
from fada_tui.widgets.line import plain
from tests.fada_tui.homes import models

GIB = 1 << 30


def test_every_model_of_the_note_opens(panel_home: Home) -> None:
    names = models(panel_home)
    assert len(names) == 42
    with closing(connect(panel_home.fada_db)) as tracker, closing(connect(panel_home.runs_db)) as runs:
        for name, model in names.items():
            known = read_known(tracker, runs, panel_home, name, 24 * GIB)
            text = plain(known_rows(known, 78))
            assert text.startswith(model.status) and model.section in text, name
            assert ("Catalogue" in text) == (known.catalog is not None), name
