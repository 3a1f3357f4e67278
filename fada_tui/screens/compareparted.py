"""The samples where two runs part: a list to walk, and under it what was asked and what both said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from backends.data.topic import TOPICS
from db.home import Home
from db.runs.rows import Run
from db.runs.samples import Wanted
from fada_tui.screens.full import FullScreen, FullView
from fada_tui.screens.samples import SamplesScreen
from fada_tui.sources.comparison import Parting
from fada_tui.sources.parted import Parted, read_parted
from fada_tui.sources.trouble import explain
from fada_tui.widgets.line import Line, Row, Rows, left, plain, wrap
from fada_tui.widgets.lineview import LineView

SIDES = (None, "a", "b", "neither")
_TEXT_LINES = 4
_DETAIL = 9


class PartedView(FullView):
    """A row a sample, made when it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: Sequence[Parted] = ()
        self.names = ("a", "b")
        self.empty = "Reading …"

    def build(self, width: int, height: int) -> Sequence[Row]:
        return _PartedRows(self.samples, self.names, width) if self.samples else [Row(((self.empty, "dim"),))]


class _PartedRows(Rows):
    def __init__(self, samples: Sequence[Parted], names: tuple[str, str], width: int) -> None:
        super().__init__()
        self._samples, self._names, self._width = samples, names, width
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def key(self, index: int) -> str:
        return self._samples[index].id

    def find(self, key: str, near: int | None = None) -> int | None:
        if not self._places:
            self._places = {one.id: at for at, one in enumerate(self._samples)}
        return self._places.get(key)

    def row(self, index: int) -> Row:
        one = self._samples[index]
        return Row(sample_line(one, self._names, self._width), one.id)


class DetailView(LineView, can_focus=False):
    """All of the sample under the cursor."""

    DEFAULT_CSS = f"DetailView {{ height: {_DETAIL}; max-height: 50%; }}"

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._make: list[Row] = []

    def build(self, width: int, height: int) -> Sequence[Row]:
        return self._make

    def show(self, rows: list[Row]) -> None:
        self._make = rows
        self.rebuild()


