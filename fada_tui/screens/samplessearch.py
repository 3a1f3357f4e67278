"""Which answers the Samples screen lists: they are searched for in a thread, and again as the run grows."""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass

from textual import on, work
from textual.message import Message

from db.runs.samples import Wanted
from fada_tui.screens.samplesfilters import SampleFilters
from fada_tui.sources.samples import Piece, search


class SampleSearch(SampleFilters):
    """What was found goes into :attr:`list`; the screen shows the one that is chosen."""

    @dataclass
    class Found(Message):
        piece: Piece

    def __init__(self) -> None:
        super().__init__()
        self.searching = False
        self.stay_at: int | None = None
        """The answer that was in sight before: of another list, too, it is the one to look at."""
        self._stop_search = threading.Event()
        self._number = 0
        self._again = False
        self._gathered: array[int] | None = None
        """Of a list that takes the place of the one in sight when it is whole; None where what comes is added."""

    def show_chosen(self) -> None:
        raise NotImplementedError

    def say_state(self) -> None:
        """What is listed and how many, in the border."""
        raise NotImplementedError

    def stop_search(self) -> None:
        self._stop_search.set()

    @work(thread=True, exit_on_error=False)
    def _search(self, number: int, stopped: threading.Event, wanted: Wanted, after: int) -> None:
        def post(piece: Piece) -> None:
            self.post_message(self.Found(piece))

        search(self.home.runs_db, self.run.id, wanted, number, after, stopped, post)

    def find(self, *, quietly: bool = False, after: int = -1) -> None:
        """Look for all that is wanted.

        Args:
            quietly: Leave the list in sight until the new one is whole.
            after: Only what was appended since this place, which is added.
        """
        self.stop_search()
        self._stop_search = threading.Event()
        self._number += 1
        self.searching, self._again = True, False
        self._gathered = array("q") if quietly else None
        if not quietly and after < 0:
            self.list.set_places(array("q"))
            self.list.cursor = None
        self._search(self._number, self._stop_search, self.wanted, after)
        self.say_state()

    @on(Found)
    def _found(self, event: Found) -> None:
        piece = event.piece
        if piece.number != self._number:
            return
        if self._gathered is not None:
            self._gathered.extend(piece.places)
        elif piece.places:
            self.list.add_places(piece.places)
        if piece.over:
            self._search_over(piece)
        self.say_state()
        self.show_chosen()

    def _search_over(self, piece: Piece) -> None:
        self.searching = False
        if piece.trouble:
            self.list.empty = piece.trouble
        elif self.wanted.is_plain:
            self.list.empty = "It gave no answers." if self.run.is_over else "No answers yet."
        else:
            self.list.empty = "No such answer; esc shows all."
        if self._gathered is not None and self._gathered != self.list.places:
            self.list.set_places(self._gathered)
        self._gathered = None
        if not self.list.places:
            self.list.rebuild()
        elif self.stay_at is not None and self.list.index <= 1:
            self.list.choose(str(self.stay_at))
        self.stay_at = None
        if self._again:
            self.grow()

    def grow(self) -> None:
        """The run has more answers, or others: what was appended is added where that is all that can be."""
        if self.searching:
            self._again = True
        elif self.wanted.worst or not self.wanted.is_plain:
            self.find(quietly=True)
        else:
            self.find(after=self.list.places[-1] if self.list.places else -1)
