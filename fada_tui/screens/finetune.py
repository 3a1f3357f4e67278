"""The form that queues a fine-tune."""

from __future__ import annotations

from db.home import Home
from fada_tui.screens.form import Field, FormScreen, path_of, required
from fada_tui.screens.propose import for_finetune
from fada_tui.screens.suggest import Suggestion

SETTINGS = {
    "method": "method",
    "epochs": "epochs",
    "steps": "max_steps",
    "lr": "learning_rate",
    "batch": "batch_size",
}
"""Field of the form to name of the setting."""


class FinetuneForm(FormScreen[tuple[int, ...]]):
    """The data of a fine-tune that was made before are proposed again, at first those of the demo."""

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        super().__init__(
            "Fine-tune",
            (
                Field("model", "Model", suggestion.model),
                Field("data", "Training data", kind="path"),
                Field("eval_data", "Held-out data", hint="none: no score while it trains", kind="path"),
                Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path"),
                Field("method", "Method", "auto", "auto, peft or full", choices=("auto", "peft", "full")),
                Field("epochs", "Epochs", "", "3, or steps below"),
                Field("steps", "Steps", "", "as many as the epochs take", kind="integer"),
                Field("lr", "Learning rate", "", "2e-4"),
                Field("batch", "Batch size", "", "8", kind="integer"),
            ),
            "peft: LoRA adapters. full: every weight. auto: LoRA where the weights are trained, full where they are "
            "random. Fine-tunes run one at a time.",
        )
        self._home = home
        self._suggestion = suggestion

    def propose(self) -> dict[str, str]:
        return for_finetune(self._home, self._suggestion)

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.queue import enqueue_finetune

        run = enqueue_finetune(
            self._home,
            required(values, "model", "the model"),
            data=path_of(required(values, "data", "the training data")),
            image_root=path_of(values["image_root"]) or None,
            eval_data=path_of(values["eval_data"]) or None,
            settings={setting: values[name] for name, setting in SETTINGS.items() if values[name]},
        )
        return (run,)
