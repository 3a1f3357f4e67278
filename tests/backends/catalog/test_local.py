"""A checkpoint folder is checked whole before anything is queued, and the missing file is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.catalog.errors import ModelError
from backends.catalog.local import check_checkpoint

Write = Callable[[Path], Path]


@pytest.fixture
def folder(checkpoint: Write, tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "mine")


def complaint(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        check_checkpoint(folder)
    return caught.value


def test_a_whole_checkpoint_gives_its_model_type(folder: Path) -> None:
    assert check_checkpoint(folder) == "llava"


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("config.json", "config.json"),
        ("processor_config.json", "preprocessor_config.json"),
        ("tokenizer.json", "tokenizer"),
        ("model.safetensors", "model.safetensors"),
    ],
)
def test_each_missing_file_is_named(folder: Path, missing: str, named: str) -> None:
    (folder / missing).unlink()
    error = complaint(folder)
    assert named in error.message
    assert error.where == str(folder)
    assert error.hint


def test_the_older_processor_file_does_as_well(folder: Path) -> None:
    (folder / "processor_config.json").rename(folder / "preprocessor_config.json")
    assert check_checkpoint(folder) == "llava"


def test_a_cut_weight_file_says_how_much_is_there(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-10])
    error = complaint(folder)
    assert f"{whole - 10:,} of {whole:,} bytes" in error.message
    assert error.where == str(weights)


def test_a_weight_file_of_something_else_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>not found</html>" * 9)
    assert "no safetensors file" in complaint(folder).message


def test_a_git_lfs_pointer_is_recognised(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "git lfs pull" in (complaint(folder).hint or "")


def test_a_missing_part_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    parts = {"a.weight": "model-1.safetensors", "b.weight": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert "model-2.safetensors is missing (1 of 2 parts)" in complaint(folder).message


def test_a_broken_config_names_its_line(folder: Path) -> None:
    (folder / "config.json").write_text('{\n"model_type": "llava",\n}')
    assert complaint(folder).where == f"{folder / 'config.json'}:3"


def test_a_config_of_something_else_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    assert "model_type" in complaint(folder).message


def test_an_adapter_is_told_from_a_model_with_its_base(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Instruct"}')
    error = complaint(adapter)
    assert "LoRA adapter" in error.message
    assert "fada eval Qwen/Qwen3-VL-8B-Instruct --adapter" in (error.hint or "")


def test_a_run_directory_leads_to_the_model_in_it(checkpoint: Write, tmp_path: Path) -> None:
    inner = checkpoint(tmp_path / "7" / "model")
    assert str(inner) in (complaint(tmp_path / "7").hint or "")


def test_no_folder_and_a_file(folder: Path) -> None:
    assert "no such folder" in complaint(folder / "x").message
    assert "is a file" in complaint(folder / "config.json").message
