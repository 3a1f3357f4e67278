"""The same jobs on a real Slurm: what is killed, what goes on, and that nothing runs twice or is called what it is not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from backends.jobs import queue
from backends.jobs.asked import EvalAsked, FinetuneAsked
from backends.jobs.engines.config import grouped, named_engine
from backends.jobs.engines.slurm import Slurm
from backends.jobs.engines.submission import Submission, read_submission, write_submission
from backends.jobs.errors import QueueError
from backends.jobs.launch import enqueue_command, plan_eval
from backends.jobs.launch_finetune import plan_finetune
from backends.jobs.reindex import reindex
from backends.jobs.store import read_attempt
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.queries import curve, get_run, list_runs, scores
from db.runs.rows import Run
from fada_tui.cli import run as fada
from tests.servers.slurm import SlurmCluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

Until = Callable[..., Run]
Queue = Callable[..., int]
ENGINE = '[engines.cluster]\nconf = "{conf}"\ngres = "shard:N"\nvram_gb = 32\npoll_s = 0.3\nsettle_s = 3\n'


@pytest.fixture
def cluster(slurm_cluster: SlurmCluster, home: Home) -> Iterator[SlurmCluster]:
    """The cluster as an engine of this HOME; nothing is left in its queue after the test."""
    home.config.write_text(ENGINE.format(conf=slurm_cluster.conf))
    yield slurm_cluster
    slurm_cluster.clear()


@pytest.fixture
def on_cluster(cluster: SlurmCluster, home: Home) -> Queue:
    """Queue a `run` job of Python code on the cluster."""

    def queue_it(code: str, **options: Any) -> int:
        return enqueue_command(home, [sys.executable, "-c", code], engine="cluster", **options)

    return queue_it


def running(run: Run) -> bool:
    return run.state == "running"


def job_of(home: Home, run: int) -> str:
    submission = read_submission(home.run_dir(run))
    assert submission is not None and submission.job is not None
    return submission.job


def waits_there(run: Run) -> bool:
    """Once Slurm has looked at it, and said why."""
    return run.state == "queued" and (run.reason or "").startswith("cluster: ") and "y, job" in (run.reason or "")


def dispatchers(home: Home) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "backends.jobs.dispatcher" in (words := process.info["cmdline"] or []) and str(home.root) in words
    ]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started_again(cluster: SlurmCluster, job: str) -> Callable[[Run], bool]:
    """Slurm waits two minutes before it starts one again: it is told not to, once the old one is out of its way.

    A node refuses a job that starts in the second in which it was ended there.
    """
    told_from = time.time() + 2

    def over(run: Run) -> bool:
        if time.time() >= told_from and run.state in (
            "queued",
            "starting",
        ):  # that too is said of one that is still being cleared away
            cluster.ask("scontrol", "update", f"JobId={job}", "StartTime=now")
        return run.is_over

    return over


def test_a_command_runs_there_with_the_same_record_as_here(on_cluster: Queue, home: Home, until: Until) -> None:
    code = (
        "import json, os, time\n"
        "print('on', os.environ['SLURM_JOB_ID'], os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "with open(os.environ['FADA_EVENTS'], 'a') as file:\n"
        "    for step in range(3):\n"
        "        event = {'t': time.time(), 'kind': 'metric', 'name': 'loss', 'value': 1 / (step + 1), 'step': step}\n"
        "        file.write(json.dumps(event) + '\\n')\n"
    )
    run = until(on_cluster(code, vram_bytes=4 * 10**9))
    assert (run.state, run.exit_code, run.reason, run.engine) == ("done", 0, None, "cluster")
    attempt = read_attempt(home.run_dir(run.id), 1)
    assert attempt is not None and attempt.job == job_of(home, run.id)
    assert f"on {attempt.job} 0" in (home.run_dir(run.id) / "log.txt").read_text()
    with closing(connect(home.runs_db)) as conn:
        before = list_runs(conn)
        assert [point.step for point in curve(conn, run.id, "loss")] == [0, 1, 2]
    reindex(home)
    with closing(connect(home.runs_db)) as conn:
        assert list_runs(conn) == before


def test_exit_codes_and_signals_are_kept(on_cluster: Queue, until: Until) -> None:
    failed, killed = on_cluster("raise SystemExit(7)"), on_cluster("import os; os.kill(os.getpid(), 9)")
    run = until(failed)
    assert (run.state, run.exit_code, run.reason) == ("failed", 7, "exit code 7")
    run = until(killed)
    assert (run.state, run.exit_code, run.signal) == ("failed", None, 9)


def test_an_evaluation_there_scores_as_here(
    cluster: SlurmCluster, home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    asked = {"data": phantom_set["test"], "limit": 4, "generation": {"max_new_tokens": 4}}
    here = submit(home, plan_eval(home, str(tiny_checkpoint), EvalAsked(**asked)))
    there = submit(home, plan_eval(home, str(tiny_checkpoint), EvalAsked(engine="cluster", **asked)))
    found = queue.wait(home, [here, there])
    assert [run.state for run in found] == ["done", "done"]
    assert found[0].fingerprint == found[1].fingerprint
    with closing(connect(home.runs_db)) as conn:
        first, second = (
            [replace(score, run=None, extra={}) for score in scores(conn, run.id, overall_only=True)] for run in found
        )
    assert first and [(s.metric, s.value, s.n) for s in first] == [(s.metric, s.value, s.n) for s in second]


def test_what_waits_there_is_queued_and_can_be_taken_out(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until
) -> None:
    first = on_cluster("import time; time.sleep(300)", vram_bytes=20 * 10**9)
    until(first, running)
    second = on_cluster("pass", vram_bytes=20 * 10**9)
    until(second, lambda run: "Resources" in (run.reason or ""))
    queue.cancel(home, second, "not now")
    run = until(second)
    assert (run.state, run.reason) == ("cancelled", "not now")
    queue.cancel(home, first, "enough")
    run = until(first)
    assert (run.state, run.reason) == ("cancelled", "enough")
    wait_until(lambda: cluster.queue() == [])


def test_what_is_held_does_not_start_there(on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until) -> None:
    first = on_cluster("import time; time.sleep(300)", vram_bytes=20 * 10**9)
    until(first, running)
    second = on_cluster("pass", vram_bytes=20 * 10**9)
    until(second, lambda run: "Resources" in (run.reason or ""))
    queue.hold(home, second)
    until(second, lambda run: run.state == "held")
    assert "JobHeldUser" in cluster.ask("scontrol", "show", "job", job_of(home, second))
    queue.cancel(home, first)
    until(first)
    queue.release(home, second)
    assert until(second).state == "done"


def test_one_that_is_cancelled_in_slurm_is_cancelled_here(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until
) -> None:
    run_id = on_cluster("import time; time.sleep(300)")
    until(run_id, running)
    cluster.ask("scancel", job_of(home, run_id))
    run = until(run_id)
    assert run.state == "cancelled" and "cluster's job" in (run.reason or "")


def test_a_killed_dispatcher_and_many_ticks_neither_lose_nor_double_it(
    on_cluster: Queue, home: Home, until: Until, tmp_path: Path
) -> None:
    note, go_on = tmp_path / "starts", tmp_path / "go"
    code = (
        f"import os, time\nopen({str(note)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.1)"
    )
    run_id = on_cluster(code)
    until(run_id, running)
    for _ in range(3):
        for process in dispatchers(home):
            process.kill()
        assert until(run_id, running).attempt == 1
    go_on.touch()
    assert until(run_id).state == "done"
    assert note.read_text() == "x"


def test_a_controller_that_is_away_loses_nothing(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    run_id = on_cluster(
        f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.1)\nraise SystemExit(5)"
    )
    until(run_id, running)
    cluster.save()
    cluster.kill("slurmctld")
    try:
        later = on_cluster("pass")
        told = until(later, lambda run: "did not" in (run.reason or "") or "does not answer" in (run.reason or ""))
        assert told.state == "queued"
        assert until(run_id, lambda _: True).state == "running"
    finally:
        cluster.start_controller()
    go_on.touch()
    run = until(run_id)
    assert (run.state, run.exit_code) == ("failed", 5)
    queue.cancel(home, later)
    until(later)


def test_a_node_that_was_drained_comes_back_for_the_next_test(
    on_cluster: Queue, cluster: SlurmCluster, until: Until
) -> None:
    for state in ("DRAIN", "DOWN"):
        cluster.ask("scontrol", "update", f"NodeName={cluster.node}", f"State={state}", "Reason=tried")
        waits = on_cluster("pass")
        until(waits, lambda run: run.state == "queued" and ", job" in (run.reason or ""))
        cluster.heal()
        assert until(waits).state == "done"


def test_a_killed_runner_is_lost_and_not_done(on_cluster: Queue, home: Home, until: Until) -> None:
    run_id = on_cluster("import time; time.sleep(300)")
    until(run_id, running)
    attempt = read_attempt(home.run_dir(run_id), 1)
    assert attempt is not None and attempt.runner is not None and attempt.worker is not None
    os.kill(attempt.runner.pid, signal.SIGKILL)
    run = until(run_id)
    assert run.state == "lost" and "no exit record" in (run.reason or "")
    if psutil.pid_exists(attempt.worker.pid):
        os.kill(attempt.worker.pid, signal.SIGKILL)


def test_a_node_that_fails_is_another_attempt(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    note, go_on = tmp_path / "starts", tmp_path / "go"
    code = (
        f"import os, time\nopen({str(note)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.1)"
    )
    run_id = on_cluster(code)
    until(run_id, running)
    wait_until(note.exists)
    cluster.kill("slurmd")
    cluster.kill_steps()
    # At once, as the controller would say it by itself after SlurmdTimeout.
    cluster.ask("scontrol", "update", f"NodeName={cluster.node}", "State=DOWN", "Reason=power cut")
    cluster.start_node()
    cluster.heal()
    until(run_id, lambda run: run.attempt == 2)
    go_on.touch()
    run = until(run_id, started_again(cluster, job_of(home, run_id)))
    assert (run.state, run.attempt) == ("done", 2)
    assert note.read_text() == "xx"
    first = read_attempt(home.run_dir(run_id), 1)
    assert first is not None and first.ended is not None and "node failed" in (first.reason or "")


def test_one_that_is_queued_again_goes_on_from_its_answers(
    cluster: SlurmCluster, home: Home, until: Until, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    """By hand (``scontrol requeue``) it is the same to us as after a node failure."""
    asked = {"data": phantom_set["test"], "limit": 12, "generation": {"max_new_tokens": 48, "batch_size": 1}}
    run_id = submit(home, plan_eval(home, str(tiny_checkpoint), EvalAsked(engine="cluster", **asked)))
    answers = home.run_dir(run_id) / "predictions.jsonl"

    def answered() -> list[str]:
        return answers.read_text().splitlines(keepends=True) if answers.exists() else []

    until(run_id, lambda run: len(answered()) >= 2)
    cluster.ask("scontrol", "requeue", job_of(home, run_id))
    again = until(run_id, lambda run: run.attempt == 2)
    before = answered()
    assert again.state in ("queued", "starting") and 2 <= len(before) < 12
    run = until(run_id, started_again(cluster, job_of(home, run_id)))
    assert (run.state, run.attempt) == ("done", 2)
    after = answered()
    assert after[: len(before)] == before, "what was answered is not asked again"
    assert len({json.loads(line)["id"] for line in after}) == len(after) == 12
    first, second = (read_attempt(home.run_dir(run_id), number) for number in (1, 2))
    assert first is not None and second is not None and first.ended is not None and second.exit_code == 0


def test_a_fine_tune_that_is_queued_again_goes_on_from_its_checkpoint(
    cluster: SlurmCluster, home: Home, until: Until, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    settings = {"max_steps": 12, "save_every": 2, "batch_size": 2}
    data = {"data": phantom_set["train"], "image_root": phantom_set["images"]}
    asked = FinetuneAsked(settings=settings, engine="cluster", precision="fp32", **data)
    run_id = submit(home, plan_finetune(home, str(tiny_checkpoint), asked))
    folder = home.run_dir(run_id)

    def steps() -> list[int]:
        lines = (folder / "events.jsonl").read_bytes().splitlines() if (folder / "events.jsonl").exists() else []
        return [event["step"] for event in map(json.loads, lines) if event.get("name") == "loss"]

    until(run_id, lambda run: len(steps()) >= 3)
    cluster.ask("scontrol", "requeue", job_of(home, run_id))
    until(run_id, lambda run: run.attempt == 2)
    before = steps()
    run = until(run_id, started_again(cluster, job_of(home, run_id)))
    assert (run.state, run.attempt) == ("done", 2)
    again = steps()[len(before) :]
    assert 3 <= again[0] <= len(before) + 1 and (again[0] - 1) % 2 == 0, "it goes on after a step that was saved"
    assert again == list(range(again[0], 13))


def test_dependants_wait_in_slurm_and_what_can_never_start_is_cancelled(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.1)\n"
    good, bad = on_cluster(wait), on_cluster(wait + "raise SystemExit(3)")
    after_good, after_bad = on_cluster("pass", after=[good]), on_cluster("pass", after=[bad])
    whatever = on_cluster("pass", after=[bad], after_any=True)
    for run in (after_good, after_bad, whatever):
        assert "Dependency" in (until(run, waits_there).reason or "")
    go_on.touch()
    assert until(after_good).state == "done"
    run = until(after_bad)
    assert (run.state, run.reason) == ("cancelled", f"#{bad} failed")
    assert until(whatever).state == "done"
    wait_until(lambda: cluster.queue() == [])


@pytest.mark.parametrize("kill", ["no", "yes"])
def test_what_can_never_start_says_so_and_is_taken_out(
    cluster: SlurmCluster, home: Home, until: Until, kill: str
) -> None:
    """Slurm keeps such a job for ever, or cancels it by itself where a cluster or a job is told so."""
    text = ENGINE.format(conf=cluster.conf) + f'options = ["--kill-on-invalid-dep={kill}"]\n'
    home.config.write_text(text)
    bad = enqueue_command(home, ["sh", "-c", "sleep 1; exit 3"], engine="cluster")
    after_bad = enqueue_command(home, ["true"], engine="cluster", after=[bad])
    # And one that waits for what is not ours: the job alone, whose end no run of ours tells.
    other = cluster.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 1; exit 3").strip()
    home.config.write_text(
        text.replace('"]', f'", "--dependency=afterok:{other}"]').replace("poll_s = 0.3", "poll_s = 2")
    )
    after_other = enqueue_command(home, ["true"], engine="cluster")
    run = until(after_bad)
    assert (run.state, run.reason) == ("cancelled", f"#{bad} failed")
    run = until(after_other)
    assert (run.state, run.attempt) == ("cancelled", 1)
    assert run.reason == "can never start: cluster says that what it waits for did not succeed"
    wait_until(lambda: cluster.queue() == [])


def test_what_slurm_says_can_never_start_is_handed_on_anew_where_its_parent_goes_on(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    """As where a parent is tried once more, as another job: here its job is told to wait for one that has failed."""
    go_on = tmp_path / "go"
    parent = on_cluster(f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.1)")
    child = on_cluster("pass", after=[parent])
    until(child, waits_there)
    first = job_of(home, child)
    failed = cluster.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap", "exit 3").strip()
    assert cluster.ask("scontrol", "update", f"JobId={first}", f"Dependency=afterok:{failed}") == ""
    said = f"cluster: can never start (DependencyNeverSatisfied), job {first}"
    until(child, lambda run: run.state == "queued" and run.reason == said)
    until(child, lambda run: waits_there(run) and not (run.reason or "").endswith(f"job {first}"))
    assert job_of(home, child) != first
    go_on.touch()
    assert until(child).state == "done"
    wait_until(lambda: cluster.queue() == [])


def test_after_a_run_of_this_machine_it_is_handed_on_later(
    on_cluster: Queue, home: Home, until: Until, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.1)"
    here = enqueue_command(home, [sys.executable, "-c", wait])
    there = on_cluster("pass", after=[here])
    until(there, lambda run: run.reason == f"after #{here}")
    assert read_submission(home.run_dir(there)) is None
    go_on.touch()
    assert until(there).state == "done"


def test_a_sweep_goes_as_one_array(on_cluster: Queue, home: Home, until: Until) -> None:
    first = on_cluster("pass")
    spec = json.loads((home.run_dir(first) / "spec.json").read_text())
    kept = ("kind", "task", "title", "command", "engine", "reserve", "limits")
    parts = {key: spec[key] for key in kept} | {"after": []}
    runs = [submit(home, plan) for plan in grouped([parts, parts, parts])]
    assert [until(run).state for run in runs] == ["done"] * 3
    jobs = [job_of(home, run) for run in runs]
    assert [job.split("_")[1] for job in jobs] == ["0", "1", "2"] and len({job.split("_")[0] for job in jobs}) == 1
    ran = [read_attempt(home.run_dir(run), 1) for run in runs]
    assert [attempt.job if attempt else None for attempt in ran] == jobs


@pytest.mark.parametrize("kind", ["eval", "finetune"])
def test_several_models_and_a_sweep_go_as_one_array_by_command(
    cluster: SlurmCluster,
    home: Home,
    until: Until,
    tiny_checkpoint: Path,
    phantom_set: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    """Seen in Slurm's queue, whose node takes nothing meanwhile."""
    cluster.ask("scontrol", "update", f"NodeName={cluster.node}", "State=DRAIN", "Reason=tried")
    words = ["--home", str(home.root), "--json", kind, str(tiny_checkpoint)]
    if kind == "eval":
        other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
        words += [str(other), "--data", phantom_set["test"], "--engine", "cluster"]
    else:
        words += [
            "--data",
            phantom_set["train"],
            "--no-eval",
            "--sweep",
            "lora.r=4,8",
            "lr=1e-4",
            "--engine",
            "cluster",
        ]
    assert fada(words) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    for run in runs:
        until(run, lambda run: run.state == "queued" and ", job" in (run.reason or ""))
    jobs = [job_of(home, run) for run in runs]
    assert [job.split("_")[1] for job in jobs] == ["0", "1"] and len({job.split("_")[0] for job in jobs}) == 1
    assert sorted(job for job, _ in cluster.queue()) == sorted(jobs)
    for run in runs:
        queue.cancel(home, run)
    assert [until(run).state for run in runs] == ["cancelled"] * 2