class PartedScreen(FullScreen):
    """Widest apart first. `f` filters by who is right, `i` opens the picture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "side", "who is right"),
        Binding("i,enter", "picture", "picture"),
        Binding("y", "copy", "copy"),
    ]

    @dataclass
    class Loaded(Message):
        samples: tuple[Parted, ...]

    @dataclass
    class Failed(Message):
        text: str

    def __init__(self, home: Home, parting: Parting, runs: Sequence[Run], metric: str) -> None:
        self.names = (f"#{parting.a}", f"#{parting.b}")
        super().__init__(
            f"Where {self.names[0]} and {self.names[1]} part",
            f"j k walk · f only {self.names[0]} right, … · i picture · y copy · esc back",
        )
        self._home = home
        self._parting = parting
        self._runs = {run.id: run for run in runs}
        self._metric = metric
        self._side: str | None = None
        self._samples: tuple[Parted, ...] = ()
        self.detail = DetailView()

    def make_view(self) -> FullView:
        return PartedView()

    @property
    def list_view(self) -> PartedView:
        assert isinstance(self.view, PartedView)
        return self.view

    def compose(self) -> ComposeResult:
        yield self.view
        yield self.detail
        yield self.keys

    def on_mount(self) -> None:
        self.list_view.names = self.names
        self._read()

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        try:
            self.post_message(self.Loaded(read_parted(self._parting.path)))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown
            self.post_message(self.Failed(explain(error)[0]))

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        self._samples = event.samples
        self._show()

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self.list_view.empty = f"It cannot be read: {event.text}; r in the comparison makes it again"
        self.list_view.rebuild()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_detail)

    def _show(self) -> None:
        shown = [one for one in self._samples if self._side in (None, one.side)]
        self.list_view.samples = shown
        self.list_view.empty = "None of these."
        self.list_view.rebuild()
        there = {None: self._parting.total, "a": self._parting.a_right, "b": self._parting.b_right}
        total = there.get(self._side, self._parting.neither)
        more = f" of {total:,}, the widest apart" if len(shown) < total else ""
        self.view.set_title(self._title_text, f"{side_words(self._side, self.names)}: {len(shown):,}{more}")
        self._show_detail()

    @property
    def sample(self) -> Parted | None:
        at = self.view.cursor
        shown = self.list_view.samples
        return shown[at] if at is not None and at < len(shown) else None

    @on(LineView.Chosen)
    def _chosen(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        one, width = self.sample, self.detail.scrollable_content_region.width
        if width > 0:
            self.detail.show([] if one is None else detail_rows(one, self.names, self._metric, width))
            self.detail.set_title("" if one is None else one.id)

    def action_side(self) -> None:
        self._side = SIDES[(SIDES.index(self._side) + 1) % len(SIDES)]
        self._show()

    @on(LineView.Opened)
    def _opened(self) -> None:
        self.action_picture()

    def action_picture(self) -> None:
        """In the samples of the run that is wrong there, or of the first that is left."""
        one = self.sample
        wanted = [self._parting.b, self._parting.a] if one and one.side == "a" else [self._parting.a, self._parting.b]
        left_over = [self._runs[number] for number in wanted if number in self._runs]
        if one is not None and left_over:
            other = next((run.id for run in left_over[1:]), None)
            open_sample(self, self._home, left_over[0], one.id, other)
        elif one is not None:
            self.app.notify("both runs were deleted", title="Samples", markup=False, timeout=3)

    def action_copy(self) -> None:
        if self.sample is not None:
            self.app.copy_to_clipboard(plain(detail_rows(self.sample, self.names, self._metric, 200)))
            self.app.notify("the sample and both answers", title="Copied", markup=False, timeout=3)


def open_sample(screen: FullScreen, home: Home, run: Run, sample_id: str, other: int | None) -> None:
    """The picture and everything else of one sample of a run, beside what another run said."""
    samples = SamplesScreen(home, run)
    samples.wanted = Wanted(text=sample_id, other=other)
    screen.app.push_screen(samples)


def side_words(side: str | None, names: tuple[str, str]) -> str:
    words = {None: "all", "a": f"only {names[0]} right", "b": f"only {names[1]} right", "neither": "both wrong"}
    return words[side]


def sample_line(one: Parted, names: tuple[str, str], width: int) -> Line:
    """Who is right, the sample, its question, and both answers in what room is left."""
    mark = {"a": f"✓{names[0]}", "b": f"✓{names[1]}", "neither": "✗"}[one.side]
    sign = max(len(name) for name in names) + 2
    name = min(34, width // 3)
    topic = 5
    room = max(8, width - sign - name - topic - 3)
    half = room // 2
    token = "bad" if one.side == "neither" else "good"
    said = [left(_words(text), half) for text in (one.a, one.b)]
    return (
        (left(mark, sign), token),
        (left((one.id.rpartition("#")[0] or one.id).rpartition("/")[2], name - 1) + " ", ""),
        (left(one.question, topic - 1) + " ", "dim"),
        (said[0], ""),
        (" ≠ ", "dim"),
        (said[1], ""),
    )


def detail_rows(one: Parted, names: tuple[str, str], metric: str, width: int) -> list[Row]:
    question = TOPICS.get(one.question)
    asked = f"{one.question} {question}" if question else one.question
    head = f"{asked}{f' · {one.category}' if one.category else ''} · {side_words(one.side, names)}"
    rows = [Row(((line, "dim"),)) for line in wrap(head, width, 2)]
    values = one.values.get(metric)
    given = (("reference", one.reference, None), (names[0], one.a, 0), (names[1], one.b, 1))
    for name, text, at in given:
        right_one = at is not None and one.side == "ab"[at]
        sign = "  " if at is None else "✓ " if right_one else "✗ "
        figure = "" if at is None or values is None else f"  {metric} {values[at]:.3f}"
        label = f"{sign}{name:<10}"
        texts = wrap(_words(text) + figure, max(10, width - len(label)), _TEXT_LINES)
        token = "" if at is None else "good" if right_one else "bad"
        rows.append(Row(((label, token or "dim"), (texts[0], ""))))
        rows += [Row(((" " * len(label), ""), (line, ""))) for line in texts[1:]]
    return rows


def _words(text: str | None) -> str:
    return "(failed)" if text is None else text.strip() or "(empty)"
