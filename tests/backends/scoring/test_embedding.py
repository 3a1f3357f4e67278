"""The real weights, loaded once for this file."""

from __future__ import annotations

import math
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


def test_cosine_is_that_of_the_vectors(embedder: Embedder) -> None:
    """Of the named model's vectors, by the formula, in double precision; mean, macro and the floor shuffled."""
    said = ["Femur plane", "Abdomen", "no idea", "", "Good quality", "poor", "Good quality", "22 weeks"]
    true = ["Femur", "Abdomen", "Thorax", "Femur", "Good quality", "Good quality", "Poor quality", "20 weeks"]
    topics = ["Q3"] * 4 + ["Q6"] * 4
    answers = [
        Answer(f"i{at}#{topic}", f"i{at}", "AB"[at % 2], topic, reference, text)
        for at, (topic, text, reference) in enumerate(zip(topics, said, true, strict=True))
    ]
    vectors = {text: [float(one) for one in embedder.encode([text])[0]] for text in {*said, *true}}

    def cosine(one: str, other: str) -> float:
        a, b = vectors[one], vectors[other]
        dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(math.fsum(x * x for x in a)) / math.sqrt(math.fsum(x * x for x in b)) if one else 0.0

    each = [cosine(*pair) for pair in zip(said, true, strict=True)]
    rows = {(row["metric"], row["question"], row["category"]): row for row in score_answers(answers, embedder=embedder)}
    whole = rows["cosine", None, None]
    assert whole["value"] == pytest.approx(math.fsum(each) / 8, abs=1e-9)
    assert rows["cosine", "Q3", None]["value"] == pytest.approx(math.fsum(each[:4]) / 4, abs=1e-9)
    assert whole["macro"]["category"]["value"] == pytest.approx(
        math.fsum([math.fsum(each[0::2]) / 4, math.fsum(each[1::2]) / 4]) / 2, abs=1e-9
    )
    dealt = [
        cosine(said[first], true[second]) for rows_ in (range(4), range(4, 8)) for first in rows_ for second in rows_
    ]
    assert whole["floors"]["shuffled"] == pytest.approx(math.fsum(dealt) / 4 / 8, abs=1e-9)
    assert rows["cosine", "Q6", None]["value"] == pytest.approx(math.fsum(each[4:]) / 4, abs=1e-9)
