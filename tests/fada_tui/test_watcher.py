"""The watcher thread: it sends what changed, and nothing while nothing does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from textual.message import Message

from db.connect import bump, connect, immediate
from db.home import Home
from db.tracker.edits import set_item
from fada_tui.messages import RunLoaded, RunsLoaded, SourceFailed, TrackerLoaded
from fada_tui.sources.watcher import Watcher


@pytest.fixture
def watched(panel_home: Home) -> Iterator[tuple[Home, Watcher, queue.Queue[Message]]]:
    seen: queue.Queue[Message] = queue.Queue()
    watcher = Watcher(panel_home, seen.put)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    yield panel_home, watcher, seen
    watcher.stop()
    thread.join(10)
    assert not thread.is_alive()


def first(seen: queue.Queue[Message]) -> list[Message]:
    return [seen.get(timeout=20) for _ in range(3)]


def add_run(home: Home, number: int) -> None:
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        conn.execute(
            "INSERT INTO runs(id, kind, model, state, attempt, created, position, spec) "
            "VALUES (?, 'eval', 'm', 'done', 1, 0, ?, '{}')",
            (number, number),
        )
        bump(conn, "runs")


def test_everything_comes_once_at_first(watched: tuple[Home, Watcher, queue.Queue[Message]]) -> None:
    kinds = [type(message) for message in first(watched[2])]
    assert kinds == [TrackerLoaded, RunsLoaded, RunLoaded]


def test_an_edit_sends_the_tracker_and_not_the_runs(watched: tuple[Home, Watcher, queue.Queue[Message]]) -> None:
    home, _, seen = watched
    first(seen)
    with closing(connect(home.fada_db)) as conn:
        set_item(conn, 2, True)
    message = seen.get(timeout=20)
    assert isinstance(message, TrackerLoaded)
    assert next(item for item in message.tracker.items if item.number == 2).done


def test_a_write_to_another_topic_sends_nothing(watched: tuple[Home, Watcher, queue.Queue[Message]]) -> None:
    home, watcher, seen = watched
    first(seen)
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        bump(conn, "samples")
    add_run(home, 1)
    watcher.nudge()
    # What comes next is of the run: the samples before it sent nothing.
    message = seen.get(timeout=20)
    assert isinstance(message, RunsLoaded)
    assert [run.id for run in message.runs.runs] == [1]


def test_the_newest_run_is_shown_until_one_is_chosen(watched: tuple[Home, Watcher, queue.Queue[Message]]) -> None:
    home, watcher, seen = watched
    first(seen)
    add_run(home, 1)
    add_run(home, 2)
    while not (isinstance(message := seen.get(timeout=20), RunLoaded) and message.view and message.view.run.id == 2):
        pass
    watcher.choose(1)
    while not (isinstance(message := seen.get(timeout=20), RunLoaded) and message.view and message.view.run.id == 1):
        pass


def test_a_database_that_goes_away_is_reported_and_found_again(
    watched: tuple[Home, Watcher, queue.Queue[Message]],
) -> None:
    home, _, seen = watched
    first(seen)
    aside = home.root / "aside.db"
    home.runs_db.rename(aside)
    message = seen.get(timeout=20)
    assert isinstance(message, SourceFailed)
    assert message.text is not None
    aside.rename(home.runs_db)
    while not (isinstance(message, SourceFailed) and message.text is None):
        message = seen.get(timeout=20)
