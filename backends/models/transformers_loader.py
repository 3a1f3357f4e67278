"""Load a checkpoint through the transformers Auto classes, and refuse one that does not load whole."""

from __future__ import annotations

import copy
import gc
import json
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from backends.jobs.job import JobError
from backends.models.base import Generation, Reply, Request
from backends.models.checkpoint import check_loadable, first_line
from backends.models.device import attention_kernel, device_name, pick_device, set_threads
from backends.models.mends import mend
from backends.models.precision import QUANTISED, dtype_of, quantisation
from backends.models.prompts import PromptFormat, end_tokens, is_prefixed

TOLD = {"output_loading_info": True, "ignore_mismatched_sizes": True}
"""So that transformers names the weights that do not fit; :func:`refuse_unfilled` refuses them."""
_INSTEAD = "check that the folder is a whole checkpoint of an architecture that this transformers version knows"


class TransformersModel:
    """A loaded model with its processor; satisfies :class:`backends.models.base.VisionLanguageModel`."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        generation: Generation,
        warnings: Sequence[str] = (),
        precision: str = "auto",
    ) -> None:
        self.model = model
        self.precision = precision
        self.processor = processor
        self.generation = generation
        self.prompts = PromptFormat(processor)
        self.warnings = list(warnings)
        self._idle_prompts: list[PromptFormat] = []

    @property
    def torch_device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def device(self) -> str:
        return device_name(self.torch_device)

    @property
    def revision(self) -> str | None:
        return getattr(self.model.config, "_commit_hash", None)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def facts(self) -> dict[str, str]:
        """How it was loaded: the type of its numbers, and the attention kernel."""
        numbers = str(self.model.dtype).removeprefix("torch.")
        return {
            "numbers": f"{self.precision}, computed in {numbers}" if self.precision in QUANTISED else numbers,
            "attention": str(getattr(self.model.config, "_attn_implementation", None) or "eager"),
            **({"revision": self.revision} if self.revision else {}),
        }

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer a batch in one ``generate``, prompts padded on the left."""
        return self.answer(self.prepare(batch)) if batch else []

    def prepare(self, batch: Sequence[Request]) -> Any:
        """The input tensors of a batch that is not empty, on the host."""
        with self._own_prompts() as prompts:
            return prompts.encode(
                [prompts.prompt(request.messages) for request in batch], [request.image for request in batch]
            )

    def answer(self, prepared: Any) -> list[Reply]:
        """Generate for what :meth:`prepare` made."""
        encoded = prepared.to(self.torch_device, dtype=self.model.dtype)
        prompt_length = encoded["input_ids"].shape[1]
        with torch.inference_mode():
            tokens = self.model.generate(**encoded, **self._generate_arguments())[:, prompt_length:]
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        ends = end_tokens(self.model, self.prompts.tokenizer)
        lengths = [_length(row, ends) for row in tokens.tolist()]
        return [Reply(text.strip(), length) for text, length in zip(texts, lengths, strict=True)]

    def unload(self) -> None:
        """Free the weights."""
        self.model = None
        self._idle_prompts.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _generate_arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "max_new_tokens": self.generation.max_new_tokens,
            "do_sample": self.generation.do_sample,
            "num_beams": 1,
        }
        if not self.generation.do_sample:
            arguments |= {"temperature": None, "top_p": None, "top_k": None}
        return arguments

    @contextmanager
    def _own_prompts(self) -> Iterator[PromptFormat]:
        """A prompt format that no other thread uses: a tokenizer that is in use cannot change how it pads."""
        try:
            prompts = self._idle_prompts.pop()
        except IndexError:
            prompts = PromptFormat(copy.deepcopy(self.processor))
        try:
            yield prompts
        finally:
            self._idle_prompts.append(prompts)


def _length(row: Sequence[int], ends: Container[int]) -> int:
    """Tokens up to the first end token, that one included."""
    return next((i + 1 for i, token in enumerate(row) if token in ends), len(row))


def load(
    source: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int = 1,
    *,
    revision: str | None = None,
    generation: Generation | None = None,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
    precision: str = "auto",
    allow_pickle: bool = False,
    known_as: str | None = None,
) -> TransformersModel:
    """Load ``source`` (a checkpoint folder, a LoRA folder or a hub id), with ``adapter`` on top where given.

    No code from the checkpoint is ever run. A local folder is read without asking the network.

    Args:
        trainable: leave an adapter's weights trainable.
        dtype: of the weights, instead of what ``precision`` says.
        precision: ``auto`` (bfloat16 on CUDA, float32 on the CPU), ``bf16``, ``fp16``, ``fp32``, ``8bit`` or ``4bit``.
        allow_pickle: a person has agreed to weights that are no safetensors.
        known_as: the hub id of what lies in a folder of the hub's cache: an adapter names it as its base.

    Raises:
        JobError: the folder is missing, has no processor, is not known, or does not fill the model's weights.
    """
    set_threads(threads)
    logging.disable_progress_bar()  # a log file is no terminal
    target = pick_device(device)
    source, adapter = split_adapter(str(source), adapter)
    if Path(source).is_dir():
        revision = None
    elif Path(source).is_absolute() or source.startswith("."):
        raise JobError(f"{source}: no such checkpoint folder", "give a folder that holds config.json, or a hub id")
    check_loadable(source, revision, allow_pickle=allow_pickle)
    processor = load_processor(source, revision)
    way = _Way.of(target, dtype or dtype_of(precision, target), precision, allow_pickle)
    model, warnings = _load_weights(source, revision, way)
    if known_as:
        model.name_or_path = model.config._name_or_path = known_as
        model.config._commit_hash = Path(source).name
    mend(model)
    if adapter is not None:
        model = load_adapter(model, Path(adapter), trainable)
    if way.quantised is None:
        model.to(target)
    model.eval()
    return TransformersModel(model, processor, generation or Generation(), warnings, precision)


