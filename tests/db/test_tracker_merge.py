from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.tracker.importer import default_note
from db.tracker.merging.lines import Text
from db.tracker.merging.merge import Merged, _Merger, merge
from db.tracker.merging.settle import Conflict, Settling

NOTE = default_note()
RELAXED = settings(max_examples=150, deadline=None)


def _row(name: str, note: bytes = NOTE) -> bytes:
    return next(
        line for line in note.splitlines() if line.startswith((f"| **{name}** ".encode(), f"| {name} ".encode()))
    )


def _replaced(note: bytes, name: str, *changes: tuple[str, str]) -> bytes:
    """The note with pieces of one model's row replaced."""
    row = after = _row(name, note)
    for was, now in changes:
        assert was.encode() in after
        after = after.replace(was.encode(), now.encode(), 1)
    return note.replace(row, after, 1)


def _clean(merged: Merged) -> bytes:
    assert merged.conflicts == ()
    return merged.data


# Small notes in which everything can happen: few words, so that lines repeat and collide.
NAMES = ["A", "B", "C", "**D**", "E", "F"]
CELLS = ["", "x", "y y", "TODO", "Tested", "-", "a\\|b", "81 %"]


@st.composite
def tables(draw) -> list[str]:
    columns = ["Model", *draw(st.lists(st.sampled_from(["Status", "Notes", "Size"]), unique=True, max_size=3))]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=5)):
        cells = [name, *(draw(st.sampled_from(CELLS)) for _ in columns[1:])]
        pad = draw(st.sampled_from(["", " ", "  "]))
        lines.append(
            "|" + "|".join(f" {cell}{pad} " for cell in cells) + draw(st.sampled_from(["|", "|", "", "| z |"]))
        )
    return lines


ITEMS = st.tuples(st.integers(1, 4), st.sampled_from(" xX"), st.sampled_from(["A", "B", "see C"])).map(
    lambda item: f"{item[0]}. [{item[1]}] {item[2]}"
)
BLOCKS = st.one_of(
    tables(),
    st.lists(ITEMS, min_size=1, max_size=4),
    st.lists(st.sampled_from(["text", "more", "> quoted", "# Title", "---", "\u2028", "\0"]), min_size=1, max_size=3),
)


@st.composite
def notes(draw) -> bytes:
    lines = [line for block in draw(st.lists(BLOCKS, max_size=4)) for line in (*block, "")]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = "".join(line + (end if draw(st.integers(0, 9)) else "\n") for line in lines)
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text[: len(text) - draw(st.integers(0, 1))].encode()


@st.composite
def edited(draw, note: bytes) -> bytes:
    """The note with lines taken out, doubled, moved, changed or put in."""
    lines = note.splitlines(keepends=True)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines)))
        match draw(st.sampled_from(["drop", "move", "cell", "box", "put", "pad", "end"])):
            case "drop":
                del lines[at : at + draw(st.integers(1, 3))]
            case "move" if lines:
                lines.insert(at, lines.pop(draw(st.integers(0, len(lines) - 1))))
            case "cell" if at < len(lines):
                lines[at] = lines[at].replace(draw(st.sampled_from([b"x", b"TODO", b"A", b"Status"])), b"new", 1)
            case "box" if at < len(lines):
                lines[at] = lines[at].replace(b"[ ]", b"[x]")
            case "put":
                lines.insert(at, draw(st.sampled_from([b"| G | x |\n", b"5. [ ] G\n", b"prose\n", b"\r\n"])))
            case "pad" if at < len(lines):
                lines[at] = lines[at].replace(b" |", b"   |")
            case "end" if lines:
                lines[-1] = lines[-1].rstrip(b"\r\n")
    return b"".join(lines)


@st.composite
def versions(draw, count: int = 2) -> list[bytes]:
    base = draw(notes())
    return [base, *(draw(st.one_of(edited(base), edited(base), notes())) for _ in range(count))]


@RELAXED
@given(versions(1))
def test_what_one_side_or_both_alike_changed_is_taken_as_it_is(texts):
    base, side = texts
    for ours, theirs in ((base, side), (side, base), (side, side)):
        merged = merge(base, ours, theirs)
        assert _clean(merged) == side
        walked = _Merger(Text.read(base), Text.read(ours), Text.read(theirs), settling := Settling(None)).merged()
        assert (walked, settling.conflicts) == (side, [])


