"""The estimate counts what is in the files, adds what training keeps, and says how sure it is."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from backends.estimate import memory
from backends.estimate.geometry import read_shape, read_tensors
from backends.estimate.memory import GB, IMPORTS, SCORER, estimate

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
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
    },
    "vision_config": {"image_size": 64, "patch_size": 16, "num_hidden_layers": 2, "hidden_size": 64},
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


def tuning(source: object, method: str, batch: int = 2, **lora: int) -> dict[str, Any]:
    return spec(source, kind="finetune", training={"method": method, "batch_size": batch, "lora": lora})


def test_dimensions_are_read_from_the_checkpoint(folder: Path) -> None:
    tensors, shape = read_tensors(folder), read_shape(folder)
    assert tensors is not None
    assert tensors.params == PARAMS
    assert tensors.kept_params == VOCABULARY * HIDDEN + 1000
    assert tensors.adapted_sides == 2 * HIDDEN + HIDDEN + INNER
    assert shape is not None
    assert (shape.layers, shape.kv_width, shape.patches, shape.image_tokens) == (2, 32, 16, 16)


def test_free_resolution_counts_a_frame_up_to_the_processors_limit(folder: Path) -> None:
    vision = {"patch_size": 14, "spatial_merge_size": 2, "depth": 2, "hidden_size": 64}
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "qwen2_vl", "vision_config": vision}))
    free = read_shape(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"max_pixels": 28 * 28 * 256}))
    limited = read_shape(folder)
    assert free is not None
    assert limited is not None
    assert (free.patches, free.image_tokens) == (4013, 1004)
    assert limited.image_tokens == 256


def test_a_frame_that_is_cut_into_tiles_counts_each(folder: Path) -> None:
    splitting = {"do_image_splitting": True, "size": {"longest_edge": 256}}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": splitting}))
    tiled = read_shape(folder)
    assert tiled is not None
    assert (tiled.patches, tiled.image_tokens) == (13 * 16, 13 * 16)


def test_a_small_model_on_the_cpu_is_mostly_imports(folder: Path) -> None:
    plain = estimate(spec(folder), cuda=False)
    scored = estimate(spec(folder, scoring={"embedding": "all-MiniLM-L6-v2"}), cuda=False)
    assert plain.vram_bytes == plain.vram_high == 0
    assert plain.parts["weights"] == PARAMS * 4
    assert IMPORTS < plain.host_bytes < IMPORTS + GB // 10
    assert scored.host_bytes - plain.host_bytes == SCORER
    assert plain.host_high > 1.15 * plain.host_bytes
    assert "counted" in plain.how
    assert "±15%" in plain.how


def test_full_training_keeps_gradients_and_two_states(folder: Path) -> None:
    cpu, card = estimate(tuning(folder, "full"), cuda=False), estimate(tuning(folder, "full"), cuda=True)
    assert cpu.parts["weights"] + cpu.parts["training"] == 16 * PARAMS
    assert card.parts["weights"] + card.parts["training"] == 12 * PARAMS
    assert card.vram_bytes > 12 * PARAMS
    assert card.host_bytes >= IMPORTS


def test_lora_trains_its_rank_only(folder: Path) -> None:
    sides = 2 * HIDDEN + HIDDEN + INNER
    assert estimate(tuning(folder, "peft", r=16), cuda=False).parts["training"] == 16 * sides * 16
    assert estimate(tuning(folder, "peft", r=8), cuda=False).parts["training"] == 8 * sides * 16


def test_a_four_bit_load_keeps_embeddings_and_tower_in_sixteen(folder: Path) -> None:
    kept = VOCABULARY * HIDDEN + 1000
    expected = int((PARAMS - kept) * 2 / 3.6 + kept * 2)
    assert estimate(tuning(folder, "unsloth"), cuda=True).parts["weights"] == expected
    model = {"source": str(folder), "precision": "4bit"}
    assert estimate(spec(folder, model=model), cuda=True).parts["weights"] == expected


def test_a_larger_batch_takes_more(folder: Path) -> None:
    sizes = [estimate(tuning(folder, "full", batch=batch), cuda=False).host_bytes for batch in (1, 8, 64)]
    assert sizes[0] < sizes[1] < sizes[2]


# Peaks that the makers of Unsloth's notebooks publish (GiB reserved, without the CUDA context).
@pytest.mark.parametrize(
    ("name", "published"), [("Qwen3-VL-8B", 8.213), ("Qwen2.5-VL-7B", 6.484), ("Qwen2-VL-7B", 7.508)]
)
def test_published_qlora_peaks_lie_under_what_is_reserved(name: str, published: float) -> None:
    guess = estimate(tuning(name, "unsloth", r=16), cuda=True)
    assert published * 2**30 < guess.vram_high
    assert guess.vram_bytes < 2 * published * 2**30


def test_size_by_catalogue_by_name_or_assumed() -> None:
    catalogued = estimate(spec("Qwen/Qwen3-VL-8B-Instruct"), cuda=True)
    named = estimate(spec("someone/vl-500m"), cuda=True)
    unknown = estimate(spec("someone/vl"), cuda=True)
    assert catalogued.parts["weights"] == int(8.767e9 * 2)
    assert "catalogue" in catalogued.how
    assert named.parts["weights"] == 10**9
    assert "±65%" in unknown.how
    assert unknown.vram_high > 1.6 * unknown.vram_bytes


def test_weights_in_another_form_count_by_their_size(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(bytes(4000))
    assert estimate(spec(folder), cuda=False).parts["weights"] == 4000
    (folder / "config.json").write_text(json.dumps(CONFIG | {"torch_dtype": "bfloat16"}))
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
