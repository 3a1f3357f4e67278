"""From what a person types to a model that can be loaded, or a plain word on why not."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from backends.catalog.available import no_route
from backends.catalog.entry import Entry, Variant
from backends.catalog.errors import ModelError
from backends.catalog.local import check_checkpoint, check_open_clip, is_open_clip
from backends.catalog.reader import USER_FILE, Catalog, load_catalog

__all__ = ["ModelError", "ResolvedModel", "resolve_model"]

_HUB_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_PLAIN_FOLDERS = ("model", "merged", "checkpoint", "final")
"""Names that say nothing without the folder around them."""


@dataclass(frozen=True)
class ResolvedModel:
    """``name`` is what to call it, ``source`` what to load: an absolute folder or a hub id."""

    name: str
    tracker_name: str | None
    source: str
    loader: str
    revision: str | None = None
    environment: str | None = None
    """The virtual environment that it runs in; None: this program's own."""


def resolve_model(
    name: str, conn_tracker: sqlite3.Connection, user_file: Path | None = None, *, own_code: bool = False
) -> ResolvedModel:
    """The model that a name means: a checkpoint folder, a tracker name or alias, or a hub id (``org/name[@revision]``).

    A text with a path separator that exists, or that starts with ``.``, ``/`` or ``~``, is a folder.

    Args:
        conn_tracker: fada.db.
        user_file: The user's catalogue; default: ``catalog.toml`` beside fada.db.
        own_code: A folder's processor may be a matter of its own code.

    Raises:
        ModelError: Unknown (with the nearest names), ambiguous, not whole, or without a route that runs.
    """
    name = name.strip()
    if not name:
        raise ModelError("no model was named", hint="`fada models` lists them")
    if _is_folder(name):
        return _local(Path(name).expanduser().absolute(), own_code)
    catalog = load_catalog(user_file or _user_file(conn_tracker))
    text, revision = _split_revision(name)
    found = catalog.lookup(text) or _through_tracker(text, conn_tracker, catalog)
    if found:
        return _from_entry(*found, revision, conn_tracker, catalog)
    if _HUB_ID.fullmatch(name):
        return ResolvedModel(text, None, text, "transformers", revision)
    raise _unknown(name, conn_tracker, catalog)


def resolve_served(name: str, conn_tracker: sqlite3.Connection, user_file: Path | None = None) -> ResolvedModel:
    """As :func:`resolve_model` for a model that a server runs: any that the tracker or catalogue knows, or a hub id.

    ``source`` is what a server that hosts it calls it; empty where the catalogue knows no such name.

    Raises:
        ModelError: Unknown (with the nearest names) or ambiguous.
    """
    from db.tracker.queries import find_models

    name = name.strip()
    catalog = load_catalog(user_file or _user_file(conn_tracker))
    models = find_models(conn_tracker, name)
    if len(models) > 1:
        raise ModelError(f"{name!r} may mean {', '.join(model.name for model in models)}", hint="name one of them")
    entry, variant = catalog.lookup(models[0].name if models else name) or (None, None)
    tracked = models or (find_models(conn_tracker, entry.name) if entry else [])
    if entry is None and not tracked and not _HUB_ID.fullmatch(name):
        raise _unknown(name, conn_tracker, catalog)
    tracker_name = tracked[0].name if len(tracked) == 1 else None
    known_as = (entry.repo or "") if entry and entry.loader == "openai" else ""
    shown = f"{entry.name}:{variant.name}" if entry and variant else (entry.name if entry else tracker_name or name)
    return ResolvedModel(shown, tracker_name, known_as, "openai")


def _is_folder(name: str) -> bool:
    return name.startswith((".", "/", "~")) or ("/" in name and Path(name).exists())


def _local(folder: Path, own_code: bool = False) -> ResolvedModel:
    loader = "open_clip" if is_open_clip(folder) else "transformers"
    _check(folder, loader, own_code)
    shown = f"{folder.parent.name}/{folder.name}" if folder.name in _PLAIN_FOLDERS else folder.name
    if obstacle := no_route(Entry(shown, str(folder), loader)):
        raise ModelError(f"{shown} cannot be run: {obstacle}", str(folder))
    return ResolvedModel(shown, None, str(folder), loader)


