"""What `fada doctor` finds of engines: a real Slurm, a real login host, and what can be wrong with either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backends.jobs.engines.config import EngineSettings
from backends.jobs.engines.inspection import Finding, inspect
from db.home import Home
from tests.servers.slurm import SlurmCluster
from tests.servers.sshd import LoginHost

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

Found = Callable[..., dict[str, Finding]]


@pytest.fixture
def found(slurm_cluster: SlurmCluster, home: Home) -> Found:
    """What is found of an engine with these settings, by what it is about."""

    def look(**settings: object) -> dict[str, Finding]:
        given = {"conf": str(slurm_cluster.conf), "gres": "gpu:1", "vram_gb": 32.0, **settings}
        return {one.what: one for one in inspect(home, EngineSettings("cluster", **given))}  # type: ignore[arg-type]

    return look


def test_one_that_can_be_used_is_ok_throughout(found: Found) -> None:
    seen = found(partition="main", setup=("true",))
    assert {one.state for one in seen.values()} == {"ok"} and set(seen) == {"", "python", "files"}
    assert seen[""].detail == "it would take a job with gpu:1"


@pytest.mark.parametrize(
    ("settings", "what", "detail"),
    [
        ({"partition": "gpus"}, "partition", "there is no gpus; there are main"),
        ({"gres": "tpu:1"}, "gres", "no node of its partitions has tpu: they have gpu:1, shard:32"),
        ({"gres": "gpu:9"}, "", "would not take a job"),
        (
            {"setup": ("echo no such module >&2; exit 4",)},
            "setup",
            "ends with 4 (tried on this machine): no such module",
        ),
        ({"setup": ("module-not-there load x",)}, "setup", "ends with 127"),
        ({"python": "/usr/bin/python3.0"}, "python", "does not find fada-tui"),
        ({"bin": "/nowhere"}, "", "without sbatch, squeue, scontrol, scancel"),
    ],
)
def test_what_is_wrong_has_a_name_and_a_hint(found: Found, settings: dict[str, object], what: str, detail: str) -> None:
    seen = found(**settings)[what]
    assert seen.state != "ok" and detail in seen.detail
    assert seen.hint and "config.toml" in seen.hint


def test_a_login_host_that_does_not_see_home_is_told_before_a_job_is_lost(
    found: Found, login_host: LoginHost, home: Home, tmp_path: Path
) -> None:
    reach = {"login": login_host.name, "ssh": ("-F", str(login_host.config))}
    login_host.stop()
    login_host.start(hidden=home.root)
    seen = found(**reach)
    assert seen.pop("files") == Finding(
        "files",
        "warn",
        f"{login_host.name} does not see {home.root}: what a job writes is lost",
        'put HOME on a shared file system (--home), or set remote_home = "/a/folder/there"',
    )
    assert {one.state for one in seen.values()} == {"ok"}
    assert found(**reach, remote_home=str(tmp_path / "far"))["files"].state == "ok"
    assert not list(home.root.glob(".seen-*"))


def test_a_login_host_is_looked_at_from_the_line_to_the_folder(
    found: Found, login_host: LoginHost, tmp_path: Path
) -> None:
    reach = {"login": login_host.name, "ssh": ("-F", str(login_host.config))}
    seen = found(**reach)
    assert {one.state for one in seen.values()} == {"ok"}
    assert seen["files"].detail.endswith("sees HOME under the same path")
    seen = found(**reach, remote_home=str(tmp_path / "far"))
    assert seen["files"].state == "ok" and (tmp_path / "far/runs").is_dir()
    (tmp_path / "file").touch()
    seen = found(**reach, remote_home=str(tmp_path / "file/far"))
    assert seen["files"].state == "warn" and "Not a directory" in seen["files"].detail
    seen = found(**reach, bin="/nowhere")
    assert seen["login"].state == "missing" and "/nowhere/sbatch" in seen["login"].detail
    login_host.stop()
    seen = found(**reach)
    assert "does not answer" in seen[""].detail and login_host.name in (seen[""].hint or "")
