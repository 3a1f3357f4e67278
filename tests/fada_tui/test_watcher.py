"""The watcher thread: it sends what changed, and nothing while nothing does."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from textual.message import Message

from db.connect import bump, connect, immediate
from db.home import Home
from db.tracker.edits import set_item, set_status
from db.tracker.importer import import_note
from fada_tui.messages import NoteFileLoaded, ProposalsLoaded, RunLoaded, RunsLoaded, SourceFailed, TrackerLoaded
from fada_tui.sources.watcher import Watcher

Sent = TypeVar("Sent", bound=Message)


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


def of_kind(seen: queue.Queue[Message], kind: type[Sent]) -> Sent:
    """The next message of a kind."""
    while not isinstance(message := seen.get(timeout=20), kind):
        pass
    return message


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


def test_a_finished_run_sends_what_it_proposes(watched: tuple[Home, Watcher, queue.Queue[Message]]) -> None:
    home, _, seen = watched
    first(seen)
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        conn.execute(
            "INSERT INTO runs(id, kind, model, state, attempt, created, ended, position, spec) "
            "VALUES (7, 'finetune', 'Qwen3-VL-8B', 'done', 1, 0, ?, 7, '{}')",
            (time.time(),),
        )
        bump(conn, "runs")
    proposed = of_kind(seen, ProposalsLoaded).proposals
    assert [(one.run, one.status) for one in proposed.values()] == [(7, "Fine-tuned")]
    with closing(connect(home.fada_db)) as conn:
        set_status(conn, "Qwen3-VL-8B", "Fine-tuned", "user")
    assert of_kind(seen, ProposalsLoaded).proposals == {}


def test_a_note_that_changes_on_disk_is_noticed(
    watched: tuple[Home, Watcher, queue.Queue[Message]], tmp_path: Path
) -> None:
    home, _, seen = watched
    first(seen)
    file = tmp_path / "note.md"
    file.write_text("## S\n\n| Model | Status |\n|---|---|\n| A | TODO |\n")
    with closing(connect(home.fada_db)) as conn:
        import_note(conn, file.read_bytes(), str(file), "user", path=file)
    state = of_kind(seen, NoteFileLoaded).state
    assert state is not None and state.state == "same"
    file.write_text(file.read_text().replace("TODO", "Tested"))
    state = of_kind(seen, NoteFileLoaded).state
    assert state is not None and state.state == "file"


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


def test_the_queue_s_end_and_its_reservations_come_with_the_runs(
    watched: tuple[Home, Watcher, queue.Queue[Message]],
) -> None:
    home, watcher, seen = watched
    first(seen)
    spec = json.dumps({"kind": "run", "command": ["x"], "reserve": {"bytes": 5, "source": "seen in #1"}})
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        for number, state, ended in ((1, "done", 160.0), (2, "queued", None)):
            conn.execute(
                "INSERT INTO runs(id, kind, model, state, attempt, created, started, ended, position, spec) "
                "VALUES (?, 'run', 'x', ?, 1, 0, 100, ?, ?, ?)",
                (number, state, ended, number, spec),
            )
        bump(conn, "runs")
    watcher.nudge()
    outlook = of_kind(seen, RunsLoaded).runs.outlook
    assert outlook.done.startswith("done by ")
    assert outlook.reserved_because == {2: "seen in #1"}
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        conn.execute("UPDATE runs SET archived = 1 WHERE id = 1")
        conn.execute("UPDATE runs SET spec = json_set(spec, '$.command', json('[1]')) WHERE id = 2")
        bump(conn, "runs")
    found = of_kind(seen, RunsLoaded).runs
    while [run.id for run in found.runs] != [2] or found.outlook.done != "how long #2 will take is not known":
        found = of_kind(seen, RunsLoaded).runs