@dataclass(frozen=True)
class _Way:
    """How weights are read."""

    dtype: torch.dtype
    attention: str | None = None
    quantised: Any = None
    device_map: dict[str, Any] | None = None
    allow_pickle: bool = False

    @classmethod
    def of(cls, device: torch.device, dtype: torch.dtype, precision: str, allow_pickle: bool) -> _Way:
        config = quantisation(precision, dtype)
        # Straight to where it runs: no second copy in main memory, and what is quantised cannot be moved.
        on_device = {"": device} if config is not None or device.type == "cuda" else None
        return cls(dtype, attention_kernel(device, dtype), config, on_device, allow_pickle)

    def arguments(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "dtype": self.dtype,
            "attn_implementation": self.attention,
            "quantization_config": self.quantised,
            "device_map": self.device_map,
            "use_safetensors": None if self.allow_pickle else True,
        }
        always = {"trust_remote_code": False, **TOLD}
        return always | {name: value for name, value in given.items() if value is not None}


def restore_weights(model: Any, folder: str | os.PathLike[str]) -> None:
    """Fill ``model`` with the weights of a checkpoint of the same architecture.

    Raises:
        JobError: as :func:`load`.
    """
    saved, _ = _load_weights(str(folder), None, _Way(model.dtype))
    model.load_state_dict(saved.state_dict())


def split_adapter(source: str, adapter: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """A LoRA folder given as the model names its base itself."""
    config = Path(source) / "adapter_config.json"
    if adapter is not None or not config.is_file() or (Path(source) / "config.json").is_file():
        return source, None if adapter is None else str(adapter)
    base = json.loads(config.read_text()).get("base_model_name_or_path")
    if not base:
        raise JobError(f"{config}: names no base model", "give the base model, and this folder as its adapter")
    return str(base), source


def load_processor(source: str, revision: str | None) -> Any:
    try:
        processor: Any = AutoProcessor.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError, AttributeError, TypeError) as error:
        raise JobError(
            f"{source}: the processor does not load: {first_line(error)}",
            "the folder needs processor and tokenizer files beside config.json (processor.save_pretrained writes them)",
        ) from error
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise JobError(
            f"{source}: no processor for images and text (found only {type(processor).__name__})",
            "copy the base model's processor files into the folder",
        )
    if not getattr(processor, "chat_template", None) and not is_prefixed(processor):
        raise JobError(
            f"{source}: the processor has no chat template",
            "put the chat_template.jinja of the instruction-tuned checkpoint beside its processor files",
        )
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def _load_weights(source: str, revision: str | None, way: _Way) -> tuple[Any, list[str]]:
    try:
        loaded = _from_pretrained(source, revision, way)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise JobError(f"{source}: the model does not load: {first_line(error)}", _INSTEAD) from error
    model, info = loaded
    return model, refuse_unfilled(source, info)


def refuse_unfilled(source: str, info: Any) -> list[str]:
    """Missing weights are refused: transformers fills them with random numbers and only logs it.

    Args:
        info: What it tells of the loading.

    Returns:
        Warnings.

    Raises:
        JobError: A weight is missing, or of another shape.
    """
    of_another_shape = [_shapes(*key) if isinstance(key, tuple) else str(key) for key in info["mismatched_keys"]]
    for what, keys in (("missing keys", map(str, info["missing_keys"])), ("mismatched keys", of_another_shape)):
        if found := sorted(keys):
            named = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            raise JobError(f"{source}: {len(found)} {what} in the weights: {named}", _INSTEAD)
    unexpected = sorted(info["unexpected_keys"])
    return [f"{source}: {len(unexpected)} weights were not used, {unexpected[0]} first"] if unexpected else []


def _shapes(name: str, saved: Sequence[int], wanted: Sequence[int]) -> str:
    """A weight whose file holds another shape than the configuration says."""
    return f"{name} is {'×'.join(map(str, saved))}, the configuration says {'×'.join(map(str, wanted))}"


def _from_pretrained(source: str, revision: str | None, way: _Way) -> Any:
    """As transformers loads it; FlashAttention is left out where the architecture has no use for it."""
    try:
        return AutoModelForImageTextToText.from_pretrained(source, revision=revision, **way.arguments())
    except (ValueError, ImportError) as error:
        if way.attention is None or "flash" not in str(error).lower():
            raise
    return AutoModelForImageTextToText.from_pretrained(
        source, revision=revision, **replace(way, attention=None).arguments()
    )


def load_adapter(model: Any, folder: Path, trainable: bool) -> Any:
    from peft import PeftModel

    if not (folder / "adapter_config.json").is_file():
        raise JobError(f"{folder}: no adapter_config.json", "give a folder that a LoRA fine-tune has left")
    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise JobError(
            f"{folder}: the adapter does not fit the model: {first_line(error)}",
            "use the base model that the adapter was trained on",
        ) from error
