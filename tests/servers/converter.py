"""llama.cpp's own converter from a checkpoint to GGUF, fetched once and kept in the user's cache.

No package ships it as such, but the source package of llama-cpp-python holds all of llama.cpp. Only the converter's
part of that is kept (3 MB of 180).
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
SCRIPT = "convert_hf_to_gguf.py"
_KEPT = (SCRIPT, "conversion/", "gguf-py/gguf/", "LICENSE")
_FETCH_S = 900
_CONVERT_S = 600

# The converter knows a tokenizer by a hash of what it makes of one text, and refuses one that was trained just now.
# It splits as GPT-2's does. Text and vision part in one process: importing torch takes longer than converting.
_RUN = """
import runpy, sys
root, folder, *outputs = sys.argv[1:]
sys.path.insert(0, root)
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
for output, more in zip(outputs, ([], ["--mmproj"])):
    sys.argv = ["convert_hf_to_gguf.py", folder, "--outtype", "f32", "--outfile", output, *more]
    runpy.run_path(root + "/convert_hf_to_gguf.py", run_name="__main__")
"""


class ConverterMissing(Exception):
    """The converter is neither in the cache nor to be had."""


def convert(checkpoint: Path, into: Path) -> tuple[Path, Path]:
    """Write ``checkpoint`` as two GGUF files of 32-bit floats: the text model and its vision part (mmproj)."""
    outputs = into / "model.gguf", into / "mmproj.gguf"
    command = [sys.executable, "-P", "-c", _RUN, str(converter()), str(checkpoint), *map(str, outputs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_CONVERT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{SCRIPT} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return outputs


def converter(cache: Path | None = None) -> Path:
    """The folder with the converter; fetched if it is not there yet.

    Raises:
        ConverterMissing: the package index does not give it.
    """
    cache = cache or user_cache_path("fada-tui") / "llama.cpp"
    folder = cache / VERSION
    with _locked(cache):
        if not (folder / SCRIPT).is_file():
            _fetch(folder)
    return folder


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One process at a time: two test workers must not fetch it twice."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> None:
    """Download beside ``folder`` and rename, so that what is under its name is whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as work:
        source = download(Path(work))
        unpacked = Path(work) / "unpacked"
        unpack(source, unpacked, _KEPT)
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def unpack(source: Path, into: Path, kept: tuple[str, ...] = ("",)) -> None:
    """llama.cpp out of the source package: files whose path in it starts with one of ``kept``."""
    with tarfile.open(source) as archive:
        root = f"{archive.next().name.split('/')[0]}/vendor/llama.cpp/"  # type: ignore[union-attr]
        for member in archive:
            inside = member.name.removeprefix(root)
            if member.isfile() and inside != member.name and inside.startswith(kept):
                member.name = inside
                archive.extract(member, into, filter="data")


def download(into: Path) -> Path:
    """The source package, as an archive.

    Raises:
        ConverterMissing: the package index does not give it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", PACKAGE, "--dest", str(into), f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    found = sorted(into.glob("*.tar.gz"))
    if done.returncode or not found:
        said = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ConverterMissing(f"{PACKAGE} {VERSION} cannot be downloaded: {said}")
    return found[0]
