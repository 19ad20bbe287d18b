r"""Layers that are not a transformer's plain attention, by kind: weights, cache, state, operations.

A model is its plain layers, which `trn3.workload.ModelShape` counts, and groups of others. A group
is a `Layers` record, made by the function of its kind below; its fields are scalars, or arrays of
one length where models are stacked. Letters:

======  ===========================================================
letter  meaning
======  ===========================================================
D       width of the model
H, K    heads of queries, and of keys and values
d       width of a head
I       inner width of a state-space layer
N       width of its state
c       length of a causal convolution
======  ===========================================================

References
----------
Gu and Dao 2023, arXiv:2312.00752 (Mamba); Dao and Gu 2024, arXiv:2405.21060 (Mamba-2); Yang et al.
2024, arXiv:2412.06464 (gated delta rule); De et al. 2024, arXiv:2402.19427 (Griffin); DeepSeek-AI
2025, arXiv:2512.02556 (sparse attention with an indexer).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from trn3.units import Array

KINDS = {
    "full": "full attention",
    "window": "windows of attention",
    "latent": "latent attention",
    "sparse": "sparse attention with an indexer",
    "compressed": "attention over a compressed cache",
    "linear": "linear attention",
    "state-space": "state-space layers",
    "recurrent": "recurrent layers",
    "convolution": "convolutions",
    "none": "feed-forward blocks alone",
}
"""Kinds of layers, and what a page calls them."""

STATE_FLOPS = 6.0
"""Operations of a token per number of a state: it decays, an outer product is added, it is read."""

STATE_BYTES, CONVOLUTION_BYTES = 4.0, 2.0
"""Bytes of a number of a recurrent state, kept at 32 bits, and of the inputs of a convolution."""


@dataclass(frozen=True)
class Layers:
    """Layers of one kind; what is said of one holds for each.

    Attributes
    ----------
    kind : str or ndarray
        One of `KINDS`.
    n_layers : int or ndarray
        How many [-].
    n_params : int or ndarray
        Weights of the mixer of one layer, its feed-forward block not counted [-].
    n_heads, qk_dim, v_dim : int or ndarray
        Attention heads, width of a query and of a value; 0 without attention [-].
    decode_dim : int or ndarray
        Width of the products per head and token attended while decoding, where that is not
        `qk_dim + v_dim`: 2 r + r_rope of a latent that is absorbed into the query [-].
    n_cached : int or ndarray
        Numbers that are cached per entry [-].
    ratio : int or ndarray
        Tokens that share an entry of the cache [-].
    window : int or ndarray
        Most tokens that are cached and attended; 0: all [-].
    reach : int or ndarray
        Most entries that are attended of those cached; 0: all [-].
    index_heads, index_dim : int or ndarray
        Heads of the indexer that chooses them, and their width [-].
    n_state, n_convolved : int or ndarray
        Numbers per sequence of the recurrent state, and of inputs that a convolution looks back to
        [-].
    beside : bool or ndarray
        Whether the mixer stands beside the attention of a layer rather than in its place.
    """

    kind: Any
    n_layers: Any
    n_params: Any = 0
    n_heads: Any = 0
    qk_dim: Any = 0
    v_dim: Any = 0
    decode_dim: Any = 0
    n_cached: Any = 0
    ratio: Any = 1
    window: Any = 0
    reach: Any = 0
    index_heads: Any = 0
    index_dim: Any = 0
    n_state: Any = 0
    n_convolved: Any = 0
    beside: Any = False

    @property
    def heads_dim(self) -> Array:
        """Width of a query and of a value together [-]."""
        return self.qk_dim + self.v_dim

    @property
    def n_replaced(self) -> Array:
        """Layers whose plain attention is not there [-]."""
        return self.n_layers * (1 - 1 * (self.beside != 0))

    def attended(self, context: Array, causal: bool = False) -> Array:
        """Entries of the cache that a token attends to: the mean of min(i, c) over i where causal.

        Parameters
        ----------
        context : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            The mean over the tokens of a sequence rather than its last one [-].

        Returns
        -------
        float or ndarray
            Entries [-].

        Examples
        --------
        An indexer that picks 2,048 of 131,072 tokens.

        >>> float(Layers("sparse", 1, reach=2048).attended(131072))
        2048.0
        """
        entries = context / np.asarray(self.ratio, dtype=float)
        most = np.minimum(_or_all(self.window), _or_all(self.reach))
        seen = np.minimum(most, entries)
        return seen - seen**2 / (2 * entries) if causal else seen

    def flops_per_token(self, context: Array, causal: bool = False) -> Array:
        """Operations of a token beside the weights: scores and weighted values, the indexer, the
        recurrence.

        2 H (d_qk + d_v) per entry attended, 2 H_i d_i per entry that is there, 6 per number of a
        state.

        Parameters
        ----------
        context : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            See `attended` [-].

        Returns
        -------
        float or ndarray
            Operations of one layer [FLOP].

        Examples
        --------
        Narayanan et al. 2021, eq. 2: 4 D per token attended, here of a width of 12,288.

        >>> float(Layers("full", 1, n_heads=96, qk_dim=128, v_dim=128).flops_per_token(1))
        49152.0
        """
        scores = 2.0 * self.n_heads * self.heads_dim * self.attended(context, causal)
        return scores + self._beside_scores(context, causal)

    def decode_flops(self, context: Array) -> Array:
        """The same for a token that is decoded, a latent absorbed into its query.

        Parameters
        ----------
        context : float or ndarray
            Tokens of the sequence [-].

        Returns
        -------
        float or ndarray
            Operations of one layer [FLOP].
        """
        width = np.maximum(self.decode_dim, self.heads_dim)
        scores = 2.0 * self.n_heads * width * self.attended(context)
        return scores + self._beside_scores(context, False)

    def _beside_scores(self, context: Array, causal: bool) -> Array:
        """Operations of the indexer, which scores every entry, and of the recurrence."""
        entries = context / np.asarray(self.ratio, dtype=float)
        scored = entries / 2 if causal else entries
        return 2.0 * self.index_heads * self.index_dim * scored + STATE_FLOPS * self.n_state

    def cached(self, context: Array) -> Array:
        """Numbers that one layer caches of a sequence.

        Parameters
        ----------
        context : float or ndarray
            Tokens of the sequence [-].

        Returns
        -------
        float or ndarray
            Numbers [-].
        """
        return self.n_cached * np.minimum(_or_all(self.window), context) / self.ratio

    def read(self, context: Array) -> Array:
        """Numbers of the cache of one layer that a decode step reads: entries attended, and the
        keys of the indexer of all.

        Parameters
        ----------
        context : float or ndarray
            Tokens of the sequence [-].

        Returns
        -------
        float or ndarray
            Numbers [-].

        Examples
        --------
        With 2,048 entries of 576 picked by an indexer of width 128 at 131,072 tokens.

        >>> chosen = Layers("sparse", 1, n_cached=576 + 128, reach=2048, index_dim=128)
        >>> float(chosen.read(131072)) == 2048 * 576 + 131072 * 128
        True
        """
        scored = self.index_dim * np.asarray(context) / self.ratio
        return (self.n_cached - self.index_dim) * self.attended(context) + scored

    @property
    def state_bytes(self) -> Array:
        """State of one sequence in one layer, whatever its length [B]."""
        return STATE_BYTES * self.n_state + CONVOLUTION_BYTES * self.n_convolved


def _or_all(most: Any) -> Any:
    """A limit, infinite where it is 0."""
    return np.where(np.asarray(most) > 0, most, np.inf)


NONE = Layers("none", 0)
"""No layers: stands in a stack beside a model that has more groups."""


def stack(groups: list[Layers]) -> Layers:
    """Groups of several models as one whose fields are arrays.

    Parameters
    ----------
    groups : list of Layers
        One of each model.

    Returns
    -------
    Layers
        Fields are arrays of the length of `groups`.

    Examples
    --------
    >>> stack([NONE, convolution(2, 64, 3)]).n_params
    array([    0., 16576.])
    """
    kind = {"kind": None, "beside": bool}
    return Layers(
        **{
            field.name: np.array(
                [getattr(group, field.name) for group in groups], dtype=kind.get(field.name, float)
            )
            for field in fields(Layers)
        }
    )


# ------------------------------------------------------------------------------ kinds of attention
def attention(
    n_layers: int,
    d_model: int,
    n_heads: int,
    n_kv_heads: int,
    head_dim: int,
    v_head_dim: int = 0,
    window: int = 0,
    gate: bool = False,
    one_matrix: bool = False,
) -> Layers:
    """Attention with keys and values of its own: D (H d_qk + K (d_qk + d_v) + H d_v) weights.

    Parameters
    ----------
    n_layers, d_model, n_heads, n_kv_heads, head_dim : int
        Layers, D, H, K and d [-].
    v_head_dim : int
        Width of a value head; 0: `head_dim` [-].
    window : int
        Tokens that it sees; 0: all [-].
    gate : bool
        Whether its output is gated, by D H d_v weights more.
    one_matrix : bool
        Whether one matrix makes keys and values.

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    Gemma 4 26B, of width 2,816: its global layers have 16 heads of 512, and one matrix for keys and
    values of 2 heads.

    >>> attention(5, 2816, 16, 2, 512, one_matrix=True).n_params
    49020928
    """
    v_dim = v_head_dim or head_dim
    matrices = head_dim if one_matrix else head_dim + v_dim
    out = n_heads * v_dim * (1 + gate)
    return Layers(
        "window" if window else "full",
        n_layers,
        n_params=d_model * (n_heads * head_dim + n_kv_heads * matrices + out),
        n_heads=n_heads,
        qk_dim=head_dim,
        v_dim=v_dim,
        n_cached=n_kv_heads * (head_dim + v_dim),
        window=window,
    )


def latent(
    n_layers: int, d_model: int, n_heads: int, head_dim: int, v_head_dim: int, ranks: dict[str, int]
) -> Layers:
    """Multi-head latent attention: keys and values unpacked from a cached latent of rank r.

    r_q (D + H (d + r_rope)) + D (r + r_rope) + r H (d + d_v) + H d_v D weights; r + r_rope numbers
    cached.

    Parameters
    ----------
    n_layers, d_model, n_heads, head_dim, v_head_dim : int
        Layers, D, H, d without the rotary part, and d_v [-].
    ranks : dict
        Of the ``query`` (0: none) and of the ``cache``, and the width of the ``rotary`` part [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    DeepSeek-V3 (arXiv:2412.19437, section 4.2): 128 heads of 128 on latents of 1,536 and 512.

    >>> ranks = {"query": 1536, "cache": 512, "rotary": 64}
    >>> one = latent(61, 7168, 128, 128, 128, ranks)
    >>> one.n_params, one.n_cached
    (187105280, 576)
    """
    query, rank, rotary = ranks["query"], ranks["cache"], ranks["rotary"]
    qk_dim = head_dim + rotary
    queries = query * (d_model + n_heads * qk_dim) if query else d_model * n_heads * qk_dim
    unpacked = rank * n_heads * (head_dim + v_head_dim)
    return Layers(
        "latent",
        n_layers,
        n_params=queries + d_model * (rank + rotary) + unpacked + n_heads * v_head_dim * d_model,
        n_heads=n_heads,
        qk_dim=qk_dim,
        v_dim=v_head_dim,
        decode_dim=2 * rank + rotary,
        n_cached=rank + rotary,
    )


def indexed(
    group: Layers, d_model: int, query_width: int, index_heads: int, index_dim: int, reach: int
) -> Layers:
    """Attention to the entries that an indexer scores highest.

    The indexer has H_i d_i query weights per number that its queries are made of, and D (d_i + H_i)
    for keys and the weights of its heads; it caches d_i numbers more.

    Parameters
    ----------
    group : Layers
        The attention without the indexer.
    d_model, query_width : int
        D, and the numbers that the queries of the indexer are made of [-].
    index_heads, index_dim : int
        H_i and d_i [-].
    reach : int
        Entries that it picks [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    DeepSeek-V3.2 (arXiv:2512.02556): 64 heads of 128 on a query of rank 1,536 add 14 million
    weights to a layer.

    >>> latent = Layers("latent", 61, n_cached=576)
    >>> chosen = indexed(latent, 7168, 1536, 64, 128, 2048)
    >>> chosen.n_params, chosen.n_cached
    (13959168, 704)
    """
    weights = query_width * index_heads * index_dim + d_model * (index_dim + index_heads)
    return replace(
        group,
        kind="sparse" if group.kind in ("full", "latent") else group.kind,
        n_params=group.n_params + weights,
        n_cached=group.n_cached + index_dim,
        reach=reach,
        index_heads=index_heads,
        index_dim=index_dim,
    )


def compressed(
    n_layers: int, d_model: int, n_heads: int, head_dim: int, ratio: int, ranks: dict[str, int]
) -> Layers:
    """Attention to a cache of one key, its own value, per `ratio` tokens.

    Queries come from a low rank, outputs go to one in groups; keys and their weights in the mean
    over the tokens of an entry take 2 D d weights, twice that where entries overlap (short ratios).

    Parameters
    ----------
    n_layers, d_model, n_heads, head_dim : int
        Layers, D, H and d [-].
    ratio : int
        Tokens that share an entry [-].
    ranks : dict
        Of the ``query``, and ``output`` and the number of its ``groups`` [-].

    Returns
    -------
    Layers
        The group, without indexer and window.

    Examples
    --------
    DeepSeek-V4-Pro: 30 layers of 4 tokens to an entry; at 1,048,576 tokens 7.5 GiB at 16 bits.

    >>> ranks = {"query": 1536, "output": 1024, "groups": 16}
    >>> group = compressed(30, 7168, 128, 512, 4, ranks)
    >>> float(group.n_layers * group.cached(2**20) * 2 / 2**30)
    7.5
    """
    query, groups = ranks["query"], ranks["groups"]
    overlapping = 2 if ratio < OVERLAPPING_BELOW else 1
    keys = d_model * head_dim * (1 + 2 * overlapping)
    heads = n_heads * head_dim
    output = heads * ranks["output"] + groups * ranks["output"] * d_model
    return Layers(
        "compressed",
        n_layers,
        n_params=query * (d_model + heads) + keys + output,
        n_heads=n_heads,
        qk_dim=head_dim,
        v_dim=head_dim,
        n_cached=head_dim,
        ratio=ratio,
    )


OVERLAPPING_BELOW = 8
"""Tokens of an entry below which entries overlap [-]."""


# ------------------------------------------------------------------------------- kinds with a state
def mamba(n_layers: int, d_model: int, inner: int, state: int, rank: int, length: int) -> Layers:
    """Selective state-space layers: D 3 I weights, I (r + 2 N) + r I for the steps, I (N + c).

    Parameters
    ----------
    n_layers, d_model, inner, state : int
        Layers, D, I and N [-].
    rank : int
        Rank r of the step sizes [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    Mamba 2.8B (Gu and Dao 2023): 64 layers of width 2,560 beside 50,280 embeddings.

    >>> one = mamba(64, 2560, 5120, 16, 160, 4)
    >>> round((64 * one.n_params + 50280 * 2560) / 1e9, 2)
    2.77
    """
    steps = inner * (rank + 2 * state) + rank * inner
    return Layers(
        "state-space",
        n_layers,
        n_params=3 * d_model * inner + steps + inner * (state + length),
        n_state=inner * state,
        n_convolved=inner * (length - 1),
    )


def mamba2(
    n_layers: int, d_model: int, n_heads: int, head_dim: int, state: int, groups: int, length: int
) -> Layers:
    """State-space layers with one decay per head: D (3 I + 2 G N + H) weights, and c (I + 2 G N).

    Parameters
    ----------
    n_layers, d_model, n_heads, head_dim, state : int
        Layers, D, heads H of width d, so that I = H d, and N [-].
    groups : int
        Groups of heads that share the in- and output matrices of the state [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    Mamba-2 2.7B (Dao and Gu 2024): 64 layers of width 2,560 with 80 heads of 64.

    >>> one = mamba2(64, 2560, 80, 64, 128, 1, 4)
    >>> round((64 * one.n_params + 50280 * 2560) / 1e9, 2)
    2.7
    """
    inner = n_heads * head_dim
    mixed = inner + 2 * groups * state
    return Layers(
        "state-space",
        n_layers,
        n_params=d_model * (2 * inner + mixed + n_heads) + mixed * length,
        n_state=inner * state,
        n_convolved=mixed * (length - 1),
    )


def delta_rule(
    n_layers: int, d_model: int, n_key_heads: int, n_heads: int, dims: tuple[int, int], length: int
) -> Layers:
    """Linear attention by the gated delta rule: queries, keys, values, an output gate, two gates
    of the state, the output.

    Parameters
    ----------
    n_layers, d_model, n_key_heads, n_heads : int
        Layers, D, heads of queries and keys, and of values [-].
    dims : tuple of int
        Width of a key and of a value [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    Qwen3.5-27B: states of 48 heads of 128 x 128 in 48 layers, 151 MB per sequence at 32 bits.

    >>> group = delta_rule(48, 5120, 16, 48, (128, 128), 4)
    >>> round(4 * 48 * group.n_state / 1e6)
    151
    """
    keys, values = n_key_heads * dims[0], n_heads * dims[1]
    mixed = 2 * keys + values
    return Layers(
        "linear",
        n_layers,
        n_params=d_model * (mixed + values + 2 * n_heads + values) + mixed * length,
        n_state=n_heads * dims[0] * dims[1],
        n_convolved=mixed * (length - 1),
    )


def kimi_delta(n_layers: int, d_model: int, n_heads: int, head_dim: int, length: int) -> Layers:
    """The delta rule with a gate per channel of the state, from a low rank as the output gate.

    4 D H d weights of queries, keys, values and output, and 2 (D + H d) d of the gates.

    Parameters
    ----------
    n_layers, d_model, n_heads, head_dim : int
        Layers, D, H and d [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    References
    ----------
    Moonshot AI 2025, Kimi Linear, arXiv:2510.26692.

    Examples
    --------
    >>> kimi_delta(20, 2304, 32, 128, 4).n_state == 32 * 128 * 128
    True
    """
    inner = n_heads * head_dim
    gates = 2 * (d_model + inner) * head_dim + d_model * n_heads
    return Layers(
        "linear",
        n_layers,
        n_params=4 * d_model * inner + gates + 3 * inner * length,
        n_state=inner * head_dim,
        n_convolved=3 * inner * (length - 1),
    )


def lightning(n_layers: int, d_model: int, n_heads: int, head_dim: int) -> Layers:
    """Linear attention with a fixed decay per head and a gated output: 5 D H d weights.

    Parameters
    ----------
    n_layers, d_model, n_heads, head_dim : int
        Layers, D, H and d [-].

    Returns
    -------
    Layers
        The group.

    References
    ----------
    MiniMax 2025, MiniMax-01, arXiv:2501.08313.

    Examples
    --------
    >>> lightning(70, 6144, 64, 128).n_params == 5 * 6144 * 8192
    True
    """
    inner = n_heads * head_dim
    return Layers("linear", n_layers, n_params=5 * d_model * inner, n_state=inner * head_dim)


def gated_recurrence(n_layers: int, d_model: int, width: int, blocks: int, length: int) -> Layers:
    """Recurrent blocks of Griffin: 3 D w weights, two gates in diagonal blocks of w^2 / b, w c.

    Parameters
    ----------
    n_layers, d_model, width : int
        Layers, D and w [-].
    blocks : int
        Blocks b of each gate [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    >>> gated_recurrence(26, 4096, 4096, 16, 4).n_state
    4096
    """
    gates = 2 * width * width // blocks
    return Layers(
        "recurrent",
        n_layers,
        n_params=3 * d_model * width + gates + width * length,
        n_state=width,
        n_convolved=width * (length - 1),
    )


def convolution(n_layers: int, d_model: int, length: int) -> Layers:
    """Short convolutions gated on both sides: 4 D^2 weights and D c.

    Parameters
    ----------
    n_layers, d_model : int
        Layers and D [-].
    length : int
        c [-].

    Returns
    -------
    Layers
        The group.

    Examples
    --------
    >>> convolution(18, 2048, 3).n_params == 4 * 2048**2 + 3 * 2048
    True
    """
    return Layers(
        "convolution",
        n_layers,
        n_params=4 * d_model * d_model + d_model * length,
        n_convolved=d_model * length,
    )
