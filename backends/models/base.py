"""What every way of asking a vision-language model has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from PIL import Image

Message = dict[str, Any]
"""``{"role": "system" | "user" | "assistant", "content": [{"type": "image"} | {"type": "text", "text": str}, …]}``"""


@dataclass(frozen=True)
class Generation:
    """How answers are made. Greedy unless ``do_sample``."""

    max_new_tokens: int = 64
    do_sample: bool = False


@dataclass(frozen=True)
class Request:
    """One question: an RGB image and the conversation up to the answer; the user message holds one image item."""

    image: Image.Image
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Reply:
    """One answer. ``output_tokens`` counts what was generated, the end token included; None where a server does not
    tell.
    """

    text: str
    output_tokens: int | None


class VisionLanguageModel(Protocol):
    """A loaded model that answers batches of requests."""

    @property
    def device(self) -> str:
        """Where it runs, in words: ``cpu``, ``cuda:0 NVIDIA GeForce RTX 5090``."""

    @property
    def revision(self) -> str | None:
        """Commit of a hub model; None for a local folder."""

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order."""

    def unload(self) -> None:
        """Free the weights; the object is not used afterwards."""


@runtime_checkable
class LoadedHere(Protocol):
    """What a model has besides whose weights are in this process."""

    def facts(self) -> dict[str, str]:
        """How it was loaded: the type of its numbers, and what else there is to say."""


@runtime_checkable
class Preparing(Protocol):
    """What a model has besides whose inputs can be made ready while it answers others."""

    def prepare(self, batch: Sequence[Request]) -> Any:
        """The inputs of a batch, not None, for :meth:`answer`. Called in several threads at once."""

    def answer(self, prepared: Any) -> list[Reply]:
        """One reply a request, in order."""


def question_messages(question: str, system: str | None = None) -> tuple[Message, ...]:
    """The conversation that asks ``question`` about one image, image first."""
    user: Message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    if not system:
        return (user,)
    return ({"role": "system", "content": [{"type": "text", "text": system}]}, user)
