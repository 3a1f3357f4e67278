"""A LLaVA so small that it learns on one CPU thread: SigLIP tower, two-layer projector, Llama, about 0.24 M parameters.

Made on the spot with random weights and a tokenizer trained on the given corpus; nothing is downloaded. It is an
ordinary checkpoint folder, loaded by the same code as any other model.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

IMAGE_SIZE = 64
PATCH = 16
HIDDEN = 64
LAYERS = 2
VOCABULARY = 512
MAX_POSITIONS = 512

# At this width the usual 0.02 keeps training at chance for hundreds of steps; about 0.1 starts at once.
INITIALIZER_RANGE = 0.12

IMAGE_TOKEN = "<image>"
_PAD, _UNKNOWN, _BEGIN, _END = "<pad>", "<unk>", "<|im_start|>", "<end_of_utterance>"

CHAT_TEMPLATE = (
    _BEGIN + "{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% if message['content'] is string %}{{ ' ' + message['content'] }}{% else %}"
    "{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}" + IMAGE_TOKEN + "{% else %}{{ ' ' + item['text'] }}{% endif %}"
    "{% endfor %}{% endif %}" + _END + "\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def build_tiny(folder: Path, corpus: Iterable[str], seed: int) -> Path:
    """Save a random tiny model, its processor and its tokenizer under ``folder``.

    Args:
        folder: made where it is missing; files of an earlier build are replaced.
        corpus: texts the model will read and write (system messages, questions, answers); trains the tokenizer.
        seed: decides the weights. The same seed and corpus give the same files.

    Returns:
        ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(corpus)
    processor = LlavaProcessor(
        LlavaImageProcessorPil(
            size={"shortest_edge": IMAGE_SIZE}, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, do_pad=False
        ),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(_config(tokenizer))
    generation: Any = model.generation_config
    generation.pad_token_id = tokenizer.pad_token_id
    generation.bos_token_id = tokenizer.bos_token_id
    generation.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def train_tokenizer(corpus: Iterable[str]) -> Any:
    """A byte-level BPE tokenizer of at most :data:`VOCABULARY` tokens; every text can be written with it."""
    bpe: Any = Tokenizer(models.BPE(unk_token=_UNKNOWN))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    roles = ["System:", "User:", "Assistant:"] * 20
    # With its space a first word is the same token as inside a sentence, and that is how the template writes it.
    texts = [" " + text for text in corpus]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_PAD, _UNKNOWN, _BEGIN, _END, IMAGE_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts + roles, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        bos_token=_BEGIN,
        eos_token=_END,
        padding_side="left",
        extra_special_tokens={"image_token": IMAGE_TOKEN},
    )


def _config(tokenizer: Any) -> LlavaConfig:
    shared = {
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "initializer_range": INITIALIZER_RANGE,
    }
    vision = shared | {
        "model_type": "siglip_vision_model",
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        "vision_use_head": False,
    }
    text = shared | {
        "model_type": "llama",
        "num_key_value_heads": 4,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": MAX_POSITIONS,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
