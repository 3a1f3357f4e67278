"""Where llama.cpp's own tools are on this machine: its converter, its quantiser, its server. Nothing is fetched.

``[llama_cpp]`` of config.toml names them one by one, or a ``folder``: its source with what was built in it. What is
not named there is looked for on PATH. A server can also be the Python package xllamacpp, which holds one.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from backends.jobs.errors import QueueError
from db.home import Home

CONVERTER, QUANTISER, SERVER = "converter", "quantiser", "server"
FILES = {CONVERTER: "convert_hf_to_gguf.py", QUANTISER: "llama-quantize", SERVER: "llama-server"}
_BUILT = ("", "build/bin", "bin")
"""Where a folder of llama.cpp has its programs."""
PACKAGE = "xllamacpp"
"""A server in a Python package."""
_KEYS = ("folder", *FILES)
_GIT = "git clone https://github.com/ggml-org/llama.cpp"
HINTS = {
    CONVERTER: f'{_GIT}, then in config.toml: [llama_cpp] folder = "/path/to/llama.cpp"; or `brew install llama.cpp`',
    QUANTISER: "in llama.cpp's folder: cmake -B build && cmake --build build -t llama-quantize; "
    "--quant q8_0 and f16 do without",
    SERVER: "pip install 'fada-tui[gguf]', or in llama.cpp's folder: cmake --build build -t llama-server",
}
"""How to get each."""


@dataclass(frozen=True)
class Tool:
    """``command`` is empty where there is none; ``problem`` says what is wrong with what config.toml names."""

    name: str
    command: tuple[str, ...] = ()
    source: str = ""
    """Where it was found: ``config.toml``, ``PATH``, or a package with its version."""
    problem: str | None = None

    @property
    def found(self) -> bool:
        return bool(self.command)

    def words(self) -> str:
        return " ".join(self.command[-1:]) + f" ({self.source})" if self.found else self.problem or "not found"


def find_tools(home: Home) -> dict[str, Tool]:
    """The three tools by name.

    Raises:
        QueueError: config.toml cannot be read, or its ``[llama_cpp]`` has something that is no path.
    """
    given = _settings(home.config)
    return {name: _find(name, given) for name in FILES}


def need_tools(home: Home, quant: str) -> dict[str, Tool]:
    """Those that a conversion to GGUF of this quantisation takes.

    Raises:
        QueueError: One is missing; says how to get it.
    """
    tools = find_tools(home)
    for name in (CONVERTER, QUANTISER) if needs_quantiser(quant) else (CONVERTER,):
        tool = tools[name]
        if not tool.found:
            what = tool.problem or f"llama.cpp's {name} ({FILES[name]}) is not on this machine"
            raise QueueError(what, str(home.config) if tool.problem else None, HINTS[name])
    return tools


def needs_quantiser(quant: str) -> bool:
    """The converter writes 16 bits and q8_0 by itself."""
    return quant not in ("f16", "bf16", "q8_0")


def _find(name: str, given: Mapping[str, str]) -> Tool:
    if name in given:
        path = Path(given[name]).expanduser()
        return _named(name, path) if path.is_file() else Tool(name, problem=f"llama_cpp.{name}: no file {path}")
    if "folder" in given:
        folder = Path(given["folder"]).expanduser()
        if not folder.is_dir():
            return Tool(name, problem=f"llama_cpp.folder: no folder {folder}")
        inside = next((path for part in _BUILT if (path := folder / part / FILES[name]).is_file()), None)
        if inside is not None:
            return _named(name, inside)
    on_path = shutil.which(FILES[name])
    if on_path:
        return Tool(name, (on_path,), "PATH")
    return _package() if name == SERVER else Tool(name)


def _named(name: str, path: Path) -> Tool:
    if name != CONVERTER and not os.access(path, os.X_OK):
        return Tool(name, problem=f"{path} cannot be executed")
    return Tool(name, (str(path),), "config.toml")


def _package() -> Tool:
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return Tool(SERVER)
    return Tool(SERVER, (PACKAGE,), f"package {version}")


def _settings(config: Path) -> dict[str, str]:
    try:
        table: Any = tomllib.loads(config.read_text(encoding="utf-8")).get("llama_cpp", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise QueueError(f"not readable as TOML: {error}", str(config)) from error
    example = 'write [llama_cpp] with folder = "/path/to/llama.cpp"'
    if not isinstance(table, dict):
        raise QueueError("llama_cpp is no table", str(config), example)
    for key, value in table.items():
        if key not in _KEYS or not isinstance(value, str) or not value:
            known = f"known, each a path: {', '.join(_KEYS)}"
            raise QueueError(f"llama_cpp.{key} cannot be {value!r}", str(config), known)
    return dict(table)
