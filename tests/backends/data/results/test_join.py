"""Answers find their references whatever the wording and the way the image path is written; nothing is lost."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backends.data.results.join import join
from backends.data.results.made import MadeAnswer
from backends.data.sample import Sample
from backends.data.topic import topic_of


def answer(image: str, question: str, said: str = "x") -> MadeAnswer:
    return MadeAnswer(image, None, question, topic_of(question), said)


def sample(image: str, question: str, ordinal: str = "") -> Sample:
    topic = topic_of(question)
    return Sample(f"{image}#{topic}{ordinal}", image, Path(image), "Femur", question, topic, "truth")


def test_wordings_and_paths_differ() -> None:
    samples = [sample("Femur/1.png", "Q5: Gestational Age: how old?"), sample("Femur/2.png", "Imaging Plane: which?")]
    made = [
        answer("/data/fada/images/Femur/1.png", "Gestational Age Estimation"),
        answer("2.png", "Plane Evaluation"),
        answer("Femur/3.png", "Plane Evaluation"),
    ]
    found = join(made, samples)
    assert [one.id for one in found.answers] == ["Femur/1.png#Q5", "Femur/2.png#Q3", "Femur/3.png#Q3"]
    assert found.unmatched == [made[2]] and found.unanswered == ()
    assert found.answers[0].image_path == "Femur/1.png" and found.answers[0].category == "Femur"


def test_a_doubtful_path_finds_nothing() -> None:
    samples = [sample("a/1.png", "Which?"), sample("b/1.png", "Which?"), sample("2.png", "Which?")]
    made = [answer("1.png", "Which?"), answer("x/2.png", "Which?"), answer("y/2.png", "Which?")]
    found = join(made, samples)
    assert len(found.unmatched) == 3 and len(found.unanswered) == 3
    # The path as the data has it is in no doubt, whoever else ends alike.
    found = join([*made, answer("2.png", "Which?")], samples)
    assert [one.sample is not None for one in found.answers] == [False, False, False, True]


def test_several_questions_of_a_topic_find_each_other_by_their_words_first() -> None:
    samples = [sample("1.png", "Look: left?"), sample("1.png", "Look: right?", "#2")]
    found = join([answer("1.png", "Look: right?"), answer("1.png", "Look: other words")], samples)
    assert [one.id for one in found.answers] == ["1.png#Look#2", "1.png#Look"]


def test_ids_without_references() -> None:
    found = join([answer("1.png", "Look: a"), answer("1.png", "Look: b"), answer("2.png", "Look: a")])
    assert [one.id for one in found.answers] == ["1.png#Look", "1.png#Look#2", "2.png#Look"]


names = st.sampled_from(["1.png", "a/1.png", "b/1.png", "/r/a/1.png", "2.png", "b\\1.png", "/", ""])
questions = st.sampled_from(["Q1", "Q1: other", "Q5: x", "Look: a", "Look: b"])


@given(
    st.lists(st.tuples(names, questions), unique=True),
    st.lists(st.tuples(st.sampled_from(["1.png", "a/1.png", "2.png"]), questions), unique=True),
)
def test_every_answer_and_every_reference_is_there_once(
    said: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> None:
    made = [answer(*one) for one in said]
    samples = [sample(*one, ordinal=f"#{at}") for at, one in enumerate(asked)]
    found = join(made, samples)
    assert [one.answer for one in found.answers] == made
    assert len({one.id for one in found.answers}) == len(made)
    matched = [one.sample.id for one in found.answers if one.sample]
    assert sorted([*matched, *(one.id for one in found.unanswered)]) == sorted(one.id for one in samples)
    assert all(one.sample.topic == one.answer.topic for one in found.answers if one.sample)
