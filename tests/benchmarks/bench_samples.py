"""Opening a run with very many answers in Samples: against one of a thousand. ``--answers 1000000`` takes a minute."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from sqlite3 import Connection

from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.samples import Wanted, briefs, find, sample_at

FEW = 1_000
BATCH = 50_000
SIGHT = 80
"""Rows that the screen asks for: those in sight, and as many above and below."""
VIEWS = {
    "opening": Wanted(),
    "the worst": Wanted(worst=True),
    "the wrong": Wanted(only="wrong"),
    "the failed": Wanted(only="failed"),
    "one question": Wanted(topic="Q5"),
    "unlike another run": Wanted(only="differ", other=3),
    "text": Wanted(text="weeks 7"),
}


def fill(conn: Connection, run: int, count: int) -> None:
    """Answers to eight questions an image, a third of them wrong, one in a thousand failed."""
    for start in range(0, count, BATCH):
        rows = []
        for number in range(start, min(count, start + BATCH)):
            image, topic = f"Category{number % 14}/image_{number // 8:07d}.png", f"Q{1 + number % 8}"
            error = "died" if number % 1000 == 7 else None
            right = int(error is None and (number * 7919 + run) % 3 > 0)
            score = 1.0 if right else (number * 104729 % 1000) / 1000
            texts = ("A question that is asked of every image: which is it?", f"weeks {number % 37}", "21 to 28 weeks")
            said = (None if error else texts[1], texts[2], error, topic, right, score, json.dumps({"cosine": score}))
            rows.append((run, f"{image}#{topic}", number * 400, image, image.split("/")[0], texts[0], *said))
        with immediate(conn):
            conn.executemany(
                "INSERT INTO predictions(run, id, position, image_path, category, question, prediction, reference, "
                "error, topic, verdict, score, vals) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                rows,
            )


def screenful(conn: Connection, run: int, wanted: Wanted) -> None:
    """What stands on the screen at first: the first places, their rows, and the whole of the first answer."""
    places = next(find(conn, run, wanted), [])
    briefs(conn, run, places[:SIGHT], wanted.other)
    if places:
        sample_at(conn, run, places[0], wanted.other)


def seconds(work: Callable[[], object], times: int = 15) -> float:
    """The median processor time."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=1_000_000)
    many = parser.parse_args().answers
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home").ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            fill(conn, 1, FEW)
            fill(conn, 2, many)
            fill(conn, 3, FEW)
            against = f"a run of {FEW:,} answers"
            for view, wanted in VIEWS.items():
                few, ours = (seconds(lambda run=run, wanted=wanted: screenful(conn, run, wanted)) for run in (1, 2))
                figure = {"figure": f"samples, {view}: {many:,} answers", "value": round(ours * 1000, 2), "unit": "ms"}
                print(json.dumps({**figure, "against": against, "ratio": round(ours / few, 2)}))
            places = [place for piece in islice(find(conn, 2, Wanted()), None) for place in piece]
            whole = seconds(lambda: sum(map(len, find(conn, 2, Wanted()))), 3)
            figure = {"figure": "samples, every place (while the first rows are in sight)", "value": round(whole, 2)}
            print(json.dumps({**figure, "unit": "s", "against": "answers", "ratio": len(places)}))
            last = places[-SIGHT:]
            few, ours = (
                seconds(lambda run=run, at=at: briefs(conn, run, at)) for run, at in ((1, places[:SIGHT]), (2, last))
            )
            figure = {"figure": "samples, the last rows", "value": round(ours * 1000, 2), "unit": "ms"}
            print(json.dumps({**figure, "against": "the first rows", "ratio": round(ours / few, 2)}))


if __name__ == "__main__":
    main()
