from __future__ import annotations

from pathlib import Path

import pytest

from db import home as home_module
from db.filesystem import is_network, kind_of
from db.home import Home, HomeError

MOUNTS = r"""22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw,errors=remount-ro
30 22 0:25 / /home rw,relatime shared:2 - nfs4 server:/export/home rw,vers=4.2
31 30 0:26 / /home/me/scratch rw,relatime shared:3 - xfs /dev/nvme1n1 rw
32 22 0:27 / /media/my\040share rw,nosuid - fuse.sshfs me@host: rw,user_id=1000
33 22 0:28 / /over rw - ext4 /dev/sda1 rw
34 33 0:29 / /over rw - lustre 10.0.0.1@tcp:/scratch rw
a damaged line
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/x", "ext4", False),
        ("/home/me/.local/share", "nfs4", True),
        ("/home/me/scratch/home", "xfs", False),
        ("/media/my share/x", "fuse.sshfs", True),
        ("/over/x", "lustre", True),  # the later mount covers the earlier
        ("/homestead", "ext4", False),
    ],
)
def test_the_nearest_mount_decides(monkeypatch: pytest.MonkeyPatch, path: str, kind: str, network: bool) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: True)
    assert kind_of(Path(path), MOUNTS) == kind
    assert is_network(kind) == network


def test_this_machine_says_something(tmp_path: Path) -> None:
    kind = kind_of(tmp_path / "not/there/yet")
    assert kind and not is_network(kind)
    assert kind_of(tmp_path, "") == ""


def test_other_kinds() -> None:
    assert all(map(is_network, ("nfs", "cifs", "smb3", "9p", "fuse.rclone", "fuse.gvfsd-fuse", "ceph")))
    assert not any(map(is_network, ("", "tmpfs", "btrfs", "fuse.mergerfs", "fuseblk", "overlay", "zfs", "sshfs")))


def test_a_home_on_a_network_is_refused_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_module, "kind_of", lambda path: "nfs4")
    made = Home(tmp_path / "home")
    with pytest.raises(HomeError, match="nfs4") as refused:
        made.ensure()
    assert "FADA_NETWORK_HOME=1" in refused.value.hint and not made.root.exists()
    monkeypatch.setenv("FADA_NETWORK_HOME", "1")
    assert made.ensure().runs.is_dir()
