from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample


def sample_of(path: Path) -> Sample:
    return Sample("x#Q1", path.name, path, None, "question", "Q1", "answer")


def gradient(mode: str = "L", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


def decoded(image: Image.Image, path: Path, **options: Any) -> Image.Image:
    image.save(path, **options)
    return open_image(sample_of(path))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_any_mode_is_rgb(tmp_path: Path, mode: str) -> None:
    image = gradient(mode)
    got = decoded(image, tmp_path / "a.png")
    assert got.mode == "RGB" and got.tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tiff", "a.bmp", "a.gif", "a.pgm"])
def test_other_forms(tmp_path: Path, name: str) -> None:
    got = decoded(gradient(), tmp_path / name)
    assert got.mode == "RGB" and got.size == (40, 30)
    assert got.getpixel((5, 2)) < got.getpixel((5, 27))  # type: ignore[operator]


def test_colour_and_palette_with_transparency(tmp_path: Path) -> None:
    assert decoded(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), tmp_path / "a.jpg").getpixel((1, 1))[0] > 200  # type: ignore[index]
    palette = Image.new("RGB", (4, 4), (10, 200, 30)).quantize(4)
    assert decoded(palette, tmp_path / "a.png", transparency=b"\x80\x40").getpixel((1, 1)) == (10, 200, 30)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_grey_is_scaled_by_its_own_range(tmp_path: Path, mode: str) -> None:
    values = [100, 1100, 2100, 4100]
    image = Image.new("I" if mode != "F" else "F", (4, 1))
    image.putdata(values)
    path = tmp_path / ("a.png" if mode == "I;16" else "a.tiff")
    got = decoded(image.convert(mode) if mode == "I;16" else image, path)
    assert [got.getpixel((x, 0)) for x in range(4)] == [(g, g, g) for g in (0, 64, 128, 255)]


def test_big_endian_deep_grey_and_deep_colour(tmp_path: Path) -> None:
    big = Image.frombytes("I;16B", (2, 1), bytes([0x10, 0x00, 0x20, 0x00]))
    assert [decoded(big, tmp_path / "a.tiff").getpixel((x, 0)) for x in range(2)] == [(0, 0, 0), (255, 255, 255)]
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + bytes([0x80, 0, 0x40, 0, 0xFF, 0xFF]))
    assert open_image(sample_of(tmp_path / "a.ppm")).getpixel((0, 0)) == (128, 64, 255)


