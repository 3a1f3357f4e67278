"""A vision tower, a projector and a text model: LLaVA and its kin, Pixtral, Gemma, PaliGemma, DeepSeek-VL."""

from __future__ import annotations

from typing import Any

import transformers as t

from tests.backends.models.conformance.tiny.parts import (
    CLIP,
    LLAMA,
    MISTRAL,
    PIXTRAL,
    POSITIONS,
    SIGLIP,
    Parts,
    chat,
    ends,
    tokenizer,
    user_assistant,
)

_SQUARE = {"height": 28, "width": 28}
_CLIP_PIXELS: dict[str, Any] = {"size": {"shortest_edge": 28}, "crop_size": _SQUARE}
# CLIP's first position is no patch: it is counted, and then left out.
_CLS: dict[str, Any] = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
_GEMMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 64,
    "max_position_embeddings": POSITIONS,
}


def llava() -> Parts:
    """LLaVA 1.5, and LLaVA-Med converted for transformers."""
    tok = tokenizer(named={"image_token": "<image>"})
    config = t.LlavaConfig(
        text_config=LLAMA | ends(tok),
        vision_config=CLIP,
        image_token_index=tok.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    processor = t.LlavaProcessor(
        t.CLIPImageProcessor(**_CLIP_PIXELS), tok, **_CLS, chat_template=user_assistant("<image>\n")
    )
    return t.LlavaForConditionalGeneration(config), processor


def llava_next() -> Parts:
    tok = tokenizer(named={"image_token": "<image>"})
    grids = [[28, 56], [56, 28], [56, 56]]
    config = t.LlavaNextConfig(
        text_config=MISTRAL | ends(tok),
        vision_config=CLIP,
        image_token_index=tok.image_token_id,
        image_grid_pinpoints=grids,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    processor = t.LlavaNextProcessor(
        t.LlavaNextImageProcessor(**_CLIP_PIXELS, image_grid_pinpoints=grids),
        tok,
        **_CLS,
        chat_template=user_assistant("<image>\n"),
    )
    return t.LlavaNextForConditionalGeneration(config), processor


def deepseek_vl() -> Parts:
    tok = tokenizer(named={"image_token": "<image_placeholder>"})
    config = t.DeepseekVLConfig(
        text_config=LLAMA | ends(tok),
        vision_config=SIGLIP,
        image_token_id=tok.image_token_id,
        tie_word_embeddings=False,
    )
    processor = t.DeepseekVLProcessor(
        t.DeepseekVLImageProcessor(size=_SQUARE, min_size=14),
        tok,
        num_image_tokens=4,
        chat_template=user_assistant("<image_placeholder>"),
    )
    return t.DeepseekVLForConditionalGeneration(config), processor


def _mistral_parts(merge: int) -> tuple[Any, Any]:
    tok = tokenizer(["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    processor = t.PixtralProcessor(
        t.PixtralImageProcessor(size={"longest_edge": 84}, patch_size={"height": 14, "width": 14}),
        tok,
        patch_size=14,
        spatial_merge_size=merge,
        chat_template=chat(
            "{{ '' if m['role'] == 'assistant' else '[INST]' }}",
            "{{ eos_token if m['role'] == 'assistant' else '[/INST]' }}",
            "[IMG]",
            "",
            "{{ bos_token }}",
        ),
    )
    return tok, processor


def pixtral() -> Parts:
    """Pixtral-12B as converted for transformers: model type llava with a Pixtral tower."""
    tok, processor = _mistral_parts(1)
    config = t.LlavaConfig(
        text_config=MISTRAL | ends(tok),
        vision_config=PIXTRAL,
        image_token_index=tok.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=1,
        tie_word_embeddings=False,
    )
    return t.LlavaForConditionalGeneration(config), processor


def mistral3() -> Parts:
    """Mistral Small 3: Pixtral's tower, four patches merged into a token."""
    tok, processor = _mistral_parts(2)
    config = t.Mistral3Config(
        text_config=MISTRAL | ends(tok),
        vision_config=PIXTRAL,
        image_token_index=tok.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return t.Mistral3ForConditionalGeneration(config), processor


def gemma3() -> Parts:
    """Gemma 3 and MedGemma: every image is one square of a fixed number of tokens."""
    names = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    tok = tokenizer(["<start_of_turn>", "<end_of_turn>"], names, bos="<bos>", eos="<eos>")
    config = t.Gemma3Config(
        text_config=_GEMMA | ends(tok) | {"layer_types": ["sliding_attention", "full_attention"]},
        vision_config=SIGLIP | {"image_size": 56},
        mm_tokens_per_image=4,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        image_token_index=tok.image_token_id,
    )
    processor = t.Gemma3Processor(
        t.Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tok,
        image_seq_length=4,
        chat_template=chat(
            "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n",
            "<end_of_turn>\n",
            "<start_of_image>",
            "<start_of_turn>model\n",
            "{{ bos_token }}",
        ),
    )
    return t.Gemma3ForConditionalGeneration(config), processor


def paligemma() -> Parts:
    """PaliGemma 2: a Gemma 2 without chat; the processor puts the image first and adds 1,152 tokens of places."""
    tok = tokenizer(named={"image_token": "<image>"}, bos="<bos>", eos="<eos>")
    pixels: Any = t.SiglipImageProcessor(size=_SQUARE)
    pixels.image_seq_length = 4
    processor = t.PaliGemmaProcessor(pixels, tok)
    config = t.PaliGemmaConfig(
        text_config=_GEMMA | ends(tok) | {"model_type": "gemma2"},
        vision_config=SIGLIP,
        image_token_index=tok.image_token_id,
        projection_dim=32,
        hidden_size=32,
        vocab_size=len(tok),
    )
    return t.PaliGemmaForConditionalGeneration(config), processor
