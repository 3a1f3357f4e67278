"""Parameters of vision towers and projectors, from the configuration: one function a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.estimate.tally import Tally

Config = Mapping[str, Any]


def vision_parameters(kind: str, config: Config, vision: Config, text: Config) -> Tally | None:
    """Tower and projector of a model type; None where one of them is not known."""
    tower, projector = _TOWERS.get(str(vision.get("model_type"))), _PROJECTORS.get(kind)
    if tower is None or projector is None:
        return None
    tally = Tally()
    tower(vision, tally)
    projector(config, vision, text, tally)
    return tally


def side(value: Any, default: int = 0) -> int:
    """A length that configurations give as a number or as a pair."""
    if isinstance(value, list | tuple) and value:
        return int(value[0])
    return int(value) if isinstance(value, int | float) else default


def _patch(vision: Config) -> int:
    channels = int(vision.get("num_channels") or vision.get("in_channels") or 3)
    return channels * side(vision["patch_size"]) ** 2 * int(vision.get("temporal_patch_size") or 1)


def _grid(vision: Config) -> int:
    return (side(vision["image_size"]) // side(vision["patch_size"])) ** 2


def _encoder(vision: Config, tally: Tally, *, bias: bool = True, layers: int | None = None, more: int = 0) -> None:
    """The usual layer: four square projections, a two-layer MLP, two layer norms (``more`` parameters besides)."""
    hidden, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    times = layers if layers is not None else int(vision["num_hidden_layers"])
    tally.add_linear(hidden, hidden, bias, times=4 * times)
    tally.add_linear(inner, hidden, True, times=times)
    tally.add_linear(hidden, inner, True, times=times)
    tally.add(4 * hidden + more, times=times)


def _siglip(vision: Config, tally: Tally) -> None:
    hidden, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    tally.add(_patch(vision) * hidden + hidden + _grid(vision) * hidden)
    _siglip_body(vision, tally, hidden, inner, head=bool(vision.get("vision_use_head", True)))


def _siglip2(vision: Config, tally: Tally) -> None:
    hidden, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    tally.add_linear(hidden, _patch(vision), True)
    tally.add(int(vision["num_patches"]) * hidden)
    _siglip_body(vision, tally, hidden, inner, head=bool(vision.get("vision_use_head", True)))


def _siglip_body(vision: Config, tally: Tally, hidden: int, inner: int, *, head: bool) -> None:
    _encoder(vision, tally)
    tally.add(2 * hidden)
    if head:
        tally.add(hidden + 3 * hidden * hidden + 3 * hidden + 2 * hidden)
        tally.add_linear(hidden, hidden, True)
        tally.add_linear(inner, hidden, True)
        tally.add_linear(hidden, inner, True)


def _idefics3(vision: Config, tally: Tally) -> None:
    hidden = int(vision["hidden_size"])
    tally.add(_patch(vision) * hidden + hidden + _grid(vision) * hidden + 2 * hidden)
    _encoder(vision, tally)


def _clip(vision: Config, tally: Tally) -> None:
    hidden = int(vision["hidden_size"])
    tally.add(hidden + _patch(vision) * hidden + (_grid(vision) + 1) * hidden + 4 * hidden)
    _encoder(vision, tally)


def _pixtral(vision: Config, tally: Tally) -> None:
    hidden, inner, layers = (int(vision[name]) for name in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    tally.add(_patch(vision) * hidden + hidden)
    tally.add_linear(hidden, hidden, times=4 * layers)
    tally.add_linear(inner, hidden, times=2 * layers)
    tally.add_linear(hidden, inner, times=layers)
    tally.add(2 * hidden, times=layers)


def _internvl(vision: Config, tally: Tally) -> None:
    hidden, inner, layers = (int(vision[name]) for name in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    own = bool(vision.get("attention_bias"))
    rms = str(vision.get("norm_type")) == "rms_norm"
    tally.add(hidden + _patch(vision) * hidden + hidden + (hidden if vision.get("use_mask_token") else 0))
    tally.add((_grid(vision) + 1) * hidden if vision.get("use_absolute_position_embeddings", True) else 0)
    tally.add_linear(hidden, hidden, own, times=3 * layers)
    tally.add_linear(hidden, hidden, True, times=layers)
    tally.add_linear(inner, hidden, True, times=layers)
    tally.add_linear(hidden, inner, True, times=layers)
    norms = (2 if rms else 4) + (2 if vision.get("use_qk_norm") else 0)
    tally.add((norms + 2) * hidden, times=layers)
    tally.add(0 if vision.get("use_mean_pooling", True) else 2 * hidden)


def _qwen2_vl(vision: Config, tally: Tally) -> None:
    width, layers, inner = (
        int(vision["embed_dim"]),
        int(vision["depth"]),
        int(vision["embed_dim"] * vision["mlp_ratio"]),
    )
    tally.add(_patch(vision) * width + 2 * width)
    _qwen_attention(width, layers, tally)
    tally.add_linear(inner, width, True, times=layers)
    tally.add_linear(width, inner, True, times=layers)
    tally.add(4 * width, times=layers)
    _qwen_merger(width * int(vision["spatial_merge_size"]) ** 2, int(vision["hidden_size"]), tally)


def _qwen2_5_vl(vision: Config, tally: Tally) -> None:
    width, layers, inner = int(vision["hidden_size"]), int(vision["depth"]), int(vision["intermediate_size"])
    tally.add(_patch(vision) * width + width)
    _qwen_attention(width, layers, tally)
    tally.add_linear(inner, width, True, times=2 * layers)
    tally.add_linear(width, inner, True, times=layers)
    tally.add(2 * width, times=layers)
    _qwen_merger(width * int(vision["spatial_merge_size"]) ** 2, int(vision["out_hidden_size"]), tally)


def _qwen3_vl(vision: Config, tally: Tally) -> None:
    width, layers, inner = int(vision["hidden_size"]), int(vision["depth"]), int(vision["intermediate_size"])
    merged, out = width * int(vision["spatial_merge_size"]) ** 2, int(vision["out_hidden_size"])
    tally.add(_patch(vision) * width + width + int(vision["num_position_embeddings"]) * width)
    _qwen_attention(width, layers, tally)
    tally.add_linear(inner, width, True, times=layers)
    tally.add_linear(width, inner, True, times=layers)
    tally.add(4 * width, times=layers)
    tally.add(2 * width)
    _qwen_merger(merged, out, tally)
    for _ in vision.get("deepstack_visual_indexes") or ():
        tally.add(2 * merged)
        _qwen_merger(merged, out, tally)


def _qwen_attention(width: int, layers: int, tally: Tally) -> None:
    tally.add_linear(3 * width, width, True, times=layers)
    tally.add_linear(width, width, True, times=layers)


def _qwen_merger(merged: int, out: int, tally: Tally) -> None:
    tally.add_linear(merged, merged, True)
    tally.add_linear(out, merged, True)


def _mllama(vision: Config, tally: Tally) -> None:
    hidden, tiles = int(vision["hidden_size"]), int(vision["max_num_tiles"])
    spots = _grid(vision) + 1
    ratios = len(vision["supported_aspect_ratios"]) + 1
    tally.add(hidden + _patch(vision) * hidden + 4 * hidden)
    tally.add(1 + spots * hidden + ratios * tiles * spots * hidden)
    tally.add(2 * (ratios * tiles * hidden + 1))
    _encoder(vision, tally, bias=False)
    _encoder(vision, tally, bias=False, layers=int(vision["num_global_layers"]), more=2)


def _minicpm(vision: Config, tally: Tally) -> None:
    hidden, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    tally.add(_patch(vision) * hidden + hidden + _grid(vision) * hidden + 2 * hidden)
    _encoder(vision, tally)
    window = vision.get("window_kernel_size") or (2, 2)
    merged = hidden * int(window[0]) * int(window[1])
    middle = inner * int(window[0]) * int(window[1])
    tally.add_linear(hidden, hidden, True, times=4)
    tally.add(2 * hidden + 2 * merged)
    tally.add_linear(middle, merged, True)
    tally.add_linear(hidden, middle, True)


# ------------------------------------------------------------------ projectors
def _no_projector(_config: Config, _vision: Config, _text: Config, _tally: Tally) -> None:
    """It is part of the tower."""


def _two_layers(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    wide, bias = int(text["hidden_size"]), bool(config.get("multimodal_projector_bias", True))
    chosen = config.get("vision_feature_layer")
    features = len(chosen) if isinstance(chosen, list) else 1
    tally.add_linear(wide, int(vision["hidden_size"]) * features, bias)
    tally.add_linear(wide, wide, bias)


def _with_newline(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    _two_layers(config, vision, text, tally)
    tally.add(int(text["hidden_size"]))


def _paligemma(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    # What the processor's tokens are projected to is the language model's width, whatever `projection_dim` says.
    wide = int(vision.get("projection_dim") or config.get("projection_dim") or text["hidden_size"])
    tally.add_linear(wide, int(vision["hidden_size"]), True)


def _gemma3(_config: Config, vision: Config, text: Config, tally: Tally) -> None:
    tally.add(int(vision["hidden_size"]) * int(text["hidden_size"]) + int(vision["hidden_size"]))


def _shuffled(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    tally.add_linear(int(text["hidden_size"]), int(vision["hidden_size"]) * int(config["scale_factor"]) ** 2)


def _internvl_projector(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    merged = round(int(vision["hidden_size"]) * (1 / float(config["downsample_ratio"])) ** 2)
    wide = int(text["hidden_size"])
    tally.add(2 * merged)
    tally.add_linear(wide, merged, True)
    tally.add_linear(wide, wide, True)


def _mistral3(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    hidden = int(vision["hidden_size"])
    tally.add(hidden)
    tally.add_linear(hidden, hidden * int(config["spatial_merge_size"]) ** 2)
    _two_layers(config, vision, text, tally)


def _lfm2_vl(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    merged, bias = int(vision["hidden_size"]) * int(config["downsample_factor"]) ** 2, bool(config["projector_bias"])
    tally.add(2 * merged if config.get("projector_use_layernorm", True) else 0)
    tally.add_linear(int(config["projector_hidden_size"]), merged, bias)
    tally.add_linear(int(text["hidden_size"]), int(config["projector_hidden_size"]), bias)


def _deepseek(_config: Config, vision: Config, text: Config, tally: Tally) -> None:
    wide = int(text["hidden_size"])
    tally.add_linear(wide, int(vision["hidden_size"]), True)
    tally.add_linear(wide, wide, True)


def _mllama_projector(_config: Config, vision: Config, text: Config, tally: Tally) -> None:
    tally.add_linear(int(text["hidden_size"]), int(vision["vision_output_dim"]), True)


def _minicpm_projector(config: Config, vision: Config, text: Config, tally: Tally) -> None:
    kernel = config.get("merge_kernel_size") or (2, 2)
    merged = int(vision["hidden_size"]) * int(kernel[0]) * int(kernel[1])
    for step in range(int(config.get("merger_times") or 1)):
        last = step == int(config.get("merger_times") or 1) - 1
        tally.add(2 * merged)
        tally.add_linear(merged, merged, True)
        tally.add_linear(int(text["hidden_size"]) if last else int(vision["hidden_size"]), merged, True)


_TOWERS: dict[str, Callable[[Config, Tally], None]] = {
    "siglip_vision_model": _siglip,
    "siglip2_vision_model": _siglip2,
    "clip_vision_model": _clip,
    "pixtral": _pixtral,
    "internvl_vision": _internvl,
    "qwen2_vl_vision": _qwen2_vl,
    "qwen2_5_vl_vision": _qwen2_5_vl,
    "qwen3_vl_vision": _qwen3_vl,
    "idefics3_vision": _idefics3,
    "smolvlm_vision": _idefics3,
    "mllama_vision_model": _mllama,
    "minicpmv4_6_vision": _minicpm,
}
_PROJECTORS: dict[str, Callable[[Config, Config, Config, Tally], None]] = {
    "qwen2_vl": _no_projector,
    "qwen2_5_vl": _no_projector,
    "qwen3_vl": _no_projector,
    "llava": _two_layers,
    "llava_next": _with_newline,
    "llava_onevision": _with_newline,
    "paligemma": _paligemma,
    "gemma3": _gemma3,
    "idefics3": _shuffled,
    "smolvlm": _shuffled,
    "internvl": _internvl_projector,
    "mistral3": _mistral3,
    "lfm2_vl": _lfm2_vl,
    "deepseek_vl": _deepseek,
    "mllama": _mllama_projector,
    "minicpmv4_6": _minicpm_projector,
}
