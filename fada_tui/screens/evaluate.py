"""The form that queues an evaluation."""

from __future__ import annotations

from typing import Any

from db.home import Home
from fada_tui.screens.form import Field, FormScreen, path_of, required
from fada_tui.screens.suggest import Suggestion


class EvaluateForm(FormScreen):
    """The data of the suggested spec is proposed again; of a fine-tune its held-out data, never the training data."""

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        spec = suggestion.spec
        training = spec.get("training")
        data: dict[str, Any] = (training.get("eval_data") if training else spec.get("data")) or {}
        super().__init__(
            "Evaluate",
            (
                Field("model", "Model", suggestion.model),
                Field("data", "Data", str(data.get("path") or ""), kind="path"),
                Field(
                    "image_root",
                    "Image root",
                    str(data.get("image_root") or ""),
                    "the data file's folder, or its images/",
                    kind="path",
                ),
                Field("limit", "Limit", "", "all questions", kind="integer"),
                Field("adapter", "Tuned by run", str(suggestion.adapter or ""), "none: as it is", kind="integer"),
            ),
            "Kind gt: answers are compared with reference answers. Data: JSONL, one question a line, FADA chat or "
            "ShareGPT form. Model: tracker name, Hugging Face id or checkpoint folder.",
        )
        self._home = home

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
