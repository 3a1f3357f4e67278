"""Architectures that cut an image into tiles: Llama-3.2-Vision, SmolVLM, LFM2-VL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import transformers as t

from tests.backends.models.conformance.tiny.parts import DECODER, LLAMA, TOWER, Parts, chat, chatml, ends, tokenizer


def mllama() -> Parts:
    """Llama-3.2-Vision: images come in by cross-attention; the image token lies behind the head's vocabulary."""
    tok = tokenizer(
        ["<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|image|>"],
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        pad="<|finetune_right_pad_id|>",
    )
    image = tok.convert_tokens_to_ids("<|image|>")
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_global_layers": 1,
        "attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
        "max_num_tiles": 4,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 64,
    }
    text = DECODER | ends(tok) | {"num_hidden_layers": 3, "cross_attention_layers": [1], "vocab_size": image}
    rotary = {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
    config = t.MllamaConfig(text_config=text | rotary, vision_config=vision, image_token_index=image)
    header = "<|start_header_id|>{}<|end_header_id|>\n\n"
    processor = t.MllamaProcessor(
        t.MllamaImageProcessor(size={"height": 28, "width": 28}, max_image_tiles=4),
        tok,
        chat_template=chat(
            header.format("{{ m['role'] }}"),
            "<|eot_id|>",
            "<|image|>",
            header.format("assistant"),
            "{{ bos_token }}",
        ),
    )
    return t.MllamaForConditionalGeneration(config), processor


def _idefics_tokenizer(merges: Sequence[tuple[str, str]] = ()) -> Any:
    places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    names = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "end_of_utterance_token": "<end_of_utterance>",
        "global_image_token": "<global-img>",
    }
    return tokenizer(places, names, merges=merges, bos="<|im_start|>", eos="<end_of_utterance>", pad="<|im_end|>")


def _idefics_config(tok: Any) -> dict[str, Any]:
    # (28 / 14)² patches, pixel-shuffled by 2: one token a tile
    return {
        "text_config": LLAMA | ends(tok),
        "vision_config": TOWER,
        "image_token_id": tok.image_token_id,
        "scale_factor": 2,
        "tie_word_embeddings": False,
    }


_IDEFICS_TEMPLATE = chat(
    "{{ m['role'] | capitalize }}:", "<end_of_utterance>\n", "<image>", "Assistant:", "<|im_start|>"
)
_IDEFICS_PIXELS: dict[str, Any] = {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}}


def idefics3() -> Parts:
    """The first SmolVLMs (256M, 500M, 2.2B)."""
    return _idefics3(_idefics_tokenizer())


def wide_idefics3() -> Parts:
    """The same as llama.cpp takes it: rows of 256, which its 4-bit numbers want, and the published text model's name."""
    return _idefics3(
        _idefics_tokenizer([("Ċ", "Ċ")]),  # two line feeds: what its server puts before an image's overview
        {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "architectures": ["VLlama3ForCausalLM"]},
    )


def _idefics3(tok: Any, text: Mapping[str, Any] | None = None) -> Parts:
    processor = t.Idefics3Processor(
        t.Idefics3ImageProcessor(**_IDEFICS_PIXELS), tok, image_seq_len=1, chat_template=_IDEFICS_TEMPLATE
    )
    config = _idefics_config(tok)
    config["text_config"] |= text or {}
    return t.Idefics3ForConditionalGeneration(t.Idefics3Config(**config)), processor


def smolvlm() -> Parts:
    """SmolVLM2."""
    tok = _idefics_tokenizer()
    processor = t.SmolVLMProcessor(
        t.SmolVLMImageProcessor(**_IDEFICS_PIXELS),
        tok,
        t.SmolVLMVideoProcessor(**_IDEFICS_PIXELS),
        image_seq_len=1,
        chat_template=_IDEFICS_TEMPLATE,
    )
    return t.SmolVLMForConditionalGeneration(t.SmolVLMConfig(**_idefics_config(tok))), processor


def lfm2_vl() -> Parts:
    """LFM2-VL: a SigLIP 2 tower that keeps the aspect ratio, and short convolutions between attention."""
    places = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 11) for column in range(1, 11)]
    names = {
        "image_token": "<image>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail": "<|img_thumbnail|>",
    }
    tok = tokenizer(["<|im_start|>", *places], names, bos="<|startoftext|>", eos="<|im_end|>", pad="<|pad|>")
    text = DECODER | {
        "model_type": "lfm2",
        "layer_types": ["conv", "full_attention"],
        "conv_L_cache": 3,
        "block_multiple_of": 8,
    }
    vision = TOWER | {"model_type": "siglip2_vision_model", "patch_size": 16, "num_patches": 16}
    vision = {key: value for key, value in vision.items() if key != "image_size"} | {"vision_use_head": False}
    config = t.Lfm2VlConfig(
        text_config=text | ends(tok),
        vision_config=vision,
        image_token_id=tok.image_token_id,
        projector_hidden_size=32,
        downsample_factor=2,
        tie_word_embeddings=False,
    )
    pixels = t.Lfm2VlImageProcessor(
        encoder_patch_size=16,
        downsample_factor=2,
        tile_size=64,
        min_image_tokens=1,
        max_image_tokens=4,
        max_num_patches=16,
        do_image_splitting=True,
        min_tiles=2,
        max_tiles=4,
        use_thumbnail=True,
    )
    processor = t.Lfm2VlProcessor(pixels, tok, chat_template=chatml("<image>", "{{ bos_token }}"))
    return t.Lfm2VlForConditionalGeneration(config), processor
