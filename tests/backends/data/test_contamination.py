from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from backends.data.contamination import DISTANCE, ImageHash, Overlap, dhash, hashes, overlaps
from backends.data.sample import Sample


def scan(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Speckle with a few bright structures, as in a B-mode image."""
    chance = random.Random(seed)
    image = Image.frombytes("L", (40, 30), chance.randbytes(1200)).point(lambda v: v // 4).resize(size)
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        x, y, r = chance.randrange(size[0]), chance.randrange(size[1]), chance.randrange(15, 70)
        draw.ellipse((x - r, y - r // 2, x + r, y + r // 2), fill=chance.randrange(60, 255))
    return image.filter(ImageFilter.GaussianBlur(3))


def sample_of(path: Path) -> Sample:
    return Sample(f"{path.name}#Q1", path.name, path, None, "question", "Q1", "answer")


def test_copies_are_found_and_other_images_are_not(tmp_path: Path) -> None:
    train, test, changed = [], [], {}
    for number in range(40):
        image = scan(number)
        image.save(tmp_path / f"train{number}.png")
        train.append(sample_of(tmp_path / f"train{number}.png"))
        path = tmp_path / f"test{number}.{'jpg' if number % 4 in (1, 2) else 'png'}"
        match number % 4:
            case 0:
                image.resize((200, 150)).save(path)
            case 1:
                image.save(path, quality=40)
            case 2:
                image.convert("RGB").resize((512, 384)).save(path, quality=60)
            case 3:
                scan(1000 + number).save(path)
        test.append(sample_of(path))
        if number % 4 < 3:
            changed[path.name] = f"train{number}.png"
    found = overlaps(hashes(train).values, hashes(test).values)
    assert {overlap.image: overlap.training_image for overlap in found} == changed
    assert [overlap.distance for overlap in found] == sorted(overlap.distance for overlap in found)


def test_each_image_once_and_failures_counted(tmp_path: Path) -> None:
    scan(1).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    samples = [sample_of(tmp_path / name) for name in ("a.png", "b.png", "a.png", "b.png", "gone.png")]
    got = hashes(samples)
    assert list(got.values) == ["a.png"] and got.failed == ("b.png", "gone.png")


def test_the_hash_is_of_steps_to_the_right() -> None:
    brighter = Image.linear_gradient("L").rotate(90)
    assert {dhash(brighter), dhash(brighter.rotate(180))} == {0, 2**64 - 1}
    assert {dhash(brighter, 16), dhash(brighter.rotate(180), 16)} == {0, 2**256 - 1}
    assert dhash(Image.linear_gradient("L")) == 0
    assert dhash(Image.new("RGB", (5, 5), (9, 9, 9))) == 0


ANY = st.builds(ImageHash, st.integers(0, 2**64 - 1), st.integers(0, 2**256 - 1))
FLIPS = st.tuples(st.sets(st.integers(0, 63), max_size=9), st.sets(st.integers(0, 255), max_size=30))


@given(
    st.dictionaries(st.integers(0, 40), ANY, max_size=20),
    st.lists(st.tuples(ANY, st.integers(0, 19), FLIPS), max_size=20),
    st.integers(0, 8),
)
def test_agrees_with_comparing_all(
    train: dict[int, ImageHash], tests: list[tuple[ImageHash, int, tuple[set[int], set[int]]]], distance: int
) -> None:
    known = {str(name): value for name, value in train.items()}
    asked = {}
    for number, (value, near, flips) in enumerate(tests):
        base = list(known.values())[near] if near < len(known) else value
        coarse, fine = (part ^ sum(1 << bit for bit in bits) for part, bits in zip(base, flips, strict=True))
        asked[str(number)] = ImageHash(coarse, fine)
    expected = {}
    for name, value in asked.items():
        fits = [other for other in known.values() if (other.coarse ^ value.coarse).bit_count() <= distance]
        apart = min(((other.fine ^ value.fine).bit_count() for other in fits), default=99)
        if apart <= 20:
            expected[name] = apart
    found = overlaps(known, asked, distance, 20)
    assert {overlap.image: overlap.distance for overlap in found} == expected
    for overlap in found:
        assert (known[overlap.training_image].fine ^ asked[overlap.image].fine).bit_count() == overlap.distance


def test_a_distance_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="within 0"):
        overlaps({}, {}, 64)
    far = {"b": ImageHash(2**63 - 1, 1)}
    assert overlaps({"a": ImageHash(0, 0)}, far, 63) == [Overlap("b", "a", 1)]


def test_twenty_thousand_against_two_thousand() -> None:
    chance = random.Random(0)
    train = {f"train{n}": ImageHash(chance.getrandbits(64), chance.getrandbits(256)) for n in range(20_000)}
    test = {f"test{n}": ImageHash(chance.getrandbits(64), chance.getrandbits(256)) for n in range(1_900)}
    for n in range(100):
        coarse, fine = train[f"train{n}"]
        test[f"copy{n}"] = ImageHash(coarse ^ 1 << chance.randrange(64), fine ^ 1 << chance.randrange(256))
    found = overlaps(train, test, DISTANCE)
    assert len(found) == 100 and all(overlap.distance == 1 for overlap in found)
