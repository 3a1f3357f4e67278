"""Which rows the Tracker pane shows, and in what order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from db.tracker.rows import ABSENT_TITLE, Section, Tracker
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Arrangement, Head, Shelves, Wanted, arrange
from fada_tui.listing.order import FIXED, Order
from tests.fada_tui.panel import TRACKER, model

TIER, MOBILE = "section:General VLMs - Tier 1", "section:Mobile [bold]not markup[/bold]"
PHASE = "phase:Phase 1: Ground Truth Eval"


def arranged(wanted: Wanted, tracker: Tracker = TRACKER) -> Arrangement:
    return arrange(Shelves.of(tracker), wanted)


def keys(found: Arrangement) -> list[str]:
    return [found.key(index) for index in range(len(found))]


def test_everything_in_the_order_of_the_note() -> None:
    found = keys(arranged(Wanted()))
    assert found[:2] == [TIER, "model:MiniCPM-V-2.6"]
    assert found[6:8] == [MOBILE, "model:SmolVLM-256M"]
    assert found[8:] == [PHASE, "item:1", "item:2", "phase:Phase 2: Fetal-Specific Models", "item:5"]


def test_a_head_counts_all_of_its_rows_whatever_the_filter_leaves() -> None:
    head = arranged(Wanted(Query("qwen3"))).entries[0]
    assert isinstance(head, Head)
    assert (head.done, head.total) == (4, 5)


def test_a_folded_section_is_its_head() -> None:
    folded = frozenset({TIER, PHASE})
    found = keys(arranged(Wanted(folded=folded)))
    assert found == [TIER, MOBILE, "model:SmolVLM-256M", PHASE, "phase:Phase 2: Fetal-Specific Models", "item:5"]


def test_one_list_has_no_sections_and_the_checklist_stays() -> None:
    found = keys(arranged(Wanted(order=Order("Name", flat=True))))
    assert found[0].startswith("model:A model")
    assert found[5] == "model:SmolVLM-256M"
    assert found[6] == PHASE


def test_the_best_match_is_the_one_whose_name_fits_best() -> None:
    section = Section("S", 0, (model("Big-Qwen", notes="qwen"), model("Llama", notes="as Qwen"), model("Qwen-VL")))
    found = arranged(Wanted(Query("qwen")), Tracker("", (section,), ()))
    assert len(found) == 4
    assert found.best is not None and found.key(found.best) == "model:Qwen-VL"
    assert arranged(Wanted()).best is None
    assert arranged(Wanted(Query("zzz"))).entries == []


def test_a_row_is_found_wherever_it_went() -> None:
    plain = arranged(Wanted())
    assert plain.find("item:2", near=10) == 10
    assert plain.find("item:2", near=3) == 10
    assert plain.find("model:Nobody") is None
    folded = arranged(Wanted(folded=frozenset({PHASE})))
    assert folded.find("item:2") == folded.find(PHASE)


def test_the_rows_under_a_head_are_those_that_the_filter_leaves() -> None:
    assert arranged(Wanted(Query("qwen2"))).under(TIER) == ["model:Qwen2-VL-7B", "model:Qwen2.5-VL-7B"]
    assert arranged(Wanted(folded=frozenset({PHASE}))).under(PHASE) == ["item:1", "item:2"]


def test_models_that_the_note_dropped_stand_under_a_head_of_their_own_and_cannot_be_marked() -> None:
    gone = Section(ABSENT_TITLE, 1, (replace(model("Gone-7B", "Tested"), absent=True),))
    tracker = replace(TRACKER, sections=(TRACKER.sections[0], gone))
    head, found = f"section:{ABSENT_TITLE}", arranged(Wanted(), tracker)
    place = keys(found).index(head)
    assert keys(found)[place + 1] == "model:Gone-7B"
    assert found.entries[place] == Head("section", ABSENT_TITLE, None, 1, False)
    assert found.under(head) == []
    assert arranged(Wanted(folded=frozenset({head})), tracker).find("model:Gone-7B") == place
    assert "model:Gone-7B" not in keys(arranged(Wanted(order=Order("Name", flat=True)), tracker))


STEP = st.tuples(st.integers(0, 5), st.sampled_from(["TODO", "Tested"]), st.sampled_from(["", "qwen", "tested"]))


@given(st.lists(STEP, max_size=6), st.sampled_from(["", *FIXED]))
def test_what_is_taken_over_from_before_is_what_would_be_made_anew(
    steps: list[tuple[int, str, str]], column: str
) -> None:
    """Single rows are edited and the filter changes; the shelves that were kept say the same as new ones."""
    tracker, shelves = TRACKER, Shelves.of(TRACKER)
    for at, status, typed in steps:
        place = min(at // 5, 1)
        section = tracker.sections[place]
        models = list(section.models)
        models[at % len(models)] = replace(models[at % len(models)], status=status)
        sections = list(tracker.sections)
        sections[place] = replace(section, models=tuple(models))
        tracker = replace(tracker, sections=tuple(sections))
        shelves = Shelves.of(tracker, shelves)
        wanted = Wanted(Query(typed), Order(column))
        kept, made = arrange(shelves, wanted), arrange(Shelves.of(tracker), wanted)
        assert kept.entries == made.entries
        assert kept.best == made.best
