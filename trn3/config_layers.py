"""Layers by kind of a Hugging Face ``config.json``: which layer is of which kind, and how wide.

A file says the kinds in one of many ways; `spelled` brings them to one, a word for each layer, and
`read` makes the groups of `trn3.layers` from the fields of each kind. A kind whose fields are not
there is not guessed.
"""

import dataclasses
from collections import Counter
from typing import Any

from trn3 import data, layers
from trn3.bounds import shown
from trn3.config_fields import checked, first, named
from trn3.layers import Layers

WORDS = {
    "full": "full full_attention attention global global_attention",
    "window": "sliding sliding_attention chunked chunked_attention local local_attention window",
    "linear": "linear linear_attention lightning_attention kda",
    "state-space": "mamba mamba2 ssm",
    "recurrent": "recurrent",
    "convolution": "conv convolution",
    "experts": "moe",
    "block": "mlp",
}
"""Words of configurations for each kind; the last two are feed-forward blocks without a mixer."""

LETTERS = {"M": "mamba", "E": "moe", "*": "attention", "-": "mlp", "L": "local", "G": "global"}
"""Letters of patterns, one for each layer."""

KINDS = {word: kind for kind, words in WORDS.items() for word in words.split()}


# ------------------------------------------------------------------- which layer is of which kind
def spelled(config: dict[str, Any], habits: dict[str, int], n: int) -> list[str]:
    """A word for each layer, from whichever field says so.

    Parameters
    ----------
    config : dict
        Fields of the file.
    habits : dict
        What the class of the model does without saying so.
    n : int
        Layers [-].

    Returns
    -------
    list of str
        Words; empty where no field says it.

    Examples
    --------
    Jamba: attention in the fifth of eight layers.

    >>> spelled({"attn_layer_period": 8, "attn_layer_offset": 4}, {}, 8).index("attention")
    4
    >>> spelled({"hybrid_override_pattern": "ME*E"}, {}, 4)
    ['mamba', 'moe', 'attention', 'moe']
    """
    told = checked({name: config.get(name) for name in _SAYING})
    if words := told.get("layer_types") or told.get("layers_block_type"):
        return list(words)
    if words := told.get("block_types") or told.get("_block_types"):
        return [words[i % len(words)] for i in range(n)]
    if text := told.get("hybrid_override_pattern"):
        return _letters("hybrid_override_pattern", text)
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, str):
        return [_letters("sliding_window_pattern", pattern)[i % len(pattern)] for i in range(n)]
    if mask := told.get("hybrid_layer_pattern"):
        return ["local" if near else "global" for near in mask]
    if mask := told.get("attn_type_list"):
        return ["full_attention" if full else "linear_attention" for full in mask]
    if isinstance(config.get("attention_types"), list):
        return _unrolled(config["attention_types"])
    if period := told.get("attn_layer_period"):
        offset = told.get("attn_layer_offset", 0)
        return ["attention" if i % period == offset else "mamba" for i in range(n)]
    if places := told.get("full_attn_idxs"):
        return ["full_attention" if i in places else "conv" for i in range(n)]
    if places := told.get("attn_layer_indices"):
        return ["attention" if i in places else "mamba" for i in range(n)]
    if step := told.get("full_attention_interval") or habits.get("full_attention_interval"):
        return ["linear_attention" if (i + 1) % step else "full_attention" for i in range(n)]
    return []


_SAYING = (
    "layer_types",
    "layers_block_type",
    "block_types",
    "_block_types",
    "hybrid_override_pattern",
    "hybrid_layer_pattern",
    "attn_type_list",
    "attn_layer_period",
    "attn_layer_offset",
    "attn_layer_indices",
    "full_attn_idxs",
    "full_attention_interval",
)


def _letters(field: str, text: str) -> list[str]:
    """Words of a pattern of letters."""
    odd = sorted({letter for letter in text if letter not in LETTERS})
    if odd or not text:
        known = ", ".join(f"{letter} {word}" for letter, word in LETTERS.items())
        raise data.TrnError(f"{field} = {shown(text)}: each letter must be one of {known}")
    return [LETTERS[letter] for letter in text]


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


