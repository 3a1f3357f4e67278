"""The one door to evaluation and training data: the reader is chosen by what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from backends.data.chat import read_chat
from backends.data.errors import Fault, raise_fault
from backends.data.folders import one_an_image, read_folders
from backends.data.gauge import read_gauge
from backends.data.imagefolder import read_imagefolder
from backends.data.layout import Layout, find_layout
from backends.data.sample import Sample
from backends.data.subset import STRATIFIED, choose, choose_stratified
from backends.data.u2bench import read_u2bench


def open_data(
    path: Path,
    kind: str | None = None,
    image_root: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    fault: Fault = raise_fault,
    sampling: str | None = None,
) -> Iterable[Sample]:
    """The samples of a data file or folder: lazily, or those that ``limit`` and ``seed`` take, in file order.

    Args:
        path: FADA chat or ShareGPT JSONL, ImageFolder (its metadata file or folder), U2-BENCH (a table, or the folder
            of the tasks' folders), FETAL-GAUGE layout (its JSONL or folder), or a tree of folders named after classes.
        kind: What the samples are for, see :data:`backends.data.layout.FORMATS`. For ``zero-shot`` each image comes
            once, its category the right answer. None takes any form.
        image_root: Where image paths start; default: the file's folder, then its ``images/``.
        limit: At most so many, see :func:`backends.data.subset.choose`.
        seed: Which ones.
        sampling: ``stratified`` draws by category and question, see
            :func:`backends.data.subset.choose_stratified`.
        fault: Told of each line that is no sample; by default the first one ends the reading.

    Raises:
        DataError: at once, if there is nothing that this kind can read; while iterating, if a line is no sample.
    """
    layout = find_layout(Path(path), kind)
    samples = _read(layout, Path(image_root) if image_root else None, fault)
    if kind == "zero-shot" and layout.format != "folders":
        samples = one_an_image(samples)
    if limit is None:
        return samples
    return (choose_stratified if sampling == STRATIFIED else choose)(samples, limit, seed)


def _read(layout: Layout, image_root: Path | None, fault: Fault) -> Iterator[Sample]:
    if layout.format == "folders":
        return read_folders(layout.path, image_root, fault)
    if layout.format == "u2bench":
        return read_u2bench(layout.files, fault)
    read = {"imagefolder": read_imagefolder, "fetal-gauge": read_gauge}.get(layout.format, read_chat)
    return read(layout.files[0], image_root, fault)
