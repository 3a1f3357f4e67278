from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backends.jobs.job import JobError
from backends.models.prompts import PromptFormat, end_tokens
from backends.models.transformers_loader import TransformersModel, load
from backends.work.common import read_samples
from backends.work.encoding import IGNORED, Collate, EncodedSamples, Encoder

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> TransformersModel:
    return load(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def encoder(model: TransformersModel) -> Encoder:
    return Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))


def test_only_the_answer_and_its_end_have_loss(
    model: TransformersModel, encoder: Encoder, phantom_set: dict[str, str]
) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], 9, 0)
    batch = Collate(model.prompts.tokenizer.pad_token_id)(encoder.encode(samples))
    assert batch["labels"].shape == batch["input_ids"].shape == batch["attention_mask"].shape
    for sample, labels, inputs in zip(samples, batch["labels"], batch["input_ids"], strict=True):
        kept = labels[labels != IGNORED]
        assert model.prompts.tokenizer.decode(kept) == f" {sample.reference}<end_of_utterance>"
        assert torch.equal(inputs[labels != IGNORED], kept)
        assert model.model.config.image_token_index not in kept


def test_the_prompt_is_what_asking_sends(
    model: TransformersModel, encoder: Encoder, phantom_set: dict[str, str]
) -> None:
    sample = read_samples(phantom_set["train"], phantom_set["images"], 1, 0)[0]
    features = encoder.encode([sample])[0]
    text = model.prompts.tokenizer.decode(features["input_ids"][0][features["labels"][0] == IGNORED])
    assert text.endswith("Assistant:")
    assert sample.question in text
    assert text.count("<image>") == 16


def test_padding_has_neither_attention_nor_loss(
    model: TransformersModel, encoder: Encoder, phantom_set: dict[str, str]
) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], None, 0)
    collate = Collate(model.prompts.tokenizer.pad_token_id)
    batch = collate(encoder.encode(samples))
    padding = batch["attention_mask"] == 0
    assert padding.any()
    assert (batch["labels"][padding] == IGNORED).all()
    assert (batch["input_ids"][padding] == model.prompts.tokenizer.pad_token_id).all()
    assert collate.samples == len(samples)
    assert collate.tokens == int(batch["attention_mask"].sum())


def test_encoded_together_as_alone(encoder: Encoder, phantom_set: dict[str, str]) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], 7, 0)
    for together, sample in zip(encoder.encode(samples), samples, strict=True):
        alone = encoder.encode([sample])[0]
        assert together.keys() == alone.keys()
        assert all(torch.equal(together[name], alone[name]) for name in alone)


def test_an_image_that_cannot_be_decoded_is_named(
    encoder: Encoder, phantom_set: dict[str, str], tmp_path: Path
) -> None:
    sample = read_samples(phantom_set["train"], phantom_set["images"], 1, 0)[0]
    with pytest.raises(JobError, match=sample.image_path):
        encoder.encode([replace(sample, image_file=tmp_path / "gone.png")])


class FlatPatches(PromptFormat):
    """Gives the patches of all images in one row, as Qwen-VL's processors do."""

    def encode(self, prompts: Sequence[str], images: Sequence[Image.Image], padding_side: str = "left") -> Any:
        encoded = super().encode(prompts, images, padding_side)
        encoded["pixel_values"] = encoded["pixel_values"].reshape(-1, 3 * 64)
        return encoded


def test_patches_in_one_row_stay_with_their_image(
    model: TransformersModel, encoder: Encoder, phantom_set: dict[str, str]
) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], 3, 0)
    flat = Encoder(FlatPatches(model.processor), encoder.ends).encode(samples)
    for one, usual in zip(flat, encoder.encode(samples), strict=True):
        assert torch.equal(one["pixel_values"], usual["pixel_values"].reshape(-1, 3 * 64))
        assert torch.equal(one["input_ids"], usual["input_ids"])


def test_padding_changes_no_loss(model: TransformersModel, encoder: Encoder, phantom_set: dict[str, str]) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], None, 0)
    features = sorted(encoder.encode(samples), key=lambda f: f["input_ids"].shape[1])
    shortest, longest = features[0], features[-1]
    collate = Collate(model.prompts.tokenizer.pad_token_id)
    with torch.inference_mode():
        losses, counts = [], []
        for one in (shortest, longest):
            losses.append(float(model.model(**collate([one])).loss))
            counts.append(int((one["labels"] != IGNORED).sum()))
        both = float(model.model(**collate([shortest, longest])).loss)
    mean = (losses[0] * counts[0] + losses[1] * counts[1]) / sum(counts)
    assert both == pytest.approx(mean, rel=1e-4)


def test_tiles_of_images_are_padded_too() -> None:
    features = [
        {"input_ids": torch.ones(1, 3, dtype=torch.long), "pixel_values": torch.ones(1, tiles, 2)} for tiles in (1, 3)
    ]
    batch = Collate(0)(features)
    assert batch["pixel_values"].shape == (2, 3, 2)
    assert batch["pixel_values"][0, 1:].sum() == 0


def test_encoded_once_while_there_is_room(encoder: Encoder, phantom_set: dict[str, str]) -> None:
    samples = read_samples(phantom_set["train"], phantom_set["images"], 3, 0)
    roomy = EncodedSamples(samples, encoder)
    assert roomy[0] is roomy[0]
    full = EncodedSamples(samples, encoder, cache_bytes=10)
    assert full[0] is not full[0]
    assert torch.equal(full[0]["input_ids"], roomy[0]["input_ids"])
    assert len(full) == 3