def opened(config: dict[str, Any]) -> dict[str, Any]:
    """The fields of a config with nested parts about layers laid open, as far as they are plain.

    Parameters
    ----------
    config : dict
        Fields of the file.

    Returns
    -------
    dict
        The same, ``linear_attn_config`` and ``sparse_attention_config`` as fields of their own;
        what holds more than is understood stays as it is.

    Examples
    --------
    >>> inner = {"kda_layers": [1], "full_attn_layers": [2], "num_heads": 4, "head_dim": 16}
    >>> opened({"linear_attn_config": inner})["layer_types"]
    ['linear_attention', 'full_attention']
    """
    found = dict(config)
    linear = found.get("linear_attn_config")
    if isinstance(linear, dict) and {*linear} <= _KDA and _numbers(linear, "kda_layers"):
        del found["linear_attn_config"]
        delta = linear["kda_layers"]
        n = len(delta) + len(linear.get("full_attn_layers") or [])
        kinds = ["linear_attention" if i + 1 in delta else "full_attention" for i in range(n)]
        found |= {"layer_types": kinds, "kda_heads": linear.get("num_heads")}
        found |= {
            "kda_head_dim": linear.get("head_dim"),
            "kda_length": linear.get("short_conv_kernel_size"),
        }
    sparse = found.get("sparse_attention_config")
    if isinstance(sparse, dict) and sparse.get("use_sparse_attention") is True:
        blocks, size = sparse.get("sparse_topk_blocks"), sparse.get("sparse_block_size")
        if isinstance(blocks, int) and isinstance(size, int):
            del found["sparse_attention_config"]
            found |= {
                "index_topk": blocks * size,
                "index_n_heads": sparse.get("sparse_num_index_heads"),
                "index_head_dim": sparse.get("sparse_index_dim"),
                "index_layers": sparse.get("sparse_attention_freq"),
            }
    return found


_KDA = {"kda_layers", "full_attn_layers", "num_heads", "head_dim", "short_conv_kernel_size"}


def _numbers(part: dict[str, Any], field: str) -> bool:
    """Whether a field is a list of whole numbers."""
    value = part.get(field)
    return isinstance(value, list) and all(isinstance(each, int) for each in value)


# ---------------------------------------------------------------------------- groups of each kind
@dataclasses.dataclass
class Asked:
    """The fields of a file, and the meanings that were asked for.

    Attributes
    ----------
    told : dict
        Fields, typed.
    meanings : set of str
        What was asked for: those fields are understood.
    """

    told: dict[str, Any]
    meanings: set[str] = dataclasses.field(default_factory=set)

    def has(self, *meanings: str) -> bool:
        """Whether the file says any of several things.

        Parameters
        ----------
        *meanings : str
            As in the rows ``mixer``.

        Returns
        -------
        bool
            True where it does.
        """
        return any(self._value(meaning) is not None for meaning in meanings)

    def get(self, meaning: str, otherwise: Any = None) -> Any:
        """What the file says.

        Parameters
        ----------
        meaning : str
            As in the rows ``mixer``.
        otherwise : Any
            What the class of the model takes where it does not.

        Returns
        -------
        Any
            The value.

        Raises
        ------
        TrnError
            Where the file does not say it, and nothing stands in.
        """
        self.meanings.add(meaning)
        value = self._value(meaning)
        if value is None and otherwise is None:
            raise data.TrnError(f"needs one of {', '.join(named('mixer')[meaning])}")
        return otherwise if value is None else value

    def _value(self, meaning: str) -> Any:
        return first(self.told, *named("mixer")[meaning])


@dataclasses.dataclass(frozen=True)
class Found:
    """The layers by kind.

    Attributes
    ----------
    fields : dict
        Fields of `workload.ModelShape`.
    meanings : set of str
        Meanings of the fields that are understood by it.
    odd : list of str
        Words of layers that are not.
    """

    fields: dict[str, Any]
    meanings: set[str]
    odd: list[str]


