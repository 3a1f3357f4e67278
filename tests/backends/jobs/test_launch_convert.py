"""What an export is refused for, before anything is queued."""

from __future__ import annotations

import json
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.asked import ConvertAsked
from backends.jobs.errors import QueueError
from backends.jobs.ingest import adopt
from backends.jobs.launch_convert import notices, plan_convert
from backends.jobs.llama_cpp import CONVERTER, QUANTISER, SERVER, find_tools, need_tools
from backends.jobs.spec import fingerprint
from db.connect import connect
from db.home import Home


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    """A folder that looks like a checkpoint that GGUF takes; nothing is loaded when a job is queued."""
    folder = tmp_path / "gemma"
    folder.mkdir()
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3", "architectures": ["Gemma3"]}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


@pytest.fixture
def tune(home: Home, tiny_checkpoint: Path) -> int:
    """A fine-tune that is done and has left an adapter."""
    return _run(home, tiny_checkpoint, "finetune", leaves="adapter")


def _run(home: Home, source: Path, kind: str, leaves: str | None, **parts: Any) -> int:
    run = store.allocate(home)
    model = {"name": "tiny", "source": str(source), "loader": "transformers", "precision": "4bit", "quantisation": "4"}
    spec = {"id": run, "kind": kind, "task": None, "created": 1.0, "model": model, "fingerprint": "f1", **parts}
    store.create(home, run, spec)
    folder = home.run_dir(run)
    (folder / "attempts").mkdir(exist_ok=True)
    (folder / "attempts/1.json").write_text(json.dumps({"number": 1, "started": 1.0, "ended": 2.0, "exit_code": 0}))
    (folder / "events.jsonl").write_text('{"t": 2.0, "kind": "finished", "summary": {}}\n')
    if leaves:
        (folder / leaves).mkdir()
    _index(home, run)
    return run


def _index(home: Home, run: int) -> None:
    with closing(connect(home.runs_db)) as conn:
        assert adopt(conn, home, run)


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


def test_what_was_trained_in_four_bits_is_merged_in_the_numbers_of_the_checkpoint(home: Home, tune: int) -> None:
    plan = plan_convert(home, tune, ConvertAsked(to="merged"))
    assert plan["model"]["from_run"] == tune and plan["model"]["parent"] == "f1"
    assert "precision" not in plan["model"] and "quantisation" not in plan["model"]
    assert (plan["kind"], plan["task"], plan["convert"]["to"]) == ("convert", None, "merged")
    assert notices(home, plan) == [
        "the exported file will not be checked: no questions are known; --data FILE.jsonl names some"
    ]


