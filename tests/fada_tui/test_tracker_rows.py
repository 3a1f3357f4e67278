"""Detail view, stats and sync as rows: pure functions from data to lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from db.tracker.merging.merge import Conflict
from db.tracker.rows import Change, Item, ModelDetail, Proposal, Section, Tracker
from db.tracker.stats import Coverage, CoverageRow, Figure
from db.tracker.sync import SyncPlan
from fada_tui.listing.listing import Shelves, Wanted, arrange
from fada_tui.screens.known import Known
from fada_tui.screens.modelrows import change_lines, known_rows
from fada_tui.screens.statsrows import coverage_rows, figure_rows
from fada_tui.screens.syncrows import conflict_of, plan_rows
from fada_tui.widgets.line import Row, line_width, plain
from fada_tui.widgets.trackerrows import Shown, TrackerRows, heading
from tests.fada_tui import panel

MODEL = replace(
    panel.model("Qwen2.5-VL-7B", "Fine-tuned", panel.stated("gt", 0.811)),
    columns_json='{"Model": "Qwen2.5-VL-7B", "Family": "Alibaba", "Notes": "' + "long " * 60 + '"}',
    aliases=("Qwen2.5",),
)
KNOWN = Known(
    ModelDetail(
        MODEL,
        (Item(3, "Phase 1", "Qwen2.5-VL-7B expand", False, (MODEL.name,)),),
        finetune=({"kind": "verified", "heading": "Verified", "Model": MODEL.name, "Train Time": "~5h"},),
        papers=("A paper [bold]about[/bold] it",),
    ),
    (panel.run(11, "done", name=MODEL.name),),
    (panel.score(11, 0.74, "cosine", alarms=1),),
    Proposal(MODEL.name, "Fine-tuned", "Tested", 11, "gt", 1000.0, "74.0% GT (600 samples)", ("flat answers",)),
    (Change(1, 0.0, "user", "Qwen2.5-VL-7B: Status a → b", True),),
    None,
)
FIGURES = [
    Figure("Model Coverage", "Tier 1 General", "Count", "11", 11, True, "", 200),
    Figure("Model Coverage", "Tier 1 General", "Tested", "7 (proxy)", 10, False, "5 proxy, 4 local, 1 fine-tuned", 200),
    Figure("Model Coverage", "Tier 1 General", "TODO", "?", None, None, "no such row in the tables", 200),
]
COVERED = Coverage(
    ("TODO", "Available", "Tested", "In flight"),
    (CoverageRow("Tier 1", (1, 0, 3, 0)), CoverageRow("Mobile", (0, 0, 0, 2))),
)
CONFLICT = Conflict(41, "Tested", "Fine-tuned", "Local tested", "Qwen3-VL-8B: Status")
PLAN = SyncPlan(
    Path("/n.md"), ("A: Notes x → y",), ("B: Size 1 → 2",), (CONFLICT, replace(CONFLICT, line=50)), False, ""
)


@pytest.mark.parametrize("width", [84, 118, 198])
def test_the_title_names_the_columns_where_they_stand(width: int) -> None:
    rows = TrackerRows(arrange(Shelves.of(panel.TRACKER), Wanted()), Shown(), width)
    text = next(plain([rows.row(at)]) for at in range(len(rows)) if rows.key(at) == "model:MiniCPM-V-2.6")
    # The border's text begins where the names do, two cells behind the edge.
    title = f"  {heading('1 Tracker', width)}"
    assert title.startswith("  1 Tracker ──")
    assert title.index("size") + len("size") == text.index("8B") + len("8B")
    assert title.index("VRAM") + len("VRAM") == text.index("16G") + len("16G")
    assert (title.index("status"), title.index("score")) == (text.index("proxy"), text.index("0.889"))


@pytest.mark.parametrize("width", [60, 78, 118])
def test_a_range_of_sizes_and_of_memory_is_shown_whole(width: int) -> None:
    ranged = replace(panel.model("Gemma-3-Vision", size="4B/12B"), vram="~12-24GB")
    tracker = Tracker("fada-v3", (Section("Tier 2", 0, (ranged,)),), ())
    rows = TrackerRows(arrange(Shelves.of(tracker), Wanted()), Shown(), width)
    text = next(plain([rows.row(at)]) for at in range(len(rows)) if rows.key(at) == "model:Gemma-3-Vision")
    assert "4B/12B" in text and "12-24G" in text


def test_the_title_of_a_narrow_pane_is_the_title() -> None:
    assert heading("1 Tracker", 60) == "1 Tracker"


@pytest.mark.parametrize("width", [40, 78, 118, 198])
def test_nothing_is_wider_than_the_screen(width: int) -> None:
    rows: list[Row] = [
        *known_rows(KNOWN, width),
        *plan_rows(PLAN, {0: "ours"}, width),
        *(figure_rows(FIGURES, width) if width >= 60 else ()),
        *(coverage_rows(COVERED, width) if width >= 60 else ()),
    ]
    assert [plain([row]) for row in rows if line_width(row.line) > width and row.line[-1][1] != "dim"] == []


def test_the_detail_view_has_every_part() -> None:
    text = plain(known_rows(KNOWN, 100))
    for part in (
        "Fine-tuned  Tier 1",
        "also called  Qwen2.5",
        "→ Tested, 74.0% GT (600 samples), by run #11",
        "⚠ flat answers",
        "Family         Alibaba",
        "note gt",
        "0.811",
        "#11 gt",
        "0.740",
        "✓ #11 eval gt",
        "[ ]  3 Qwen2.5-VL-7B expand  (Phase 1)",
        "Verified: Qwen2.5-VL-7B",
        "Train Time   ~5h",
        "A paper [bold]about[/bold] it",
        "catalog.toml",
        "(taken back)",
    ):
        assert part in text, part


def test_all_of_a_long_cell_is_shown_also_where_it_has_no_spaces() -> None:
    endless = replace(MODEL, columns_json='{"Notes": "' + "x" * 10_000 + '"}')
    rows = known_rows(replace(KNOWN, detail=replace(KNOWN.detail, model=endless)), 80)
    assert plain(rows).count("x") >= 10_000


def test_escapes_in_a_cell_are_shown_and_not_obeyed() -> None:
    evil = replace(MODEL, name="a\x1b[31m", columns_json='{"Notes": "\\u001b[2J \\u202e"}')
    text = plain(known_rows(replace(KNOWN, detail=replace(KNOWN.detail, model=evil)), 80))
    assert "\x1b" not in text and "\u202e" not in text
    assert "^[[2J <U+202E>" in text
    lines = change_lines(replace(KNOWN.history[0], text="\x1b[31m", who="\x1b[2J"), 80)
    assert "\x1b" not in "".join(part for line in lines for part, _ in line)


def test_an_absent_model_says_so() -> None:
    gone = replace(KNOWN, detail=replace(KNOWN.detail, model=replace(MODEL, absent=True)))
    assert "an export does not have the model" in plain(known_rows(gone, 100))


def test_what_differs_is_marked_by_a_sign_and_explained() -> None:
    rows = plain(figure_rows(FIGURES, 118)).split("\n")
    assert "stated" in rows[0] and "computed" in rows[0]
    assert "✓" in rows[1]
    assert "7 (proxy)" in rows[2] and " 10 ✗ " in rows[2] and "5 proxy, 4 local, 1 fine-tuned" in rows[2]
    assert "no such row in the tables" in rows[3] and "✗" not in rows[3]
    assert "Tier 1 General" in rows[1] and "Tier 1 General" not in rows[2]


def test_in_a_narrow_screen_the_reason_stands_below_and_is_whole() -> None:
    text = plain(figure_rows(FIGURES, 60))
    assert "5 proxy, 4 local, 1 fine-tuned" in text


def test_coverage_shows_only_statuses_that_occur_and_adds_up() -> None:
    rows = plain(coverage_rows(COVERED, 78)).split("\n")
    assert "avail" not in rows[0] and "In fl" in rows[0]
    assert rows[-1].split()[0] == "Total" and rows[-1].split()[-1] == "6"
    assert "3 ▇" in rows[1]


def test_the_bar_of_parts_is_as_long_for_every_section() -> None:
    rows = coverage_rows(COVERED, 118)[1:]
    bars = [sum(cell_len(text) for text, _ in row.line if set(text) <= {"█", "░"}) for row in rows]
    assert len(set(bars)) == 1 and bars[0] > 20


def test_an_empty_tracker_says_what_to_do() -> None:
    assert "fada import" in plain(coverage_rows(Coverage((), ()), 78))


def test_conflicts_come_first_and_show_what_was_chosen() -> None:
    rows = plan_rows(PLAN, {1: "theirs"}, 78)
    text = plain(rows)
    assert text.startswith("2 conflicts")
    assert [conflict_of(row.key) for row in rows if conflict_of(row.key) is not None] == [0, 1]
    assert "? Qwen3-VL-8B: Status" in text and "✓ Qwen3-VL-8B: Status" in text
    assert text.count("● theirs") == 1 and "●" not in text.split("line 50")[0]
    assert text.index("Comes in") < text.index("A: Notes x → y") < text.index("Goes out")


def test_nothing_to_sync_is_said() -> None:
    assert "nothing to do" in plain(plan_rows(replace(PLAN, conflicts=(), incoming=(), outgoing=()), {}, 78))
