"""The form that queues a fine-tune."""

from __future__ import annotations

from typing import Any

from db.home import Home
from fada_tui.screens.form import Field, FormScreen, path_of, required
from fada_tui.screens.suggest import Suggestion

SETTINGS = {
    "method": "method",
    "epochs": "epochs",
    "steps": "max_steps",
    "lr": "learning_rate",
    "batch": "batch_size",
}
"""Field of the form to name of the setting."""


class FinetuneForm(FormScreen):
    """The data of the suggested spec is proposed again where it was a fine-tune's."""

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        spec = suggestion.spec
        training: dict[str, Any] = spec.get("training") or {}
        data = (spec.get("data") or {}) if training else {}
        super().__init__(
            "Fine-tune",
            (
                Field("model", "Model", suggestion.model),
                Field("data", "Training data", str(data.get("path") or ""), kind="path"),
                Field(
                    "eval_data",
                    "Held-out data",
                    str((training.get("eval_data") or {}).get("path") or ""),
                    "none: no score while it trains",
                    kind="path",
                ),
                Field(
                    "image_root",
                    "Image root",
                    str(data.get("image_root") or ""),
                    "the data file's folder, or its images/",
                    kind="path",
                ),
                Field("method", "Method", "auto", "auto", choices=("auto", "full", "peft")),
                Field("epochs", "Epochs", "", "3, or steps below"),
                Field("steps", "Steps", "", "as many as the epochs take", kind="integer"),
                Field("lr", "Learning rate", "", "2e-4"),
                Field("batch", "Batch size", "", "8", kind="integer"),
            ),
            "peft: LoRA adapters. full: every weight. auto: LoRA where the weights are trained, full where they are "
            "random. Fine-tunes run one at a time.",
        )
        self._home = home

    def enqueue(self, values: dict[str, str]) -> int:
        from backends.jobs.queue import enqueue_finetune

        return enqueue_finetune(
            self._home,
            required(values, "model", "the model"),
            data=path_of(required(values, "data", "the training data")),
            image_root=path_of(values["image_root"]) or None,
            eval_data=path_of(values["eval_data"]) or None,
            settings={setting: values[name] for name, setting in SETTINGS.items() if values[name]},
        )
