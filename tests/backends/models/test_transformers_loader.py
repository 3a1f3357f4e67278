from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from backends.jobs.job import JobError
from backends.models.base import Generation, Request, question_messages
from backends.models.prompts import PromptFormat, fold_system
from backends.models.transformers_loader import TransformersModel, _length, load

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> TransformersModel:
    return load(tiny_checkpoint, device="cpu", generation=Generation(max_new_tokens=10))


def _request(grey: int, question: str) -> Request:
    return Request(Image.new("RGB", (80, 60), (grey, grey, grey)), question_messages(question))


def test_a_batch_is_answered_as_its_members_alone(model: TransformersModel) -> None:
    requests = [
        _request(30, "Which plane?"),
        _request(200, "A much longer question about the whole image: is it good?"),
    ]
    together = model.ask(requests)
    assert together == [model.ask([request])[0] for request in requests]
    assert all(1 <= reply.output_tokens <= 10 for reply in together)
    assert model.ask([]) == []


def test_the_prompt_is_not_part_of_the_answer(model: TransformersModel) -> None:
    assert "Which" not in model.ask([_request(30, "Which plane?")])[0].text


def test_output_tokens_end_with_the_end_token() -> None:
    assert _length([7, 8, 3, 0, 0], {3}) == 3
    assert _length([7, 8], {3}) == 2


def test_one_thread_by_default(tiny_checkpoint: Path) -> None:
    torch.set_num_threads(2)
    load(tiny_checkpoint, device="cpu")
    assert torch.get_num_threads() == 1


def test_a_folder_without_a_processor_is_refused(copy: Path) -> None:
    for path in copy.iterdir():
        if path.name not in ("config.json", "generation_config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(JobError, match="processor") as caught:
        load(copy, device="cpu")
    assert caught.value.hint


def test_a_folder_with_only_a_tokenizer_is_refused(copy: Path) -> None:
    (copy / "processor_config.json").unlink()
    with pytest.raises(JobError, match="processor"):
        load(copy, device="cpu")


def test_missing_weights_are_refused_and_named(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    gone = next(key for key in weights if "self_attn.q_proj" in key)
    del weights[gone]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError, match=r"1 missing keys .*q_proj"):
        load(copy, device="cpu")


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    key = next(key for key in weights if "mlp.fc1.weight" in key)
    weights[key] = weights[key][:8].contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError):
        load(copy, device="cpu")


def test_unused_weights_are_a_warning(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["experts.7.weight"] = torch.zeros(2)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "experts.7.weight" in load(copy, device="cpu").warnings[0]


def test_cut_off_weights_are_refused(copy: Path) -> None:
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(JobError, match="does not load"):
        load(copy, device="cpu")


def test_code_in_a_checkpoint_is_not_run(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config |= {
        "model_type": "strange",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.M"},
    }
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(JobError):
        load(copy, device="cpu")
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no such checkpoint folder"):
        load(tmp_path / "nowhere", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_missing_card_is_said(tiny_checkpoint: Path) -> None:
    with pytest.raises(JobError, match="no CUDA card"):
        load(tiny_checkpoint, device="cuda")
    with pytest.raises(JobError, match="unknown device"):
        load(tiny_checkpoint, device="abacus")


def test_an_adapter_folder_without_its_config_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="adapter_config"):
        load(tiny_checkpoint, adapter=tmp_path, device="cpu")


TEMPLATES = {
    "refuses": "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}",
    "drops": "{% for m in messages %}{% if m['role'] != 'system' %}",
}
_REST = (
    "{{ m['role'] }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}\n"
)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_without_system_role_gets_it_in_the_question(tiny_checkpoint: Path, kind: str) -> None:
    processor = load(tiny_checkpoint, device="cpu").processor
    end = "{% endfor %}" if kind == "refuses" else "{% endif %}{% endfor %}"
    processor.chat_template = TEMPLATES[kind] + _REST + end
    prompt = PromptFormat(processor).prompt(question_messages("Which plane?", "Be brief."))
    assert prompt == "user: <image>Be brief.\nWhich plane?"


def test_folding_leaves_the_given_messages_alone() -> None:
    messages = question_messages("Which plane?", "Be brief.")
    folded = fold_system(messages)
    assert [message["role"] for message in folded] == ["user"]
    assert messages == question_messages("Which plane?", "Be brief.")
