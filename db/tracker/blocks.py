"""A Markdown text as headings, tables, lists, paragraphs and fences with their positions (markdown-it-py reads it)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from db.tracker.source import Source

_INLINE_SIGNS = re.compile(r"[*_`\[\]\\<&!]")
_ONLY_BOLD = re.compile(r"\*\*([A-Za-z0-9](?:[A-Za-z0-9 .:/+-]*[A-Za-z0-9])?)\*\*")


@dataclass(frozen=True)
class Heading:
    """``line`` is 0-based, as everywhere in this module."""

    level: int
    title: str
    line: int


@dataclass(frozen=True)
class Cell:
    r"""``text`` is trimmed, with ``\|`` as ``|``; ``start``, ``end`` enclose the padding too (None: not located)."""

    text: str
    start: int | None
    end: int | None


@dataclass(frozen=True)
class Row:
    """``given`` is the number of cells written in the line; ``cells`` has as many as the header."""

    line: int
    cells: tuple[Cell, ...]
    given: int


@dataclass(frozen=True)
class Table:
    headings: tuple[Heading, ...]
    line: int
    header: Row
    rows: tuple[Row, ...]
    right_aligned: tuple[bool, ...]


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
    headings: tuple[Heading, ...]
    line: int
    text: str


Block = Heading | Table | ItemList | Paragraph | Fence


@cache
def _block_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    # Inline text is read on demand (`plain`): 600,000 cells need no inline tokens.
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def plain(text: str) -> str:
    """Inline Markdown without its marks: ``**FetalCLIP**`` is ``FetalCLIP``, a link is its text."""
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
    """The simple ``key: value`` lines between the two ``---`` that open a note, and the number of lines they take."""
    lines = source.lines
    if not lines or lines[0].rstrip() != "---":
        return [], 0
    for index in range(1, len(lines)):
        if lines[index].rstrip() in ("---", "..."):
            pairs = [line.partition(":") for line in lines[1:index] if ":" in line and not line[:1].isspace()]
            return [(key.strip(), value.strip()) for key, _, value in pairs], index + 1
    return [], 0


def read_blocks(source: Source) -> list[Block]:
    """The blocks in the order of the text. Lists inside lists are lists of their own, after the outer one."""
    _, skipped = front_matter(source)
    text = source.text
    if skipped:
        # Front matter is YAML: blank lines in its place keep the line numbers.
        rest = text[source.starts[skipped] :] if skipped < len(source.starts) else ""
        text = "\n" * skipped + rest
    return _Reader(source).read(_block_parser().parse(text))


class _Reader:
    def __init__(self, source: Source) -> None:
        self.lines = source.lines
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
                line = _line(token)
                text = tokens[at + 1].content
                self.blocks.append(Paragraph(tuple(self.headings), line, text, quotes > 0))
                self.last_paragraph = (text, len(self.blocks))
                at += 2
            elif token.type in ("fence", "code_block"):
                self.blocks.append(Fence(tuple(self.headings), _line(token), token.content))
            quotes += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
            at += 1
        return self.blocks

    def _heading(self, token: Token, inline: Token) -> None:
        level = int(token.tag[1:])
        while self.headings and self.headings[-1].level >= level:
            self.headings.pop()
        heading = Heading(level, plain(" ".join(inline.content.split())), _line(token))
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
                contents, line = [], _line(token)
            elif token.type == "th_open":
                right.append(token.attrs.get("style") == "text-align:right")
            elif token.type == "inline":
                contents.append(token.content)
            elif token.type == "tr_close":
                rows.append(locate_cells(self.lines[line], line, contents))
            at += 1
        self.blocks.append(Table(tuple(self.headings), _line(tokens[start]), rows[0], tuple(rows[1:]), tuple(right)))
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
        self.blocks.insert(place, ItemList(tuple(self.headings), _line(opening), intro, tuple(items)))
        return at

    def _item(self, inline: Token, number: int | None) -> ListItem:
        line = _line(inline)
        first = inline.content.split("\n", 1)[0]
        column = self.lines[line].find(first) if first else -1
        return ListItem(line, column if column >= 0 else None, number, inline.content)


def _line(token: Token) -> int:
    return token.map[0] if token.map else 0


def locate_cells(line_text: str, line: int, contents: Sequence[str]) -> Row:
    """The cells of one table line between its unescaped pipes; where that disagrees with the parser, no positions.

    Args:
        contents: What the parser read, one text a column of the header.
    """
    for prefix in _prefixes(line_text):
        spans = _split(line_text, prefix)
        texts = [_unescape(line_text[start:end]) for start, end in spans]
        padded = texts + [""] * (len(contents) - len(texts))
        if all(_same(mine, theirs) for mine, theirs in zip(padded, contents, strict=False)):
            cells = [
                Cell(text, *(spans[index] if index < len(spans) else (None, None)))
                for index, text in enumerate(padded[: len(contents)])
            ]
            return Row(line, tuple(cells), len(spans))
    return Row(line, tuple(Cell(text, None, None) for text in contents), len(contents))


def _prefixes(line_text: str) -> list[int]:
    """Where the row may start: after the white space, or after the marks of a quotation or a list item."""
    bare = len(line_text) - len(line_text.lstrip())
    marks = re.match(r"[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?[\s>]*", line_text)
    return [bare, marks.end()] if marks and marks.end() != bare else [bare]


def _split(text: str, start: int) -> list[tuple[int, int]]:
    end = len(text.rstrip())
    # As the parser does: a pipe is escaped by one backslash directly before it, whatever stands before that.
    pipes = [at for at in range(start, end) if text[at] == "|" and (at == start or text[at - 1] != "\\")]
    edges = [start - 1, *pipes, end]
    spans = [(left + 1, right) for left, right in pairwise(edges)]
    if spans and spans[0][0] == spans[0][1]:
        spans.pop(0)
    if spans and spans[-1][0] == spans[-1][1]:
        spans.pop()
    return spans


def _unescape(raw: str) -> str:
    return raw.strip().replace("\\|", "|")


def _same(mine: str, theirs: str) -> bool:
    return mine == theirs or mine.replace("\0", "\ufffd") == theirs.strip()
