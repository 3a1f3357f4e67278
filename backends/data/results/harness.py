"""Results of lm-evaluation-harness and lmms-eval: ``samples_TASK_DATE.jsonl`` and ``results_DATE.json``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.records import json_lines
from backends.data.results.made import (
    Faults,
    Made,
    MadeAnswer,
    Stated,
    count,
    number,
    read_document,
    said,
    text_or_none,
)
from backends.data.topic import TOPICS, topic_of

_FORM = 'expected {"doc_id", "target", "filtered_resps"}'
_DATE = r"\d{4}-?\d\d-?\d\d[T_][\d.:-]+"
_SAMPLES = re.compile(rf"(?:(?P<first>{_DATE})_)?samples_(?P<task>.+?)(?:_(?P<last>{_DATE}))?\.jsonl")
_RESULTS = re.compile(rf"(?:(?P<first>{_DATE})_)?results(?:_(?P<last>{_DATE}))?\.json")
_IMAGES = ("image_path", "img_path", "image", "file_name", "images")
_QUESTIONS = ("question", "query", "prompt", "text")
_PRETRAINED = re.compile(r"(?:^|,)(?:pretrained|model|model_version)=([^,]+)")


def harness_files(folder: Path) -> list[Path]:
    """Sample and result files of the newest date in ``folder``."""
    dated = {path: _match(path) for path in sorted(folder.iterdir()) if path.is_file()}
    known = {path: match["first"] or match["last"] or "" for path, match in dated.items() if match}
    newest = max(known.values(), default="")
    return [path for path, date in known.items() if date in ("", newest)]


def read_harness(files: Sequence[Path], given: Path) -> Made:
    """The answers of one model to one or several tasks; a task is the topic, but for FADA's own questions.

    Raises:
        DataError: a file cannot be read, or no line of the samples is an answer.
    """
    made = Made("harness", given, files=list(files))
    results = [path for path in files if _RESULTS.fullmatch(path.name)]
    for path in files:
        match = _SAMPLES.fullmatch(path.name)
        if match:
            _read_samples(path, match["task"], made)
    for path in results:
        document = read_document(path)
        if not isinstance(document, Mapping):
            raise DataError("not a JSON object", str(path), "mend the file, or take it out of the folder")
        made.stated += _stated(document)
        made.manifest = {key: document[key] for key in ("config", "versions", "git_hash", "date") if key in document}
        made.model = _model(document) or made.model
    return made


def _match(path: Path) -> re.Match[str] | None:
    return _SAMPLES.fullmatch(path.name) or _RESULTS.fullmatch(path.name)


def _read_samples(path: Path, task: str, made: Made) -> None:
    faults, others = Faults(), Counter[str]()
    chosen: str | None = None
    answers: list[MadeAnswer] = []
    for line, record in json_lines(path, _FORM, faults):
        used = str(record.get("filter", "none"))
        chosen = chosen or used
        if used != chosen:
            others[used] += 1
            continue
        try:
            answers.append(_answer(record, task, f"{path}:{line}"))
        except DataError as error:
            faults(error)
    if not answers and faults.count:
        raise DataError(
            f"no line is an answer ({faults.texts[0]})", str(path), f"{_FORM}, one a line", tuple(faults.texts)
        )
    made.answers += answers
    made.warnings += faults.warnings()
    for name, number_of in others.items():
        made.warnings.append(f"{task}: {number_of} lines of the filter {name!r} are left out; {chosen!r} is taken")


def _answer(record: Mapping[str, Any], task: str, where: str) -> MadeAnswer:
    if "doc_id" not in record or ("filtered_resps" not in record and "resps" not in record):
        raise DataError("no doc_id or no filtered_resps", where, _FORM)
    given = record.get("doc")
    doc: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    question = _first_text(doc, _QUESTIONS) or text_or_none(record.get("input")) or f"{task} {record['doc_id']}"
    topic = topic_of(question)
    prediction, error = said(_reply(record.get("filtered_resps", record.get("resps"))))
    return MadeAnswer(
        image_path=_image(doc) or f"{task}/{record['doc_id']}",
        category=_first_text(doc, ("category", "sub_category", "subject")),
        question=question,
        topic=topic if topic in TOPICS else task,
        prediction=prediction,
        error=error,
        reference=_target(record.get("target")),
    )


def _reply(replies: Any) -> Any:
    """The text; of log-likelihoods of options the number of the likeliest, as the target is one."""
    while isinstance(replies, list) and len(replies) == 1 and not _likelihood(replies[0]):
        replies = replies[0]
    if isinstance(replies, list) and replies and all(map(_likelihood, replies)):
        values = [float(one[0]) for one in replies]
        return str(values.index(max(values)))
    if isinstance(replies, list) and not replies:
        return None
    return replies


def _likelihood(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and number(_as_number(one[0])) is not None


def _as_number(value: Any) -> Any:
    """The harness writes numbers as text in its newer releases."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _target(target: Any) -> str | None:
    while isinstance(target, list) and len(target) == 1:
        target = target[0]
    return text_or_none(target)


def _first_text(doc: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((text for name in names if isinstance(text := doc.get(name), str) and text.strip()), None)


def _image(doc: Mapping[str, Any]) -> str | None:
    for name in _IMAGES:
        value = doc.get(name)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, Mapping):
            value = value.get("path")
        if isinstance(value, str) and value.strip() and len(value) < 1024:
            return value
    return None


def _stated(document: Mapping[str, Any]) -> Iterator[Stated]:
    """``"results": {TASK: {"acc,none": 0.5, "acc_stderr,none": 0.01}}``; of one task they are the whole's too."""
    results, sizes = document.get("results"), document.get("n-samples")
    tasks = {str(task): row for task, row in results.items() if isinstance(row, Mapping)} if results else {}
    for task, row in tasks.items():
        size = sizes.get(task) if isinstance(sizes, Mapping) else None
        n = count(size.get("effective")) if isinstance(size, Mapping) else None
        for key, raw in row.items():
            name, _, used = str(key).partition(",")
            value = number(raw)
            if value is None or name.endswith("_stderr") or name in ("alias", "samples", "sample_len"):
                continue
            stderr = number(row.get(f"{name}_stderr,{used}" if used else f"{name}_stderr"))
            extra = {} if stderr is None else {"stderr": stderr}
            metric = name if used in ("", "none") else f"{name} ({used})"
            yield Stated(metric, value, question=None if len(tasks) == 1 else task, n=n, extra=extra)


def _model(document: Mapping[str, Any]) -> str | None:
    config = document.get("config")
    arguments = config.get("model_args") if isinstance(config, Mapping) else None
    if isinstance(arguments, Mapping):
        found = arguments.get("pretrained") or arguments.get("model")
        if found:
            return str(found)
    match = _PRETRAINED.search(arguments) if isinstance(arguments, str) else None
    if match:
        return match[1]
    return text_or_none(document.get("model_name")) or text_or_none(document.get("model_source"))