@RELAXED
@given(versions())
def test_it_is_the_same_from_the_other_side(texts):
    base, ours, theirs = texts
    there, back = merge(base, ours, theirs), merge(base, theirs, ours)
    assert bool(there.conflicts) == bool(back.conflicts)
    if not there.conflicts:
        assert sorted(Text.read(there.data).lines) == sorted(Text.read(back.data).lines)
        assert (sorted(there.comes), sorted(there.goes)) == (sorted(back.goes), sorted(back.comes))


@RELAXED
@given(versions(), st.data())
def test_every_conflict_can_be_settled(texts, data):
    base, ours, theirs = texts
    conflicts = merge(base, ours, theirs).conflicts
    for choice in ("ours", "theirs"):
        _clean(merge(base, ours, theirs, choice))
    choices = {index: data.draw(st.sampled_from(["ours", "theirs"])) for index in range(len(conflicts))}
    _clean(merge(base, ours, theirs, choices))
    if conflicts:
        del choices[0]
        assert merge(base, ours, theirs, choices).conflicts == conflicts[:1]
    for conflict in conflicts:
        assert 1 <= conflict.line <= len(Text.read(ours).lines) + 1
        assert conflict.ours != conflict.theirs


@RELAXED
@given(versions(), st.sampled_from(["ours", "theirs", None]))
def test_no_text_is_made_up_and_none_of_both_sides_is_lost(texts, choice):
    base, ours, theirs = texts
    merged = merge(base, ours, theirs, choice)
    if merged.conflicts:
        return
    words = [
        set(re.findall(rb"[^\s|]+", text.removeprefix(b"\xef\xbb\xbf"))) for text in (base, ours, theirs, merged.data)
    ]
    dashes = {word for word in words[3] if not word.strip(b"-:")}
    assert words[3] - dashes <= words[0] | words[1] | words[2]
    if choice is None:
        assert (words[1] & words[2]) - words[0] <= words[3]


POSITIONS = [(name, column) for name in ("FetalCLIP", "Qwen3-VL-8B", "LLaVA-Med", "GPT-4V") for column in (2, 3)]


def _with_cell(note: bytes, name: str, column: int, text: bytes) -> bytes:
    row = _row(name, note)
    cells = row.split(b"|")
    cells[column] = b" " + text + b" "
    return note.replace(row, b"|".join(cells), 1)


@RELAXED
@given(st.data())
def test_edits_of_different_cells_and_boxes_never_conflict(data):
    places = data.draw(st.permutations(POSITIONS))
    cut = data.draw(st.integers(0, len(places)))
    texts = st.sampled_from([b"new", b"Tested", b"much longer than it was before"])
    ours = theirs = both = NOTE
    for index, (name, column) in enumerate(places):
        text = data.draw(texts)
        both = _with_cell(both, name, column, text)
        if index < cut:
            ours = _with_cell(ours, name, column, text)
        else:
            theirs = _with_cell(theirs, name, column, text)
    for number in range(1, 15):
        box = re.compile(rb"^(%d\. \[) " % number, re.MULTILINE)
        both = box.sub(rb"\1x", both)
        if data.draw(st.booleans()):
            ours = box.sub(rb"\1x", ours)
        else:
            theirs = box.sub(rb"\1x", theirs)
    if data.draw(st.booleans()):
        theirs, both = (text.replace(b"\n", b"\r\n") for text in (theirs, both))
    if data.draw(st.booleans()):
        theirs, both = (text.rstrip(b"\r\n") for text in (theirs, both))
    if data.draw(st.booleans()):
        theirs, both = (b"\xef\xbb\xbf" + text for text in (theirs, both))
    assert _clean(merge(NOTE, ours, theirs)) == both
    assert _clean(merge(NOTE, theirs, ours)) == both


STATUS = ("Local tested", "Tested")


