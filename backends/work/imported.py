"""The directory of a run that was made elsewhere: our own files, so that the index can be rebuilt from it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backends.data.results.join import Joined
from backends.data.results.made import Made
from backends.jobs import store
from backends.jobs.events import EventWriter
from backends.jobs.files import write_json
from backends.jobs.ingest import adopt, ingest
from backends.jobs.labels import Labels, write_labels
from backends.jobs.spec import FORMAT, fingerprint
from backends.scoring.answer import Answer
from backends.work.common import sync_folder
from backends.work.values import Values, write_values
from db.connect import connect
from db.home import Home

_OF_TRAINING = ("adapter_path", "lora_config", "training_config", "final_loss")
_OF_TRAINER = ("trainer", "settings", "steps", "seconds", "final_loss", "adapter_path")
_ADAPTER_FILES = re.compile(r"adapter_(config\.json|model\.safetensors)|.*\.(json|jinja|txt|model)")
_CHUNK = 1 << 20


@dataclass
class Imported:
    """Everything that a run's directory is made of. ``answers`` are those of ``joined``, in the same order."""

    made: Made
    model: str
    joined: Joined
    answers: Sequence[Answer]
    data: dict[str, Any] | None
    """The spec's part on the data that the answers were joined with."""
    embedding: str | None
    warnings: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    stated: list[dict[str, Any]] = field(default_factory=list)
    values: Values = field(default_factory=dict)

    @property
    def tuned(self) -> bool:
        """The results say that they are of a fine-tuned model."""
        return bool(self.made.curve) or any(self.made.manifest.get(key) for key in _OF_TRAINING)

    @property
    def summary(self) -> dict[str, Any]:
        """Counts of what was found and of what did not find its partner, and the overall scores."""
        manifest = self.made.manifest
        trained = {key: manifest[key] for key in _OF_TRAINER if key in manifest}
        if trained.get("final_loss") is not None:
            trained["train_loss"] = trained.pop("final_loss")
        overall = [row for row in (*self.rows, *self.stated) if row["question"] is None and row["category"] is None]
        return {
            **trained,
            "imported": str(self.made.path),
            "format": self.made.format,
            "samples": len(self.answers),
            "answered": sum(not answer.failed for answer in self.answers),
            "failed": sum(answer.failed for answer in self.answers),
            "scored": sum(bool(answer.reference) for answer in self.answers),
            "unmatched": sum(not answer.reference for answer in self.answers),
            "unanswered": len(self.joined.unanswered),
            "stated": len(self.stated),
            "scores": {row["metric"]: row["value"] for row in overall},
        }

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Without the run's id. Its fingerprint is of the files' content: nothing else of them is known for sure."""
        made = self.made
        hashes = {str(path): _sha256(path) for path in made.files}
        evaluated = bool(self.answers or made.stated)
        spec: dict[str, Any] = {
            "format": FORMAT,
            "kind": "eval" if evaluated else "finetune",
            "task": "gt" if evaluated else None,
            "source": "import",
            "model": {
                "name": self.model,
                # A base that lies on this machine is found again: an export merges into it.
                "source": made.manifest.get("base_path") or made.model,
                "loader": "none",
                "revision": None,
                "from_run": None,
                "parent": None,
                "content": hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:16],
            },
            "data": self.data,
            "generation": None,
            "training": None,
            "scoring": {"embedding": self.embedding} if evaluated else None,
            "seed": None,
            "after": [],
            "versions": {},
            "import": {"path": str(made.path), "format": made.format, "files": hashes, "manifest": made.manifest},
            "created": store.now(),
        }
        return spec | {"fingerprint": fingerprint(spec)}


def write_run(home: Home, result: Imported, loaded: Mapping[str, Any] | None) -> int:
    """Write the directory of a new run that is over; spec.json comes last. Its id.

    Args:
        loaded: The embedding as it was loaded, for scores.json.
    """
    run_id = store.allocate(home)
    folder = home.run_dir(run_id)
    try:
        _write_predictions(folder / "predictions.jsonl", result)
        document: dict[str, Any] = {"scores": [*result.rows, *result.stated], "finished": True}
        document |= {"stated": result.stated, "embedding": loaded, "unmatched": result.summary["unmatched"]}
        write_values(folder, result.values)
        write_json(folder / "scores.json", document)
        _copy_adapter(folder / "adapter", result)
        _write_events(folder / "events.jsonl", result)
        tags = ("imported", *(("tuned",) if result.tuned else ()))
        write_labels(folder, Labels(tags, f"imported from {result.made.path}"))
        # Before the spec: a run with a spec and no attempt waits to be started. When it ran is not known.
        store.write_attempt(folder, store.Attempt(1, ended=store.now(), exit_code=0))
        store.create(home, run_id, {**result.spec, "id": run_id})
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run_id


def index(home: Home, run_id: int) -> None:
    """Bring the run into runs.db."""
    with closing(connect(home.runs_db)) as conn:
        adopt(conn, home, run_id)
        ingest(conn, home, run_id)


def training_words(manifest: Mapping[str, Any]) -> list[str]:
    """Who trained it and how, for people."""
    if not manifest.get("trainer"):
        return []
    parts = [f"{manifest['steps']} steps"]
    if manifest.get("final_loss") is not None:
        parts.append(f"loss {manifest['final_loss']:.4g}")
    if manifest.get("seconds") is not None:
        parts.append(f"{manifest['seconds']:.0f} s")
    words = [f"trained by {manifest['trainer']}: {', '.join(parts)}"]
    settings = ", ".join(f"{name} {_plain(name, value)}" for name, value in manifest["settings"].items())
    return [*words, *([f"settings: {settings}"] if settings else [])]


def _plain(name: str, value: Any) -> str:
    """Of the modules that LoRA was put on, which may be all of a model, the kinds."""
    if not isinstance(value, list):
        return str(value)
    parts = (str(one).rpartition(".")[2] if "target" in name else str(one) for one in value)
    return "+".join(dict.fromkeys(parts))


def _write_predictions(path: Path, result: Imported) -> None:
    """In the form of our own runs, with ``topic`` as it was joined."""
    if not result.answers:
        return
    with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for joined, answer in zip(result.joined.answers, result.answers, strict=True):
            record = {
                "id": answer.id,
                "image_path": answer.image_path,
                "category": answer.category,
                "question": joined.answer.question,
                "prediction": None if answer.error else answer.prediction,
                "reference": answer.reference or None,
                "latency_s": joined.answer.latency_s,
                "output_tokens": joined.answer.output_tokens,
                "error": answer.error,
                "topic": answer.topic,
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _copy_adapter(folder: Path, result: Imported) -> None:
    """A LoRA adapter that another trainer left becomes this run's own, so that `fada eval --adapter` takes it.

    Copied, as what lies elsewhere may change. Weights that are pickles stay where they are.
    """
    source = Path(str(result.made.manifest.get("adapter_path") or ""))
    if result.spec["kind"] != "finetune" or not (source / "adapter_config.json").is_file():
        return
    if not (source / "adapter_model.safetensors").is_file():
        result.warnings.append(f"{source}: the adapter has no adapter_model.safetensors, so it was not taken over")
        return
    folder.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and _ADAPTER_FILES.fullmatch(path.name):
            shutil.copyfile(path, folder / path.name)


def _write_events(path: Path, result: Imported) -> None:
    made, total = result.made, len(result.answers)
    with closing(EventWriter(path)) as events:
        events.write("started", device="elsewhere", versions={}, total=total, unit="samples")
        for text in training_words(made.manifest):
            events.message("info", text)
        for text in result.warnings:
            events.message("warning", text)
        for point in made.curve:
            events.metric(point.name, point.value, point.step)
        events.progress(total, total, "samples", "import")
        events.finished(**result.summary)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_CHUNK):
            found.update(block)
    return found.hexdigest()
