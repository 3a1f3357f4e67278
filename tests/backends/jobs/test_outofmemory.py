"""Memory that runs out: one more attempt with more reserved and less asked at once, and no third."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backends.jobs import queue
from backends.jobs.admission import GIB
from backends.jobs.outofmemory import once_more, ran_out
from backends.jobs.reindex import reindex
from backends.jobs.store import Attempt, Control, read_attempt, read_control
from backends.worker import for_attempt
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, messages
from db.runs.rows import Run

Until = Callable[..., Run]

SPEC = {
    "kind": "eval",
    "generation": {"batch_size": 8},
    "reserve": {"bytes": 4 * GIB, "most": 20 * GIB},
}
FAILED = {"kind": "failed", "error": "out_of_memory"}


def test_a_quarter_more_and_half_the_batch() -> None:
    changes = once_more(SPEC, Control(1.0), Attempt(1, peak_bytes=6 * GIB))
    assert changes is not None
    assert changes["attempt"] == 2 and changes["out_of_memory"] == 1
    assert changes["reserve"] == int(7.5 * GIB) and changes["batch"] == 4


def test_never_more_than_the_machine_has_nor_less_than_before() -> None:
    changes = once_more(SPEC, Control(1.0), Attempt(1, peak_bytes=19 * GIB))
    assert changes is not None and changes["reserve"] == 20 * GIB
    small = {**SPEC, "reserve": {"bytes": 4 * GIB, "most": 3 * GIB}}
    changes = once_more(small, Control(1.0), Attempt(1))
    assert changes is not None and changes["reserve"] == 4 * GIB


@pytest.mark.parametrize(
    "control",
    [Control(1.0, out_of_memory=1), Control(1.0, cancel="no"), Control(1.0, stop=True), Control(1.0, attempt=2)],
)
def test_once_only_and_not_where_nobody_wants_it(control: Control) -> None:
    assert once_more(SPEC, control, Attempt(1)) is None


@pytest.mark.parametrize(("batch", "halved"), [(8, 4), (6, 3), (5, 1), (9, 3), (2, 1)])
def test_a_training_changes_its_weights_after_as_many_samples_as_before(batch: int, halved: int) -> None:
    spec = {"kind": "finetune", "training": {"batch_size": batch, "accumulation": 3}, "reserve": SPEC["reserve"]}
    changes = once_more(spec, Control(1.0), Attempt(1))
    assert changes is not None and changes["batch"] == halved
    training = for_attempt(spec, Control(1.0, batch=changes["batch"]))["training"]
    assert training["batch_size"] * training["accumulation"] == batch * 3
    assert spec["training"] == {"batch_size": batch, "accumulation": 3}


def test_a_training_of_single_samples_has_nothing_to_halve() -> None:
    spec = {**SPEC, "kind": "finetune", "training": {"batch_size": 1, "accumulation": 8}}
    changes = once_more(spec, Control(1.0), Attempt(1))
    assert changes is not None and "batch" not in changes and changes["reserve"] > SPEC["reserve"]["bytes"]  # type: ignore[index]


def test_of_other_peoples_commands_nothing_is_guessed() -> None:
    assert ran_out(SPEC, FAILED)
    assert not ran_out({**SPEC, "kind": "run"}, FAILED)
    assert not ran_out(SPEC, {**FAILED, "error": "JobError"})
    assert not ran_out(SPEC, {"kind": "finished"})


def whole_row(home: Home) -> list[tuple[object, ...]]:
    with closing(connect(home.runs_db)) as conn:
        return [tuple(row) for row in conn.execute("SELECT * FROM runs")]


def test_a_worker_that_runs_out_is_tried_once_more(home: Home, queue_eval: Callable[..., int], until: Until) -> None:
    run = until(queue_eval("if job.attempt == 1: raise MemoryError('the host is full')"))
    assert (run.state, run.attempt, run.exit_code) == ("done", 2, 0)
    control, first = read_control(home.run_dir(run.id)), read_attempt(home.run_dir(run.id), 1)
    assert first is not None and first.exit_code == 1 and first.peak_bytes
    assert (control.batch, control.out_of_memory) == (4, 1)
    assert control.reserve == run.reserved_bytes == int(first.peak_bytes * 1.25)
    with closing(connect(home.runs_db)) as conn:
        said = [message.text for message in messages(conn, run.id) if "tried once more" in message.text]
        batch = json.loads(conn.execute("SELECT summary FROM runs").fetchone()[0])["batch"]
    assert len(said) == 1 and "attempt 2" in said[0] and "batch of 4" in said[0]
    assert batch == 4
    spec = json.loads((home.run_dir(run.id) / "spec.json").read_text())
    assert spec["generation"]["batch_size"] == 8  # frozen
    before = whole_row(home)
    reindex(home)
    assert whole_row(home) == before


def test_the_second_time_is_final_and_a_person_may_resume(
    home: Home, queue_eval: Callable[..., int], until: Until
) -> None:
    run = until(queue_eval("if job.attempt < 3: raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')"))
    assert (run.state, run.attempt) == ("failed", 2)
    assert run.reason is not None and "out of memory" in run.reason
    queue.resume(home, run.id)
    run = until(run.id)
    assert (run.state, run.attempt) == ("done", 3)


def test_other_failures_are_not_tried_again(queue_eval: Callable[..., int], until: Until) -> None:
    run = until(queue_eval("raise RuntimeError('shape mismatch')"))
    assert (run.state, run.attempt) == ("failed", 1)


def test_a_command_that_speaks_of_memory_is_not_tried_again(
    home: Home, queue_python: Callable[..., int], until: Until
) -> None:
    code = (
        "import json, os\nline = json.dumps({'t': 1, 'kind': 'failed', 'error': 'out_of_memory', 'message': 'x'})\n"
        "open(os.environ['FADA_EVENTS'], 'a').write(line + '\\n')\nraise SystemExit(1)"
    )
    run = until(queue_python(code))
    assert (run.state, run.attempt) == ("failed", 1)
    with closing(connect(home.runs_db)) as conn:
        assert get_run(conn, run.id) == run


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group with 96 MiB, for a process that writes its number into the file ``cgroup.procs``."""
    for folder, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(folder, f"fada-test-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            if (group / limit).exists():
                (group / limit).write_text(str(96 << 20))
                yield group
                with suppress(OSError):
                    group.rmdir()
                return
            group.rmdir()
    pytest.skip("no memory control group can be made here: the kernel's own killing was not tried")


def test_a_worker_that_the_kernel_kills_for_memory_is_tried_once_more(
    home: Home, queue_eval: Callable[..., int], until: Until, small_memory: Path, tmp_path: Path
) -> None:
    hungry = tmp_path / "hungry.py"
    hungry.write_text(
        f"import os\nopen({str(small_memory / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "held = [bytearray(b'x' * (16 << 20)) for _ in range(64)]\n"
    )
    run = until(queue_eval(f"if job.attempt == 1: exec(open({str(hungry)!r}).read())"))
    first = read_attempt(home.run_dir(run.id), 1)
    assert first is not None and first.signal == signal.SIGKILL
    assert (run.state, run.attempt) == ("done", 2)
    with closing(connect(home.runs_db)) as conn:
        said = [one.text for one in messages(conn, run.id) if one.level in ("error", "warning")]
    assert "memory ran out" in said[0] and "tried once more" in said[1]


def test_a_worker_that_a_person_kills_is_not_tried_again(queue_eval: Callable[..., int], until: Until) -> None:
    run = until(queue_eval("import os; os.kill(os.getpid(), 9)"))
    assert (run.state, run.attempt, run.signal) == ("failed", 1, 9)
