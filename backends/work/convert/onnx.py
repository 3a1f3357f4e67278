"""A checkpoint as ONNX by transformers' own exporter: one forward pass of fixed shape, without a cache.

It shows that the model runs outside of torch, and is what ONNX runtimes start from; it is no fast decoder. Shapes are
those of one image that is not split into tiles, and of the longest question that it is checked on with its answer.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.job import Job, JobError
from backends.models.base import Generation, Message, Reply, Request, VisionLanguageModel, question_messages
from backends.models.checkpoint import first_line
from backends.models.prompts import PromptFormat, end_tokens
from backends.models.transformers_loader import TransformersModel, load
from backends.work.common import generation_of, read_samples, sync_folder
from backends.work.convert.check import ask
from backends.work.convert.exported import Exported
from backends.work.training.keep import sync_files

FILE = "model.onnx"
STEP = 32
"""Lengths are rounded up to it."""
_PLACEHOLDER = (512, 512)
_QUESTION = "What is shown in this image?"
_TILED = ("do_image_splitting", "crop_to_patches")
"""What image processors call it: SmolVLM, InternVL."""


def export(job: Job, whole: Path) -> Exported:
    """Write ``onnx/``: the graph with its weights, and the processor as it is to be used with it.

    Raises:
        JobError: The exporter cannot do it.
    """
    loaded = load(whole, None, "cpu", int(job.spec.get("threads") or 1), generation=generation_of(job.spec))
    one_tile, samples = _one_tile(loaded.processor), _samples(job)
    inputs, answer = _inputs(loaded, samples)
    alike = ask(job, loaded, samples, job.dir / "one_tile.jsonl") if one_tile and samples else None
    work, folder = job.dir / "onnx.tmp", job.dir / "onnx"
    for left in (work, folder):
        shutil.rmtree(left, ignore_errors=True)
    work.mkdir()
    try:
        _write(loaded, inputs, work / FILE)
    except Exception as error:
        raise JobError(
            f"the exporter cannot make ONNX of it: {first_line(error)}", "the log has the traceback; try --to gguf"
        ) from error
    loaded.processor.save_pretrained(str(work))
    model = _Asked(loaded.processor, end_tokens(loaded.model, loaded.prompts.tokenizer), generation_of(job.spec))
    loaded.unload()
    sync_files(work)
    work.rename(folder)
    sync_folder(job.dir)
    length = int(inputs["input_ids"].shape[1])
    if one_tile:
        job.events.message("info", "images are not split into tiles: the graph has one shape")
    job.events.message("info", f"one forward pass of {length} tokens, at most {answer} of them the answer's")
    facts = {"tokens": length, "one_tile": one_tile}
    return Exported((folder,), lambda: _open(folder, model, length), None, facts, alike)


def _one_tile(processor: Any) -> bool:
    """Tiles depend on an image's sides, and with them every shape: they are switched off. True where there were any."""
    images = processor.image_processor
    tiled = [name for name in _TILED if getattr(images, name, False)]
    for name in tiled:
        setattr(images, name, False)
    return bool(tiled)


def _samples(job: Job) -> list[Sample]:
    """The questions that it is checked on."""
    data = job.spec.get("data")
    if data is None:
        return []
    return read_samples(data["path"], data.get("image_root"), data.get("limit"), int(job.spec.get("seed") or 0))


def _inputs(loaded: TransformersModel, samples: Sequence[Sample]) -> tuple[dict[str, torch.Tensor], int]:
    """What is traced: the longest question with room for its answer; and that room."""
    room = loaded.generation.max_new_tokens
    encoded = [_encode(loaded.prompts, _picture(sample), _messages(sample)) for sample in samples]
    encoded = encoded or [_encode(loaded.prompts, Image.new("RGB", _PLACEHOLDER), question_messages(_QUESTION))]
    longest = max(encoded, key=lambda one: int(one["input_ids"].shape[1]))
    wanted = int(longest["input_ids"].shape[1]) + room
    return _filled(loaded.prompts, longest, -(-wanted // STEP) * STEP), room


def _picture(sample: Sample) -> Image.Image:
    try:
        return open_image(sample)
    except ImageError:
        return Image.new("RGB", _PLACEHOLDER)  # it fails when it is asked


def _messages(sample: Sample) -> tuple[Message, ...]:
    return question_messages(sample.question, sample.system)


def _encode(prompts: PromptFormat, image: Image.Image, messages: Sequence[Message]) -> dict[str, torch.Tensor]:
    encoded = dict(prompts.encode([prompts.prompt(messages)], [image.convert("RGB")]))
    encoded.pop("labels", None)  # PaliGemma's processor adds them
    return encoded


def _filled(prompts: PromptFormat, encoded: Mapping[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    fill = {"input_ids": int(prompts.tokenizer.pad_token_id), "token_type_ids": prompts.answer_type}
    return padded(encoded, length, fill)


def padded(encoded: Mapping[str, torch.Tensor], length: int, fill: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """One prompt's tensors (1, n) filled up on the right to (1, length): what is behind it is never looked at.

    Args:
        fill: With what, by tensor; 0 where nothing is said.
    """
    given = int(encoded["input_ids"].shape[1])
    if given > length:
        raise JobError(f"a question of {given} tokens does not fit the graph's {length}", "check it on other questions")
    filled = {}
    for name, tensor in encoded.items():
        if tensor.ndim == 2 and tensor.shape[1] == given:
            rest = torch.full((1, length - given), fill.get(name, 0), dtype=tensor.dtype)
            tensor = torch.cat([tensor, rest], dim=1)
        filled[name] = tensor
    return filled


def _write(loaded: TransformersModel, inputs: dict[str, torch.Tensor], path: Path) -> None:
    from transformers.exporters.configs import OnnxConfig
    from transformers.exporters.exporter_onnx import OnnxExporter

    for config in (loaded.model.config, loaded.model.config.get_text_config()):
        config.use_cache = False
    with torch.no_grad():
        OnnxExporter().export(loaded.model, inputs, config=OnnxConfig(output_path=str(path)))


class _Asked:
    """Satisfies :class:`backends.models.base.VisionLanguageModel`: greedy, a whole forward pass a token."""

    def __init__(self, processor: Any, ends: frozenset[int], generation: Generation) -> None:
        self.prompts = PromptFormat(processor)
        self.ends = ends
        self.generation = generation
        self.session: Any = None
        self.length = 0

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def revision(self) -> str | None:
        return None

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in batch]

    def unload(self) -> None:
        self.session = None

    def _answer(self, request: Request) -> Reply:
        encoded = _encode(self.prompts, request.image, request.messages)
        tensors = _filled(self.prompts, encoded, self.length)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        start = at = int(encoded["input_ids"].shape[1])
        said: list[int] = []
        while at < min(self.length, start + self.generation.max_new_tokens):
            token = int(self._logits(arrays)[0, at - 1].argmax())
            said.append(token)
            if token in self.ends:
                break
            arrays["input_ids"][0, at], arrays["attention_mask"][0, at] = token, 1
            at += 1
        text = self.prompts.tokenizer.decode(said, skip_special_tokens=True)
        return Reply(str(text).strip(), len(said))

    def _logits(self, arrays: Mapping[str, Any]) -> Any:
        wanted = {given.name: arrays[given.name] for given in self.session.get_inputs()}
        return self.session.run(["logits"], wanted)[0]


def _open(folder: Path, model: _Asked, length: int) -> Iterator[VisionLanguageModel]:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    model.session = onnxruntime.InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])
    model.length = length
    try:
        yield model
    finally:
        model.unload()
