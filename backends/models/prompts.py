"""From messages to a model's prompt text and its input tensors, through the processor's own chat template."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from PIL import Image

from backends.models.base import Message

_PROBE = "fada-system-probe"


class PromptFormat:
    """Renders conversations for one processor.

    A template that refuses or silently drops a system message gets its text put before the user's instead, so that
    two models are always asked the same words.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer: Any = processor.tokenizer
        self.has_template = bool(getattr(processor, "chat_template", None))
        self._takes_system = self.has_template and self._keeps_system()

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text up to where the answer begins."""
        messages = list(messages) if self._takes_system else fold_system(messages)
        if not self.has_template:
            return "\n".join(_texts(messages))
        return str(self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    def answer_tail(self, messages: Sequence[Message], prompt: str, answer: str) -> str:
        """What the template writes after ``prompt`` (of the same messages) for ``answer``, its end mark included."""
        said: Message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        whole = [*(messages if self._takes_system else fold_system(messages)), said]
        text = str(self.processor.apply_chat_template(whole, add_generation_prompt=False, tokenize=False))
        return text[len(prompt) :] if text.startswith(prompt) else answer

    def encode(self, prompts: Sequence[str], images: Sequence[Image.Image], padding_side: str = "left") -> Any:
        """Input tensors of a batch, padded to its longest prompt."""
        bos = self.tokenizer.bos_token
        # A template that writes the begin token itself must not get a second one from the tokenizer.
        add_special = not (bos and prompts[0].startswith(bos))
        return self.processor(
            images=[[image] for image in images],
            text=list(prompts),
            padding=True,
            padding_side=padding_side,
            add_special_tokens=add_special,
            return_tensors="pt",
        )

    def _keeps_system(self) -> bool:
        probe: list[Message] = [
            {"role": "system", "content": [{"type": "text", "text": _PROBE}]},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]},
        ]
        try:
            return _PROBE in self.processor.apply_chat_template(probe, add_generation_prompt=True, tokenize=False)
        except TemplateError:
            return False


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The messages without system ones; their text comes first in the first user message, after the image."""
    system = [text for message in messages if message["role"] == "system" for text in _texts([message])]
    rest = [copy.deepcopy(message) for message in messages if message["role"] != "system"]
    if system and rest:
        content = rest[0]["content"]
        at = next((i for i, item in enumerate(content) if item["type"] == "text"), len(content))
        content.insert(at, {"type": "text", "text": "\n".join(system) + "\n"})
    return rest


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end an answer: the generation configuration's (one or several), else the tokenizer's."""
    ids = model.generation_config.eos_token_id
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return frozenset()
    return frozenset(ids if isinstance(ids, (list, tuple)) else [ids])


def _texts(messages: Sequence[Message]) -> list[str]:
    return [item["text"] for message in messages for item in message["content"] if item["type"] == "text"]
