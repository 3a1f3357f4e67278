"""Synthetic ultrasound with questions and exact answers, in the form of FADA's own data.

Each image is drawn by a generator of its own, seeded by (seed, split, number): another count or another split
changes no image that both have. Speckle is multiplicative Rayleigh noise, as in a B-mode amplitude image
(Burckhardt, IEEE Trans. Sonics Ultrason. 25:1, 1978), attenuation falls exponentially with depth.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.jobs.job import Job, JobError

Frame = NDArray[np.float32]

SIDE = 96
"""Pixels; a vision tower of 64 x 64 still sees every attribute."""
SYSTEM = "Fetal ultrasound."
PLANES = {
    "Abdomen": "Transverse abdominal plane",
    "Cervix": "Cervical length view",
    "Femur": "Femur length plane",
    "Thorax": "Four-chamber view",
    "Trans-cerebellum": "Transcerebellar plane",
    "Trans-thalamic": "Transthalamic plane",
}
"""Category folder to imaging plane."""
ORIENTATIONS = {
    "Spine to the left": (-38.0, 0.0),
    "Spine to the right": (38.0, 0.0),
    "Spine anterior": (0.0, -38.0),
    "Spine posterior": (0.0, 36.0),
}
"""Answer to the spine's place, (x, y) in pixels from the centre, y down."""
AGES = {"14 to 20 weeks": 0.5, "21 to 28 weeks": 0.76, "29 to 36 weeks": 1.05}
"""Answer to the scale of the anatomy."""
QUALITIES = ("Good quality", "Poor quality")
QUESTIONS = {
    "plane": "Imaging Plane: Which plane?",
    "orientation": "Fetal Orientation: Where is the spine?",
    "age": "Gestational Age: Which range?",
    "quality": "Image Quality: How good?",
}
SPLITS = ("train", "val", "test")
_MANIFEST = "phantoms.json"
_VERSION = 1


@dataclass(frozen=True)
class Phantom:
    """What is drawn in one image: one of PLANES' categories and the three answers that vary inside it."""

    category: str
    orientation: str
    age: str
    quality: str

    def answer(self, question: str) -> str:
        return PLANES[self.category] if question == "plane" else str(getattr(self, question))


def answers_corpus() -> list[str]:
    """Every text that a phantom data file can contain: the system prompt, the questions and all answers."""
    return [SYSTEM, *QUESTIONS.values(), *PLANES.values(), *ORIENTATIONS, *AGES, *QUALITIES]


