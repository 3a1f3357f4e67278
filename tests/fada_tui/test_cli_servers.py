"""A model on a server through the command: what is refused, what is asked, a job that is killed and goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.home import Home
from fada_tui.cli import run
from tests.conftest import end_processes
from tests.protocol_server import ProtocolServer, serving

Run = Callable[..., tuple[int, Any, str]]
KEY = "sesame-0123456789-open"


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with serving() as made:
        yield made


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    return call


@pytest.fixture
def ends(panel_home: Home) -> Iterator[None]:
    yield
    end_processes(panel_home)


def config(home: Home, server: ProtocolServer, *lines: str) -> None:
    text = ["[servers.test]", f'base_url = "{server.url}"', 'model = "test-model"', *lines]
    home.config.write_text("\n".join(text))


def secret(home: Home, mode: int = 0o600) -> None:
    home.secrets.write_text(f"# keys\nexport TEST_SERVER_CREDS='{KEY}'\n")
    home.secrets.chmod(mode)


def test_a_hosted_server_needs_consent_and_says_what_would_go_where(
    fada: Run, panel_home: Home, server: ProtocolServer, phantom_set: dict[str, str]
) -> None:
    config(panel_home, server, "hosted = true")
    words = ["eval", "GPT-4o", "--data", phantom_set["test"], "--server", "test", "--limit", "3"]
    status, document, err = fada(*words)
    assert status == 2 and "127.0.0.1" in document["error"]["message"] and "kB" in document["error"]["message"]
    assert "3 requests" in document["error"]["message"] and "--send-images" in err and server.url in err
    assert fada("jobs")[1] == [] and server.seen == []
    (panel_home.root / "dispatcher.lock").touch()
    from backends.jobs.asked import EvalAsked
    from backends.jobs.launch import plan_eval
    from backends.jobs.servers import named_server

    agreed = plan_eval(
        panel_home,
        "GPT-4o",
        EvalAsked(data=phantom_set["test"], server=named_server(panel_home.config, "test"), send_images=True),
    )
    consent = agreed["server"]["consent"]
    assert (consent["host"], consent["images"], consent["requests"]) == ("127.0.0.1", 6, 24)
    assert consent["data"] == agreed["data"]["sha256"] and consent["bytes"] > 1000
    assert agreed["model"]["name"] == "GPT-4o" and agreed["model"]["source"] == f"{server.url}#test-model"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--server", "tets"], "did you mean test"),
        (["--server-url", "http://gpu2:8000/v1", "--server-model", "m"], "not encrypted"),
        (["--server-url", "ftp://x"], "no http(s) URL"),
        (["--server-url", "https://me:pw@x.org/v1"], "secrets.env"),
        (["--server-url", "http://127.0.0.1:1/v1"], "--server-model"),
        (["--send-images"], "without a server"),
        (["--server", "test", "--adapter", "3"], "on this machine"),
        (["--server", "test", "--kind", "zero-shot"], "ranks sentences"),
        (["--server", "test", "--max-requests", "0"], "above 0"),
        (["--server", "test", "--max-cost", "3"], "needs prices"),
        (["--server", "test", "--allow-http"], "is for --server-url"),
        (["--server", "keyed"], "is not set"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    fada: Run, panel_home: Home, server: ProtocolServer, phantom_set: dict[str, str], words: list[str], says: str
) -> None:
    config(panel_home, server)
    keyed = f'\n[servers.keyed]\nbase_url = "{server.url}"\nmodel = "m"\nkey_env = "TEST_SERVER_CREDS"\n'
    panel_home.config.write_text(panel_home.config.read_text() + keyed)
    status, document, _ = fada("eval", "Qwen2-VL-2B", "--data", phantom_set["test"], *words)
    error = document["error"]
    assert status == 2 and says in f"{error['message']} {error['hint']}"
    assert fada("jobs")[1] == []


def test_a_hosted_model_without_a_server_says_how(fada: Run, phantom_set: dict[str, str]) -> None:
    status, document, _ = fada("eval", "GPT-4o", "--data", phantom_set["test"])
    assert status == 2 and "--server" in document["error"]["hint"]


def test_a_secrets_file_that_others_can_read_is_refused(
    fada: Run, panel_home: Home, server: ProtocolServer, phantom_set: dict[str, str]
) -> None:
    config(panel_home, server, 'key_env = "TEST_SERVER_CREDS"')
    secret(panel_home, 0o644)
    status, document, err = fada("eval", "GPT-4o", "--data", phantom_set["test"], "--server", "test")
    assert status == 2 and "chmod 600" in document["error"]["hint"] and KEY not in err


def answers(folder: Path) -> dict[str, str]:
    lines = map(json.loads, (folder / "predictions.jsonl").read_text().splitlines())
    return {line["id"]: line["prediction"] for line in lines}


def until(condition: Callable[[], Any]) -> Any:
    for _ in range(2400):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came to be so")


def worker_of(folder: Path) -> int | None:
    record = json.loads((folder / "attempts/1.json").read_text()) if (folder / "attempts/1.json").exists() else {}
    return (record.get("worker") or {}).get("pid")


def seen_by_others(pids: set[int]) -> str:
    """Command lines of all processes of ours, and the environments of all but those."""
    texts = []
    for process in psutil.process_iter():
        try:
            texts.append(" ".join(process.cmdline()))
            if process.pid not in pids:
                texts.append(Path(f"/proc/{process.pid}/environ").read_text(errors="replace"))
        except (psutil.Error, OSError):
            continue
    return "\n".join(texts)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("heavy")
@pytest.mark.usefixtures("ends")
def test_a_job_that_is_killed_and_goes_on_asks_each_answered_question_once_and_keeps_the_key(
    panel_home: Home, server: ProtocolServer, phantom_set: dict[str, str], tmp_path: Path
) -> None:
    config(panel_home, server, "concurrency = 2", "hosted = true", 'key_env = "TEST_SERVER_CREDS"')
    secret(panel_home)
    environment = {**os.environ, "SOME_OTHER_NAME": f"x{KEY}x", "TEST_SERVER_CREDS": KEY}

    def command(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        base = [sys.executable, "-P", "-m", "fada_tui", "--home", str(panel_home.root), "--json"]
        return subprocess.run([*base, *words], capture_output=True, text=True, timeout=250, check=False, **more)

    words = ["eval", "GPT-4o", "--kind", "proxy", "--data", phantom_set["test"], "--server", "test", "--send-images"]
    server.delay = 0.3
    queued = command(*words, env=environment)
    assert queued.returncode == 0, queued.stderr
    folder = panel_home.run_dir(json.loads(queued.stdout)["runs"][0])
    until(lambda: len(server.asked) >= 8)
    pid = until(lambda: worker_of(folder))
    runner = psutil.Process(pid).ppid()
    elsewhere = seen_by_others({pid, runner, *(one.pid for one in psutil.Process(runner).parents())})
    psutil.Process(pid).kill()
    until(lambda: json.loads(command("job", folder.name).stdout)["state"] == "failed")
    kept = answers(folder)
    server.delay = 0.0
    resumed = command("resume", folder.name, "--wait")
    assert resumed.returncode == 0, resumed.stderr
    whole = command(*words, "--wait", env=environment)
    assert whole.returncode == 0, whole.stderr
    assert answers(folder) == answers(panel_home.run_dir(int(folder.name) + 1)) and len(answers(folder)) == 24
    spent = [line for line in (folder / "requests.jsonl").read_text().splitlines() if '"id"' in line]
    assert 0 < len(kept) < 24 and len(spent) <= 24 + 2  # those that were on their way when it was killed
    asked_again = [name for name in kept if sum(json.loads(line)["id"] == name for line in spent) > 1]
    assert asked_again == []
    assert all(seen.headers["Authorization"] == f"Bearer {KEY}" for seen in server.asked)
    assert KEY not in elsewhere
    holds = [path for path in panel_home.root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holds == [panel_home.secrets]
    assert KEY not in queued.stdout + queued.stderr + resumed.stdout + whole.stdout
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["reserve"]["bytes"] == 0 or spec["reserve"]["memory"] == "RAM"
