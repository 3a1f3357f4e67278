"""Which files of a repo are taken, and how the hub's refusals read."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.catalog.remote import HubError, HubFile, ask_hub, needed
from tests.hub_server import HubServer


def names(*files: str, allow_pickle: bool = False) -> set[str]:
    return {file.name for file in needed("org/m", [HubFile(name, 1) for name in files], allow_pickle=allow_pickle)}


COMMON = {"config.json", "tokenizer.json", "chat_template.jinja", "merges.txt"}


def test_safetensors_before_pickles_and_never_code() -> None:
    found = names(*COMMON, "model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "modeling.py")
    assert found == COMMON | {"model.safetensors"}


def test_parts_come_with_their_index() -> None:
    parts = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    assert names(*COMMON, *parts) == COMMON | parts


def test_the_same_weights_in_another_layout_are_left_out() -> None:
    assert names("config.json", "model.safetensors", "consolidated.safetensors", "model.fp16.safetensors") == {
        "config.json",
        "model.safetensors",
    }
    assert names("params.json", "consolidated.safetensors") == {"params.json", "consolidated.safetensors"}


def test_what_lies_in_folders_is_of_other_programs() -> None:
    assert names("config.json", "model.safetensors", "onnx/model.bin", "gguf/x.json") == {
        "config.json",
        "model.safetensors",
    }


def test_pickles_only_when_agreed() -> None:
    with pytest.raises(HubError, match=r"only there as pytorch_model\.bin, a pickle"):
        names("config.json", "pytorch_model.bin")
    assert names("config.json", "pytorch_model.bin", allow_pickle=True) == {"config.json", "pytorch_model.bin"}


def test_a_model_as_the_hub_has_it(hub_server: HubServer, tiny_checkpoint: Path) -> None:
    repo = hub_server.add("org/m", tiny_checkpoint)
    found = ask_hub("org/m")
    assert (found.commit, found.licence, found.gated, found.pickled) == (repo.commit, "apache-2.0", False, None)
    assert found.bytes == sum(path.stat().st_size for path in tiny_checkpoint.iterdir())


def test_refusals_say_what_to_do(hub_server: HubServer, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_server.add("org/private", tiny_checkpoint, private=True)
    hub_server.add("org/code", tiny_checkpoint).files = {"run.py": b""}
    for repo, said, hint in (
        ("org/private", "the hub has no model org/private", "for a private one set HF_TOKEN"),
        ("org/nothing", "the hub has no model org/nothing", "check the spelling"),
        ("org/code", "holds no model", f"look at it: {hub_server.url}/org/code"),
    ):
        with pytest.raises(HubError, match=said) as raised:
            ask_hub(repo)
        assert hint in raised.value.hint
        assert raised.value.final
    monkeypatch.setenv("HF_TOKEN", "hf_WrongAltogether")
    with pytest.raises(HubError, match="HTTP 401") as raised:
        ask_hub("org/code")
    assert "hf_Wrong" not in raised.value.message + raised.value.hint
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached") as raised:
        ask_hub("org/code")
    assert not raised.value.final