def test_deep_grey_without_range_is_black_and_nan_is_a_failure(tmp_path: Path) -> None:
    assert decoded(Image.new("I;16", (4, 4), 3000), tmp_path / "a.png").getpixel((0, 0)) == (0, 0, 0)
    with pytest.raises(ImageError, match="finite"):
        decoded(Image.new("F", (4, 4), float("inf")), tmp_path / "b.tiff")


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = gradient("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right
    got = decoded(image, tmp_path / "a.png", exif=exif)
    assert got.size == (30, 40)
    assert got.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_broken_exif_is_no_rotation(tmp_path: Path) -> None:
    got = decoded(gradient("RGB"), tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert got.size == (40, 30)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp"])
def test_truncated_files_fail(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    noise = Image.frombytes("L", (64, 64), random.Random(0).randbytes(4096))
    noise.save(path)
    data = path.read_bytes()
    for share in (0, 0.02, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError, match=f"a.{ending}"):
            open_image(sample_of(path))


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tiff", "webp"])
def test_damaged_files_never_raise_anything_else(tmp_path: Path, ending: str) -> None:
    whole = io.BytesIO()
    gradient("RGB").save(whole, {"jpg": "JPEG"}.get(ending, ending))
    chance = random.Random(1)
    path = tmp_path / f"a.{ending}"
    for _ in range(100):
        data = bytearray(whole.getvalue())
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            assert open_image(sample_of(path)).mode == "RGB"
        except ImageError as error:
            assert "a." in str(error)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8100, 30_000, 2**31 - 1])
def test_decompression_bombs_fail(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    with pytest.raises(ImageError, match=r"pixels|exceeds|[Ii]nvalid|a\.png"):
        open_image(sample_of(tmp_path / "a.png"))


def test_the_pixel_limit_is_of_the_picture(tmp_path: Path) -> None:
    gradient().save(tmp_path / "a.png")
    assert open_image(sample_of(tmp_path / "a.png"), max_pixels=1200).size == (40, 30)
    with pytest.raises(ImageError, match="40 × 30 pixels"):
        open_image(sample_of(tmp_path / "a.png"), max_pixels=1199)


def test_missing_folder_pipe_text_and_a_problem(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    os.mkfifo(tmp_path / "pipe.png")
    for name, words in [
        ("gone.png", "No such file"),
        ("", "no file"),
        ("pipe.png", "no file"),
        ("text.png", "text.png is no image, or of a form"),
    ]:
        with pytest.raises(ImageError, match=words):
            open_image(sample_of(tmp_path / name))
    bad = Sample("x#Q1", "x", tmp_path / "text.png", None, "q", "Q1", "a", problem="leaves the root")
    with pytest.raises(ImageError, match="leaves the root"):
        open_image(bad)


@pytest.fixture
def dicom(tmp_path: Path) -> Callable[..., Sample]:
    """Writes a DICOM file of the given numpy array."""
    pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    def write(pixels: Any, meaning: str = "MONOCHROME2", frames: int = 0, **tags: Any) -> Sample:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = FileDataset(str(tmp_path / "a.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
        bits = pixels.dtype.itemsize * 8
        colour = pixels.ndim == (4 if frames else 3)
        data.Rows, data.Columns = pixels.shape[bool(frames) :][:2]
        data.SamplesPerPixel = 3 if colour else 1
        if colour:
            data.PlanarConfiguration = 0
        if frames:
            data.NumberOfFrames = frames
        data.PhotometricInterpretation = meaning
        data.BitsAllocated = data.BitsStored = bits
        data.HighBit = bits - 1
        data.PixelRepresentation = int(pixels.dtype.kind == "i")
        data.PixelData = pixels.tobytes()
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(tmp_path / "a.dcm")
        return sample_of(tmp_path / "a.dcm")

    return write


def greys(sample: Sample) -> list[Any]:
    image = open_image(sample)
    assert image.mode == "RGB"
    return [image.getpixel((x, 0))[0] for x in range(image.width)]  # type: ignore[index]


def test_dicom_grey(dicom: Callable[..., Sample]) -> None:
    import numpy as np

    assert greys(dicom(np.array([[5, 100, 200]], "uint8"))) == [5, 100, 200]
    assert greys(dicom(np.array([[5, 100, 200]], "uint8"), "MONOCHROME1")) == [250, 155, 55]
    assert greys(dicom(np.array([[0, 1024, 4096]], "uint16"))) == [0, 64, 255]
    assert greys(dicom(np.array([[-100, 0, 100]], "int16"))) == [0, 128, 255]
    windowed = dicom(np.array([[0, 1000, 1500, 2000, 4000]], "uint16"), WindowCenter=1500, WindowWidth=1000)
    assert greys(windowed) == [0, 0, 128, 255, 255]


def test_dicom_colour_and_frames(dicom: Callable[..., Sample]) -> None:
    import numpy as np

    colour = np.zeros((2, 2, 3), "uint8")
    colour[:] = (10, 20, 30)
    assert open_image(dicom(colour, "RGB")).getpixel((1, 1)) == (10, 20, 30)
    grey = np.full((2, 2, 3), (90, 128, 128), "uint8")
    assert open_image(dicom(grey, "YBR_FULL")).getpixel((1, 1)) == (90, 90, 90)
    frames = np.stack([np.full((2, 2), 7, "uint8"), np.full((2, 2), 9, "uint8")])
    assert greys(dicom(frames, frames=2)) == [7, 7]


def test_dicom_that_is_cut_off_or_absurd_fails(dicom: Callable[..., Sample]) -> None:
    import numpy as np

    sample = dicom(np.zeros((30, 30), "uint16"))
    data = sample.image_file.read_bytes()
    for length in (140, 400, len(data) - 100):
        sample.image_file.write_bytes(data[:length])
        with pytest.raises(ImageError):
            open_image(sample)
    with pytest.raises(ImageError, match="60000 × 60000 pixels"):
        open_image(dicom(np.zeros((2, 2), "uint8"), Rows=60000, Columns=60000))


def test_dicom_without_its_preamble_and_other_files_of_that_name(dicom: Callable[..., Sample], tmp_path: Path) -> None:
    import numpy as np

    sample = dicom(np.array([[5, 100, 200]], "uint8"))
    sample.image_file.write_bytes(sample.image_file.read_bytes()[132:])
    assert greys(sample) == [5, 100, 200]
    gradient().save(tmp_path / "a.png")
    sample.image_file.write_bytes((tmp_path / "a.png").read_bytes())
    assert open_image(sample).size == (40, 30)
    for content in (b"", b"hello", bytes(4000)):
        sample.image_file.write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.dcm|without a picture"):
            open_image(sample)
