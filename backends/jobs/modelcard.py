"""A fine-tune's model card, in the hub's terms, and the record that it is made of. Light: the command prints it too.

A card is meant to be shared: it names files and hashes, never folders, and nothing of the environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.catalog.entry import Entry
from backends.catalog.errors import CatalogError
from backends.catalog.reader import USER_FILE, load_catalog
from backends.jobs.cardlicence import follows_from, hub_licence
from backends.jobs.cardtext import after_lines, data_lines, loading_lines, score_lines, setting_lines
from db.home import Home

CARD, RECORD = "README.md", "fada.json"
_PRIVATE = ("env", "cwd", "python", "after", "after_any", "held", "reserve", "limits", "id", "threads")
_PATHS = ("path", "image_root", "source")
_KEPT_SCORES = ("metric", "question", "category", "value", "ci_low", "ci_high", "n", "answered", "failed", "step")


def facts_of(
    spec: Mapping[str, Any],
    summary: Mapping[str, Any],
    *,
    scores: Sequence[Mapping[str, Any]],
    trained_on: Mapping[str, Any] | None,
    versions: Mapping[str, str],
    hardware: str,
    licence: str | None,
    best: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that the card says: what fada.json keeps.

    Args:
        trained_on: What the run recorded of its training data, where it did.
        licence: Of the base, as the catalogue has it.
        best: Step and held-out scores of weights that are not the last ones.
    """
    model = spec.get("model") or {}
    source = str(model.get("source") or "")
    on_hub = bool(source) and not Path(source).is_absolute()
    return {
        "format": 1,
        "run": spec.get("id"),
        "fingerprint": spec.get("fingerprint"),
        "name": model.get("name"),
        "base": {
            "repo": source if on_hub else None,
            "folder": None if on_hub else Path(source).name,
            "revision": model.get("revision"),
            "content": model.get("content"),
            "licence": licence,
            "precision": model.get("quantisation"),
        },
        "spec": shareable(spec),
        "summary": {key: value for key, value in summary.items() if _plain(value)},
        "scores": [
            {**{key: row.get(key) for key in _KEPT_SCORES}, "floors": row.get("floors"), "alarms": row.get("alarms")}
            for row in scores
            if row.get("question") is None and row.get("category") is None
        ],
        "composition": _composition(trained_on),
        "versions": dict(versions),
        "hardware": hardware,
        "best": dict(best) if best else None,
        "after": None,
    }


def licence_of(home: Home, spec: Mapping[str, Any]) -> str | None:
    """The licence of a spec's base as the catalogue has it; None where it does not say."""
    entry = _entry(home, spec)
    return entry.licence if entry else None


def _entry(home: Home, spec: Mapping[str, Any]) -> Entry | None:
    model = spec.get("model") or {}
    try:
        catalog = load_catalog(home.root / USER_FILE)
    except CatalogError:
        return None
    names = (str(model.get(key) or "") for key in ("source", "name"))
    return next((found for name in names if name and (found := catalog.find(name))), None)


def shareable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without what is only of this machine and of nobody else's business: folders become names."""
    return {key: _without_folders(value) for key, value in spec.items() if key not in _PRIVATE}


def _without_folders(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _without_folders(one, name) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(one) for one in value]
    if isinstance(value, str) and (Path(value).is_absolute() or (key in _PATHS and value.startswith("~"))):
        return Path(value).name
    return value


def _plain(value: Any) -> bool:
    """Numbers and short words of a summary; paths are of this machine."""
    if isinstance(value, Mapping):
        return all(_plain(one) for one in value.values())
    return not isinstance(value, list | tuple) and not (isinstance(value, str) and Path(value).is_absolute())


def _composition(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if record is None:
        return None
    topics: dict[str, int] = {}
    for _, topic, count in record.get("cells") or ():
        topics[topic] = topics.get(topic, 0) + count
    return {
        "samples": record.get("samples"),
        "images": len(record.get("images") or ()),
        "categories": record.get("categories") or {},
        "questions": topics,
    }


def render(facts: Mapping[str, Any]) -> str:
    """The card as Markdown, with its front matter."""
    base = facts["base"]
    called = base["repo"] or base["folder"] or facts["name"] or "its base"
    lines = [*_front_matter(facts), "", f"# {_title(facts, called)}", "", *_intro(facts, called)]
    lines += ["", "## Licence", "", *follows_from(base["licence"], base["repo"])]
    lines += ["", "## Training data", "", *data_lines(facts)]
    lines += ["", "## Training", "", *setting_lines(facts)]
    lines += ["", "## Held-out scores", "", *score_lines(facts)]
    if facts.get("after"):
        lines += ["", "## Before and after", "", *after_lines(facts["after"])]
    lines += ["", "## Loading it", "", *loading_lines(facts), ""]
    return "\n".join(lines)


def is_adapter(facts: Mapping[str, Any]) -> bool:
    return bool(facts["summary"].get("method") != "full" and not facts.get("merged"))


def _title(facts: Mapping[str, Any], called: str) -> str:
    return f"{'LoRA adapter for' if is_adapter(facts) else 'Fine-tuned'} {one_line(facts['name'] or called)}"


def _intro(facts: Mapping[str, Any], called: str) -> list[str]:
    base = facts["base"]
    lines = [f"- base: `{one_line(called)}`"]
    if base["revision"]:
        lines[0] += f" at `{base['revision']}`"
    elif base["content"]:
        lines[0] += f" (a local checkpoint, content `{base['content']}`)"
    if base["precision"]:
        lines.append(f"- trained on the base in {base['precision']}")
    if facts["best"]:
        lines.append(
            f"- the weights are those of step {facts['best']['step']}, which had the best held-out score so far"
        )
    lines.append(f"- fingerprint of the run: `{facts['fingerprint']}`; `{RECORD}` has its spec")
    lines.append("- a research artefact: not a medical device, and not for use in diagnosis")
    return lines


def one_line(text: Any) -> str:
    """Text for a line of Markdown: no line breaks, no control characters, no ends of code."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)).replace("`", "'")


def _front_matter(facts: Mapping[str, Any]) -> list[str]:
    """YAML that is JSON value by value, so that no text in it can be taken for anything else."""
    base = facts["base"]
    adapter = is_adapter(facts)
    data: dict[str, Any] = {}
    if base["repo"]:
        data |= {"base_model": base["repo"], "base_model_relation": "adapter" if adapter else "finetune"}
    data["library_name"] = "peft" if adapter else "transformers"
    data["pipeline_tag"] = "image-text-to-text"
    data |= hub_licence(base["licence"], base["repo"])
    data["tags"] = ["ultrasound", "medical", "visual-question-answering", *(["lora"] if adapter else [])]
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in data.items()), "---"]
