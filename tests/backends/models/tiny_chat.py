"""Writes a tiny checkpoint with code of its own that only an older transformers can run, asked as InternVL2 is.

Its weights are random numbers with a fixed seed; which words it says depends on the image, the question and them.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ("[UNK]", "femur", "abdomen", "head", "axial", "plane", "normal", "spine", "yes", "no", "thalamus", "view")
_WIDTH, _SIZE = 16, 28

CONFIG = """
from transformers import PretrainedConfig


class TinyChatConfig(PretrainedConfig):
    model_type = "internvl_chat"

    def __init__(self, vocab_size=12, hidden_size=16, force_image_size=28, max_dynamic_patch=4, **kwargs):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.force_image_size = force_image_size
        self.min_dynamic_patch = 1
        self.max_dynamic_patch = max_dynamic_patch
        self.dynamic_image_size = True
        self.use_thumbnail = True
        self.hold = kwargs.pop("hold", "")
        self.hold_after = kwargs.pop("hold_after", 0)
        super().__init__(**kwargs)
"""

MODEL = """
import os
import time

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils.import_utils import is_torch_fx_available  # gone since transformers 5

from .configuration_tinychat import TinyChatConfig


class TinyChatModel(PreTrainedModel):
    config_class = TinyChatConfig

    def __init__(self, config):
        super().__init__(config)
        is_torch_fx_available()
        self.see = nn.Linear(3 * config.force_image_size**2, config.hidden_size)
        self.read = nn.Embedding(config.vocab_size, config.hidden_size)
        self.step = nn.GRUCell(config.hidden_size, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.system_message = None
        self.asked = 0

    def chat(self, tokenizer, pixel_values, question, generation_config, history=None, return_history=False):
        assert question.startswith("<image>"), question
        self.asked += 1
        while self.asked > self.config.hold_after and os.path.exists(self.config.hold):
            time.sleep(0.02)
        ids = torch.tensor(tokenizer(question, add_special_tokens=False)["input_ids"], device=self.device)
        state = torch.tanh(self.see(pixel_values.flatten(1)).mean(0, keepdim=True) + self.read(ids).mean(0))
        said = []
        for _ in range(min(4, generation_config["max_new_tokens"])):
            word = self.head(state)[0, 1:].argmax() + 1
            said.append(int(word))
            state = self.step(self.read(word)[None], state)
        return tokenizer.decode(said)
"""


def write(folder: Path, seed: int = 0, hold: Path | None = None, hold_after: int = 0) -> Path:
    """The checkpoint, whole, in a new folder. After ``hold_after`` answers it waits while a file ``hold`` is there."""
    folder.mkdir(parents=True)
    (folder / "configuration_tinychat.py").write_text(CONFIG.lstrip())
    (folder / "modeling_tinychat.py").write_text(MODEL.lstrip())
    config = {
        "model_type": "internvl_chat",
        "architectures": ["TinyChatModel"],
        "auto_map": {
            "AutoConfig": "configuration_tinychat.TinyChatConfig",
            "AutoModel": "modeling_tinychat.TinyChatModel",
        },
        "vocab_size": len(WORDS),
        "hidden_size": _WIDTH,
        "force_image_size": _SIZE,
        "hold": str(hold or ""),
        "hold_after": hold_after,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    _write_tokenizer(folder)
    save_file(_weights(seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _weights(seed: int) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    shapes = {
        "see.weight": (_WIDTH, 3 * _SIZE**2),
        "see.bias": (_WIDTH,),
        "read.weight": (len(WORDS), _WIDTH),
        "step.weight_ih": (3 * _WIDTH, _WIDTH),
        "step.weight_hh": (3 * _WIDTH, _WIDTH),
        "step.bias_ih": (3 * _WIDTH,),
        "step.bias_hh": (3 * _WIDTH,),
        "head.weight": (len(WORDS), _WIDTH),
        "head.bias": (len(WORDS),),
    }
    return {name: torch.randn(shape, generator=made) * 0.5 for name, shape in shapes.items()}


BUILD_QWEN = textwrap.dedent(
    """
    import json, sys
    import backends
    import transformers as t
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = sys.argv[1]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    marks = ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tok = t.Qwen2TokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                               unk_token="<|endoftext|>", additional_special_tokens=marks)
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\\n{% for c in m.content %}{% if c.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\\n{% endif %}"
    )
    pixels = t.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=9 * 28 * 28)
    processor = t.Qwen2VLProcessor(pixels, tok, chat_template=template)
    ids = {f"{name}_token_id": tok.convert_tokens_to_ids(f"<|{mark}|>") for name, mark in
           (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"),
            ("vision_end", "vision_end"))}
    config = t.Qwen2VLConfig(
        vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, rope_scaling={"type": "mrope", "mrope_section": [2, 1, 1]},
        bos_token_id=tok.pad_token_id, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id,
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2,
                       "patch_size": 14}, **ids)
    t.set_seed(0)
    t.Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    """
)
"""Run with an environment's own Python: a tiny Qwen2-VL as that environment's transformers writes it."""
