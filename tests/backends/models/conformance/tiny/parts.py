"""What the tiny checkpoints have in common: a byte-level tokenizer, chat templates, towers of two or three blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

Parts = tuple[Any, Any]
"""A model and its processor."""

POSITIONS = 4096

DECODER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "tie_word_embeddings": False,
}
QWEN2 = DECODER | {"model_type": "qwen2"}
LLAMA = DECODER | {"model_type": "llama"}
MISTRAL = DECODER | {"model_type": "mistral", "head_dim": 8, "sliding_window": None}

# Three blocks: llama.cpp's converter maps some tensors by block number and refuses fewer.
TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
SIGLIP = TOWER | {"model_type": "siglip_vision_model", "vision_use_head": False}
CLIP = TOWER | {"model_type": "clip_vision_model", "projection_dim": 32}
PIXTRAL = TOWER | {"model_type": "pixtral", "head_dim": 8, "image_size": 56}


def tokenizer(
    special: Iterable[str] = (),
    named: Mapping[str, str] | None = None,
    *,
    merges: Sequence[tuple[str, str]] = (),
    bos: str = "<s>",
    eos: str = "</s>",
    pad: str = "<pad>",
) -> Any:
    """256 byte symbols and the special tokens; ``named`` ones become attributes (``image_token``, its id) for good.

    Args:
        merges: Pairs of symbols that become one token. llama.cpp reads no vocabulary without any.
    """
    symbols = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    made: Any = Tokenizer(models.BPE(vocab={symbol: at for at, symbol in enumerate(symbols)}, merges=list(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    every = dict.fromkeys([bos, eos, pad, *(named or {}).values(), *special])
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in every])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        extra_special_tokens=dict(named or {}),
        model_max_length=POSITIONS,
    )


def ends(tok: Any) -> dict[str, int]:
    """A text configuration's share of the tokenizer."""
    return {
        "vocab_size": len(tok),
        "bos_token_id": tok.bos_token_id,
        "eos_token_id": tok.eos_token_id,
        "pad_token_id": tok.pad_token_id,
    }


def rope(*sections: int, theta: float = 1e6, **more: Any) -> dict[str, Any]:
    """Rotary parameters with one section each for time, height and width."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, "mrope_section": [*sections], **more}}


_CONTENT = (
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
)


def chat(start: str, end: str, image: str, ask: str, before: str = "") -> str:
    """A chat template: ``start`` and ``end`` around each message, ``ask`` where the answer begins."""
    content = _CONTENT.replace("IMAGE", image)
    return (
        f"{before}{{% for m in messages %}}{start}{content}{end}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{ask}{{% endif %}}"
    )


def chatml(image: str, before: str = "") -> str:
    return chat("<|im_start|>{{ m['role'] }}\n", "<|im_end|>\n", image, "<|im_start|>assistant\n", before)


def user_assistant(image: str) -> str:
    """Vicuna's form. It has no place for a system message but the user's."""
    return chat("{{ 'ASSISTANT' if m['role'] == 'assistant' else 'USER' }}: ", " ", image, "ASSISTANT:")
