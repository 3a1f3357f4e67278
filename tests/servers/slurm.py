"""A real Slurm of one node on this machine, with a fake card, for tests that must not trust an imitation."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
_PATIENCE_S = 60
_CONF = """
ClusterName=fada
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=300
UnkillableStepTimeout=300
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
KillWait=5
GresTypes=gpu,shard
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 Gres=gpu:1,shard:32
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE OverSubscribe=YES State=UP
"""


class SlurmCluster:
    """Started and stopped by its processes; everything of it lies in one folder."""

    def __init__(self, folder: Path, cpus: int = 8) -> None:
        self.folder = folder
        self._cpus = cpus
        self.node = socket.gethostname().split(".")[0]
        self.conf = folder / "slurm.conf"
        self._environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        control_port, node_port = _free_ports(2)
        self.conf.write_text(
            _CONF.format(
                host=self.node, cpus=self._cpus, folder=self.folder, control_port=control_port, node_port=node_port
            )
        )
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/zero\nName=shard Count=32\n")
        options = [f"--{name}={self.folder}/munge/{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._start("munged", "--foreground", f"--key-file={key}", *options)
        _until(lambda: (self.folder / "munge/socket").exists(), "munged does not listen")
        self.start_controller()
        self.start_node()
        self.heal()

    def start_controller(self) -> None:
        """What its node holds is known to it again when this returns, where the node is there."""
        self._start("slurmctld", "-D")
        _until(lambda: "is UP" in self.ask("scontrol", "ping"), "slurmctld does not answer", self.logs)
        if "slurmd" in self._running:
            self.heal()

    def start_node(self) -> None:
        self._start("slurmd", "-D")

    def heal(self) -> None:
        """Bring the node back, whatever a test or a busy machine has made of it: no test pays for another's trouble."""

        def usable() -> bool:
            state = self.ask("sinfo", "--noheader", "--format=%T").strip()
            if any(word in state for word in ("down", "drain")):
                self.ask("scontrol", "update", f"NodeName={self.node}", "State=RESUME")
            return state in ("idle", "mixed", "allocated", "completing")  # with a star it does not respond

        _until(usable, "the node cannot be used", self.logs)

    def save(self) -> None:
        """Wait until the controller has written down what it knows, which it does every few seconds. One that is killed
        before has its running jobs in its records as waiting, and starts them a second time.
        """
        records = self.folder / "state/job_state"
        begun = time.time()
        for job, _ in self.queue():
            self.ask("scontrol", "update", f"JobId={job}", "Comment=to be saved")
        _until(lambda: records.exists() and records.stat().st_mtime > begun, "slurmctld saves no state", self.logs)

    def kill(self, name: str) -> None:
        """As a power cut would."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def kill_steps(self) -> None:
        """The processes that hold jobs, and the jobs."""
        for step in psutil.process_iter(["name"]):
            if step.info["name"] != "slurmstepd":
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                below = step.children(recursive=True)  # it writes over its own environment
                if any(process.environ().get("SLURM_CONF") == str(self.conf) for process in below):
                    for process in (step, *below):
                        process.kill()

    def ask(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, env=self._environment, timeout=60)
        return done.stdout + done.stderr

    def queue(self) -> list[tuple[str, str]]:
        """Job and state of what is not over, tasks of arrays one by one."""
        lines = self.ask("squeue", "--array", "--noheader", "--format=%i %T").splitlines()
        return [(job, state) for job, state in (line.split() for line in lines if len(line.split()) == 2)]

    def clear(self) -> None:
        """End every job, wait until none is left, and see that the next can run."""
        self.ask("scancel", "--me")

        def empty() -> bool:
            jobs = self.queue()
            if jobs:
                self.ask("scancel", "--signal=KILL", "--full", *(job for job, _ in jobs))
                self.ask("scancel", "--me")
            return not jobs

        _until(empty, "jobs do not end", self.logs)
        self.heal()

    def stop(self) -> None:
        if "slurmctld" in self._running:
            self.ask("scancel", "--me")
        self.kill_steps()
        for name in ("slurmd", "slurmctld", "munged"):
            if name in self._running:
                process = self._running.pop(name)
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.kill_steps()

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in self.folder.glob("*.log")
        )

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [_found(name), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )


def missing_for_slurm() -> str | None:
    """Why none can be started here; None where one can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [name for name in _PROGRAMS if not _found(name)]
    return f"without {', '.join(missing)} (Debian: slurm-wlm munge)" if missing else None


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Slurm with one node, a card (a fake device) and 32 shards of it, on free ports of the loopback."""
    missing = missing_for_slurm()
    if missing:
        pytest.skip(f"no real Slurm was started, and nothing was asked of one: {missing}")
    with tempfile.TemporaryDirectory(prefix="fada-slurm-") as name:  # munged takes no folder that is closed to others
        cluster = SlurmCluster(Path(name))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _found(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _until(condition: Callable[[], bool], said: str, logs: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{said}\n{logs()}"
        time.sleep(0.1)
