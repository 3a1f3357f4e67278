"""Runs another program's Python script, as ``python SCRIPT …`` does, where torchvision and torch may be of two builds.

llama.cpp's converter imports transformers, which imports torchvision: :mod:`backends` makes that work for both.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import backends  # noqa: F401 - before whatever imports torchvision


def main() -> None:
    """``python -m backends.work.convert.script SCRIPT …``; what lies beside the script can be imported by it."""
    del sys.argv[0]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
