"""Trainings of other programs, in the shapes that they leave: curves, settings, and an adapter that can be evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.data.errors import DataError
from backends.data.results.door import read_results
from backends.jobs import store
from backends.jobs.asked import EvalAsked
from backends.jobs.events import EventWriter
from backends.jobs.job import Job
from backends.jobs.launch import plan_eval
from backends.jobs.launch_convert import find_subject
from backends.work import import_run
from db.connect import connect
from db.home import Home
from db.runs.queries import curve, get_run, summary


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))


def adapter(folder: Path, base: str = "Qwen/Qwen2-VL-2B-Instruct") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "training_args.bin").write_bytes(b"\x80a pickle that nobody opens")


def history() -> list[dict[str, Any]]:
    steps = [
        {"epoch": 0.5, "grad_norm": 1.5, "learning_rate": 1e-4, "loss": 2.0 / step, "step": step} for step in (10, 20)
    ]
    end = {"epoch": 1.0, "step": 20, "total_flos": 1e9, "train_loss": 0.6, "train_runtime": 61.5}
    return [*steps, {"epoch": 1.0, "eval_loss": 0.4, "eval_runtime": 2.0, "step": 20}, end]


def llama_factory(folder: Path) -> None:
    adapter(folder)
    common = {
        "total_steps": 20,
        "epoch": 0.5,
        "percentage": 50.0,
        "elapsed_time": "0:01:00",
        "remaining_time": "0:01:00",
    }
    write_lines(
        folder / "trainer_log.jsonl",
        [
            {"current_steps": 10, "loss": 0.2, "lr": 1e-4, **common},
            {"current_steps": 20, "loss": 0.1, "lr": 5e-5, **common},
            {"current_steps": 20, "eval_loss": 0.4, **common},
            {"current_steps": 20, **common},
        ],
    )
    (folder / "all_results.json").write_text(json.dumps({"epoch": 1.0, "train_loss": 0.6, "train_runtime": 61.5}))
    (folder / "training_args.yaml").write_text("finetuning_type: lora\nlora_rank: 8\nlearning_rate: 1.0e-4\n")


def ms_swift(folder: Path) -> None:
    adapter(folder / "checkpoint-20")
    common = {"memory(GiB)": 16.5, "train_speed(iter/s)": 0.07, "percentage": "50.00%", "elapsed_time": "1m"}
    write_lines(
        folder / "logging.jsonl",
        [
            {"loss": 0.2, "token_acc": 0.4, "grad_norm": 2.4, "learning_rate": 1e-4, "global_step/max_steps": "10/20"}
            | common,
            {"loss": 0.1, "token_acc": 0.5, "learning_rate": 5e-5, "global_step/max_steps": "20/20"} | common,
            {"eval_loss": 0.4, "eval_runtime": 4.4, "global_step/max_steps": "20/20"} | common,
            {"train_runtime": 61.5, "train_loss": 0.6, "global_step/max_steps": "20/20"} | common,
        ],
    )
    (folder / "args.json").write_text(json.dumps({"lora_rank": 8, "learning_rate": 1e-4, "hub_token": "hf_secret"}))


def axolotl(folder: Path) -> None:
    adapter(folder)
    adapter(folder / "checkpoint-20")
    (folder / "checkpoint-20" / "trainer_state.json").write_text(json.dumps({"log_history": history()}))
    recipe = "base_model: Qwen/Qwen2-VL-2B-Instruct\nadapter: lora\nlora_r: 8\nlearning_rate: 0.0001\n"
    (folder / "config.yaml").write_text(recipe)


def axolotl_alone(folder: Path) -> None:
    """As the program leaves it where nobody copied the recipe: it stands in the card."""
    axolotl(folder)
    recipe = (folder / "config.yaml").read_text()
    (folder / "config.yaml").unlink()
    (folder / "debug.log").write_text("[INFO] loaded\n")
    card = f"---\nbase_model: a/b\n---\n<details><summary>See axolotl config</summary>\n\naxolotl version: `0.16.1`\n```yaml\n{recipe}```\n</details>\n\n- learning_rate: 0.5\n"
    (folder / "README.md").write_text(card)


def llama_factory_command(folder: Path) -> None:
    """As its command leaves it: no arguments, but Trainer's card and what PEFT writes."""
    llama_factory(folder)
    (folder / "training_args.yaml").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    own = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": ["a.0.q_proj", "a.1.q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config | own))
    (folder / "README.md").write_text(
        "# out\n\nThe following hyperparameters were used during training:\n- learning_rate: 1e-05\n- seed: 42\n"
        "- optimizer: Use adamw_torch with betas=(0.9,0.999)\n- num_epochs: 3.0\n"
    )


def transformers(folder: Path) -> None:
    adapter(folder)
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history(), "global_step": 20}))


