"""What kind of file system a path is on, and whether it is full. Standard library only."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "coda"),
        *("orangefs", "pvfs2", "davfs", "ncpfs", "moosefs"),
    }
)
ROOM = 1 << 18
"""Bytes without which SQLite's own errors are about the disk, whatever they say."""
_NETWORK_FUSE = ("sshfs", "s3fs", "rclone", "glusterfs", "ceph", "juicefs", "davfs", "moosefs", "gvfsd", "curlftpfs")


def is_full(path: Path) -> bool:
    """Whether the disk that holds ``path`` has no room worth speaking of."""
    try:
        status = os.statvfs(path)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize < ROOM


def kind_of(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that holds ``path`` (or would: its nearest folder that exists); empty if unknown.

    Args:
        mounts: The text of /proc/self/mountinfo; default: as it is now.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
    real = _existing(path).resolve()
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        # A later mount covers an earlier one at the same place.
        if len(point) >= best and real.is_relative_to(point):
            best, kind = len(point), after.split(" ")[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether files of this type lie on another machine: locks and shared memory do not hold there."""
    name = kind.removeprefix("fuse.")
    return kind in _NETWORK or (kind != name and name.startswith(_NETWORK_FUSE))


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
