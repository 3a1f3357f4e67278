"""The form that queues an evaluation, of one model or of several with the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from db.home import Home
from fada_tui.format import count
from fada_tui.screens.form import Field, FormScreen, Question, path_of, required
from fada_tui.screens.propose import for_evaluation
from fada_tui.screens.suggest import Suggestion

if TYPE_CHECKING:
    from backends.jobs.servers import Server

_DATA = (
    "Kind gt: answers are compared with reference answers. "
    "Data: JSONL, one question a line, FADA chat or ShareGPT form."
)
_ONE = "Model: tracker name, Hugging Face id or checkpoint folder."
_SEVERAL = "All are checked before the first is queued; a run each."
_AGREED = "agreed"
"""Key of the values when a person has agreed that the images are sent."""
_NAMED = 12
"""So many of the models are named in the form."""


class EvaluateForm(FormScreen[tuple[int, ...]]):
    """Data and tuned model of the suggestion are proposed again where they are still there.

    Args:
        models: Names of several models to evaluate; none: the one that is written in the form.
    """

    def __init__(self, home: Home, suggestion: Suggestion, models: Sequence[str] = ()) -> None:
        fields = (
            Field("model", "Model", suggestion.model),
            Field("data", "Data", kind="path"),
            Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path"),
            Field("limit", "Limit", "", "all questions", kind="integer"),
            Field("adapter", "Tuned by run", hint="none: as it is", kind="integer"),
            Field("server", "Server", hint="none: here; a name in config.toml, or URL MODEL"),
        )
        if models:
            rest = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
            note = f"{', '.join(models[:_NAMED])}{rest}. {_SEVERAL} {_DATA}"
            super().__init__(f"Evaluate {count(len(models), 'model')}", fields[1:-2], note)
        else:
            super().__init__("Evaluate", fields, f"{_DATA} {_ONE}")
        self._home = home
        self._suggestion = suggestion
        self._models = tuple(models)

    def propose(self) -> dict[str, str]:
        proposed = for_evaluation(self._home, self._suggestion)
        known = {field.name for field in self.fields}
        return {name: value for name, value in proposed.items() if name in known}

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.consent import ConsentNeeded
        from backends.jobs.submit import submit

        try:
            plans = self._plans(values)
        except ConsentNeeded as needed:
            text = "; ".join(needed.facts)
            raise Question(f"Send images to {needed.host}?", text, "sends them", {_AGREED: "y"}) from None
        return tuple(submit(self._home, plan) for plan in plans)

    def _plans(self, values: dict[str, str]) -> list[dict[str, Any]]:
        from backends.jobs.launch import plan_eval

        agreed = _AGREED in values
        server = _server(self._home, values.get("server", ""), agreed)
        adapter = values.get("adapter")
        return [
            plan_eval(
                self._home,
                model,
                data=path_of(required(values, "data", "the data file")),
                image_root=path_of(values["image_root"]) or None,
                limit=int(values["limit"]) if values["limit"] else None,
                adapter=int(adapter) if adapter else None,
                server=server,
                send_images=agreed,
            )
            for model in self._models or (required(values, "model", "the model"),)
        ]


def _server(home: Home, text: str, agreed: bool) -> Server | None:
    """The server of a name or of ``URL MODEL``; None where the model is loaded here.

    Raises:
        QueueError: There is none, or it cannot be used.
        Question: It is another machine of one's own, and nobody was told so yet.
    """
    from backends.jobs.servers import PRIVATE, named_server, quick_server

    if not text:
        return None
    if "://" in text:
        url, _, model = text.partition(" ")
        server = quick_server(url, **({"model": model.strip()} if model.strip() else {}))
    else:
        server = named_server(home.config, text)
    if server.place == PRIVATE and not server.is_hosted and not agreed:
        words = f"The images go to {server.base_url}: another machine, by its address on a private network."
        raise Question(f"Send images to {server.host}?", words, "sends them", {_AGREED: "y"})
    return server
