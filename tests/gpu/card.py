"""Whether there is a card, and the marks of what needs one."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def card_works() -> bool:
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


NEEDS_A_CARD = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.xdist_group("card"),
    pytest.mark.skipif(not card_works(), reason="no NVIDIA card: nothing here was tested on one"),
]
