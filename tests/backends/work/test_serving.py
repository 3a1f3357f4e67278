"""A whole evaluation on a real server: in flight, in order, within a budget, stopped and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from backends.data.door import open_data
from backends.jobs.job import Job, JobError
from backends.jobs.servers import Server
from backends.models import openai_server
from backends.models.base import Reply
from backends.models.openai_server import GivenUp
from backends.work import work_function
from backends.work.asking import Asked
from backends.work.serving import ServerAsker, open_server
from tests.protocol_server import Act, ProtocolServer, Seen, as_json, completion, serving

MakeJob = Callable[..., Job]


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_server, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def served(make_job: MakeJob, phantom_set: dict[str, str], server: ProtocolServer) -> MakeJob:
    """``served(run_id, task=…, **server settings)``: 6 images of 4 questions each."""

    def make(run_id: int, task: str = "proxy", **changes: Any) -> Job:
        settings = {"base_url": server.url, "model": "test-model", "concurrency": 4, "retries": 1, **changes}
        part = Server(**settings).to_spec()
        data = {"path": phantom_set["test"], "image_root": phantom_set["images"], "limit": None}
        model = {"name": "served", "source": f"{server.url}#test-model", "loader": "openai", "from_run": None}
        return make_job(run_id, task=task, data=data, model=model, server=part)

    return make


def run(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


def answers(job: Job) -> dict[str, Any]:
    lines = map(json.loads, job.predictions.read_text().splitlines())
    return {line["id"]: line["prediction"] for line in lines}


def ask_to_stop(job: Job, stop: bool) -> None:
    (job.dir / "control.json").write_text(json.dumps({"stop": stop}))


def test_requests_are_in_flight_together_and_never_more(served: MakeJob, server: ProtocolServer) -> None:
    server.delay = 0.1
    summary = run(served(1))
    assert server.most_in_flight == 4 and len(server.asked) == 24
    assert summary["answered"] == 24 and summary["server"]["requests"] == 24 and summary["tokens"] == 24 * 5
    assert summary["server"]["models"] == ["test-model-0001"] and summary["server"]["system_fingerprints"] == ["fp_1"]


def test_they_begin_in_the_order_of_the_data(served: MakeJob, server: ProtocolServer) -> None:
    job = served(1, concurrency=1)
    run(job)
    asked = [line["question"] for line in map(json.loads, job.predictions.read_text().splitlines())]
    lines = [json.loads(line) for line in Path(job.spec["data"]["path"]).read_text().splitlines()]
    assert asked == [line["messages"][-2]["content"][-1]["text"] for line in lines]


def test_a_change_of_the_model_behind_the_name_is_told(
    served: MakeJob, server: ProtocolServer, read_events: Callable[[Job, str], list[dict[str, Any]]]
) -> None:
    server.plan = lambda server, seen: (
        Act(body=as_json(completion(seen, model="another"))) if len(server.asked) > 12 else None
    )
    job = served(1)
    assert run(job)["server"]["models"] == ["test-model-0001", "another"]
    told = [(event["level"], event["text"]) for event in read_events(job, "message")]
    assert ("warning", "127.0.0.1 now names another model: another") in told


def test_a_budget_of_requests_stops_cleanly_and_is_over_all_attempts(served: MakeJob, server: ProtocolServer) -> None:
    whole = served(1)
    run(whole)
    server.seen.clear()
    summary = run(served(2, max_requests=10))
    assert summary["stopped"].startswith("10 of 24 answers: the budget of 10 requests is used up")
    assert len(server.asked) == 10
    assert run(served(2, max_requests=10))["stopped"].startswith("10 of 24 answers: the budget")
    job = served(2, max_requests=24)
    assert run(job)["stopped"] is None
    assert len(server.asked) == 24 and answers(job) == answers(whole)
    assert {server.times(seen) for seen in server.asked} == {1}


def test_a_budget_of_money_is_never_exceeded(served: MakeJob, server: ProtocolServer) -> None:
    # 100 prompt and 5 answer tokens at 10 and 20 a million: 0.0011 each; the first reservation is for 3,000 tokens.
    prices = {"input_price": 10.0, "output_price": 20.0, "concurrency": 1}
    summary = run(served(1, max_cost=0.0365, **prices))
    assert "the budget of 0.0365 is used up" in summary["stopped"]
    assert len(server.asked) * 0.0011 <= 0.0365 and len(server.asked) > 2
    job = served(1, max_cost=1.0, **prices)
    summary = run(job)
    assert summary["stopped"] is None and summary["server"]["cost"] == pytest.approx(24 * 0.0011)


def test_what_was_on_its_way_when_the_run_was_killed_counts(served: MakeJob, server: ProtocolServer) -> None:
    job = served(1, max_requests=10)
    (job.dir / "requests.jsonl").write_text('{"n": 1, "id": "x"}\n{"n": 2, "id": "y"}\n{"n": 2, "fai')
    assert run(job)["stopped"].startswith("8 of 24")


def test_a_bad_question_fails_alone(served: MakeJob, server: ProtocolServer) -> None:
    def plan(server: ProtocolServer, seen: Seen) -> Act | None:
        if "Quality" in seen.question or "?" not in seen.question:
            return Act(400, body=as_json({"error": {"message": "no"}}))
        return Act(body=b"{") if len(server.asked) == 3 else None

    server.plan = plan
    job = served(1)
    summary = run(job)
    lines = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert len(lines) == 24 and summary["failed"] == sum(line["error"] is not None for line in lines)
    assert all((line["prediction"] is None) == (line["error"] is not None) for line in lines)


def test_a_server_that_fails_on_all_stores_no_failure(served: MakeJob, server: ProtocolServer) -> None:
    job = served(1, retries=0, concurrency=1)
    server.plan = lambda server, seen: Act(500) if len(server.asked) > 3 else None
    with pytest.raises(JobError, match="in a row"):
        run(job)
    kept = answers(job)
    assert len(kept) == 3 and None not in kept.values()
    server.plan = lambda server, seen: None
    assert run(job)["failed"] == 0 and len(answers(job)) == 24


def test_an_earlier_answer_that_comes_late_does_not_vouch_for_later_failures(served: MakeJob) -> None:
    """With several in flight they end in any order; a failure counts once a question behind it is answered."""
    job = served(1)
    asker = ServerAsker(open_server(job))
    data = job.spec["data"]
    samples = list(open_data(data["path"], image_root=data["image_root"]))[:4]

    def collect(**ends: Reply | Exception) -> list[tuple[str, str | None]]:
        futures: list[Future[Asked]] = []
        for place, end in ((int(name[1:]), end) for name, end in ends.items()):
            future: Future[Asked] = Future()
            if isinstance(end, Exception):
                future.set_exception(end)
            else:
                future.set_result(Asked(samples[place], end, 0.1, None))
            asker._waiting[future] = (place, samples[place])
            futures.append(future)
        return [(one.sample.id, one.error) for batch in asker._collect(futures) for one in batch]

    gone = GivenUp("it was silent")
    assert collect(q2=gone, q0=Reply("yes", 1)) == [(samples[0].id, None)]
    assert collect(q1=Reply("yes", 1)) == [(samples[1].id, None)]
    assert collect(q3=Reply("yes", 1)) == [(samples[2].id, "it was silent"), (samples[3].id, None)]


def test_a_key_that_is_taken_back_ends_the_run_and_keeps_what_was_on_its_way(
    served: MakeJob, server: ProtocolServer
) -> None:
    job = served(1)
    server.plan = lambda server, seen: Act(401) if len(server.asked) > 9 else None
    with pytest.raises(JobError, match="let us in"):
        run(job)
    assert len(answers(job)) == 9
    server.plan = lambda server, seen: None
    assert run(job)["answered"] == 24
    answered = [seen for seen in server.asked if server.times(seen) == 1]
    assert len(answered) >= 9


def test_stopping_keeps_what_is_on_its_way(served: MakeJob, server: ProtocolServer) -> None:
    job = served(1)

    def plan(server: ProtocolServer, seen: Seen) -> None:
        if len(server.asked) == 6:
            ask_to_stop(job, True)
        server.closing.wait(0.1)

    server.plan = plan
    summary = run(job)
    kept = answers(job)
    assert summary["stopped"] == f"{len(kept)} of 24 answers" and len(kept) == len(server.asked) < 24
    ask_to_stop(job, False)
    assert run(job)["stopped"] is None and len(server.asked) == 24


def test_nothing_is_sent_without_consent_for_that_host_and_data(served: MakeJob, server: ProtocolServer) -> None:
    for consent in (None, {"host": "elsewhere", "data": None}, {"host": "127.0.0.1", "data": "other"}):
        job = served(1, hosted=True)
        job.spec["server"]["consent"] = consent
        with pytest.raises(JobError, match="nobody has agreed"):
            run(job)
    assert server.seen == []
    job.spec["server"]["consent"] = {"host": "127.0.0.1", "data": None}
    assert run(job)["answered"] == 24


def test_a_key_that_is_nowhere(served: MakeJob, server: ProtocolServer) -> None:
    with pytest.raises(JobError, match="MISSING_KEY is not set"):
        run(served(1, key_env="MISSING_KEY"))
    assert server.seen == []


def test_the_floor_of_a_model_that_does_not_look_is_asked_there_too(served: MakeJob, server: ProtocolServer) -> None:
    job = served(1)
    job.spec["scoring"] = {"embedding": None, "floors": ["text_only"]}
    assert run(job)["stopped"] is None
    questions = {seen.question for seen in server.asked}
    assert len(server.asked) == 24 + len(questions)


def test_speed_of_a_server(served: MakeJob, server: ProtocolServer) -> None:
    summary = run(served(1, "perf", concurrency=1))
    scores = summary["scores"]
    assert scores["tokens_per_s"] > 0 and scores["latency_p95_s"] > 0 and scores["first_token_p50_s"] > 0
    assert scores["peak_memory_bytes"] is None and scores["energy_j_per_answer"] is None
    assert summary["unknown"] == {} and server.most_in_flight == 1


def test_speed_of_a_server_that_tells_little(served: MakeJob, server: ProtocolServer) -> None:
    server.plan = lambda server, seen: Act(body=as_json(completion(seen, usage=None)))
    summary = run(served(1, "perf", stream=False))
    assert summary["scores"]["tokens_per_s"] is None and summary["scores"]["latency_p50_s"] > 0
    assert set(summary["unknown"]) == {"tokens_per_s", "first_token_p50_s"}
