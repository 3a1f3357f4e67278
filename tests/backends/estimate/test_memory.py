"""The estimate counts what is in the files, adds what training keeps, and says how sure it is."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from backends.estimate import memory
from backends.estimate.configuration import read_configuration
from backends.estimate.geometry import read_tensors
from backends.estimate.images import image_load
from backends.estimate.memory import CONTEXT, GB, IMPORTS, SCORER, Estimate, estimate
from backends.estimate.parts import Part

HIDDEN, INNER, VOCABULARY = 64, 128, 512
SHAPES = {
    "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
    "model.layers.0.self_attn.q_proj.weight": [HIDDEN, HIDDEN],
    "model.layers.0.mlp.down_proj.weight": [HIDDEN, INNER],
    "vision_tower.encoder.weight": [100, 10],
}
PARAMS = VOCABULARY * HIDDEN + HIDDEN * HIDDEN + HIDDEN * INNER + 1000
CONFIG = {
    "model_type": "llava",
    "image_seq_length": 576,
    "text_config": {
        "num_hidden_layers": 2,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
    },
    "vision_config": {
        "image_size": 64,
        "patch_size": 16,
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    header, start = {}, 0
    for name, (rows, columns) in SHAPES.items():
        end = start + 4 * rows * columns
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(start))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def spec(source: object, **more: Any) -> dict[str, Any]:
    generation = {"max_new_tokens": 64, "batch_size": 32}
    return {"kind": "eval", "model": {"source": str(source), "name": str(source)}, "generation": generation} | more


def tuning(source: object, method: str, batch: int = 2, **lora: int | str) -> dict[str, Any]:
    return spec(source, kind="finetune", training={"method": method, "batch_size": batch, "lora": lora})


def test_dimensions_are_read_from_the_checkpoint(folder: Path) -> None:
    tensors, found = read_tensors(folder), read_configuration(folder)
    assert tensors is not None and found is not None
    assert tensors.params == PARAMS
    assert tensors.kept_params == VOCABULARY * HIDDEN + 1000
    assert tensors.adapted_sides == 2 * HIDDEN + HIDDEN + INNER
    assert (found.text["num_hidden_layers"], found.text["num_key_value_heads"]) == (2, 2)
    assert image_load(found).patches == image_load(found).tokens == 16


def test_a_small_model_on_the_cpu_is_mostly_imports(folder: Path) -> None:
    plain = estimate(spec(folder), cuda=False)
    scored = estimate(spec(folder, scoring={"embedding": "all-MiniLM-L6-v2"}), cuda=False)
    assert plain.vram_bytes == plain.vram_high == 0
    assert plain.parts["weights"] == PARAMS * 4
    assert IMPORTS < plain.host_bytes < IMPORTS + GB // 10
    assert scored.host_bytes - plain.host_bytes == SCORER
    assert plain.host_low < plain.host_bytes and plain.host_high > 1.15 * plain.host_bytes
    assert "counted" in plain.how


def test_full_training_is_in_thirty_two_bits(folder: Path) -> None:
    """Weights, gradients and two moments: on a card too, as the trainer loads them so."""
    cpu, card = estimate(tuning(folder, "full"), cuda=False), estimate(tuning(folder, "full"), cuda=True)
    assert cpu.parts["weights"] + cpu.parts["training"] == 16 * PARAMS
    assert card.parts["weights"] + card.parts["training"] == 16 * PARAMS
    assert card.host_bytes >= IMPORTS


def test_auto_trains_a_small_model_whole(folder: Path) -> None:
    assert estimate(tuning(folder, "auto"), cuda=False).parts == estimate(tuning(folder, "full"), cuda=False).parts
    large = tuning("Qwen/Qwen2-VL-2B-Instruct", "auto")
    assert estimate(large, cuda=True).parts["training"] < GB


def test_lora_trains_its_rank_only() -> None:
    sizes = [estimate(tuning("Qwen/Qwen2-VL-2B-Instruct", "peft", r=r), cuda=True).parts["training"] for r in (8, 16)]
    assert sizes[1] == 2 * sizes[0] > 0


def test_a_frozen_tower_keeps_nothing_for_a_gradient() -> None:
    def vision(source: str, targets: str, cuda: bool = True) -> int:
        return estimate(tuning(source, "peft", targets=targets), cuda=cuda).parts["vision activations"]

    small, large = "HuggingFaceTB/SmolVLM-256M-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"
    assert vision(small, "language") < vision(small, "both") / 10
    assert vision(small, "vision") == vision(small, "both")
    # Where activations are computed twice, the tower is in the graph whatever is trained.
    assert vision(large, "language") == vision(large, "both")
    assert vision(large, "language", cuda=False) < vision(large, "both", cuda=False)


def test_a_four_bit_load_keeps_embeddings_and_tower_in_sixteen() -> None:
    found = estimate(spec("", model={"source": "Qwen/Qwen2.5-VL-7B-Instruct", "precision": "4bit"}), cuda=True)
    counted = read(found, "weights")
    # 6.53 B in linear layers of the language model; two embeddings of 0.545 B and a tower of 0.676 B stay.
    assert counted.likely == pytest.approx(6.526e9 * 2 / 3.6 + 2 * 1.766e9, rel=0.002)
    assert counted.low < 0.6 * 8.29e9 + 3e9 and counted.high > counted.likely
    packed = tuning("Qwen/Qwen2.5-VL-7B-Instruct", "unsloth")
    packed["model"]["precision"] = "4bit"
    assert estimate(packed, cuda=True).parts["weights"] == counted.likely
    eight = estimate(spec("", model={"source": "Qwen/Qwen2.5-VL-7B-Instruct", "precision": "8bit"}), cuda=True)
    assert counted.likely < eight.parts["weights"] < 2 * 8.29e9


def read(found: Estimate, name: str) -> Part:
    return next(one for one in found.components if one.name == name)


def test_a_sliding_window_keeps_no_more_than_its_width() -> None:
    def cache(text_tokens: int) -> int:
        return estimate(spec("google/gemma-3-4b-it", text_tokens=text_tokens), cuda=True).parts["KV cache"]

    # 29 of 34 layers look back 1,024 tokens: from there on only the other five grow.
    per_token = 2 * 4 * 256 * 2 * 32
    assert cache(20_000) - cache(10_000) == pytest.approx(10_000 * per_token * 5, rel=0.01)


def test_the_sum_is_that_of_its_parts(folder: Path) -> None:
    for found, on_card in ((estimate(tuning(folder, "peft"), cuda=one), one) for one in (True, False)):
        low, likely, high = found.interval(on_card)
        assert low <= likely <= high
        assert likely == sum(one.likely for one in found.components)
        assert all(one.low <= one.likely <= one.high for one in found.components)


def test_smaller_images_take_less() -> None:
    def high(source: str, side: int) -> int:
        return estimate(tuning(source, "unsloth") | {"image_size": (side, side)}, cuda=True).vram_high

    for source in ("Qwen/Qwen2.5-VL-7B-Instruct", "OpenGVLab/InternVL3-2B-hf", "LiquidAI/LFM2-VL-450M"):
        assert high(source, 336) < high(source, 1400), source
    assert high("google/gemma-3-4b-it", 336) == high("google/gemma-3-4b-it", 1400)


def test_a_larger_batch_takes_more(folder: Path) -> None:
    sizes = [estimate(tuning(folder, "full", batch=batch), cuda=False).host_bytes for batch in (1, 8, 64)]
    assert sizes[0] < sizes[1] < sizes[2]


# Peaks of LoRA fine-tunes that the makers of Unsloth publish in their notebooks' outputs: GiB reserved by torch after
# the load and at the end, without the CUDA context. Qwen's data are crops of formulas, Llama's radiographs, Pixtral's
# photographs; prompt and answer together are near 200 tokens.
PUBLISHED = [
    ("Qwen/Qwen2-VL-7B-Instruct", "4bit", 2, 16, (400, 80), 6.131, 7.508),
    ("Qwen/Qwen2.5-VL-7B-Instruct", "4bit", 2, 16, (400, 80), 6.068, 6.484),
    ("Qwen/Qwen3-VL-8B-Instruct", "4bit", 2, 16, (400, 80), 7.66, 8.213),
    ("meta-llama/Llama-3.2-11B-Vision-Instruct", "4bit", 2, 16, (600, 500), 8.477, 10.287),
    ("mistral-community/pixtral-12b", "4bit", 1, 8, (640, 480), 8.031, 12.643),
]
# Of these only the name is known here, so only the number in it; their configurations are not in published.toml.
# LFM2.5-VL is LFM2-VL's successor: the same by name.
BY_NAME = [
    ("LiquidAI/LFM2.5-VL-1.6B", "bf16", 2, 16, (400, 80), 3.109, 3.639),
    ("Qwen/Qwen3.5-2B", "bf16", 2, 16, (400, 80), 4.514, 5.146),
    ("Qwen/Qwen3.5-4B", "bf16", 2, 16, (400, 80), 8.904, 9.645),
    ("google/gemma-4-12b-it", "bf16", 1, 32, (640, 480), 22.895, 24.203),
    ("google/gemma-4-31b-it", "4bit", 1, 32, (640, 480), 19.482, 21.363),
]
# Their names round: 0.8B is 1.05 B by its load (1.947 GiB in 16 bits), as the vision tower and the large vocabulary are
# not counted in the name; Ministral's 3B is 4.13 B (7.697 GiB). By a name nothing better can be said.
NAME_IS_WRONG = [
    ("Qwen/Qwen3.5-0.8B", "bf16", 2, 16, (400, 80), 1.947, 2.441),
    ("mistralai/Ministral-3-3B", "bf16", 4, 32, (640, 480), 7.697, 9.73),
]


def published(row: tuple[str, str, int, int, tuple[int, int], float, float]) -> tuple[Part, list[float]]:
    source, precision, batch, rank, size, _, _ = row
    found = estimate(
        {
            "kind": "finetune",
            "model": {"source": source, "precision": precision},
            "training": {"method": "unsloth", "batch_size": batch, "lora": {"r": rank}},
            "image_size": size,
            "text_tokens": 200,
        },
        cuda=True,
    )
    ends = [(end - context) / 2**30 for end, context in zip(found.interval(True), CONTEXT, strict=True)]
    return read(found, "weights"), ends


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row[0])
def test_published_peaks_lie_in_the_interval(row: tuple[Any, ...]) -> None:
    weights, (low, likely, high) = published(row)
    loaded, peak = row[5:]
    assert weights.low < loaded * 2**30 < weights.high
    assert low < peak < high
    assert likely == pytest.approx(peak, rel=0.3)


@pytest.mark.parametrize("row", BY_NAME, ids=lambda row: row[0])
def test_published_peaks_of_models_known_by_name_lie_in_a_wider_one(row: tuple[Any, ...]) -> None:
    _, (low, _, high) = published(row)
    assert low < row[6] < high


@pytest.mark.parametrize("row", NAME_IS_WRONG, ids=lambda row: row[0])
def test_a_name_that_rounds_down_misleads_by_no_more_than_it_rounds(row: tuple[Any, ...]) -> None:
    weights, (_, _, high) = published(row)
    by_its_load = row[5] * 2**30 / weights.likely
    assert by_its_load > 1.15
    assert row[6] < high * by_its_load


def test_size_by_catalogue_by_name_or_assumed() -> None:
    catalogued = estimate(spec("Qwen/Qwen3-VL-8B-Instruct"), cuda=True)
    named = estimate(spec("someone/vl-500m"), cuda=True)
    unknown = estimate(spec("someone/vl"), cuda=True)
    stated = estimate(spec("openbmb/MiniCPM-V-2_6"), cuda=True)
    assert catalogued.parts["weights"] == pytest.approx(8.767e9 * 2, rel=1e-3)
    assert "published" in catalogued.how
    assert stated.parts["weights"] == int(8.1e9 * 2)
    assert "catalogue" in stated.how
    assert named.parts["weights"] == 10**9
    assert "50%" in unknown.how
    assert unknown.vram_high > 1.5 * unknown.vram_bytes


def test_weights_in_another_form_count_by_their_size(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(bytes(4000))
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "mine"}))
    assert estimate(spec(folder), cuda=False).parts["weights"] == 4000
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "mine", "torch_dtype": "bfloat16"}))
    assert estimate(spec(folder), cuda=False).parts["weights"] == 8000


def test_a_command_takes_nothing_and_a_tool_little() -> None:
    assert estimate({"kind": "run", "command": ["true"], "model": None}).host_bytes == 0
    tool = estimate({"kind": "tool", "tool": {"name": "phantoms"}})
    assert 0 < tool.host_bytes < GB
    assert tool.vram_bytes == 0


def test_the_device_decides_where(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "has_driver", lambda: True)
    assert estimate(spec(folder, device="auto")).vram_bytes > 0
    assert estimate(spec(folder, device="cpu")).vram_bytes == 0
    monkeypatch.setattr(memory, "has_driver", lambda: False)
    assert estimate(spec(folder, device="auto")).vram_bytes == 0
    assert estimate(spec(folder, device="cuda:0")).vram_bytes > 0
