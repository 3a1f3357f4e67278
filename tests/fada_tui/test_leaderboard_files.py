"""A leaderboard as a file: nothing in a name becomes a formula, a cell of its own or a command of LaTeX."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from backends.leaderboard.arrange import arrange
from backends.leaderboard.entries import Board, Stated
from db.runs.rows import Alarm
from fada_tui.leaderboard import cells
from fada_tui.leaderboard.files import FORMATS, latex, to_csv, to_latex, to_markdown, write
from fada_tui.leaderboard.lines import board_rows, detail
from fada_tui.text import printable
from fada_tui.widgets.line import line_width
from tests.backends.leaderboard.made import candidate, candidates, flat

NASTY = '=HYPERLINK("x")|a|\\b{c} 50 % _d_ #1 & $e$ ~f^ <g> \x1b[31m\n2 模 “x”'


@pytest.fixture
def board() -> Board:
    alarm = Alarm("duplicate", None, "+cmd|' /C calc'!A0")
    return arrange(
        candidates(
            candidate(1, 0.9, model=NASTY, alarms=(alarm,)),
            candidate(2, 0.64, alarms=flat("Q1", "Q2", "Q3")),
            candidate(3, 0.7, None, failed=12, answered=588),
            stated=(Stated("@note", 0.81, 600, True, "~81% | GT"),),
        )
    )


def test_csv_is_read_back_whole_and_no_text_is_a_formula(board: Board) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([board]), newline="")))
    assert all(not re.match(r"\s*[=+@\-＝＋－＠]", cell) or _number(cell) for row in rows for cell in row.values())
    first = rows[0]
    assert first["model"] == "'" + printable(NASTY)
    assert (float(first["value"]), first["ci_low"], first["n"], first["rank"]) == (0.9, "0.88", "600", "1")
    floors = {row["model"]: float(row["value"]) for row in rows if row["role"] == "floor"}
    assert floors == {"majority": 0.5, "shuffled": 0.45}
    collapsed = next(row for row in rows if row["run"] == "2")
    assert collapsed["alarms"].startswith("⚠ collapse") and "97% of 600" in collapsed["alarm_texts"]
    assert collapsed["group"] == "Not ranked" and not collapsed["rank"]
    assert rows[-1]["role"] == "document" and rows[-1]["model"] == "'@note"


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_markdown_keeps_its_columns(board: Board) -> None:
    lines = to_markdown([board]).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {len(cells.HEAD) + 1}
    assert "0.640 ⚠" in "\n".join(tables) and "0.810 \\~" in "\n".join(tables)
    assert sum("97% of 600 answers" in line for line in lines) == 3


def test_latex_has_no_open_command_and_even_braces(board: Board) -> None:
    text = to_latex([board])
    plain = re.sub(r"\\(?:[A-Za-z]+|[^A-Za-z])", "", text.replace("\\\\", ""))
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
    rows = [line for line in text.splitlines() if line.startswith(r"\relax")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(cells.HEAD) - 1}
    assert r"\toprule" in text and r"\bottomrule" in text and r"0.640 \textbf{!}" in text
    assert all(ord(char) < 0x180 for char in text)
    assert latex("a_b\\c{}模") == r"a\_b\textbackslash{}c\{\}\texttt{U+6A21}"


@pytest.mark.parametrize("form", FORMATS)
def test_no_control_character_reaches_a_file(board: Board, form: str) -> None:
    text = write([board], form)
    assert text.endswith("\n") and not re.search(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]", text)


def test_json_holds_all_that_the_others_have(board: Board) -> None:
    [found] = json.loads(write([board], "json"))
    first = found["groups"][0]["rows"][0]
    assert first["model"] == NASTY and first["rank"] == {"low": 1, "high": 1, "compared": None}
    assert (first["ci_low"], first["ci_high"], first["n"], first["gain"]) == (0.88, 0.92, 600, 0.4)
    assert found["not_ranked"][0]["alarms"][0]["kind"] == "collapse"


@pytest.mark.parametrize("width", [40, 60, 78, 118, 198])
def test_on_the_screen_the_alarm_stands_behind_the_number(board: Board, width: int) -> None:
    rows, found = board_rows(board, width, (1,))
    assert all(line_width(row.line) <= width for row in rows)
    by_run = {found[row.key].run: "".join(text for text, _ in row.line) for row in rows if row.key}
    assert "0.640 ⚠" in by_run[2] and "0.900 ⚠" in by_run[1] and "0.700 " in by_run[3]
    assert by_run[1].startswith("◆")
    assert len({row.key for row in rows if row.key}) == sum(row.key is not None for row in rows)


def test_the_line_below_tells_all_of_a_row(board: Board) -> None:
    lines = detail(board, board.unranked[0])
    assert lines[0].startswith("M2 (#2): 0.640 [0.620, 0.660] · 600 asked, 600 answered, 0 failed")
    assert lines[1] == "not ranked: one answer for every image in 3 of 3 questions"
    assert len(lines) == 5 and detail(board, None) == []
