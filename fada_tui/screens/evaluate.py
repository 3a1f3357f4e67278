"""The form that queues an evaluation, of one model or of several with the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backends.estimate.ask import Question as Asked
from backends.jobs.precision import PRECISIONS
from backends.jobs.settings import EVAL_TASKS, GENERATION, OF_TASK
from db.home import Home
from fada_tui.format import count
from fada_tui.screens.datafacts import DataFacts, Facts
from fada_tui.screens.engines import ENGINE, chosen_engine, engine_fields
from fada_tui.screens.environments import ENVIRONMENT, chosen_environment, environment_fields, environment_lines
from fada_tui.screens.fields import Field, FormError, path_of, required
from fada_tui.screens.fitform import FitForm
from fada_tui.screens.form import Question
from fada_tui.screens.propose import for_evaluation
from fada_tui.screens.suggest import Suggestion

if TYPE_CHECKING:
    from backends.jobs.servers import Server

_DATA = "Data: a JSONL file (FADA chat, ShareGPT), an ImageFolder, or what its kind reads."
_KIND = (
    "gt: cosine and exact match with reference answers. proxy: keywords, comparable with nothing. perf: speed. u2bench "
    "and fetal-gauge: their folders. zero-shot: folders named after classes, for CLIP-like models."
)
_ONE = "Model: tracker name, Hugging Face id or checkpoint folder."
_SEVERAL = "All are checked before the first is queued; a run each."
_PRECISION = "auto: bf16 on a card, else fp32. 8bit and 4bit need bitsandbytes; scores are told apart by it."
_TEXT_ONLY = "yes asks each distinct question once more about a grey picture: what is scored without looking."
_BATCH = "Questions at once: a smaller batch takes less memory and more time."
_TOKENS = "An answer is cut after so many tokens. Reports need 256 and more."
_OF_ONE = ("model", "adapter", "server")
"""Fields that make no sense for several models."""
_AGREED = "agreed"
"""Key of the values when a person has agreed that the images are sent."""
_CODE = "code"
"""Key of the values: hashes of the code that a person has agreed to run."""
_NAMED = 12
"""So many of the models are named in the form."""


class EvaluateForm(FitForm[tuple[int, ...]]):
    """Data and tuned model of the suggestion are proposed again where they are still there. Below the fields stands
    what the evaluation would take.

    Args:
        models: Names of several models to evaluate; none: the one that is written in the form.
    """

    def __init__(self, home: Home, suggestion: Suggestion, models: Sequence[str] = ()) -> None:
        fields = (
            Field("model", "Model", suggestion.model),
            Field("data", "Data", kind="path"),
            Field("kind", "Kind", kind="pick", choices=EVAL_TASKS, help=_KIND),
            Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path"),
            Field("limit", "Limit", "", "all questions", kind="integer"),
            Field("adapter", "Tuned by run", hint="none: as it is", kind="integer", beside=True),
            Field("server", "Server", hint="none: here; a name in config.toml, or URL MODEL"),
            Field("precision", "Precision", kind="pick", choices=PRECISIONS, help=_PRECISION),
            Field("text_only", "Text-only floor", kind="pick", choices=("no", "yes"), beside=True, help=_TEXT_ONLY),
            Field("batch", "Batch size", "", str(GENERATION["batch_size"]), kind="integer", help=_BATCH),
            Field("new_tokens", "New tokens", "", str(GENERATION["max_new_tokens"]), kind="integer", beside=True,
                  help=_TOKENS),
            *environment_fields(home),
            *engine_fields(home),
        )  # fmt: skip
        if models:
            rest = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
            note = f"{', '.join(models[:_NAMED])}{rest}. {_SEVERAL} {_DATA}"
            of_several = tuple(field for field in fields if field.name not in _OF_ONE)
            super().__init__(f"Evaluate {count(len(models), 'model')}", of_several, note, tuple(models))
        else:
            super().__init__("Evaluate", fields, f"{_DATA} {_ONE}", suggestion.about)
        self._home = home
        self._suggestion = suggestion
        self._models = tuple(models)
        self._facts = DataFacts()

    FIT_OF = ("model", "data", "kind", "image_root", "limit", "adapter", "server", "precision", "batch", "new_tokens",
              ENVIRONMENT, ENGINE)  # fmt: skip

    def fit_home(self) -> Home:
        return self._home

    def models(self, values: dict[str, str]) -> tuple[str, ...]:
        return self._models or super().models(values)

    def question(self, values: dict[str, str]) -> Asked:
        facts = self._data(values)
        usual = {**GENERATION, **OF_TASK.get(values["kind"], {})}
        return Asked(
            "",
            "",
            precision="" if values["precision"] == "auto" else values["precision"],
            batch=int(values["batch"] or usual["batch_size"]),
            new_tokens=int(values["new_tokens"] or usual["max_new_tokens"]),
            task=values["kind"],
            tuned=bool(values.get("adapter")),
            samples=facts.samples,
            image_sizes=facts.image_sizes,
            embedded=values["kind"] == "gt",
        )

    def _data(self, values: dict[str, str]) -> Facts:
        limit = int(values["limit"]) if values["limit"] else None
        return self._facts.of(path_of(values["data"]), path_of(values["image_root"]), limit, values["kind"])

    def fit_lines(self, values: dict[str, str]) -> list[str]:
        """What the data hold and what is wrong with them stands there whether or not the model is known."""
        told = list(self._data(values).told)
        try:
            # First: where it is not made, nothing else matters.
            told = [*environment_lines(self._home, self.models(values), values), *told]
            return [*told, *super().fit_lines(values)]
        except Exception:  # noqa: BLE001 - a model that is half typed is none; enter will say it loudly
            return told

    def propose(self) -> dict[str, str]:
        proposed = for_evaluation(self._home, self._suggestion)
        known = {field.name for field in self.fields}
        return {name: value for name, value in proposed.items() if name in known}

    def submit(self, values: dict[str, str]) -> tuple[int, ...]:
        from backends.jobs.consent import ConsentNeeded
        from backends.jobs.engines.config import grouped
        from backends.jobs.remote_code import CodeConsentNeeded
        from backends.jobs.submit import submit

        try:
            plans = self._plans(values)
        except ConsentNeeded as needed:
            text = "; ".join(needed.facts)
            raise Question(f"Send images to {needed.host}?", text, "sends them", {_AGREED: "y"}) from None
        except CodeConsentNeeded as needed:
            # Of each model's code by itself: what was shown is what is agreed to.
            seen = ",".join(filter(None, (values.get(_CODE), needed.code.digest)))
            text = "\n".join((needed.message, *needed.facts))
            raise Question(f"Run the code of {needed.code.words}?", text, "agrees", {_CODE: seen}) from None
        return tuple(submit(self._home, plan) for plan in grouped(plans))

    def _plans(self, values: dict[str, str]) -> list[dict[str, Any]]:
        from backends.jobs.asked import EvalAsked
        from backends.jobs.launch import plan_eval

        agreed = _AGREED in values
        server = _server(self._home, values.get("server", ""), agreed)
        adapter = values.get("adapter")
        return [
            plan_eval(
                self._home,
                model,
                EvalAsked(
                    data=path_of(required(values, "data", "the data file")),
                    image_root=path_of(values["image_root"]) or None,
                    task=values["kind"],
                    limit=int(values["limit"]) if values["limit"] else None,
                    adapter=int(adapter) if adapter else None,
                    server=server,
                    send_images=agreed,
                    environment=chosen_environment(values),
                    trust_remote_code=values.get(_CODE, ""),
                    precision=values["precision"],
                    floors=("text_only",) if values["text_only"] == "yes" else (),
                    generation=_generation(values),
                    engine=chosen_engine(values),
                ),
            )
            for model in self._models or (required(values, "model", "the model"),)
        ]


def _generation(values: dict[str, str]) -> dict[str, int]:
    """What is not left to the defaults.

    Raises:
        FormError: A number that cannot be.
    """
    given = {}
    for name, setting, what in (("batch", "batch_size", "batch size"), ("new_tokens", "max_new_tokens", "new tokens")):
        if values[name]:
            given[setting] = int(values[name])
            if not given[setting]:
                raise FormError(f"{what}: it must be at least 1")
    return given


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
