"""A Gemma 3 with vision, so small that it is made on the spot: random weights in the layout of a real checkpoint.

Gemma 3 because three programs know it alike: transformers without torchvision, llama.cpp's converter (text and
``--mmproj``) and llama.cpp's server. The image is one square, never tiled, and becomes 16 tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    PreTrainedTokenizerFast,
)

IMAGE_SIZE = 64
PATCH = 16
IMAGE_TOKENS = (IMAGE_SIZE // PATCH) ** 2
VOCABULARY = 512

# At the usual 0.02 a model this narrow hardly looks at its input, the image least of all.
INITIALIZER_RANGE = 0.12
PROJECTION_RANGE = 0.5

_BEGIN, _END, _PAD = "<bos>", "<end_of_turn>", "<pad>"
_NAMED = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
_TURN = "<start_of_turn>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}<start_of_image>{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def build_tiny_gemma(folder: Path, corpus: Iterable[str], seed: int) -> Path:
    """Save model, processor and a tokenizer trained on ``corpus`` under ``folder``; the same seed, the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(corpus)
    images = Gemma3ImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    # Both read it: the processor for how many tokens it writes, the converter for how far the patches are pooled.
    images.image_seq_length = IMAGE_TOKENS
    processor = Gemma3Processor(images, tokenizer, chat_template=CHAT_TEMPLATE, image_seq_length=IMAGE_TOKENS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = Gemma3ForConditionalGeneration(_config(tokenizer))
        for name, weight in model.named_parameters():
            # It starts at zero: an untrained model would not see the image.
            if name.endswith("mm_input_projection_weight"):
                torch.nn.init.normal_(weight, std=PROJECTION_RANGE)
    _keep_to_words(model, tokenizer)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    _use_published_names(folder / "model.safetensors")
    return folder


def _keep_to_words(model: Any, tokenizer: Any) -> None:
    """Let it answer in words: a token whose embedding (here the output layer too) is zero hardly ever scores best."""
    rows = model.get_input_embeddings().weight.data
    words = [number for token, number in tokenizer.get_vocab().items() if token.startswith("Ġ") and len(token) > 2]
    keep = torch.zeros(len(rows), 1)
    keep[words] = 1
    rows *= keep


def _use_published_names(weights: Path) -> None:
    """Name the tower's tensors as published checkpoints do, which the converter wants; transformers reads both."""
    tensors = load_file(weights)
    renamed = {name.replace("vision_tower.", "vision_tower.vision_model."): each for name, each in tensors.items()}
    save_file(renamed, weights, metadata={"format": "pt"})


def _tokenizer(corpus: Iterable[str]) -> Any:
    bpe: Any = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_PAD, _BEGIN, _END, _TURN, *_NAMED.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        padding_side="left",
        extra_special_tokens=_NAMED,
    )


def _config(tokenizer: Any) -> Gemma3Config:
    shared = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "initializer_range": INITIALIZER_RANGE,
    }
    text = shared | {
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 256,
        # As in the published ones, where every sixth looks further: llama.cpp goes by the count, not by this list.
        "layer_types": ["sliding_attention"] * 2,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 2048,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = shared | {
        "model_type": "siglip_vision_model",
        # The converter tells the projector's tensors from a block's by number, and mistakes them below three blocks.
        "num_hidden_layers": 3,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        "vision_use_head": False,
    }
    return Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=IMAGE_TOKENS,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
