"""What has loss, how long samples are and which layers carry LoRA, on every native architecture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from backends.data.sample import Sample
from backends.models.base import question_messages
from backends.models.pixels import limit_pixels
from backends.models.prompts import end_tokens
from backends.models.transformers_loader import TransformersModel, load
from backends.work.encoding import IGNORED, Collate, EncodedSamples, Encoder, Features
from backends.work.training.lengths import count_tokens
from backends.work.training.lora import linear_layers, target_modules, with_lora
from tests.backends.models.conformance.questions import picture
from tests.backends.models.conformance.tiny.checkpoint import BUILDERS, build

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heavy")]

VISION = re.compile(r"vision|visual|projector|connector|aligner|merger|\.vit")
"""Names that only the parts that see have, in these models."""


@pytest.fixture(scope="module", params=list(BUILDERS))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersModel]:
    loaded = load(build(architecture, tmp_path_factory.mktemp("tiny") / architecture), device="cpu")
    yield loaded
    loaded.unload()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("pictures")
    asked = [
        ("What plane is this?", None, "The femur, in its length.", (96, 72)),
        ("Is the head to be seen? " * 3, "You are a sonographer.", "Yes", (200, 60)),
        ("Why?\nSay it.", None, "2nd trimester", (96, 72)),
        ("Name it", "Be brief.", "no", (30, 130)),
    ]
    made = []
    for at, (question, system, answer, size) in enumerate(asked):
        path = folder / f"{at}.png"
        picture(*size, at % 3).save(path)
        made.append(Sample(f"{at}.png#Q1", path.name, path, None, question, "Q1", answer, system))
    return made


@pytest.fixture(scope="module")
def encoder(model: TransformersModel) -> Encoder:
    return Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))


def test_the_answer_and_its_end_have_loss_and_nothing_else(
    model: TransformersModel, encoder: Encoder, samples: list[Sample]
) -> None:
    tokenizer = model.prompts.tokenizer
    batch = Collate(tokenizer.pad_token_id)(encoder.encode(samples))
    for sample, labels, ids in zip(samples, batch["labels"], batch["input_ids"], strict=True):
        kept = labels[labels != IGNORED]
        # Independent of how it was made: these tokens read as the reference, and are the row's last ones.
        assert tokenizer.decode(kept[:-1]).replace("<end_of_turn>", "").strip() == sample.reference
        assert int(kept[-1]) in encoder.ends
        places = (labels != IGNORED).nonzero().flatten()
        assert torch.equal(ids[places], kept)
        assert places.tolist() == list(range(int(places[0]), int(places[0]) + len(kept)))


def test_no_image_token_has_loss(model: TransformersModel, encoder: Encoder, samples: list[Sample]) -> None:
    """Mllama's lies beyond its head: in the labels it would end the training."""
    special = {
        getattr(model.model.config, name, None) for name in ("image_token_id", "image_token_index", "video_token_id")
    } - {None}
    vocabulary = model.model.get_output_embeddings().weight.shape[0]
    for features in encoder.encode(samples):
        kept = features["labels"][features["labels"] != IGNORED].tolist()
        assert special and not special & set(kept)
        assert max(kept) < vocabulary
        assert special & set(features["input_ids"].flatten().tolist())
    with torch.inference_mode():
        loss = model.model(**Collate(model.prompts.tokenizer.pad_token_id)(encoder.encode(samples))).loss
    assert torch.isfinite(loss)


def test_the_loss_is_that_of_the_answers_tokens(
    model: TransformersModel, encoder: Encoder, samples: list[Sample]
) -> None:
    """Computed again from the logits, token by token."""
    for features in encoder.encode(samples):
        with torch.inference_mode():
            made = model.model(**features)
        ids, labels = features["input_ids"][0], features["labels"][0]
        places = [at for at in range(len(ids)) if labels[at] != IGNORED]
        logs = made.logits[0].float().log_softmax(-1)
        expected = -sum(float(logs[at - 1, ids[at]]) for at in places) / len(places)
        assert float(made.loss) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_as_trl_masks_it(architecture: str, model: TransformersModel, encoder: Encoder, samples: list[Sample]) -> None:
    """TRL's own collator for prompts and completions, where the architecture has a chat template."""
    sft = pytest.importorskip("trl.trainer.sft_trainer")
    if architecture in ("paligemma", "minicpmv4_6"):
        pytest.skip("TRL makes no prompt of it")
    collator = sft.DataCollatorForVisionLanguageModeling(model.processor, completion_only_loss=True)
    for sample in (one for one in samples if one.system is None):
        theirs = collator([_as_trl(sample)])
        ours = encoder.encode([sample])[0]
        kept, wanted = _with_loss(ours), _with_loss(theirs)
        prompts = [
            int(features["input_ids"].shape[1]) - len(loss) for features, loss in ((theirs, wanted), (ours, kept))
        ]
        assert prompts[0] == prompts[1]
        if architecture == "mllama":
            assert wanted.pop(0) == model.prompts.tokenizer.bos_token_id  # TRL begins the answer anew
        if wanted[: len(kept)] != kept:
            # A template without an end mark: TRL teaches none, and the model would never stop.
            assert kept.pop() == model.prompts.tokenizer.eos_token_id
        assert wanted[: len(kept)] == kept
        # After the end token the template may write a line's end, which no generation ever reaches.
        assert model.prompts.tokenizer.decode(wanted[len(kept) :]).strip() == ""


