"""Batches that meet bad images, full memory and a model that fails: with a model whose faults are set."""

from __future__ import annotations

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
    sizes: list[int] = field(default_factory=list)
    device: str = "cpu"
    revision: str | None = None

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("full")
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
    assert found.pop("2#q", "").startswith("2.png: ")  # type: ignore[union-attr]
    assert set(found.values()) == {f"q{n}" for n in range(10) if n != 2}


def test_a_path_that_leaves_the_root_is_never_read(samples: list[Sample]) -> None:
    bad = replace(samples[0], problem="the image path ../x.png leaves the image root: not read")
    assert _all(Asker(Faulty(), 4), [bad, *samples[1:]])["0#q"] == bad.problem


def test_what_is_done_is_not_told_again(samples: list[Sample]) -> None:
    model = Faulty()
    found = _all(Asker(model, 4), samples, skip=["0#q", "1#q", "2#q", "3#q", "5#q"])
    assert list(found) == ["4#q", "6#q", "7#q", "8#q", "9#q"]
    assert model.sizes == [4, 2]  # the batch that was done in part is asked whole: the same numbers again
