"""The form that queues an export; below its fields stands what can be made of the model, and by which tools."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from backends.catalog.export import TARGETS
from db.connect import connect
from db.home import Home
from fada_tui.screens.engines import ENGINE, chosen_engine, engine_fields
from fada_tui.screens.fields import Field, path_of, required
from fada_tui.screens.fitform import FitForm
from fada_tui.screens.propose import for_export
from fada_tui.screens.suggest import Suggestion

if TYPE_CHECKING:
    from backends.jobs.launch_convert import Subject

_NOTE = (
    "merged: one checkpoint of base and adapter. gguf: for llama.cpp, text model and vision projector. onnx: small "
    "models. The original and the exported file are asked the same questions; agreement and scores are kept."
)
_WHAT = "The number of a run that left weights; or a tracker name, Hugging Face id or checkpoint folder."
_QUANT = "Of a GGUF's text model: q4_k_m is smallest, f16 exact; the vision projector always keeps 16 bits."
_DATA = "Questions that the file is checked on: FADA chat JSONL. Empty: what the fine-tune held out."
_QUANTS = ("q4_k_m", "q8_0", "f16")
_CHECKED = "32"
_NOT_SAID = ("kind", "heading", "Model", "Priority")
"""Columns of the note's guide that say nothing of how the model is exported."""


class ConvertForm(FitForm[tuple[int, ...]]):
    """A fine-tune of the suggestion is proposed, else the newest of its model, else the model itself."""

    FIT_OF = ("what", "to", "quant", "data", "check", ENGINE)

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        fields = (
            Field("what", "Run or model", suggestion.model, help=_WHAT),
            Field("to", "To", kind="pick", choices=TARGETS),
            Field("quant", "Quantisation", kind="pick", choices=_QUANTS, beside=True, help=_QUANT),
            Field("data", "Check on", hint="what the fine-tune held out", kind="path", help=_DATA),
            Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path"),
            Field("check", "Questions", "", _CHECKED, kind="integer", help="0: the file is not checked."),
            *engine_fields(home),
        )
        super().__init__("Convert", fields, _NOTE, suggestion.about)
        self._home = home
        self._suggestion = suggestion

    def fit_home(self) -> Home:
        return self._home

    def propose(self) -> dict[str, str]:
        return for_export(self._home, self._suggestion)

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.launch_convert import enqueue_convert

        run = enqueue_convert(
            self._home,
            required(values, "what", "the run or model"),
            to=values["to"],
            quant=values["quant"] if values["to"] == "gguf" else None,
            data=path_of(values["data"]) or None,
            image_root=path_of(values["image_root"]) or None,
            check=int(values["check"] or _CHECKED),
            engine=chosen_engine(values),
        )
        return (run,)

    def fit_lines(self, values: dict[str, str]) -> list[str]:
        """Called in a thread."""
        from backends.jobs.launch_convert import find_subject

        if not values["what"]:
            return []
        subject = find_subject(self._home, values["what"])
        name = str(subject.model["name"])
        left = f", what #{subject.run.id} left" if subject.run else ""
        lines = [f"{name}{left}", *(route.words() for route in subject.routes.values())]
        lines += self._guide(name)
        engine = chosen_engine(values)
        if engine is not None and values["to"] == "gguf":
            lines.append(f"✗ a GGUF is made on this machine, not on {engine}")
        if values["to"] == "gguf" and subject.routes["gguf"].why_not is None:
            lines += _tool_lines(self._home, values["quant"])
        if values["check"] != "0" and not values["data"] and not subject.data:
            lines.append("not checked: no questions are known; name a file in Check on")
        return lines + _sizes(subject)

    def _guide(self, name: str) -> list[str]:
        """The note's own words on exporting this model."""
        from db.tracker.queries import model_detail

        with closing(connect(self._home.fada_db, read_only=True)) as conn:
            detail = model_detail(conn, name)
        rows = detail.mobile if detail else ()
        said = [
            "; ".join(f"{column} {value}" for column, value in row.items() if value and column not in _NOT_SAID)
            for row in rows
        ]
        return [f"the note: {one}" for one in said if one]


def _tool_lines(home: Home, quant: str) -> list[str]:
    from backends.jobs.llama_cpp import CONVERTER, HINTS, QUANTISER, find_tools, needs_quantiser

    tools = find_tools(home)
    lines = [f"{name}: {tool.words()}" for name, tool in tools.items()]
    for name in (CONVERTER, *((QUANTISER,) if needs_quantiser(quant) else ())):
        if not tools[name].found:
            lines.append(f"→ {HINTS[name]}")
    return lines


def _sizes(subject: Subject) -> list[str]:
    """The weights as they are, where they are known."""
    from backends.estimate.weights import find_weights
    from fada_tui.format import size

    params = find_weights(subject.model).params
    return [f"weights now, in 16 bits: {size(2 * params)}"] if params else []
