"""Reading a Hugging Face ``config.json``: which field says which dimension of a model.

The fields and what they mean are the table ``data/config_fields.csv``, what each may hold is
``data/bounds.csv``; `workload.from_config` makes a `ModelShape` of what is read here.
"""

import dataclasses
import json
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


def dimensions(config: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """The dimensions of the model of a config.

    Parameters
    ----------
    config : dict
        The parsed file.
    name : str
        What to call the model in a message.

    Returns
    -------
    tuple of dict and list of str
        Fields of `workload.ModelShape`, and the fields of the config that could change the counts
        and were not understood.

    Raises
    ------
    TrnError
        Where a needed field is missing or is not a number.

    Examples
    --------
    >>> small = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    >>> small |= {"vocab_size": 100, "hyper_connections": 3}
    >>> found, unplaced = dimensions(small, "small")
    >>> found["head_dim"], found["d_ff"], unplaced
    (16, 256, ['hyper_connections'])
    """
    if not isinstance(config, dict):
        raise data.TrnError(f"model config {name}: must be a JSON object")
    try:
        return _placed(config)
    except data.TrnError as error:
        raise data.TrnError(f"model config {name}: {error}") from None


def _placed(config: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The dimensions, and what could not be placed."""
    inner = config.get("text_config")
    if inner is not None and not isinstance(inner, dict):
        raise data.TrnError(f"text_config = {shown(inner)}: must be a JSON object")
    outside = (
        {k for k in config if k.endswith("_config") and k != "text_config"} if inner else set()
    )
    config = inner or config
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
    types = told.get("layer_types", [])
    odd = {f"layer_types: {t}" for t in types if not re.search("full|sliding|chunked", t)}
    known = {key for names in _fields().values() for key in names}
    return shape, sorted((set(config) - known) | outside | odd)


def _habit(model_type: str) -> str:
    """What the class of the model does without saying so in the file."""
    habits = {
        r["name"]: r["meaning"] for r in data.rows("config_fields") if r["kind"] == "model_type"
    }
    return habits.get(model_type, "")


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """The fields that count, typed and within their bounds; null is not there."""
    known: dict[str, Bound | None] = {}
    limits = bounds("config")
    for meaning, names in _fields().items():
        known |= {name: limits.get(meaning) or limits.get(name) for name in names}
    return {
        name: dataclasses.replace(bound, field=name).read(config[name])
        for name, bound in known.items()
        if bound and config.get(name) is not None
    }


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
    n, h, a = got["n_layers"], got["d_model"], got["n_heads"]
    kv = got["n_kv_heads"] or (1 if config.get("multi_query") else a)
    d_ff = got["d_ff"]
    if d_ff is None:
        d_ff = config.get("expansion_ratio", 4) * h
    out = {
        "n_kv_heads": kv,
        "head_dim": got["head_dim"] or h // a,
        "d_ff": d_ff,
        "gated": int("plain" not in habits),
    }
    out["attention"] = (
        "mla" if got["kv_lora_rank"] else "mha" if kv == a else "mqa" if kv == 1 else "gqa"
    )
    out["tied"] = int("tied" in habits) if got["tied"] is None else got["tied"]
    out["n_positions"] = (got["context"] or 0) if "positions" in habits else 0
    types, step = config.get("layer_types"), config.get("sliding_window_pattern") or n + 1
    near = sum("sliding" in t or "chunked" in t for t in types) if types else n - n // step
    used = config.get("use_sliding_window") != 0
    out["n_window_layers"] = near if got["window"] and used else 0
    if got["n_experts"]:
        inner = got["d_ff_expert"] or _first(config, "intermediate_size", "ffn_hidden_size")
        inner = inner or d_ff
        step = config.get("interleave_moe_layer_step") or config.get("decoder_sparse_step") or 1
        shared = (config.get("shared_expert_intermediate_size") or 0) // inner
        shared = shared or int("shared_expert" in habits)
        out |= {"d_ff_expert": inner, "n_shared_experts": got["n_shared_experts"] or shared}
        out["n_dense_layers"] = (
            got["n_dense_layers"] or len(config.get("mlp_only_layers") or []) or n - n // step
        )
    return out
