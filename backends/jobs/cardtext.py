"""The parts of a model card as lines of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ROWS = 40
"""Categories that are listed; the rest is counted."""
_SHOWN_PACKAGES = ("python", "torch", "transformers", "peft", "unsloth", "trl", "bitsandbytes", "fada-tui")


def cell(value: Any) -> str:
    """Text as a cell of a Markdown table."""
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = "".join(letter if letter.isprintable() else " " for letter in shown)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(map(cell, row))} |" for row in rows]


def data_lines(facts: Mapping[str, Any]) -> list[str]:
    """Name, hash and counts; what it held per category and question."""
    data = facts["spec"].get("data") or {}
    lines = [f"`{cell(data.get('path'))}`, SHA-256 `{data.get('sha256')}`"]
    held = facts.get("composition")
    counted = held or data
    lines.append(f"{counted.get('samples')} questions about {counted.get('images')} images were trained on.")
    if held:
        for title, counts in (("category", held["categories"]), ("question", held["questions"])):
            rows = list(counts.items())
            lines += ["", *table((title, "samples"), rows[:ROWS])]
            if len(rows) > ROWS:
                lines += ["", f"and {len(rows) - ROWS} more"]
    held_out = (facts["spec"].get("training") or {}).get("eval_data")
    if held_out:
        lines += ["", f"Held out, never trained on: `{cell(held_out.get('path'))}`, SHA-256 `{held_out.get('sha256')}`"]
    return lines


def setting_lines(facts: Mapping[str, Any]) -> list[str]:
    training, summary = facts["spec"].get("training") or {}, facts["summary"]
    flat = {key: value for key, value in training.items() if key not in ("eval_data", "lora", "method")}
    flat |= {f"lora.{key}": value for key, value in (training.get("lora") or {}).items()}
    full = summary.get("method") == "full"
    rows = [("method", summary.get("method") or training.get("method"))]
    rows += [(k, v) for k, v in flat.items() if v is not None and not (full and k.startswith("lora."))]
    rows += [
        (key, summary[key]) for key in ("steps", "train_loss", "trained_parameters") if summary.get(key) is not None
    ]
    if summary.get("seconds") is not None:
        rows.append(("training time", duration(float(summary["seconds"]))))
    rows.append(("hardware", facts.get("hardware")))
    known = facts.get("versions") or {}
    rows.append(("versions", ", ".join(f"{name} {known[name]}" for name in _SHOWN_PACKAGES if known.get(name))))
    return table(("setting", "value"), rows)


def score_lines(facts: Mapping[str, Any]) -> list[str]:
    """Overall held-out scores while it trained, with intervals, floors and alarms."""
    best = facts.get("best")
    if best:
        values = ", ".join(f"{name} {value:.3f}" for name, value in best.items() if name != "step")
        return [f"At step {best['step']}: {values}. Intervals and floors are those of an evaluation of these weights."]
    if not facts["scores"]:
        return ["None: it was trained without held-out data."]
    return score_table(facts["scores"])


def score_table(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for row in scores:
        low, high = row.get("ci_low"), row.get("ci_high")
        interval = f"{low:.3f} to {high:.3f}" if low is not None and high is not None else "none"
        floors = ", ".join(f"{name} {value:.3f}" for name, value in (row.get("floors") or {}).items())
        rows.append((row.get("metric"), f"{row['value']:.3f}", interval, row.get("n"), row.get("failed"), floors))
    lines = table(("metric", "score", "95 % interval", "n", "failed", "floors"), rows)
    alarms = dict.fromkeys(f"{one['kind']}: {one['text']}" for row in scores for one in row.get("alarms") or ())
    return [*lines, *(["", *(f"- alarm, {cell(text)}" for text in alarms)] if alarms else [])]


def after_lines(after: Mapping[str, Any]) -> list[str]:
    """The base's and the result's own evaluations on the same questions, and their paired difference."""
    lines = [f"On `{cell(after['data'])}`, SHA-256 `{after['sha256']}`, each question asked of both."]
    for title in ("before", "after"):
        lines += ["", f"{title.capitalize()}:", "", *score_table(after[title])]
    rows = [
        (one["metric"], f"{one['difference']:+.3f}", f"{one['ci_low']:+.3f} to {one['ci_high']:+.3f}", one["n_common"])
        for one in after.get("differences") or ()
        if one.get("ci_low") is not None
    ]
    if rows:
        lines += ["", "Paired difference, clustered by image:", ""]
        lines += table(("metric", "after less before", "95 % interval", "n"), rows)
    return lines


def loading_lines(facts: Mapping[str, Any]) -> list[str]:
    """Code that loads it, for transformers."""
    base = facts["base"]
    repo = base["repo"] or f"PATH/TO/{cell(base['folder'])}"
    at = f", revision={base['revision']!r}" if base["repo"] and base["revision"] else ""
    if facts["summary"].get("method") == "full" or facts.get("merged"):
        code = [
            "from transformers import AutoModelForImageTextToText, AutoProcessor",
            "",
            'model = AutoModelForImageTextToText.from_pretrained("PATH/TO/THIS/FOLDER")',
        ]
    else:
        code = [
            "from peft import PeftModel",
            "from transformers import AutoModelForImageTextToText, AutoProcessor",
            "",
            f"base = AutoModelForImageTextToText.from_pretrained({repo!r}{at})",
            'model = PeftModel.from_pretrained(base, "PATH/TO/THIS/FOLDER")',
        ]
    return ["```python", *code, 'processor = AutoProcessor.from_pretrained("PATH/TO/THIS/FOLDER")', "```"]


def duration(seconds: float) -> str:
    """``2 h 05 min``, ``3 min 20 s``, ``12.3 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
