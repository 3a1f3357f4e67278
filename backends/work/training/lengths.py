"""How many tokens each training sample has, and how many of them have loss, without encoding each of them.

The image's tokens follow from its size alone, the text's from the tokenizer: of each size one sample is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.data.images import ImageError, open_image, upright_size
from backends.data.sample import Sample
from backends.models.base import question_messages
from backends.work.encoding import EncodedSamples, Encoder, UnreadableImage

ENOUGH = 2_000
"""Samples, where only the share of the answers is wanted; the rest is like them."""
SIZES = 64


@dataclass(frozen=True)
class Counted:
    """``each`` is (tokens in all, tokens with loss) of a sample; of ``samples`` not all may have been counted."""

    each: list[tuple[int, int]]
    samples: int

    @property
    def tokens(self) -> int:
        return self._of_all(sum(tokens for tokens, _ in self.each))

    @property
    def loss_tokens(self) -> int:
        return self._of_all(sum(answer for _, answer in self.each))

    def only(self, samples: Sequence[Sample], kept: Sequence[Sample]) -> Counted:
        """Of those that are kept; ``samples`` is what was counted."""
        if len(kept) == len(samples):
            return self
        ids = {sample.id for sample in kept}
        return Counted([one for sample, one in zip(samples, self.each, strict=True) if sample.id in ids], len(kept))

    def words(self) -> str:
        """As "loss on 1,024 of 20,480 tokens an epoch (5.0 %): …"."""
        about = "" if len(self.each) == self.samples else "about "
        share = 100 * self.loss_tokens / max(1, self.tokens)
        return (
            f"loss on {about}{self.loss_tokens:,} of {self.tokens:,} tokens an epoch ({share:.1f} %): "
            "the answers; prompts and images are masked"
        )

    def _of_all(self, number: int) -> int:
        return round(number * self.samples / max(1, len(self.each)))


def count_tokens(encoder: Encoder, dataset: EncodedSamples, *, all_of_them: bool) -> Counted:
    """Count; a part of a large data set will do unless ``all_of_them``.

    Args:
        dataset: What is encoded on the way is kept there.
    """
    samples = dataset.samples
    part = list(range(len(samples)))
    if not all_of_them and len(samples) > ENOUGH:
        part = part[:: -(-len(samples) // ENOUGH)]
    texts = text_tokens(encoder, [samples[index] for index in part])
    of_image: dict[object, int] = {}
    sizes: dict[str, object] = {}
    each = []
    for index, (text, answer) in zip(part, texts, strict=True):
        sample = samples[index]
        if sample.image_path not in sizes:
            sizes[sample.image_path] = _size(sample)
        size = sizes[sample.image_path]
        if size not in of_image:
            if not all_of_them and len(of_image) >= SIZES:
                continue
            length = _encoded_length(dataset, index)
            if length is not None:
                of_image[size] = length - text
        each.append((text + of_image.get(size, 0), answer))
    return Counted(each, len(samples))


def text_tokens(encoder: Encoder, samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """Tokens of prompt and answer, the image as its mere mark, and of the answer alone."""
    made = []
    for sample in samples:
        messages = question_messages(sample.question, sample.system)
        prompt = encoder.prompts.prompt(messages)
        answer = len(encoder.answer_ids(messages, prompt, sample.reference))
        text = len(encoder.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        made.append((text + answer, answer))
    return made


def _encoded_length(dataset: EncodedSamples, index: int) -> int | None:
    """None where the image has broken since it was looked at; the training passes it over."""
    try:
        return int(dataset[index]["input_ids"].shape[1])
    except UnreadableImage:
        return None


def _size(sample: Sample) -> object:
    """Width and height; of an image that says nothing in its header, when it is decoded."""
    size = upright_size(sample)
    if size is not None:
        return size
    try:
        return open_image(sample).size
    except ImageError:
        return (0, 0)
