"""A note shortened for the Markdown parser, which takes 64 µs a table row: of long tables it sees the first rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token

from db.tracker.markdown.source import Source

LONGEST_RUN = 6
# A header, its delimiter and one row, where the table starts with the run.
_KEPT = 3
# No block but a table's row can start with a pipe; four spaces would make it code.
_PIPE_LINE = re.compile(r" {0,3}\|")


class Shortened:
    """``text`` is the note without the lines that were cut, and with blank lines for its front matter.

    Args:
        cuts: Ranges of lines to leave out, in order, from :func:`long_runs`.
        skipped: The number of lines of the front matter.
    """

    def __init__(self, source: Source, cuts: Sequence[range], skipped: int) -> None:
        self.cut_after = {cut.start - 1: cut for cut in cuts}
        self.numbers: Sequence[int] = range(len(source.lines) + 1)
        if not cuts:
            # Front matter is YAML: blank lines in its place keep the line numbers.
            rest = source.text[source.starts[skipped] :] if skipped < len(source.starts) else ""
            self.text = "\n" * skipped + rest if skipped else source.text
            return
        ends = [0, *(cut.stop for cut in cuts)]
        starts = [*(cut.start for cut in cuts), len(source.lines)]
        self.numbers = [line for begin, end in zip(ends, starts, strict=True) for line in range(begin, end)]
        self.text = "\n".join([source.lines[line] if line >= skipped else "" for line in self.numbers])

    def line_of(self, token: Token) -> int:
        """The line of the note where a token of :attr:`text` begins."""
        return self.numbers[token.map[0]] if token.map else 0

    def misjudged(self, tokens: Sequence[Token]) -> set[int]:
        """The starts of the cuts that do not follow a row of a table at the margin: their lines may be anything."""
        rows = set()
        in_body = False
        for token in tokens:
            if token.type in ("thead_open", "tbody_open"):
                in_body = token.type == "tbody_open"
            elif token.type == "tr_open" and in_body and token.level == 2:
                rows.add(self.line_of(token))
        return {cut.start for last, cut in self.cut_after.items() if last not in rows}


def long_runs(lines: Sequence[str], skipped: int, longest: int) -> list[range]:
    """What can be cut: of each run of more than ``longest`` lines that begin with a pipe, all but the first lines."""
    runs = []
    begin = skipped
    for line in range(skipped, len(lines) + 1):
        if line < len(lines) and (lines[line].startswith("|") or _PIPE_LINE.match(lines[line])):
            continue
        if line - begin > max(longest, _KEPT):
            runs.append(range(begin + _KEPT, line))
        begin = line + 1
    return runs