@pytest.fixture
def bring_in(home: Home) -> Callable[..., int]:
    def call(folder: Path, **arguments: Any) -> int:
        run_id = store.allocate(home)
        spec = {
            "kind": "tool",
            "task": None,
            "tool": {"name": "import-run", "args": {"path": str(folder), **arguments}},
        }
        events = EventWriter(home.run_dir(run_id) / "events.jsonl")
        return int(import_run.run(Job(home, run_id, 1, spec | {"seed": 0}, events))["runs"][0])

    return call


@pytest.mark.parametrize(
    ("leave", "name", "settings"),
    [
        (llama_factory, "llama-factory", {"finetuning_type": "lora", "learning_rate": 1e-4, "lora_rank": 8}),
        (ms_swift, "ms-swift", {"learning_rate": 1e-4, "lora_rank": 8}),
        (axolotl, "axolotl", {"adapter": "lora", "lora_r": 8}),
        (axolotl_alone, "axolotl", {"adapter": "lora", "lora_r": 8, "learning_rate": 1e-4}),
        (
            llama_factory_command,
            "llama-factory",
            {"learning_rate": 1e-5, "num_epochs": 3.0, "lora_r": 8, "target_modules": ["a.0.q_proj", "a.1.q_proj"]},
        ),
        (transformers, "transformers", {}),
    ],
)
def test_a_training_comes_in_with_curves_settings_and_its_adapter(
    home: Home,
    bring_in: Callable[..., int],
    tmp_path: Path,
    leave: Callable[[Path], None],
    name: str,
    settings: dict[str, Any],
) -> None:
    (tmp_path / "out").mkdir()
    leave(tmp_path / "out")
    run_id = bring_in(tmp_path / "out")
    with closing(connect(home.runs_db)) as conn:
        run, told = get_run(conn, run_id), summary(conn, run_id)
        losses = [point.value for point in curve(conn, run_id, "loss")]
        assert [point.step for point in curve(conn, run_id, "learning_rate")] == [10, 20]
        assert [point.value for point in curve(conn, run_id, "eval_loss")] == [0.4]
        said = [row[0] for row in conn.execute("SELECT text FROM messages WHERE run = ? ORDER BY rowid", (run_id,))]
    assert run is not None
    assert (run.kind, run.state, run.model, run.tags) == (
        "finetune",
        "done",
        "Qwen/Qwen2-VL-2B-Instruct",
        ("imported", "tuned"),
    )
    assert losses == [0.2, 0.1]
    assert (told["trainer"], told["steps"], told["train_loss"], told["seconds"]) == (name, 20, 0.6, 61.5)
    assert told["settings"].items() >= settings.items() and "hub_token" not in told["settings"]
    assert said[0] == f"trained by {name}: 20 steps, loss 0.6, 62 s"
    assert not any("a.1.q_proj" in text for text in said)
    rate = f"learning_rate {told['settings'].get('learning_rate')}"
    assert not settings or any(text.startswith("settings: ") and rate in text for text in said[1:])
    left = home.run_dir(run_id) / "adapter"
    assert {path.name for path in left.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    assert not (left / "training_args.bin").exists()


def test_its_adapter_is_taken_by_an_evaluation(
    home: Home,
    bring_in: Callable[..., int],
    tmp_path: Path,
    tiny_checkpoint: Path,
    phantom_set: dict[str, str],
) -> None:
    (tmp_path / "out").mkdir()
    llama_factory(tmp_path / "out")
    run_id = bring_in(tmp_path / "out")
    plan = plan_eval(
        home,
        str(tiny_checkpoint),
        EvalAsked(data=phantom_set["test"], image_root=phantom_set["images"], adapter=run_id),
    )
    assert plan["model"]["from_run"] == run_id and plan["model"]["parent"]


def test_what_was_trained_on_a_local_folder_is_exported_into_it(
    home: Home, bring_in: Callable[..., int], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    llama_factory(tmp_path / "out")
    adapter(tmp_path / "out", str(tiny_checkpoint))
    run_id = bring_in(tmp_path / "out", model="FetalCLIP")
    subject = find_subject(home, run_id)
    assert (subject.model["source"], subject.model["name"]) == (str(tiny_checkpoint), "FetalCLIP")
    assert subject.model["from_run"] == run_id


def test_an_adapter_of_pickled_weights_stays_where_it_is(
    home: Home, bring_in: Callable[..., int], tmp_path: Path
) -> None:
    transformers(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    run_id = bring_in(tmp_path)
    assert not (home.run_dir(run_id) / "adapter").exists()
    with closing(connect(home.runs_db)) as conn:
        row = conn.execute("SELECT text FROM messages WHERE run = ? AND level = 'warning'", (run_id,)).fetchone()
    assert "no adapter_model.safetensors" in row[0]


def test_a_log_without_a_step_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trainer_log.jsonl").write_text('{"current_steps": 1}\n')
    with pytest.raises(DataError, match="no step with a loss"):
        read_results(tmp_path)
