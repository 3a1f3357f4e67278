"""Parameters of language models, from their configuration: one function a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.estimate.tally import Tally

Config = Mapping[str, Any]


def text_parameters(text: Config) -> Tally | None:
    """All but embeddings and head; None for a family that is not known."""
    count = _FAMILIES.get(str(text.get("model_type")))
    if count is None:
        return None
    tally = Tally()
    count(text, tally)
    return tally


def head_size(text: Config) -> int:
    return int(text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"])


def kinds_of_layers(text: Config) -> list[str]:
    """Of each layer: full, sliding, linear or cross ``_attention``, or ``conv``."""
    layers = int(text["num_hidden_layers"])
    given = text.get("layer_types")
    if isinstance(given, list) and len(given) == layers:
        return [str(kind) for kind in given]
    kind = text.get("model_type")
    if kind in ("gemma3_text", "gemma2"):
        every = int(text.get("_sliding_window_pattern") or text.get("sliding_window_pattern") or 6)
        every = 2 if kind == "gemma2" else every
        return ["full_attention" if (at + 1) % every == 0 else "sliding_attention" for at in range(layers)]
    if kind == "lfm2":
        full = text.get("full_attn_idxs")
        return ["full_attention" if full is None or at in full else "conv" for at in range(layers)]
    if kind == "mllama_text_model":
        cross = text.get("cross_attention_layers") or ()
        return ["cross_attention" if at in cross else "full_attention" for at in range(layers)]
    if kind == "qwen3_5_text":
        every = int(text.get("full_attention_interval") or 4)
        return ["full_attention" if (at + 1) % every == 0 else "linear_attention" for at in range(layers)]
    sliding = kind in ("mistral", "qwen2") and text.get("sliding_window") and text.get("use_sliding_window", True)
    return ["sliding_attention" if sliding else "full_attention"] * layers


def _attention(text: Config, tally: Tally, *, bias: bool, out_bias: bool, norms: bool, gated: bool = False) -> None:
    hidden, head = int(text["hidden_size"]), head_size(text)
    heads, pairs = int(text["num_attention_heads"]), int(text["num_key_value_heads"])
    tally.add_linear(heads * head * (2 if gated else 1), hidden, bias)
    tally.add_linear(pairs * head, hidden, bias, times=2)
    tally.add_linear(hidden, heads * head, out_bias)
    if norms:
        tally.add(head, times=2)


def _gated_mlp(text: Config, tally: Tally, inner: int | None = None, bias: bool = False) -> None:
    hidden, inner = int(text["hidden_size"]), inner or int(text["intermediate_size"])
    tally.add_linear(inner, hidden, bias, times=2)
    tally.add_linear(hidden, inner, bias)


def _decoder(
    *, bias: bool | None = None, out_bias: bool | None = None, norms: int = 2, head_norms: bool = False
) -> Any:
    """Attention, a gated MLP and ``norms`` norms a layer; a bias that is None is the configuration's."""

    def count(text: Config, tally: Tally) -> None:
        own = bool(text.get("attention_bias"))
        for _ in range(int(text["num_hidden_layers"])):
            _attention(
                text,
                tally,
                bias=own if bias is None else bias,
                out_bias=own if out_bias is None else out_bias,
                norms=head_norms,
            )
            _gated_mlp(text, tally, bias=bool(text.get("mlp_bias")))
            tally.add(int(text["hidden_size"]), times=norms)
        tally.add(int(text["hidden_size"]))

    return count


def _mllama(text: Config, tally: Tally) -> None:
    hidden = int(text["hidden_size"])
    for kind in kinds_of_layers(text):
        crossing = kind == "cross_attention"
        _attention(text, tally, bias=False, out_bias=False, norms=crossing)
        _gated_mlp(text, tally)
        tally.add(2 * hidden + (2 if crossing else 0))
    tally.add(hidden)


def _lfm2(text: Config, tally: Tally) -> None:
    hidden, inner = int(text["hidden_size"]), int(text["intermediate_size"])
    if text.get("block_auto_adjust_ff_dim"):
        step = int(text["block_multiple_of"])
        inner = int(float(text["block_ffn_dim_multiplier"]) * int(2 * inner / 3))
        inner = step * ((inner + step - 1) // step)
    bias = bool(text.get("conv_bias"))
    for kind in kinds_of_layers(text):
        if kind == "conv":
            tally.add_linear(3 * hidden, hidden, bias)
            tally.add_linear(hidden, hidden, bias)
            tally.add(hidden * int(text["conv_L_cache"]) + (hidden if bias else 0))
        else:
            _attention(text, tally, bias=False, out_bias=False, norms=True)
        _gated_mlp(text, tally, inner)
        tally.add(2 * hidden)
    tally.add(hidden)


def _qwen3_5(text: Config, tally: Tally) -> None:
    hidden = int(text["hidden_size"])
    values, keys = int(text["linear_num_value_heads"]), int(text["linear_num_key_heads"])
    value_width, key_width = values * int(text["linear_value_head_dim"]), keys * int(text["linear_key_head_dim"])
    mixed = 2 * key_width + value_width
    for kind in kinds_of_layers(text):
        if kind == "linear_attention":
            tally.add_linear(mixed, hidden)
            tally.add_linear(value_width, hidden)
            tally.add_linear(values, hidden, times=2)
            tally.add_linear(hidden, value_width)
            tally.add(mixed * int(text["linear_conv_kernel_dim"]) + 2 * values + int(text["linear_value_head_dim"]))
        else:
            _attention(text, tally, bias=False, out_bias=False, norms=True, gated=True)
        _gated_mlp(text, tally)
        tally.add(2 * hidden)
    tally.add(hidden)


_QWEN2 = _decoder(bias=True, out_bias=False)
_LLAMA = _decoder()
_QWEN3 = _decoder(head_norms=True)
_FAMILIES: dict[str, Callable[[Config, Tally], None]] = {
    "qwen2": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen3": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "ministral3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _decoder(norms=4),
    "gemma3_text": _decoder(norms=4, head_norms=True),
    "mllama_text_model": _mllama,
    "lfm2": _lfm2,
    "qwen3_5_text": _qwen3_5,
}
