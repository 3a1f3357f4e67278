"""What is looked at before a checkpoint is loaded: whether it is of a kind that may and can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, PretrainedConfig

from backends.jobs.job import JobError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_WHOLE = "give the folder that from_pretrained would take: config.json, processor, tokenizer and weights"


def check_loadable(source: str, revision: str | None, *, allow_pickle: bool = False) -> None:
    """That a checkpoint is of a native vision-language architecture, and its weights in safetensors.

    Args:
        source: A folder or a hub id.
        allow_pickle: A person has agreed to weights whose file format can carry code.

    Raises:
        JobError: Says what it is instead, and what to do.
    """
    config = _config(source, revision)
    _check_architecture(source, config)
    if Path(source).is_dir() and not allow_pickle:
        _refuse_pickles(Path(source))


def _config(source: str, revision: str | None) -> dict[str, Any]:
    try:
        config, _ = PretrainedConfig.get_config_dict(source, revision=revision)
    except (OSError, ValueError) as error:
        raise JobError(f"{source}: config.json does not load: {first_line(error)}", _WHOLE) from error
    if not config:
        raise JobError(f"{source}: config.json is missing or empty", _WHOLE)
    return dict(config)


def _check_architecture(source: str, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    version = transformers.__version__
    if not kind:
        raise JobError(f"{source}: config.json names no model_type", "this is not a transformers checkpoint")
    if kind not in CONFIG_MAPPING:
        code = config.get("auto_map")
        if code:
            raise JobError(
                f"{source}: model type {kind!r} brings its own code ({', '.join(sorted(map(str, code)))} in auto_map),"
                " which is not run here",
                f"take a checkpoint of an architecture that transformers {version} has itself (often named -hf);"
                " `fada model NAME` names the nearest",
            )
        raise JobError(
            f"{source}: model type {kind!r} is not known to transformers {version}",
            "it may be newer or misspelt in config.json; take a checkpoint of an architecture that is known",
        )
    if CONFIG_MAPPING[kind] not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise JobError(
            f"{source}: model type {kind!r} does not answer questions about images (no image-text-to-text class)",
            "take a vision-language checkpoint; a contrastive one is for --kind zero-shot",
        )


def _refuse_pickles(folder: Path) -> None:
    if list(folder.glob("*.safetensors")) or list(folder.glob("*.safetensors.index.json")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise JobError(
            f"{folder}: the weights are only there as {pickles[0]}, a pickle, which can carry code",
            "save them as safetensors where you trust the file: model.save_pretrained(FOLDER)",
        )


def first_line(error: BaseException) -> str:
    """The first line of what an error says, its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
