"""Folders of results as FADA, VLMEvalKit, lm-evaluation-harness and lmms-eval write them."""

from __future__ import annotations

import base64
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from backends.data.errors import DataError
from backends.data.results.door import read_results
from backends.data.results.made import Made, Point, Stated


def write_lines(path: Path, *records: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records))


def fada_line(image: str, question: str, prediction: Any, **more: Any) -> dict[str, Any]:
    return {"image_path": image, "category": "Femur", "question": question, "prediction": prediction, **more}


def by_key(made: Made) -> dict[tuple[str, str | None, str | None], Stated]:
    return {(one.metric, one.question, one.category): one for one in made.stated}


class TestFada:
    def test_a_whole_folder(self, tmp_path: Path) -> None:
        write_lines(
            tmp_path / "predictions.jsonl",
            fada_line("Femur/1.png", "Q5: Gestational Age Estimation: how old?", "20 weeks"),
            fada_line("Femur/1.png", "Plane Evaluation: which?", "ERROR: CUDA out of memory"),
            fada_line("Femur/2.png", "Q7: Normality / Abnormality", None),
        )
        group = {"primary_mean": 0.5, "primary_std": 0.1, "embedding_similarity_mean": 0.7, "num_samples": 2}
        scores = {
            "metadata": {"model": "not this one"},
            "overall": {"primary_score_mean": 0.61, "embedding_similarity_mean": 0.81, "num_samples": 3},
            "per_question": {"Q5: Gestational Age Estimation": {"metric_name": "Bin Accuracy", **group}},
            "per_category": {"Femur": {"embedding_similarity_mean": 0.9, "num_samples": 3, "primary_mean": None}},
        }
        (tmp_path / "scores.json").write_text(json.dumps(scores))
        (tmp_path / "run_manifest.json").write_text('{"model": "Qwen2-VL-2B", "final_loss": 0.2}')
        log = [
            {"loss": 2.0, "learning_rate": 1e-4, "epoch": 0.1, "step": 10},
            {"eval_loss": float("nan"), "eval_runtime": 3, "step": 10},
            {"train_runtime": 5.0},
        ]
        (tmp_path / "training_log.json").write_text(json.dumps(log))

        made = read_results(tmp_path)
        assert (made.format, made.model, len(made.files)) == ("fada", "Qwen2-VL-2B", 4)
        assert [(one.topic, one.prediction, one.error) for one in made.answers] == [
            ("Q5", "20 weeks", None),
            ("Q3", None, "ERROR: CUDA out of memory"),
            ("Q7", None, "no prediction in the file"),
        ]
        stated = by_key(made)
        assert {key: one.value for key, one in stated.items()} == {
            ("cosine", None, None): 0.81,
            ("primary", None, None): 0.61,
            ("cosine", "Q5", None): 0.7,
            ("bin_accuracy", "Q5", None): 0.5,
            ("cosine", None, "Femur"): 0.9,
        }
        assert stated["bin_accuracy", "Q5", None].n == 2
        assert made.curve == [Point("loss", 10, 2.0), Point("learning_rate", 10, 1e-4), Point("eval_runtime", 10, 3.0)]

    def test_what_is_no_answer_is_named_and_what_comes_again_counts_once(self, tmp_path: Path) -> None:
        write_lines(
            tmp_path / "predictions.jsonl",
            fada_line("a.png", "Which?", "first"),
            "{broken",
            {"image_path": "a.png"},
            fada_line("a.png", "Which?", "second"),
        )
        made = read_results(tmp_path)
        assert [one.prediction for one in made.answers] == ["second"]
        assert [text.split(": ")[0] for text in made.warnings[:2]] == ["not imported"] * 2
        assert "predictions.jsonl:2" in made.warnings[0] and "predictions.jsonl:3" in made.warnings[1]
        assert made.warnings[2].startswith("1 answers were given again")

    def test_a_run_folder_of_ours(self, tmp_path: Path) -> None:
        line = fada_line("a/1.png", "Which?", None, reference="this", error="Truncated", latency_s=0.5, output_tokens=3)
        write_lines(tmp_path / "predictions.jsonl", line)
        row = {"metric": "exact", "question": None, "category": None, "value": 0.25, "n": 4, "scorer": 2}
        (tmp_path / "scores.json").write_text(json.dumps({"scores": [row], "finished": True}))
        made = read_results(tmp_path)
        assert (made.answers[0].error, made.answers[0].reference, made.answers[0].latency_s) == (
            "Truncated",
            "this",
            0.5,
        )
        assert made.stated == [Stated("exact", 0.25, n=4, extra={"scorer": 2})]

    @pytest.mark.parametrize(
        ("name", "text"),
        [("scores.json", "[1]"), ("scores.json", "{"), ("training_log.json", "{}"), ("predictions.jsonl", "{x\n")],
    )
    def test_a_broken_file_is_named(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError) as error:
            read_results(tmp_path)
        assert str(error.value.where).startswith(str(tmp_path / name))