def read(told: dict[str, Any], words: list[str], shape: dict[str, Any], habit: str) -> Found:
    """The layers of a model that are not its plain ones.

    Parameters
    ----------
    told : dict
        Fields of the file, typed.
    words : list of str
        A word for each layer, as `spelled` gives them.
    shape : dict
        Dimensions of the plain layers, by fields of `workload.ModelShape`.
    habit : str
        Words for what the class of the model does.

    Returns
    -------
    Found
        What differs from the plain shape.

    Raises
    ------
    TrnError
        Where a kind of layer is there and its dimensions are not.

    Examples
    --------
    >>> shape = {"n_layers": 2, "d_model": 64, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16}
    >>> found = read({"conv_L_cache": 3}, ["conv", "attention"], shape, "")
    >>> [(group.kind, group.n_layers) for group in found.fields["others"]]
    [('convolution', 1)]
    """
    n, asked = shape["n_layers"], Asked(told)
    if words and len(words) < n:
        raise data.TrnError(f"layer_types: names {len(words)} layers, n_layers is {n}")
    odd = [word for word in words[:n] if word not in KINDS]
    counts = Counter(KINDS.get(word, "full") for word in words[:n])
    groups: list[Layers] = []
    if counts["linear"]:
        group = _linear(asked, counts["linear"], shape, habit)
        odd += [] if group else [word for word in words[:n] if KINDS.get(word) == "linear"]
        groups += [group] if group else []
    if "both_mixers" in habit:
        groups.append(dataclasses.replace(_state_space(asked, n, shape), beside=True))
    elif counts["state-space"]:
        groups.append(_state_space(asked, counts["state-space"], shape))
    if counts["recurrent"]:
        asked.meanings.add("lru_no_effect")
        d, length = shape["d_model"], asked.get("lru_length", 4)
        width = asked.get("lru_width", d)
        blocks = shape["n_heads"]
        groups.append(layers.gated_recurrence(counts["recurrent"], d, width, blocks, length))
    if counts["convolution"]:
        asked.meanings.add("conv_no_effect")
        length = asked.get("conv_length")
        groups.append(layers.convolution(counts["convolution"], shape["d_model"], length))
    fields: dict[str, Any] = {}
    alone = counts["experts"] + counts["block"]
    if alone:
        groups.append(Layers("none", alone))
        fields |= {"n_mixers_alone": n - alone, "n_dense_layers": counts["block"]}
    replaced = sum(group.n_layers for group in groups if not group.beside)
    groups += _attention(asked, n - replaced, shape, fields, habit)
    return Found(fields | {"others": tuple(groups)}, asked.meanings, odd)


def _linear(asked: Asked, n: int, shape: dict[str, Any], habit: str) -> Layers | None:
    """Layers of linear attention; none where no field says of which sort."""
    asked.meanings.add("linear_no_effect")
    d = shape["d_model"]
    if "lightning" in habit:
        return layers.lightning(n, d, shape["n_heads"], shape["head_dim"])
    if asked.has("kda_heads"):
        width = asked.get("kda_head_dim", shape["head_dim"])
        return layers.kimi_delta(n, d, asked.get("kda_heads"), width, asked.get("kda_length", 4))
    if asked.has("linear_value_heads"):
        heads = asked.get("linear_value_heads")
        dims = asked.get("linear_key_dim"), asked.get("linear_value_dim")
        keys, length = asked.get("linear_key_heads", heads), asked.get("linear_length", 4)
        return layers.delta_rule(n, d, keys, heads, dims, length)
    return None


