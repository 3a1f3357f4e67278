from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from backends.data.images import ImageError
from backends.data.sample import Sample
from backends.work import ahead as module
from backends.work.ahead import ImageCache, ahead

pytestmark = pytest.mark.xdist_group("heavy")


def test_results_come_in_order() -> None:
    def make(number: int) -> int:
        time.sleep((number % 3) * 0.002)
        return number * number

    found = [(number, future.result()) for number, future in ahead(make, range(30), 4)]
    assert found == [(number, number * number) for number in range(30)]


def test_only_a_few_are_begun_ahead() -> None:
    taken = count()
    items = (next(taken) for _ in range(1000))
    results = ahead(lambda number: number, items, threads=2)
    for expected in range(50):
        number, _ = next(results)
        assert number == expected
    results.close()
    assert next(taken) == 50 + 3


def test_an_error_is_that_of_its_item() -> None:
    def make(number: int) -> float:
        return 1 / number

    futures = [future for _, future in ahead(make, [1, 0, 2], 1)]
    assert futures[0].result() == 1 and futures[2].result() == 0.5
    with pytest.raises(ZeroDivisionError):
        futures[1].result()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the images as they are decoded."""
    paths: list[str] = []

    def slow(sample: Sample) -> Image.Image:
        paths.append(sample.image_path)
        time.sleep(0.02)
        return real(sample)

    real = module.open_image
    monkeypatch.setattr(module, "open_image", slow)
    return paths


def _sample(folder: Path, name: str, side: int = 10) -> Sample:
    file = folder / name
    if not file.exists():
        Image.new("RGB", (side, side), (5, 6, 7)).save(file)
    return Sample(f"{name}#q", name, file, None, "?", "q", "r")


def test_threads_that_want_one_image_decode_it_once(tmp_path: Path, decoded: list[str]) -> None:
    images, sample = ImageCache(), _sample(tmp_path, "a.png")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(images.open, [sample] * 16))
    assert decoded == ["a.png"]
    assert all(image is found[0] for image in found)


def test_what_does_not_fit_is_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    a, b, c = (_sample(tmp_path, name) for name in ("a.png", "b.png", "c.png"))
    images = ImageCache(limit=2 * 3 * 10 * 10)
    for sample in (a, b, a, b, c, b, c, a):
        assert images.open(sample).size == (10, 10)
    assert decoded == ["a.png", "b.png", "c.png", "a.png"]


def test_an_image_larger_than_the_limit_is_still_opened(tmp_path: Path, decoded: list[str]) -> None:
    images, big = ImageCache(limit=100), _sample(tmp_path, "big.png", 50)
    assert images.open(big).size == images.open(big).size == (50, 50)
    assert decoded == ["big.png", "big.png"]


def test_rows_of_one_table_are_images_of_their_own(tmp_path: Path, decoded: list[str]) -> None:
    images, sample = ImageCache(), _sample(tmp_path, "table.tsv.png")
    images.open(replace(sample, image_path="set/1"))
    images.open(replace(sample, image_path="set/2"))
    assert decoded == ["set/1", "set/2"]


def test_a_failure_is_told_to_all_who_wait_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, go = _sample(tmp_path, "a.png"), Event()
    tries = count(1)

    def failing(one: Sample) -> Image.Image:
        if next(tries) == 1:
            go.wait(10)
            raise ImageError("cut off")
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(module, "open_image", failing)
    images = ImageCache()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(images.open, sample) for _ in range(3)]
        time.sleep(0.05)
        go.set()
        assert [type(one.exception()) for one in waiting] == [ImageError] * 3
    assert images.open(sample).size == (1, 1)