class TestVlmevalkit:
    def test_a_table_its_judge_and_its_scores(self, tmp_path: Path) -> None:
        folder = tmp_path / "Qwen2-VL-7B-Instruct"
        folder.mkdir()
        picture = base64.b64encode(b"picture" * 200).decode()
        rows = ["index\timage\tquestion\tA\tB\tanswer\tcategory\tprediction"]
        rows += [f'0\t{picture}\tWhich plane?\tx\ty\tA\tplanes\t"A. \tx"', "1\t0\tWhich age?\tx\ty\tB\tages\t"]
        rows += ["2\timages/2.png\tQ7: Normality Assessment\tx\ty\tB\tages\tFailed to obtain answer via API. x"]
        stem = "Qwen2-VL-7B-Instruct_FADA_test"
        (folder / f"{stem}.tsv").write_text("\n".join(rows) + "\n")
        (folder / f"{stem}_openai_result.tsv").write_text("index\tprediction\thit\n0\tA\t1\n")
        (folder / f"{stem}_acc.csv").write_text('"split","Overall","planes"\n"none","66.7","50.0"\n')
        (folder / "status.json").write_text("{}")

        made = read_results(tmp_path)  # the one folder below that has results
        assert (made.format, made.model) == ("vlmevalkit", "Qwen2-VL-7B-Instruct")
        first, second, third = made.answers
        assert (first.prediction, first.reference, first.topic, first.category) == (
            "A. \tx",
            "A",
            "FADA_test",
            "planes",
        )
        assert (second.prediction, second.error, second.image_path) == ("", None, "FADA_test/0")
        assert third.error == "Failed to obtain answer via API. x" and third.topic == "Q7"
        assert third.image_path == "images/2.png" and picture[:20] not in first.image_path
        found = by_key(made)
        assert found["accuracy", None, None].value == pytest.approx(0.667)
        assert found["accuracy", None, "planes"].value == pytest.approx(0.5)

    def test_several_data_sets_are_questions(self, tmp_path: Path) -> None:
        for name, value in (("one", 0.5), ("two", 0.9)):
            row = {"index": 1, "question": f"{name}?", "answer": "yes", "prediction": "ERROR 500"}
            (tmp_path / f"m_{name}.json").write_text(json.dumps([row]))
            (tmp_path / f"m_{name}_score.json").write_text(json.dumps({"BLEU 4": value, "who": "x"}))
        made = read_results(tmp_path)
        assert made.model == "m" and [one.topic for one in made.answers] == ["one", "two"]
        assert {key: one.value for key, one in by_key(made).items()} == {
            ("bleu_4", "one", None): 0.5,
            ("bleu_4", "two", None): 0.9,
        }
        assert [one.error for one in made.answers] == ["ERROR 500"] * 2

    @pytest.mark.skipif(find_spec("openpyxl") is not None, reason="says what to install where it is not")
    def test_excel_without_its_reader(self, tmp_path: Path) -> None:
        (tmp_path / "m_data.xlsx").write_bytes(b"PK")
        with pytest.raises(DataError) as error:
            read_results(tmp_path)
        assert "openpyxl" in error.value.message and "fada-tui[excel]" in (error.value.hint or "")

    def test_excel(self, tmp_path: Path) -> None:
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        book.active.append(["index", "question", "answer", "prediction"])
        book.active.append([1, "Which?", "this", None])
        book.active.append([])
        book.active.append([2, "How old?", 20, "20"])
        book.active.append([3, "Which?", "that", "Failed to obtain answer via API."])
        book.save(tmp_path / "m_data.xlsx")
        made = read_results(tmp_path)
        assert [(one.reference, one.prediction, one.error) for one in made.answers] == [
            ("this", None, "no prediction in the file"),
            ("20", "20", None),
            ("that", None, "Failed to obtain answer via API."),
        ]

    def test_an_excel_file_that_is_none(self, tmp_path: Path) -> None:
        pytest.importorskip("openpyxl")
        (tmp_path / "m_data.xlsx").write_bytes(b"PK and then nothing")
        with pytest.raises(DataError) as error:
            read_results(tmp_path)
        assert "broken" in error.value.message and str(tmp_path / "m_data.xlsx") in str(error.value.where)


