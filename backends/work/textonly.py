"""The floor ``text_only``: what the same model answers to the same questions about a grey picture.

Grey and not absent: a question without an image is another prompt, which many templates do not even have. As the
picture is always the same, each distinct question is asked once, eight times for FADA's data whatever their size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.scoring.values import TEXT_ONLY
from backends.work.asking import Asking
from backends.work.predictions import Predictions

PICTURE, ANSWERS, FOUND = "grey.png", "text_only.jsonl", "text_only.json"
"""In the run's directory: the picture, the answers as they are made, and which sample has which."""
SIDE, GREY = 384, 128


def is_wanted(spec: Mapping[str, Any]) -> bool:
    """Whether the spec asks for this floor."""
    return TEXT_ONLY in ((spec.get("scoring") or {}).get("floors") or ())


def ask_text_only(job: Job, asker: Asking, samples: Sequence[Sample]) -> dict[str, str] | None:
    """Ask each distinct question that has no answer yet; the answers by sample id, or None where it was stopped.

    A question that fails counts as answered with nothing.
    """
    picture = _picture(job.dir / PICTURE)
    questions = {_key(sample): sample for sample in samples}
    asked = [
        replace(sample, id=f"{PICTURE}#{key}", image_path=PICTURE, image_file=picture, problem=None, kind_data=None)
        for key, sample in questions.items()
    ]
    predictions = Predictions(job.dir / ANSWERS)
    missing = sum(sample.id not in predictions.answers for sample in asked)
    if missing:
        words = f"floor text_only: {missing} distinct questions more, asked about a grey picture"
        job.events.message("info", f"{words} (beside {len(samples)} about images)")
    try:
        with closing(asker.run(asked, skip=frozenset(predictions.answers))) as batches:
            for results in batches:
                for one in results:
                    predictions.add(
                        one.sample,
                        prediction=one.reply.text if one.reply else None,
                        latency_s=one.latency_s,
                        output_tokens=one.reply.output_tokens if one.reply else None,
                        error=one.error,
                    )
                if len(predictions.answers) < len(asked) and job.stop_requested():
                    return None
    finally:
        predictions.close()
    if len(predictions.answers) < len(asked):
        return None
    said = {key: predictions.answers[f"{PICTURE}#{key}"].prediction or "" for key in questions}
    found = {sample.id: said[_key(sample)] for sample in samples}
    write_json(job.dir / FOUND, {"answers": found})
    return found


def stored_text_only(folder: Path) -> dict[str, str] | None:
    """What :func:`ask_text_only` has left in a run's directory."""
    document = read_json(folder / FOUND)
    return None if document is None else dict(document["answers"])


def _key(sample: Sample) -> str:
    text = f"{sample.system or ''}\0{sample.question}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _picture(path: Path) -> Path:
    from PIL import Image

    if not path.exists():
        temporary = path.with_name(f".{path.name}")
        Image.new("RGB", (SIDE, SIDE), (GREY, GREY, GREY)).save(temporary, "PNG")
        temporary.replace(path)
    return path
