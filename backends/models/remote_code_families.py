"""How each family with code of its own is asked one question about one image.

Each follows what the model's makers show in their own examples. `tests` and docs/models.md say which of them was seen
to run; the others are recipes.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from PIL import Image

from backends.jobs.job import JobError
from backends.models.base import Reply, question_messages
from backends.models.remote_code_parts import Parts, makers_module
from backends.models.remote_code_tiles import tiles


class Family(Protocol):
    """``beside``: a module of the makers' that has to lie in the checkpoint's folder; empty where there is none."""

    beside: str

    def __init__(self, parts: Parts) -> None: ...

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        """What the model says: its text, or a :class:`Reply` where its tokens are known."""


class Native:
    """What the environment's transformers has itself: a processor with a chat template, and `generate`."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.tokenizer = parts.processor.tokenizer
        if not getattr(parts.processor, "chat_template", None) and not parts.tokenizer.chat_template:
            raise JobError(f"{parts.folder}: the processor has no chat template", "copy the base model's beside it")
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        processor, parts = self.parts.processor, self.parts
        messages = list(question_messages(question, system))
        text = processor.apply_chat_template(messages, add_generation_prompt=True)
        inputs = processor(text=[text], images=[image], return_tensors="pt").to(parts.device)
        for key, value in inputs.items():
            if torch.is_floating_point(value):
                inputs[key] = value.to(parts.dtype)
        return parts.said(parts.model.generate(**inputs, **parts.limits())[0, inputs["input_ids"].shape[1] :])


class EchoVLM(Native):
    """Qwen2-VL with experts; its class is in the makers' EchoVLM.py, which is put beside the weights."""

    beside = "EchoVLM.py"

    def __init__(self, parts: Parts) -> None:
        module = makers_module(parts, "EchoVLM")
        self.parts = parts
        parts.tokenizer = parts.processor.tokenizer
        parts.load(module.Qwen2VLMOEForConditionalGeneration)
        parts.model.config.output_router_logits = False


class MiniCPMV:
    """``model.chat(msgs=[{"role", "content": [image, text]}], tokenizer=…)``."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        generation = self.parts.generation
        return self.parts.model.chat(
            image=None,
            msgs=[{"role": "user", "content": [image, question]}],
            tokenizer=self.parts.tokenizer,
            sampling=generation.do_sample,
            max_new_tokens=generation.max_new_tokens,
            **({} if generation.do_sample else {"num_beams": 1}),
            **({"system_prompt": system} if system else {}),
        )


class InternVLChat:
    """``model.chat(tokenizer, pixel_values, question, generation_config)`` on tiles of 448 pixels."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        model = self.parts.model
        if system:
            model.system_message = system
        pixels = tiles(image, model.config).to(self.parts.device, self.parts.dtype)
        return model.chat(self.parts.tokenizer, pixels, f"<image>\n{question}", dict(self.parts.limits()))


class Molmo:
    """``processor.process`` and ``generate_from_batch``."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.tokenizer = parts.processor.tokenizer
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        from transformers import GenerationConfig

        parts = self.parts
        inputs = parts.processor.process(images=[image], text=_with(system, question))
        batch = {key: value.to(parts.device).unsqueeze(0) for key, value in inputs.items()}
        if "images" in batch:
            batch["images"] = batch["images"].to(parts.dtype)
        settings = GenerationConfig(**parts.limits(), stop_strings="<|endoftext|>")
        tokens = parts.model.generate_from_batch(batch, settings, tokenizer=parts.tokenizer)
        return parts.said(tokens[0, batch["input_ids"].size(1) :])


class Moondream:
    """``model.query(image, question)["answer"]``; older revisions encode the image and answer in two steps."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        model, text = self.parts.model, _with(system, question)
        if hasattr(model, "query"):
            settings = {"max_tokens": self.parts.generation.max_new_tokens}
            if not self.parts.generation.do_sample:
                settings["temperature"] = 0
            return model.query(image, text, settings=settings)["answer"]
        return model.answer_question(model.encode_image(image), text, self.parts.tokenizer)


