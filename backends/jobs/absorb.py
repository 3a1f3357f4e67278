"""What each kind of event and each answer becomes in runs.db."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Any

from backends.jobs.store import Attempt
from db.runs.curves import Point, add_points, curve_id
from db.runs.verdict import topic_in, verdict

_decode = json.JSONDecoder().raw_decode
_SCORE_KEYS = ("metric", "question", "category", "step")
_VERDICTS = ("accuracy", "exact")
"""Metrics that say of an answer whether it is right; the first one counts."""
_RATE_MEMORY = 0.6
_RATE_SPAN_S = 1.0
_LIMIT = 1 << 62
"""Whole numbers beyond this are nobody's step; SQLite's end at 2**63."""


class Absorber:
    """Takes one run's lines into its rows, in batches. Lives within one transaction.

    Args:
        attempt: The present attempt, whose pauses are no part of its rate.
    """

    def __init__(self, conn: sqlite3.Connection, run_id: int, attempt: Attempt | None = None) -> None:
        self.topics: set[str] = set()
        self._conn = conn
        self._run = run_id
        self._attempt = attempt
        self._curves: dict[str, tuple[int, list[Point]]] = {}
        self._predictions: list[tuple[Any, ...]] = []
        self._values: list[tuple[Any, ...]] = []
        self._messages: list[tuple[int, float | None, str, str]] = []
        self._row: dict[str, Any] = {}
        self._mark: tuple[float, int, float | None] | None = None

    def event(self, offset: int, line: bytes) -> None:
        """One line of events.jsonl; unknown kinds and fields are ignored, what is no event is said."""
        if not line.strip():
            return
        event = _object(line)
        if event is None or not isinstance(event.get("kind"), str):
            self._message(None, "warning", f"events.jsonl: byte {offset}: not an event, skipped")
            return
        handler = getattr(self, f"_on_{event['kind']}", None)
        if handler is not None:
            try:
                handler(event)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self._message(None, "warning", f"events.jsonl: byte {offset}: {event['kind']} without a good {error}")

    def warn(self, text: str) -> None:
        """A warning of our own among the run's messages."""
        self._message(None, "warning", text)

    def prediction(self, offset: int, line: bytes) -> None:
        """One line of predictions.jsonl; an id that comes again replaces the earlier answer."""
        if not line.strip():
            return
        answer = _object(line)
        if answer is None or not isinstance(answer.get("id"), str):
            self._message(None, "warning", f"predictions.jsonl: byte {offset}: not an answer, skipped")
            return
        fields = (
            "image_path",
            "category",
            "question",
            "prediction",
            "reference",
            "latency_s",
            "output_tokens",
            "error",
        )
        image_path, category, question, prediction, reference, latency_s, tokens, error = map(
            _plain, map(answer.get, fields)
        )
        topic = topic_in(answer["id"], image_path, question, answer.get("topic"))
        texts = (image_path, category, question, prediction, reference, latency_s, tokens, error)
        told = (topic, verdict(prediction, reference, error))
        self._predictions.append((self._run, answer["id"], offset, *texts, *told))

    def value(self, line: bytes) -> None:
        """One line of values.jsonl; of an answer that is not there it says nothing."""
        told = _object(line)
        if told is None or not isinstance(told.get("id"), str):
            return
        values = {
            name: float(one)
            for name, one in told.items()
            if name != "id" and type(one) in (int, float) and math.isfinite(one)
        }
        if values:
            right = next((int(values[name] >= 0.5) for name in _VERDICTS if name in values), None)
            self._values.append((next(iter(values.values())), json.dumps(values), right, self._run, told["id"]))

    def flush_values(self) -> None:
        """Write the values that were gathered beside their answers, which must be there by now."""
        self._conn.executemany(
            "UPDATE predictions SET score = ?, vals = ?, verdict = coalesce(?, verdict) WHERE run = ? AND id = ?",
            self._values,
        )
        self._values.clear()
        self.topics.add("predictions")

    def final_scores(self, scores: list[dict[str, Any]]) -> None:
        """scores.json replaces every score that grew while the run went on."""
        self._conn.execute("DELETE FROM scores WHERE run = ? AND (partial = 0 OR step IS NULL)", (self._run,))
        for score in scores:
            try:
                self._insert_score(_checked(score), partial=0)
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                self._message(None, "warning", f"scores.json: a score without a good {error}")
        self.topics.add("scores")

    def flush(self) -> None:
        """Write what was gathered."""
        for curve, points in self._curves.values():
            add_points(self._conn, curve, points)
            self.topics.add("metrics")
        if self._messages:
            self._conn.executemany("INSERT INTO messages(run, t, level, text) VALUES (?,?,?,?)", self._messages)
            self.topics.add("messages")
        if self._predictions:
            self._conn.executemany(
                "INSERT OR REPLACE INTO predictions(run, id, position, image_path, category, question, prediction, "
                "reference, latency_s, output_tokens, error, topic, verdict) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                self._predictions,
            )
            self.topics.add("predictions")
        if self._row:
            sets = ", ".join(f"{key} = ?" for key in self._row)
            self._conn.execute(f"UPDATE runs SET {sets} WHERE id = ?", (*self._row.values(), self._run))
            self.topics.add("runs")

    def _on_started(self, event: dict[str, Any]) -> None:
        self._row |= {"total": _int(event.get("total")), "unit": _plain(event.get("unit"))}
        self._row["device"] = _plain(event.get("device"))
        self._row |= {"done": 0, "phase": None, "rate": None, "summary": None}
        self._mark = (float(event["t"]), 0, None)
        self._set_mark()

    def _on_progress(self, event: dict[str, Any]) -> None:
        done, at = _whole(event["done"]), float(event["t"])
        phase_before = self._row["phase"] if "phase" in self._row else self._stored("phase")
        self._row |= {"done": done, "total": _int(event.get("total")), "unit": _plain(event.get("unit"))}
        self._row["phase"] = phase = _plain(event.get("phase"))
        mark = self._mark or self._stored_mark()
        if mark is None or done < mark[1] or phase_before != phase:
            self._mark = (at, done, None)
        elif at < mark[0]:
            self._mark = (at, done, mark[2])  # the clock was set back
        elif (worked := self._worked(mark[0], at)) >= _RATE_SPAN_S:
            new = (done - mark[1]) / worked
            rate = new if mark[2] is None else _RATE_MEMORY * mark[2] + (1 - _RATE_MEMORY) * new
            self._mark = (at, done, rate)
        else:
            self._mark = mark
        self._set_mark()

    def _on_metric(self, event: dict[str, Any]) -> None:
        name, step, value, at = event["name"], _whole(event["step"]), event["value"], float(event["t"])
        if value is not None:
            value = float(value)
            if not math.isfinite(value):
                value = None
        known = self._curves.get(name)
        if known is None:
            known = self._curves[name] = (curve_id(self._conn, self._run, str(name)), [])
        known[1].append((known[0], step, value, at))

    def _on_score(self, event: dict[str, Any]) -> None:
        score = _checked({key: value for key, value in event.items() if key not in ("t", "kind")})
        keys = [score.get(key) for key in _SCORE_KEYS]
        match = " AND ".join(f"{key} IS ?" for key in _SCORE_KEYS)
        self._conn.execute(f"DELETE FROM scores WHERE run = ? AND partial = 1 AND {match}", (self._run, *keys))
        self._insert_score(score, partial=1)
        self.topics.add("scores")

    def _on_message(self, event: dict[str, Any]) -> None:
        self._message(float(event["t"]), str(event.get("level", "info")), str(event["text"]))

    def _on_checkpoint(self, event: dict[str, Any]) -> None:
        self._conn.execute(
            "INSERT OR REPLACE INTO checkpoints(run, step, path) VALUES (?,?,?)",
            (self._run, _whole(event["step"]), str(event["path"])),
        )

    def _on_finished(self, event: dict[str, Any]) -> None:
        self._row["summary"] = json.dumps(event.get("summary") or {}, ensure_ascii=False)

    def _on_failed(self, event: dict[str, Any]) -> None:
        said = {key: event.get(key) for key in ("error", "message", "hint")}
        self._row["summary"] = json.dumps(said, ensure_ascii=False)
        hint = f" — {said['hint']}" if said["hint"] else ""
        self._message(float(event["t"]), "error", f"{said['message']}{hint}")

    def _message(self, at: float | None, level: str, text: str) -> None:
        self._messages.append((self._run, at, level, text))

    def _insert_score(self, score: dict[str, Any], partial: int) -> None:
        self._conn.execute(
            "INSERT INTO scores(run, metric, question, category, step, partial, body) VALUES (?,?,?,?,?,?,?)",
            (self._run, *(score.get(key) for key in _SCORE_KEYS), partial, json.dumps(score, ensure_ascii=False)),
        )

    def _worked(self, begin: float, end: float) -> float:
        return end - begin if self._attempt is None else self._attempt.worked_s(begin, end)

    def _set_mark(self) -> None:
        assert self._mark is not None
        self._row["mark_time"], self._row["mark_done"], self._row["rate"] = self._mark

    def _stored(self, column: str) -> Any:
        return self._conn.execute(f"SELECT {column} FROM runs WHERE id = ?", (self._run,)).fetchone()[0]

    def _stored_mark(self) -> tuple[float, int, float | None] | None:
        row = self._conn.execute("SELECT mark_time, mark_done, rate FROM runs WHERE id = ?", (self._run,)).fetchone()
        return None if row[0] is None else (row[0], row[1], row[2])


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        text = line.decode()
        value, end = _decode(text)
        if end != len(text):
            value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    # Half of a surrogate pair is JSON, but no text that can be stored.
    return _storable(value) if "\\u" in text else value


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """What a column can hold; anything else as its JSON text."""
    if value is None or isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < _LIMIT):
        return value
    return json.dumps(value, ensure_ascii=False)


