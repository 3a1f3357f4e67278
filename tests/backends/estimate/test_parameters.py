"""Parameters counted from the configuration alone are those of the real model, for every native architecture."""

from __future__ import annotations

from typing import Any

import pytest

from backends.catalog.reader import load_catalog
from backends.estimate.configuration import NATIVE, complete, find_configuration, published

VOCABULARY, HEADS = 300, {"num_attention_heads": 4, "num_key_value_heads": 2}
TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3, "vocab_size": VOCABULARY, **HEADS,
}  # fmt: skip
TOWER: dict[str, Any] = {
    "hidden_size": 24, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
QWEN: dict[str, Any] = {"depth": 3, "num_heads": 4}
TINY: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"text_config": TEXT, "vision_config": {**QWEN, "embed_dim": 24, "hidden_size": 32, "mlp_ratio": 2}},
    "qwen2_5_vl": {
        "text_config": TEXT,
        "vision_config": {**QWEN, "hidden_size": 24, "out_hidden_size": 32, "intermediate_size": 56},
    },
    "qwen3_vl": {
        "text_config": {**TEXT, "head_dim": 16},
        "vision_config": {
            **QWEN, "hidden_size": 24, "out_hidden_size": 32, "intermediate_size": 56,
            "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1],
        },
    },
    "internvl": {
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**TOWER, "use_qk_norm": True, "attention_bias": True},
    },
    "llava_onevision": {
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**TOWER, "model_type": "siglip_vision_model"},
    },
    "paligemma": {
        "text_config": {**TEXT, "model_type": "gemma2", "head_dim": 16},
        "vision_config": {**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False},
        "projection_dim": 32,
    },
    "llava": {
        "text_config": {**TEXT, "model_type": "mistral", "head_dim": 16},
        "vision_config": {**TOWER, "model_type": "pixtral", "image_size": 56},
        "vision_feature_layer": [-1, -2],
    },
    "llava_next": {
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**TOWER, "model_type": "clip_vision_model"},
    },
    "mistral3": {
        "text_config": {**TEXT, "model_type": "mistral", "head_dim": 16},
        "vision_config": {**TOWER, "model_type": "pixtral"},
        "tie_word_embeddings": False,
    },
    "mllama": {
        "text_config": {**TEXT, "cross_attention_layers": [1], "pad_token_id": 0},
        "vision_config": {
            "hidden_size": 24, "intermediate_size": 56, "num_hidden_layers": 2, "num_global_layers": 1,
            "attention_heads": 4, "image_size": 28, "patch_size": 14, "vision_output_dim": 48,
            "intermediate_layers_indices": [0],
        },
    },
    "gemma3": {
        "text_config": {**TEXT, "head_dim": 16},
        "vision_config": {**TOWER, "model_type": "siglip_vision_model", "vision_use_head": True},
    },
    "idefics3": {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": TOWER},
    "smolvlm": {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": TOWER},
    "lfm2_vl": {
        "text_config": {**TEXT, "model_type": "lfm2", "layer_types": ["conv", "full_attention", "conv"]},
        "vision_config": {**TOWER, "num_patches": 16, "vision_use_head": False},
    },
    "deepseek_vl": {
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**TOWER, "model_type": "siglip_vision_model"},
        "tie_word_embeddings": False,
    },
    "minicpmv4_6": {
        "text_config": {
            **TEXT, "model_type": "qwen3_5_text", "head_dim": 16, "linear_key_head_dim": 8,
            "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
            "layer_types": ["linear_attention", "linear_attention", "full_attention"],
        },
        "vision_config": {**TOWER, "insert_layer_id": 1},
    },
}  # fmt: skip


def real(document: dict[str, Any]) -> int:
    """Parameters of the model that transformers builds of it, without memory for its weights."""
    torch = pytest.importorskip("torch")
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    parts = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
    parts.pop("processor", None)
    config = CONFIG_MAPPING[parts.pop("model_type")](**parts)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def ours(document: dict[str, Any]) -> int:
    found = complete(document, {}, "a test")
    assert found is not None
    counted = found.parameters()
    assert counted is not None
    return counted.total


def test_every_native_architecture_is_here() -> None:
    assert set(TINY) == set(NATIVE)
    catalogued = {entry.architecture for entry in load_catalog().entries if entry.loader == "transformers"}
    assert catalogued <= set(NATIVE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NATIVE)
def test_tiny_models_have_exactly_that_many(kind: str) -> None:
    document = {"model_type": kind, **TINY[kind]}
    assert ours(document) == real(document)


@pytest.mark.slow
@pytest.mark.parametrize("repo", sorted(published()))
def test_published_sizes_have_exactly_that_many(repo: str) -> None:
    assert ours(published()[repo]) == real(published()[repo])


@pytest.mark.slow
@pytest.mark.parametrize("kind", NATIVE)
def test_what_a_checkpoint_leaves_out_is_its_class(kind: str) -> None:
    """A config.json whose parts say nothing but their type."""
    parts = {
        part: {key: TINY[kind][part][key] for key in ("model_type",) if key in TINY[kind][part]}
        for part in ("text_config", "vision_config")
    }
    document: dict[str, Any] = {"model_type": kind, **parts, "pad_token_id": 0}
    assert ours(document) == real(document)


def test_every_checkpoint_of_the_catalogue_that_loads_here_has_its_sizes() -> None:
    for entry in load_catalog().entries:
        if entry.loader != "transformers":
            continue
        sizes = [(one.repo, one.params_b) for one in entry.variants] or [(entry.repo, entry.params_b)]
        for repo, stated in sizes:
            assert repo is not None and stated is not None
            found = find_configuration(repo)
            assert found is not None, repo
            counted = found.parameters()
            assert counted is not None, repo
            assert counted.total / 1e9 == pytest.approx(stated, rel=0.0105), repo


# Billions, counted by others from the same checkpoints.
COUNTED = {
    "Qwen/Qwen2-VL-2B-Instruct": "2.209", "Qwen/Qwen2-VL-7B-Instruct": "8.291",
    "Qwen/Qwen2.5-VL-3B-Instruct": "3.755", "Qwen/Qwen2.5-VL-7B-Instruct": "8.292",
    "Qwen/Qwen3-VL-2B-Instruct": "2.128", "Qwen/Qwen3-VL-4B-Instruct": "4.438",
    "Qwen/Qwen3-VL-8B-Instruct": "8.767", "OpenGVLab/InternVL3-78B-hf": "78.408",
    "llava-hf/llava-onevision-qwen2-7b-ov-hf": "8.030", "google/paligemma2-3b-pt-224": "3.032",
    "mistral-community/pixtral-12b": "12.683", "google/gemma-3-4b-it": "4.300",
    "google/gemma-3-12b-it": "12.187", "google/medgemma-27b-it": "27.432",
    "chaoyinshe/llava-med-v1.5-mistral-7b-hf": "7.566", "HuggingFaceTB/SmolVLM-256M-Instruct": "0.256",
    "HuggingFaceTB/SmolVLM-500M-Instruct": "0.507", "HuggingFaceTB/SmolVLM-Instruct": "2.246",
    "LiquidAI/LFM2-VL-450M": "0.451", "meta-llama/Llama-3.2-11B-Vision-Instruct": "10.670",
}  # fmt: skip


@pytest.mark.parametrize("repo", sorted(COUNTED))
def test_published_counts(repo: str) -> None:
    assert f"{ours(published()[repo.casefold()]) / 1e9:.3f}" == COUNTED[repo]
