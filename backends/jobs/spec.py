"""A run's spec: frozen at enqueue, so that code, data or settings that change later change nothing unseen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Container, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backends.jobs.servers import deciding
from backends.jobs.settings import telling

FORMAT = 1
_PACKAGES = ("fada-tui", "torch", "transformers", "sentence-transformers", "peft", "trl", "unsloth", "tokenizers")
_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE|SIGNATURE|BEARER|_(PAT|PWD|DSN)$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN|(?<![\w./~-])("
    r"(sk|hf|gh[opsur]|github_pat|glpat|npm|xox[abprs])[-_][\w-]{8,}(?![\w/-])|"
    r"AKIA[0-9A-Z]{16}|AIza[\w-]{20,}|eyJ[\w-]+\.[\w-]+\.)"
)
"""Tokens as their makers shape them; the name of a folder in a path is none."""
_NOT_OF_THE_JOB = ("FADA_EVENTS", "FADA_RUN", "_", "OLDPWD", "SHLVL", "LS_COLORS")
_DECIDES = (
    "kind",
    "task",
    "data",
    "prompt",
    "generation",
    "training",
    "scoring",
    "seed",
    "tool",
    "command",
    "versions",
)
_WHERE_AND_WHEN = ("path", "image_root", "images_sha256", "image_sizes", "problems")
"""Of a spec's data: what says where they lie or follows from their hash."""
_HASHED_WHOLE = 256 << 20
_OF_A_MODEL = (".json", ".jinja", ".txt", ".model", ".py", ".safetensors", ".bin")


def freeze(parts: Mapping[str, Any], key_names: Container[str] = ()) -> dict[str, Any]:
    """Complete a spec with what is true now: versions, cwd, environment, time, and its fingerprint.

    Args:
        key_names: Variables that hold keys, whatever they are called.
    """
    spec = {
        "format": FORMAT,
        **parts,
        "versions": installed_versions() | (parts.get("versions") or {}),
        "python": parts.get("python") or sys.executable,
        "cwd": _cwd(),
        "env": safe_environment(os.environ, key_names),
        "created": time.time(),
    }
    spec["fingerprint"] = fingerprint(spec)
    return spec


def fingerprint(spec: Mapping[str, Any]) -> str:
    """Hash of what decides the result: 16 hexadecimal digits.

    Where a file lies and when it was made do not; what is in it does.
    """
    parts = {key: spec.get(key) for key in _DECIDES} | _asked(spec)
    training = spec.get("training")
    if training:
        parts["training"] = {**telling(training), "eval_data": _content(training.get("eval_data"))}
    if spec.get("convert"):
        parts["convert"] = {key: spec["convert"].get(key) for key in ("to", "quant", "check")}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def asked_alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether one model was asked the same questions in the same way twice, so that equal answers are no surprise.

    How they were scored, how many at once and with which versions makes no difference.
    """
    if a.get("fingerprint") and a.get("fingerprint") == b.get("fingerprint"):
        return True
    known = all((spec.get("model") or {}).get("source") for spec in (a, b))
    return known and _asked(a) == _asked(b) and _generation(a) == _generation(b)


def _asked(spec: Mapping[str, Any]) -> dict[str, Any]:
    model = spec.get("model") or {}
    # A local checkpoint is what is in it; a hosted one is its name and revision.
    known_by = ("content",) if model.get("content") else ("source", "revision")
    parts = {
        "model": {key: model.get(key) for key in (*known_by, "loader", "parent", "quantisation")},
        "data": _content(spec.get("data")),
    }
    return parts | ({"server": deciding(spec["server"])} if spec.get("server") else {})


def _generation(spec: Mapping[str, Any]) -> list[Any]:
    generation = spec.get("generation") or {}
    return [spec.get("prompt"), {key: value for key, value in generation.items() if key != "batch_size"}]


def _content(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {key: value for key, value in data.items() if key not in _WHERE_AND_WHEN}


def model_content(folder: Path) -> str | None:
    """Hash of a local checkpoint: whole files up to 256 MiB, else name, size and time of the weights."""
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _OF_A_MODEL or path.name.endswith("_weights.pt"):
            digest.update(path.name.encode())
            status = path.stat()
            if status.st_size <= _HASHED_WHOLE:
                digest.update(path.read_bytes())
            else:
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def installed_versions() -> dict[str, str]:
    """Versions of the packages that decide results, from their metadata (nothing is imported)."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def safe_environment(environment: Mapping[str, str], key_names: Container[str] = ()) -> dict[str, str]:
    """The environment less anything that is a key by ``key_names`` or looks like a secret, by its name or its value."""
    keys = [value for name, value in environment.items() if name in key_names and value]
    return {
        name: value
        for name, value in environment.items()
        if name not in _NOT_OF_THE_JOB
        and not _SECRET_NAME.search(name)
        and not _SECRET_VALUE.search(value)
        and not any(key in value for key in keys)
    }


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