def _whole(value: Any) -> int:
    number = value if type(value) is int else int(value)
    if not -_LIMIT < number < _LIMIT:
        raise ValueError(f"number: {number} is too large")
    return number


def _int(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _checked(score: dict[str, Any]) -> dict[str, Any]:
    """A score that has what every score has; its names are text.

    Raises:
        AttributeError, KeyError, TypeError, ValueError, OverflowError: It is none.
    """
    if not math.isfinite(float(score["value"])):
        raise ValueError("value")
    counts = {key: _whole(score[key]) for key in ("n", "answered", "failed") if key in score or key == "n"}
    names: dict[str, Any] = {
        key: None if score.get(key) is None else str(score[key]) for key in ("metric", "question", "category")
    }
    optional: dict[str, Any] = {
        key: None if score.get(key) is None else float(score[key]) for key in ("ci_low", "ci_high")
    }
    for key in ("floors", "references"):
        optional[key] = {name: float(one) for name, one in dict(score.get(key) or {}).items() if one is not None}
    optional["alarms"] = [
        {"kind": str(alarm["kind"]), "question": alarm.get("question"), "text": str(alarm["text"])}
        for alarm in score.get("alarms") or ()
    ]
    values = {
        "value": float(score["value"]),
        "step": _int(score.get("step")),
        "source": str(score.get("source", "run")),
    }
    return score | counts | names | optional | values