def test_a_cell_changed_on_both_sides_is_a_conflict():
    ours = _replaced(NOTE, "Qwen3-VL-8B", STATUS, ("Unsloth", "Surely"))
    theirs = _replaced(NOTE, "Qwen3-VL-8B", ("Local tested", "Fine-tuned"), ("~20GB", "~21GB"))
    line = ours.splitlines().index(_row("Qwen3-VL-8B", ours)) + 1
    merged = merge(NOTE, ours, theirs)
    assert merged.conflicts == (Conflict(line, "Tested", "Fine-tuned", "Local tested", "Qwen3-VL-8B: Status"),)
    assert merged.comes == ("Qwen3-VL-8B: VRAM ~20GB → ~21GB",)
    assert merged.goes == ("Qwen3-VL-8B: Notes Unsloth works → Surely works",)
    for choice, status in (("ours", "Tested"), ("theirs", "Fine-tuned")):
        wanted = f"| **Qwen3-VL-8B** | Alibaba | 8B | ~21GB | {status} | Surely works |".encode()
        assert _row("Qwen3-VL-8B", _clean(merge(NOTE, ours, theirs, choice))) == wanted
        assert merge(NOTE, ours, theirs, {0: choice}) == merge(NOTE, ours, theirs, choice)


def test_the_same_change_on_both_sides_is_none():
    ours = _replaced(NOTE, "Qwen3-VL-8B", STATUS)
    theirs = _replaced(_replaced(NOTE, "Qwen3-VL-8B", STATUS), "GPT-4V", ("Expensive", "Dear"))
    merged = merge(NOTE, ours, theirs)
    assert _clean(merged) == theirs
    assert merged.goes == ()
    assert merged.comes == ("GPT-4V: Notes Expensive → Dear",)


def test_a_reordered_table_takes_the_cells_of_the_other_side():
    ours = _replaced(NOTE, "Qwen3-VL-8B", STATUS)
    rows = [line for line in NOTE.splitlines(keepends=True) if b"| Alibaba |" in line]
    theirs = NOTE.replace(b"".join(rows), b"".join(reversed(rows)))
    assert theirs != NOTE
    wanted = theirs.replace(_row("Qwen3-VL-8B"), _row("Qwen3-VL-8B", ours))
    assert _clean(merge(NOTE, ours, theirs)) == wanted
    assert _clean(merge(NOTE, theirs, ours)) == wanted


def test_a_model_moved_to_another_table_keeps_what_that_table_can_hold():
    theirs = NOTE.replace(_row("Molmo-7B") + b"\n", b"").replace(
        _row("LLaVA-Med"), _row("LLaVA-Med") + b"\n| Molmo-7B | General | 7B | Proxy tested | ~70% proxy |"
    )
    status = _replaced(NOTE, "Molmo-7B", ("Proxy tested", "Tested"))
    assert _row("Molmo-7B", _clean(merge(NOTE, status, theirs))) == b"| Molmo-7B | General | 7B | Tested | ~70% proxy |"
    memory = _replaced(NOTE, "Molmo-7B", ("~16GB", "~17GB"))
    (conflict,) = merge(NOTE, memory, theirs).conflicts
    assert conflict.what == "Molmo-7B"


def test_a_dropped_model_goes_unless_it_was_edited():
    theirs = NOTE.replace(_row("Qwen3-VL-8B") + b"\n", b"")
    other = _replaced(NOTE, "Qwen3-VL-4B", STATUS)
    merged = merge(NOTE, other, theirs)
    assert _clean(merged) == _replaced(theirs, "Qwen3-VL-4B", STATUS)
    assert merged.comes == ("Qwen3-VL-8B: gone",)
    ours = _replaced(NOTE, "Qwen3-VL-8B", STATUS)
    (conflict,) = merge(NOTE, ours, theirs).conflicts
    assert (conflict.what, conflict.theirs) == ("Qwen3-VL-8B", "")
    assert _clean(merge(NOTE, ours, theirs, "theirs")) == theirs
    assert _clean(merge(NOTE, ours, theirs, "ours")) == ours


