"""What every engine must do, asked of each of them alike: of this machine's and of a real Slurm's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.jobs import store
from backends.jobs.admission import Claim, impossible
from backends.jobs.engines.base import Engine, EngineError, Order, Word
from backends.jobs.engines.config import EngineSettings
from backends.jobs.engines.local import Local
from backends.jobs.engines.slurm import Slurm
from backends.jobs.spec import freeze
from db.home import Home
from tests.servers.slurm import SlurmCluster

MakeOrder = Callable[[str], Order]


@pytest.fixture(
    params=["local", pytest.param("slurm", marks=[pytest.mark.slow, pytest.mark.xdist_group("slurm")])],
)
def engine(request: pytest.FixtureRequest, home: Home) -> Iterator[Engine]:
    if request.param == "local":
        yield Local(home)
        return
    cluster: SlurmCluster = request.getfixturevalue("slurm_cluster")
    yield Slurm(EngineSettings("cluster", conf=str(cluster.conf), gres="shard:N", vram_gb=32), home)
    cluster.clear()


@pytest.fixture
def order(home: Home) -> MakeOrder:
    """The first attempt of a new run of Python code, which nobody else has been told of."""

    def make(code: str) -> Order:
        run = store.allocate(home)
        spec = freeze({"id": run, "kind": "run", "task": None, "title": "t", "command": [sys.executable, "-c", code]})
        store.create(home, run, spec)
        return Order(run, 1, spec, 0)

    return make


def taken(engine: Engine, *orders: Order) -> list[str]:
    jobs = [job for job in engine.submit(orders, f"fada-test-{orders[0].run}") if job is not None]
    assert len(jobs) == len(orders)
    return jobs


def heard(engine: Engine, job: str, wanted: Callable[[Word], bool]) -> Word:
    deadline = time.monotonic() + 90
    while True:
        word = engine.poll([job])[job]
        if word is not None and wanted(word):
            return word
        assert time.monotonic() < deadline, word
        time.sleep(0.1)


def over(word: Word) -> bool:
    return word.phase == "over"


def waiting_for(path: Path) -> str:
    return f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.05)\n"


def test_it_takes_an_attempt_and_says_how_it_ended(
    engine: Engine, order: MakeOrder, home: Home, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    wanted = order(waiting_for(go_on) + "raise SystemExit(5)")
    (job,) = taken(engine, wanted)
    heard(engine, job, lambda word: word.phase == "running")
    go_on.touch()
    word = heard(engine, job, over)
    assert (word.exit_code, word.signal) == (5, None)
    attempt = store.read_attempt(home.run_dir(wanted.run), 1)
    assert attempt is not None and attempt.exit_code == 5 and attempt.ended is not None


def test_several_go_together_and_each_has_a_word_of_its_own(engine: Engine, order: MakeOrder) -> None:
    jobs = taken(engine, *(order(f"raise SystemExit({code})") for code in (0, 3)))
    assert [heard(engine, job, over).exit_code for job in jobs] == [0, 3]
    assert len(set(jobs)) == 2


def test_what_it_ends_is_over_and_ending_it_again_is_no_trouble(engine: Engine, order: MakeOrder, home: Home) -> None:
    wanted = order("import time; time.sleep(600)")
    (job,) = taken(engine, wanted)
    heard(engine, job, lambda word: word.phase == "running")
    engine.cancel([job])
    heard(engine, job, over)
    engine.cancel([job])
    attempt = store.read_attempt(home.run_dir(wanted.run), 1)
    assert attempt is None or attempt.exit_code != 0


def test_an_attempt_that_it_is_given_twice_is_done_once(engine: Engine, order: MakeOrder, tmp_path: Path) -> None:
    note, go_on = tmp_path / "starts", tmp_path / "go"
    wanted = order(f"open({str(note)!r}, 'a').write('x')\n" + waiting_for(go_on))
    jobs = [job for _ in range(2) for job in engine.submit([wanted], f"fada-test-{wanted.run}") if job is not None]
    assert jobs
    go_on.touch()
    for job in jobs:
        heard(engine, job, over)
    assert note.read_text() == "x"


def test_a_job_that_it_never_had_is_not_known(engine: Engine) -> None:
    assert engine.poll(["999999", "4.1"]) == {"999999": None, "4.1": None}
    engine.cancel(["999999"])


def test_it_says_what_fits(engine: Engine) -> None:
    capacity = engine.capacity()
    assert impossible(Claim(1, 1 << 20), capacity) is None
    hopeless = impossible(Claim(1, 1 << 50), capacity)
    assert hopeless is not None and capacity.whose in hopeless


def test_a_cluster_that_cannot_be_asked_says_so(order: MakeOrder, home: Home, tmp_path: Path) -> None:
    away: Engine = Slurm(EngineSettings("away", bin=str(tmp_path)), home)
    for ask in (lambda: away.submit([order("pass")], "x"), lambda: away.poll(["1"]), lambda: away.cancel(["1"])):
        with pytest.raises(EngineError, match="No such file"):
            ask()
