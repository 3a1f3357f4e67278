"""unsloth as far as a machine without a card can tell; with it installed, also against its own code."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from backends.catalog.unsloth import NO_CARD, packages_missing
from backends.jobs.job import JobError
from backends.models import unsloth_import
from backends.models.unsloth_import import environment, import_first, is_wanted, usable
from backends.models.unsloth_loader import UnslothOptions, arguments, load
from backends.work.plan import TrainingPlan
from backends.work.training.unsloth_method import lora_arguments
from tests.backends.models.conformance.conftest import checkpoint as checkpoint

TUNE = {"kind": "finetune", "training": {"method": "auto"}, "model": {"source": "Qwen/Qwen2.5-VL-3B-Instruct"}}
no_card = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")


def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth_import, "packages_missing", lambda: None)


def test_who_wants_it() -> None:
    assert is_wanted(TUNE)
    assert is_wanted({"kind": "finetune", "training": {"method": "unsloth"}})
    assert not is_wanted({"kind": "finetune", "training": {"method": "peft"}})
    assert is_wanted({"kind": "eval", "model": {"loader": "unsloth"}})
    assert not is_wanted({"kind": "eval", "model": {"loader": "transformers"}, "training": None})


@no_card
def test_what_is_missing_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth_import, "packages_missing", lambda: "unsloth is not installed")
    assert usable(TUNE) == "unsloth is not installed"
    installed(monkeypatch)
    assert usable(TUNE) == NO_CARD
    assert usable({**TUNE, "device": "cpu"}) == "the job runs on cpu"
    smol = {"kind": "finetune", "training": {"method": "auto"}, "model": {"source": "HuggingFaceTB/SmolVLM-Instruct"}}
    assert "do not name" in (usable(smol) or "")
    assert usable({**smol, "training": {"method": "unsloth"}}) == NO_CARD


def test_it_is_imported_first_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch)
    monkeypatch.setattr(unsloth_import, "_no_card", lambda spec: None)
    monkeypatch.setattr(unsloth_import, "find_spec", lambda name: object())
    monkeypatch.delitem(sys.modules, "unsloth", raising=False)
    import transformers  # noqa: F401

    assert usable(TUNE) == "transformers was imported before it"
    import_first(TUNE, tmp_path)
    assert "unsloth" not in sys.modules


def test_an_import_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch)
    monkeypatch.setattr(unsloth_import, "_no_card", lambda spec: None)
    monkeypatch.setattr(unsloth_import, "_too_late", lambda: None)
    monkeypatch.setattr(unsloth_import, "_failed", [])
    for name in environment(tmp_path):
        monkeypatch.setenv(name, "")

    def fail(name: str) -> None:
        raise RuntimeError("Unsloth: no such operator\nsecond line")

    monkeypatch.setattr(unsloth_import.importlib, "import_module", fail)
    import_first(TUNE, tmp_path)
    assert usable(TUNE) == "its import failed: Unsloth: no such operator"


def test_it_installs_counts_and_strews_nothing(tmp_path: Path) -> None:
    set_to = environment(tmp_path)
    assert set_to["UNSLOTH_AUTO_INSTALL"] == "0"
    assert set_to["UNSLOTH_DISABLE_STATISTICS"] == "1"
    assert Path(set_to["UNSLOTH_COMPILE_LOCATION"]).parent == tmp_path


@no_card
def test_its_loader_says_what_is_missing(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with pytest.raises(JobError, match=NO_CARD) as caught:
        load(tiny_checkpoint)
    assert "--loader auto" in (caught.value.hint or "")


@no_card
def test_a_job_imports_neither_it_nor_its_neighbours_where_it_cannot_be_used(tmp_path: Path) -> None:
    code = (
        "import sys, json, pathlib; from backends.models.unsloth_import import import_first\n"
        "import_first(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print(sorted({'unsloth', 'transformers', 'trl', 'peft'} & set(sys.modules)))"
    )
    import json

    command = [sys.executable, "-c", code, json.dumps(TUNE), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert ran.stdout.strip() == "[]"


def parameters(path: Path, name: str, function: str) -> set[str]:
    """Parameter names of a method, read from the source: importing it would ask for a card."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [made] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    [found] = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == function]
    given = found.args
    return {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}


@pytest.mark.skipif(packages_missing() is not None, reason=f"unsloth: {packages_missing()}")
def test_its_functions_take_what_they_are_given(checkpoint: object) -> None:
    spec = find_spec("unsloth")
    assert spec is not None and spec.origin
    models = Path(spec.origin).parent / "models"
    card, options = torch.device("cuda", 0), UnslothOptions()
    loading = set(arguments(card, torch.bfloat16, "4bit", options))
    # These two go on to transformers' own from_pretrained.
    own = loading - {"quantization_config", "local_files_only"}
    assert own <= parameters(models / "loader.py", "FastModel", "from_pretrained")
    from backends.models.transformers_loader import load as load_natively

    base = load_natively(checkpoint("qwen2_5_vl"), device="cpu").model  # type: ignore[operator]
    lora = set(lora_arguments(base, TrainingPlan())) | {"use_gradient_checkpointing", "temporary_location"}
    assert lora <= parameters(models / "vision.py", "FastBaseModel", "get_peft_model")
    assert {"model"} == parameters(models / "vision.py", "FastBaseModel", "for_inference")
    assert "model" in parameters(models / "vision.py", "FastBaseModel", "for_training")
    assert "use_gradient_checkpointing" in parameters(models / "vision.py", "FastBaseModel", "post_patch_model")
