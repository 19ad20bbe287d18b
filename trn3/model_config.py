"""Reading a Hugging Face ``config.json``: which field says which dimension of a model.

The fields and what they mean are the table ``data/config_fields.csv``; `workload.from_config`
makes a `ModelShape` of what is read here.
"""

import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from trn3 import data


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
    try:
        return dict(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise data.TrnError(f"model config {path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise data.TrnError(
            f"model config {path}: cannot be read as a JSON object ({error})"
        ) from None


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
    try:
        return _placed(config, name)
    except data.TrnError:
        raise
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise data.TrnError(
            f"model config {name}: a field has the wrong kind of value ({error})"
        ) from None


def _placed(config: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """The dimensions, and what could not be placed."""
    outside = [k for k in config if "text_config" in config and re.search("(?<!^text)_config$", k)]
    config = config.get("text_config") or config
    habits = {
        r["name"]: r["meaning"] for r in data.rows("config_fields") if r["kind"] == "model_type"
    }
    habit = habits.get(str(config.get("model_type", "")), "")
    config = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", habit)} | config
    got = {
        field: _first(config, names)
        for field, names in _fields().items()
        if field not in ("inferred", "no_effect")
    }
    for field in ("n_layers", "d_model", "n_heads", "vocab"):
        if not got[field]:
            raise data.TrnError(f"model config {name}: needs one of {', '.join(_fields()[field])}")
    most = [
        ("n_experts", "top_k", "must be at most"),
        ("n_layers", "n_dense_layers", "must be at most"),
    ]
    for big, small, rule in (("n_heads", "n_kv_heads", "must divide"), *most):
        many, few = got[big] or 0, got[small] or 1
        if many and (many % few if rule == "must divide" else many < few):
            raise data.TrnError(f"model config {name}: {small} = {few}: {rule} {big} = {many}")
    shape = {k: v for k, v in got.items() if v is not None} | _inferred(config, got, habit)
    odd = {
        f"layer_types: {t}"
        for t in config.get("layer_types") or ()
        if not re.search("full|sliding|chunked", t)
    }
    unplaced = (
        set(config) - {key for names in _fields().values() for key in names} | set(outside) | odd
    )
    return shape, sorted(unplaced)


@functools.lru_cache(8)
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


def _first(config: dict[str, Any], names: Sequence[str]) -> int | None:
    """The first field that is there, as a number."""
    for key in names:
        if (value := config.get(key)) is not None:
            if not isinstance(value, (int, float)) or value != value // 1 or value < 0:
                raise data.TrnError(
                    f"model config field {key} = {value!r}: must be a whole number, 0 or more"
                )
            return int(value)
    return None


def _inferred(config: dict[str, Any], got: dict[str, Any], habits: str) -> dict[str, Any]:
    """What a config leaves to the model's class, by the class's defaults."""
    n, h, a = got["n_layers"], got["d_model"], got["n_heads"]
    kv = got["n_kv_heads"] or (1 if config.get("multi_query") else a)
    d_ff = got["d_ff"] or (_first(config, ["expansion_ratio"]) or 4) * h
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
    types, step = config.get("layer_types"), _first(config, ["sliding_window_pattern"]) or n + 1
    near = sum("sliding" in t or "chunked" in t for t in types) if types else n - n // step
    out["n_window_layers"] = near if got["window"] and config.get("use_sliding_window", True) else 0
    if got["n_experts"]:
        inner = (
            got["d_ff_expert"] or _first(config, ["intermediate_size", "ffn_hidden_size"]) or d_ff
        )
        step = _first(config, ["interleave_moe_layer_step", "decoder_sparse_step"]) or 1
        shared = (_first(config, ["shared_expert_intermediate_size"]) or 0) // inner or int(
            "shared_expert" in habits
        )
        out |= {"d_ff_expert": inner, "n_shared_experts": got["n_shared_experts"] or shared}
        out["n_dense_layers"] = (
            got["n_dense_layers"] or len(config.get("mlp_only_layers") or []) or n - n // step
        )
    return out
