"""Models that put images and texts into one space (CLIP and its kin): they rank sentences, they do not answer."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import AutoModel, AutoProcessor
from transformers.utils import logging

from backends.catalog.local import FETALCLIP_FILES
from backends.jobs.job import JobError
from backends.models.base import Reply, Request
from backends.models.device import device_name, pick_device, set_threads

OPEN_CLIP_HINT = "pip install 'fada-tui[contrastive]'"


class ContrastiveModel(Protocol):
    """Unit vectors of images and texts; their products are cosines."""

    @property
    def device(self) -> str:
        """Where it runs, in words."""

    def embed_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Of RGB images: (n, dimensions), on the CPU."""

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """The same of texts; what is too long is cut off."""

    def unload(self) -> None:
        """Free the weights."""


class TransformersContrastive:
    """CLIP, SigLIP and others that transformers gives ``get_image_features`` and ``get_text_features``."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model
        self.processor = processor

    @property
    def device(self) -> str:
        return device_name(self.model.device)

    def embed_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            return _unit(self.model.get_image_features(**inputs))

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        # SigLIP was trained on texts padded to the full length, CLIP does not mind.
        length = self.model.config.text_config.max_position_embeddings
        inputs = self.processor(
            text=list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            return _unit(self.model.get_text_features(**inputs))

    def unload(self) -> None:
        self.model = None
        _free()


class OpenClipContrastive:
    """A model of the open_clip package: FetalCLIP."""

    def __init__(self, model: Any, transform: Any, tokenizer: Any, device: torch.device) -> None:
        self.model = model
        self.transform = transform
        self.tokenizer = tokenizer
        self._device = device

    @property
    def device(self) -> str:
        return device_name(self._device)

    def embed_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        inputs = torch.stack([self.transform(image) for image in images]).to(self._device)
        with torch.inference_mode():
            return _unit(self.model.encode_image(inputs))

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        with torch.inference_mode():
            return _unit(self.model.encode_text(self.tokenizer(list(texts)).to(self._device)))

    def unload(self) -> None:
        self.model = None
        _free()


class ZeroShot:
    """Classifies by the cosine of an image and its classes' sentences; satisfies
    :class:`backends.models.base.VisionLanguageModel` with the class as answer, so that it is asked like one.

    A class is the normalised mean of the vectors of its sentences (Radford and others, ICML 2021, section 3.1.4).
    """

    revision: str | None = None

    def __init__(self, model: ContrastiveModel, classes: Sequence[str], sentences: Sequence[Sequence[str]]) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.anchors = torch.stack([_unit(model.embed_texts(texts).mean(0, keepdim=True))[0] for texts in sentences])

    @property
    def device(self) -> str:
        return self.model.device

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        """The nearest class of each image; the question does not matter."""
        if not batch:
            return []
        cosines = self.model.embed_images([request.image for request in batch]) @ self.anchors.T
        return [Reply(self.classes[at], 0) for at in cosines.argmax(1).tolist()]

    def unload(self) -> None:
        self.model.unload()


def load_contrastive(
    source: str, loader: str = "transformers", device: str = "auto", threads: int = 1, revision: str | None = None
) -> ContrastiveModel:
    """Load a checkpoint folder or hub id by ``loader``: ``transformers`` or ``open_clip``. Weights are kept in float32.

    Raises:
        JobError: it does not load, or is no contrastive model.
    """
    set_threads(threads)
    logging.disable_progress_bar()
    target = pick_device(device)
    if loader == "open_clip":
        return _load_open_clip(source, target, revision)
    try:
        processor: Any = AutoProcessor.from_pretrained(source, revision=revision, trust_remote_code=False)
        model, info = AutoModel.from_pretrained(
            source, revision=revision, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise JobError(
            f"{source}: the model does not load: {error}".splitlines()[0], "give a CLIP checkpoint"
        ) from error
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        raise JobError(f"{source}: {len(missing)} weights are missing, {missing[0]} first", "download it again")
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise JobError(
            f"{source} is no contrastive model ({type(model).__name__})",
            "zero-shot needs one like CLIP or FetalCLIP; a chat model is evaluated with --kind gt",
        )
    return TransformersContrastive(model.to(target).eval(), processor)


def _load_open_clip(source: str, device: torch.device, revision: str | None) -> ContrastiveModel:
    try:
        open_clip: Any = import_module("open_clip")
    except ImportError as error:
        raise JobError(f"{source} needs open_clip", OPEN_CLIP_HINT) from error
    config, weights = (_file(source, name, revision) for name in FETALCLIP_FILES)
    name = f"fada-{config.stem}"
    open_clip.factory._MODEL_CONFIGS[name] = json.loads(config.read_text(encoding="utf-8"))
    try:
        # Tensors only: pickled code in the weights is not run.
        model, _, transform = open_clip.create_model_and_transforms(name, pretrained=str(weights), weights_only=True)
    except UnpicklingError as error:
        hint = "get the weights from their publisher: a file of tensors holds no code"
        raise JobError(f"{weights}: the model does not load: it holds more than tensors", hint) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise JobError(f"{source}: the model does not load: {error}".splitlines()[0], "download it again") from error
    return OpenClipContrastive(model.to(device).eval(), transform, open_clip.get_tokenizer(name), device)


def _file(source: str, name: str, revision: str | None) -> Path:
    if Path(source).is_dir():
        path = Path(source) / name
        if not path.is_file():
            raise JobError(f"{path} is missing", "give the folder of FetalCLIP's configuration and weights")
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except (OSError, ValueError) as error:
        raise JobError(f"{source}: {name} cannot be had: {error}".splitlines()[0], "check the network") from error


def _unit(features: Any) -> torch.Tensor:
    """Vectors of length 1 on the CPU; newer transformers wrap them in an output."""
    vectors: torch.Tensor = getattr(features, "pooler_output", features)
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
