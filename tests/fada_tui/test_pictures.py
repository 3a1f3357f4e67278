"""Finding and drawing the image of a sample: what is there, what is broken, what is not to be followed."""

from __future__ import annotations

import base64
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.images import ImageError
from backends.data.u2bench import read_u2bench
from fada_tui.sources import pictures
from fada_tui.sources.pictures import ImageFinder, Picture, PictureSource, draw
from fada_tui.widgets.fold import fold
from fada_tui.widgets.picture import half_cells


def run_dir(tmp_path: Path, data: dict[str, Any] | None) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_text(json.dumps({"kind": "eval", "data": data}))
    return folder


def grey(width: int, height: int) -> Image.Image:
    image = Image.new("L", (width, height))
    image.putdata([255 * x // (width - 1) for _ in range(height) for x in range(width)])
    return image


def test_an_image_is_found_under_the_root_or_its_images(tmp_path: Path) -> None:
    (tmp_path / "images/A").mkdir(parents=True)
    grey(64, 64).save(tmp_path / "images/A/1.png")
    finder = ImageFinder(
        run_dir(tmp_path, {"path": str(tmp_path / "t.jsonl"), "image_root": str(tmp_path), "format": "chat"})
    )
    picture = draw(finder.sample("A/1.png"), 20, 20)
    assert (picture.width, picture.height, picture.size) == (20, 20, (64, 64))
    row = picture.pixels[: 3 * 20 : 3]
    assert list(row) == sorted(row) and row[0] < 16 and row[-1] > 239
    with pytest.raises(ImageError, match=r"B/2\.png is not in"):
        finder.sample("B/2.png")
    with pytest.raises(ImageError, match="leaves the image root: not read"):
        draw(finder.sample("../secret.png"), 9, 9)


def test_where_a_run_does_not_say_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="import it with --data"):
        ImageFinder(run_dir(tmp_path, None)).sample("A/1.png")


def test_a_broken_image_says_why(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    came: list[Picture] = []
    done = threading.Event()
    folder = run_dir(tmp_path, {"path": str(tmp_path / "t.jsonl"), "image_root": str(tmp_path), "format": "chat"})
    source = PictureSource(folder, lambda picture, box: (came.append(picture), done.set()))
    thread = threading.Thread(target=source.run)
    thread.start()
    source.ask("1.png", 20, 10)
    assert done.wait(20)
    source.stop()
    thread.join(20)
    assert came[0].trouble.startswith("1.png: ") and not came[0].pixels


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"pip install 'fada-tui\[images\]'"):
        draw(pictures._made("x", tmp_path / "x"), 9, 9)


def table(tmp_path: Path) -> Path:
    folder = tmp_path / "disease_diagnosis"
    folder.mkdir()
    lines = ["dataset_name\timg_data\tprompt\tclass_label"]
    for number in range(3):
        data = io.BytesIO()
        Image.new("L", (32, 16), 60 * number).save(data, "PNG")
        lines.append(f"03\t{base64.b64encode(data.getvalue()).decode()}\twhich?\tbenign")
    path = folder / "03.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_image_in_a_table_is_found_by_its_hash_and_no_row_behind_it_is_read(tmp_path: Path) -> None:
    path = table(tmp_path)
    names = [sample.image_path for sample in read_u2bench([path])]
    finder = ImageFinder(run_dir(tmp_path, {"path": str(path), "format": "u2bench"}))
    picture = draw(finder.sample(names[1]), 40, 40)
    assert (picture.width, picture.height) == (40, 20) and picture.pixels[0] in (56, 64)
    assert names[2] not in finder._cells and names[0] in finder._cells
    assert draw(finder.sample(names[0]), 40, 40).pixels[0] == 0
    with pytest.raises(ImageError, match="the data changed since"):
        finder.sample("03/0000")


def test_the_place_that_an_answer_key_has_noted_needs_no_table(tmp_path: Path) -> None:
    path = table(tmp_path)
    samples = list(read_u2bench([path]))
    folder = run_dir(tmp_path, {"path": str(tmp_path / "elsewhere"), "format": "u2bench"})
    key = {one.id: {"topic": "DD", "image": [str(path), *(one.kind_data or {})["cell"]]} for one in samples}
    (folder / "key.json").write_text(json.dumps(key))
    assert draw(ImageFinder(folder).sample(samples[2].image_path), 40, 40).pixels[0] in (120, 128)


def test_a_picture_is_two_pixels_a_cell_and_equal_cells_are_one_segment() -> None:
    black, white = bytes(3), bytes([255] * 3)
    rows = half_cells(Picture("x", 3, 3, black * 3 + black + white * 2 + white * 3), "#121212")
    assert [[segment.text for segment in row] for row in rows] == [[" ", "▀▀"], ["▀▀▀"]]
    first, second = rows[0]
    assert first.style is not None and first.style.color is None
    assert second.style is not None and second.style.color is not None and second.style.bgcolor is not None
    assert (second.style.color.triplet, second.style.bgcolor.triplet) == ((0, 0, 0), (255, 255, 255))


def test_long_texts_are_folded_and_nothing_is_lost() -> None:
    assert list(fold("a b\r\nccccc d\n", 3)) == ["a b", "ccc", "cc", "d", ""]
    assert list(fold("胎児の画像", 4)) == ["胎児", "の画", "像"]
    assert list(fold("\x1b[31m", 9)) == ["^[[31m"]
    text = "word " * 20_000 + "x" * 10_000
    lines = list(fold(text, 40))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "") and max(map(len, lines)) <= 40
    assert next(fold("y" * 10_000_000, 10)) == "y" * 10
