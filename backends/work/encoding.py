"""Training examples for any processor: prompt and image tokens masked, loss on the answer's tokens only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.job import JobError
from backends.models.base import Message, question_messages
from backends.models.prompts import PromptFormat

IGNORED = -100
"""Label of a token without loss (the default of torch's cross-entropy)."""

Features = dict[str, Tensor]
"""Model inputs of one example, leading dimension 1 for sequences, with ``labels``."""

CACHE_BYTES = 512 * 2**20


class UnreadableImage(JobError):
    """An image that cannot be trained on."""


class Encoder:
    """Turns samples into features. The prompt is encoded exactly as when asking, the answer's tokens appended."""

    def __init__(self, prompts: PromptFormat, ends: frozenset[int]) -> None:
        self.prompts = prompts
        self.tokenizer = prompts.tokenizer
        self.ends = ends
        self._one_by_one = False

    def encode(self, samples: Sequence[Sample]) -> list[Features]:
        """Features of each sample, unpadded.

        Raises:
            UnreadableImage: an image cannot be decoded.
        """
        if self._one_by_one and len(samples) > 1:
            return [features for sample in samples for features in self.encode([sample])]
        messages = [question_messages(sample.question, sample.system) for sample in samples]
        prompts = [self.prompts.prompt(one) for one in messages]
        encoded = dict(self.prompts.encode(prompts, [_image(sample) for sample in samples]))
        if len(samples) > 1 and any(len(tensor) != len(samples) for tensor in encoded.values()):
            # Patches of all images in one row: only the processor knows whose they are.
            self._one_by_one = True
            return self.encode(samples)
        references = [sample.reference for sample in samples]
        answers = [self.answer_ids(*parts) for parts in zip(messages, prompts, references, strict=True)]
        return [self._features(encoded, row, torch.tensor(ids)) for row, ids in enumerate(answers)]

    def answer_ids(self, messages: Sequence[Message], prompt: str, reference: str) -> list[int]:
        """What the model is to say after ``prompt``, up to its end token: all that has loss."""
        tail = self.prompts.answer_tail(messages, prompt, reference)
        ids: list[int] = self.tokenizer(tail, add_special_tokens=False)["input_ids"]
        end = next((i for i, token in enumerate(ids) if token in self.ends), None)
        return [*ids, self.tokenizer.eos_token_id] if end is None else ids[: end + 1]

    def _features(self, encoded: dict[str, Tensor], row: int, answer: Tensor) -> Features:
        shape = encoded["input_ids"].shape
        real_rows = encoded["attention_mask"].bool()
        real = real_rows[row]
        features = {
            name: _append(name, tensor[row : row + 1][:, real], answer, self.prompts.answer_type)
            if tensor.shape[:2] == shape
            else (tensor if len(real_rows) == 1 else tensor[row : row + 1].clone())
            for name, tensor in encoded.items()
        }
        masked = torch.full((1, int(real.sum())), IGNORED)
        features["labels"] = torch.cat([masked, answer[None]], dim=1)
        return features


def _image(sample: Sample) -> Image.Image:
    try:
        return open_image(sample)
    except ImageError as error:
        raise UnreadableImage(
            f"{sample.image_path} cannot be trained on: {error}", "mend the image, or take its lines out of the data"
        ) from error


def _append(name: str, tensor: Tensor, answer: Tensor, answer_type: int) -> Tensor:
    if name == "input_ids":
        return torch.cat([tensor, answer[None]], dim=1)
    if name == "attention_mask":
        return torch.cat([tensor, torch.ones_like(answer)[None]], dim=1)
    if tensor.dim() == 2:  # token types
        return torch.cat([tensor, torch.full_like(answer, answer_type)[None]], dim=1)
    repeats = [tensor[:, -1:]] * len(answer)  # what text may look at: as the prompt's last token
    return torch.cat([tensor, *repeats], dim=1)


class EncodedSamples(Dataset[Features]):
    """Samples encoded when first used and kept while they fit in ``cache_bytes``: epochs repeat them.

    An image that breaks while the training runs ends nothing: the next sample in the data takes the place of its own,
    in every epoch, and ``on_bad`` is told once.

    Args:
        on_bad: Given the sample and what is wrong; may raise, where there are too many.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        encoder: Encoder,
        cache_bytes: int = CACHE_BYTES,
        on_bad: Callable[[Sample, UnreadableImage], None] | None = None,
    ) -> None:
        self.samples = samples
        self.encoder = encoder
        self.on_bad = on_bad
        self._bad: set[int] = set()
        self._room = cache_bytes
        self._kept: dict[int, Features] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Features:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Features]:
        """A batch at once: torch's data loader asks for it where it is there."""
        indices = [self._instead(index) for index in indices]
        new = [index for index in dict.fromkeys(indices) if index not in self._kept]
        try:
            encoded = self.encoder.encode([self.samples[index] for index in new]) if new else []
        except UnreadableImage:
            if self.on_bad is None:
                raise
            self._find_bad(new)
            return self.__getitems__(indices)
        made = dict(zip(new, encoded, strict=True))
        for index, features in made.items():
            size = sum(tensor.nbytes for tensor in features.values())
            if size <= self._room:
                self._room -= size
                self._kept[index] = features
        return [made[index] if index in made else self._kept[index] for index in indices]

    def _instead(self, index: int) -> int:
        if len(self._bad) == len(self.samples):
            raise JobError("no image of the training data can be read any more", "is their disk still there?")
        while index in self._bad:
            index = (index + 1) % len(self.samples)
        return index

    def _find_bad(self, indices: Sequence[int]) -> None:
        for index in indices:
            try:
                _image(self.samples[index])
            except UnreadableImage as error:
                self._bad.add(index)
                assert self.on_bad is not None
                self.on_bad(self.samples[index], error)


class Collate:
    """Joins features into a batch, padded on the right; counts the samples and tokens that went by."""

    def __init__(self, pad_id: int) -> None:
        self.fill: dict[str, int] = {"input_ids": pad_id, "labels": IGNORED}
        self.samples = 0
        self.tokens = 0

    def __call__(self, batch: Sequence[Features]) -> dict[str, Any]:
        self.samples += len(batch)
        self.tokens += sum(features["input_ids"].shape[1] for features in batch)
        joined = {name: _join([features[name] for features in batch], self.fill.get(name, 0)) for name in batch[0]}
        if "target_sizes" in joined:  # MiniCPM-V: the patches of all images in one long strip
            joined["pixel_values"] = torch.cat([features["pixel_values"] for features in batch], dim=-1)
        return joined


def _join(tensors: Sequence[Tensor], fill: int) -> Tensor:
    """Concatenate along the first dimension; the others are padded to the largest (tiles of images too)."""
    widest = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    padded = []
    for tensor in tensors:
        missing = [want - have for want, have in zip(widest, tensor.shape[1:], strict=True)]
        if any(missing):
            pads = [amount for miss in reversed(missing) for amount in (0, miss)]
            tensor = functional.pad(tensor, pads, value=fill)
        padded.append(tensor)
    return torch.cat(padded)
