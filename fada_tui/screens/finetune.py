"""The form that queues a fine-tune."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on, work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.jobs.preview import Preview, preview_finetune
from backends.jobs.settings import TRAINING
from db.home import Home
from fada_tui.screens.fitform import FitForm
from fada_tui.screens.form import Field, FormError, path_of, required
from fada_tui.screens.propose import for_finetune
from fada_tui.screens.suggest import Suggestion
from fada_tui.screens.trainingtable import preview_lines, warning_lines
from fada_tui.sources.trouble import explain

SETTINGS = {
    "method": "method",
    "epochs": "epochs",
    "steps": "max_steps",
    "lr": "learning_rate",
    "batch": "batch_size",
}
"""Field of the form to name of the setting."""
LOOKS_AT = ("data", "eval_data", "image_root")
"""Fields that decide what is shown of the training data."""
SECONDS = 3.0
"""So long images are compared while the form is open."""
SETTLED_S = 0.4
"""So long nothing must have been typed before files are read."""


class FinetuneForm(FitForm[tuple[int, ...]]):
    """The data of a fine-tune that was made before are proposed again, at first those of the demo.

    Below the fields stands what the training data hold, and what an evaluation asks that they never show. Warnings
    that nobody has seen yet hold the first enter back.
    """

    @dataclass
    class Looked(Message):
        """``found`` is None where the data cannot be read; ``trouble`` then says why."""

        of: tuple[str, ...]
        found: Preview | None
        trouble: str = ""

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
        self._looked_at: tuple[str, ...] = ()
        self._seen: tuple[str, ...] = ()
        self._known: tuple[str, ...] = ()
        """Warnings that stood there when enter was pressed."""

    def on_mount(self) -> None:
        # Textual calls that of each base itself: calling it here would mount what they mount twice.
        box = self.query_one(".box", VerticalScroll)
        shown = [Static("", id="warnings", classes="alarm"), Static("", id="training", classes="fact")]
        for one in shown:
            one.display = False
        box.mount(*shown, after="#fields")
        self._look_soon()

    @on(Input.Changed)
    def _look_soon(self) -> None:
        wanted = self._wanted()
        if wanted != self._looked_at:
            self._looked_at = wanted
            self.set_timer(SETTLED_S, lambda: self._look_if(wanted))

    FIT_OF = ("model", "method", "batch")

    def fit_home(self) -> Home:
        return self._home

    def question(self, values: dict[str, str]) -> tuple[str, str, int]:
        return values["method"] or "auto", "", int(values["batch"] or TRAINING["batch_size"])

    def entered(self) -> None:
        self._known = self._seen

    def _wanted(self) -> tuple[str, ...]:
        values = self.values
        return tuple(path_of(values[name]) for name in LOOKS_AT)

    def _look_if(self, wanted: tuple[str, ...]) -> None:
        """Not while somebody types."""
        if wanted == self._looked_at and wanted[0]:
            self._look(wanted)

    @work(thread=True, exit_on_error=False, exclusive=True, group="look")
    def _look(self, wanted: tuple[str, ...]) -> None:
        try:
            self.post_message(self.Looked(wanted, self._preview(wanted)))
        except Exception as error:  # noqa: BLE001 - a path that is half typed is no file; enter will say it loudly
            self.post_message(self.Looked(wanted, None, explain(error)[0]))

    def _preview(self, wanted: tuple[str, ...]) -> Preview:
        data, held_out, root = wanted
        return preview_finetune(self._home, data, root or None, held_out or None, seconds=SECONDS)

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        if event.of != self._looked_at:
            return
        lines = preview_lines(event.found) if event.found else []
        told = warning_lines(event.found) if event.found else []
        for name, text in (("training", lines), ("warnings", told)):
            shown = self.query_one(f"#{name}", Static)
            shown.update(Content("\n".join(text)))
            shown.display = bool(text)
        if event.found:
            self._seen = event.found.warnings

    def propose(self) -> dict[str, str]:
        return for_finetune(self._home, self._suggestion)

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.queue import enqueue_finetune

        required(values, "data", "the training data")
        self._hold_back(values)
        run = enqueue_finetune(
            self._home,
            required(values, "model", "the model"),
            data=path_of(required(values, "data", "the training data")),
            image_root=path_of(values["image_root"]) or None,
            eval_data=path_of(values["eval_data"]) or None,
            settings={setting: values[name] for name, setting in SETTINGS.items() if values[name]},
        )
        return (run,)

    def _hold_back(self, values: dict[str, str]) -> None:
        """Once for warnings that were not on the screen yet.

        Raises:
            FormError: there are some.
        """
        try:
            found = self._preview(tuple(path_of(values[name]) for name in LOOKS_AT))
        except Exception:  # noqa: BLE001 - what cannot be read is refused with its place and a hint when it is queued
            return
        if set(found.warnings) <= set(self._known):
            return
        self._seen = found.warnings
        raise FormError("\n".join(warning_lines(found)), "enter again queues it all the same")