def test_what_slurm_refuses_has_failed_in_its_words(cluster: SlurmCluster, home: Home, until: Until) -> None:
    home.config.write_text(ENGINE.format(conf=cluster.conf).replace("vram_gb = 32", "vram_gb = 64"))
    run = until(enqueue_command(home, ["true"], engine="cluster", vram_bytes=50 * 10**9))
    assert run.state == "failed" and "Requested node configuration is not available" in (run.reason or "")


def test_what_no_engine_has_is_refused_before_it_is_queued(cluster: SlurmCluster, home: Home) -> None:
    with pytest.raises(QueueError, match=r"engine cluster has 29\.8 GiB"):
        enqueue_command(home, ["true"], engine="cluster", vram_bytes=40 * 10**9)
    with pytest.raises(QueueError, match="no engine 'clutser'"):
        enqueue_command(home, ["true"], engine="clutser")
    with closing(connect(home.runs_db)) as conn:
        assert list_runs(conn) == []


def test_set_up_lines_that_fail_are_said(cluster: SlurmCluster, home: Home, until: Until) -> None:
    text = ENGINE.format(conf=cluster.conf) + 'setup = ["echo no such module; exit 4"]\n'
    home.config.write_text(text)
    run = until(enqueue_command(home, ["true"], engine="cluster"))
    assert run.state == "failed" and "exit code 4 before the job began" in (run.reason or "")
    assert "no such module" in (home.run_dir(run.id) / "log.txt").read_text()