def test_it_is_checked_on_what_the_fine_tune_held_out(
    home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    held_out = {"path": phantom_set["val"], "image_root": phantom_set["images"]}
    run = _run(home, tiny_checkpoint, "finetune", "adapter", training={"eval_data": held_out}, data={"path": "/gone"})
    plan = plan_convert(home, run, ConvertAsked(to="merged", check=5))
    assert (plan["data"]["path"], plan["data"]["limit"], plan["data"]["samples"]) == (phantom_set["val"], 5, 5)
    assert notices(home, plan) == []
    assert plan_convert(home, run, ConvertAsked(to="merged", check=0))["data"] is None


def test_target_and_quantisation_decide_the_fingerprint(home: Home, tune: int) -> None:
    plan = plan_convert(home, tune, ConvertAsked(to="merged"))
    other = {**plan, "convert": {**plan["convert"], "to": "gguf"}}
    elsewhere = {**plan, "convert": {**plan["convert"], "tools": {"converter": ["/elsewhere"]}}}
    assert fingerprint(plan) != fingerprint(other)
    assert fingerprint(plan) == fingerprint(elsewhere)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"to": "tflite"}, "there is no export 'tflite'"),
        ({"to": "merged", "quant": "q8_0"}, "--quant is of a GGUF"),
        ({"to": "gguf", "quant": "q1"}, "there is no quantisation 'q1'"),
        ({"to": "merged", "check": -1}, "cannot be negative"),
        ({"to": "gguf"}, "no GGUF: llama.cpp's converter takes LLaVA with a Pixtral tower only"),
    ],
)
def test_what_cannot_be_is_refused(home: Home, tune: int, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(QueueError) as caught:
        plan_convert(home, tune, ConvertAsked(**wanted))
    assert message in caught.value.message and caught.value.hint


def test_a_run_without_weights(home: Home, tiny_checkpoint: Path) -> None:
    evaluation = _run(home, tiny_checkpoint, "eval", None, task="gt")
    with pytest.raises(QueueError, match=f"run #{evaluation} \\(eval\\) left no weights"):
        plan_convert(home, evaluation, ConvertAsked(to="merged"))
    empty = _run(home, tiny_checkpoint, "finetune", None)
    with pytest.raises(QueueError, match="left neither adapter/ nor model/"):
        plan_convert(home, empty, ConvertAsked(to="merged"))
    with pytest.raises(QueueError, match="there is no run #99"):
        plan_convert(home, 99, ConvertAsked(to="merged"))


def test_a_model_without_an_adapter_needs_no_merging(home: Home, gemma: Path) -> None:
    with pytest.raises(QueueError, match="it is whole as it is"):
        plan_convert(home, str(gemma), ConvertAsked(to="merged"))


def test_a_model_without_any_route_says_so_and_names_what_is_ready(home: Home) -> None:
    with pytest.raises(QueueError) as caught:
        plan_convert(home, "Moondream2", ConvertAsked(to="gguf"))
    assert "no GGUF: " in caught.value.message and "ggml-org/moondream2-20250414-GGUF" in str(caught.value.hint)


@pytest.mark.usefixtures("no_tools")
def test_a_missing_converter_is_said_with_how_to_get_it(home: Home, gemma: Path) -> None:
    with pytest.raises(QueueError) as caught:
        plan_convert(home, str(gemma), ConvertAsked(to="gguf"))
    assert "convert_hf_to_gguf.py" in caught.value.message and "[llama_cpp]" in str(caught.value.hint)


@pytest.mark.usefixtures("no_tools")
def test_the_folder_of_llama_cpp_is_enough(home: Home, gemma: Path, tmp_path: Path) -> None:
    source = tmp_path / "llama.cpp"
    converter = program(source / "convert_hf_to_gguf.py")
    home.config.write_text(f'[llama_cpp]\nfolder = "{source}"\n')
    with pytest.raises(QueueError, match=r"quantiser .llama-quantize. is not on this machine"):
        plan_convert(home, str(gemma), ConvertAsked(to="gguf", quant="q4_k_m"))
    assert plan_convert(home, str(gemma), ConvertAsked(to="gguf", quant="q8_0"))["convert"]["tools"][CONVERTER] == [
        str(converter)
    ]
    quantiser = program(source / "build/bin/llama-quantize")
    plan = plan_convert(home, str(gemma), ConvertAsked(to="gguf"))
    assert plan["convert"]["quant"] == "q4_k_m" and plan["convert"]["tools"][QUANTISER] == [str(quantiser)]


@pytest.mark.usefixtures("no_tools")
def test_tools_named_one_by_one_go_before_the_folder(home: Home, tmp_path: Path) -> None:
    own = program(tmp_path / "bin/my-server")
    home.config.write_text(f'[llama_cpp]\nserver = "{own}"\nquantiser = "{tmp_path}/none"\nconverter = "{__file__}"\n')
    tools = find_tools(home)
    assert tools[SERVER].command == (str(own),)
    assert tools[CONVERTER].command == (__file__,)
    assert not tools[QUANTISER].found and "no file" in str(tools[QUANTISER].problem)
    with pytest.raises(QueueError, match=r"llama_cpp.quantiser: no file"):
        need_tools(home, "q4_k_m")


@pytest.mark.parametrize("text", ["llama_cpp = 3", "[llama_cpp]\nfolder = 3", "[llama_cpp]\nspeed = 'x'", "[llama_cpp"])
def test_a_bad_config_is_named(home: Home, text: str) -> None:
    home.config.write_text(text)
    with pytest.raises(QueueError) as caught:
        find_tools(home)
    assert caught.value.where == str(home.config)


def test_a_fine_tune_that_is_not_over_is_waited_for(home: Home, tiny_checkpoint: Path) -> None:
    run = store.allocate(home)
    model = {"name": "tiny", "source": str(tiny_checkpoint), "loader": "transformers"}
    store.create(home, run, {"id": run, "kind": "finetune", "task": None, "created": 1.0, "model": model})
    _index(home, run)
    assert plan_convert(home, f"#{run}", ConvertAsked(to="merged"))["after"] == [run]
