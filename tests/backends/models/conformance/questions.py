"""Questions that differ in every way that a batch has to even out: image size and shape, length, system message."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw

from backends.models.base import Generation, Request, question_messages
from backends.models.transformers_loader import TransformersModel

NEW_TOKENS = 8
GENERATION = Generation(max_new_tokens=NEW_TOKENS)


def picture(width: int, height: int, kind: int = 0) -> Image.Image:
    """A bright shape on black, which ``kind`` moves and colours."""
    image = Image.new("RGB", (width, height), (8, 8, 8))
    draw = ImageDraw.Draw(image)
    left, top = width * (0.1 + 0.1 * kind), height * (0.3 - 0.08 * kind)
    draw.ellipse((left, top, width * 0.9, height * 0.8), fill=(60 + 60 * kind, 210 - 50 * kind, 120))
    return image


def mixed() -> list[Request]:
    return [
        Request(picture(96, 72), question_messages("What plane is this?")),
        Request(picture(200, 60, 1), question_messages("Is the head to be seen? " * 4, "You are a sonographer.")),
        Request(picture(48, 130, 2), question_messages("Why?")),
        Request(picture(30, 30, 1), question_messages("Name the organ, and\nsay whether it is normal.")),
        Request(picture(130, 260), question_messages("Which trimester is it?")),
    ]


def tokens(model: TransformersModel, requests: Sequence[Request]) -> list[list[int]]:
    """The ids that were generated for each request, as far as :meth:`TransformersModel.ask` counts them.

    Two different random answers may read alike where their bytes are no UTF-8.
    """
    rows: list[list[int]] = []
    decode = model.processor.batch_decode

    def spy(ids: torch.Tensor, **options: object) -> list[str]:
        rows.extend(ids.tolist())
        return list(decode(ids, **options))

    model.processor.batch_decode = spy
    try:
        replies = model.ask(requests)
    finally:
        del model.processor.batch_decode
    return [row[: reply.output_tokens] for row, reply in zip(rows, replies, strict=True)]


def first_logits(model: TransformersModel, requests: Sequence[Request]) -> torch.Tensor:
    """The logits of each answer's first token (prompts are padded on the left)."""
    inputs = model.prepare(requests).to(model.torch_device, dtype=model.model.dtype)
    inputs.pop("labels", None)
    with torch.inference_mode():
        return model.model(**inputs).logits[:, -1].float()