def test_a_dropped_section_with_an_edited_model_is_one_conflict():
    start, end = NOTE.index(b"## Medical VLMs"), NOTE.index(b"## Mobile/Edge")
    theirs = NOTE[:start] + NOTE[end:]
    assert _clean(merge(NOTE, _replaced(NOTE, "GPT-4V", ("Expensive", "Dear")), theirs)) == _replaced(
        theirs, "GPT-4V", ("Expensive", "Dear")
    )
    ours = _replaced(NOTE, "LLaVA-Med", ("TODO", "Tested"))
    (conflict,) = merge(NOTE, ours, theirs).conflicts
    assert conflict.theirs == ""
    assert "| LLaVA-Med | Radiology | 7B | Tested |" in conflict.ours
    assert _clean(merge(NOTE, ours, theirs, "ours")) == ours
    assert _clean(merge(NOTE, ours, theirs, "theirs")) == theirs


def _after(name: str, *rows: str, note: bytes = NOTE) -> bytes:
    row = _row(name, note)
    return note.replace(row, "\n".join([row.decode(), *rows]).encode())


@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_row_moved_out_of_rewritten_text_is_there_once(choice):
    base = b"a\n\n| Model | Status |\n|---|---|\n| X | TODO |\n| Y | TODO |\n\nb\n\n| Model | Status |\n|---|---|\n| Z | TODO |\n"
    theirs = b"c\n\nb\n\n| Model | Status |\n|---|---|\n| X | TODO |\n| Z | TODO |\n"
    ours = base.replace(b"| X | TODO |", b"| X | Tested |").replace(b"a\n", b"one\ntwo\n").replace(b"| Y |", b"| Y |  ")
    merged = _clean(merge(base, ours, theirs, choice))
    assert merged.count(b"| X | Tested |") == 1
    assert merged.count(b"| X |") == 1


def test_rows_that_both_sides_add_are_both_kept():
    mine, other = "| Mine | Google | TODO | |", "| Other | Google | TODO | |"
    merged = merge(NOTE, _after("Claude-3.5-Sonnet", mine), _after("Claude-3.5-Sonnet", other))
    assert _clean(merged) == _after("Claude-3.5-Sonnet", mine, other)
    assert (merged.comes, merged.goes) == (("Other: added",), ("Mine: added",))


def test_a_model_that_both_sides_add_is_there_once():
    mine, other = "| New | Google | TODO | |", "| New | Google | Available |  |"
    ours, theirs = _after("Claude-3.5-Sonnet", mine), _after("GPT-4V", other)
    assert [conflict.what for conflict in merge(NOTE, ours, theirs).conflicts] == ["New: Status"]
    assert _clean(merge(NOTE, ours, theirs, "ours")).count(b"| New |") == 1
    same = _after("GPT-4V", mine)
    assert _clean(merge(NOTE, ours, same)).count(b"| New |") == 1


def test_a_row_and_a_section_added_at_the_end_of_the_note():
    base = b"# A\n\n| Model | Status |\n|---|---|\n| X | TODO |"
    theirs = base + b"\n\n# B\n\n| Model | Status |\n|---|---|\n| Z | TODO |\n"
    ours = base + b"\n| Y | TODO |"
    wanted = theirs.replace(b"| X | TODO |\n", b"| X | TODO |\n| Y | TODO |\n")
    assert _clean(merge(base, ours, theirs)) == _clean(merge(base, theirs, ours)) == wanted


def _with_notes(note: bytes) -> bytes:
    """A Notes column for the mobile table, as the panel writes one."""
    lines = note.split(b"\n")
    at = lines.index(b"| Model | Size | VRAM | Speed | Status |")
    lines[at] += b" Notes |"
    lines[at + 1] += b"-------|"
    while lines[(at := at + 1) + 1].startswith(b"|"):
        lines[at + 1] += b" small |" if b"SmolVLM-2.2B" in lines[at + 1] else b"       |"
    return b"\n".join(lines)


def test_a_new_column_reaches_the_rows_of_the_other_side():
    theirs = _after(
        "SmolVLM-500M", "| New | 1B | 2GB | Slow | TODO |", note=_replaced(NOTE, "SmolVLM-2.2B", ("Moderate", "Slow"))
    )
    merged = merge(NOTE, _with_notes(NOTE), theirs)
    wanted = _with_notes(theirs).replace(b"| Slow | TODO |       |", b"| Slow | TODO | |")
    assert _clean(merged) == wanted
    assert "column Notes: added" in merged.goes
    assert "SmolVLM-2.2B: Notes (empty) → small" in merged.goes


