"""Code that comes with a model runs only where a person has agreed to it, as it was then. Light; nothing is run here.

An agreement is for one repository at one revision (or one local folder) and for the bytes of its code. Code that has
changed is other code, and is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backends.jobs.errors import QueueError
from backends.jobs.files import read_json, write_json
from db.home import Home

_CODE = (".py", ".pyc", ".so")
_COMPILED = "__pycache__"
"""Never read: a worker keeps what it compiles elsewhere."""
_SHOWN = 12


@dataclass(frozen=True)
class CodeFile:
    """One file of it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Code:
    """All code in one checkpoint; ``repo`` is a hub id or an absolute folder, whose ``revision`` is None."""

    repo: str
    revision: str | None
    files: tuple[CodeFile, ...]

    @property
    def digest(self) -> str:
        text = "".join(f"{file.name}\0{file.sha256}\n" for file in self.files)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def words(self) -> str:
        return f"{self.repo} at {self.revision[:12]}" if self.revision else self.repo


class CodeConsentNeeded(QueueError):
    """Nobody has agreed to this code yet; ``facts`` is a sentence each."""

    def __init__(self, code: Code, facts: tuple[str, ...], hint: str) -> None:
        super().__init__(f"{code.words} brings its own code, and nobody has agreed to run it", hint=hint, details=facts)
        self.code = code
        self.facts = facts


def code_in(folder: Path, repo: str, revision: str | None) -> Code | None:
    """The code of a checkpoint's folder; None where there is none."""
    files = tuple(
        CodeFile(name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in sorted(_walk(folder))
    )
    return Code(repo, revision, files) if files else None


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if name not in (_COMPILED, ".git")]
        for name in names:
            path = Path(place, name)
            if path.suffix in _CODE and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def foreign_code(folder: Path) -> str | None:
    """Another repository that a configuration in the folder takes code from; None where none does.

    transformers reads ``auto_map`` of every configuration, and ``other/repo--module.Class`` there is code that lies
    elsewhere, at no certain revision.
    """
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size > 1 << 24 or "index" in path.name:
            continue
        document = read_json(path) or {}
        for word in _strings(document.get("auto_map")):
            if "--" in word:
                return word.split("--")[0]
    return None


def has_auto_map(folder: Path) -> bool:
    """Whether loading it the usual way runs code of its own."""
    documents = (read_json(folder / f"{name}.json") or {} for name in ("config", "preprocessor_config"))
    return any(document.get("auto_map") for document in documents)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def facts_of(code: Code, environment: str, folder: Path) -> tuple[str, ...]:
    """What is asked of a person, a sentence each."""
    size = sum(file.bytes for file in code.files)
    listed = [f"{file.name}  {file.bytes:,} bytes  sha256 {file.sha256[:12]}" for file in code.files[:_SHOWN]]
    if len(code.files) > _SHOWN:
        listed.append(f"… and {len(code.files) - _SHOWN} more files")
    return (
        "it would run as you, with everything that you may read, write and send",
        f"in the environment {environment} ({folder})",
        f"{len(code.files)} files of code, {size:,} bytes, in all {code.digest[:12]}:",
        *listed,
    )


def agreements(home: Home) -> list[dict[str, Any]]:
    """What was agreed to, oldest first."""
    try:
        paths = list(_folder(home).glob("*.json"))
    except OSError:
        return []
    found = [one for path in paths if (one := read_json(path)) is not None and "digest" in one]
    return sorted(found, key=lambda one: str(one.get("agreed")))


def agreed(home: Home, code: Code) -> dict[str, Any] | None:
    """The agreement to exactly this code at this revision; None where there is none."""
    found = read_json(_file(home, code))
    if found is None or (found.get("repo"), found.get("revision"), found.get("digest")) != _key(code):
        return None
    return found


def agree(home: Home, code: Code) -> dict[str, Any]:
    """Keep that a person has agreed."""
    _folder(home).mkdir(mode=0o700, exist_ok=True)
    record = {
        "repo": code.repo,
        "revision": code.revision,
        "digest": code.digest,
        "files": [asdict(file) for file in code.files],
        "agreed": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(_file(home, code), record)
    return record


def words_of(record: Mapping[str, Any]) -> str:
    """Of an agreement: which revision, which code, when."""
    at = f"at {str(record['revision'])[:12]}, " if record.get("revision") else ""
    files = len(record.get("files") or ())
    when = str(record.get("agreed"))[:16].replace("T", " ")
    return f"its own code {at}hash {str(record.get('digest'))[:12]}, {files} files, agreed {when}"


def agreed_words(home: Home, *repos: str | None) -> str | None:
    """The agreements to the code of these repositories, in words; None where there is none."""
    found = [words_of(one) for one in agreements(home) if one.get("repo") in repos]
    return "; ".join(found) or None


def withdraw(home: Home, what: str) -> list[dict[str, Any]]:
    """Take back every agreement to a repository, a folder, or code by the start of its hash; what was taken back."""
    given = str(Path(what).expanduser().absolute())
    gone = []
    for path in sorted(_folder(home).glob("*.json")) if _folder(home).is_dir() else ():
        one = read_json(path) or {}
        by_hash = len(what) >= 6 and str(one.get("digest")).startswith(what)
        if by_hash or one.get("repo") in (what, given):
            path.unlink()
            gone.append(one)
    return gone


def given_consent(
    home: Home, code: Code, *, agrees: bool | str, environment: str, folder: Path, hint: str
) -> dict[str, Any]:
    """The spec's record of what was agreed to.

    Args:
        agrees: A person says so now: of whatever code it is, or of code with one of these hashes.

    Raises:
        CodeConsentNeeded: Nobody has agreed to this code.
    """
    now = code.digest in agrees.split(",") if isinstance(agrees, str) else agrees
    record = agreed(home, code) or (agree(home, code) if now else None)
    if record is None:
        raise CodeConsentNeeded(code, facts_of(code, environment, folder), hint)
    return record


def still_agreed(home: Home, record: Mapping[str, Any], folder: Path) -> str | None:
    """Why code must not be run now, right before it would be; None where all is as it was agreed to."""
    code = code_in(folder, str(record.get("repo")), record.get("revision"))
    if code is None:
        return "its code is gone"
    if code.digest != record.get("digest"):
        was = {str(file["name"]): file["sha256"] for file in record.get("files") or ()}
        now = {file.name: file.sha256 for file in code.files}
        changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
        return f"its code has changed since it was agreed to: {', '.join(changed[:5])}"
    other = foreign_code(folder)
    if other is not None:
        return f"its configuration takes code from {other}, which nobody has agreed to"
    if agreed(home, code) is None:
        return "the agreement to its code was withdrawn"
    return None


def _key(code: Code) -> tuple[str, str | None, str]:
    return code.repo, code.revision, code.digest


def _folder(home: Home) -> Path:
    return home.root / "agreed"


def _file(home: Home, code: Code) -> Path:
    known = hashlib.sha256(json.dumps(_key(code)).encode()).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "-", code.repo).strip("-.")[-60:]
    return _folder(home) / f"{name}-{known}.json"
