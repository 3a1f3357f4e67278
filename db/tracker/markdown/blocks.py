"""A Markdown text as headings, tables, lists, paragraphs and fences with their positions (markdown-it-py reads it)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from db.tracker.markdown.longtables import LONGEST_RUN, Shortened, long_runs
from db.tracker.markdown.rowcells import Cell as Cell
from db.tracker.markdown.rowcells import Row as Row
from db.tracker.markdown.rowcells import locate_cells, read_row
from db.tracker.markdown.source import Source

_INLINE_SIGNS = re.compile(r"[*_`\[\]\\<&!~]")
_ONLY_BOLD = re.compile(r"\*\*([A-Za-z0-9](?:[A-Za-z0-9 .:/+-]*[A-Za-z0-9])?)\*\*")
# What Obsidian adds to Markdown: [[page]], [[page|text]], and footnotes.
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|]+\|)?(?P<shown>[^\[\]|]+)\]\]")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]")
_KEY = re.compile(r"[\w\"'][^|]*:(?:\s|$)")
# No line of YAML begins like this at the margin.
_TABLE_LINE = re.compile(r"\||[ :-]+\|[ |:-]*-")


@dataclass(frozen=True)
class Heading:
    """``line`` is 0-based, as everywhere in this module."""

    level: int
    title: str
    line: int


@dataclass(frozen=True)
class Table:
    """``nested``: it stands in a quotation or a list, not at the margin."""

    headings: tuple[Heading, ...]
    line: int
    header: Row
    rows: tuple[Row, ...]
    right_aligned: tuple[bool, ...]
    nested: bool

    @property
    def last_line(self) -> int:
        """The line of the last row; of the delimiter where there is none."""
        return self.rows[-1].line if self.rows else self.header.line + 1


@dataclass(frozen=True)
class ListItem:
    """``column`` is where the first line of ``text`` starts, or None where it could not be located."""

    line: int
    column: int | None
    number: int | None
    text: str


@dataclass(frozen=True)
class ItemList:
    """``intro`` is the paragraph directly above it, if any."""

    headings: tuple[Heading, ...]
    line: int
    intro: str | None
    items: tuple[ListItem, ...]


@dataclass(frozen=True)
class Paragraph:
    headings: tuple[Heading, ...]
    line: int
    text: str
    quoted: bool


@dataclass(frozen=True)
class Fence:
    """``is_indented``: code by its indentation, without fences around it."""

    headings: tuple[Heading, ...]
    line: int
    text: str
    is_indented: bool


Block = Heading | Table | ItemList | Paragraph | Fence


@cache
def _block_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    # Inline text is read on demand (`plain`): 600,000 cells need no inline tokens.
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("strikethrough")
    parser.inline.ruler.before("link", "obsidian", _obsidian)
    return parser


def _obsidian(state: StateInline, silent: bool) -> bool:
    """An inline rule: a wiki link is the text that it shows, a footnote's mark is nothing."""
    found = _WIKI_LINK.match(state.src, state.pos) or _FOOTNOTE.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("text", "", 0).content = found.groupdict().get("shown", "").strip()
    state.pos = found.end()
    return True


def plain(text: str) -> str:
    """Inline Markdown without its marks: ``**FetalCLIP**`` is ``FetalCLIP``, a link or ``[[page|text]]`` its text."""
    if not _INLINE_SIGNS.search(text):
        return text
    bold = _ONLY_BOLD.fullmatch(text)
    if bold:
        # The common case, which needs no parser.
        return bold[1]
    pieces: list[str] = []
    for token in _inline_parser().parseInline(text):
        for child in token.children or []:
            pieces.append(" " if child.type in ("softbreak", "hardbreak") else child.content)
    return "".join(pieces).strip()


def front_matter(source: Source) -> tuple[list[tuple[str, str]], int]:
    """The simple ``key: value`` lines between the two ``---`` that open a note, and the number of lines they take.

    A ``---`` above a blank line and anything but a key is a rule, and where a table comes before the next one the end
    was forgotten: then the lines up to there are the note's own.
    """
    lines = source.lines
    if not lines or lines[0].rstrip() != "---":
        return [], 0
    if len(lines) > 1 and not lines[1].strip():
        first = next((line for line in lines[1:] if line.strip()), "")
        if not _KEY.match(first):
            return [], 0
    for index in range(1, len(lines)):
        if _TABLE_LINE.match(lines[index]):
            break
        if lines[index].rstrip() in ("---", "..."):
            pairs = [line.partition(":") for line in lines[1:index] if ":" in line and not line[:1].isspace()]
            return [(key.strip(), value.strip()) for key, _, value in pairs], index + 1
    return [], 0


