"""A cluster whose nodes do not see this HOME, reached through a login host: a real Slurm behind a real sshd, another
HOME there, and what is broken on the way.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backends.jobs import queue
from backends.jobs.asked import EvalAsked
from backends.jobs.engines.base import EngineError, Order
from backends.jobs.engines.config import EngineSettings, named_engine
from backends.jobs.engines.remote import Remote
from backends.jobs.launch import enqueue_command, plan_eval
from backends.jobs.store import read_attempt
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.queries import curve, scores
from db.runs.rows import Run
from tests.servers.slurm import SlurmCluster
from tests.servers.sshd import LoginHost

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

Until = Callable[..., Run]
ENGINE = (
    '[engines.far]\nconf = "{conf}"\nlogin = "{login}"\nssh = ["-F", "{config}"]\nremote_home = "{there}"\n'
    "poll_s = 0.3\nsettle_s = 5\n"
)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The other HOME. Nothing of this one is named in what runs there."""
    return tmp_path / "far away/home"


@pytest.fixture
def far(slurm_cluster: SlurmCluster, login_host: LoginHost, home: Home, there: Path) -> Iterator[LoginHost]:
    home.config.write_text(
        ENGINE.format(conf=slurm_cluster.conf, login=login_host.name, config=login_host.config, there=there)
    )
    yield login_host
    slurm_cluster.clear()


def queue_it(home: Home, code: str) -> int:
    return enqueue_command(home, [sys.executable, "-c", code], engine="far")


STEPS = (
    "import json, os, time\n"
    "def tell(step):\n"
    "    with open(os.environ['FADA_EVENTS'], 'a') as file:\n"
    "        event = {{'t': time.time(), 'kind': 'metric', 'name': 'loss', 'value': 1 / (step + 1), 'step': step}}\n"
    "        file.write(json.dumps(event) + '\\n')\n"
    "for step in range(5): tell(step)\n"
    "print('in', os.environ['FADA_HOME'], flush=True)\n"
    "while not os.path.exists({go_on!r}): time.sleep(0.1)\n"
    "for step in range(5, 9): tell(step)\n"
)


def steps(home: Home, run: int) -> list[int]:
    with closing(connect(home.runs_db)) as conn:
        return [point.step for point in curve(conn, run, "loss")]


