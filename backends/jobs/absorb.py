"""What each kind of event and each answer becomes in runs.db."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

_SCORE_KEYS = ("metric", "question", "category", "step")
_RATE_MEMORY = 0.6
_RATE_SPAN_S = 1.0


class Absorber:
    """Takes one run's lines into its rows, in batches. Lives within one transaction."""

    def __init__(self, conn: sqlite3.Connection, run_id: int) -> None:
        self.topics: set[str] = set()
        self._conn = conn
        self._run = run_id
        self._metrics: list[tuple[Any, ...]] = []
        self._predictions: list[tuple[Any, ...]] = []
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
            except (KeyError, TypeError, ValueError) as error:
                self._message(None, "warning", f"events.jsonl: byte {offset}: {event['kind']} without a good {error}")

    def prediction(self, offset: int, line: bytes) -> None:
        """One line of predictions.jsonl; an id that comes again replaces the earlier answer."""
        if not line.strip():
            return
        answer = _object(line)
        if answer is None or "id" not in answer:
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
        self._predictions.append((self._run, answer["id"], offset, *(answer.get(field) for field in fields)))

    def final_scores(self, scores: list[dict[str, Any]]) -> None:
        """scores.json replaces every score that grew while the run went on."""
        self._conn.execute("DELETE FROM scores WHERE run = ? AND (partial = 0 OR step IS NULL)", (self._run,))
        for score in scores:
            self._insert_score(score, partial=0)
        self.topics.add("scores")

    def flush(self) -> None:
        """Write what was gathered."""
        if self._metrics:
            self._conn.executemany(
                "INSERT OR REPLACE INTO metrics(run, name, step, value, t) VALUES (?,?,?,?,?)", self._metrics
            )
            self.topics.add("metrics")
        if self._predictions:
            self._conn.executemany(
                "INSERT OR REPLACE INTO predictions(run, id, position, image_path, category, question, prediction, "
                "reference, latency_s, output_tokens, error) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                self._predictions,
            )
            self.topics.add("predictions")
        if self._row:
            sets = ", ".join(f"{key} = ?" for key in self._row)
            self._conn.execute(f"UPDATE runs SET {sets} WHERE id = ?", (*self._row.values(), self._run))
            self.topics.add("runs")

    def _on_started(self, event: dict[str, Any]) -> None:
        self._row |= {"total": _int(event.get("total")), "unit": event.get("unit"), "device": event.get("device")}
        self._row |= {"done": 0, "phase": None, "rate": None, "summary": None}
        self._mark = (float(event["t"]), 0, None)
        self._set_mark()

    def _on_progress(self, event: dict[str, Any]) -> None:
        done, at = int(event["done"]), float(event["t"])
        phase_before = self._row["phase"] if "phase" in self._row else self._stored("phase")
        self._row |= {"done": done, "total": _int(event.get("total")), "unit": event.get("unit")}
        self._row["phase"] = event.get("phase")
        mark = self._mark or self._stored_mark()
        if mark is None or done < mark[1] or phase_before != event.get("phase"):
            self._mark = (at, done, None)
        elif at - mark[0] >= _RATE_SPAN_S:
            new = (done - mark[1]) / (at - mark[0])
            rate = new if mark[2] is None else _RATE_MEMORY * mark[2] + (1 - _RATE_MEMORY) * new
            self._mark = (at, done, rate)
        else:
            self._mark = mark
        self._set_mark()

    def _on_metric(self, event: dict[str, Any]) -> None:
        value = event["value"]
        self._metrics.append(
            (self._run, str(event["name"]), int(event["step"]), None if value is None else float(value), event["t"])
        )

    def _on_score(self, event: dict[str, Any]) -> None:
        score = {key: value for key, value in event.items() if key not in ("t", "kind")}
        float(score["value"]), int(score["n"])  # a score without these is none
        keys = [score.get(key) for key in _SCORE_KEYS]
        match = " AND ".join(f"{key} IS ?" for key in _SCORE_KEYS)
        self._conn.execute(f"DELETE FROM scores WHERE run = ? AND partial = 1 AND {match}", (self._run, *keys))
        self._insert_score(score, partial=1)
        self.topics.add("scores")

    def _on_message(self, event: dict[str, Any]) -> None:
        self._message(event["t"], str(event.get("level", "info")), str(event["text"]))

    def _on_checkpoint(self, event: dict[str, Any]) -> None:
        self._conn.execute(
            "INSERT OR REPLACE INTO checkpoints(run, step, path) VALUES (?,?,?)",
            (self._run, int(event["step"]), str(event["path"])),
        )

    def _on_finished(self, event: dict[str, Any]) -> None:
        self._row["summary"] = json.dumps(event.get("summary") or {}, ensure_ascii=False)

    def _on_failed(self, event: dict[str, Any]) -> None:
        said = {key: event.get(key) for key in ("error", "message", "hint")}
        self._row["summary"] = json.dumps(said, ensure_ascii=False)
        hint = f" — {said['hint']}" if said["hint"] else ""
        self._message(event["t"], "error", f"{said['message']}{hint}")

    def _message(self, at: float | None, level: str, text: str) -> None:
        self._conn.execute("INSERT INTO messages(run, t, level, text) VALUES (?,?,?,?)", (self._run, at, level, text))
        self.topics.add("messages")

    def _insert_score(self, score: dict[str, Any], partial: int) -> None:
        self._conn.execute(
            "INSERT INTO scores(run, metric, question, category, step, partial, body) VALUES (?,?,?,?,?,?,?)",
            (self._run, *(score.get(key) for key in _SCORE_KEYS), partial, json.dumps(score, ensure_ascii=False)),
        )

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
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _int(value: Any) -> int | None:
    return None if value is None else int(value)
