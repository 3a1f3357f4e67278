"""llama.cpp's own quantiser, built from the same source as the converter and kept beside it in the user's cache.

``python -m tests.servers.quantiser`` builds it: about five minutes of two cores, CMake, Ninja and a C++ compiler. No
test builds it; those that want it say so where it is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.converter import ConverterMissing, converter, download, unpack

PROGRAM = "llama-quantize"
BUILD = "python -m tests.servers.quantiser"
_OFF = (
    *("BUILD_SHARED_LIBS", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP", "LLAMA_USE_PREBUILT_UI"),
    *("LLAMA_OPENSSL", "LLAMA_SUBPROCESS", "MTMD_VIDEO", "GGML_NATIVE", "GGML_OPENMP"),
)
# The compiler is what takes the time, and a tiny model is quantised in no time.
_QUICK = ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DCMAKE_C_FLAGS_RELEASE=-O1")


def quantiser() -> Path | None:
    """The program on PATH, or as it was built in the cache; None where it is in neither."""
    on_path = shutil.which(PROGRAM)
    if on_path:
        return Path(on_path)
    try:
        built = converter() / "bin" / PROGRAM
    except ConverterMissing:
        return None
    return built if built.is_file() else None


def build() -> Path:
    """Build it in a temporary folder and keep the program alone.

    Raises:
        ConverterMissing: the package index does not give the source.
        CalledProcessError: CMake or the compiler failed; what they said stands above.
    """
    target = converter() / "bin" / PROGRAM
    with tempfile.TemporaryDirectory(prefix="llama-cpp-") as work:
        source, made = Path(work) / "source", Path(work) / "build"
        unpack(download(Path(work)), source)
        off = [f"-D{name}=OFF" for name in _OFF]
        subprocess.run(["cmake", "-S", str(source), "-B", str(made), "-G", "Ninja", *_QUICK, *off], check=True)
        subprocess.run(["cmake", "--build", str(made), "--target", PROGRAM], check=True)
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(made / "bin" / PROGRAM, target.with_suffix(".tmp"))
        target.with_suffix(".tmp").rename(target)
    return target


if __name__ == "__main__":
    print(build(), file=sys.stdout)
