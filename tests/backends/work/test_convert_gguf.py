"""GGUF by llama.cpp's real converter and quantiser, and asked through its real server."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.job import Job, JobError
from backends.jobs.llama_cpp import CONVERTER, PACKAGE, QUANTISER, SERVER
from backends.work import work_function
from backends.work.convert.llama_server import _why
from tests.backends.models.conformance.tiny.checkpoint import save
from tests.backends.models.conformance.tiny.tiled import wide_idefics3
from tests.servers.converter import SCRIPT, ConverterMissing, converter
from tests.servers.quantiser import BUILD, quantiser

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.slow, pytest.mark.timeout(900)]

MakeJob = Callable[..., Job]

# A tokenizer that was trained just now is in none of the converter's lists; it splits as GPT-2's does.
_PATCHED = """
import runpy, sys
sys.path.insert(0, {root!r})
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from backends.work.phantoms import answers_corpus
    from tests.servers.tiny_gemma import build_tiny_gemma

    return build_tiny_gemma(tmp_path_factory.mktemp("gemma") / "tiny-gemma", answers_corpus(), seed=0)


@pytest.fixture(scope="module")
def real_converter(tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        root = converter()
    except ConverterMissing as error:
        pytest.skip(f"nothing was converted by llama.cpp's own converter: {error}")
    script = tmp_path_factory.mktemp("converter") / SCRIPT
    script.write_text(_PATCHED.format(root=str(root), script=str(root / SCRIPT)))
    return str(script)


@pytest.fixture(scope="module")
def real_quantiser() -> str:
    found = quantiser()
    if found is None:
        pytest.skip(f"nothing was quantised by llama.cpp's own quantiser: not on PATH, nor built (by `{BUILD}`)")
    return str(found)


@pytest.fixture
def make_gguf(make_job: MakeJob, gemma: Path, phantom_set: dict[str, str]) -> MakeJob:
    def make(tools: dict[str, list[str]], quant: str = "q8_0", questions: int = 4, source: Path = gemma) -> Job:
        data = {"path": phantom_set["val"], "image_root": phantom_set["images"], "limit": questions}
        return make_job(
            2,
            kind="convert",
            task=None,
            model={"name": "Tiny Gemma: 3", "source": str(source), "revision": None, "from_run": None},
            convert={"to": "gguf", "quant": quant, "check": questions, "tools": tools},
            data=data if questions else None,
        )

    return make


def _do(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


def _program(path: Path, text: str) -> list[str]:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path)]


def test_sixteen_bits_answer_as_the_original_through_a_real_server(
    make_gguf: MakeJob, real_converter: str, gemma: Path
) -> None:
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("xllamacpp is not installed: no exported file was asked")
    job = make_gguf({CONVERTER: [real_converter], SERVER: [PACKAGE]}, "f16")
    summary = _do(job)
    text, vision = summary["files"]
    assert (text["path"], vision["path"]) == ("Tiny-Gemma-3-f16.gguf", "mmproj-Tiny-Gemma-3-f16.gguf")
    for one in (text, vision):
        assert (job.dir / one["path"]).read_bytes()[:4] == b"GGUF"
        assert (job.dir / one["path"]).stat().st_size == one["bytes"]
    assert summary["bytes"] == text["bytes"] + vision["bytes"]
    assert summary["bytes_before"] == (gemma / "model.safetensors").stat().st_size
    assert (summary["check"]["items"], summary["check"]["failed"]) == (4, 0)
    # Random weights are near ties everywhere: 16 bits may turn one of them, and must not turn most.
    assert summary["check"]["agreement"] >= 0.5
    # Its processor writes a blank line around an image, llama.cpp does not: to the letter the same, the answers are too.
    assert summary["check"]["with_margins"]["agreement"] == 1.0
    rows = {row["metric"] for row in json.loads((job.dir / "scores.json").read_text())["scores"]}
    assert "agreement" in rows
    assert not list(job.dir.glob("*.tmp")) and not (job.dir / "whole").exists()


def test_eight_bits_need_no_quantiser_and_are_smaller(make_gguf: MakeJob, real_converter: str) -> None:
    job = make_gguf({CONVERTER: [real_converter]}, "q8_0")
    summary = _do(job)
    assert summary["check"] == {"why_not": "no llama.cpp server is on this machine"}
    assert summary["bytes"] < summary["bytes_before"]


def test_four_bits_by_the_real_quantiser(make_gguf: MakeJob, real_converter: str, real_quantiser: str) -> None:
    server = {SERVER: [PACKAGE]} if importlib.util.find_spec(PACKAGE) else {}
    job = make_gguf({CONVERTER: [real_converter], QUANTISER: [real_quantiser], **server}, "q4_k_m")
    summary = _do(job)
    assert summary["files"][0]["path"] == "Tiny-Gemma-3-q4_k_m.gguf"
    assert [path.name for path in job.dir.glob("*.gguf")] != []
    assert not list(job.dir.glob("16-bit*")) and summary["bytes"] < summary["bytes_before"] / 2
    if server:
        assert summary["check"]["items"] == 4 and 0.0 <= summary["check"]["agreement"] <= 1.0


