"""The form that queues a fine-tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from backends.estimate.ask import Question
from backends.jobs.presets import Preset
from backends.jobs.preview import Preview, preview_finetune
from backends.jobs.settings import SettingError, check_settings, training_spec
from db.home import Home
from fada_tui.screens.engines import ENGINE, chosen_engine, engine_fields
from fada_tui.screens.fields import FormError, path_of, required
from fada_tui.screens.finetunefields import (
    NO_PRESET,
    PRECISION,
    PRESET,
    SETTINGS,
    finetune_fields,
    is_default,
    preset_values,
)
from fada_tui.screens.fitform import FitForm
from fada_tui.screens.pick import Pick
from fada_tui.screens.propose import for_finetune
from fada_tui.screens.suggest import Suggestion
from fada_tui.screens.trainingtable import preview_lines, warning_lines
from fada_tui.sources.trouble import explain

LOOKS_AT = ("data", "eval_data", "image_root", "limit", "seed")
"""Fields that decide what is shown of the training data."""
SECONDS = 3.0
"""So long images are compared while the form is open."""
SETTLED_S = 0.4
"""So long nothing must have been typed before files are read."""


class FinetuneForm(FitForm[tuple[int, ...]]):
    """The data of a fine-tune that was made before are proposed again, at first those of the demo.

    Below the fields stands what the fine-tune would take, what the training data hold, and what an evaluation asks
    that they never show. Warnings that nobody has seen yet hold the first enter back.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+g", "keep", "keep as a preset")]

    @dataclass
    class Looked(Message):
        """``found`` is None where the data cannot be read; ``trouble`` then says why."""

        of: tuple[str, ...]
        found: Preview | None
        trouble: str = ""

    @dataclass
    class Known(Message):
        """The presets that there are; ``trouble`` says why one's own cannot be read, or what was kept."""

        presets: dict[str, Preset]
        trouble: str = ""
        chosen: str | None = None

    def __init__(self, home: Home, suggestion: Suggestion) -> None:
        note = "Below: what it takes, and what the training data hold. Fine-tunes run one at a time."
        fields = (*finetune_fields(suggestion.model), *engine_fields(home))
        super().__init__("Fine-tune", fields, note, suggestion.about)
        self._home = home
        self._suggestion = suggestion
        self._presets: dict[str, Preset] = {}
        self._preview_found: Preview | None = None
        self._looked_at: tuple[str, ...] = ()
        self._answered: tuple[str, ...] = ()
        """Warnings that one enter was held back for: the next one is the second yes."""

    def on_mount(self) -> None:
        # Textual calls that of each base itself: calling it here would mount what they mount twice.
        box = self.query_one(".box", VerticalScroll)
        shown = [Static("", id="warnings", classes="alarm"), Static("", id="training", classes="fact")]
        for one in shown:
            one.display = False
        box.mount(*shown, after="#form-note")
        self._look_soon()
        self._read_presets()

    def keys(self) -> str:
        return "enter queues it · ←→ choose · ctrl+o more · ctrl+g keep as a preset"

    # What it would take.

    FIT_OF = ("model", "method", "precision", "r", "targets", "batch", "accumulation", "epochs", "steps", "max_pixels",
              "max_length", ENGINE)  # fmt: skip

    def fit_home(self) -> Home:
        return self._home

    def question(self, values: dict[str, str]) -> Question:
        training = self.training(values)
        found = self._preview_found
        lora = training["lora"]
        return Question(
            "",
            "",
            training["method"],
            "" if values[PRECISION] == "auto" else values[PRECISION],
            training["batch_size"],
            rank=lora["r"],
            targets=lora["targets"],
            max_pixels=training["max_pixels"],
            max_length=training["max_length"],
            samples=found.training.samples if found else None,
            held_out=min(found.held_out, training["eval_limit"] or found.held_out) if found else 0,
            image_sizes=found.image_sizes if found else (),
        )

    def training(self, values: dict[str, str]) -> Mapping[str, Any]:
        return training_spec(check_settings(_settings(values)))

    def method_words(self, values: dict[str, str]) -> str:
        """Whether unsloth would be used: the only thing of the method that the machine decides."""
        from backends.estimate.memory import why_not_unsloth
        from fada_tui.screens.fitform import about_model

        method = values["method"]
        if method not in ("auto", "unsloth"):
            return ""
        source = about_model(self._home, Question("", ""), values["model"]).source
        reason = why_not_unsloth(source, by_name=method == "unsloth")
        if reason is None:
            return "trained by unsloth"
        return f"without unsloth: {reason}" if method == "auto" else f"✗ unsloth cannot be used: {reason}"

    # What the data hold.

    @on(Input.Changed)
    def _look_soon(self) -> None:
        wanted = self._wanted()
        if wanted != self._looked_at:
            self._looked_at = wanted
            self.set_timer(SETTLED_S, lambda: self._look_if(wanted))

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
        data, held_out, root, limit, seed = wanted
        return preview_finetune(
            self._home, data, root or None, held_out or None, int(limit or 0) or None, SECONDS, int(seed or 0)
        )

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
        self._preview_found = event.found
        self.fit_again()

    # Presets.

    @work(thread=True, exit_on_error=False)
    def _read_presets(self) -> None:
        from backends.jobs.presets import read_presets

        try:
            self.post_message(self.Known(read_presets(self._home)))
        except Exception as error:  # noqa: BLE001 - the form works without presets; what is wrong with them is said
            message, hint = explain(error)
            self.post_message(self.Known({}, f"presets: {message}" + (f"\n→ {hint}" if hint else "")))

    @on(Known)
    def _know(self, event: Known) -> None:
        self._presets = event.presets or self._presets
        pick = self.query_one(f"#field-{PRESET}", Pick)
        with self.prevent(Pick.Changed):  # one that is gone meanwhile leaves its values
            pick.offer((NO_PRESET, *self._presets))
        if event.chosen:
            with self.prevent(Pick.Changed):
                pick.value = event.chosen
        if event.trouble and event.chosen:
            self.app.notify(event.trouble, markup=False)
        elif event.trouble:
            self._say(event.trouble, problem=True)

    def _fill(self, values: dict[str, str]) -> None:
        """The preset's own values may have been changed since it was chosen."""
        with self.prevent(Pick.Changed):
            super()._fill(values)
        self._fit_soon()

    @on(Pick.Changed, f"#field-{PRESET}")
    def _take_preset(self, event: Pick.Changed) -> None:
        """Its values go into the fields, where they can be seen and changed; all others become the defaults."""
        for name, value in preset_values(self._presets.get(event.value)).items():
            self.field_of(name).value = value

    def action_keep(self) -> None:
        from fada_tui.screens.confirm import Choice, ConfirmScreen
        from fada_tui.screens.prompt import PromptScreen

        values = self.values
        settings = [
            f"{SETTINGS[name]} {value}" for name in SETTINGS if (value := values[name]) and not is_default(name, value)
        ]
        facts = [", ".join([*settings, f"precision {values[PRECISION]}"])]
        chosen = values[PRESET] if values[PRESET] != NO_PRESET else ""

        def named(name: str | None) -> None:
            def replaced(key: str | None) -> None:
                if name and key is not None:
                    self._keep(name, values)

            if name and name in self._presets and self._presets[name].own:
                question = ConfirmScreen(f"Replace {name}?", "What it holds is lost.", Choice("y", "replace it"))
                self.app.push_screen(question, replaced)
            elif name:
                self._keep(name, values)

        screen = PromptScreen("Keep these settings as a preset", "", facts=facts, help=_keep_help(chosen))
        self.app.push_screen(screen, named)

    @work(thread=True, exit_on_error=False)
    def _keep(self, name: str, values: dict[str, str]) -> None:
        from backends.jobs.presets import read_presets, save_preset

        try:
            path = save_preset(self._home, name, _settings(values), values[PRECISION])
            said = f"kept as {name!r} in {path}"
            self.post_message(self.Known(read_presets(self._home), said, name))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown in the form
            self.post_message(self.Refused(*explain(error)))

    # Queueing.

    def propose(self) -> dict[str, str]:
        return for_finetune(self._home, self._suggestion)

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.follow import enqueue_finetune_with_evals

        required(values, "data", "the training data")
        self._hold_back(values)
        runs = enqueue_finetune_with_evals(
            self._home,
            required(values, "model", "the model"),
            evaluate=values["evaluate"] == "yes",
            data=path_of(required(values, "data", "the training data")),
            image_root=path_of(values["image_root"]) or None,
            eval_data=path_of(values["eval_data"]) or None,
            settings=_settings(values),
            precision=values[PRECISION],
            engine=chosen_engine(values),
        )
        return tuple(runs)

    def _hold_back(self, values: dict[str, str]) -> None:
        """Once for each warning, also for one that stood there all the time: it needs a second yes.

        Raises:
            FormError: there are some.
        """
        try:
            found = self._preview(tuple(path_of(values[name]) for name in LOOKS_AT))
        except Exception:  # noqa: BLE001 - what cannot be read is refused with its place and a hint when it is queued
            return
        if set(found.warnings) <= set(self._answered):
            return
        self._answered = found.warnings
        raise FormError("\n".join(warning_lines(found)), "enter again queues it all the same")


_ONE_VALUE = "one number with a point; `fada finetune … --sweep lr=1e-4,2e-4` queues a run for each of several"


def _settings(values: dict[str, str]) -> dict[str, str]:
    """What is not left to the defaults, by the settings' names.

    Raises:
        FormError: A value that its setting cannot take; it is called as in the form.
    """
    given = {
        setting: values[name]
        for name, setting in SETTINGS.items()
        if values[name] and not is_default(name, values[name])
    }
    for setting, value in given.items():
        try:
            check_settings({setting: value})
        except SettingError as error:
            raise FormError(str(error), _ONE_VALUE if "," in value else None) from error
    return given


def _keep_help(chosen: str) -> str:
    return f"enter keeps it; {chosen} as a name replaces that one" if chosen else "enter keeps it by this name"
