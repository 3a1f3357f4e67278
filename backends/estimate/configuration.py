"""A model's configuration without torch: from its folder, from the hub's cache, or from what was published of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from backends.catalog.errors import ModelError
from backends.catalog.hub import cached_snapshot
from backends.catalog.local import read_json
from backends.estimate.tally import Parameters
from backends.estimate.textparts import text_parameters
from backends.estimate.visionparts import vision_parameters

_HERE = Path(__file__)
_OF_KIND = {
    "qwen2_vl": ("qwen2_vl_text", "qwen2_vl_vision"),
    "qwen2_5_vl": ("qwen2_5_vl_text", "qwen2_5_vl_vision"),
    "qwen3_vl": ("qwen3_vl_text", "qwen3_vl_vision"),
    "internvl": ("qwen2", "internvl_vision"),
    "paligemma": ("gemma", "siglip_vision_model"),
    "gemma3": ("gemma3_text", "siglip_vision_model"),
    "idefics3": ("llama", "idefics3_vision"),
    "smolvlm": ("llama", "smolvlm_vision"),
    "lfm2_vl": ("lfm2", "siglip2_vision_model"),
    "mllama": ("mllama_text_model", "mllama_vision_model"),
    "llava": ("llama", "clip_vision_model"),
    "llava_next": ("llama", "clip_vision_model"),
    "llava_onevision": ("qwen2", "siglip_vision_model"),
    "deepseek_vl": ("llama", "siglip_vision_model"),
    "mistral3": ("mistral", "pixtral"),
    "minicpmv4_6": ("qwen3_5_text", "minicpmv4_6_vision"),
}
"""Type of text and vision where the checkpoint's parts name none."""
_ONE_TOWER = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "idefics3", "smolvlm", "lfm2_vl", "mllama")
"""Checkpoints of these write all sorts of things as the type of their vision part."""
_ONE_TEXT = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "mllama")
NATIVE = tuple(_OF_KIND)


@dataclass(frozen=True)
class Configuration:
    """``config``, ``text`` and ``vision`` with every default filled in; ``processor`` is the image processor's."""

    kind: str
    config: Mapping[str, Any]
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    processor: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """Where it was read, in words."""

    def parameters(self) -> Parameters | None:
        """None for an architecture that is not known."""
        try:
            text = text_parameters(self.text)
            vision = vision_parameters(self.kind, self.config, self.vision, self.text)
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
        if text is None or vision is None:
            return None
        rows, wide = int(self.text["vocab_size"]), int(self.text["hidden_size"])
        tied = bool(self.config.get("tie_word_embeddings", False))
        return Parameters(
            embeddings=(rows + (8 if self.kind == "mllama" else 0)) * wide,
            head=0 if tied else rows * wide,
            text_linear=text.linear,
            text_rest=text.rest,
            vision_linear=vision.linear,
            vision_rest=vision.rest,
            text_sides=text.sides,
            vision_sides=vision.sides,
            widest=max(text.widest, vision.widest),
        )


def find_configuration(source: str, revision: str | None = None) -> Configuration | None:
    """Of a folder or a hub id; None where it is not known."""
    folder = Path(source) if Path(source).is_dir() else cached_snapshot(source, revision) if source else None
    if folder is not None:
        return read_configuration(folder)
    document = published().get(source.casefold())
    return None if document is None else complete(document, document.get("processor") or {}, "published sizes")


def read_configuration(folder: Path) -> Configuration | None:
    """Of a checkpoint folder; None where it has no readable config.json with a text part."""
    try:
        document = read_json(folder / "config.json")
    except ModelError:
        return None
    try:
        return complete(document, _processor(folder), "config.json")
    except (AttributeError, KeyError, TypeError):
        return None


def complete(document: Mapping[str, Any], processor: Mapping[str, Any], source: str) -> Configuration | None:
    """A configuration with the defaults of its classes; None where it has no language model."""
    kind = str(document.get("model_type") or "")
    of_text, of_vision = _OF_KIND.get(kind, ("", ""))
    given_text = document.get("text_config") or document.get("llm_config")
    # Older checkpoints of Qwen2-VL have the language model's fields beside those of the whole.
    text = dict(given_text if isinstance(given_text, Mapping) else document)
    vision = dict(document.get("vision_config") or {})
    if kind in _ONE_TEXT or (of_text and text.get("model_type") in (None, kind)):
        text["model_type"] = of_text
    if kind in _ONE_TOWER or (of_vision and vision.get("model_type") not in _defaults()["vision"]):
        vision["model_type"] = of_vision
    text = {**_defaults()["text"].get(str(text.get("model_type")), {}), **_stated(text)}
    vision = {**_defaults()["vision"].get(str(vision.get("model_type")), {}), **_stated(vision)}
    text.setdefault("num_key_value_heads", text.get("num_attention_heads"))
    config = {**_defaults()["top"].get(kind, {}), **_stated(document)}
    if not text.get("num_hidden_layers") or not text.get("hidden_size"):
        return None
    return Configuration(kind, config, text, vision, processor, source)


def _stated(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}


@cache
def _defaults() -> dict[str, dict[str, dict[str, Any]]]:
    return tomllib.loads(_HERE.with_name("defaults.toml").read_text(encoding="utf-8"))


@cache
def published() -> dict[str, dict[str, Any]]:
    """Documents by hub id in lower case."""
    document = tomllib.loads(_HERE.with_name("published.toml").read_text(encoding="utf-8"))
    same = document.pop("same")
    return {name.casefold(): document[like] for name, like in same.items()} | {
        name.casefold(): one for name, one in document.items()
    }


def _processor(folder: Path) -> Mapping[str, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            try:
                document = read_json(folder / name)
            except ModelError:
                continue
            nested = document.get("image_processor")
            return nested if isinstance(nested, Mapping) else document
    return {}
