"""Reading a Hugging Face ``config.json``: which field says which dimension of a model.

`trn3.config_fields` knows the fields, `trn3.config_layers` reads the layers by kind;
`workload.from_config` makes a `ModelShape` of what is read here.
"""

import json
import os
import re
from typing import Any

from trn3 import config_layers, data
from trn3.bounds import bounds, shown, text_of
from trn3.config_fields import (
    checked,
    first,
    is_known,
    is_one_of,
    known,
    meaning,
    named,
    said,
    table,
)


def read(path: str) -> dict[str, Any]:
    """A config file as it stands.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    dict
        Its fields.

    Raises
    ------
    TrnError
        Names the file, where it cannot be read or holds no JSON object.
    """
    place = f"model config {path}"
    try:
        config = json.loads(text_of(path), object_pairs_hook=_once)
    except data.TrnError as error:
        raise data.TrnError(f"{place}: {error}") from None
    except RecursionError:
        raise data.TrnError(f"{place}: cannot be read (nested too deeply)") from None
    except ValueError as error:
        raise data.TrnError(f"{place}: cannot be read as JSON ({error})") from None
    if not isinstance(config, dict):
        raise data.TrnError(f"{place}: must be a JSON object, not a {type(config).__name__}")
    return config


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file, in which no field may stand twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise data.TrnError(f"field {shown(twice)} is given twice")
    return found


