"""The form that queues an evaluation."""

from __future__ import annotations

from db.home import Home
from fada_tui.screens.form import Field, FormScreen, path_of, required
from fada_tui.screens.propose import for_evaluation
from fada_tui.screens.suggest import Suggestion


class EvaluateForm(FormScreen):
    """Data and tuned model of the suggestion are proposed again where they are still there."""

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        super().__init__(
            "Evaluate",
            (
                Field("model", "Model", suggestion.model),
                Field("data", "Data", kind="path"),
                Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path"),
                Field("limit", "Limit", "", "all questions", kind="integer"),
                Field("adapter", "Tuned by run", hint="none: as it is", kind="integer"),
            ),
            "Kind gt: answers are compared with reference answers. Data: JSONL, one question a line, FADA chat or "
            "ShareGPT form. Model: tracker name, Hugging Face id or checkpoint folder.",
        )
        self._home = home
        self._suggestion = suggestion

    def propose(self) -> dict[str, str]:
        return for_evaluation(self._home, self._suggestion)

    def enqueue(self, values: dict[str, str]) -> int:
        from backends.jobs.queue import enqueue_eval

        return enqueue_eval(
            self._home,
            required(values, "model", "the model"),
            data=path_of(required(values, "data", "the data file")),
            image_root=path_of(values["image_root"]) or None,
            limit=int(values["limit"]) if values["limit"] else None,
            adapter=int(values["adapter"]) if values["adapter"] else None,
        )
