"""Reading a Hugging Face ``config.json``: which field says which dimension of a model.

The fields and what they mean are the table ``data/config_fields.csv``, what each may hold is
``data/bounds.csv``; `workload.from_config` makes a `ModelShape` of what is read here.
"""

import dataclasses
import fnmatch
import json
import os
import re
from typing import Any

from trn3 import data
from trn3.bounds import Bound, bounds, shown, text_of


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
    config = _in_one_spelling(_language_part(config))
    _refuse_other_kinds(config)
    unplaced = _not_understood(config)
    if unplaced and not allow_unknown:
        first, *others = unplaced.values()
        also = f" (nor: {', '.join([*unplaced][1:5])})" if others else ""
        raise data.TrnError(f"{first}, not modelled here{also}; {_WAY_OUT}")
    habit = _habit(_checked({"model_type": config.get("model_type")}).get("model_type", ""))
    told = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", habit)} | _checked(config)
    got = {
        field: _first(told, *names)
        for field, names in _fields().items()
        if field not in ("inferred", "no_effect")
    }
    for field in (name for name, bound in bounds("config").items() if bound.needed):
        if got[field] is None:
            raise data.TrnError(f"needs one of {', '.join(_fields()[field])}")
    shape = {k: v for k, v in got.items() if v is not None} | _inferred(told, got, habit)
    _check(shape)
    for name, field in _table("same").items():
        own = shape.get(field) or shape["head_dim"]
        if config.get(name) and config[name] != own:
            unplaced[name] = _said(name, config[name], _meaning(name))
            if not allow_unknown:
                raise data.TrnError(f"{unplaced[name]}, not modelled here; {_WAY_OUT}")
    return shape, sorted(unplaced)


LANGUAGE_PARTS = ("text_config", "llm_config", "language_config")
"""Where models that see or hear keep the part that writes."""
_WAY_OUT = "with --allow-unknown the rest is read, and the page says so"
_LAYERS = ("layer_types", "layers_block_type", "block_types")
_KNOWN_LAYERS = re.compile("(full|sliding|chunked|global|local)(_attention)?|attention")


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
    what = _table("not_a_decoder").get(name) if isinstance(name, str) else None
    if what is None and config.get("is_encoder_decoder") is True:
        what = "an encoder with a decoder"
    if what:
        asked = "only decoders with attention are modelled here"
        raise data.TrnError(f"model_type = {shown(name)}: is {what}; {asked}")


def _in_one_spelling(config: dict[str, Any]) -> dict[str, Any]:
    """The config with what is said per layer said in one way.

    A list of one value per layer that are all equal becomes that value; patterns of windows become
    ``layer_types``.
    """
    found = dict(config)
    names = _fields()["n_layers"]
    n = _first(_checked({name: config.get(name) for name in names}), *names) or 0
    for name in (k for k, bound in _known().items() if bound and bound.kind == "whole"):
        value = found.get(name)
        alike = isinstance(value, list) and len(value) == n and value.count(value[0]) == n
        if alike and isinstance(value, list):
            found[name] = value[0]
    freq = found.get("moe_layer_freq")
    if isinstance(freq, int):
        found["moe_layer_freq"] = [freq] if freq else None
    kinds: list[str] = []
    pattern = found.get("sliding_window_pattern")
    if isinstance(pattern, str) and re.fullmatch("[LG]+", pattern):
        del found["sliding_window_pattern"]
        kinds = [{"L": "local", "G": "global"}[pattern[i % len(pattern)]] for i in range(n)]
    if mask := _checked({"hybrid_layer_pattern": found.get("hybrid_layer_pattern")}):
        kinds = ["local" if near else "global" for near in mask["hybrid_layer_pattern"]]
    if mask := _checked({"attn_type_list": found.pop("attn_type_list", None)}):
        full = mask["attn_type_list"]
        kinds = ["full_attention" if one else "linear_attention" for one in full]
    if isinstance(found.get("attention_types"), list):
        kinds = _unrolled(found["attention_types"])
    if kinds and not found.get("layer_types"):
        found["layer_types"] = kinds
    return found


def _unrolled(groups: list[Any]) -> list[str]:
    """Kinds of all layers of GPT-Neo's groups: kinds, and how often they repeat."""
    try:
        kinds = [kind for names, count in groups for kind in list(names) * min(count, 10**4)]
    except (TypeError, ValueError):
        kinds = []
    if not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise data.TrnError(
            f"attention_types = {shown(groups)}: must be a list of kinds and how often they repeat"
        )
    return kinds


def _not_understood(config: dict[str, Any]) -> dict[str, str]:
    """Fields that could change the counts and are not understood, each with a line that says so."""
    found = {}
    for field in _LAYERS:
        kinds = config.get(field)
        if not isinstance(kinds, list):
            continue
        kinds = dataclasses.replace(bounds("config")["layer_types"], field=field).read(kinds)
        odd = [kind for kind in kinds if not _KNOWN_LAYERS.fullmatch(kind)]
        if odd:
            several = [f"{odd.count(kind)} are {kind}" for kind in dict.fromkeys(odd)]
            found[field] = f"{field}: of {len(kinds)} layers {' and '.join(several)}"
    unknown: dict[str, Any] = {}
    for field, value in config.items():
        off = value in (None, False, "", [], {}, "none")
        if off or field in found or field in _table("same") or _is_known(field):
            continue
        meaning = _meaning(field)
        (found if meaning else unknown)[field] = _said(field, value, meaning or "an unknown field")
    return found | unknown