def make_phantoms(
    folder: Path,
    *,
    train: int = 600,
    val: int = 60,
    test: int = 120,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Write ``train.jsonl``, ``val.jsonl``, ``test.jsonl`` and ``images/`` into ``folder``.

    The counts are images; each has four questions. The folder appears in one rename when it is whole; one that was
    made before with the same numbers is left as it is. ``progress(done, total)`` is called about every 25 images.

    Returns:
        The paths ``train``, ``val``, ``test`` and ``images``.

    Raises:
        JobError: a count or the seed is negative, the folder holds something else, or it cannot be written.
    """
    counts = {"train": train, "val": val, "test": test}
    if min(*counts.values(), seed) < 0 or train + val + test == 0:
        raise JobError(f"phantoms: counts {counts}, seed {seed}", "give non-negative numbers, at least one image")
    folder = Path(folder).expanduser().absolute()
    paths = {split: str(folder / f"{split}.jsonl") for split in SPLITS} | {"images": str(folder / "images")}
    manifest = {"version": _VERSION, "seed": seed, **counts}
    if _already_made(folder, manifest):
        return paths
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_all(temporary, counts, seed, progress)
            _write_text(temporary / _MANIFEST, json.dumps(manifest) + "\n")
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o777 & ~mask)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise JobError(f"{folder}: {error.strerror or error}", "choose a folder that can be written") from error
    return paths


def run(job: Job) -> dict[str, Any]:
    """The tool job ``phantoms``: arguments ``folder``, ``train``, ``val``, ``test``, ``seed``; returns the paths."""
    arguments = dict(job.spec["tool"]["args"])
    folder = Path(arguments.pop("folder"))
    total = sum(int(arguments.get(split, 0)) for split in SPLITS) or None
    job.events.started(device="cpu", versions={"numpy": np.__version__}, total=total, unit="images")

    def progress(done: int, total: int) -> None:
        job.events.progress(done, total, "images", "draw")

    return dict(make_phantoms(folder, **{key: int(value) for key, value in arguments.items()}, progress=progress))


def phantom(seed: int, split: str, number: int) -> tuple[Phantom, NDArray[np.uint8]]:
    """Attributes and grey image (SIDE, SIDE) of image ``number`` of ``split``; the categories take turns."""
    rng = np.random.default_rng([seed, SPLITS.index(split), number])
    categories = list(PLANES)
    drawn = Phantom(
        category=categories[number % len(categories)],
        orientation=list(ORIENTATIONS)[rng.integers(len(ORIENTATIONS))],
        age=list(AGES)[rng.integers(len(AGES))],
        quality=QUALITIES[rng.integers(len(QUALITIES))],
    )
    return drawn, _draw(drawn, rng)


# ------------------------------------------------------------------ drawing
_ROWS, _COLUMNS = (axis.astype(np.float32) for axis in np.mgrid[0:SIDE, 0:SIDE])
_CENTRE = SIDE / 2
_FAN = (np.abs(_COLUMNS - _CENTRE + 0.5) < 26 + 0.45 * _ROWS) & (
    np.hypot(_COLUMNS - _CENTRE + 0.5, _ROWS + 40) < SIDE + 38
)


def _draw(drawn: Phantom, rng: np.random.Generator) -> NDArray[np.uint8]:
    scale = AGES[drawn.age] * rng.uniform(0.96, 1.04)
    shift_x, shift_y = rng.uniform(-2, 2, 2)
    turn = rng.uniform(-0.12, 0.12)
    x, y = _COLUMNS - (_CENTRE + shift_x), _ROWS - (_CENTRE + shift_y)
    u = (x * np.cos(turn) + y * np.sin(turn)) / scale
    v = (y * np.cos(turn) - x * np.sin(turn)) / scale
    image = 0.2 + _ANATOMY[drawn.category](_f32(u), _f32(v))
    across, down = ORIENTATIONS[drawn.orientation]
    image = np.maximum(image, _spine(_COLUMNS - _CENTRE - across, _ROWS - _CENTRE - down, upright=across != 0))
    speckle = np.sqrt(rng.standard_exponential((SIDE, SIDE), dtype=np.float32))
    if drawn.quality == QUALITIES[0]:
        image = np.clip(image, 0.02, 1.1) * speckle**0.35
    else:  # haze and stronger noise: the anatomy is there, but flat
        image = (0.28 + 0.6 * np.clip(image, 0.02, 1.1)) * speckle**0.6
    image *= np.exp(-_ROWS / SIDE * np.float32(rng.uniform(0.1, 0.4))) * np.float32(rng.uniform(0.9, 1.1))
    grey: NDArray[np.uint8] = (np.clip(image, 0, 1) * 255 * _FAN).astype(np.uint8)
    return grey


def _f32(values: NDArray[Any]) -> Frame:
    return values.astype(np.float32, copy=False)


def _ellipse(u: Frame, v: Frame, a: float, b: float, at: tuple[float, float] = (0, 0)) -> Frame:
    """Squared normalised distance: below 1 inside."""
    return ((u - at[0]) / a) ** 2 + ((v - at[1]) / b) ** 2


def _blob(u: Frame, v: Frame, a: float, b: float, at: tuple[float, float] = (0, 0)) -> Frame:
    """1 inside, falling off softly at the edge."""
    return _f32(np.exp(-4 * np.maximum(_ellipse(u, v, a, b, at) - 0.7, 0)))


def _ring(u: Frame, v: Frame, a: float, b: float, width: float) -> Frame:
    radius = np.sqrt(_ellipse(u, v, a, b))
    return _f32(np.exp(-(((radius - 1) * min(a, b) / width) ** 2)))


def _spine(x: Frame, y: Frame, upright: bool) -> Frame:
    """Three bright vertebrae, in absolute pixels: their size must not tell the age."""
    total = np.zeros_like(x)
    for step in (-9.0, 0.0, 9.0):
        total = np.maximum(total, _blob(x, y, 3.6, 3.6, (0, step) if upright else (step, 0)))
    return _f32(1.1 * total)


def _head(u: Frame, v: Frame) -> Frame:
    midline = np.exp(-((v / 1.3) ** 2)) * (np.abs(u) < 24)
    return _f32(-0.12 * (_ellipse(u, v, 29, 22) < 1) + 0.85 * _ring(u, v, 29, 22, 2.4) + 0.4 * midline)


def _thalamic(u: Frame, v: Frame) -> Frame:
    return _head(u, v) + 0.45 * (_blob(u, v, 8, 5, (-2, -7)) + _blob(u, v, 8, 5, (-2, 7)))


def _cerebellar(u: Frame, v: Frame) -> Frame:
    return _head(u, v) + 0.75 * (_blob(u, v, 6, 7, (15, -7)) + _blob(u, v, 6, 7, (15, 7)))


def _abdomen(u: Frame, v: Frame) -> Frame:
    wall = 0.22 * (_ellipse(u, v, 27, 26) < 1) + 0.35 * _ring(u, v, 27, 26, 3)
    return _f32(wall - 0.4 * _blob(u, v, 9, 7, (-9, 7)) + 0.5 * _blob(u, v, 4, 4, (12, -8)))


def _femur(u: Frame, v: Frame) -> Frame:
    shaft = np.exp(-(((v - 0.006 * u**2) / 3) ** 2)) * (np.abs(u) < 29)
    return _f32(0.9 * shaft - 0.17 * ((v > 5) & (np.abs(u) < 27)))


def _thorax(u: Frame, v: Frame) -> Frame:
    chambers = sum(_blob(u, v, 8, 7, (a, b)) for a in (-10.5, 10.5) for b in (-9.5, 9.5))
    return 0.45 * _blob(u, v, 28, 26) - 0.6 * np.asarray(chambers, np.float32)


def _cervix(u: Frame, v: Frame) -> Frame:
    canal = np.exp(-((u / 2.2) ** 2)) * (np.abs(v) < 26)
    return _f32(0.35 * _blob(u, v, 13, 27) - 0.5 * canal + 0.5 * _blob(u, v, 13, 4, (0, 25)))


_ANATOMY: dict[str, Callable[[Frame, Frame], Frame]] = {
    "Abdomen": _abdomen,
    "Cervix": _cervix,
    "Femur": _femur,
    "Thorax": _thorax,
    "Trans-cerebellum": _cerebellar,
    "Trans-thalamic": _thalamic,
}


# ------------------------------------------------------------------ files
def _write_all(folder: Path, counts: dict[str, int], seed: int, progress: Callable[[int, int], None] | None) -> None:
    images = folder / "images"
    for category in PLANES:
        (images / category).mkdir(parents=True)
    total, done = sum(counts.values()), 0
    for split in SPLITS:
        lines: list[tuple[str, str]] = []
        for number in range(counts[split]):
            drawn, grey = phantom(seed, split, number)
            name = f"{drawn.category}/{drawn.category}_{split}_{number:05d}.png"
            Image.fromarray(grey).save(images / name, compress_level=1)
            lines.append((name, "".join(_lines(name, drawn))))
            done += 1
            if progress and (done % 25 == 0 or done == total):
                progress(done, total)
        # Sorted by category, as FADA's own files are.
        _write_text(folder / f"{split}.jsonl", "".join(text for _, text in sorted(lines)))


def _lines(name: str, drawn: Phantom) -> Iterator[str]:
    for question, text in QUESTIONS.items():
        user = [{"type": "image"}, {"type": "text", "text": text}]
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": user},
            {"role": "assistant", "content": drawn.answer(question)},
        ]
        yield json.dumps({"messages": messages, "images": [name]}) + "\n"


def _already_made(folder: Path, manifest: dict[str, int]) -> bool:
    """True for the same phantoms, whole; False for a free place.

    Raises:
        JobError: something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError):
        found = None
    images = sum(1 for _ in (folder / "images").rglob("*.png"))
    whole = all((folder / f"{split}.jsonl").is_file() for split in SPLITS)
    if found == manifest and whole and images == sum(manifest[split] for split in SPLITS):
        return True
    made = "other or damaged phantoms" if found else "something else"
    raise JobError(f"{folder}: holds {made} already", "choose another folder, or remove this one first")


def _write_text(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