def read_blocks(source: Source, longest: int = LONGEST_RUN) -> list[Block]:
    """The blocks in the order of the text. Lists inside lists are lists of their own, after the outer one.

    The Markdown parser takes 64 µs a table row, so of a long table it sees the first rows only. Nothing but a row of
    the table above can stand in a line that begins with a pipe, where such a row stands in the line before it.

    Args:
        longest: Runs of more lines than this that begin with a pipe are shortened for the parser.
    """
    _, skipped = front_matter(source)
    cuts = long_runs(source.lines, skipped, longest)
    while True:
        shortened = Shortened(source, cuts, skipped)
        tokens = _block_parser().parse(shortened.text)
        misjudged = shortened.misjudged(tokens)
        if not misjudged:
            return _Reader(source, shortened).read(tokens)
        # With all of its lines in the text, the parser says what such a run is.
        cuts = [cut for cut in cuts if cut.start not in misjudged]


class _Reader:
    def __init__(self, source: Source, shortened: Shortened) -> None:
        self.lines = source.lines
        self.cut_after = shortened.cut_after
        self._line = shortened.line_of
        self.blocks: list[Block] = []
        self.headings: list[Heading] = []
        self.last_paragraph: tuple[str, int] | None = None

    def read(self, tokens: Sequence[Token]) -> list[Block]:
        at = 0
        quotes = 0
        while at < len(tokens):
            token = tokens[at]
            if token.type == "heading_open":
                self._heading(token, tokens[at + 1])
                at += 2
            elif token.type == "table_open":
                at = self._table(tokens, at)
            elif token.type in ("ordered_list_open", "bullet_list_open"):
                at = self._list(tokens, at)
            elif token.type == "paragraph_open":
                line = self._line(token)
                text = tokens[at + 1].content
                self.blocks.append(Paragraph(tuple(self.headings), line, text, quotes > 0))
                self.last_paragraph = (text, len(self.blocks))
                at += 2
            elif token.type in ("fence", "code_block"):
                is_indented = token.type == "code_block"
                self.blocks.append(Fence(tuple(self.headings), self._line(token), token.content, is_indented))
            quotes += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
            at += 1
        return self.blocks

    def _heading(self, token: Token, inline: Token) -> None:
        level = int(token.tag[1:])
        while self.headings and self.headings[-1].level >= level:
            self.headings.pop()
        heading = Heading(level, plain(" ".join(inline.content.split())), self._line(token))
        self.headings.append(heading)
        self.blocks.append(heading)

    def _table(self, tokens: Sequence[Token], at: int) -> int:
        start = at
        rows: list[Row] = []
        contents: list[str] = []
        right: list[bool] = []
        line = 0
        while tokens[at].type != "table_close":
            token = tokens[at]
            if token.type == "tr_open":
                contents, line = [], self._line(token)
            elif token.type == "th_open":
                right.append(token.attrs.get("style") == "text-align:right")
            elif token.type == "inline":
                contents.append(token.content)
            elif token.type == "tr_close":
                rows.append(locate_cells(self.lines[line], line, contents))
                rows += [read_row(self.lines[cut], cut, len(right)) for cut in self.cut_after.get(line, ())]
            at += 1
        line, is_nested = self._line(tokens[start]), tokens[start].level > 0
        self.blocks.append(Table(tuple(self.headings), line, rows[0], tuple(rows[1:]), tuple(right), is_nested))
        return at

    def _list(self, tokens: Sequence[Token], at: int) -> int:
        """The list that opens at ``at``; the index of its close."""
        opening = tokens[at]
        above = self.last_paragraph
        intro = above[0] if above and above[1] == len(self.blocks) else None
        place = len(self.blocks)
        items: list[ListItem] = []
        numbers = count(int(opening.attrs.get("start", 1)))
        fresh = False
        at += 1
        while not (tokens[at].level == opening.level and tokens[at].type.endswith("_list_close")):
            token = tokens[at]
            if token.type == "list_item_open":
                fresh = True
                number = int(token.info) if token.info.isdigit() else next(numbers)
            elif token.type == "inline" and fresh:
                fresh = False
                items.append(self._item(token, number if opening.type.startswith("ordered") else None))
            elif token.type in ("ordered_list_open", "bullet_list_open"):
                at = self._list(tokens, at)
            elif token.type == "table_open":
                at = self._table(tokens, at)
            at += 1
        self.blocks.insert(place, ItemList(tuple(self.headings), self._line(opening), intro, tuple(items)))
        return at

    def _item(self, inline: Token, number: int | None) -> ListItem:
        line = self._line(inline)
        first = inline.content.split("\n", 1)[0]
        column = self.lines[line].find(first) if first else -1
        return ListItem(line, column if column >= 0 else None, number, inline.content)
