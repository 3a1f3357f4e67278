from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.tracker.edits import set_status
from db.tracker.importer import default_note, import_note
from db.tracker.queries import load_tracker
from db.tracker.rows import ABSENT_TITLE, STATUS_LADDER
from db.tracker.stats import Figure, coverage, stats
from db.tracker.summary.labels import group, match_labels


def figures(conn: sqlite3.Connection) -> dict[tuple[str, str], Figure]:
    return {(figure.row, figure.column): figure for figure in stats(conn)}


def test_every_figure_of_the_shipped_note(tracker_db: sqlite3.Connection) -> None:
    found = figures(tracker_db)
    assert {key: (figure.stated, figure.computed) for key, figure in found.items() if figure.agrees is False} == {
        ("Tier 1 General", "Tested"): ("7 (proxy)", 10),
        ("Tier 1 General", "TODO"): ("4 (GT)", 1),
        ("Medical", "Tested"): ("2", 3),
        ("Medical", "TODO"): ("3", 2),
        ("Total", "Tested"): ("13", 17),
        ("Total", "TODO"): ("29", 25),
        ("Other methods", "Count"): ("10", 8),
        ("Zero-shot/unknown", "Count"): ("18", 20),
        ("Mobile-native models", "Count"): ("8", 4),
        ("Total mobile options", "Count"): ("10-12", "6-8"),
    }
    assert len(found) == 29
    assert all(figure.agrees is not None for figure in found.values())
    assert (found["Tier 2 General", "Tested"].computed, found["Tier 2 General", "Tested"].agrees) == (3, True)
    assert (found["Unsloth + mobile export", "Count"].computed) == "2-4"
    assert found["Tier 1 General", "Tested"].detail == "5 proxy, 4 local, 1 fine-tuned"
    assert found["Tier 1 General", "Count"].detail == "General VLMs - Tier 1 (Best Performers)"
    assert found["API", "TODO"].detail == "3 TODO, 2 available"
    assert found["Other methods", "Count"].detail == "7 rows"
    assert "Mobile/Edge VLMs (For Deployment) has 8" in found["Mobile-native models", "Count"].detail
    assert found["Total", "Count"].line == 238
    assert found["Mobile-native models", "Count"].table == "Mobile Viable"


def test_figures_follow_an_edit(tracker_db: sqlite3.Connection) -> None:
    set_status(tracker_db, "FetalCLIP", "Tested")
    found = figures(tracker_db)
    assert (found["Fetal-specific", "Tested"].computed, found["Fetal-specific", "Tested"].agrees) == (1, False)
    assert found["Total", "Tested"].computed == 18


OTHER = """# Tracker

## Open models

### Large

| Status | Model |
|--|--|
| Tested | A-70B |
| Proxy tested | B-70B |

### Small

| Model | Status |
|--|--|
| C-1B | TODO |
| D-1B | waiting |

## Hosted

| Model | Status |
|--|--|
| E | Available |

## Fine-tuning

### Verified with PEFT

| Model | Train time |
|--|--|
| C-1B | 3s |

## Statistics

| Group | To do | Proxy tested | Tested | Models | Coverage |
|--|--|--|--|--|--|
| Open models | 2 | 1 | 2 | 4 | 75% |
| Hosted | 1 | - | 0 | ~1 | 0% |
| Small models | 1 | 0 | 1 | 2 | ? |
| Robots | 0 | 0 | 0 | 0 | 0% |
| Overall | 3 | 1 | 2 | 5 | 60% |

### By status

| Status | Count |
|--|--|
| TODO | 1 |
| Tested | 2 |

### By fine-tuning

| Way | Count | Cost |
|--|--|--|
| PEFT | 1 | 3 |
| Unsloth | 4 | |
| None | 4 | |

### Mobile

| Way | Count |
|--|--|
| Native | 1 |
| Exported | 2 |
| Total | 3 |
"""


