"""What two runs do not share besides their models: numbers of unlike runs stand side by side only with a warning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PARTS = ("kind", "task", "prompt", "seed", "generation", "scoring")
_SERVER = ("parameters", "image_format", "image_max_side", "system_role")
_DATA = ("sha256", "limit", "format")
_VERSIONS = ("torch", "transformers", "sentence-transformers", "peft", "tokenizers")


def unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What decides the result and differs in two specs, as "generation.batch_size 8, 16"; models are left out.

    Empty for runs whose numbers can be compared.
    """
    first, second = dict(_parts(a)), dict(_parts(b))
    keys = sorted(first.keys() | second.keys())
    return [
        f"{key} {_word(first.get(key))}, {_word(second.get(key))}" for key in keys if first.get(key) != second.get(key)
    ]


def _parts(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _PARTS:
        yield from _leaves(key, spec.get(key))
    for key in _SERVER:
        yield from _leaves(f"server.{key}", (spec.get("server") or {}).get(key))
    for name, part, keys in (("data", spec.get("data"), _DATA), ("versions", spec.get("versions"), _VERSIONS)):
        for key in keys:
            yield f"{name}.{key}", (part or {}).get(key)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(f"{key}.{name}", one)
    else:
        yield key, value


def _word(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 20 else f"{text[:12]}…"
