from __future__ import annotations

from pathlib import Path

import pytest

from backends.jobs.settings import SettingError, read_settings, training_spec
from backends.jobs.spec import fingerprint, model_content, safe_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "x"),
        ("hf_token", "x"),
        ("DB_PASSWORD", "x"),
        ("ANYTHING", "https://user:word@host/"),
        ("ANYTHING", "hf_abcdefghijklmnop"),
        ("AWS_SECRET_ACCESS", "x"),
        ("DB_PWD", "x"),
        ("SENTRY_DSN", "x"),
        ("ANYTHING", "github_pat_11ABCDEFG0123456789"),
        ("ANYTHING", "Bearer sk-proj-abc_def-0123"),
        ("ANYTHING", "AKIAIOSFODNN7EXAMPLE"),
        ("ANYTHING", "eyJhbGciOi.eyJzdWIi.signed"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(name: str, value: str) -> None:
    assert safe_environment({name: value, "PATH": "/bin"}) == {"PATH": "/bin"}


def test_an_ordinary_environment_is_kept() -> None:
    plain = {
        "PWD": "/home/me",
        "PATH": "/usr/bin:/bin",
        "RISK": "task-force-nine",
        "LANG": "C.UTF-8",
        "HF_HOME": "/data/hf_datasets",
    }
    plain["B"] = "/opt/npm_packages/bin:/srv/sk-learn-environment/bin:~/.npm_packages"
    assert safe_environment(plain) == plain


def test_the_fingerprint_is_what_decides_the_result() -> None:
    spec = {
        "kind": "eval",
        "model": {"source": "/a/m", "content": "c1"},
        "data": {"path": "/a/t.jsonl", "sha256": "d1"},
        "seed": 0,
        "created": 1.0,
        "cwd": "/a",
    }
    same = {**spec, "created": 2.0, "cwd": "/b", "model": {"source": "/b/m", "content": "c1"}}
    same["data"] = {"path": "/b/t.jsonl", "sha256": "d1"}
    assert fingerprint(same) == fingerprint(spec)
    for change in ({"seed": 1}, {"model": {"content": "c2"}}, {"data": {"sha256": "d2"}}, {"generation": {"x": 1}}):
        assert fingerprint({**spec, **change}) != fingerprint(spec)


def test_a_checkpoint_is_known_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = model_content(tmp_path)
    (tmp_path / "unrelated.png").write_text("x")
    assert model_content(tmp_path) == before
    (tmp_path / "model.safetensors").write_text("weights")
    assert model_content(tmp_path) != before


def test_settings_by_short_and_full_name() -> None:
    given = read_settings(["lr=1e-4", "batch=4", "lora.r=8", "max_steps=none", "method=peft"])
    assert given == {"learning_rate": 1e-4, "batch_size": 4, "lora.r": 8, "max_steps": None, "method": "peft"}
    assert training_spec(given)["lora"]["r"] == 8


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("learning_rat=1", "did you mean learning_rate"),
        ("lr", "name=value"),
        ("lr=fast", "a number is needed"),
        ("batch=1.5", "whole number"),
        ("epochs=-1", "above 0"),
        ("lr=nan", "above 0"),
        ("lr=inf", "above 0"),
        ("method=magic", "one of auto"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_reason(word: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        read_settings([word])
