"""Code that comes with a model: agreed to as it is, at its revision, and asked for again when it is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.jobs.remote_code import (
    CodeConsentNeeded,
    agree,
    agreed,
    agreements,
    code_in,
    foreign_code,
    given_consent,
    still_agreed,
    withdraw,
)
from db.home import Home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "inner").mkdir(parents=True)
    (made / "modeling.py").write_text("print(1)\n")
    (made / "inner/more.py").write_text("print(2)\n")
    (made / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}))
    return made


def consent(home: Home, folder: Path, agrees: bool | str) -> dict[str, object]:
    code = code_in(folder, "org/model", "a" * 40)
    assert code is not None
    return given_consent(home, code, agrees=agrees, environment="old", folder=folder, hint="agree")


def test_nothing_is_agreed_to_by_itself_and_what_was_is_remembered(home: Home, folder: Path) -> None:
    with pytest.raises(CodeConsentNeeded, match="org/model at aaaaaaaaaaaa brings its own code") as raised:
        consent(home, folder, False)
    listed = "\n".join(raised.value.facts)
    assert "inner/more.py  9 bytes" in listed
    assert "modeling.py  9 bytes" in listed
    record = consent(home, folder, True)
    assert record["revision"] == "a" * 40
    assert consent(home, folder, False) == record
    assert agreements(home) == [record]


@pytest.mark.parametrize("change", ["modeling.py", "inner/more.py", "new.py", "lib.so"])
def test_other_code_is_asked_for_again_and_never_run(home: Home, folder: Path, change: str) -> None:
    record = consent(home, folder, True)
    assert still_agreed(home, record, folder) is None
    (folder / change).write_text("import os\n")
    assert f"its code has changed since it was agreed to: {change}" in (still_agreed(home, record, folder) or "")
    with pytest.raises(CodeConsentNeeded):
        consent(home, folder, False)


def test_what_was_compiled_beside_it_is_no_code_of_its(home: Home, folder: Path) -> None:
    record = consent(home, folder, True)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/modeling.cpython-311.pyc").write_bytes(b"x")
    assert still_agreed(home, record, folder) is None


def test_a_person_who_saw_one_code_has_not_agreed_to_another(home: Home, folder: Path) -> None:
    code = code_in(folder, "org/model", "a" * 40)
    assert code is not None
    with pytest.raises(CodeConsentNeeded):
        consent(home, folder, "0" * 64)
    assert consent(home, folder, f"{'0' * 64},{code.digest}")["digest"] == code.digest


def test_it_is_for_one_repository_and_revision(home: Home, folder: Path) -> None:
    consent(home, folder, True)
    for repo, revision in (("org/other", "a" * 40), ("org/model", "b" * 40), (str(folder), None)):
        code = code_in(folder, repo, revision)
        assert code is not None
        assert agreed(home, code) is None


def test_withdrawn_is_withdrawn(home: Home, folder: Path) -> None:
    record = consent(home, folder, True)
    local = code_in(folder, str(folder), None)
    assert local is not None
    agree(home, local)
    assert [one["repo"] for one in withdraw(home, str(folder))] == [str(folder)]
    assert withdraw(home, "org/nothing") == []
    assert withdraw(home, str(record["digest"])[:3]) == []
    assert len(withdraw(home, str(record["digest"])[:12])) == 1
    assert still_agreed(home, record, folder) == "the agreement to its code was withdrawn"


def test_code_of_another_repository_is_seen(home: Home, folder: Path) -> None:
    record = consent(home, folder, True)
    assert foreign_code(folder) is None
    settings = {"auto_map": {"AutoTokenizer": ["evil/repo--tok.Slow", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert foreign_code(folder) == "evil/repo"
    assert "takes code from evil/repo" in (still_agreed(home, record, folder) or "")


def test_a_folder_without_code_has_none(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert code_in(tmp_path, "org/model", None) is None
