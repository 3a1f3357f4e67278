"""What the evaluation form says of environments of their own: which there are, what the model needs, what is agreed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.jobs.errors import QueueError
from db.home import Home
from fada_tui.screens.fields import Field

ENVIRONMENT = "environment"
AS_CATALOGUED = "as catalogued"
_HELP = (
    "For models whose code needs an older transformers. Made outside the panel: fada env create NAME. "
    "You are asked before their code runs."
)


def environment_fields(home: Home) -> tuple[Field, ...]:
    """One choice of the recipes; none of a file with mistakes, which `fada env list` tells."""
    from backends.jobs.environments import recipes

    try:
        known = recipes(home)
    except QueueError:
        return ()
    choices = (AS_CATALOGUED, *known)
    return (Field(ENVIRONMENT, "Environment", AS_CATALOGUED, kind="pick", choices=choices, help=_HELP),)


def chosen_environment(values: Mapping[str, str]) -> str | None:
    """Its name; None for what the catalogue names, which may be none."""
    name = values.get(ENVIRONMENT, AS_CATALOGUED)
    return None if name == AS_CATALOGUED else name


def environment_lines(home: Home, models: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Of each environment that the models need: its state, or how to make it; and which code was agreed to.

    Raises:
        QueueError: A model is none, or there is no such environment.
    """
    from functools import partial

    from backends.catalog.resolve import resolve_model
    from backends.jobs.environments import ready
    from backends.jobs.launch import resolve
    from backends.jobs.own_environment import LOADER, wants
    from backends.jobs.remote_code import agreed_words

    if values.get("server"):
        return []
    chosen = chosen_environment(values)
    by = partial(resolve_model, own_code=chosen is not None)
    found = [wants(resolve(home, model, by), chosen) for model in models]
    own = [one for one in found if one.loader == LOADER and one.environment]
    lines = []
    for name in dict.fromkeys(one.environment for one in own if one.environment):
        try:
            ready(home, name)
            lines.append(f"✓ runs in the environment {name}, which is made")
        except QueueError as error:
            # On a line of its own, so that the command is not cut in two.
            lines += [f"✗ {error.message}", f"→ {error.hint}"]
    for model in own:
        words = agreed_words(home, model.source) or "enter shows its code, and asks before it runs"
        lines.append(f"{model.name}: {words}")
    return lines
