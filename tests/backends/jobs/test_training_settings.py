"""The settings of a training: each is explained, read and checked; older specs keep meaning and fingerprint."""

from __future__ import annotations

import pytest

from backends.jobs.settings import (
    MEANINGS,
    TRAINING,
    UNSAID,
    SettingError,
    read_settings,
    training_seed,
    training_spec,
)
from backends.jobs.spec import fingerprint
from backends.work.plan import training_plan

OLD = {
    "method": "auto",
    "epochs": 3.0,
    "max_steps": None,
    "learning_rate": 2e-4,
    "schedule": "cosine",
    "warmup_ratio": 0.03,
    "batch_size": 8,
    "accumulation": 1,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "eval_every": None,
    "eval_limit": 200,
    "save_every": None,
    "limit": None,
    "lora": {"r": 16, "alpha": 32, "dropout": 0.05},
    "eval_data": None,
}
"""As a spec of this program's first release has it."""


def _spec(training: object) -> dict[str, object]:
    return {"kind": "finetune", "model": {"source": "a/b"}, "data": {"sha256": "d"}, "seed": 0, "training": training}


def test_each_setting_is_explained() -> None:
    assert MEANINGS.keys() == TRAINING.keys()


def test_an_older_spec_has_the_fingerprint_it_had() -> None:
    assert fingerprint(_spec(OLD)) == "b42b363ad1065625"


def test_saying_what_was_always_meant_changes_no_fingerprint() -> None:
    lora = {**OLD["lora"], "targets": "both", "target_modules": None}  # type: ignore[dict-item]
    said = {**OLD, **{key: value for key, value in UNSAID.items() if "." not in key}, "lora": lora}
    assert fingerprint(_spec(said)) == fingerprint(_spec(OLD))
    for change in ({"max_pixels": 50_000}, {"early_stopping": 2}, {"seed": 3}, {"shuffle": False}, {"max_length": 99}):
        assert fingerprint(_spec({**said, **change})) != fingerprint(_spec(OLD))
    assert fingerprint(_spec(training_spec({}) | {"eval_data": None})) != fingerprint(_spec(OLD))  # language only


def test_an_older_spec_trains_as_it_did() -> None:
    plan = training_plan({**_spec(OLD), "seed": 5})
    assert (plan.seed, plan.shuffle, plan.max_pixels, plan.early_stopping) == (5, True, None, None)
    assert plan.lora.get("targets") is None and plan.lora.get("target_modules") is None
    assert training_seed({"seed": 5, "training": {**OLD, "seed": 0}}) == 0


def test_the_new_settings_are_read() -> None:
    words = ["lora.targets=vision", "max_pixels=200000", "seed=0", "shuffle=no", "early_stopping=2", "max_length=none"]
    assert read_settings([*words, "lora.target_modules=q_proj, v_proj"]) == {
        "lora.targets": "vision",
        "max_pixels": 200_000,
        "seed": 0,
        "shuffle": False,
        "early_stopping": 2,
        "max_length": None,
        "lora.target_modules": ["q_proj", "v_proj"],
    }
    assert read_settings(["lora.target_modules=all-linear"]) == {"lora.target_modules": "all-linear"}
    assert read_settings(["lora.target_modules=none", "method=unsloth"])["lora.target_modules"] is None
    made = training_spec(read_settings(["lora.targets=both"]))
    assert made["lora"]["targets"] == "both" and made["shuffle"] is True


@pytest.mark.parametrize(
    "word",
    ["lora.targets=head", "max_pixels=0", "seed=-1", "seed=1.5", "shuffle=maybe", "early_stopping=0", "lora.dropout=1"],
)
def test_a_value_that_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(SettingError):
        read_settings([word])