@pytest.mark.parametrize("quant", ["f16", "q4_k_m"])
def test_smolvlm_tiled_is_asked_through_a_real_server(
    quant: str, make_gguf: MakeJob, real_converter: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its converter class imports transformers' models (and torchvision with them), its server cuts tiles itself."""
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("xllamacpp is not installed: no exported file was asked")
    tools = {CONVERTER: [real_converter], SERVER: [PACKAGE]}
    if quant == "q4_k_m":
        tools[QUANTISER] = [request.getfixturevalue("real_quantiser")]
    job = make_gguf(tools, quant, source=save(wide_idefics3, tmp_path / "SmolVLM"))
    check, size = (_do(job)[name] for name in ("check", "bytes"))
    assert (check["items"], check["failed"]) == (4, 0)
    if quant == "f16":
        assert check["agreement"] >= 0.5  # as above: random weights are near ties
    else:
        # Less than five bits a weight of the text model, beside the projector's sixteen.
        assert size < (tmp_path / "SmolVLM/model.safetensors").stat().st_size / 4


def test_a_server_that_does_not_load_says_the_first_error_of_its_log() -> None:
    log = "I srv init\n0.01 E load: error loading model: no merges\nE srv: exiting\nRuntimeError: see above\n"
    assert _why(log) == "no merges"
    assert _why("loading\n\nkilled\n") == "killed"
    assert _why("") == "it said nothing"


def test_the_quantiser_gets_sixteen_bits_and_what_it_got_is_not_kept(
    make_gguf: MakeJob, real_converter: str, tmp_path: Path
) -> None:
    """The order of its arguments, by a stand-in: the real one is asked where it is built."""
    code = f"import json, shutil, sys\njson.dump(sys.argv[1:], open({str(tmp_path / 'got')!r}, 'w'))\n"
    copies = _program(tmp_path / "llama-quantize", code + "shutil.copy(sys.argv[1], sys.argv[2])\n")
    job = make_gguf({CONVERTER: [real_converter], QUANTISER: copies}, "q4_k_m", questions=0)
    summary = _do(job)
    given, into, kind, threads = json.loads((tmp_path / "got").read_text())
    assert (Path(given).name, kind, threads) == ("16-bit.gguf", "Q4_K_M", "1")
    assert summary["files"][0]["path"] == Path(into).name == "Tiny-Gemma-3-q4_k_m.gguf"
    assert sorted(path.name for path in job.dir.glob("**/*.gguf")) == sorted(one["path"] for one in summary["files"])


def test_what_the_converter_says_is_the_reason(make_gguf: MakeJob, tmp_path: Path) -> None:
    failing = _program(tmp_path / "fails.py", "import sys\nprint('ERROR: Model X is not supported')\nsys.exit(3)\n")
    job = make_gguf({CONVERTER: failing}, questions=0)
    with pytest.raises(JobError, match=r"converter ended with 3: ERROR: Model X is not supported"):
        _do(job)
    assert not list(job.dir.glob("*.gguf")) and not (job.dir / "whole").exists()


def test_a_tool_that_has_gone_is_named(make_gguf: MakeJob, tmp_path: Path) -> None:
    job = make_gguf({CONVERTER: [str(tmp_path / "gone.py")]}, questions=0)
    with pytest.raises(JobError, match=r"llama.cpp's converter is not there any more: .*gone.py"):
        _do(job)


def test_a_server_that_does_not_come_up_is_the_reason(make_gguf: MakeJob, tmp_path: Path) -> None:
    writes = _program(
        tmp_path / "convert.py", "import sys\nopen(sys.argv[sys.argv.index('--outfile') + 1], 'w').close()\n"
    )
    broken = _program(
        tmp_path / "llama-server", "import sys\nprint('error: unknown model architecture')\nsys.exit(1)\n"
    )
    job = make_gguf({CONVERTER: writes, SERVER: broken}, questions=2)
    with pytest.raises(JobError, match=r"server ended with 1: unknown model architecture"):
        _do(job)
    # What was exported is there for whoever wants to see for themselves.
    assert len(list(job.dir.glob("*.gguf"))) == 2


def test_no_server_is_left_behind(make_gguf: MakeJob, real_converter: str) -> None:
    import psutil

    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("xllamacpp is not installed: no server was started")
    _do(make_gguf({CONVERTER: [real_converter], SERVER: [PACKAGE]}, "q8_0", questions=1))
    mine = psutil.Process(os.getpid()).children(recursive=True)
    assert not [one for one in mine if "backends.work.convert.xllama_server" in one.cmdline()]
