"""The tool job ``import-run``: results made elsewhere become a finished run, with the same honesty as our own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from backends.catalog.errors import CatalogError
from backends.catalog.reader import USER_FILE, load_catalog
from backends.data.door import open_data
from backends.data.layout import find_layout
from backends.data.results.door import read_results
from backends.data.results.join import Joined, join
from backends.data.results.made import Made
from backends.data.sample import Sample
from backends.data.validate import file_sha256
from backends.jobs.job import Job, JobError
from backends.jobs.launch import EMBEDDING
from backends.scoring.answer import Answer
from backends.scoring.duplicates import with_duplicates
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.score import VERSION, score_answers
from backends.work.imported import Imported, index, write_run
from backends.work.stated import flat_answers, partial_alarm, stated_rows, with_alarms
from backends.work.stored import other_scores
from backends.work.values import values_of
from db.connect import connect
from db.home import Home
from db.tracker.queries import find_models

SHOWN = 3
"""Answers or references without a partner that are named; all are counted."""


def run(job: Job) -> dict[str, Any]:
    """Make a run of the results in ``path``: answers, scores as stated and, with references, scored anew.

    ``model`` says whose they are; ``data`` and ``image_root`` give the references; ``embedding`` another embedding.
    A failure that is stored as a text is a failure. Answers and references that do not find each other are counted in
    the new run's messages and summary.

    Raises:
        DataError: the results or the data cannot be read.
        JobError: a name means several models, or no answer finds its reference.
    """
    arguments = job.spec["tool"]["args"]
    made = read_results(Path(arguments["path"]))
    samples, data = _references(arguments.get("data"), arguments.get("image_root"))
    joined = join(made.answers, samples)
    if samples and made.answers and len(joined.unmatched) == len(made.answers):
        raise _nothing_fits(made, samples)
    job.events.started(device="cpu", versions={}, total=len(made.answers), unit="answers")
    answers = [
        Answer(
            one.id,
            one.image_path,
            one.category,
            one.topic,
            # With a data file its references alone count: two sources are not mixed.
            (one.sample.reference if one.sample else "" if samples else one.answer.reference or ""),
            one.answer.prediction,
            one.answer.error,
        )
        for one in joined.answers
    ]
    scorable = [answer for answer in answers if answer.reference]
    warnings = [*made.warnings, *_unmatched_words(joined, len(scorable), bool(samples))]
    embedder = _embedder(arguments.get("embedding") or EMBEDDING, warnings) if scorable else None
    result = Imported(
        made=made,
        model=model_name(job.home, arguments.get("model"), made),
        joined=joined,
        answers=answers,
        data=data,
        embedding=embedder.name if embedder else None,
        warnings=warnings,
    )
    result.rows = _rows(job, result, scorable, embedder)
    result.values = values_of(scorable, "gt", embedder)
    run_id = write_run(job.home, result, embedder.loaded if embedder else None)
    index(job.home, run_id)
    return {"runs": [run_id], **result.summary, "scorer": VERSION}


def _references(data: str | None, image_root: str | None) -> tuple[list[Sample], dict[str, Any] | None]:
    """The samples of a data file, and the spec's part that names it. The images need not be on this machine."""
    if data is None:
        return [], None
    path = Path(data)
    samples = list(open_data(path, "gt", Path(image_root) if image_root else None))
    part = {
        "path": str(path.absolute()),
        "image_root": str(Path(image_root or path.parent).absolute()),
        "format": find_layout(path, "gt").format,
        "limit": None,
        "samples": len(samples),
        "images": len({sample.image_path for sample in samples}),
        "sha256": file_sha256(path),
        "images_sha256": None,
    }
    return samples, part


def _nothing_fits(made: Made, samples: Sequence[Sample]) -> JobError:
    answer, sample = made.answers[0], samples[0]
    return JobError(
        f"none of {len(made.answers)} answers finds its reference: the first answer is of {answer.image_path} "
        f"({answer.topic}), the first reference of {sample.image_path} ({sample.topic})",
        "give the data file that was asked, or import without --data and keep the stated scores",
    )


def _unmatched_words(joined: Joined, scorable: int, given: bool) -> list[str]:
    """What found no partner, in words: counted, and the first ones named."""
    if not given:
        missing = len(joined.answers) - scorable
        return [f"{missing} answers have no reference and are not scored; --data gives them"] if missing else []
    words = []
    if joined.unmatched:
        first = "; ".join(f"{one.image_path} ({one.topic})" for one in joined.unmatched[:SHOWN])
        words.append(f"{len(joined.unmatched)} answers find no reference and are not scored: {first}")
    if joined.unanswered:
        first = "; ".join(sample.id for sample in joined.unanswered[:SHOWN])
        words.append(f"{len(joined.unanswered)} references find no answer: {first}")
    return words


def _rows(job: Job, result: Imported, scorable: Sequence[Answer], embedder: Embedder | None) -> list[dict[str, Any]]:
    def progress(done: int, total: int) -> None:
        job.events.progress(done, total, "texts", "score")

    rows = score_answers(scorable, embedder=embedder, progress=progress) if scorable else []
    rows = [{**row, "source": "import"} for row in rows]
    result.stated = stated_rows(result.made.stated, result.answers, rows)
    alarms = [] if scorable else flat_answers(result.answers)
    if result.data is not None:
        alarms += partial_alarm(result.data["samples"], len(result.joined.unanswered))
    others = list(other_scores(job.home, job.run_id))
    result.stated = with_duplicates(with_alarms(result.stated, alarms), result.spec, others)
    return with_duplicates(with_alarms(rows, alarms), result.spec, others)


def _embedder(name: str, warnings: list[str]) -> Embedder | None:
    """None, with a warning, where it is not there: an import is worth having without a cosine, never with another's."""
    try:
        return Embedder(name)
    except EmbeddingError as error:
        warnings.append(f"no cosine: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return None


def model_name(home: Home, given: str | None, made: Made) -> str:
    """The tracker's name of the model where it has one, else the name given, else what the results or the folder say.

    Raises:
        JobError: the given name means several models.
    """
    name = (given or made.model or (made.path.stem if made.path.is_file() else made.path.name)).strip()
    with closing(connect(home.fada_db, read_only=True)) as conn:
        found = find_models(conn, name)
        if not found:
            try:
                entry = load_catalog(home.fada_db.with_name(USER_FILE)).lookup(name)
            except CatalogError:
                entry = None
            found = find_models(conn, entry[0].name) if entry else []
    if len(found) == 1:
        return found[0].name
    if found and given:
        raise JobError(f"{given!r} may mean {', '.join(model.name for model in found)}", "name one of them: --model")
    return name
