"""Writes docs/models.md: what the conformance tests have seen of each catalogued model, and what not.

    python -P tests/backends/models/conformance/table.py SEEN DOCUMENT

SEEN is the folder that the tests left (``FADA_CONFORMANCE``). `make docs` runs both.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from backends.catalog.entry import Entry
from backends.catalog.environments import load_recipes
from backends.catalog.reader import SHIPPED, Catalog, load_catalog
from backends.models.remote_code_families import FAMILIES
from tests.backends.models.conformance.seen import COLUMNS, read, read_environments

PACKAGES = ("torch", "torchvision", "transformers", "peft", "bitsandbytes")
NOT_MADE = "a recipe that nobody has made"
Seen = Mapping[str, Mapping[str, Sequence[str]]]

BEGIN = """# Models: what has been seen

Written by `make docs` from the catalogue and from what the conformance tests saw; not edited by hand.

A cell tells what was seen **on a tiny checkpoint with random weights of the same architecture**, through the same
loader, on the CPU: the code path works. Of the published weights it says nothing. `-` means: not seen.

- **loads**: whole, every weight filled, in these numbers. `LoRA on 4bit`: an adapter on a quantised model.
- **asks**: an answer comes, and another image changes the logits. `fada eval`: from the command to the scores.
- **batches**: greedy answers of a batch of five image sizes and prompt lengths equal those asked one by one.
- **fine-tunes**: a LoRA is trained (the loss falls, a batch's equals its members'), saved, loaded, and answers the same.
- **exports**: the LoRA merged into the weights is a checkpoint with the same answers.
- **estimated**: its memory follows from its own configuration.
"""


ENVIRONMENTS = """
Environments of their own (`fada env create NAME`), for models whose code needs an older transformers. The makers' own
code is on no machine that these tests ran on; a family counts as seen where a tiny stand-in with code of its own was
asked in the way that family is asked, from `fada eval` to the scores.

"""
BESIDE = "`{module}` of its makers has to be copied beside the weights of {models}.\n"


def document(catalog: Catalog, seen: Seen, environments: Mapping[str, Sequence[str]]) -> str:
    """The page."""
    entries = catalog.entries
    rows = [_row(entry.name, entry.architecture, _of(entry, seen), _route(entry)) for entry in entries]
    extra = sorted(set(seen) - {_key(entry) for entry in entries})
    more = [_row("", name, seen[name], "transformers; any checkpoint of it") for name in extra]
    count = sum(1 for entry in entries if _of(entry, seen))
    head = _line("model", "architecture", "catalogued", *COLUMNS) + _line(*["---"] * (3 + len(COLUMNS)))
    return (
        f"{BEGIN}\nSeen with {_versions()}. {count} of {len(entries)} catalogued models have an architecture that was"
        f" seen.\n\n{head}{''.join(rows)}\nArchitectures that were seen and that no row of the catalogue has:\n\n"
        f"{head}{''.join(more)}{_environments(catalog, seen, environments)}"
    )


def _of(entry: Entry, seen: Seen) -> Mapping[str, Sequence[str]]:
    return seen.get(_key(entry), {}) if entry.loader != "openai" and entry.runnable else {}


def _key(entry: Entry) -> str:
    """The tiny checkpoint that stands for it: Pixtral's model type is llava, and its tower is another one."""
    if entry.architecture == "llava" and "pixtral" in entry.name.casefold():
        return "pixtral"
    return entry.architecture or ""


def _route(entry: Entry) -> str:
    if entry.runnable and entry.environment:
        return f"environment {entry.environment}"
    return entry.loader if entry.runnable else "cannot run"


def _environments(catalog: Catalog, seen: Seen, environments: Mapping[str, Sequence[str]]) -> str:
    """What was tried of each environment, and of how its models are asked."""
    here = [entry for entry in catalog.entries if entry.environment and entry.runnable]
    rows = [
        _line(
            recipe.name,
            _names(entry for entry in here if entry.environment == recipe.name),
            "; ".join(environments.get(recipe.name, ())) or NOT_MADE,
        )
        for recipe in load_recipes().values()
    ]
    asked = f"Asked so: {_names(entry for entry in here if _of(entry, seen)) or 'none'}.\n"
    unseen = (
        f"Recipes after their makers' examples, never run: {_names(e for e in here if not _of(e, seen)) or 'none'}.\n"
    )
    beside = "".join(
        BESIDE.format(module=family.beside, models=_names(e for e in here if kind in e.name.casefold()))
        for kind, family in FAMILIES.items()
        if family.beside
    )
    table = _line("environment", "for", "seen") + _line("---", "---", "---") + "".join(rows)
    return f"{ENVIRONMENTS}{asked}{unseen}{beside}\n{table}"


def _names(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)


def _row(name: str, architecture: str | None, seen: Mapping[str, Sequence[str]], catalogued: str) -> str:
    cells = [", ".join(sorted(seen[column])) if seen.get(column) else "-" for column in COLUMNS]
    return _line(name, architecture or "-", catalogued, *cells)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    seen = read(source)
    if not seen:
        raise SystemExit(f"{source}: nothing was recorded; run the conformance tests with FADA_CONFORMANCE={source}")
    target.parent.mkdir(exist_ok=True)
    target.write_text(document(load_catalog(), seen, read_environments(source)), encoding="utf-8")
    print(f"{target}: {len(seen)} architectures, catalogue {SHIPPED.name}")


if __name__ == "__main__":
    main()
