"""What `fada doctor` says of models: the user's own catalogue, and environments of their own."""

from __future__ import annotations

from collections.abc import Iterator

from db.home import Home
from fada_tui.cli.check import Check, made


def model_checks(home: Home) -> Iterator[Check]:
    """The user's catalogue, where there is one, and the environments that are there."""
    yield from _catalogue(home)
    yield from _environments(home)


def _catalogue(home: Home) -> Iterator[Check]:
    from backends.catalog.errors import CatalogError
    from backends.catalog.reader import USER_FILE, load_catalog

    file = home.root / USER_FILE
    if not file.exists():
        return
    try:
        load_catalog(file)
    except CatalogError as error:
        yield made("catalogue", "warn", f"{error.where}: {error.message}", error.hint)
        return
    if file.is_file():
        yield made("catalogue", "ok", str(file))
    else:
        yield made("catalogue", "warn", f"{file} is no file", "move it away, or write a file there")


def _environments(home: Home) -> Iterator[Check]:
    """Those that are there; one that nobody has made is nothing to mend."""
    from backends.jobs.environments import left_over, recipes, state_of
    from backends.jobs.errors import QueueError

    try:
        states = [state_of(home, recipe) for recipe in recipes(home).values()]
        strays = left_over(home)
    except QueueError as error:
        yield made("environments", "warn", f"{error.where}: {error.message}", error.hint)
        return
    for one in states:
        name = f"environment {one.recipe.name}"
        if one.state in ("broken", "outdated"):
            yield made(name, "warn", f"{one.state}: {one.reason}", f"fada env create {one.recipe.name}")
        elif one.state == "made":
            yield made(name, "ok", ", ".join(f"{key} {value}" for key, value in one.versions.items()))
    if strays:
        yield made("environments", "warn", f"no recipe for {', '.join(strays)}", f"fada env remove {strays[0]}")
