"""The real weights, loaded once for this file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.score import score_answers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder("all-MiniLM-L6-v2")


def test_the_model_as_loaded_is_on_record(embedder: Embedder) -> None:
    assert embedder.loaded["name"] == "all-MiniLM-L6-v2"
    assert embedder.loaded["dimensions"] == 384 and embedder.loaded["max_tokens"] == 256
    assert len(embedder.loaded["weights_sha256"]) == 64


def test_similar_is_nearer_than_unrelated(embedder: Embedder) -> None:
    same, near, far = embedder.cosine(
        ["the femur", "the thigh bone of the fetus", "income tax"], ["the femur", "fetal femur", "fetal femur"]
    )
    assert same == pytest.approx(1, abs=1e-5) and same > near > 0.5 > far


def test_each_distinct_text_is_embedded_once(embedder: Embedder) -> None:
    calls: list[tuple[int, int]] = []
    texts = ["one new text", "another new text", "one new text"]
    first = embedder.encode(texts, lambda done, total: calls.append((done, total)))
    assert calls == [(2, 2)]
    again = embedder.encode(texts, lambda done, total: calls.append((done, total)))
    assert calls == [(2, 2)] and np.array_equal(first, again) and np.array_equal(first[0], first[2])
    assert np.linalg.norm(first, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder.encode([]).shape == (0, 384)


@pytest.mark.parametrize("name", ["all-MiniLM-L12-v2", "", "all-minilm", "sentence-transformers/all-MiniLM-L6-v2"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(EmbeddingError, match="there is no embedding") as raised:
        Embedder(name)
    assert "all-MiniLM-L6-v2" in (raised.value.hint or "")


def test_a_folder_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(EmbeddingError, match="does not load"):
        Embedder(str(tmp_path))


def test_cosine_rows_come_first_and_a_constant_answer_does_not_beat_its_floor(embedder: Embedder) -> None:
    references = ["Transthalamic plane", "Femur length plane", "Transthalamic plane"] * 20
    answers = [
        Answer(f"A/{i}#Q3", f"A/{i}", "A", "Q3", reference, "Transthalamic plane" if i else None)
        for i, reference in enumerate(references)
    ]
    rows = score_answers(answers, embedder=embedder, resamples=500)
    assert [row["metric"] for row in rows] == ["cosine"] * 3 + ["exact"] * 3 + ["relaxed_accuracy"]
    cosine = rows[0]
    assert cosine["embedding"] == embedder.loaded and "embedding" not in rows[3]
    assert 0.6 < cosine["value"] < cosine["floors"]["majority"] < 1, "one answer failed: it counts 0"
    assert cosine["value"] == pytest.approx(cosine["floors"]["majority"] - 1 / 60, abs=1e-4)
    assert [alarm["kind"] for alarm in cosine["alarms"]] == ["collapse"]