def test_another_note_of_the_dialect(empty_db: sqlite3.Connection) -> None:
    import_note(empty_db, OTHER.encode(), "other.md", "test")
    found = figures(empty_db)
    assert {key: (figure.computed, figure.agrees) for key, figure in found.items()} == {
        ("Open models", "To do"): (2, True),
        ("Open models", "Proxy tested"): (1, True),
        ("Open models", "Tested"): (2, True),
        ("Open models", "Models"): (4, True),
        ("Open models", "Coverage"): (None, None),
        ("Hosted", "To do"): (1, True),
        ("Hosted", "Proxy tested"): (0, None),
        ("Hosted", "Tested"): (0, True),
        ("Hosted", "Models"): (1, True),
        ("Hosted", "Coverage"): (None, None),
        ("Small models", "To do"): (2, False),
        ("Small models", "Proxy tested"): (0, True),
        ("Small models", "Tested"): (0, False),
        ("Small models", "Models"): (2, True),
        ("Small models", "Coverage"): (None, None),
        **{("Robots", column): (None, None) for column in ("To do", "Proxy tested", "Tested", "Models", "Coverage")},
        ("Overall", "To do"): (3, True),
        ("Overall", "Proxy tested"): (1, True),
        ("Overall", "Tested"): (2, True),
        ("Overall", "Models"): (5, True),
        ("Overall", "Coverage"): (None, None),
        ("TODO", "Count"): (1, True),
        ("Tested", "Count"): (1, False),
        ("PEFT", "Count"): (1, True),
        ("PEFT", "Cost"): (None, None),
        ("Unsloth", "Count"): (None, None),
        ("Unsloth", "Cost"): (None, None),
        ("None", "Count"): (4, True),
        ("None", "Cost"): (None, None),
        ("Native", "Count"): (None, None),
        ("Exported", "Count"): (None, None),
        ("Total", "Count"): (None, None),
    }
    assert all(figure.detail for figure in found.values() if figure.computed is None)
    assert found["Open models", "Tested"].detail == "1 proxy, 1 tested"


def test_a_note_without_a_summary_has_no_figures(empty_db: sqlite3.Connection) -> None:
    import_note(empty_db, b"| Model | Status |\n|--|--|\n| A | TODO |\n", "n.md", "test")
    assert stats(empty_db) == []


@pytest.mark.parametrize(
    ("stated", "agrees"),
    [("2", True), ("~2 (most)", True), ("1,002", False), ("1-3", True), ("3-5", False), ("2.5", None), ("2%", None)],
)
def test_how_a_stated_figure_is_read(empty_db: sqlite3.Connection, stated: str, agrees: bool | None) -> None:
    note = f"## S\n| Model | Status |\n|--|--|\n| A | TODO |\n| B | TODO |\n\n## Stats\n| X | Count |\n|--|--|\n| S | {stated} |\n"
    import_note(empty_db, note.encode(), "n.md", "test")
    assert [figure.agrees for figure in stats(empty_db)] == [agrees]


def test_what_may_mean_several_sections_is_not_guessed() -> None:
    groups = [group("General - Tier 1", {1}), group("General - Tier 2", {2}), group("Medical", {3})]
    matches = match_labels(["General", "Tier 2 models", "Tier 9"], groups)
    assert (matches["General"].group, matches["Tier 2 models"].group) == (groups[0], groups[1])
    assert matches["Tier 9"].group is None
    alone = match_labels(["General"], groups)["General"]
    assert alone.group is None
    assert alone.several == ("General - Tier 1", "General - Tier 2")


def test_a_parent_heading_names_all_its_sections() -> None:
    groups = [
        group("General", {1, 2}),
        group("Tier 1", {1}, ["General"]),
        group("Tier 2", {2}, ["General"]),
    ]
    matches = match_labels(["General", "General, Tier 1"], groups)
    assert (matches["General"].group, matches["General, Tier 1"].group) == (groups[0], groups[1])


