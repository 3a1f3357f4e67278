"""What a family with code of its own is built from: model, tokenizer, processor, and its makers' modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from backends.jobs.job import JobError
from backends.models.base import Generation, Reply


class Parts:
    """What a family is built from; each part is loaded when it is first asked for."""

    def __init__(
        self,
        folder: Path,
        load: Callable[..., Any],
        device: torch.device,
        dtype: torch.dtype,
        generation: Generation,
        trusted: bool,
        revision: str | None = None,
    ) -> None:
        self.folder = folder
        self.device = device
        self.dtype = dtype
        self.generation = generation
        self.revision = revision
        self.model: Any = None
        self._load = load
        self._trusted = trusted
        self._tokenizer: Any = None

    def load(self, owner: Any = None, **more: Any) -> Any:
        self.model = self._load(owner, **more)
        return self.model

    @property
    def tokenizer(self) -> Any:
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            self._tokenizer = self._from(AutoTokenizer)
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def processor(self) -> Any:
        from transformers import AutoProcessor

        return self._from(AutoProcessor)

    def _from(self, owner: Any) -> Any:
        return owner.from_pretrained(str(self.folder), trust_remote_code=self._trusted, local_files_only=True)

    def said(self, tokens: Any) -> Reply:
        """What generated tokens say."""
        return Reply(self.tokenizer.decode(tokens.tolist(), skip_special_tokens=True), len(tokens))

    def count(self, text: str) -> int:
        """Tokens of an answer, from its text: where code of its own hands out nothing else."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def limits(self) -> dict[str, Any]:
        """What `generate` is told."""
        return {"max_new_tokens": self.generation.max_new_tokens, "do_sample": self.generation.do_sample}


def makers_module(parts: Parts, name: str) -> Any:
    """A module of the makers' that lies in the checkpoint's folder and was agreed to with it.

    Raises:
        JobError: It is not there.
    """
    top = name.partition(".")[0]
    if not any((parts.folder / place).exists() for place in (top, f"{top}.py")):
        raise JobError(
            f"{parts.folder} lacks {top}, its makers' code",
            f"copy {top} from the makers' repository beside config.json, and give that folder as the model",
        )
    if str(parts.folder) not in sys.path:
        sys.path.append(str(parts.folder))
    return import_module(name)
