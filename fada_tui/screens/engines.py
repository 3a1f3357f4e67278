"""What the forms say of engines: which there are, which is chosen, which would take what this machine cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.jobs.engines.base import LOCAL
from backends.jobs.engines.config import named_engine, read_engines, that_fit
from backends.jobs.errors import QueueError
from db.home import Home
from fada_tui.screens.fields import Field

if TYPE_CHECKING:
    from backends.jobs.prospect import Prospect

ENGINE = "engine"
_HELP = "local: this machine's queue and card. The others are engines of config.toml: the same job on Slurm."


def engine_fields(home: Home) -> tuple[Field, ...]:
    """One choice where config.toml names engines; none of a file with mistakes, which `fada doctor` tells."""
    try:
        known = read_engines(home.config)
    except QueueError:
        return ()
    if not known:
        return ()
    return (Field(ENGINE, "Runs on", LOCAL, kind="pick", choices=(LOCAL, *known), help=_HELP),)


def chosen_engine(values: Mapping[str, str]) -> str | None:
    """Its name; None for this machine."""
    name = values.get(ENGINE, LOCAL)
    return None if name == LOCAL else name


def engine_lines(home: Home, name: str, found: Prospect, stated: str | None = None) -> list[str]:
    """What a job would take of an engine, in place of what it would take here."""
    from backends.jobs.admission import Claim, impossible
    from backends.jobs.reservation import reserved_bytes
    from fada_tui.screens.fittext import note_words

    settings = named_engine(home, name)
    if settings is None or settings.memory != "VRAM":
        return [f"{name}: without a card"]
    low, likely, high = (end / (1 << 30) for end in found.card.interval)
    capacity = settings.capacity()
    has = f"; {name} gives {settings.vram_gb:g} GB" if settings.vram_gb else ""
    words = f"VRAM: likely {likely:.1f} GiB ({low:.1f} to {high:.1f}{note_words(stated)}){has}"
    refused = impossible(Claim(0, found.card.interval[1]), capacity)
    if refused:
        return [words, f"✗ it cannot be queued there: it {refused}"]
    asked = reserved_bytes(found.card.interval[2], capacity) / (1 << 30)
    return [words, f"asks {name} for {asked:.1f} GiB" if settings.shards else f"asks {name} for {settings.gres}"]


def offered(home: Home, found: Prospect) -> list[str]:
    """Engines that would take what this machine cannot."""
    if not found.refused:
        return []
    words = [word.removeprefix("--engine ") for word in that_fit(home.config, found.card.interval[1])]
    return [f"→ it would fit: Runs on {' or '.join(words)}"] if words else []
