"""Models in an environment of their own, under an older transformers, some of them with code of their own.

Only what transformers has had since 4.33 is imported here, and that late: this runs in a worker whose Python is that
environment's (see backends.jobs.environments).
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backends.jobs.job import Job, JobError
from backends.jobs.remote_code import code_in, foreign_code, has_auto_map, still_agreed
from backends.models.base import Generation, Reply, Request
from backends.models.device import device_name, pick_device, set_threads
from backends.models.precision import dtype_of, quantisation
from backends.models.remote_code_families import FAMILIES, Family, Native
from backends.models.remote_code_parts import Parts
from backends.worker import say

_AUTO = ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModel")
_WHOLE = "check that the folder is a whole checkpoint, and that its code is made for this environment's transformers"


class RemoteModel:
    """A loaded model and the way in which its family is asked; one question at a time.

    Satisfies :class:`backends.models.base.VisionLanguageModel`.
    """

    def __init__(self, parts: Parts, family: Family, facts: dict[str, str], warnings: Sequence[str] = ()) -> None:
        self._parts: Parts | None = parts
        self._family: Family | None = family
        self._facts = facts
        self._device = device_name(parts.device)
        self.warnings = list(warnings)

    @property
    def device(self) -> str:
        return self._device

    @property
    def revision(self) -> str | None:
        return None if self._parts is None else self._parts.revision

    def facts(self) -> dict[str, str]:
        """How it was loaded."""
        return dict(self._facts)

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in batch]

    def _answer(self, request: Request) -> Reply:
        assert self._family is not None and self._parts is not None
        system, question = _words(request)
        with torch.inference_mode():
            said = self._family.answer(request.image.convert("RGB"), question, system)
        if isinstance(said, str):
            said = Reply(said, self._parts.count(said))
        if not isinstance(said, Reply):
            raise JobError(
                f"its code answered with a {type(said).__name__}, not with a text",
                "this version of its code is asked in another way than this program knows",
            )
        return Reply(said.text.strip(), said.output_tokens)

    def unload(self) -> None:
        self._parts = self._family = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _words(request: Request) -> tuple[str | None, str]:
    """The system prompt, and the question without its image."""
    system, question = None, ""
    for message in request.messages:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [one["text"] for one in content if one["type"] == "text"]
        if message["role"] == "system":
            system = "\n".join(parts)
        elif message["role"] == "user":
            question = "\n".join(parts)
    return system, question


def load_remote(job: Job, generation: Generation) -> RemoteModel:
    """The model of a spec that names an environment; its code is run where it is what was agreed to, and only then.

    Raises:
        JobError: Nobody has agreed to the code as it is now, or it does not load.
    """
    part = job.spec["model"]
    folder = _folder(job, part)
    record = part.get("remote_code")
    trusted = _check_code(job, folder, record)
    set_threads(int(job.spec.get("threads") or 1))
    # Nothing that lies compiled beside the code is read, and nothing is left there: the code's hash stays.
    sys.pycache_prefix = str(job.dir / "compiled")
    if trusted:
        job.events.message("info", f"runs the code of {part['source']}, agreed to on {record['agreed']}")
    shutil.rmtree(job.dir / "code", ignore_errors=True)  # what an attempt before this one ran
    loaded = load(
        folder,
        job.spec.get("device") or "auto",
        generation,
        trusted=trusted,
        precision=part.get("precision") or "auto",
        allow_pickle=bool(part.get("allow_pickle")),
        revision=part.get("revision"),
    )
    say(", ".join(f"{name} {value}" for name, value in loaded.facts().items()))
    for warning in loaded.warnings:
        job.events.message("warning", warning)
    return loaded


def _folder(job: Job, part: dict[str, Any]) -> Path:
    source = Path(part["source"])
    if source.is_absolute():
        if not source.is_dir():
            raise JobError(f"{source}: no such checkpoint folder", "give a folder that holds config.json")
        return source
    from backends.models.download import fetch

    folder = fetch(job, part["source"], part.get("revision"), allow_pickle=bool(part.get("allow_pickle")))
    if part.get("remote_code"):
        from backends.jobs.remote_fetch import fetch_code

        fetch_code(part["source"], folder.name)
    return folder


def _check_code(job: Job, folder: Path, record: dict[str, Any] | None) -> bool:
    """Whether code of the checkpoint may be run."""
    if record is None:
        if has_auto_map(folder) or code_in(folder, str(folder), None) is not None or foreign_code(folder):
            raise JobError(f"{folder} brings its own code, and nobody has agreed to run it", _AGREE)
        return False
    why = still_agreed(job.home, record, folder)
    if why is not None:
        raise JobError(f"{job.spec['model']['source']}: {why}; it was not run", _AGREE)
    return True


_AGREE = "queue it again with --trust-remote-code, which shows the code first"


def load(
    folder: Path,
    device: str,
    generation: Generation,
    *,
    trusted: bool,
    precision: str = "auto",
    allow_pickle: bool = False,
    revision: str | None = None,
) -> RemoteModel:
    """Load a checkpoint folder with the transformers that is there.

    Args:
        trusted: Its own code may be run.

    Raises:
        JobError: Its family is not known, or it does not load whole.
    """
    config = _config(folder)
    kind = str(config.get("model_type") or "")
    family_type = FAMILIES.get(kind) or _by_code(folder) or Native
    if family_type is Native and config.get("auto_map"):
        raise JobError(
            f"{folder}: this program does not know how a model of type {kind!r} is asked",
            f"known in an environment: {', '.join(FAMILIES)}, and what its transformers has itself",
        )
    target = pick_device(device)
    dtype = dtype_of(precision, target)
    way = _Way(folder, trusted, dtype, target, quantisation(precision, dtype), allow_pickle)
    try:
        parts = Parts(folder, way.load, target, dtype, generation, trusted, revision)
        family = family_type(parts)
    except JobError:
        raise
    except Exception as error:  # whatever code of another makes goes wrong in its own way
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            raise
        said = str(error).strip().splitlines()
        raise JobError(
            f"{folder}: the model does not load: {type(error).__name__}: {' '.join(said[:1])}", _WHOLE
        ) from error
    parts.model.eval()
    numbers = str(dtype).removeprefix("torch.")
    quantised = f"{precision}, computed in {numbers}" if way.quantised is not None else numbers
    return RemoteModel(parts, family, {"numbers": quantised, "asked as": family_type.__name__}, way.warnings)


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"{folder}: config.json does not load: {error}", _WHOLE) from error
    return found if isinstance(found, dict) else {}


def _by_code(folder: Path) -> type[Family] | None:
    """By a module that lies beside the weights: the model type of such a checkpoint says something else."""
    return next((family for family in FAMILIES.values() if family.beside and (folder / family.beside).exists()), None)


@dataclass
class _Way:
    """How weights are read."""

    folder: Path
    trusted: bool
    dtype: torch.dtype
    device: torch.device
    quantised: Any
    allow_pickle: bool

    def __post_init__(self) -> None:
        self.warnings: list[str] = []

    def load(self, owner: Any = None, **more: Any) -> Any:
        """The model, whole and on its device.

        Args:
            owner: The class that loads it; default: what its ``auto_map`` names, else what transformers has for it.
        """
        arguments: dict[str, Any] = {
            "torch_dtype": self.dtype,
            "trust_remote_code": self.trusted,
            "output_loading_info": True,
            "local_files_only": True,
            **more,
        }
        if not self.allow_pickle:
            arguments["use_safetensors"] = True
        if self.quantised is not None:
            arguments |= {"quantization_config": self.quantised, "device_map": {"": self.device}}
        model, info = (owner or self._owner()).from_pretrained(str(self.folder), **arguments)
        for key in ("missing_keys", "mismatched_keys"):
            names = sorted(str(one[0] if isinstance(one, tuple) else one) for one in info[key])
            if names:
                named = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
                raise JobError(f"{self.folder}: {len(names)} {key.replace('_', ' ')} in the weights: {named}", _WHOLE)
        if info["unexpected_keys"]:
            first = sorted(info["unexpected_keys"])[0]
            self.warnings.append(f"{self.folder}: {len(info['unexpected_keys'])} weights were not used, {first} first")
        return model if self.quantised is not None else model.to(self.device)

    def _owner(self) -> Any:
        import transformers

        named = _config(self.folder).get("auto_map") or {}
        for name in _AUTO:
            if name in named:
                return getattr(transformers, name)
        for name in _AUTO[1:]:
            owner = getattr(transformers, name, None)
            if owner is not None and _knows(owner, self.folder):
                return owner
        raise JobError(
            f"{self.folder}: transformers {transformers.__version__} has no class for it", "take another environment"
        )


def _knows(owner: Any, folder: Path) -> bool:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    return type(config) in getattr(owner, "_model_mapping", {})
