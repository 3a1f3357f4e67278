"""Work done ahead in threads, results in order and few at a time; images that several questions share, decoded once."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TypeVar

from PIL import Image

from backends.data.images import open_image
from backends.data.sample import Sample

T = TypeVar("T")
R = TypeVar("R")

CACHE_BYTES = 256 << 20


def ahead(make: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[tuple[T, Future[R]]]:
    """Each item with what ``make`` gives for it, in order.

    Of the items after the one that was yielded last, ``threads`` + 1 are begun. Closing the iterator waits for those
    that run and drops the others.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    begun: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            begun.append((item, pool.submit(make, item)))
            if len(begun) > threads + 1:
                yield begun.popleft()
        while begun:
            yield begun.popleft()
    finally:
        for _, future in begun:
            future.cancel()
        pool.shutdown()


class ImageCache:
    """Decoded images, the newest that fit in ``limit`` bytes; threads that want the same one decode it once."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._room = limit
        self._lock = Lock()
        self._images: dict[tuple[Path, str], Future[Image.Image]] = {}
        self._sizes: OrderedDict[tuple[Path, str], int] = OrderedDict()

    def open(self, sample: Sample) -> Image.Image:
        """As :func:`backends.data.images.open_image`. The image is shared: it must not be written to."""
        # All images of a table lie in one file; of a file that two paths name, each is one.
        key = (sample.image_file, sample.image_path)
        with self._lock:
            found = self._images.get(key)
            if found is None:
                mine = self._images[key] = Future()
        if found is not None:
            return found.result()
        try:
            image = open_image(sample)
        except BaseException as error:
            with self._lock:
                del self._images[key]
            mine.set_exception(error)
            raise
        mine.set_result(image)
        self._keep(key, 3 * image.width * image.height)
        return image

    def _keep(self, key: tuple[Path, str], size: int) -> None:
        with self._lock:
            self._sizes[key] = size
            self._room -= size
            while self._room < 0:
                oldest, freed = self._sizes.popitem(last=False)
                self._room += freed
                del self._images[oldest]
