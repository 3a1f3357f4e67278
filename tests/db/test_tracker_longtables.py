"""A note with long tables reads the same whether the Markdown parser saw all of their rows or the first ones only."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from db.tracker.markdown.blocks import Table, read_blocks
from db.tracker.markdown.source import Source

LINES = st.one_of(
    st.sampled_from(
        [
            "| a | b |",
            "|---|---|",
            "| a | b |\n|---|---|",
            "| a | b |\n|---|---|\n| c | d |",
            "| c \\| d | e",
            "|:-:|--:|",
            "| | x ",
            "|",
            "||",
            " | y |\t",
            "   | z | \\|",
            "    | code |",
            "\t| tab |",
            "text",
            "text | more",
            "---|---",
            "",
            "```",
            "<div>",
            "</div>",
            "<!--",
            "-->",
            "> | q | r |",
            "> |---|---|",
            "- | l | m |",
            "  |---|---|",
            "1. [ ] item",
            "# Heading",
            "===",
            "---",
            "[x]: /url",
        ]
    ),
    st.text(alphabet="| \\-:a`\0\u00a0\x1c\u2003>*", max_size=12).map(lambda text: "|" + text),
)
RUNS = st.lists(st.tuples(LINES, st.integers(1, 6)), max_size=14)


@settings(max_examples=400, deadline=None)
@given(runs=RUNS, end=st.sampled_from(["\n", "\r\n", "\r"]), last=st.booleans())
@example(runs=[("```", 1), ("| a | b |", 6), ("```", 1), ("|---|---|", 2)], end="\n", last=True)
@example(runs=[("---", 1), ("| a | b |", 6), ("---", 1), ("| a | b |", 1), ("|---|---|", 5)], end="\n", last=True)
@example(runs=[("- | l | m |", 1), ("  |---|---|", 6), ("| a | b |", 4)], end="\n", last=False)
@example(runs=[("| a | b |", 5), ("|---|---|", 1), ("| | x ", 5)], end="\r\n", last=False)
def test_shortened_or_not_the_blocks_are_the_same(runs, end, last):
    lines = [line for line, count in runs for _ in range(count)]
    source = Source(end.join(lines) + (end if last else ""), False)
    assert read_blocks(source, longest=0) == read_blocks(source, longest=10**6)


def test_a_long_table_is_read_to_its_end_with_every_place():
    rows = [f"| **M-{number}** | {number % 7}B |" for number in range(5000)]
    source = Source("\n".join(["# T", "", "| Model | Size |", "|---|---|", *rows, "not | closed", "", "end"]), False)
    table = next(block for block in read_blocks(source) if isinstance(block, Table))
    assert (len(table.rows), table.last_line) == (5001, 5004)
    assert [row.texts[0] for row in table.rows[4998:]] == ["**M-4998**", "**M-4999**", "not"]
    cell = table.rows[4000].cells[1]
    assert source.lines[table.rows[4000].line][cell.start : cell.end] == f" {4000 % 7}B "
