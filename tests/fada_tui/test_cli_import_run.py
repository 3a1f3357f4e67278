"""`fada import-run` by command, of all four makers: failures are failures, references are scored anew, broken files told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.cli import run
from tests.conftest import end_processes

Run = Callable[..., tuple[int, Any, str]]
AGES = ("14 weeks", "20 weeks", "30 weeks")
QUESTION = "Q5: Gestational Age Estimation: which range?"
IMAGES = 12

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heavy")]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    yield call
    end_processes(panel_home)


def said(at: int) -> str:
    """Right but for two failures that stand there as text."""
    return "ERROR: CUDA out of memory" if at < 2 else AGES[at % 3]


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in records))


def of_fada(folder: Path) -> None:
    write_lines(
        folder / "predictions.jsonl",
        [
            {"image_path": f"Femur/{at}.png", "category": "Femur", "question": QUESTION, "prediction": said(at)}
            for at in range(IMAGES)
        ],
    )
    (folder / "scores.json").write_text(json.dumps({"overall": {"embedding_similarity_mean": 0.9, "num_samples": 12}}))
    (folder / "run_manifest.json").write_text('{"model": "Qwen2-VL-2B"}')
    (folder / "training_log.json").write_text('[{"loss": 2.0, "step": 1}, {"loss": 1.0, "step": 2}]')


def of_vlmevalkit(folder: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["index", "image_path", "question", "answer", "prediction", "category"])
    for at in range(IMAGES):
        book.active.append([at, f"Femur/{at}.png", QUESTION, AGES[at % 3], said(at), "Femur"])
    folder.mkdir()
    book.save(folder / "mine_fada.xlsx")
    (folder / "mine_fada_acc.csv").write_text('"split","Overall"\n"none","0.9"\n')


def of_harness(folder: Path) -> None:
    doc = [
        {
            "doc_id": at,
            "doc": {"question": QUESTION, "image_path": f"Femur/{at}.png", "category": "Femur"},
            "target": AGES[at % 3],
            "filtered_resps": [said(at)],
            "filter": "none",
            "exact_match": 1.0,
        }
        for at in range(IMAGES)
    ]
    write_lines(folder / "samples_fada_2026-01-27T00-26-50.612345.jsonl", doc)


def of_lmms_eval(folder: Path) -> None:
    doc = [
        {
            "doc_id": at,
            "doc": {"question": QUESTION, "image_path": f"Femur/{at}.png", "category": "Femur"},
            "target": AGES[at % 3],
            "filtered_resps": [said(at)],
        }
        for at in range(IMAGES)
    ]
    write_lines(folder / "mine" / "20260127_002650_samples_fada.jsonl", doc)


def truth(path: Path) -> str:
    def line(at: int) -> dict[str, Any]:
        asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
        return {"messages": [asked, {"role": "assistant", "content": AGES[at % 3]}], "images": [f"Femur/{at}.png"]}

    write_lines(path, [line(at) for at in range(IMAGES)])
    return str(path)


@pytest.mark.parametrize("make", [of_fada, of_vlmevalkit, of_harness, of_lmms_eval])
def test_each_maker_with_references(fada: Run, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "made")
    data = ["--data", truth(tmp_path / "truth.jsonl")]
    status, document, err = fada("import-run", str(tmp_path / "made"), "--model", "Qwen2-VL-2B", *data)
    assert status == 0, err
    [run_id] = document["runs"]
    rows = {row["metric"]: row for row in fada("scores", "--run", str(run_id), "--overall")[1]}
    exact = rows["exact"]
    assert (exact["source"], exact["n"], exact["answered"], exact["failed"]) == ("import", IMAGES, IMAGES - 2, 2)
    assert exact["value"] == pytest.approx(10 / 12) and exact["floors"]["majority"] == pytest.approx(4 / 12)
    assert [alarm["kind"] for alarm in exact["alarms"]] == ["coverage"]
    assert rows["cosine"]["value"] == pytest.approx(10 / 12, abs=1e-6)
    if make is of_fada:
        stated = rows["cosine_stated"]
        assert stated["value"] == 0.9 and rows["cosine"]["references"]["stated"] == 0.9
        assert {alarm["kind"] for alarm in stated["alarms"]} == {"coverage", "fingerprint"}
        assert fada("job", str(run_id))[1]["metrics"]["loss"]["count"] == 2
    [job] = [one for one in fada("jobs")[1] if one["id"] == run_id]
    assert (job["state"], job["kind"], job["task"], job["model"]) == ("done", "eval", "gt", "Qwen2-VL-2B")


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("scores.json", "{broken", "scores.json:1"),
        ("m_data.xlsx", "no book", "m_data.xlsx"),
        ("samples_x_2026-01-27T00-26-50.612345.jsonl", '{"doc_id": 0}\n{broken\n', "jsonl:1"),
        ("notes.txt", "hello", "no results in the folder"),
    ],
)
def test_what_is_broken_is_bad_input_and_named(fada: Run, tmp_path: Path, name: str, text: str, where: str) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / name).write_text(text)
    status, document, err = fada("import-run", str(tmp_path / "made"))
    assert status == 2, err
    said = " ".join(str(part) for part in document["error"].values())
    assert where in said and document["error"]["hint"]
    assert [one for one in fada("jobs")[1] if one["kind"] == "eval"] == []


def test_a_broken_line_of_references_is_bad_input(fada: Run, tmp_path: Path) -> None:
    of_fada(tmp_path / "made")
    (tmp_path / "truth.jsonl").write_text(Path(truth(tmp_path / "good.jsonl")).read_text() + "{broken\n")
    status, document, _ = fada("import-run", str(tmp_path / "made"), "--data", str(tmp_path / "truth.jsonl"))
    assert status == 2 and "truth.jsonl:13" in str(document["error"])
