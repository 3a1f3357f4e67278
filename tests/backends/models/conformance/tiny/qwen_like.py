"""Architectures whose images become as many tokens as they have patches: Qwen-VL and those with a Qwen text model."""

from __future__ import annotations

from typing import Any

import transformers as t

from tests.backends.models.conformance.tiny.parts import (
    DECODER,
    QWEN2,
    SIGLIP,
    TOWER,
    Parts,
    chatml,
    ends,
    rope,
    tokenizer,
)

_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_VISION: dict[str, Any] = {
    "depth": 3,
    "hidden_size": 32,
    "num_heads": 4,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def _qwen_tokenizer() -> Any:
    marks = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    return tokenizer(marks, bos="<|endoftext|>", eos="<|im_end|>", pad="<|endoftext|>")


def _marks(tok: Any) -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    return {name: tok.convert_tokens_to_ids(token) for name, token in zip(names, tokens, strict=True)}


def _pixels(patch: int = 14) -> Any:
    least = (2 * patch) ** 2
    return t.Qwen2VLImageProcessor(min_pixels=least, max_pixels=9 * least, patch_size=patch)


def qwen2_vl() -> Parts:
    tok = _qwen_tokenizer()
    config = t.Qwen2VLConfig(
        text_config=DECODER | ends(tok) | rope(2, 1, 1),
        vision_config=_VISION | {"embed_dim": 32, "mlp_ratio": 2},
        **_marks(tok),
    )
    processor = t.Qwen2VLProcessor(_pixels(), tok, t.Qwen2VLVideoProcessor(), chat_template=chatml(_IMAGE))
    return t.Qwen2VLForConditionalGeneration(config), processor


def qwen2_5_vl() -> Parts:
    tok = _qwen_tokenizer()
    windows = {"out_hidden_size": 32, "intermediate_size": 64, "window_size": 56, "fullatt_block_indexes": [2]}
    config = t.Qwen2_5_VLConfig(
        text_config=DECODER | ends(tok) | rope(2, 1, 1), vision_config=_VISION | windows, **_marks(tok)
    )
    processor = t.Qwen2_5_VLProcessor(_pixels(), tok, t.Qwen2VLVideoProcessor(), chat_template=chatml(_IMAGE))
    return t.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> Parts:
    tok = _qwen_tokenizer()
    deep = {"out_hidden_size": 32, "intermediate_size": 64, "patch_size": 16, "num_position_embeddings": 16}
    config = t.Qwen3VLConfig(
        text_config=DECODER | {"head_dim": 8} | ends(tok) | rope(2, 1, 1, theta=5e6, mrope_interleaved=True),
        vision_config=_VISION | deep | {"deepstack_visual_indexes": [0]},
        **_marks(tok),
    )
    processor = t.Qwen3VLProcessor(_pixels(16), tok, t.Qwen3VLVideoProcessor(), chat_template=chatml(_IMAGE))
    return t.Qwen3VLForConditionalGeneration(config), processor


def internvl() -> Parts:
    """The ``-hf`` layout; a tile of 28 pixels becomes one token."""
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tok = tokenizer(["<|im_start|>"], names, bos="<|endoftext|>", eos="<|im_end|>", pad="<|endoftext|>")
    config = t.InternVLConfig(
        text_config=QWEN2 | ends(tok),
        vision_config=TOWER | {"image_size": [28, 28], "patch_size": [14, 14]},
        image_token_id=tok.context_image_token_id,
        image_seq_length=1,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    tile = {"height": 28, "width": 28}
    processor = t.InternVLProcessor(
        t.GotOcr2ImageProcessor(size=tile, crop_to_patches=True, min_patches=1, max_patches=4),
        tok,
        t.InternVLVideoProcessor(size=tile),
        image_seq_length=1,
        chat_template=chatml("<IMG_CONTEXT>\n"),
    )
    return t.InternVLForConditionalGeneration(config), processor


def llava_onevision() -> Parts:
    tok = tokenizer(["<|im_start|>", "<image>", "<video>"], bos="<|endoftext|>", eos="<|im_end|>", pad="<|endoftext|>")
    grids = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = t.LlavaOnevisionConfig(
        text_config=QWEN2 | ends(tok),
        vision_config=SIGLIP,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        video_token_index=tok.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grids,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
        tie_word_embeddings=False,
    )
    tile = {"height": 28, "width": 28}
    processor = t.LlavaOnevisionProcessor(
        t.LlavaOnevisionImageProcessor(size=tile, image_grid_pinpoints=grids),
        tok,
        t.LlavaOnevisionVideoProcessor(size=tile),
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>\n"),
    )
    return t.LlavaOnevisionForConditionalGeneration(config), processor


def minicpmv4_6() -> Parts:
    """MiniCPM-V 4.6: a Qwen 3.5 text model, half of whose layers are linear attention."""
    names = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "image_start_token": "<image>",
        "image_end_token": "</image>",
        "slice_start_token": "<slice>",
        "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>",
        "image_id_end_token": "</image_id>",
    }
    tok = tokenizer(["<|im_start|>"], names, bos="<|endoftext|>", eos="<|im_end|>", pad="<|endoftext|>")
    text = DECODER | {
        "model_type": "qwen3_5_text",
        "head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    config = t.MiniCPMV4_6Config(
        text_config=text | ends(tok) | rope(1, 1, 0, partial_rotary_factor=0.5, mrope_interleaved=True),
        vision_config=TOWER | {"image_size": 56, "insert_layer_id": 1},
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
        insert_layer_id=1,
        image_size=56,
        tie_word_embeddings=False,
    )
    processor = t.MiniCPMV4_6Processor(
        t.MiniCPMV4_6ImageProcessor(scale_resolution=56, max_slice_nums=4),
        t.MiniCPMV4_6VideoProcessor(),
        tok,
        chat_template=chatml("<|image_pad|>"),
    )
    return t.MiniCPMV4_6ForConditionalGeneration(config), processor
