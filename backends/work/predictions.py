"""The predictions file of a run: one answer a line, appended as it is made, and read back when a run goes on."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from backends.data.sample import Sample
from backends.data.topic import topic_of
from backends.jobs.job import JobError
from backends.scoring.answer import Answer

_ORDINAL = re.compile(r"#\d+$")


class Predictions:
    """Opens ``path`` for appending. A last line that was cut off by a crash is removed first.

    Raises:
        JobError: a line in the middle is not an answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}
        """By sample id, in the order of the file."""
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._read()

    def add(
        self,
        sample: Sample,
        *,
        prediction: str | None = None,
        latency_s: float | None = None,
        output_tokens: int | None = None,
        error: str | None = None,
    ) -> None:
        """Append one answer, or one failure: an error is never stored as an answer."""
        record = {
            "id": sample.id,
            "image_path": sample.image_path,
            "category": sample.category,
            "question": sample.question,
            "prediction": None if error else prediction,
            "reference": sample.reference,
            "latency_s": None if latency_s is None else round(latency_s, 6),
            "output_tokens": output_tokens,
            "error": error,
        }
        data = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        while data:
            data = data[os.write(self._fd, data) :]
        self.answers[sample.id] = _answer(record)

    def close(self) -> None:
        """Flush to the disk."""
        os.fsync(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        whole = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    answer = _answer(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise JobError(
                        f"{self.path}:{number}: not an answer ({error})", "mend or remove the line, or retry the run"
                    ) from error
                self.answers[answer.id] = answer
                whole += len(line)
        if whole < os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, whole)


def topic_in(record: dict[str, Any]) -> str:
    """As the id has it (a benchmark's topic is its task); the wording tells where the id is of another making."""
    _, _, key = str(record["id"]).partition(f"{record['image_path']}#")
    return _ORDINAL.sub("", key) or topic_of(record["question"])


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(
        id=record["id"],
        image_path=record["image_path"],
        category=record["category"],
        topic=topic_in(record),
        reference=record["reference"],
        prediction=record["prediction"],
        error=record["error"],
    )
