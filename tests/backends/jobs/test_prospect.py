"""What is foreseen is one number: a run's reservation, `fada estimate`, the model's page and the forms agree."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.data.validate import MEASURED, validate
from backends.estimate.ask import Question
from backends.jobs.asked import EvalAsked, FinetuneAsked
from backends.jobs.launch import plan_eval
from backends.jobs.launch_finetune import plan_finetune
from backends.jobs.pace import find_pace, total_steps
from backends.jobs.prospect import Prospect, images_of, model_facts, prospect
from backends.jobs.settings import training_spec
from backends.jobs.submit import submit
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home

MODEL = "Qwen/Qwen2-VL-2B-Instruct"
GIB = 1 << 30


@pytest.fixture(autouse=True)
def without_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of these tests are on no machine: their published sizes do, and nothing starts."""
    for module in ("launch", "launch_finetune"):
        monkeypatch.setattr(f"backends.jobs.{module}.pinned", lambda model, **_: model)


@pytest.fixture
def two_sizes(tmp_path: Path) -> Path:
    """Most images small, one large."""
    from PIL import Image

    lines = []
    for at in range(10):
        name = f"A/{at}.png"
        (tmp_path / "A").mkdir(exist_ok=True)
        Image.new("L", (640, 480) if at == 4 else (320, 240)).save(tmp_path / name)
        said = [{"role": "user", "content": "Plane?"}, {"role": "assistant", "content": "Femur"}]
        lines.append(json.dumps({"images": [name], "messages": said}) + "\n")
    (tmp_path / "data.jsonl").write_text("".join(lines))
    return tmp_path / "data.jsonl"


def foresee(home: Home, question: Question, training: dict[str, Any] | None = None) -> Prospect:
    with closing(connect(home.runs_db, read_only=True)) as runs, Sampler(home) as sampler:
        return prospect(home, runs, question, sampler.sample({}), training)


def done(home: Home, parts: dict[str, Any], peak: int, seconds: float = 100.0, steps: int = 0) -> int:
    """The run of these parts, over and well."""
    run = submit(home, {**parts, "held": True})
    with closing(connect(home.runs_db)) as conn:
        conn.execute(
            "UPDATE runs SET state = 'done', attempt = 1, peak_bytes = ?, started = 1000, ended = ?, done = ? WHERE id = ?",
            (peak, 1000 + seconds, steps, run),
        )
    return run


def test_sizes_of_images_are_in_the_spec_and_not_in_the_fingerprint(home: Home, two_sizes: Path) -> None:
    assert validate(two_sizes).image_sizes == ((320, 240, 9), (640, 480, 1)) and MEASURED >= 10
    parts = plan_eval(home, MODEL, EvalAsked(data=two_sizes, generation={"batch_size": 1}))
    assert parts["data"]["image_sizes"] == [[320, 240, 9], [640, 480, 1]]
    bare = {**parts, "data": {key: value for key, value in parts["data"].items() if key != "image_sizes"}}
    from backends.jobs.spec import fingerprint

    assert fingerprint(parts) == fingerprint(bare)


def question_of(home: Home, data: Path, **more: Any) -> Question:
    report = validate(data)
    return Question(
        **{**model_facts(home, MODEL), "samples": report.samples, "image_sizes": report.image_sizes, **more}
    )


