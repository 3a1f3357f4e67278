"""What the NVIDIA driver says, in plain words and with what to do."""

from __future__ import annotations

import re
from pathlib import Path

MISMATCH = 18
_KERNEL = Path("/proc/driver/nvidia/version")
_MAPS = Path("/proc/self/maps")

_XIDS = {
    13: "an error in a kernel of the program (out of range, or a bad instruction)",
    31: "the program read or wrote memory that is not its own",
    32: "a broken command from the program or the bus",
    43: "a channel was reset after an error of the program",
    45: "the work of a program was taken off the card",
    48: "two bits of memory were wrong: the card's memory may be failing",
    61: "the card's own controller broke down",
    62: "the card's own controller halted",
    63: "a bad row of memory was put out of use",
    64: "a bad row of memory could not be put out of use",
    74: "an NVLink error",
    79: "the card fell off the bus: power, heat, a loose card or riser",
    92: "many single-bit memory errors",
    94: "a memory error that was contained: the program must be started again",
    95: "a memory error that was not contained: the card needs a reset",
    109: "a program could not be switched away from in time",
    119: "the card's system processor (GSP) does not answer",
    120: "the card's system processor (GSP) reported an error",
    140: "a memory error that could not be corrected",
    154: "the card needs a reset or a reboot",
}


def explain(code: int, text: str) -> str:
    """An NVML error code in plain words, with what to do; ``text`` is NVML's own wording."""
    if code == MISMATCH:
        return _mismatch()
    return {
        4: "the NVIDIA driver refuses this user: check the permissions of /dev/nvidia*",
        9: "the NVIDIA driver is installed but not loaded: try `sudo modprobe nvidia`, or reboot",
        12: "no NVIDIA driver (libnvidia-ml.so.1 was not found)",
        15: "lost: it fell off the bus (`sudo dmesg | grep Xid` tells why); most need a reboot",
        16: "needs a reset: `sudo nvidia-smi --gpu-reset`, or reboot",
    }.get(code, f"the NVIDIA driver answers: {text}")


def xid_text(code: int) -> str:
    """What an Xid stands for."""
    return _XIDS.get(code, "see NVIDIA's list of Xid errors")


def why_missing(code: int) -> str:
    """Why one field of a card cannot be read."""
    return {
        2: "the driver refuses the question",
        3: "this card does not tell",
        4: "the driver does not tell it to this user",
        13: "this driver does not know it yet",
    }.get(code, f"the driver answers with error {code}")


def why_hidden(pids: list[int]) -> str:
    """Why processes are listed without what they hold."""
    if _is_wsl():
        return "under WSL the driver does not tell what each process holds"
    if any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return "in a container the driver does not tell what each process holds"
    if pids and not any(Path(f"/proc/{pid}").exists() for pid in pids):
        return "these process numbers are another container's or the host's"
    return "the driver does not tell what each process holds"


def _is_wsl() -> bool:
    try:
        return "microsoft" in Path("/proc/version").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False


def _mismatch() -> str:
    library, kernel = _loaded_library(), _kernel_module()
    numbers = f" (library {library}, kernel module {kernel})" if library and kernel else ""
    return (
        f"the NVIDIA driver was updated underneath{numbers}: reboot, or reload its kernel module (running jobs go on)"
    )


def _loaded_library() -> str | None:
    """The version in the name of the library file that this process holds."""
    return _found(r"libnvidia-ml\.so\.(\d+\.[\d.]+)", _MAPS)


def _kernel_module() -> str | None:
    return _found(r"Kernel Module.*?\s(\d+\.[\d.]+)", _KERNEL)


def _found(pattern: str, path: Path) -> str | None:
    try:
        match = re.search(pattern, path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match[1] if match else None
