"""Batches that meet bad images, full memory and a model that fails: with a model whose faults are set."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from backends.data.sample import Sample
from backends.jobs.job import JobError
from backends.models.base import Reply, Request
from backends.work.asking import FAILURES_IN_A_ROW, Asker

pytestmark = pytest.mark.xdist_group("heavy")


@dataclass
class Faulty:
    """Answers with the question; memory holds ``room`` questions, and some questions break it."""

    room: int = 1000
    breaks_on: str = "nothing"
    full: Exception = field(default_factory=lambda: torch.OutOfMemoryError("full"))
    sizes: list[int] = field(default_factory=list)
    device: str = "cpu"
    revision: str | None = None

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise self.full
        texts = [request.messages[-1]["content"][-1]["text"] for request in batch]
        if any(self.breaks_on in text for text in texts):
            raise ValueError("strange image")
        return [Reply(text, 1) for text in texts]

    def unload(self) -> None: ...


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    made = []
    for number in range(10):
        file = tmp_path / f"{number}.png"
        Image.new("L", (8, 8), number).save(file)
        made.append(Sample(f"{number}#q", file.name, file, None, f"q{number}", "q", "r"))
    return made


def _all(asker: Asker, samples: Sequence[Sample], skip: Sequence[str] = ()) -> dict[str, str | None]:
    asked = [one for results in asker.run(samples, skip) for one in results]
    assert len({one.sample.id for one in asked}) == len(asked)
    return {one.sample.id: one.reply.text if one.reply else one.error for one in asked}


def test_full_memory_halves_the_batch_and_loses_nothing(samples: list[Sample]) -> None:
    model = Faulty(room=3)
    asker = Asker(model, 8)
    assert _all(asker, samples) == {f"{n}#q": f"q{n}" for n in range(10)}
    assert asker.batch_size <= 3
    assert asker.halved >= 1
    assert max(model.sizes[-2:]) <= 3


def test_one_question_that_does_not_fit_ends_it(samples: list[Sample]) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        _all(Asker(Faulty(room=0), 4), samples)


def test_a_question_that_breaks_the_model_fails_alone(samples: list[Sample]) -> None:
    found = _all(Asker(Faulty(breaks_on="q4"), 4), samples)
    assert found["4#q"] == "ValueError: strange image"
    assert [text for text in found.values() if text and text.startswith("q")] == [f"q{n}" for n in range(10) if n != 4]


def test_a_last_question_that_breaks_the_model_is_not_lost(samples: list[Sample]) -> None:
    assert _all(Asker(Faulty(breaks_on="q9"), 4), samples)["9#q"] == "ValueError: strange image"


def test_a_model_that_always_fails_ends_the_job(samples: list[Sample]) -> None:
    many = [replace(sample, id=f"{sample.id}{turn}") for turn in range(3) for sample in samples]
    assert len(many) > FAILURES_IN_A_ROW
    with pytest.raises(JobError, match="in a row"):
        _all(Asker(Faulty(breaks_on="q"), 4), many)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text"])
def test_an_image_that_cannot_be_decoded_fails_alone(samples: list[Sample], damage: str) -> None:
    file = samples[2].image_file
    whole = file.read_bytes()
    contents = {"missing": b"", "empty": b"", "cut": whole[:50], "text": b"not an image"}
    file.write_bytes(contents[damage])
    if damage == "missing":
        file.unlink()
    found = _all(Asker(Faulty(), 4), samples)
    assert found.pop("2#q", "").startswith("2.png")  # type: ignore[union-attr]
    assert set(found.values()) == {f"q{n}" for n in range(10) if n != 2}


def test_a_path_that_leaves_the_root_is_never_read(samples: list[Sample]) -> None:
    bad = replace(samples[0], problem="the image path ../x.png leaves the image root: not read")
    assert _all(Asker(Faulty(), 4), [bad, *samples[1:]])["0#q"] == bad.problem


def test_what_is_done_is_not_told_again(samples: list[Sample]) -> None:
    model = Faulty()
    found = _all(Asker(model, 4), samples, skip=["0#q", "1#q", "2#q", "3#q", "5#q"])
    assert list(found) == ["4#q", "6#q", "7#q", "8#q", "9#q"]
    assert model.sizes == [4, 2]  # the batch that was done in part is asked whole: the same numbers again


@pytest.mark.parametrize("full", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried")])
def test_full_memory_of_the_host_halves_the_batch_too(samples: list[Sample], full: Exception) -> None:
    asker = Asker(Faulty(room=2, full=full), 8)
    assert _all(asker, samples) == {f"{n}#q": f"q{n}" for n in range(10)}
    assert (asker.batch_size, asker.halved) == (2, 2)


def test_a_failure_in_a_batch_that_is_halved_is_told_once(samples: list[Sample]) -> None:
    """The first half of the batch breaks the model, then memory runs out in the second."""
    model = Faulty(breaks_on="q1")
    real = model.ask

    def ask(batch: Sequence[Request]) -> list[Reply]:
        texts = [request.messages[-1]["content"][-1]["text"] for request in batch]
        if len(batch) == 4 and "q9" in texts:
            raise torch.OutOfMemoryError("full")
        return real(batch)

    model.ask = ask  # type: ignore[method-assign]
    found = _all(Asker(model, 8), [*samples[:4], *samples[6:]])
    assert found.pop("1#q") == "ValueError: strange image"
    assert len(found) == 7 and all(text and text.startswith("q") for text in found.values())


def test_batch_sizes_are_remembered_for_a_run_that_goes_on(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "batches.json"
    full, later = Faulty(room=3), Faulty()
    asked = [one.sample.id for results in Asker(full, 8, remember=path).run(samples[:6]) for one in results]
    assert full.sizes == [6, 3, 3] and len(asked) == 6
    assert _all(Asker(later, 8, remember=path), samples[:6], skip=asked[:4]) == {"4#q": "q4", "5#q": "q5"}
    assert later.sizes == [3]


def test_a_smaller_batch_for_another_attempt_leaves_what_is_done(samples: list[Sample], tmp_path: Path) -> None:
    path, model = tmp_path / "batches.json", Faulty()
    first = next(Asker(model, 4, remember=path).run(samples))
    rest = Asker(model, 2, remember=path)
    _all(rest, samples, skip=[asked.sample.id for asked in first])
    assert model.sizes == [4, 2, 2, 2] and rest.batch_size == 2
    again = Asker(model, 4, remember=path)
    _all(again, samples, skip=[f"{n}#q" for n in range(10) if n != 1])
    assert model.sizes[4:] == [4] and again.batch_size == 2


def test_images_inside_one_table_are_told_apart(tmp_path: Path, samples: list[Sample]) -> None:
    """All rows of a table share its file."""
    table = tmp_path / "table.tsv"
    cells, lines = [], b""
    for sample in samples:
        cell = base64.b64encode(sample.image_file.read_bytes())
        cells.append((len(lines), len(cell), 0))
        lines += cell + b"\n"
    table.write_bytes(lines)
    rows = [
        replace(sample, image_path=f"set/{at}", image_file=table, kind_data={"cell": cells[at]})
        for at, sample in enumerate(samples)
    ]
    seen: list[int] = []

    class Seeing(Faulty):
        def ask(self, batch: Sequence[Request]) -> list[Reply]:
            seen.extend(request.image.getpixel((0, 0))[0] for request in batch)  # type: ignore[index]
            return super().ask(batch)

    _all(Asker(Seeing(), 4), rows)
    assert seen == list(range(10))


@dataclass
class Preparing(Faulty):
    """Its inputs are made ahead; some questions cannot be prepared."""

    unprepared: str = "nothing"
    threads: set[str] = field(default_factory=set)

    def prepare(self, batch: Sequence[Request]) -> list[Request]:
        self.threads.add(threading.current_thread().name.partition("_")[0])
        if any(self.unprepared in request.messages[-1]["content"][-1]["text"] for request in batch):
            raise ZeroDivisionError("an image one pixel wide")
        return list(batch)

    def answer(self, prepared: list[Request]) -> list[Reply]:
        return super().ask(prepared)

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        return self.answer(self.prepare(batch))


def test_inputs_are_prepared_in_other_threads(samples: list[Sample]) -> None:
    model = Preparing()
    assert len(_all(Asker(model, 4), samples)) == 10
    assert model.sizes == [4, 4, 2] and model.threads == {"ahead"}


def test_a_question_that_cannot_be_prepared_fails_alone(samples: list[Sample]) -> None:
    found = _all(Asker(Preparing(unprepared="q4", room=3), 8), samples)
    assert found.pop("4#q") == "ZeroDivisionError: an image one pixel wide"
    assert set(found.values()) == {f"q{n}" for n in range(10) if n != 4}


def test_closing_ends_the_threads(samples: list[Sample]) -> None:
    batches = Asker(Preparing(), 2).run(samples)
    next(batches)
    batches.close()
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())