def test_what_it_writes_there_is_here_while_it_runs_and_at_its_end(
    far: LoginHost, home: Home, until: Until, there: Path, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    run_id = queue_it(home, STEPS.format(go_on=str(go_on)))
    until(run_id, lambda run: run.state == "running" and steps(home, run.id) == [0, 1, 2, 3, 4])
    go_on.touch()
    run = until(run_id)
    assert (run.state, run.exit_code, run.reason) == ("done", 0, None)
    assert steps(home, run_id) == list(range(9))
    assert f"in {there}" in (home.run_dir(run_id) / "log.txt").read_text()
    names = ("events.jsonl", "log.txt", "attempts/1.json")
    assert all((home.run_dir(run_id) / n).read_bytes() == (there / f"runs/{run_id}" / n).read_bytes() for n in names)
    assert not (there / "runs.db").exists() and not list(home.run_dir(run_id).glob("**/.rsync-partial"))


def test_a_login_host_that_goes_away_loses_nothing(far: LoginHost, home: Home, until: Until, tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    run_id = queue_it(home, STEPS.format(go_on=str(go_on)) + "raise SystemExit(5)")
    until(run_id, lambda run: run.state == "running" and len(steps(home, run.id)) == 5)
    far.stop()
    told = until(run_id, lambda run: run.reason is not None)
    assert told.state == "running" and "far does not answer: " in (told.reason or "")
    later = queue_it(home, "pass")
    assert "does not answer" in (until(later, lambda run: bool(run.reason)).reason or "")
    go_on.touch()
    time.sleep(1)  # it ends there, and nobody hears of it
    assert until(run_id, lambda _: True).state == "running"
    far.start()
    run = until(run_id)
    assert (run.state, run.exit_code, run.reason) == ("failed", 5, "exit code 5")
    assert steps(home, run_id) == list(range(9))
    assert until(later).state == "done"


def test_connections_that_break_all_the_time_neither_lose_nor_double_a_line(
    far: LoginHost, home: Home, until: Until, there: Path, tmp_path: Path
) -> None:
    note = tmp_path / "starts"
    code = (
        f"import json, os, time\nopen({str(note)!r}, 'a').write('x')\n"
        "with open(os.environ['FADA_EVENTS'], 'a') as file:\n"
        "    for step in range(60):\n"
        "        event = {'t': time.time(), 'kind': 'metric', 'name': 'loss', 'value': 1.0, 'step': step}\n"
        "        file.write(json.dumps(event) + '\\n')\n"
        "        file.flush()\n"
        "        time.sleep(0.1)\n"
    )
    run_id = queue_it(home, code)
    cut = 0

    def breaking(run: Run) -> bool:
        nonlocal cut
        if run.state == "running" and cut < 12:
            cut += far.cut() > 0
        return run.is_over

    run = until(run_id, breaking)
    assert cut > 0
    assert (run.state, steps(home, run_id), note.read_text()) == ("done", list(range(60)), "x")
    mine, its = home.run_dir(run_id) / "events.jsonl", there / f"runs/{run_id}/events.jsonl"
    assert mine.read_bytes() == its.read_bytes()


def test_it_is_asked_to_end_there(far: LoginHost, home: Home, until: Until) -> None:
    run_id = queue_it(home, "import time; time.sleep(600)")
    until(run_id, lambda run: run.state == "running")
    queue.cancel(home, run_id, "enough")
    run = until(run_id)
    assert (run.state, run.reason) == ("cancelled", "enough")
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.cancelled == "enough"


def test_an_evaluation_there_has_its_answers_and_scores_here(
    far: LoginHost, home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    asked = {"data": phantom_set["test"], "limit": 4, "generation": {"max_new_tokens": 4}}
    (run,) = queue.wait(home, [submit(home, plan_eval(home, str(tiny_checkpoint), EvalAsked(engine="far", **asked)))])
    assert (run.state, run.reason) == ("done", None)
    with closing(connect(home.runs_db)) as conn:
        found = {score.metric: score.n for score in scores(conn, run.id, overall_only=True)}
        answers = conn.execute("SELECT count(*) FROM predictions WHERE run = ?", (run.id,)).fetchone()[0]
    assert found["cosine"] == found["exact"] == answers == 4


def test_only_what_is_new_of_a_long_file_is_fetched(login_host: LoginHost, home: Home, there: Path) -> None:
    """Seen by what rsync itself counts, through the words that are used."""
    settings = EngineSettings("far", login=login_host.name, ssh=("-F", str(login_host.config)), remote_home=str(there))
    remote = Remote(settings, home)
    home.run_dir(7).mkdir()
    (home.run_dir(7) / "control.json").write_text("{}")
    remote.send([Order(7, 1, {}, 0)])
    far_file, near_file = there / "runs/7/events.jsonl", home.run_dir(7) / "events.jsonl"
    far_file.write_bytes(b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(300_000)))
    remote.fetch({7: 1})
    assert near_file.read_bytes() == far_file.read_bytes()
    with far_file.open("ab") as file:
        file.write(b'{"n": -1}\n')
    fetched = remote.fetch({7: 1})
    assert near_file.read_bytes() == far_file.read_bytes()
    assert fetched < far_file.stat().st_size / 50
    (there / "runs/7/control.json").write_text('{"stop": true}')
    remote.fetch({7: 1})
    assert (home.run_dir(7) / "control.json").read_text() == "{}"  # it is told there, never here
    login_host.stop()
    with pytest.raises(EngineError, match="connection"):
        remote.fetch({7: 1})


def test_another_home_needs_a_login_host(home: Home) -> None:
    home.config.write_text('[engines.far]\nremote_home = "/scratch/me"\n')
    with pytest.raises(Exception, match="absolute path on the login host"):
        named_engine(home, "far")