sections = st.dictionaries(
    st.sampled_from(["Alpha", "Beta", "Gamma", "Delta"]),
    st.lists(st.sampled_from([*STATUS_LADDER, "on hold"]), min_size=1, max_size=6),
    min_size=1,
)


@given(sections, st.data())
def test_a_true_summary_agrees_and_one_wrong_figure_stands_out(
    make_db: Callable[[], sqlite3.Connection], sections: dict[str, list[str]], data: st.DataObject
) -> None:
    everything = [status for statuses in sections.values() for status in statuses]
    true = {}
    for label, statuses in (*sections.items(), ("Total", everything)):
        waiting = sum(status in ("TODO", "Available", "on hold") for status in statuses)
        true[label] = {"Count": len(statuses), "Tested": len(statuses) - waiting, "TODO": waiting}
    wrong = data.draw(st.sampled_from([(label, column) for label in true for column in ("Count", "Tested", "TODO")]))
    lines = []
    for title, statuses in sections.items():
        lines += [f"## {title} models", "", "| Model | Status |", "|--|--|"]
        lines += [f"| {title}{place} | {status} |" for place, status in enumerate(statuses)] + [""]
    lines += ["## Summary", "", "| Category | Count | Tested | TODO |", "|--|--|--|--|"]
    for label, figures in true.items():
        cells = [figures[column] + ((label, column) == wrong) for column in ("Count", "Tested", "TODO")]
        lines.append(f"| {label} | {' | '.join(map(str, cells))} |")
    conn = make_db()
    import_note(conn, "\n".join(lines).encode(), "n.md", "test")
    found = stats(conn)
    assert [(figure.row, figure.column) for figure in found if not figure.agrees] == [wrong]
    assert {(figure.row, figure.column): figure.computed for figure in found} == {
        (label, column): count for label, figures in true.items() for column, count in figures.items()
    }
    picture = coverage(load_tracker(conn))
    assert sum(picture.total.counts) == len(everything)
    for row in picture.rows:
        counts = dict(zip(picture.statuses, row.counts, strict=True))
        assert counts == {
            status: sections[row.title.removesuffix(" models")].count(status) for status in picture.statuses
        }
    conn.close()


cells = st.text(st.sampled_from("aAtT012-~%.,( )éß_*"), max_size=8) | st.sampled_from(
    ["Total", "all", "models", "TODO", "None", "native", "export", "Tested", "Count", "API", "Tier 1", "99999999999"]
)


@given(
    st.sampled_from(["Summary", "Stats: mobile export", "Fine-tuning stats"]), st.lists(cells, min_size=1), cells, cells
)
def test_whatever_stands_in_a_summary_is_compared_or_not_without_ado(
    make_db: Callable[[], sqlite3.Connection], heading: str, labels: list[str], column: str, stated: str
) -> None:
    rows = "\n".join(f"| {label} | {stated} |" for label in labels)
    conn = make_db()
    import_note(
        conn, default_note() + f"\n## {heading}\n\n| X | {column} |\n|--|--|\n{rows}\n".encode(), "n.md", "test"
    )
    found = [figure for figure in stats(conn) if figure.table == heading]
    assert len(found) == len(labels)
    for figure in found:
        assert (figure.computed is not None) or (figure.detail and figure.agrees is None)
    conn.close()


def test_coverage_leaves_out_what_the_note_no_longer_has(tracker_db: sqlite3.Connection) -> None:
    import_note(tracker_db, OTHER.encode(), "other.md", "test")
    tracker = load_tracker(tracker_db)
    assert tracker.sections[-1].title == ABSENT_TITLE
    picture = coverage(tracker)
    assert picture.statuses == (*STATUS_LADDER, "waiting")
    assert [(row.title, row.total) for row in picture.rows] == [("Large", 2), ("Small", 2), ("Hosted", 1)]
    assert picture.total.counts == (1, 1, 0, 0, 1, 1, 0, 1)