class TestHarness:
    def test_text_options_filters_and_dates(self, tmp_path: Path) -> None:
        date, before = "2024-10-28T00-26-50.612345", "2024-10-27T00-26-50.612345"
        old = {"doc_id": 0, "target": "x", "filtered_resps": ["old"]}
        write_lines(tmp_path / f"samples_fada_{before}.jsonl", old)
        doc = {"question": "Q5: Gestational Age: when?", "image": "Femur/1.png", "category": "Femur"}
        text = {"doc_id": 0, "doc": doc, "target": "20 weeks", "resps": [["20 weeks"]], "filtered_resps": ["20 weeks"]}
        write_lines(tmp_path / f"samples_fada_{date}.jsonl", text | {"filter": "none"}, text | {"filter": "strict"})
        options = {"doc_id": 7, "doc": {}, "target": 1, "filtered_resps": [["-3.5", "False"], ["-1.25", "True"]]}
        failed = {"doc_id": 8, "doc": {}, "target": 0, "filtered_resps": ["ERROR: timeout"]}
        write_lines(tmp_path / f"samples_choice_{date}.jsonl", options, failed)
        results = {
            "results": {
                "fada": {"alias": "fada", "exact_match,none": 1.0, "exact_match_stderr,none": "N/A"},
                "choice": {"acc,none": 0.5, "acc_stderr,none": 0.1, "acc,strict": 0.25},
            },
            "n-samples": {"choice": {"original": 9, "effective": 2}},
            "config": {"model": "hf-multimodal", "model_args": "dtype=auto,pretrained=Qwen/Qwen2-VL-2B-Instruct"},
        }
        (tmp_path / f"results_{date}.json").write_text(json.dumps(results))

        made = read_results(tmp_path)
        assert (made.format, made.model, len(made.files)) == ("harness", "Qwen/Qwen2-VL-2B-Instruct", 3)
        choice, lost, fada = made.answers
        assert (choice.prediction, choice.reference, choice.image_path, choice.topic) == (
            "1",
            "1",
            "choice/7",
            "choice",
        )
        assert (lost.prediction, lost.error) == (None, "ERROR: timeout")
        assert (fada.prediction, fada.topic, fada.image_path) == ("20 weeks", "Q5", "Femur/1.png")
        assert made.warnings == ["fada: 1 lines of the filter 'strict' are left out; 'none' is taken"]
        found = by_key(made)
        assert {key: one.value for key, one in found.items()} == {
            ("exact_match", "fada", None): 1.0,
            ("acc", "choice", None): 0.5,
            ("acc (strict)", "choice", None): 0.25,
        }
        assert found["acc", "choice", None].n == 2 and found["acc", "choice", None].extra == {"stderr": 0.1}

    def test_the_names_of_lmms_eval(self, tmp_path: Path) -> None:
        line = {"doc_id": 3, "target": "cat", "filtered_resps": ["cat"], "input": "What is it?"}
        write_lines(tmp_path / "llava" / "20241028_002650_samples_mme.jsonl", line)
        results = {"results": {"mme": {"mme_score,none": 0.5}}, "model_name": "llava"}
        (tmp_path / "llava" / "20241028_002650_results.json").write_text(json.dumps(results))
        made = read_results(tmp_path)
        assert made.model == "llava" and made.stated == [Stated("mme_score", 0.5)]
        assert (made.answers[0].question, made.answers[0].topic) == ("What is it?", "mme")


def test_one_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "mine.jsonl", fada_line("a/1.png", "Which?", "this"))
    (tmp_path / "scores.json").write_text("not read")
    assert len(read_results(tmp_path / "mine.jsonl").answers) == 1


def test_nothing_known_and_several_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results"):
        read_results(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_results(tmp_path / "nowhere")
    for name in ("a", "b"):
        write_lines(tmp_path / name / "predictions.jsonl", fada_line("a.png", "Which?", "this"))
    with pytest.raises(DataError, match=r"several runs \(a, b\)"):
        read_results(tmp_path)