def _said(field: str, value: Any, meaning: str) -> str:
    """A field, its value and what it means, in a line."""
    return f"{shown(field)[1:-1]} = {shown(value)}: {meaning}"


def _is_known(field: str) -> bool:
    """Whether a field is read, or is known to change no count."""
    names = [name for group in _fields().values() for name in group]
    return field in names or any("*" in n and fnmatch.fnmatchcase(field, n) for n in names)


def _meaning(field: str) -> str:
    """What a field of a structure that is not modelled means; empty where that is not known."""
    rows = _table("structure").items()
    return next((what for name, what in rows if fnmatch.fnmatchcase(field, name)), "")


def unknown_allowed() -> bool:
    """Whether the environment variable TRN3_ALLOW_UNKNOWN lets files be read in part.

    Returns
    -------
    bool
        True where it is 1.
    """
    return os.environ.get("TRN3_ALLOW_UNKNOWN") == "1"


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
    found = config.get("quantization_config")
    if not isinstance(found, dict):
        return ""
    words = f"{found.get('quant_method')} {found.get('quant_algo')}".lower()
    named = re.search("nvfp4|mxfp4|fp8", words)
    if named:
        return named[0]
    bits = found.get("bits") or (4 if found.get("load_in_4bit") else 0)
    return {4: "int4", 8: "int8"}.get(bits, "") if isinstance(bits, int) else ""


@data.kept
def _table(kind: str) -> dict[str, str]:
    """Rows of one kind of the table: name to meaning."""
    return {r["name"]: r["meaning"] for r in data.rows("config_fields") if r["kind"] == kind}


def _habit(model_type: str) -> str:
    """What the class of the model does without saying so in the file."""
    return _table("model_type").get(model_type, "")


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """The fields that count, typed and within their bounds; null is not there."""
    return {
        name: dataclasses.replace(bound, field=name).read(config[name])
        for name, bound in _known().items()
        if bound and config.get(name) is not None
    }


@data.kept
def _known() -> dict[str, Bound | None]:
    """What each field that is read may hold."""
    limits = bounds("config")
    known: dict[str, Bound | None] = {}
    for meaning, names in _fields().items():
        known |= {name: limits.get(meaning) or limits.get(name) for name in names}
    return known


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


@data.kept
def _fields() -> dict[str, list[str]]:
    """Fields of a config by what they mean, in the order of preference."""
    rows = sorted(
        (r for r in data.rows("config_fields") if r["kind"] == "field"),
        key=lambda r: int(r["rank"]),
    )
    return {
        r["meaning"]: [other["name"] for other in rows if other["meaning"] == r["meaning"]]
        for r in rows
    }


def _first(config: dict[str, Any], *names: str) -> Any:
    """The first of several fields that is there."""
    return next((config[name] for name in names if name in config), None)


def _inferred(config: dict[str, Any], got: dict[str, Any], habits: str) -> dict[str, Any]:
    """What a config leaves to the model's class, by the class's defaults."""
    h, a = got["d_model"], got["n_heads"]
    kv = got["n_kv_heads"] or (1 if config.get("multi_query") else a)
    d_ff = got["d_ff"]
    if d_ff is None:
        d_ff = config.get("expansion_ratio", 4) * h
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
            f"needs one of {', '.join(_fields()['top_k'])}"
        )
    if got["n_experts"]:
        inner = got["d_ff_expert"] or _first(config, "intermediate_size", "ffn_hidden_size")
        inner = inner or d_ff
        out |= {
            "d_ff_expert": inner,
            "n_shared_experts": _shared_experts(config, got, inner, habits),
            "n_dense_layers": _dense_layers(config, got),
        }
    return out


def _window_layers(config: dict[str, Any], got: dict[str, Any], habits: str) -> int:
    """Layers whose attention sees a window; a window that no field places is refused."""
    n = got["n_layers"]
    if not got["window"] or config.get("use_sliding_window") == 0:
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


def _shared_experts(config: dict[str, Any], got: dict[str, Any], inner: int, habits: str) -> int:
    """Experts that every token uses, in widths of a routed one."""
    names = (
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
    )
    name = next((name for name in names if config.get(name)), "")
    if not name:
        return got["n_shared_experts"] or int("shared_expert" in habits)
    if config[name] % inner:
        raise data.TrnError(
            f"{name} = {config[name]}: must be a multiple of the width of an expert, {inner}"
        )
    return config[name] // inner


def _dense_layers(config: dict[str, Any], got: dict[str, Any]) -> int:
    """Layers of a mixture of experts that have none."""
    n, first = got["n_layers"], got["n_dense_layers"] or 0
    if kinds := config.get("mlp_layer_types"):
        return sum(kind == "dense" for kind in kinds[:n])
    freq = config.get("moe_layer_freq") or [1]
    if len(freq) > 1:
        if len(freq) < n:
            raise data.TrnError(f"moe_layer_freq: names {len(freq)} layers, n_layers is {n}")
        return freq[:n].count(0)
    steps = (
        "interleave_moe_layer_step",
        "decoder_sparse_step",
        "moe_layer_interval",
        "moe_layer_frequency",
    )
    step = _first(config, *steps) or 1
    last = config.get("moe_layer_end_index", -1)
    until = n if last < 0 else min(n, last + 1)
    without = set(config.get("mlp_only_layers") or [])
    routed = [
        i
        for i in range(first, until)
        if (i + 1) % step == 0 and i % (freq[0] or 1) == 0 and i not in without
    ]
    return max(first, n - len(routed))
