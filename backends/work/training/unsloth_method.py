"""Fine-tuning through unsloth: its own loading, LoRA and checkpointing; the samples, masks and Trainer are ours.

Its collator is not used: ours masks prompt and image, and gives the model's forward, which unsloth replaces, the same
tensors. So the two methods train on the same tokens, and their LoRA lies on the same layers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from backends.jobs.job import Job, JobError
from backends.models import unsloth_loader
from backends.models.transformers_loader import TransformersModel
from backends.models.unsloth_import import FOLDER, usable
from backends.models.unsloth_loader import UnslothModel, UnslothOptions, fast_vision_model
from backends.work.common import generation_of, load_model
from backends.work.plan import TrainingPlan
from backends.work.training import lora as layers

__all__ = ["lora_arguments", "prepare_unsloth", "usable"]


def prepare_unsloth(job: Job, plan: TrainingPlan) -> TransformersModel:
    """The model of the job with a LoRA on it, loaded and patched by unsloth, ready to train and to be asked meanwhile.

    Raises:
        JobError: unsloth does not load it, or finds no layers for the LoRA.
    """
    options = UnslothOptions(max_length=plan.max_length)
    by = partial(unsloth_loader.load, options=options)
    model = load_model(job, generation_of(job.spec), trainable=True, by=by)
    assert isinstance(model, UnslothModel)
    base, known_as = model.model, model.model.config._name_or_path
    if not hasattr(base, "peft_config"):
        model.model = _with_lora(job, base, plan, options)
        job.events.message("info", f"LoRA on {layers.words(model.model)}, through unsloth")
    for config in model.model.peft_config.values():
        # The native loader goes by it; unsloth may have put its own mirror of the weights there.
        config.base_model_name_or_path = known_as
        config.revision = job.spec["model"].get("revision")
    model.in_training = True
    fast_vision_model().for_training(model.model)
    return model


def _with_lora(job: Job, base: Any, plan: TrainingPlan, options: UnslothOptions) -> Any:
    given = lora_arguments(base, plan)
    given |= {
        "use_gradient_checkpointing": options.checkpointing,
        "temporary_location": str(job.dir / FOLDER / "buffers"),
    }
    try:
        return fast_vision_model().get_peft_model(base, **given)
    except (ValueError, TypeError, AssertionError) as error:
        raise JobError(
            f"unsloth puts no LoRA on this model: {error}", "use --set method=peft, which trains the same LoRA"
        ) from error


def lora_arguments(base: Any, plan: TrainingPlan) -> dict[str, Any]:
    """What `get_peft_model` is given: the layers that the method peft takes for the same settings."""
    lora = plan.lora
    modules = layers.target_modules(base, lora)
    if modules == layers.ALL:
        # unsloth's own meaning of the word leaves out what stands outside of attention and MLP.
        modules = layers.pattern(list(layers.linear_layers(base)), [name for name, _ in base.named_modules()])
    wanted = "both" if lora.get("target_modules") else lora.get("targets") or "both"
    return {
        "r": int(lora.get("r", 16)),
        "lora_alpha": int(lora.get("alpha", 32)),
        "lora_dropout": float(lora.get("dropout", 0.05)),
        "target_modules": modules,
        "finetune_vision_layers": wanted in ("vision", "both"),
        "finetune_language_layers": wanted in ("language", "both"),
        "finetune_attention_modules": True,
        "finetune_mlp_modules": True,
        "random_state": plan.seed,
    }