def test_the_same_column_added_on_both_sides():
    theirs = _with_notes(NOTE).replace(b"| Moderate | TODO | small |", b"| Moderate | TODO | tiny |")
    assert [conflict.what for conflict in merge(NOTE, _with_notes(NOTE), theirs).conflicts] == ["SmolVLM-2.2B: Notes"]
    elsewhere = (
        _with_notes(NOTE)
        .replace(b" small |", b"       |")
        .replace(b"| Low | Fast | TODO |       |", b"| Low | Fast | TODO | odd |")
    )
    merged = _clean(merge(NOTE, _with_notes(NOTE), elsewhere))
    assert b"| small |" in merged
    assert b"| odd |" in merged


def _without_notes(note: bytes) -> bytes:
    start = note.index(b"| Model | Provider |")
    end = note.index(b"\n\n", start)
    rows = [b"|".join(line.split(b"|")[:-2]) + b"|" for line in note[start:end].split(b"\n")]
    return note[:start] + b"\n".join(rows) + note[end:]


def test_a_dropped_column_is_a_conflict_only_where_the_other_side_wrote_in_it():
    theirs = _without_notes(NOTE)
    status = ("TODO", "Tested")
    assert _clean(merge(NOTE, _replaced(NOTE, "GPT-4V", status), theirs)) == _replaced(theirs, "GPT-4V", status)
    ours = _replaced(NOTE, "GPT-4V", ("Expensive", "Dear"))
    (conflict,) = merge(NOTE, ours, theirs).conflicts
    assert (conflict.what, conflict.ours, conflict.theirs) == ("column Notes", "Notes", "")
    assert _clean(merge(NOTE, ours, theirs, "theirs")) == theirs
    assert _clean(merge(NOTE, ours, theirs, "ours")) == ours


def test_a_renamed_and_a_reordered_column_take_the_cells_of_the_other_side():
    ours = _replaced(NOTE, "GPT-4V", ("Expensive", "Dear"), ("TODO", "Tested"))
    renamed = NOTE.replace(b"| Model | Provider | Status | Notes |", b"| Model | Provider | Status | Remarks |")
    assert _clean(merge(NOTE, ours, renamed)) == _replaced(renamed, "GPT-4V", ("Expensive", "Dear"), ("TODO", "Tested"))
    start = NOTE.index(b"| Model | Provider |")
    end = NOTE.index(b"\n\n", start)
    rows = [line.split(b"|") for line in NOTE[start:end].split(b"\n")]
    turned = NOTE[:start] + b"\n".join(b"|".join([a, b, e, d, c, f]) for a, b, c, d, e, f in rows) + NOTE[end:]
    merged = _clean(merge(NOTE, ours, turned))
    assert _row("GPT-4V", merged) == b"| GPT-4V | Dear | Tested | OpenAI |"


def test_new_padding_on_one_side_and_new_text_on_the_other():
    def padded(note: bytes) -> bytes:
        return note.replace(b"| Local tested | Unsloth works |", b"| Local tested       |  Unsloth works  |")

    ours = _replaced(NOTE, "Qwen3-VL-8B", STATUS)
    merged = _clean(merge(NOTE, ours, padded(NOTE)))
    assert (
        _row("Qwen3-VL-8B", merged)
        == b"| **Qwen3-VL-8B** | Alibaba | 8B | ~20GB | Tested             |  Unsloth works  |"
    )
    assert merge(NOTE, ours, padded(NOTE)).comes == ("the layout of 3 lines",)
    assert merged.replace(_row("Qwen3-VL-8B", merged), b"") == padded(NOTE).replace(
        _row("Qwen3-VL-8B", padded(NOTE)), b""
    )


