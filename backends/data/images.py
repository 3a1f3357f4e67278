"""Decode the images of samples. Only workers do: an image is the one input that strangers have made.

Whatever is wrong with an image is an :class:`ImageError`, a failure of its samples alone.
"""

from __future__ import annotations

import io
import stat
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from backends.data.sample import Sample
from backends.data.table import read_cell
from backends.data.u2bench import decode_image

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000
"""More is no medical image but a decompression bomb (one in RGB takes 192 MB)."""
DICOM_HINT = "DICOM needs pydicom: pip install 'fada-tui[images]'"
_DICOM_ENDINGS = (".dcm", ".dicom")
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Pillow's modes of more than 8 bits a pixel; all grey."""


class ImageError(ValueError):
    """Why an image cannot be used, in words for the answer's ``error``."""


def open_image(sample: Sample, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a sample's image to 8-bit RGB, upright.

    PNG, JPEG, TIFF and what else Pillow reads, and DICOM. Of several frames the first is taken. Transparency is
    dropped. Grey images of more than 8 bits (and 32-bit or floating-point ones) are scaled linearly by their own range:
    their smallest value becomes 0, their largest 255, as 12-bit data in 16 bits would else be nearly black; a DICOM
    image's window is used where it has one. An EXIF rotation is applied.

    Raises:
        ImageError: missing, no image, cut off, more than ``max_pixels``, or in a form that nothing here reads.
    """
    from PIL import UnidentifiedImageError

    if sample.problem:
        raise ImageError(sample.problem)
    try:
        with _source(sample) as file:
            return _decode(file, max_pixels, sample.image_file.suffix.lower() in _DICOM_ENDINGS)
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError:  # its own words name an object in memory
        raise ImageError(f"{sample.image_path} is no image, or of a form that is not read here") from None
    except Exception as error:  # decoders raise nearly anything on a broken file
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"{sample.image_path}: {words or type(error).__name__}") from error


def upright_size(sample: Sample) -> tuple[int, int] | None:
    """Width and height as :func:`open_image` gives them, from the file's header; None where only decoding tells."""
    from PIL import Image

    if sample.problem:
        return None
    try:
        with _source(sample) as file:
            if is_dicom(file):
                return None
            with Image.open(file) as image:
                size, turned = image.size, image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception:  # noqa: BLE001 - decoders raise nearly anything on a broken file
        return None
    return size[::-1] if turned else size


def _source(sample: Sample) -> BinaryIO:
    cell = (sample.kind_data or {}).get("cell")
    if cell:
        return io.BytesIO(decode_image(read_cell(sample.image_file, *cell)))
    if not stat.S_ISREG(Path(sample.image_file).stat().st_mode):
        raise ImageError(f"{sample.image_path} is no file")  # a pipe would be waited for
    return open(sample.image_file, "rb")


def _decode(file: BinaryIO, max_pixels: int, named_dicom: bool) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if is_dicom(file):
        return _dicom(file, max_pixels)
    try:
        with Image.open(file) as image:
            _check_size(*image.size, max_pixels)
            image.load()
            return _rgb(_upright(image))
    except UnidentifiedImageError:
        if not named_dicom:
            raise
    file.seek(0)
    return _dicom(file, max_pixels, bare=True)  # older devices leave the preamble out


def is_dicom(file: BinaryIO) -> bool:
    """True for the DICOM file format (a preamble of 128 bytes, then ``DICM``); the position stays at the start."""
    head = file.read(132)
    file.seek(0)
    return head[128:] == b"DICM"


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(f"{width} × {height} pixels, more than the {max_pixels:,} that are read")


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - the picture is whole, only its EXIF block is not: it says no rotation
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP:
        return _scaled(image)
    if image.mode in ("P", "PA") and "transparency" in image.info:
        image = image.convert("RGBA")  # else Pillow warns
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """A grey image of more than 8 bits, its own range spread over 0..255."""
    image = image.convert("F")
    extrema: Any = image.getextrema()
    low, high = extrema
    if not float("-inf") < low <= high < float("inf"):
        raise ImageError("not all its values are finite numbers")
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.point(lambda value: value * scale + (0.5 - low * scale)).convert("L").convert("RGB")


def _dicom(file: BinaryIO, max_pixels: int, bare: bool = False) -> Image.Image:
    """The first frame: rescaled, windowed where the file has a window, inverted for MONOCHROME1, RGB for YBR."""
    try:
        read: Any = import_module("pydicom").dcmread
        pydicom: Any = import_module("pydicom.pixels")
    except ImportError as error:
        raise ImageError(DICOM_HINT) from error
    from PIL import Image, ImageOps

    header = read(file, stop_before_pixels=True, force=bare)
    if "Rows" not in header or "Columns" not in header:
        raise ImageError("a DICOM file without a picture, or none")
    _check_size(int(header.Columns), int(header.Rows), max_pixels)
    file.seek(0)
    pixels = pydicom.pixel_array(read(file, force=True) if bare else file, index=0)
    meaning = header.get("PhotometricInterpretation")
    if meaning == "PALETTE COLOR":
        pixels = pydicom.apply_color_lut(pixels, header)
    if pixels.ndim == 3:  # 8 bits, but for palettes of 16
        return Image.fromarray((pixels >> 8 * (pixels.dtype.itemsize - 1)).astype("uint8")).convert("RGB")
    pixels = pydicom.apply_voi_lut(pydicom.apply_modality_lut(pixels, header), header)
    grey = _scaled(Image.fromarray(pixels.astype("float32"))) if _is_deep(header) else Image.fromarray(pixels)
    return ImageOps.invert(grey.convert("RGB")) if meaning == "MONOCHROME1" else grey.convert("RGB")


def _is_deep(header: Any) -> bool:
    """False where the stored bytes are the grey values."""
    changes = ("WindowCenter", "VOILUTSequence", "RescaleSlope", "ModalityLUTSequence")
    signed = bool(header.get("PixelRepresentation", 0))
    return int(header.BitsAllocated) != 8 or signed or any(name in header for name in changes)
