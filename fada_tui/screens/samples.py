"""The answers of a run, one by one: image, question, reference, answer, values; live while the run grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label

from db.home import Home
from db.runs.rows import Run
from db.runs.samples import Sample, Wanted
from fada_tui.config import read_config
from fada_tui.screens.samplesrows import sign_of, state_words
from fada_tui.screens.samplessearch import SampleSearch
from fada_tui.screens.samplesviews import SampleList, SampleText
from fada_tui.sources.pictures import Picture, PictureSource
from fada_tui.sources.samples import Changed, Flat, News, Rows, SampleReader
from fada_tui.text import printable
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.picture import PictureView
from fada_tui.widgets.status import what

KEYS = "w worst · x wrong · d unlike · t c group · / find · z zoom · ? keys · esc back"
ZOOMED = "[ ] or j k previous and next · y copy · z or esc back"
WIDE = 100
"""From so many columns on the list stands at the left, else above."""


class SamplesScreen(SampleSearch):
    """Reading is done in threads: a search for places, a reader of rows, a source of pictures.

    Args:
        home: Whose run it is.
        run: The run.
    """

    auto_links = False
    CSS = """
    SamplesScreen #samples-body { height: 1fr; layout: vertical; }
    SamplesScreen #samples-list { height: 7; width: 1fr; }
    SamplesScreen #samples-right { height: 1fr; width: 1fr; layout: horizontal; }
    SamplesScreen PictureView { width: 1fr; height: 1fr; border: round $border-blurred; }
    SamplesScreen PictureView { border-title-color: $foreground; border-subtitle-color: $foreground; }
    SamplesScreen #samples-text { width: 1fr; height: 1fr; }
    SamplesScreen.-wide #samples-body { layout: horizontal; }
    SamplesScreen.-wide #samples-list { width: 2fr; height: 1fr; }
    SamplesScreen.-wide #samples-right { width: 3fr; layout: vertical; }
    SamplesScreen.-wide PictureView { height: 3fr; }
    SamplesScreen.-wide #samples-text { height: 2fr; }
    SamplesScreen.-blind PictureView { display: none; }
    SamplesScreen.-zoom #samples-list, SamplesScreen.-zoom #samples-text { display: none; }
    SamplesScreen.-zoom PictureView { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("q", "close", "back"),
        Binding("z", "zoom", "the image on the whole screen"),
        Binding("v", "image", "image or none"),
        Binding("y", "copy", "copy"),
    ]

    @dataclass
    class Read(Message):
        news: News

    @dataclass
    class Drawn(Message):
        picture: Picture
        box: tuple[int, int]

    def __init__(self, home: Home, run: Run) -> None:
        super().__init__()
        self.home = home
        self.run = run
        self.wanted = Wanted()
        self.metrics: tuple[str, ...] = ()
        self.list = SampleList()
        self.text = SampleText()
        self.picture = PictureView(id="samples-picture")
        self.keys = Label(Content(KEYS), classes="keys")
        self.input = Input(id="filter", placeholder="find in question, answer, reference, id; enter finds, esc leaves")
        self._reader = SampleReader(home.runs_db, run.id, lambda news: self.post_message(self.Read(news)))
        self._pictures = PictureSource(
            Path(run.run_dir), lambda picture, box: self.post_message(self.Drawn(picture, box))
        )
        self._open: tuple[int, int | None] | None = None
        self._asked: tuple[str, int, int] | None = None

    def compose(self) -> ComposeResult:
        with Container(id="samples-body"):
            yield self.list
            with Container(id="samples-right"):
                yield self.picture
                yield self.text
        yield self.keys
        yield self.input

    def on_mount(self) -> None:
        self.input.display = False
        self.list.focus()
        self.set_class(read_config(self.home.config).images == "off", "-blind")
        self.say_state()
        self._read()
        self._draw_pictures()
        self.find()

    def on_unmount(self) -> None:
        self.stop_search()
        self._reader.stop()
        self._pictures.stop()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= WIDE, "-wide")
        self.call_after_refresh(self.show_chosen)
        self.call_after_refresh(self.say_state)

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        self._reader.run()

    @work(thread=True, exit_on_error=False)
    def _draw_pictures(self) -> None:
        self._pictures.run()

    # The list

    def want(self, wanted: Wanted) -> None:
        """Another list."""
        other = wanted.other != self.wanted.other
        self.stay_at = None if wanted.worst else self.list.place
        self.wanted = wanted
        self.list.other, self.list.metric = wanted.other is not None, wanted.metric if wanted.worst else None
        if other:
            self._reader.compare(wanted.other)
            self._open = None
            self.list.forget_all()
        self.list.empty = "Looking …"
        self.find()

    # What comes

    @on(Read)
    def _came_in(self, event: Read) -> None:
        news = event.news
        if isinstance(news, Rows):
            if news.other == self.wanted.other:
                self.list.take(news.rows, news.gone)
                self.show_chosen()
        elif isinstance(news, Sample):
            if news.place == self.list.place:
                self.text.names = self._names()
                self.text.show(news)
        elif isinstance(news, Changed):
            self.metrics = news.metrics
            self._open = None
            self.list.forget()
            self.grow()
            self.show_chosen()
        elif isinstance(news, Flat):
            self.text.warn(news.alarms)
        else:
            self.text.show(None)
            self.list.empty = news
            self.list.rebuild()
        self.say_state()

    @on(SampleList.Missing)
    def _missing(self, event: SampleList.Missing) -> None:
        self._reader.ask(event.places)

    def _names(self) -> tuple[str, str]:
        other = "" if self.wanted.other is None else f"#{self.wanted.other}"
        return f"#{self.run.id} {self.run.label}", f"{other} {self.other_label}".strip()

    @on(LineView.Chosen)
    def _chosen(self) -> None:
        self.show_chosen()
        self.say_state()

    def show_chosen(self) -> None:
        """Have the answer under the cursor read, and its image drawn as large as there is room."""
        place = self.list.place if self.list.places else None
        if place is None:
            self.text.show(None)
            self.picture.show(None)
            self.picture.set_title("")
            self._open = self._asked = None
            return
        if (place, self.wanted.other) != self._open:
            self._open = (place, self.wanted.other)
            self._reader.open(place)
        brief = self.list.brief(place)
        size = self.picture.content_size
        if brief is None or not self.picture.display or size.width <= 0 or size.height <= 0:
            return
        sign = sign_of(brief.verdict, brief.failed)[0]
        said = brief.said if brief.verdict == 1 or not brief.reference else f"{brief.said} ≠ {brief.reference}"
        self.picture.set_title(brief.image_path, f"{sign} {said}" if self.has_class("-zoom") else "")
        asked = (brief.image_path, size.width, size.height)
        if asked != self._asked:
            self._asked = asked
            self._pictures.ask(*asked)

    @on(Drawn)
    def _drawn(self, event: Drawn) -> None:
        if self._asked == (event.picture.name, *event.box):
            self.picture.show(event.picture)

    def say_state(self) -> None:
        at = f"{self.list.index:,} of " if self.list.index else ""
        self.list.set_title(
            f"Samples of #{self.run.id} {what(self.run)} {self.run.label}",
            at + state_words(self.wanted, self.metrics, len(self.list.places), self.searching),
        )

    # Keys

    def action_zoom(self) -> None:
        if not self.list.places and not self.has_class("-zoom"):
            return
        self.toggle_class("-zoom")
        self.keys.update(Content(ZOOMED if self.has_class("-zoom") else KEYS))
        self.set_focus(self.list)
        self.call_after_refresh(self.show_chosen)

    def action_image(self) -> None:
        self.toggle_class("-blind")
        self.call_after_refresh(self.show_chosen)

    def action_back(self) -> None:
        """Out of the search line, of the zoom, of a filter, of the comparison; then back."""
        if self.input.display:
            self.close_input()
        elif self.has_class("-zoom"):
            self.action_zoom()
        elif self.text.has_focus:
            self.set_focus(self.list)
        elif self.wanted != Wanted():
            self.want(Wanted() if self.wanted.is_plain else Wanted(other=self.wanted.other))
        else:
            self.dismiss()

    def action_close(self) -> None:
        self.dismiss()

    def action_copy(self) -> None:
        sample = self.text.sample
        if sample is None:
            return
        said = sample.error if sample.error is not None else sample.prediction
        parts = [sample.id, sample.question, said or "", sample.reference or ""]
        self.app.copy_to_clipboard("\n".join(parts))
        self.app.notify(printable(sample.id), title="Copied", markup=False, timeout=3)
