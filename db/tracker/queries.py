"""Reading the tracker. Every function takes a connection to fada.db and returns frozen dataclasses."""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections import defaultdict
from heapq import nlargest
from itertools import pairwise
from typing import TYPE_CHECKING

from db.connect import counters, one_view
from db.tracker.indexing.modelrows import models_named, read_models, stored_tuple
from db.tracker.markdown.bulk import no_cycle_search
from db.tracker.rows import ABSENT_TITLE, Change, Item, Model, ModelDetail, Section, Tracker

if TYPE_CHECKING:
    from db.tracker.reading.links import Linker

_LIKELY_NAMES = 200


def load_tracker(conn: sqlite3.Connection) -> Tracker:
    """Sections with their models in the order of the note, then the absent ones, and the items."""
    with one_view(conn), no_cycle_search():
        by_section: dict[int | None, list[Model]] = defaultdict(list)
        for section_id, model in read_models(conn):
            by_section[section_id].append(model)
        titles = [(row["id"], row["title"]) for row in conn.execute("SELECT id, title FROM sections ORDER BY id")]
        if by_section[None]:
            titles.append((None, ABSENT_TITLE))
        sections = tuple(
            Section(title, position, tuple(by_section[section_id]))
            for position, (section_id, title) in enumerate(titles)
        )
        now = counters(conn)
        return Tracker(_title(conn), sections, _items(conn), now.get("tracker", 0), now.get("tracker-structure", 0))


def refresh_tracker(conn: sqlite3.Connection, old: Tracker) -> Tracker:
    """The tracker as it is now; where only rows and boxes changed since ``old``, all else is the very same objects."""
    with one_view(conn):
        now = counters(conn)
        revision, structure = now.get("tracker", 0), now.get("tracker-structure", 0)
        if structure != old.structure or revision < old.revision:
            return load_tracker(conn)
        if revision == old.revision:
            return old
        changed: dict[int, dict[int, Model]] = defaultdict(dict)
        for section_id, model in read_models(conn, "WHERE revision > ?", (old.revision,)):
            # Sections are numbered from 1, and the absent models stand last.
            changed[len(old.sections) - 1 if section_id is None else section_id - 1][model.id] = model
        sections = list(old.sections)
        for at, models in changed.items():
            section = sections[at]
            renewed = tuple([models.get(model.id, model) for model in section.models])
            sections[at] = Section(section.title, section.position, renewed)
        items = _items(conn)
        return Tracker(old.title, tuple(sections), old.items if items == old.items else items, revision, structure)


def model_names(conn: sqlite3.Connection) -> list[str]:
    """The models that the note has, in its order."""
    return [str(name) for (name,) in conn.execute("SELECT name FROM models WHERE absent = 0 ORDER BY position, id")]


def find_models(conn: sqlite3.Connection, name: str) -> list[Model]:
    """The models that a name means; the first rule that finds any wins.

    Rules: exact name; alias; either without regard to case, spaces and hyphens; a name with its size
    (``Llama-3.2-Vision-11B``, ``Gemma-3-Vision:4B``).
    """
    with one_view(conn):
        exact = models_named(conn, [name])
        if exact:
            return exact
        aliased = [row["model"] for row in conn.execute("SELECT model FROM aliases WHERE alias = ?", (name,))]
        return models_named(conn, aliased or _linker_for(conn, name).named(name))


def stated_vram(conn: sqlite3.Connection, name: str) -> str | None:
    """The VRAM cell of the one model that a name means, or a size of it (``Gemma-3-Vision:4B``)."""
    models = find_models(conn, name.partition(":")[0])
    return models[0].vram if len(models) == 1 else None


def _linker_for(conn: sqlite3.Connection, name: str) -> Linker:
    """A linker over those models only that the one name can mean."""
    # Reading a note's words needs a Markdown parser, which loading the tracker does not.
    from db.tracker.reading.links import Linker, key_of, keys_of

    keys = keys_of(name)
    aliases = {
        row["alias"]: row["model"]
        for row in conn.execute("SELECT alias, model FROM aliases")
        if key_of(row["alias"]) in keys
    }
    names = {row[0] for row in conn.execute("SELECT name FROM models") if key_of(row[0]) in keys}
    sizes, absent = [], set()
    for model in names.union(aliases.values()):
        row = conn.execute("SELECT sizes_b, absent FROM models WHERE name = ?", (model,)).fetchone()
        if row:
            sizes.append((model, stored_tuple(row["sizes_b"])))
        if row and row["absent"]:
            absent.add(model)
    return Linker(sizes, aliases, absent)