def test_a_submission_that_was_broken_off_is_found_or_made_again(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    note = tmp_path / "starts"
    run_id = on_cluster(f"open({str(note)!r}, 'a').write('x')", vram_bytes=0)
    until(run_id)
    settings = named_engine(home, "cluster")
    assert settings is not None and Slurm(settings, home).test() == ""
    # One that sbatch took, and one that it never heard of: of neither is the job known here.
    runs = []
    for taken in (True, False):
        for process in dispatchers(home):
            process.kill()
        run = submit_held(home, run_id)
        submission = Submission("cluster", 1, f"fada-{run}-1-test", time.time())
        write_submission(home.run_dir(run), submission)
        if taken:
            script = f"#!/bin/bash\nexec {sys.executable} -P -m backends.jobs.engines.batch_runner"
            (tmp_path / "job").write_text(f"{script} --home {home.root} --run {run} --attempt 1\n")
            said = cluster.ask(
                *("sbatch", f"--job-name={submission.label}", "--output=/dev/null", f"--chdir={Path.cwd()}"),
                str(tmp_path / "job"),
            )
            assert "Submitted" in said
        queue.release(home, run)
        runs.append(run)
    assert [until(run).state for run in runs] == ["done", "done"]
    assert note.read_text() == "xxx"


def submit_held(home: Home, like: int) -> int:
    spec = json.loads((home.run_dir(like) / "spec.json").read_text())
    kept = ("kind", "task", "title", "command", "engine", "reserve", "limits")
    return submit(home, {key: spec[key] for key in kept} | {"after": [], "held": True})


def test_of_two_jobs_for_one_attempt_one_runs(on_cluster: Queue, home: Home, until: Until, tmp_path: Path) -> None:
    note = tmp_path / "starts"
    first = on_cluster("pass")
    until(first)
    spec = json.loads((home.run_dir(first) / "spec.json").read_text())
    spec["command"] = [sys.executable, "-c", f"import time; open({str(note)!r}, 'a').write('x'); time.sleep(1)"]
    folder = home.run_dir(99)
    (folder / "attempts").mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    words = [sys.executable, "-P", "-m", "backends.jobs.engines.batch_runner", "--home", str(home.root)]
    both = [
        subprocess.Popen([*words, "--run", "99", "--attempt", "1"], env={**os.environ, "SLURM_JOB_ID": job})
        for job in ("7001", "7002")
    ]
    assert sorted(process.wait() for process in both) == [0, 75]
    assert note.read_text() == "x"


def test_one_that_slurm_forgot_is_lost_unless_it_left_its_record(on_cluster: Queue, home: Home, until: Until) -> None:
    done = on_cluster("pass")
    until(done)
    for process in dispatchers(home):
        process.kill()
    never, ended = submit_held(home, done), submit_held(home, done)
    for run in (never, ended):
        submission = Submission("cluster", 1, f"fada-{run}-1-test", time.time(), job="999999", phase="running")
        write_submission(home.run_dir(run), submission)
    attempt = read_attempt(home.run_dir(done), 1)
    assert attempt is not None
    (home.run_dir(ended) / "attempts/1.json").write_text(
        (home.run_dir(done) / "attempts/1.json").read_text().replace(f'"job": "{attempt.job}"', '"job": "999999"')
    )
    run = until(never)
    assert run.state == "lost" and "not known there any more" in (run.reason or "")
    assert until(ended).state == "done"
    with closing(connect(home.runs_db)) as conn:
        assert get_run(conn, done) is not None


def test_a_job_that_the_controller_starts_once_more_is_run_once_and_goes_on(
    on_cluster: Queue, cluster: SlurmCluster, home: Home, until: Until, tmp_path: Path
) -> None:
    """One that died before it saved comes back with the job as waiting: here the first start is one by hand."""
    note, go_on = tmp_path / "starts", tmp_path / "go"
    cluster.ask("scontrol", "update", f"NodeName={cluster.node}", "State=DRAIN", "Reason=tried")
    run_id = on_cluster(
        f"import os, time\nopen({str(note)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.1)"
    )
    until(run_id, lambda run: ", job" in (run.reason or ""))
    words = [sys.executable, "-P", "-m", "backends.jobs.engines.batch_runner", "--home", str(home.root)]
    job = job_of(home, run_id)
    first = subprocess.Popen([*words, "--run", str(run_id), "--attempt", "1"], env={**os.environ, "SLURM_JOB_ID": job})
    try:
        wait_until(note.exists)
        cluster.heal()
        wait_until(lambda: "ExitCode=75:0" in cluster.ask("scontrol", "show", "job", job))
        time.sleep(5)  # longer than what is waited for a record
        assert until(run_id, lambda _: True).state == "running", "it is over for Slurm, and runs all the same"
        go_on.touch()
        run = until(run_id)
    finally:
        first.kill()
        first.wait()
    assert (run.state, run.exit_code, run.attempt) == ("done", 0, 1)
    assert note.read_text() == "x" and "nothing is run twice" in (home.run_dir(run_id) / "log.txt").read_text()
