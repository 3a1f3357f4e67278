"""Tokens and tiles of an image are those of each architecture's own processor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backends.estimate.configuration import find_configuration
from backends.estimate.images import ImageLoad, image_load

SIZES = [(1024, 768), (768, 1024), (224, 224), (1920, 1080), (640, 1400), (33, 900)]


def load(repo: str, size: tuple[int, int]) -> ImageLoad:
    found = find_configuration(repo)
    assert found is not None
    return image_load(found, size)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_qwen_resizes_as_its_processor(size: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    for repo, step, least, most in (
        ("Qwen/Qwen2.5-VL-7B-Instruct", 28, 3136, 12845056),
        ("Qwen/Qwen3-VL-8B-Instruct", 32, 65536, 16777216),
    ):
        height, width = smart_resize(size[1], size[0], step, least, most)
        assert load(repo, size).tokens == height * width // step**2


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_internvl_tiles_as_its_processor(size: tuple[int, int]) -> None:
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

    columns, rows = get_optimal_tiled_canvas((size[1], size[0]), (448, 448), 1, 12)
    tiles = columns * rows + (columns * rows > 1)
    assert load("OpenGVLab/InternVL3-2B-hf", size).tokens == 256 * tiles


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_llava_onevision_counts_as_its_processor(size: tuple[int, int]) -> None:
    from transformers import LlavaOnevisionProcessor

    pins = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    stand_in: Any = SimpleNamespace(
        image_processor=SimpleNamespace(image_grid_pinpoints=pins),
        num_image_tokens=729,
        vision_aspect_ratio="anyres_max_9",
    )
    stand_in._get_unpadded_features = lambda *given: LlavaOnevisionProcessor._get_unpadded_features(stand_in, *given)
    expected = LlavaOnevisionProcessor._get_number_of_features(stand_in, size[1], size[0], 384, 384)
    assert load("llava-hf/llava-onevision-qwen2-7b-ov-hf", size).tokens == expected


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("repo", "longest", "tile", "tokens"),
    [("HuggingFaceTB/SmolVLM-256M-Instruct", 2048, 512, 64), ("HuggingFaceTB/SmolVLM-Instruct", 1536, 384, 81)],
)
def test_smolvlm_splits_as_its_processor(
    size: tuple[int, int], repo: str, longest: int, tile: int, tokens: int
) -> None:
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    processor = Idefics3ImageProcessorPil(size={"longest_edge": longest}, max_image_size={"longest_edge": tile})
    pictures, rows, columns = processor.get_number_of_image_patches(size[1], size[0])
    expected = tokens + 3 + ((tokens + 2) * columns + 1) * rows
    assert load(repo, size).tokens == expected
    assert load(repo, size).patches == max(1, pictures) * (tile // (16 if tile == 512 else 14)) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_pixtral_rows_and_breaks_as_its_processor(size: tuple[int, int]) -> None:
    import numpy as np
    from transformers.models.pixtral.image_processing_pil_pixtral import get_resize_output_image_size

    height, width = get_resize_output_image_size(np.zeros((size[1], size[0], 3)), (1024, 1024), (16, 16))
    assert load("mistral-community/pixtral-12b", size).tokens == height // 16 * (width // 16 + 1)


def test_fixed_grids_take_every_size_alike() -> None:
    expected = {
        "google/gemma-3-4b-it": (4096, 256),
        "google/paligemma2-3b-pt-448": (1024, 1024),
        "chaoyinshe/llava-med-v1.5-mistral-7b-hf": (576, 576),
        "meta-llama/Llama-3.2-11B-Vision-Instruct": (6404, 1),
    }
    for repo, (patches, tokens) in expected.items():
        for size in SIZES:
            assert (load(repo, size).patches, load(repo, size).tokens) == (patches, tokens), repo


def test_lfm2_takes_a_small_image_whole_and_tiles_a_large_one() -> None:
    small, large = load("LiquidAI/LFM2-VL-450M", (512, 512)), load("LiquidAI/LFM2-VL-450M", (1024, 768))
    assert small.tokens == 256 + 2
    # 3 × 2 tiles of 256 and their markers, a picture of the whole of at most 256.
    assert 6 * 257 < large.tokens <= 6 * 257 + 256 + 3