def _as_trl(sample: Sample) -> dict[str, object]:
    from PIL import Image

    prompt = [dict(message) for message in question_messages(sample.question)]
    completion = [{"role": "assistant", "content": [{"type": "text", "text": sample.reference}]}]
    return {"prompt": prompt, "completion": completion, "images": [Image.open(sample.image_file).convert("RGB")]}


def _with_loss(features: Features) -> list[int]:
    labels: list[int] = features["labels"][0].tolist()
    return [label for label in labels if label != IGNORED]


def test_tokens_are_counted_without_encoding_each(encoder: Encoder, samples: list[Sample]) -> None:
    dataset = EncodedSamples(samples, encoder, cache_bytes=0)
    counted = count_tokens(encoder, dataset, all_of_them=True)
    real = encoder.encode(samples)
    assert counted.each == [(features["input_ids"].shape[1], len(_with_loss(features))) for features in real]
    assert counted.tokens == sum(features["input_ids"].shape[1] for features in real)
    assert "masked" in counted.words()


@pytest.mark.parametrize("targets", ["language", "vision", "both"])
def test_lora_is_where_it_was_wanted(targets: str, architecture: str, model: TransformersModel) -> None:
    names = list(linear_layers(model.model))
    seeing = {name for name in names if VISION.search(name)}
    assert seeing and set(names) - seeing
    wanted = {"language": set(names) - seeing, "vision": seeing, "both": set(names)}[targets]
    tuned = with_lora(model.model, {"r": 2, "alpha": 4, "dropout": 0.0, "targets": targets})
    try:
        carrying = {
            name.removeprefix("base_model.model.")
            for name, module in tuned.named_modules()
            if hasattr(module, "lora_A")
        }
        assert carrying == wanted
        trained = [name for name, parameter in tuned.named_parameters() if parameter.requires_grad]
        assert trained and all("lora_" in name for name in trained)
    finally:
        tuned.unload()


def test_a_tower_that_carries_no_lora_is_outside_of_the_gradient(
    model: TransformersModel, encoder: Encoder, samples: list[Sample]
) -> None:
    """So that its activations are not kept, which the estimate of the memory counts on."""
    batch = Collate(model.prompts.tokenizer.pad_token_id)(encoder.encode(samples))
    kept = {targets: _bytes_kept(model, batch, targets) for targets in ("language", "both")}
    assert 0 < kept["language"] < kept["both"]
    tuned = with_lora(model.model, {"r": 2, "targets": "language"})
    in_graph: list[str] = []

    def look(name: str) -> Callable[[object, object, object], None]:
        return lambda _module, _given, made: in_graph.append(name) if getattr(made, "requires_grad", False) else None

    hooks = [
        module.register_forward_hook(look(name))
        for name, module in tuned.named_modules()
        if VISION.search(name) and isinstance(module, torch.nn.Linear)
    ]
    try:
        assert hooks and tuned(**batch).loss.requires_grad
        assert in_graph == []
    finally:
        for hook in hooks:
            hook.remove()
        tuned.unload()


def _bytes_kept(model: TransformersModel, batch: Features, targets: str) -> int:
    """What a forward pass keeps for the backward one, weights left out."""
    tuned = with_lora(model.model, {"r": 2, "targets": targets})
    weights = {parameter.untyped_storage().data_ptr() for parameter in tuned.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = tuned(**batch).loss
        assert loss.requires_grad
        return sum(kept.values())
    finally:
        tuned.unload()


def test_named_modules_go_before_targets(model: TransformersModel) -> None:
    assert target_modules(model.model, {"targets": "vision", "target_modules": ["q_proj"]}) == ["q_proj"]
    assert target_modules(model.model, {}) == "all-linear"


def test_fewer_pixels_make_no_more_tokens(
    architecture: str, checkpoint_copy: Callable[[str], TransformersModel], samples: list[Sample]
) -> None:
    loaded = checkpoint_copy(architecture)
    encoder = Encoder(loaded.prompts, end_tokens(loaded.model, loaded.prompts.tokenizer))
    before = [features["input_ids"].shape[1] for features in encoder.encode(samples)]
    told: list[str] = []
    changed = limit_pixels(loaded.processor, 32 * 32, lambda _level, text: told.append(text))
    features = encoder.encode(samples)
    after = [one["input_ids"].shape[1] for one in features]
    assert changed != bool(told)
    assert sum(after) <= sum(before) if changed else after == before
    if architecture in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "pixtral", "mistral3", "idefics3", "smolvlm"):
        assert sum(after) < sum(before)
    with torch.inference_mode():
        assert torch.isfinite(loaded.model(**Collate(loaded.prompts.tokenizer.pad_token_id)(features)).loss)


@pytest.fixture
def checkpoint_copy(tmp_path: Path) -> Callable[[str], TransformersModel]:
    def get(architecture: str) -> TransformersModel:
        return load(build(architecture, tmp_path / architecture), device="cpu")

    return get
