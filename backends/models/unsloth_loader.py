"""Load a checkpoint through unsloth's FastVisionModel: the same prompts, batches and answers, by its own kernels.

Only in a worker that imported unsloth first (:mod:`backends.models.unsloth_import`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch

from backends.jobs.job import JobError
from backends.models.base import Generation, Reply
from backends.models.checkpoint import check_loadable, first_line
from backends.models.device import pick_device, set_threads
from backends.models.mends import mend
from backends.models.precision import QUANTISED, dtype_of, quantisation
from backends.models.transformers_loader import (
    TransformersModel,
    load_adapter,
    load_processor,
    refuse_unfilled,
    split_adapter,
)
from backends.models.unsloth_import import usable

OPTIMISER = "adamw_8bit"
"""For what it trains on a card: AdamW of bitsandbytes, without which unsloth is not used."""
MAX_LENGTH = 4096
"""Tokens of prompt, image and answer that it prepares for where nobody says how many."""
_INSTEAD = "use --set method=peft for training, or --loader auto for an evaluation: transformers' own loader"


@dataclass(frozen=True)
class UnslothOptions:
    """What only unsloth takes."""

    max_length: int | None = None
    checkpointing: str | bool = "unsloth"
    """``unsloth`` keeps activations in main memory; True makes them again; False keeps them on the card."""


class UnslothModel(TransformersModel):
    """As its base. Asked while it is trained, it goes back to training after each batch."""

    in_training = False

    def facts(self) -> dict[str, str]:
        return super().facts() | {"loader": f"unsloth {version('unsloth')}"}

    def answer(self, prepared: Any) -> list[Reply]:
        """Generate; unsloth switches itself to inference for that, and switches checkpointing off."""
        if not self.in_training:
            return super().answer(prepared)
        was_training = self.model.training
        try:
            return super().answer(prepared)
        finally:
            fast_vision_model().for_training(self.model)
            self.model.train(was_training)


def load(
    source: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int = 1,
    *,
    generation: Generation | None = None,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
    precision: str = "auto",
    allow_pickle: bool = False,
    known_as: str | None = None,
    options: UnslothOptions | None = None,
) -> UnslothModel:
    """As :func:`backends.models.transformers_loader.load`, for a checkpoint folder.

    Raises:
        JobError: unsloth cannot be used here, or does not load this checkpoint.
    """
    options = options or UnslothOptions()
    why_not = usable({"device": device})
    if why_not is not None:
        raise JobError(f"unsloth cannot be used here: {why_not}", _INSTEAD)
    set_threads(threads)
    target = pick_device(device)
    source, adapter = split_adapter(str(source), adapter)
    if not Path(source).is_dir():
        raise JobError(f"{source}: no such checkpoint folder", "give a folder that holds config.json, or a hub id")
    check_loadable(source, None, allow_pickle=allow_pickle)
    processor = load_processor(source, None)
    numbers = dtype or dtype_of(precision, target)
    model, warnings = _from_pretrained(source, arguments(target, numbers, precision, options))
    model.name_or_path = model.config._name_or_path = known_as or source
    mend(model)
    if adapter is not None:
        model = load_adapter(model, Path(adapter), trainable)
        if trainable:
            model = fast_vision_model().post_patch_model(model, options.checkpointing)
    loaded = UnslothModel(model, processor, generation or Generation(), warnings, precision)
    if not trainable:
        fast_vision_model().for_inference(model)
    return loaded


def arguments(target: torch.device, numbers: torch.dtype, precision: str, options: UnslothOptions) -> dict[str, Any]:
    """What `FastVisionModel.from_pretrained` is given besides the folder.

    The same modules stay whole in 8 and 4 bits as in the native loader, and no mirror takes the checkpoint's place.
    """
    return {
        "max_seq_length": options.max_length or MAX_LENGTH,
        "dtype": numbers,
        "load_in_4bit": precision == "4bit",
        "load_in_8bit": precision == "8bit",
        "load_in_16bit": precision not in QUANTISED,
        "quantization_config": quantisation(precision, numbers),
        "device_map": {"": target.index or 0} if target.type == "cuda" else {"": "cpu"},
        "use_gradient_checkpointing": options.checkpointing,
        "use_exact_model_name": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "token": False,
    }


def fast_vision_model() -> Any:
    """The class that unsloth exports; never the first import of unsloth."""
    return sys.modules["unsloth"].FastVisionModel


def _from_pretrained(source: str, given: dict[str, Any]) -> tuple[Any, list[str]]:
    try:
        with _loading_told() as told, _plain_path(source) as path:
            model, _ = fast_vision_model().from_pretrained(path, **{k: v for k, v in given.items() if v is not None})
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # it raises a bare Exception too
        raise JobError(f"{source}: unsloth does not load the model: {_said(error)}", _INSTEAD) from error
    return model, [warning for info in told for warning in refuse_unfilled(source, info)]


@contextmanager
def _loading_told() -> Iterator[list[Any]]:
    """Collects what transformers tells of each loading: unsloth does not ask, and takes a checkpoint with gaps."""
    from transformers import PreTrainedModel

    original = PreTrainedModel.__dict__["from_pretrained"]
    told: list[Any] = []

    def from_pretrained(cls: Any, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        model, info = original.__func__(cls, *args, output_loading_info=True, **options)
        told.append(info)
        return (model, info) if output_loading_info else model

    replaced: Any = PreTrainedModel  # replacing a method is what is meant here
    replaced.from_pretrained = classmethod(cast(Any, from_pretrained))
    try:
        yield told
    finally:
        replaced.from_pretrained = original


@contextmanager
def _plain_path(source: str) -> Iterator[str]:
    """A path without the word "architecture": unsloth looks for it in error texts, and finds it in a path there."""
    if "architecture" not in source:
        yield source
        return
    with TemporaryDirectory(prefix="fada-") as folder:
        link = Path(folder) / "checkpoint"
        link.symlink_to(source, target_is_directory=True)
        yield str(link)


def _said(error: BaseException) -> str:
    return first_line(error).removeprefix("Unsloth:").strip()