class CheXagent:
    """A processor that takes the dialogue as text, and `generate`."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.tokenizer = parts.processor.tokenizer
        parts.load()

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        parts = self.parts
        text = f" USER: <s>{_with(system, question)} ASSISTANT: <s>"
        inputs = parts.processor(images=[image], text=text, return_tensors="pt").to(parts.device, dtype=parts.dtype)
        tokens = parts.model.generate(**inputs, **parts.limits())[0]
        said = parts.tokenizer.decode(tokens, skip_special_tokens=True)
        return said.rpartition("ASSISTANT:")[2]


class DeepSeekVL2:
    """The package deepseek_vl2: its processor, its class, `generate` on embedded inputs."""

    beside = ""

    def __init__(self, parts: Parts) -> None:
        from deepseek_vl2.models import (  # type: ignore[import-not-found]
            DeepseekVLV2ForCausalLM,
            DeepseekVLV2Processor,
        )

        self.parts = parts
        self.processor = DeepseekVLV2Processor.from_pretrained(str(parts.folder))
        parts.tokenizer = self.processor.tokenizer
        parts.load(DeepseekVLV2ForCausalLM)

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        parts, tokenizer = self.parts, self.parts.tokenizer
        talk = [
            {"role": "<|User|>", "content": f"<image>\n{question}", "images": ["image"]},
            {"role": "<|Assistant|>", "content": ""},
        ]
        inputs = self.processor(conversations=talk, images=[image], force_batchify=True, system_prompt=system or "")
        inputs = inputs.to(parts.device, dtype=parts.dtype)
        tokens = parts.model.generate(
            inputs_embeds=parts.model.prepare_inputs_embeds(**inputs),
            input_ids=inputs.input_ids,
            images=inputs.images,
            images_seq_mask=inputs.images_seq_mask,
            images_spatial_crop=inputs.images_spatial_crop,
            attention_mask=inputs.attention_mask,
            pad_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            use_cache=True,
            **parts.limits(),
        )
        return parts.said(tokens[0][len(inputs.input_ids[0]) :])


class MobileVLM:
    """The makers' folder ``mobilevlm``, put beside the weights: its own loader, template and image tokens."""

    beside = "mobilevlm"

    def __init__(self, parts: Parts) -> None:
        self._utils = makers_module(parts, "mobilevlm.utils")
        self._constants = makers_module(parts, "mobilevlm.constants")
        self._talk = makers_module(parts, "mobilevlm.conversation").conv_templates["v1"]
        loader = makers_module(parts, "mobilevlm.model.mobilevlm").load_pretrained_model
        self.parts = parts
        parts.tokenizer, parts.model, self._image_processor, _ = loader(
            str(parts.folder), False, False, device_map={"": parts.device}, device=str(parts.device)
        )
        parts.model.to(parts.device, parts.dtype)

    def answer(self, image: Image.Image, question: str, system: str | None) -> Any:
        parts, constants, utils = self.parts, self._constants, self._utils
        talk = self._talk.copy()
        talk.append_message(talk.roles[0], f"{constants.DEFAULT_IMAGE_TOKEN}\n{_with(system, question)}")
        talk.append_message(talk.roles[1], None)
        index = constants.IMAGE_TOKEN_INDEX
        ids = utils.tokenizer_image_token(talk.get_prompt(), parts.tokenizer, index, return_tensors="pt")
        ids = ids.unsqueeze(0).to(parts.device)
        pixels = utils.process_images([image], self._image_processor, parts.model.config)
        tokens = parts.model.generate(
            ids, images=pixels.to(parts.device, parts.dtype), num_beams=1, use_cache=True, **parts.limits()
        )
        said = parts.said(tokens[0, ids.shape[1] :])
        return Reply(said.text.strip().removesuffix(talk.sep2 or talk.sep), said.output_tokens)


def _with(system: str | None, question: str) -> str:
    """For a family whose code takes no system prompt."""
    return f"{system}\n\n{question}" if system else question


FAMILIES: dict[str, type[Family]] = {
    "minicpmv": MiniCPMV,
    "internvl_chat": InternVLChat,
    "molmo": Molmo,
    "moondream1": Moondream,
    "chexagent": CheXagent,
    "deepseek_vl_v2": DeepSeekVL2,
    "mobilevlm": MobileVLM,
    "echovlm": EchoVLM,
}
"""By ``model_type`` of config.json, or by what lies beside the weights."""
