"""Checkpoints that are not whole, or not what they say: refused with what, where and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backends.jobs.job import JobError
from backends.models.transformers_loader import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("conformance-0")]


@pytest.fixture
def copy(checkpoint: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda architecture: Path(shutil.copytree(checkpoint(architecture), tmp_path / architecture))


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder: Path, words: str, **options: Any) -> JobError:
    with pytest.raises(JobError, match=words) as caught:
        load(folder, device="cpu", **options)
    assert str(folder) in str(caught.value)
    assert caught.value.hint
    return caught.value


def split(folder: Path) -> list[str]:
    """The weights in two files with an index, as large checkpoints are."""
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {name: parts[at * 2 // len(names)] for at, name in enumerate(names)}
    for part in parts:
        save_file({name: weights[name] for name in names if where[name] == part}, folder / part, {"format": "pt"})
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return parts


def test_a_missing_shard(copy: Callable[[str], Path]) -> None:
    folder = copy("qwen2_5_vl")
    parts = split(folder)
    assert load(folder, device="cpu").warnings == []
    (folder / parts[1]).unlink()
    refused(folder, parts[1])


def test_no_weights_at_all(copy: Callable[[str], Path]) -> None:
    folder = copy("gemma3")
    (folder / "model.safetensors").unlink()
    refused(folder, "does not load")


def test_weights_that_are_a_pickle_only(copy: Callable[[str], Path]) -> None:
    folder = copy("llava")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    error = refused(folder, r"pytorch_model\.bin, a pickle")
    assert "safetensors" in error.hint
    assert load(folder, device="cpu", allow_pickle=True).parameters > 10_000


def test_the_config_of_another_size(copy: Callable[[str], Path]) -> None:
    folder = copy("qwen2_5_vl")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    configure(folder, text_config=text | {"intermediate_size": 96})
    refused(folder, r"mismatched keys in the weights: \S+ is 32×64, the configuration says 32×96")


def test_the_config_of_more_layers_than_there_are(copy: Callable[[str], Path]) -> None:
    """transformers would fill the third layer with random numbers."""
    folder = copy("mistral3")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    configure(folder, text_config=text | {"num_hidden_layers": 3})
    refused(folder, r"missing keys in the weights: .*layers\.2\.")


def test_the_config_of_another_architecture(copy: Callable[[str], Path], checkpoint: Callable[[str], Path]) -> None:
    folder = copy("qwen2_vl")
    shutil.copy(checkpoint("qwen2_5_vl") / "config.json", folder / "config.json")
    refused(folder, "missing keys|mismatched keys|does not load")


def test_no_processor(copy: Callable[[str], Path]) -> None:
    folder = copy("idefics3")
    (folder / "processor_config.json").unlink()
    refused(folder, "processor")


def test_no_tokenizer(copy: Callable[[str], Path]) -> None:
    folder = copy("gemma3")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    refused(folder, "processor")


def test_no_chat_template(copy: Callable[[str], Path]) -> None:
    folder = copy("llava_next")
    (folder / "chat_template.jinja").unlink()
    refused(folder, "no chat template")


def test_no_config_or_an_empty_or_broken_one(copy: Callable[[str], Path]) -> None:
    folder = copy("llava")
    (folder / "config.json").write_text("{}")
    refused(folder, "config.json")
    (folder / "config.json").write_text('{"model_type": ')
    refused(folder, "config.json")
    (folder / "config.json").unlink()
    refused(folder, "config.json")


def test_code_of_its_own_is_named_and_not_run(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("llava")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    code = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    configure(folder, model_type="minicpmv", auto_map=code)
    error = refused(folder, "'minicpmv' brings its own code .*AutoModelForCausalLM")
    assert "fada model" in error.hint
    assert not (tmp_path / "ran").exists()


def test_code_beside_a_native_architecture_is_passed_over(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("llava")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    configure(folder, auto_map={"AutoModelForImageTextToText": "evil.Model"})
    assert load(folder, device="cpu").warnings == []
    assert not (tmp_path / "ran").exists()


def test_an_architecture_that_nobody_knows(copy: Callable[[str], Path]) -> None:
    folder = copy("llava")
    configure(folder, model_type="llava_quantum")
    refused(folder, "'llava_quantum' is not known to transformers")


def test_a_text_model_is_no_vision_model(copy: Callable[[str], Path]) -> None:
    folder = copy("llava")
    configure(folder, model_type="llama")
    refused(folder, "does not answer questions about images")
    configure(folder, model_type="clip")
    assert "zero-shot" in refused(folder, "does not answer questions about images").hint


def test_an_adapter_of_another_base(copy: Callable[[str], Path], tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    other = load(copy("mllama"), device="cpu")
    adapted = get_peft_model(other.model, LoraConfig(r=2, target_modules=r".*layers\.2\.self_attn\.q_proj"))
    adapted.save_pretrained(str(tmp_path / "adapter"))
    with pytest.raises(JobError, match="adapter does not fit") as caught:
        load(copy("qwen2_5_vl"), tmp_path / "adapter", "cpu")
    assert caught.value.hint