def dimensions(
    config: dict[str, Any], name: str, allow_unknown: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The dimensions of the model of a config.

    Parameters
    ----------
    config : dict
        The parsed file.
    name : str
        What to call the model in a message.
    allow_unknown : bool
        Read the rest where the structure of the model is not understood in full.

    Returns
    -------
    tuple of dict and list of str
        Fields of `workload.ModelShape`, and the fields of the config that could change the counts
        and were not understood; without `allow_unknown` there are none.

    Raises
    ------
    TrnError
        Where a needed field is missing or is not a number, where a field that could change the
        counts is not understood, and where the model is no decoder with attention.

    Examples
    --------
    >>> small = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    >>> small |= {"vocab_size": 100, "hyper_connections": 3}
    >>> found, unplaced = dimensions(small, "small", allow_unknown=True)
    >>> found["head_dim"], found["d_ff"], unplaced
    (16, 256, ['hyper_connections'])
    >>> dimensions(small, "small")
    Traceback (most recent call last):
    trn3.units.TrnError: model config small: hyper_connections = 3: several residual streams, ...
    """
    if not isinstance(config, dict):
        raise data.TrnError(f"model config {name}: must be a JSON object")
    try:
        return _placed(config, allow_unknown)
    except data.TrnError as error:
        raise data.TrnError(f"model config {name}: {error}") from None


def _placed(config: dict[str, Any], allow_unknown: bool) -> tuple[dict[str, Any], list[str]]:
    """The dimensions, and what could not be placed."""
    _refuse_other_kinds(config)
    config = config_layers.opened(_language_part(config))
    _refuse_other_kinds(config)
    habit = _habit(checked({"model_type": config.get("model_type")}).get("model_type", ""))
    habits = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", habit)}
    config, words = _in_one_spelling(config, habits)
    told = habits | checked(config)
    got = {
        field: first(told, *names)
        for field, names in named().items()
        if field not in ("inferred", "no_effect")
    }
    for field in (name for name, bound in bounds("config").items() if bound.needed):
        if got[field] is None:
            raise data.TrnError(f"needs one of {', '.join(named()[field])}")
    shape = {k: v for k, v in got.items() if v is not None} | _inferred(told, got, habit)
    _check(shape)
    found = config_layers.read(told, words, shape, habit)
    unplaced = _not_understood(config, found, shape)
    if unplaced and not allow_unknown:
        one, *others = unplaced.values()
        also = f" (nor: {', '.join([*unplaced][1:5])})" if others else ""
        raise data.TrnError(f"{one}, not modelled here{also}; {_WAY_OUT}")
    return shape | found.fields, sorted(unplaced)


LANGUAGE_PARTS = ("text_config", "llm_config", "language_config")
"""Where models that see or hear keep the part that writes."""
_WAY_OUT = "with --allow-unknown the rest is read, and the page says so"


def _language_part(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that describes the decoder of text, nested parts laid open."""
    for part in LANGUAGE_PARTS:
        inner = config.get(part)
        if inner is not None and not isinstance(inner, dict):
            raise data.TrnError(f"{part} = {shown(inner)}: must be a JSON object")
        if inner:
            kept: dict[str, Any] = {
                k: config[k] for k in ("tie_word_embeddings", "params_b") if k in config
            }
            return kept | inner
    found = dict(config)
    for part in ("attn_config", "ffn_config"):
        inner = found.pop(part, None)
        if isinstance(inner, dict):
            found = inner | found
    return found


def _refuse_other_kinds(config: dict[str, Any]) -> None:
    """Refuse what generates no text by attention: encoders, vision, speech, state spaces."""
    name = config.get("model_type")
    what = table("not_a_decoder").get(name) if isinstance(name, str) else None
    if what is None and config.get("is_encoder_decoder") is True:
        what = "an encoder with a decoder"
    if what:
        asked = "only decoders with attention are modelled here"
        raise data.TrnError(f"model_type = {shown(name)}: is {what}; {asked}")


def _in_one_spelling(
    config: dict[str, Any], habits: dict[str, int]
) -> tuple[dict[str, Any], list[str]]:
    """The config with what is said per layer said in one way, and a word for each layer.

    A list of one value per layer that are all equal becomes that value.
    """
    found = {k: v for k, v in config.items() if v != "auto"}
    names = named()["n_layers"]
    each = found.get("layers_block_type")
    if isinstance(each, list) and not any(found.get(name) for name in names):
        found[names[0]] = len(each)
    n = first(checked({name: found.get(name) for name in names}), *names) or 0
    for name in (k for k, bound in known().items() if bound and bound.kind == "whole"):
        value = found.get(name)
        if isinstance(value, list) and 0 < n == len(value) == value.count(value[0]):
            found[name] = value[0]
    freq = found.get("moe_layer_freq")
    if isinstance(freq, int):
        found["moe_layer_freq"] = [freq] if freq else None
    words = config_layers.spelled(found, habits, n)
    if isinstance(found.get("sliding_window_pattern"), str):
        del found["sliding_window_pattern"]
    if found.get("attention_window_size"):  # the attention of recurrent models
        found["sliding_window"] = found["attention_window_size"]
        words = ["local" if word == "attention" else word for word in words]
    if words:
        found["layer_types"] = words
    return found, words


def _not_understood(
    config: dict[str, Any], layers: config_layers.Found, shape: dict[str, Any]
) -> dict[str, str]:
    """Fields that could change the counts and are not understood, each with a line that says so."""
    found: dict[str, str] = {}
    if layers.odd:
        field = next((f for f in _LAYERS if isinstance(config.get(f), list)), "layer_types")
        several = [f"{layers.odd.count(kind)} are {kind}" for kind in dict.fromkeys(layers.odd)]
        n = len(config.get(field) or config["layer_types"])
        found[field] = f"{field}: of {n} layers {' and '.join(several)}"
    unknown: dict[str, str] = {}
    for field, value in config.items():
        off = value in (None, False, "", [], {}, "none")
        if off or field in found or is_known(field) or is_one_of(field, layers.meanings):
            continue
        if (same := table("same").get(field)) and value == shape[same]:
            continue
        what = meaning(field)
        (found if what else unknown)[field] = said(field, value, what or "an unknown field")
    return found | unknown


_LAYERS = ("layers_block_type", "block_types", "layer_types")


def unknown_allowed() -> bool:
    """Whether the environment variable TRN3_ALLOW_UNKNOWN lets files be read in part.

    Returns
    -------
    bool
        True where it is 1.
    """
    return os.environ.get("TRN3_ALLOW_UNKNOWN") == "1"


def allow_unknown(allowed: bool) -> None:
    """Let files be read in part, or not, in this process and those that it starts.

    Parameters
    ----------
    allowed : bool
        Whether they may.
    """
    os.environ["TRN3_ALLOW_UNKNOWN"] = "1" if allowed else ""


def stored_format(config: dict[str, Any]) -> str:
    """The number format in which the weights of a file are stored, where it says so.

    Parameters
    ----------
    config : dict
        The parsed file.

    Returns
    -------
    str
        ``int4``, ``int8``, ``fp8``, ``nvfp4`` or ``mxfp4``; empty where the file names none of
        them. The arithmetic of integer formats is that of 16 bits: weights are unpacked first.

    Examples
    --------
    >>> stored_format({"quantization_config": {"quant_method": "awq", "bits": 4}})
    'int4'
    """
    parts = [config, *(config.get(part) for part in LANGUAGE_PARTS)]
    names = ("quantization_config", "quantization")
    stored = [part.get(n) for part in parts if isinstance(part, dict) for n in names]
    found = next((part for part in stored if isinstance(part, dict)), None)
    if found is None:
        return ""
    said = f"{found.get('quant_method')} {found.get('quant_algo')} {found.get('format')}".lower()
    word = re.search("nvfp4|mxfp4|fp8", said)
    if word:
        return word[0]
    bits = found.get("bits") or (4 if found.get("load_in_4bit") else 0)
    bits, kind = _group_weights(found) or (bits, "int")
    if kind == "float":
        return {4: "nvfp4", 8: "fp8"}.get(bits, "")
    return {4: "int4", 8: "int8"}.get(bits, "") if isinstance(bits, int) else ""


def _group_weights(found: dict[str, Any]) -> tuple[int, str] | None:
    """Bits and kind of number of the weights of a compressed-tensors or ModelOpt file."""
    groups = found.get("config_groups")
    first_group = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first_group.get("weights") if isinstance(first_group, dict) else None
    if not isinstance(weights, dict) or not isinstance(weights.get("num_bits"), int):
        return None
    return weights["num_bits"], str(weights.get("type"))


def _habit(model_type: str) -> str:
    """What the class of the model does without saying so in the file."""
    return table("model_type").get(model_type, "")


def _check(shape: dict[str, Any]) -> None:
    """Refuse dimensions that cannot be, or that contradict each other."""
    for field, bound in bounds("config").items():
        if field in shape:
            bound.read(shape[field])
    for big, small, rule in (
        ("n_heads", "n_kv_heads", "must divide"),
        ("n_experts", "top_k", "must be at most"),
        ("n_layers", "n_dense_layers", "must be at most"),
        ("n_layers", "n_window_layers", "must be at most"),
    ):
        many, few = shape.get(big) or 0, shape.get(small) or 1
        fine = many % few == 0 if rule == "must divide" else many >= few
        if many and not fine:
            raise data.TrnError(f"{small} = {few}: {rule} {big} = {many}")


def _inferred(config: dict[str, Any], got: dict[str, Any], habits: str) -> dict[str, Any]:
    """What a config leaves to the model's class, by the class's defaults."""
    h, a = got["d_model"], got["n_heads"]
    kv = got["n_kv_heads"] or (1 if config.get("multi_query") else a)
    d_ff = _inner_width(config, got, habits)
    acts = ("hidden_act", "mlp_hidden_act")
    plain = "plain" in habits or any(config.get(act) == "relu2" for act in acts)
    out = {
        "n_kv_heads": kv,
        "head_dim": got["head_dim"] or h // a,
        "d_ff": d_ff,
        "gated": int(not plain),
    }
    out["attention"] = (
        "mla" if got["kv_lora_rank"] else "mha" if kv == a else "mqa" if kv == 1 else "gqa"
    )
    out["tied"] = int("tied" in habits) if got["tied"] is None else got["tied"]
    out["n_positions"] = (got["context"] or 0) if "positions" in habits else 0
    out["n_window_layers"] = _window_layers(config, got, habits)
    if (got["n_experts"] or 0) > 1 and not got["top_k"]:
        raise data.TrnError(
            f"n_experts = {got['n_experts']}: no field says how many experts a token uses; "
            f"needs one of {', '.join(named()['top_k'])}"
        )
    if got["n_experts"]:
        inner = got["d_ff_expert"] or first(config, "intermediate_size", "ffn_hidden_size")
        inner = inner or d_ff
        shared, beside = _always_on(config, got, inner, habits)
        out |= {
            "d_ff_expert": inner,
            "n_shared_experts": shared,
            "d_ff_beside": beside + _dense_path(config, got | out, habits),
            "n_dense_layers": _dense_layers(config, got),
        }
    return out


def _inner_width(config: dict[str, Any], got: dict[str, Any], habits: str) -> int:
    """Inner width of the dense feed-forward block."""
    if got["d_ff"] is None:
        return int(config.get("expansion_ratio", 4) * got["d_model"])
    if config.get("block_auto_adjust_ff_dim"):  # two thirds, for a gate stands beside it
        step = config.get("block_multiple_of", 1)
        width = config.get("block_ff_dim", got["d_ff"]) * 2 // 3
        width = int(width * config.get("block_ffn_dim_multiplier", 1))
        return int(-(-width // step) * step)
    if "half_ffn" in habits:  # stored as gate and up together
        return int(got["d_ff"] // 2)
    if "shared_block" in habits and not got["n_experts"]:
        return int(config.get("shared_intermediate_size") or got["d_ff"])
    return int(got["d_ff"])


def _dense_path(config: dict[str, Any], shape: dict[str, Any], habits: str) -> int:
    """Inner width of a dense block beside the experts; 0 where there is none."""
    flags = ("residual_moe", "use_residual", "parallel_attn_mlp_res", "enable_moe_block")
    if not any(config.get(flag) for flag in flags) and "top_k_experts" not in config:
        return 0
    return int(shape["d_model" if "dense_as_wide_as_model" in habits else "d_ff"])


def _window_layers(config: dict[str, Any], got: dict[str, Any], habits: str) -> int:
    """Layers whose attention sees a window; a window that no field places is refused."""
    n = got["n_layers"]
    if not got["window"] or config.get("use_sliding_window") == 0 or "compressed" in habits:
        return 0
    if types := config.get("layer_types"):
        if len(types) < n:
            raise data.TrnError(f"layer_types: names {len(types)} layers, n_layers is {n}")
        return sum(bool(re.search("sliding|chunked|local", kind)) for kind in types[:n])
    if step := config.get("sliding_window_pattern"):
        return n - n // step
    if config.get("use_sliding_window") and "max_window_layers" in config:
        return max(0, n - config["max_window_layers"])
    if "all_windows" not in habits:
        raise data.TrnError(
            f"sliding_window = {got['window']}: no field says which layers have the window; "
            "needs layer_types or sliding_window_pattern"
        )
    return n


def _always_on(
    config: dict[str, Any], got: dict[str, Any], inner: int, habits: str
) -> tuple[int, int]:
    """Experts that every token uses, in widths of a routed one, or the width of a block of another
    width.
    """
    names = (
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
    )
    many = got["n_shared_experts"] or int("shared_expert" in habits)
    width = first({name: config[name] for name in names if config.get(name)}, *names)
    width = width or many * inner
    whole = inner > 0 and width % inner == 0
    if got["d_expert"] or not whole:  # of the width of the model, or of no expert's
        return 0, width
    return width // inner, 0


def _dense_layers(config: dict[str, Any], got: dict[str, Any]) -> int:
    """Layers of a mixture of experts that have none."""
    n, start = got["n_layers"], got["n_dense_layers"] or 0
    if kinds := config.get("mlp_layer_types"):
        return sum(kind == "dense" for kind in kinds[:n])
    freq = config.get("moe_layer_freq") or [1]
    if len(freq) > 1:
        if len(freq) < n:
            raise data.TrnError(f"moe_layer_freq: names {len(freq)} layers, n_layers is {n}")
        return freq[:n].count(0)
    if period := config.get("expert_layer_period"):
        offset = config.get("expert_layer_offset", 0)
        return n - sum(i % period == offset for i in range(n))
    steps = (
        "interleave_moe_layer_step",
        "decoder_sparse_step",
        "moe_layer_interval",
        "moe_layer_frequency",
    )
    step = first(config, *steps) or 1
    last = config.get("moe_layer_end_index", -1)
    until = n if last < 0 else min(n, last + 1)
    without = set(config.get("mlp_only_layers") or [])
    routed = [
        i
        for i in range(start, until)
        if (i + 1) % step == 0 and i % (freq[0] or 1) == 0 and i not in without
    ]
    return max(start, n - len(routed))