def _state_space(asked: Asked, n: int, shape: dict[str, Any]) -> Layers:
    """State-space layers: of Mamba-2 where the file says how many heads they have."""
    asked.meanings |= {"ssm_no_effect", "ssm_expand", "ssm_inner", "ssm_rank"}
    d, state, length = shape["d_model"], asked.get("ssm_state"), asked.get("ssm_length", 4)
    if not asked.has("ssm_heads"):
        inner = asked.get("ssm_expand", 2) * d
        rank = asked.get("ssm_rank", -(-d // STEP_RANK))
        return layers.mamba(n, d, inner, state, rank, length)
    heads = asked.get("ssm_heads")
    inner = asked.get("ssm_inner", asked.get("ssm_expand", 2) * d)
    head_dim = asked.get("ssm_head_dim", inner // heads)
    return layers.mamba2(n, d, heads, head_dim, state, asked.get("ssm_groups", 1), length)


STEP_RANK = 16
"""Width of the model over the rank of Mamba's step sizes, where a file leaves it to the class."""


def _attention(
    asked: Asked, n: int, shape: dict[str, Any], fields: dict[str, Any], habit: str
) -> list[Layers]:
    """Layers of attention that the plain fields do not describe; changes `fields` where windows
    are among them.
    """
    d, near = shape["d_model"], shape.get("n_window_layers") or 0
    gate = "output_gate" in habit or bool(asked.told.get("attn_output_gate"))
    if "compressed" in habit:
        fields["n_window_layers"] = 0
        return _compressed(asked, n, shape)
    groups = []
    own_windows = ("window_heads", "window_kv_heads", "window_head_dim", "window_v_head_dim")
    asked.meanings |= {*own_windows, "window_no_effect"}
    if near and (gate or asked.has(*own_windows)):
        names = ("n_heads", "n_kv_heads", "head_dim", "v_head_dim")
        heads, kv_heads, width, v_dim = (
            asked.get(own, shape.get(name) or 0)
            for own, name in zip(own_windows, names, strict=True)
        )
        window = shape["window"]
        groups.append(layers.attention(near, d, heads, kv_heads, width, v_dim, window, gate))
        fields["n_window_layers"] = 0
    full = n - near
    indexed = asked.has("index_reach")
    if not full or not (gate or indexed or asked.has(*_GLOBAL)):
        return groups
    group = _whole(asked, full, shape, gate)
    if not indexed:
        return [*groups, group]
    asked.meanings |= {"index_no_effect", "index_layers"}
    chosen = asked.told.get("index_layers") or [1] * full
    n_chosen = sum(1 for each in chosen[: shape["n_layers"]] if each)
    if n_chosen > full:
        raise data.TrnError(f"index_layers: {n_chosen} of {full} layers of full attention")
    some = dataclasses.replace(group, n_layers=n_chosen)
    rest = [dataclasses.replace(group, n_layers=full - n_chosen)] if n_chosen < full else []
    return [*groups, *rest, _indexed(asked, some, shape)]


_GLOBAL = ("full_head_dim", "full_kv_heads", "one_kv_matrix")


def _whole(asked: Asked, n: int, shape: dict[str, Any], gate: bool) -> Layers:
    """Layers that see all tokens."""
    d, heads = shape["d_model"], shape["n_heads"]
    if shape.get("kv_lora_rank"):
        ranks = {
            "query": shape.get("q_lora_rank") or 0,
            "cache": shape["kv_lora_rank"],
            "rotary": shape.get("rope_dim") or 0,
        }
        v_dim = shape.get("v_head_dim") or shape["head_dim"]
        return layers.latent(n, d, heads, shape["head_dim"], v_dim, ranks)
    width = asked.get("full_head_dim", shape["head_dim"])
    kv_heads = asked.get("full_kv_heads", shape["n_kv_heads"])
    one_matrix = bool(asked.get("one_kv_matrix", 0))
    v_dim = 0 if asked.has("full_head_dim") else shape.get("v_head_dim") or 0
    return layers.attention(n, d, heads, kv_heads, width, v_dim, gate=gate, one_matrix=one_matrix)


def _indexed(asked: Asked, group: Layers, shape: dict[str, Any]) -> Layers:
    """The same with the indexer of the file, whose queries come from those of latent attention."""
    query_width = shape.get("q_lora_rank") or shape["d_model"]
    heads, width = asked.get("index_heads"), asked.get("index_dim")
    return layers.indexed(
        group, shape["d_model"], query_width, heads, width, asked.get("index_reach")
    )


def _compressed(asked: Asked, n: int, shape: dict[str, Any]) -> list[Layers]:
    """Layers over a compressed cache, those of short entries with an indexer, and the window that
    each has beside it.
    """
    asked.meanings |= {"compress_no_effect", "index_no_effect"}
    ratios = asked.get("compress_ratios")[:n]
    if len(ratios) < n:
        raise data.TrnError(f"compress_ratios: names {len(ratios)} layers, n_layers is {n}")
    window = shape.get("window")
    if not window:
        raise data.TrnError(f"needs one of {', '.join(named()['window'])}")
    ranks = {
        "query": shape.get("q_lora_rank") or 0,
        "output": asked.get("out_rank"),
        "groups": asked.get("out_groups"),
    }
    d, heads, width = shape["d_model"], shape["n_heads"], shape["head_dim"]
    groups = []
    for ratio, count in sorted(Counter(ratios).items()):
        group = layers.compressed(count, d, heads, width, max(ratio, 1), ranks)
        if ratio == 0:
            group = dataclasses.replace(group, kind="window", window=window)
        short = 0 < ratio < layers.OVERLAPPING_BELOW
        groups.append(_indexed(asked, group, shape) if short else group)
    near = Layers(
        "window",
        n - ratios.count(0),
        n_heads=heads,
        qk_dim=width,
        v_dim=width,
        n_cached=width,
        window=window,
        beside=True,
    )
    return [*groups, near]
