"""The checks of `fada doctor` that look at the engines of config.toml."""

from __future__ import annotations

from collections.abc import Iterator

from db.home import Home
from fada_tui.cli.check import Check, made


def engine_checks(home: Home) -> Iterator[Check]:
    """A few lines an engine; none where there is none."""
    from backends.jobs.engines.config import read_engines
    from backends.jobs.engines.inspection import inspect
    from backends.jobs.errors import QueueError

    try:
        known = read_engines(home.config)
    except QueueError as error:
        yield made("engines", "warn", f"{error.where}: {error.message}", error.hint)
        return
    for name, settings in known.items():
        for found in inspect(home, settings):
            yield made(f"engine {name} {found.what}".strip(), found.state, found.detail, found.hint)