def _check(folder: Path, loader: str, own_code: bool) -> None:
    if loader == "open_clip":
        check_open_clip(folder)
    else:
        check_checkpoint(folder, own_code=own_code)


def _split_revision(name: str) -> tuple[str, str | None]:
    match = _HUB_ID.fullmatch(name)
    return (match["repo"], match["revision"]) if match else (name, None)


def _user_file(conn: sqlite3.Connection) -> Path | None:
    file = next((row[2] for row in conn.execute("PRAGMA database_list") if row[1] == "main"), "")
    return Path(file).with_name(USER_FILE) if file else None


def _through_tracker(name: str, conn: sqlite3.Connection, catalog: Catalog) -> tuple[Entry, Variant | None] | None:
    """What the tracker's own names and the user's aliases lead to.

    Raises:
        ModelError: Several models, or one that nothing says how to load.
    """
    from db.tracker.queries import find_models

    models = find_models(conn, name)
    if not models:
        return None
    if len(models) > 1:
        raise ModelError(f"{name!r} may mean {', '.join(model.name for model in models)}", hint="name one of them")
    model = models[0]
    found = catalog.lookup(model.name)
    if found:
        return found
    hub = next((alias for alias in model.aliases if _HUB_ID.fullmatch(alias)), None)
    if hub:
        return Entry(model.name, hub, "transformers"), None
    raise ModelError(
        f"the catalogue does not know how to load {model.name}",
        hint=f'name its checkpoint: fada alias "{model.name}" ORG/NAME, or add it to HOME/{USER_FILE}',
    )


def _from_entry(
    entry: Entry, variant: Variant | None, revision: str | None, conn: sqlite3.Connection, catalog: Catalog
) -> ResolvedModel:
    from db.tracker.queries import find_models

    user_file = _user_file(conn)
    obstacle = no_route(entry, user_file and user_file.parent)
    if obstacle and entry.loader == "openai" and entry.runnable:
        raise ModelError(
            f"{entry.name} is asked over the network",
            hint="name its server: --server NAME ([servers.NAME] in HOME/config.toml) or --server-url URL",
        )
    if obstacle:
        near = _nearest_that_runs(entry, catalog)
        hint = f"the nearest that runs: {near}" if near else "`fada models` lists the others"
        raise ModelError(f"{entry.name} cannot be run: {obstacle}", hint=hint)
    source = variant.repo if variant else entry.repo
    if source is None:
        sizes = [f"{entry.name}:{choice.name}" for choice in entry.variants]
        message = f"{entry.name} stands for several sizes" if sizes else f"the catalogue names no repo for {entry.name}"
        raise ModelError(message, hint=f"name one: {' or '.join(sizes)}" if sizes else f"add it to HOME/{USER_FILE}")
    tracked = find_models(conn, entry.name)
    tracker_name = tracked[0].name if len(tracked) == 1 else None
    name = f"{entry.name}:{variant.name}" if variant else entry.name
    if source.startswith(("/", "~", ".")):
        folder = Path(source).expanduser().absolute()
        _check(folder, entry.loader, own_code=entry.loader == "environment")
        source = str(folder)
    return ResolvedModel(name, tracker_name, source, entry.loader, revision, entry.environment)


def _nearest_that_runs(entry: Entry, catalog: Catalog) -> str | None:
    """Along ``instead``, past those that this version has no loader for either."""
    seen: set[str] = set()
    while entry.instead and entry.instead not in seen:
        seen.add(entry.instead)
        other = catalog.find(entry.instead)
        if other is None or no_route(other) is None:
            return entry.instead
        entry = other
    return None


def _unknown(name: str, conn: sqlite3.Connection, catalog: Catalog) -> ModelError:
    from db.tracker.queries import nearest_names

    near = list(dict.fromkeys([*nearest_names(conn, name), *catalog.nearest(name)]))[:3]
    if Path(name).is_dir():
        return ModelError(f"there is no model named {name!r}", hint=f"for the folder of that name write ./{name}")
    if "/" in name:
        return ModelError(
            f"{name!r} is neither a folder nor a hub id", hint="a hub id is ORG/NAME or ORG/NAME@REVISION"
        )
    hint = f"did you mean {' or '.join(near)}?" if near else "`fada models` lists those of the tracker"
    return ModelError(f"there is no model named {name!r}", hint=hint)
