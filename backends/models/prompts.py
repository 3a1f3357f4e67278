"""From messages to a model's prompt text and its input tensors, through the processor's own chat template."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from PIL import Image

from backends.models.base import Message

_PROBE = "fada-system-probe"
_PREFIXED = ("PaliGemmaProcessor",)
_TASK = "answer en "
"""The words before a question in PaliGemma's own training."""


class PromptFormat:
    """Renders conversations for one processor.

    A template that refuses or silently drops a system message gets its text put before the user's instead, so that
    two models are always asked the same words.

    PaliGemma has no conversation: it reads the image, then a task in words on one line, and goes on with the answer.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer: Any = processor.tokenizer
        self.has_template = bool(getattr(processor, "chat_template", None))
        self.is_prefix = is_prefixed(processor)
        self._takes_system = self.has_template and self._keeps_system()

    @property
    def answer_type(self) -> int:
        """The token type of an answer in training. PaliGemma lets type 0 look ahead: its answer would be read off."""
        return 1 if self.is_prefix else 0

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text up to where the answer begins."""
        messages = list(messages) if self._takes_system else fold_system(messages)
        if self.is_prefix:
            return f"{self.processor.image_token}{_TASK}{' '.join(' '.join(_texts(messages)).split())}"
        return self._render(messages, add_generation_prompt=True)

    def answer_tail(self, messages: Sequence[Message], prompt: str, answer: str) -> str:
        """What the template writes after ``prompt`` (of the same messages) for ``answer``, its end mark included."""
        if self.is_prefix:
            return answer
        said: Message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        whole = [*(messages if self._takes_system else fold_system(messages)), said]
        text = self._render(whole, add_generation_prompt=False)
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

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        options: dict[str, Any] = {"add_generation_prompt": add_generation_prompt, "tokenize": False}
        if type(self.processor).__name__ == "SmolVLMProcessor":
            # Else it sets options of videos for every prompt, and warns of them.
            options["processor_kwargs"] = {"do_sample_frames": False}
        return str(self.processor.apply_chat_template(messages, **options))

    def _keeps_system(self) -> bool:
        probe: list[Message] = [
            {"role": "system", "content": [{"type": "text", "text": _PROBE}]},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]},
        ]
        try:
            return _PROBE in self._render(probe, add_generation_prompt=True)
        except TemplateError:
            return False


def is_prefixed(processor: Any) -> bool:
    """True where the prompt is an image and a task in words, and no conversation."""
    return not getattr(processor, "chat_template", None) and type(processor).__name__ in _PREFIXED


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The messages without system ones; their text comes first in the first user message, after the image."""
    system = [text for message in messages if message["role"] == "system" for text in _texts([message])]
    rest = [copy.deepcopy(message) for message in messages if message["role"] != "system"]
    if system and rest:
        content = rest[0]["content"]
        at = next((i for i, item in enumerate(content) if item["type"] == "text"), len(content))
        content.insert(at, {"type": "text", "text": "\n".join(system) + "\n"})
    return rest


def image_margins(processor: Any) -> tuple[str, str]:
    """The white space that the processor itself writes before and after an image, beside any chat template.

    Gemma 3's writes a blank line on both sides. Whoever renders the template without this processor leaves it out.
    """
    written = str(getattr(processor, "full_image_sequence", ""))
    return written[: len(written) - len(written.lstrip())], written[len(written.rstrip()) :]


def with_margins(messages: Sequence[Message], before: str, after: str) -> list[Message]:
    """The messages with text before and after every image; what follows an image is one text with ``after``."""
    found = [copy.deepcopy(message) for message in messages]
    for message in found:
        content: list[Any] = []
        for item in message["content"]:
            if item["type"] == "image":
                content += [{"type": "text", "text": before}, item, {"type": "text", "text": after}]
            elif len(content) > 1 and content[-2]["type"] == "image":
                content[-1] = {"type": "text", "text": content[-1]["text"] + item["text"]}
            else:
                content.append(item)
        message["content"] = content
    return found


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