def test_a_renamed_model_takes_the_cells_of_the_other_side():
    theirs = _replaced(NOTE, "Qwen3-VL-8B", ("Qwen3-VL-8B", "Qwen3-VL-8B-Instruct"))
    merged = _clean(merge(NOTE, _replaced(NOTE, "Qwen3-VL-8B", STATUS), theirs))
    assert b"| **Qwen3-VL-8B-Instruct** | Alibaba | 8B | ~20GB | Tested | Unsloth works |" in merged


def test_another_model_in_the_place_of_one_that_was_edited_is_not_taken_for_it():
    theirs = NOTE.replace(_row("Qwen3-VL-8B"), b"| **Ovis2-8B** | AIDC | 8B | ~19GB | Local tested | Fresh |")
    (conflict,) = merge(NOTE, _replaced(NOTE, "Qwen3-VL-8B", STATUS), theirs).conflicts
    assert conflict.what == "Qwen3-VL-8B"


def test_a_ticked_box_of_an_item_that_was_reworded_or_renumbered():
    ours = NOTE.replace(b"5. [ ] FetalCLIP", b"5. [x] FetalCLIP")
    theirs = NOTE.replace(b"5. [ ] FetalCLIP", b"5. [ ] FetalCLIP v2").replace(b"6. [ ] EchoVLM", b"60. [ ] EchoVLM")
    assert _clean(merge(NOTE, ours, theirs)) == theirs.replace(b"5. [ ] FetalCLIP", b"5. [x] FetalCLIP")
    shifted = NOTE.replace(b"5. [ ] FetalCLIP\n6. [ ] EchoVLM", b"5. [ ] EchoVLM\n6. [ ] FetalCLIP")
    assert b"6. [x] FetalCLIP" in _clean(merge(NOTE, ours, shifted))
    assert merge(NOTE, NOTE, ours).comes == ("item 5 done: FetalCLIP",)


def test_prose_changed_on_both_sides_is_a_conflict():
    ours, theirs = (
        NOTE.replace(b"- FETAL-GAUGE benchmark", b"- The benchmark"),
        NOTE.replace(b"- FETAL-GAUGE", b"- Fetal gauge"),
    )
    (conflict,) = merge(NOTE, ours, theirs).conflicts
    assert conflict.what == "line"
    assert conflict.ours.startswith("- The benchmark")
    assert _clean(merge(NOTE, ours, theirs, "ours")) == ours
    assert _clean(merge(NOTE, ours, theirs, "theirs")) == theirs


def test_converted_line_ends_take_the_new_rows_along():
    ours = _after("GPT-4V", "| New | OpenAI | TODO | |")
    merged = merge(NOTE, ours, NOTE.replace(b"\n", b"\r\n"))
    assert _clean(merged) == ours.replace(b"\n", b"\r\n")
    assert merged.comes == ("line ends: \\r\\n",)


@pytest.mark.parametrize("kind", ["front matter", "quoted", "fenced"])
def test_a_long_note_with_repeated_lines_is_no_trouble(kind):
    filler = {"front matter": b"---\na: b\n---\n", "quoted": b"> q\n\n", "fenced": b"```\n|x|\n```\n\n"}[kind]
    base = filler * 5000 + NOTE + filler * 5000
    ours = _replaced(base, "Qwen3-VL-8B", STATUS)
    theirs = b"first\n" + _replaced(base, "GPT-4V", ("Expensive", "Dear")) + b"last\n"
    assert (
        _clean(merge(base, ours, theirs)) == b"first\n" + _replaced(ours, "GPT-4V", ("Expensive", "Dear")) + b"last\n"
    )


def test_a_blank_line_alone_is_no_conflict():
    base, ours, theirs = b"text\n> quoted\ntext\n\n", b"text\n> quoted\n", b"> quoted\n\n"
    assert _clean(merge(base, ours, theirs)) == _clean(merge(base, theirs, ours)) == b"> quoted\n\n"


def test_a_blank_line_behind_a_lone_carriage_return_stays_one():
    ours, theirs = b"1. [ ] A\n\n", b"1. [ ] A\n1. [ ] A\n1. [ ] A\r"
    for merged in (merge(b"", ours, theirs), merge(b"", theirs, ours)):
        assert Text.read(_clean(merged)).lines == ["1. [ ] A"] * 4 + [""]
