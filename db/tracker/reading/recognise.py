"""From Markdown blocks to what a tracker note says. Shapes and heading words decide, never one file's lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from db.tracker.markdown.blocks import Fence, Heading, ItemList, Paragraph, Table, front_matter, plain, read_blocks
from db.tracker.markdown.bulk import no_cycle_search
from db.tracker.markdown.source import Source
from db.tracker.reading.document import (
    BenchmarkRow,
    Document,
    ItemRow,
    ModelRow,
    ModelTable,
    PaperRow,
    PhaseRow,
    PipelineRow,
    RouteRow,
    SectionRow,
    SummaryCell,
    TaskRow,
    Warning,
    role_of,
)
from db.tracker.reading.modelreader import ModelReader
from db.tracker.reading.shapes import PAPERS, Titles, column_names, document_title, title_of, topic_of

_ROW = re.compile(r"\s*\|.*\|")
_BOX = re.compile(r"\[([ xX])\](?:\s+|$)")
_TASK = re.compile(r"(?P<name>.+?)(?:\s+\((?P<abbreviation>[^()]{1,20})\))?(?:\s+[-\u2013\u2014]\s+(?P<rest>.+))?")
_CANNOT = re.compile(r"\b(cannot|can't|api only|not possible)\b", re.IGNORECASE)


def read_document(source: Source) -> Document:
    """Everything recognised in a note. A text with no model table gives a document without models."""
    with no_cycle_search():
        return _Recogniser(source).document()


class _Recogniser:
    def __init__(self, source: Source) -> None:
        self.front_matter = front_matter(source)[0]
        self.blocks = read_blocks(source)
        self.skipped_title = document_title(self.blocks)
        self.warnings: list[Warning] = []
        self.sections: list[SectionRow] = []
        self.section_titles, self.phase_titles = Titles(), Titles()
        self.section_at: dict[int, int] = {}
        self.tables: list[ModelTable] = []
        self.models: dict[str, ModelRow] = {}
        self.phases: list[PhaseRow] = []
        self.phase_at: dict[int, int] = {}
        self.items: list[ItemRow] = []
        self.papers: list[PaperRow] = []
        self.benchmarks: dict[int, BenchmarkRow] = {}
        self.finetune: list[RouteRow] = []
        self.exports: list[RouteRow] = []
        self.pipelines: list[PipelineRow] = []
        self.summary: list[SummaryCell] = []

    def document(self) -> Document:
        table_end = -1
        for block in self.blocks:
            if isinstance(block, Table):
                self._table_kind(block)(block)
                table_end = block.last_line
            elif isinstance(block, ItemList):
                self._list(block)
            elif isinstance(block, Paragraph):
                self._paragraph(block)
                self._stray_rows(block)
            elif isinstance(block, Fence) and block.is_indented and block.line == table_end + 1:
                self._stray_rows(block)
            elif isinstance(block, Fence) and self._topic(block.headings) == "export":
                self.pipelines.append(PipelineRow(title_of(block.headings), block.text.strip(), block.line))
        return Document(
            tuple(self.front_matter),
            tuple(self.sections),
            tuple(self.tables),
            tuple(self.models.values()),
            tuple(self.phases),
            tuple(self._numbered()),
            tuple(self.papers),
            tuple(row for row in self.benchmarks.values() if row.facts or row.tasks),
            tuple(self.finetune),
            tuple(self.exports),
            tuple(self.pipelines),
            tuple(self.summary),
            tuple(sorted(self.warnings, key=lambda warning: warning.line)),
        )

    def _stray_rows(self, block: Paragraph | Fence) -> None:
        """A slip of the hand in a table (a blank line, an indented one) hides the rows below it from every reader."""
        strays = [at for at, line in enumerate(block.text.split("\n")) if _ROW.match(line)]
        if strays:
            several = f"{len(strays)} lines look like rows" if len(strays) > 1 else "this looks like a row"
            self._warn(
                block.line + strays[0],
                f"{several} of a table but no table is here (a blank or an indented line ends one): not read",
            )

    def _warn(self, line: int, text: str) -> None:
        self.warnings.append(Warning(line + 1, text))

    def _topic(self, headings: tuple[Heading, ...]) -> str | None:
        return topic_of(headings, self.skipped_title)

    def _table_kind(self, table: Table) -> Callable[[Table], None]:
        names = {name.casefold() for name in column_names(table.header)}
        topic = self._topic(table.headings)
        if not any(role_of(name) == "model" for name in names):
            return {"summary": self._summary_table, "benchmark": self._facts}.get(topic or "", self._ignored)
        special = self._special_kind(names, table, topic)
        if special is not None:
            return special
        if topic is None or ("status" in names and not self._speaks_of_known(table, topic)):
            return self._model_table
        return {"export": self._export_table, "finetune": self._finetune_table}.get(topic, self._ignored)

    def _special_kind(self, names: set[str], table: Table, topic: str | None) -> Callable[[Table], None] | None:
        """What the columns of a table with models say that it is, where the heading does not speak against it."""
        is_route = topic is not None or self._mostly_known(table)
        if is_route or "status" not in names:
            if any(name.startswith(("train time", "training time")) or name == "mobile export" for name in names):
                return self._finetune_table
            if any(re.fullmatch(r"q\d\S* size", name) for name in names):
                return self._export_table
        if is_route and names & {"path", "format", "priority"} and (topic == "export" or "status" not in names):
            return self._export_table
        return None

    def _speaks_of_known(self, table: Table, topic: str) -> bool:
        """A table about fine-tuning or export, most of whose models have their row above."""
        return topic in ("finetune", "export") and self._mostly_known(table)

    def _mostly_known(self, table: Table) -> bool:
        at = _model_column(table)
        known = sum(plain(row.texts[at]) in self.models for row in table.rows)
        return 2 * known >= len(table.rows) > 0

    def _ignored(self, table: Table) -> None:
        """A table of something else: it stays in the text and is not indexed."""
        if any(role_of(name) == "model" for name in column_names(table.header)):
            title = title_of(table.headings)
            self._warn(table.line, f"the table under {title!r} has a Model column and no Status: not taken as models")

    def _model_table(self, table: Table) -> None:
        heading = table.headings[-1] if table.headings else Heading(0, "Models", -1)
        path = tuple(above.title for above in table.headings[:-1])
        if heading.line not in self.section_at:
            self.section_at[heading.line] = len(self.sections)
            title = self.section_titles.distinct(heading.title, path)
            self.sections.append(SectionRow(title, path, heading.level, heading.line))
        section = self.section_at[heading.line]
        self.tables.append(ModelTable(section, table))
        read = ModelReader(table, section, len(self.tables) - 1, self._warn).model
        for row in table.rows:
            model = read(row)
            if not model.name:
                self._warn(row.line, "a row without a model name: left out")
            elif model.name in self.models:
                first = self.models[model.name].line + 1
                self._warn(row.line, f"{model.name} stands here a second time (first in line {first}): left out")
            else:
                self.models[model.name] = model

    def _finetune_table(self, table: Table) -> None:
        title = title_of(table.headings)
        kind = "other"
        for word in ("verified", "likely"):
            kind = word if word in title.casefold() else kind
        self.finetune += _routes(table, "cannot" if _CANNOT.search(title) else kind)

    def _export_table(self, table: Table) -> None:
        names = {name.casefold() for name in column_names(table.header)}
        is_native = "format" in names or "native" in title_of(table.headings).casefold()
        self.exports += _routes(table, "native" if is_native and "priority" not in names else "candidate")

    def _facts(self, table: Table) -> None:
        benchmark = self._benchmark(table.headings)
        if benchmark is None or len(table.header.texts) < 2:
            return
        facts = tuple((plain(row.texts[0]), row.texts[1], row.line) for row in table.rows)
        self._put(table.headings, replace(benchmark, facts=benchmark.facts + facts))

    def _benchmark(self, headings: tuple[Heading, ...]) -> BenchmarkRow | None:
        if self._topic(headings) != "benchmark":
            return None
        heading = headings[-1]
        name = re.sub(r"\s*\([^()]*\)\s*$", "", heading.title)
        return self.benchmarks.get(heading.line, BenchmarkRow(name, heading.title, None, (), (), heading.line))

    def _put(self, headings: tuple[Heading, ...], benchmark: BenchmarkRow) -> None:
        self.benchmarks[headings[-1].line] = benchmark

    def _summary_table(self, table: Table) -> None:
        title = title_of(table.headings)
        names = column_names(table.header)
        for row in table.rows:
            label = plain(row.texts[0])
            for name, text in zip(names[1:], row.texts[1:], strict=True):
                self.summary.append(SummaryCell(title, label, name, plain(text), row.line))

    def _paragraph(self, block: Paragraph) -> None:
        title = title_of(block.headings)
        if self._topic(block.headings) == "finetune" and _CANNOT.search(title):
            for name in re.split(r"[,;\n]", plain(block.text)):
                if name.strip(" ."):
                    self.finetune.append(RouteRow("cannot", title, name.strip(" ."), {}, block.line))
        benchmark = self._benchmark(block.headings) if block.quoted else None
        if benchmark and benchmark.description is None:
            self._put(block.headings, replace(benchmark, description=plain(block.text)))

    def _list(self, block: ItemList) -> None:
        boxes = [item for item in block.items if _BOX.match(item.text)]
        topic = self._topic(block.headings)
        intro = plain(block.intro or "").rstrip(": ")
        if boxes:
            self._checklist(block)
        elif topic == "papers" or (PAPERS.search(intro) and len(intro) < 40):
            self._papers(block, intro if topic != "papers" else title_of(block.headings))
        elif topic == "benchmark" and all(item.number is not None for item in block.items):
            self._tasks(block)
        elif topic == "finetune" and _CANNOT.search(title_of(block.headings)):
            for item in block.items:
                self.finetune.append(RouteRow("cannot", title_of(block.headings), plain(item.text), {}, item.line))

    def _checklist(self, block: ItemList) -> None:
        heading = block.headings[-1] if block.headings else Heading(0, "Items", -1)
        if heading.line not in self.phase_at:
            self.phase_at[heading.line] = len(self.phases)
            path = [above.title for above in block.headings[:-1]]
            title = self.phase_titles.distinct(heading.title, path)
            self.phases.append(PhaseRow(title, heading.line))
        phase = self.phase_at[heading.line]
        for item in block.items:
            box = _BOX.match(item.text)
            if box is None:
                continue
            text = plain(" ".join(item.text[box.end() :].split()))
            mark = None if item.column is None else item.column + 1
            # 0 stands for "no number yet": _numbered gives one.
            self.items.append(ItemRow(item.number or 0, phase, text, box[1] != " ", item.line, mark))

    def _numbered(self) -> list[ItemRow]:
        """The items, each with a number of its own; one that repeats or is missing goes on from the highest."""
        highest = max((item.number for item in self.items), default=0)
        taken: set[int] = set()
        result = []
        for item in self.items:
            number = item.number
            if number == 0 or number in taken:
                highest += 1
                said = f"item {number} stands twice" if number else "a check box without a number"
                self._warn(item.line, f"{said}: this one is called {highest} here")
                number = highest
            taken.add(number)
            result.append(replace(item, number=number))
        return result

    def _papers(self, block: ItemList, name: str) -> None:
        for item in block.items:
            text = " ".join(item.text.split())
            bold = re.match(r"\*\*(.+?)\*\*", text)
            title = (
                bold[1]
                if bold
                else re.split(r"\s+\(|\s+[-\u2013\u2014]\s+", text, maxsplit=1)[0].strip('"\u201c\u201d')
            )
            self.papers.append(PaperRow(name, item.number, plain(title), plain(text), item.line))

    def _tasks(self, block: ItemList) -> None:
        benchmark = self._benchmark(block.headings)
        if benchmark is None:
            return
        tasks = list(benchmark.tasks)
        for item in block.items:
            match = _TASK.fullmatch(plain(" ".join(item.text.split())))
            if match:
                number = item.number or 0
                tasks.append(TaskRow(number, match["name"], match["abbreviation"], match["rest"], item.line))
        self._put(block.headings, replace(benchmark, tasks=tuple(tasks)))


def _model_column(table: Table) -> int:
    return next(at for at, name in enumerate(column_names(table.header)) if role_of(name) == "model")


def _routes(table: Table, kind: str) -> list[RouteRow]:
    names = column_names(table.header)
    at = _model_column(table)
    rows = []
    for row in table.rows:
        columns = dict(zip(names, row.texts, strict=True))
        rows.append(RouteRow(kind, title_of(table.headings), plain(row.texts[at]), columns, row.line, table, row))
    return rows
