from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.converter import SCRIPT, VERSION, ConverterMissing, converter


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / VERSION).mkdir()
    (tmp_path / VERSION / SCRIPT).touch()
    assert converter(tmp_path) == tmp_path / VERSION


def test_without_an_index_it_says_so_and_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ConverterMissing, match=rf"llama-cpp-python {VERSION} cannot be downloaded: .*No matching"):
        converter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
