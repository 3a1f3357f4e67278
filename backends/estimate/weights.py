"""What is known of a model's size, and the bytes its weights take in 32, 16, 8 or 4 bits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from backends.catalog.errors import CatalogError, ModelError
from backends.catalog.hub import cached_snapshot, list_of_files
from backends.catalog.local import read_json
from backends.catalog.reader import load_catalog
from backends.catalog.remote import PICKLED
from backends.estimate.configuration import Configuration, find_configuration
from backends.estimate.geometry import read_tensors, stored_params
from backends.estimate.parts import Part, part

_UNKNOWN_B = 8.0
_PLAIN_NF4 = 0.516
"""Bytes a weight: four bits, and the block scales quantised twice (Dettmers et al. 2023, QLoRA, section 3)."""
_USUAL_NF4 = 2 / 3.6
"""As published 4-bit checkpoints measure: scales in 32 bits, some layers whole."""
_LEFT_WHOLE = 0.12
"""Of the packed layers, what "dynamic" 4-bit checkpoints leave in 16 bits at most."""
_UNLIKE = 0.03
"""Where the files differ from their configuration by more, the files are believed."""
_IN_32_BITS = 1.6
"""Files that have so many times the parameters that the name says, were they in 16 bits, are not."""
_WEIGHTS = ("*.safetensors", *PICKLED)
_LISTED = "the files that the hub has"
_ROUNDING = (0.99, 1.03)
"""Shared tensors are stored once; the allocator rounds each up to 2 MiB segments."""


@dataclass(frozen=True)
class Weights:
    """Parameters in all; those in linear layers of the text and of the vision part; and LoRA's at rank 1."""

    params: float
    text_linear: float
    vision_linear: float
    sides: float
    widest: float
    configuration: Configuration | None
    source: str
    spread: float
    """How far the number of parameters may be off, as a share."""
    text_share: float = 0.85
    """Of LoRA's parameters over all linear layers, those in the language model; about, where nobody counted."""

    def adapted(self, targets: str) -> float:
        """LoRA's parameters at rank 1 on the layers of ``language``, ``vision`` or ``both``."""
        share = {"language": self.text_share, "vision": 1 - self.text_share}.get(targets, 1.0)
        return self.sides * share


def find_weights(model: Mapping[str, Any], user_catalog: Path | None = None) -> Weights:
    """By the weight files, else the configuration, else the catalogue, else the name, else a guess."""
    source, name = str(model.get("source") or ""), str(model.get("name") or "")
    folder = Path(source) if Path(source).is_dir() else cached_snapshot(source, model.get("revision"))
    configuration = find_configuration(source, model.get("revision"))
    counted = configuration.parameters() if configuration else None
    tensors = read_tensors(folder) if folder else None
    unlike = tensors and counted and abs(tensors.params - counted.total) > _UNLIKE * counted.total
    if tensors and (not counted or unlike):
        packed = tensors.params - tensors.kept_params
        how = "parameters counted in the weight files"
        return Weights(tensors.params, packed, 0, tensors.adapted_sides, packed / 100, configuration, how, 0.0)
    if configuration and counted:
        total = tensors.params if tensors else counted.total
        where = "in the weight files" if tensors else f"from its {configuration.source}"
        return Weights(
            total,
            counted.text_linear,
            counted.vision_linear,
            counted.sides,
            counted.widest,
            configuration,
            f"parameters counted {where}",
            0.0,
            counted.text_sides / max(1, counted.sides),
        )
    stored = stored_params(folder) if folder else None
    if stored:
        return _guessed(stored / 1e9, configuration, "parameters by the size of the weight files", 0.02)
    listed = _listed_bytes(source, str(model.get("revision") or ""))
    return _by_name(source, name, configuration, user_catalog, listed)


def _listed_bytes(source: str, commit: str) -> int:
    """Of the weight files that the hub said it has of a commit; 0 where it was not asked."""
    if not commit or "/" not in source or Path(source).is_absolute():
        return 0
    try:
        files = read_json(list_of_files(source, commit))
        return sum(int(size) for file, size in files.items() if any(fnmatch(file, kind) for kind in _WEIGHTS))
    except (ModelError, TypeError, ValueError):
        return 0


def _by_name(
    source: str, name: str, configuration: Configuration | None, user_catalog: Path | None, listed: int
) -> Weights:
    try:
        catalog = load_catalog(user_catalog)
    except CatalogError:
        catalog = load_catalog()
    entry, variant = catalog.lookup(source) or catalog.lookup(name) or (None, None)
    stated = (variant.params_b if variant else None) or (entry.params_b if entry else None)
    if stated:
        return _guessed(stated, configuration, "parameters by the catalogue", 0.03)
    size = re.search(r"(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", f"{source} {name}", re.IGNORECASE)
    if size:
        billions = float(size[1]) / (1 if size[2].lower() == "b" else 1000)
        if listed:  # the name rounds; and it tells weights that are kept in 32 bits
            each = 4 if listed / 2e9 > _IN_32_BITS * billions else 2
            return _guessed(listed / each / 1e9, configuration, f"parameters by {_LISTED}", 0.03)
        return _guessed(billions, configuration, "parameters by its name", 0.15)
    if listed:
        return _guessed(listed / 2e9, configuration, f"parameters by {_LISTED}, as if in 16 bits", 0.03)
    return _guessed(_UNKNOWN_B, configuration, "parameters assumed, its size is not known", 0.5)


def _guessed(billions: float, configuration: Configuration | None, source: str, spread: float) -> Weights:
    # Of the published models with an open config, embeddings are near an eighth and the vision tower near a twelfth;
    # LoRA over all linear layers has about 0.03 % of the parameters at rank 1.
    params = billions * 1e9
    return Weights(params, params * 0.8, params * 0.08, params * 3e-4, params * 0.008, configuration, source, spread)


def weights_part(weights: Weights, precision: str, width: int) -> Part:
    """The loaded weights; without a precision ``width`` bytes each."""
    down, up = _ROUNDING[0] - weights.spread, _ROUNDING[1] + weights.spread
    if precision == "4bit":
        rest = weights.params - weights.text_linear
        low = (weights.text_linear + weights.vision_linear) * _PLAIN_NF4 + (rest - weights.vision_linear) * 2
        likely = weights.text_linear * _USUAL_NF4 + rest * 2
        high = likely + _LEFT_WHOLE * weights.text_linear * (2 - _USUAL_NF4)
        how = "4 bits; embeddings, head, norms and vision tower in 16"
        return Part("weights", int(low * down), int(likely), int(high * up), how)
    if precision == "8bit":
        rest = weights.params - weights.text_linear
        low = weights.params + rest - weights.vision_linear
        how = "8 bits; embeddings, head, norms and vision tower in 16"
        return Part("weights", int(low * down), int(weights.params + rest), int((weights.params + rest) * up), how)
    each = {"bf16": 2, "fp16": 2, "fp32": 4}.get(precision, width)
    return part("weights", weights.params * each, down, up, f"{each * 8} bits each")
