"""Servers as config.toml names them, where they are, what may be sent, and where a key is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.jobs.consent import covers
from backends.jobs.errors import QueueError
from backends.jobs.keys import check_key, take_key
from backends.jobs.servers import Server, from_spec, key_names, named_server, place_of, quick_server, read_servers
from backends.jobs.spec import fingerprint, safe_environment
from db.home import Home

WHOLE = """
[limits]
log_bytes = 100000
[servers.lab]
base_url = "https://192.168.1.20:8000/v1/"
model = "qwen"
parameters = {}
[servers.api]
base_url = "https://api.example.org/v1"
key_env = "EXAMPLE_CREDS"
max_cost = 2.5
input_price = 2.5
output_price = 10
"""


def test_a_config_with_servers(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read_servers(path) == {}
    path.write_text(WHOLE)
    servers = read_servers(path)
    lab, api = servers["lab"], servers["api"]
    assert lab.base_url == "https://192.168.1.20:8000/v1" and lab.parameters == {} and not lab.is_hosted
    assert api.is_hosted and api.place == "public" and api.parameters == {"temperature": 0}
    assert key_names(path) == {"EXAMPLE_CREDS"}
    assert from_spec(api.to_spec()).is_hosted and from_spec(lab.to_spec()) == Server(**{**vars(lab), "hosted": False})


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("base_url = 3", "base_url cannot be 3"),
        ("model = 'x'", "needs a base_url"),
        ("base_url = 'http://a.org/v1'", "not encrypted"),
        ("base_url = 'https://a.org/v1?api-key=x'", "more than a place"),
        ("base_url = 'https://a.org:port/v1'", "no URL"),
        ("base_url = 'https://a.org/v1'\nconcurency = 2", "concurrency"),
        ("base_url = 'https://a.org/v1'\napi_key = 'sk-1'", "never written here"),
        ("base_url = 'https://a.org/v1'\nkey_env = 'sk-1234-5678'", "not a key"),
        ("base_url = 'https://a.org/v1'\nconcurrency = 0", "concurrency cannot be 0"),
        ("base_url = 'https://a.org/v1'\nconcurrency = true", "concurrency cannot be True"),
        ("base_url = 'https://a.org/v1'\ntimeout_s = inf", "timeout_s cannot be inf"),
        ("base_url = 'https://a.org/v1'\nmax_cost = 3", "input_price"),
        ("base_url = 'https://a.org/v1'\nimage_format = 'gif'", "png, jpeg"),
        ("base_url = 'https://a.org/v1'\nparameters = { messages = [] }", "not for the user"),
        ("base_url = ", "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, lines: str, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[servers.x]\n{lines}\n")
    with pytest.raises(QueueError) as error:
        named_server(path, "x")
    assert says in f"{error.value.message} {error.value.hint}" and str(path) in str(error.value.where)
    assert "sk-1234-5678" not in f"{error.value.message} {error.value.hint}"


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("localhost", "loopback"),
        ("localhost.example.org", "public"),
        ("127.0.0.1.example.org", "public"),
        ("10.1.2.3", "private"),
        ("fd00::1", "private"),
        ("gpu2", "private"),
        ("gpu2.lan", "private"),
        ("8.8.8.8", "public"),
        ("api.openai.com", "public"),
        ("134744072", "public"),
        ("0x08080808", "public"),
    ],
)
def test_where_a_host_is(host: str, place: str) -> None:
    assert place_of(host) == place


def spec(**changes: Any) -> dict[str, Any]:
    part = Server(**{"base_url": "http://127.0.0.1:1/v1", "model": "m", **changes}).to_spec()
    return {"kind": "eval", "model": {"source": "s", "loader": "openai"}, "server": part}


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "http://127.0.0.1:2/v1"},
        {"model": "n"},
        {"parameters": {}},
        {"image_max_side": 512},
        {"image_format": "jpeg"},
        {"system_role": False},
    ],
)
def test_what_decides_the_answers_is_in_the_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(spec(**changes)) != fingerprint(spec())


@pytest.mark.parametrize("changes", [{"concurrency": 9}, {"max_requests": 3}, {"retries": 1}, {"key_env": "X"}])
def test_what_does_not_is_not(changes: dict[str, Any]) -> None:
    assert fingerprint(spec(**changes)) == fingerprint(spec())


def test_a_run_without_a_server_has_the_fingerprint_that_it_had() -> None:
    assert fingerprint({"kind": "eval", "model": {"source": "s"}, "seed": 0}) == "1d2835ae6499f4ff"


def test_consent_is_for_one_host_and_one_data_set() -> None:
    server = quick_server("https://api.example.org/v1")
    consent = {"host": "api.example.org", "data": "abc"}
    assert covers(server, consent, "abc")
    assert not covers(server, consent, "abd") and not covers(server, None, "abc")
    assert not covers(quick_server("https://api.example.com/v1"), consent, "abc")
    assert covers(quick_server("http://127.0.0.1:8080/v1"), None, "abc")


def test_keys_come_from_the_file_or_the_environment_which_they_leave(home: Home) -> None:
    environment = {"A_CREDS": "from-the-shell", "OTHER": "1"}
    assert take_key(home, None, environment) is None
    assert take_key(home, "A_CREDS", environment) == "from-the-shell" and environment == {"OTHER": "1"}
    home.secrets.write_text("# mine\n\nexport A_CREDS = 'from-the-file'\nB=\n")
    home.secrets.chmod(0o600)
    assert take_key(home, "A_CREDS", {"A_CREDS": "from-the-shell"}) == "from-the-file"
    with pytest.raises(QueueError, match="B is not set"):
        take_key(home, "B", {})


def test_a_file_that_others_can_read_or_that_is_none_is_refused(home: Home) -> None:
    with pytest.raises(QueueError, match="not set"):
        check_key(home, "NO_SUCH_CREDS")
    home.secrets.write_text("A=1\nsesame-open\n")
    home.secrets.chmod(0o640)
    for function in (lambda: check_key(home, "A"), lambda: take_key(home, "A", {})):
        with pytest.raises(QueueError, match="others may read"):
            function()
    home.secrets.chmod(0o600)
    with pytest.raises(QueueError) as error:
        take_key(home, "A", {})
    assert str(error.value.where).endswith(":2") and "sesame" not in error.value.message
    home.secrets.write_text("A='two words'\n")
    with pytest.raises(QueueError) as error:
        take_key(home, "A", {})
    assert "two words" not in error.value.message


def test_a_key_is_kept_out_of_a_spec_whatever_it_is_called() -> None:
    environment = {"MY_CREDS": "abcdefgh", "COPY": "x-abcdefgh", "PATH": "/bin"}
    assert safe_environment(environment, {"MY_CREDS"}) == {"PATH": "/bin"}