def nearest_names(conn: sqlite3.Connection, name: str, limit: int = 3) -> list[str]:
    """Names and aliases spelt most alike, best first."""
    known = [row[0] for row in conn.execute("SELECT name FROM models UNION SELECT alias FROM aliases")]
    wanted = name.casefold()
    folded = {text.casefold(): text for text in known}
    pairs = _pairs(wanted)
    # Comparing letter by letter takes seconds for 100,000 names: only those that share the most pairs of letters.
    likely = nlargest(
        _LIKELY_NAMES, folded, key=lambda text: len(pairs & _pairs(text)) - abs(len(text) - len(wanted)) / 99
    )
    near = difflib.get_close_matches(wanted, likely, n=limit, cutoff=0.5)
    inside = sorted((text for text in known if wanted in text.casefold()), key=len) if name else []
    return list(dict.fromkeys([*(folded[text] for text in near), *inside]))[:limit]


def _pairs(text: str) -> set[str]:
    return set(map("".join, pairwise(text)))


def model_detail(conn: sqlite3.Connection, name: str) -> ModelDetail | None:
    """Everything that the note says of the one model that a name means; None where it means none or several."""
    with one_view(conn):
        found = find_models(conn, name)
        if len(found) != 1:
            return None
        model = found[0]
        return ModelDetail(
            model,
            tuple(item for item in _items(conn) if model.name in item.models),
            _routes(conn, "finetune", model.id),
            _routes(conn, "export", model.id),
            tuple(
                row["text"]
                for row in conn.execute(
                    "SELECT text FROM papers JOIN mentions ON kind = 'paper' AND ref = papers.id WHERE model_id = ?"
                    " ORDER BY papers.id",
                    (model.id,),
                )
            ),
        )


def list_items(conn: sqlite3.Connection) -> tuple[Item, ...]:
    """The checklist in the order of the note."""
    with one_view(conn):
        return _items(conn)


def history(conn: sqlite3.Connection, limit: int | None = 50, model: str | None = None) -> list[Change]:
    """The latest changes, newest first.

    Args:
        model: Only those that are about the model of this name.
    """
    # SQLite takes the names out: what an import added may be 100,000 names, which nobody asks for here.
    about = "" if model is None else "WHERE EXISTS (SELECT 1 FROM json_each(detail, '$.models') WHERE value = :model)"
    rows = conn.execute(
        f"SELECT id, time, who, text, undone, json_extract(detail, '$.models') AS models FROM history {about}"
        " ORDER BY id DESC LIMIT :limit",
        {"model": model, "limit": -1 if limit is None else limit},
    )
    return [
        Change(
            row["id"],
            row["time"],
            row["who"],
            row["text"],
            bool(row["undone"]),
            tuple(json.loads(row["models"])) if row["models"] else (),
        )
        for row in rows
    ]


def _title(conn: sqlite3.Connection) -> str:
    row = conn.execute("SELECT value FROM front_matter WHERE key IN ('title', 'project') ORDER BY key DESC").fetchone()
    if row is None:
        row = conn.execute("SELECT name FROM notes WHERE is_current").fetchone()
    return str(row[0]).strip("\"'") if row else ""


def _items(conn: sqlite3.Connection) -> tuple[Item, ...]:
    linked: dict[int, list[str]] = defaultdict(list)
    for row in conn.execute(
        "SELECT ref, name FROM mentions JOIN models ON models.id = model_id WHERE kind = 'item'"
        " ORDER BY models.position"
    ):
        linked[row["ref"]].append(row["name"])
    return tuple(
        Item(row["number"], row["title"], row["text"], bool(row["done"]), tuple(linked.get(row["number"], ())))
        for row in conn.execute(
            "SELECT number, title, text, done FROM items JOIN phases ON phases.id = phase_id ORDER BY items.position"
        )
    )


def _routes(conn: sqlite3.Connection, kind: str, model_id: int) -> tuple[dict[str, str], ...]:
    rows = conn.execute(
        f"SELECT kind, heading, columns, model FROM {kind}_rows AS route WHERE id IN"
        " (SELECT ref FROM mentions WHERE mentions.kind = ? AND model_id = ?) ORDER BY id",
        (kind, model_id),
    )
    return tuple(
        {"kind": row["kind"], "heading": row["heading"], **(json.loads(row["columns"]) or {"Model": row["model"]})}
        for row in rows
    )
