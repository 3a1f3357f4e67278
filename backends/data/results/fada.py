"""FADA's results: predictions.jsonl, scores.json, run_manifest.json and training_log.json; and run folders of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from backends.data.errors import DataError
from backends.data.records import json_lines
from backends.data.results.made import (
    Faults,
    Made,
    MadeAnswer,
    Point,
    Stated,
    count,
    keep_last,
    number,
    read_document,
    said,
    text_or_none,
)
from backends.data.topic import topic_of

PREDICTIONS, SCORES, MANIFEST, LOG = "predictions.jsonl", "scores.json", "run_manifest.json", "training_log.json"
FILES = (PREDICTIONS, SCORES, MANIFEST, LOG)
_FORM = 'expected {"image_path", "category", "question", "prediction"}'
_METRICS = {
    "embedding_similarity": "cosine",
    "cosine_similarity": "cosine",
    "set_f2": "set_f2",
    "f2": "set_f2",
    "relaxed_accuracy": "relaxed_accuracy",
    "relaxed_acc": "relaxed_accuracy",
    "keyword_f1": "keyword_f1",
    "bin_accuracy": "bin_accuracy",
    "ordered_bin_accuracy": "bin_accuracy",
}
"""FADA's names of metrics that the present scorer has too; every other keeps its own."""


def read_fada(folder: Path, predictions: Path | None = None) -> Made:
    """The results in ``folder``; with ``predictions`` those of that file alone.

    Raises:
        DataError: a file cannot be read, or no line of the predictions is an answer.
    """
    made = Made("fada", predictions or folder)
    names = FILES if predictions is None else ()
    there = {name: folder / name for name in names if (folder / name).is_file()}
    if predictions is not None:
        there[PREDICTIONS] = predictions
    made.files = list(there.values())
    if PREDICTIONS in there:
        _read_answers(there[PREDICTIONS], made)
    if MANIFEST in there:
        made.manifest = _object(there[MANIFEST])
        made.model = text_or_none(made.manifest.get("model"))
    if SCORES in there:
        scores = _object(there[SCORES])
        made.stated = list(_stated(scores))
        metadata = scores.get("metadata")
        if made.model is None and isinstance(metadata, Mapping):
            made.model = text_or_none(metadata.get("model") or metadata.get("model_name"))
    if LOG in there:
        made.curve = list(_points(read_document(there[LOG]), there[LOG]))
    return made


def _object(path: Path) -> dict[str, Any]:
    found = read_document(path)
    if not isinstance(found, dict):
        raise DataError("not a JSON object", str(path), "mend the file, or take it out of the folder")
    return found


def _read_answers(path: Path, made: Made) -> None:
    faults = Faults()
    answers: list[MadeAnswer] = []
    for line, record in json_lines(path, _FORM, faults):
        try:
            answers.append(_answer(record, f"{path}:{line}"))
        except DataError as error:
            faults(error)
    if not answers and faults.count:
        raise DataError(
            f"no line is an answer ({faults.texts[0]})", str(path), f"{_FORM}, one a line", tuple(faults.texts)
        )
    made.answers, replaced = keep_last(answers)
    made.warnings += faults.warnings()
    if replaced:
        made.warnings.append(f"{replaced} answers were given again for the same question and image: the last counts")


def _answer(record: Mapping[str, Any], where: str) -> MadeAnswer:
    image, question = record.get("image_path"), record.get("question")
    if not isinstance(image, str) or not image.strip() or not isinstance(question, str) or not question.strip():
        raise DataError("no image_path or no question", where, _FORM)
    if "prediction" not in record:
        raise DataError("no prediction", where, _FORM)
    prediction, error = said(record["prediction"])
    if record.get("error"):
        prediction, error = None, str(record["error"])
    return MadeAnswer(
        image_path=image,
        category=text_or_none(record.get("category")) or category_of(image),
        question=question,
        topic=topic_of(question),
        prediction=prediction,
        error=error,
        reference=text_or_none(record.get("reference")),
        latency_s=number(record.get("latency_s")),
        output_tokens=count(record.get("output_tokens")),
    )


def category_of(image_path: str) -> str | None:
    """The first folder of a relative path, the last of an absolute one."""
    pure = PurePosixPath(image_path.replace("\\", "/"))
    folders = [part for part in pure.parts[:-1] if part not in ("/", "..", ".")]
    if not folders:
        return None
    return folders[-1] if pure.is_absolute() else folders[0]


def _stated(document: Mapping[str, Any]) -> Iterator[Stated]:
    if isinstance(document.get("scores"), list):
        yield from _of_ours(document["scores"])
    overall = document.get("overall")
    if isinstance(overall, Mapping):
        yield from _of_group(overall, {}, "primary")
    for key, place in (("per_question", "question"), ("per_category", "category")):
        groups = document.get(key)
        for name, group in groups.items() if isinstance(groups, Mapping) else ():
            if isinstance(group, Mapping):
                where = {place: topic_of(name) if place == "question" else str(name)}
                yield from _of_group(group, where, _metric(group.get("metric_name")))


def _of_group(group: Mapping[str, Any], where: Mapping[str, Any], primary: str) -> Iterator[Stated]:
    n = count(group.get("num_samples"))
    cosine = number(group.get("embedding_similarity_mean"))
    if cosine is not None:
        yield Stated("cosine", cosine, n=n, **where)
    value = number(group.get("primary_mean", group.get("primary_score_mean")))
    if value is not None and not (primary == "cosine" and cosine is not None):
        kept = {key: number(group.get(key)) for key in ("primary_std", "normalization_rate")}
        extra = {key: one for key, one in kept.items() if one is not None}
        yield Stated(primary, value, n=n, extra=extra, **where)


def _metric(name: Any) -> str:
    plain = "_".join(str(name or "primary").strip().casefold().replace("-", " ").replace("_", " ").split())
    return _METRICS.get(plain, plain)


def _of_ours(rows: list[Any]) -> Iterator[Stated]:
    """A scores.json that this program has written, on this machine or another."""
    for row in rows:
        value = number(row.get("value")) if isinstance(row, Mapping) else None
        if value is not None and isinstance(row.get("metric"), str):
            question, category = text_or_none(row.get("question")), text_or_none(row.get("category"))
            extra = {"scorer": row["scorer"]} if row.get("scorer") else {}
            yield Stated(row["metric"], value, question, category, count(row.get("n")), extra)


def _points(entries: Any, path: Path) -> Iterator[Point]:
    """Every number of every entry but for what counts the steps."""
    if not isinstance(entries, list):
        raise DataError("not a list of log entries", str(path), "mend the file, or take it out of the folder")
    for entry in entries:
        step = count(entry.get("step")) if isinstance(entry, Mapping) else None
        if step is None:
            continue
        for name, value in entry.items():
            found = number(value)
            if name not in ("step", "epoch") and found is not None:
                yield Point(str(name), step, found)