@pytest.mark.parametrize("earlier", [0, 1, 2], ids=["nothing seen", "one unlike it", "the very same"])
def test_an_evaluation_reserves_what_was_shown(home: Home, two_sizes: Path, earlier: int) -> None:
    if earlier:
        batch = {1: 2, 2: 1}[earlier]
        done(home, plan_eval(home, MODEL, EvalAsked(data=two_sizes, generation={"batch_size": batch})), 6 * GIB)
    shown = foresee(home, question_of(home, two_sizes, batch=1, task="gt", embedded=True))
    reserve = plan_eval(home, MODEL, EvalAsked(data=two_sizes, generation={"batch_size": 1}))["reserve"]
    assert (shown.reserved, shown.here.source, shown.here.memory) == tuple(
        reserve[key] for key in ("bytes", "source", "memory")
    )
    assert reserve["source"] == ["estimated", "estimated, corrected by #1", "seen in #1"][earlier]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_fine_tune_reserves_what_was_shown(home: Home, two_sizes: Path, earlier: bool) -> None:
    settings = {"method": "peft", "batch_size": 1, "max_pixels": 100_000, "lora.r": 8}
    if earlier:
        done(
            home, plan_finetune(home, MODEL, FinetuneAsked(data=two_sizes, settings={**settings, "lora.r": 4})), 7 * GIB
        )
    asked = {"method": "peft", "batch": 1, "max_pixels": 100_000, "rank": 8, "targets": "language"}
    shown = foresee(home, question_of(home, two_sizes, **asked), training_spec(settings))
    reserve = plan_finetune(home, MODEL, FinetuneAsked(data=two_sizes, settings=settings))["reserve"]
    assert (shown.reserved, shown.here.source) == (reserve["bytes"], reserve["source"])
    assert shown.steps == 30 and shown.samples == 30


def test_larger_images_reserve_more_and_a_limit_of_pixels_less(home: Home, two_sizes: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.jsonl"
    small.write_text("".join(two_sizes.read_text().splitlines(keepends=True)[:4]))

    def reserved(data: Path, **settings: Any) -> int:
        given = {"method": "peft", "batch_size": 1, **settings}
        return int(plan_finetune(home, MODEL, FinetuneAsked(data=data, settings=given))["reserve"]["bytes"])

    assert reserved(small) < reserved(two_sizes)
    assert reserved(two_sizes, max_pixels=80_000) < reserved(two_sizes)


def test_a_run_of_other_images_is_no_run_like_it(home: Home, two_sizes: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.jsonl"
    small.write_text("".join(two_sizes.read_text().splitlines(keepends=True)[:4]))
    done(home, plan_eval(home, MODEL, EvalAsked(data=small, generation={"batch_size": 1})), 5 * GIB)
    assert plan_eval(home, MODEL, EvalAsked(data=two_sizes, generation={"batch_size": 1}))["reserve"][
        "source"
    ].startswith("est")


def test_tokens_of_the_usual_and_of_the_largest_image(home: Home, two_sizes: Path) -> None:
    found = images_of(question_of(home, two_sizes))
    assert found is not None and found.measured and found.size == (320, 240)
    assert found.usual.tokens < found.largest.tokens
    assert images_of(Question("nobody/knows-it", "x")) is None


def test_time_is_as_long_as_it_took_and_unknown_before(home: Home, two_sizes: Path) -> None:
    settings = {"method": "peft", "batch_size": 1, "accumulation": 4, "max_steps": 5}
    parts = plan_finetune(home, MODEL, FinetuneAsked(data=two_sizes, settings=settings))
    asked = {"method": "peft", "batch": 1, "targets": "language"}
    question, twice = question_of(home, two_sizes, **asked), training_spec({**settings, "max_steps": 10})
    assert foresee(home, question, twice).seconds is None
    run = done(home, parts, GIB, seconds=100.0, steps=5)
    assert foresee(home, question, twice).seconds == pytest.approx(200.0)
    with closing(connect(home.runs_db)) as conn:
        # Half of the time it trained: the other half is there however long the training.
        curve = conn.execute("INSERT INTO curves(run, name, lines, levels) VALUES (?, 'samples_per_s', 1, 0)", (run,))
        conn.execute("INSERT INTO metrics(curve, step, value, t) VALUES (?, 1, 0.4, 1)", (curve.lastrowid,))
    assert foresee(home, question, twice).seconds == pytest.approx(150.0)
    with closing(connect(home.runs_db, read_only=True)) as runs:
        other = question_of(home, two_sizes, **{**asked, "method": "full"})
        assert find_pace(home, runs, other.spec()) is None


def test_steps_are_those_of_the_job() -> None:
    plan_module = pytest.importorskip("backends.work.plan")
    for given in ({}, {"epochs": 1.5}, {"batch_size": 3, "accumulation": 4}, {"max_steps": 7}, {"epochs": 0.01}):
        training = training_spec(given)
        plan = plan_module.training_plan({"training": training})
        for samples in (1, 7, 100, 4001):
            assert total_steps(training, samples) == plan.total_steps(samples)
