"""Answers made elsewhere beside the reference answers of a data file: by image path and question topic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.data.results.made import MadeAnswer
from backends.data.sample import Sample


@dataclass(frozen=True)
class JoinedAnswer:
    """An answer under the id that it has here, and the sample that it belongs to, where there is one."""

    id: str
    answer: MadeAnswer
    sample: Sample | None

    @property
    def image_path(self) -> str:
        return self.sample.image_path if self.sample else self.answer.image_path

    @property
    def topic(self) -> str:
        return self.sample.topic if self.sample else self.answer.topic

    @property
    def category(self) -> str | None:
        return self.sample.category if self.sample else self.answer.category


@dataclass(frozen=True)
class Joined:
    """Every answer once, in its order, and the samples that nobody answered."""

    answers: tuple[JoinedAnswer, ...]
    unanswered: tuple[Sample, ...]

    @property
    def unmatched(self) -> list[MadeAnswer]:
        """Answers that found no sample."""
        return [one.answer for one in self.answers if one.sample is None]


def join(answers: Sequence[MadeAnswer], samples: Iterable[Sample] = ()) -> Joined:
    """Give each answer the sample of its image and topic; without samples, an id alone.

    Wordings may differ. Where an image has several questions of a topic, the same words find each other first, then
    the rest in order. The image path of an answer may be absolute or have folders before it, or lack those that the
    data has, if that leaves no doubt.
    """
    samples = list(samples)
    paths = _Paths(sample.image_path for sample in samples)
    waiting: defaultdict[tuple[str | None, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        waiting[sample.image_path, sample.topic].append(sample)
    meant = paths.meant(answer.image_path for answer in answers)
    keys = [(meant[answer.image_path], answer.topic) for answer in answers]
    found: dict[int, Sample] = {}
    for same_words in (True, False):
        for at, (answer, key) in enumerate(zip(answers, keys, strict=True)):
            if at not in found and waiting.get(key):
                _take(found, at, waiting[key], answer.question if same_words else None)
    taken = {sample.id for sample in found.values()}
    ids = _ids(answers, found, taken)
    joined = tuple(
        JoinedAnswer(one, answer, found.get(at)) for at, (one, answer) in enumerate(zip(ids, answers, strict=True))
    )
    return Joined(joined, tuple(sample for sample in samples if sample.id not in taken))


def _take(found: dict[int, Sample], at: int, waiting: list[Sample], question: str | None) -> None:
    for sample in waiting:
        if question is None or sample.question.strip() == question.strip():
            waiting.remove(sample)
            found[at] = sample
            return


def _ids(answers: Sequence[MadeAnswer], found: dict[int, Sample], taken: set[str]) -> Iterator[str]:
    """The sample's id, else image path, ``#`` and topic, with an ordinal where that is not free."""
    seen: Counter[str] = Counter()
    for at, answer in enumerate(answers):
        if at in found:
            yield found[at].id
            continue
        key = f"{answer.image_path}#{answer.topic}"
        while True:
            seen[key] += 1
            one = key if seen[key] == 1 else f"{key}#{seen[key]}"
            if one not in taken:
                break
        yield one


class _Paths:
    """The image paths of a data file, found by other ways of writing them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._known = set(paths)
        self._by_name: defaultdict[str, set[str]] = defaultdict(set)
        for path in self._known:
            self._by_name[PurePosixPath(path).name].add(path)

    def meant(self, given: Iterable[str]) -> dict[str, str | None]:
        """The path of the data that each means; None where there is none, several, or another means the same."""
        found = {one: one if one in self._known else self._find(one) for one in dict.fromkeys(given)}
        claims = Counter(found.values())
        return {one: path if one == path or claims[path] == 1 else None for one, path in found.items()}

    def _find(self, given: str) -> str | None:
        parts = [part for part in PurePosixPath(given.replace("\\", "/")).parts if part != "/"]
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            if tail in self._known:
                return tail
        ending = "/" + "/".join(parts)
        shorter = {path for path in self._by_name.get(parts[-1] if parts else "", ()) if path.endswith(ending)}
        return shorter.pop() if len(shorter) == 1 else None
