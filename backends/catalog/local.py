"""A checkpoint folder of one's own: everything that loading it needs, checked before anything is queued."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from backends.catalog.errors import ModelError

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
FETALCLIP_FILES = ("FetalCLIP_config.json", "FetalCLIP_weights.pt")
"""In numansaeed/fetalclip-model; a folder of one's own is read the same way."""
_SINGLE = ("model.safetensors", "pytorch_model.bin")
_SAVED = "save it beside the weights: AutoProcessor.from_pretrained(BASE).save_pretrained(FOLDER)"


def check_checkpoint(folder: Path, *, own_code: bool = False) -> str:
    """That a folder holds a whole vision-language checkpoint in the transformers layout; its model type.

    Args:
        own_code: It is loaded by code of its own, which may need no processor file.

    Raises:
        ModelError: Says which file is missing, unreadable or cut short.
    """
    if not folder.is_dir():
        is_file = folder.exists()
        message = "is a file; a checkpoint is a folder" if is_file else "there is no such folder"
        raise ModelError(message, str(folder), "give the folder that holds config.json")
    kind = _check_config(folder)
    if not own_code and not _any(folder, _PROCESSORS):
        own = bool(read_json(folder / "config.json").get("auto_map"))
        hint = "it brings its own code (auto_map): --environment NAME, see `fada env list`" if own else _SAVED
        raise ModelError(f"no processor: {' or '.join(_PROCESSORS)} is missing", str(folder), hint)
    if not _any(folder, _TOKENIZERS):
        raise ModelError("no tokenizer: tokenizer.json is missing", str(folder), _SAVED)
    for path in weight_files(folder):
        check_weights(path)
    return kind


def check_open_clip(folder: Path) -> None:
    """That a folder holds FetalCLIP's own form: a configuration of the open_clip package, and weights.

    Raises:
        ModelError: Says which file is missing, unreadable or only a pointer.
    """
    config, weights = (folder / name for name in FETALCLIP_FILES)
    if "embed_dim" not in read_json(config):
        raise ModelError("is no configuration of open_clip", str(config), "copy the file again")
    if not weights.is_file():
        raise ModelError(f"{weights.name} is missing", str(folder), "download or copy the model again")
    check_weights(weights)


def is_open_clip(folder: Path) -> bool:
    """FetalCLIP's own form, as its repository has it."""
    return (folder / FETALCLIP_FILES[0]).is_file() and not (folder / "config.json").is_file()


def weight_files(folder: Path) -> list[Path]:
    """Every weight file of a checkpoint.

    Raises:
        ModelError: There is none, or a part that the index names is missing.
    """
    for single in _SINGLE:
        index = folder / f"{single}.index.json"
        if index.is_file():
            parts = sorted(set(read_json(index).get("weight_map", {}).values()))
            missing = [part for part in parts if not (folder / part).is_file()]
            if missing or not parts:
                what = f"{missing[0]} is missing ({len(missing)} of {len(parts)} parts)" if missing else "names no file"
                raise ModelError(f"{index.name}: {what}", str(folder), "download or copy the checkpoint again")
            return [folder / part for part in parts]
        if (folder / single).is_file():
            return [folder / single]
    raise ModelError("no weights: model.safetensors is missing", str(folder), "download or copy the checkpoint again")


def has_processor(folder: Path) -> bool:
    """Whether a checkpoint has what turns images and text into numbers, as far as names of files tell."""
    return _any(folder, _PROCESSORS) and _any(folder, _TOKENIZERS)


def check_weights(path: Path) -> None:
    """That a weight file is whole, as far as its first bytes tell.

    Raises:
        ModelError: It is cut short, or only points to the real file.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise ModelError("is a Git LFS pointer, not the weights", str(path), "run `git lfs pull` in that folder")
    if path.suffix == ".safetensors":
        header, length = safetensors_header(path)
        data = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        size = path.stat().st_size
        if length + data != size:
            raise ModelError(
                f"is cut short: {size:,} of {length + data:,} bytes", str(path), "download or copy it again"
            )


def safetensors_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The tensors of a safetensors file by name (``dtype``, ``shape``, ``data_offsets``), and where their data starts.

    The format: 8 bytes little-endian header length, the JSON header, the data.

    Raises:
        ModelError: It is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 1 << 27:
                raise ValueError("its header would be larger than 128 MiB")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return {name: dict(tensor) for name, tensor in header.items()}, 8 + length
    except (struct.error, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"is no safetensors file: {error}", str(path), "download or copy it again") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ModelError: It holds none; says the line.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ModelError(f"is not JSON: {error.msg}", f"{path}:{error.lineno}", "copy the file again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read: {error}", str(path)) from error
    if not isinstance(document, dict):
        raise ModelError("holds no JSON object", f"{path}:1", "copy the file again")
    return document


def _check_config(folder: Path) -> str:
    if (folder / "config.json").is_file():
        kind = read_json(folder / "config.json").get("model_type")
        if isinstance(kind, str) and kind:
            return kind
        raise ModelError("names no model_type", str(folder / "config.json"), "this is not a transformers checkpoint")
    if (folder / "adapter_config.json").is_file():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "BASE"
        raise ModelError(
            "is a LoRA adapter, not a model (adapter_config.json, no config.json)",
            str(folder),
            f"give the model it was trained on, and the run that made it: fada eval {base} --adapter RUN",
        )
    if list(folder.glob("*.gguf")):
        raise ModelError(
            "holds a GGUF file, which this version cannot ask", str(folder), "give the original checkpoint"
        )
    inner = next((name for name in ("model", "merged") if (folder / name / "config.json").is_file()), None)
    hint = f"did you mean {folder / inner}?" if inner else "give the folder that from_pretrained would take"
    raise ModelError("config.json is missing", str(folder), hint)


def _any(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)
