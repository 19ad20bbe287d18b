"""What is computed: model shapes, their parameter, FLOP and KV-cache counts, and the jobs that use
them.

One record, `ModelShape`, describes dense and mixture-of-experts transformers. Its fields are
scalars, or arrays of one length (`stack`), and every property is plain NumPy arithmetic, so one
model and a thousand models are the same code.

References
---------- Kaplan et al. 2020, arXiv:2001.08361 (2 FLOP per parameter and token); Narayanan et al.
2021, arXiv:2104.04473, eq. 2 and 3 (parameters and FLOP of a GPT); DeepSeek-V2, arXiv:2405.04434
(multi-head latent attention).
"""

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from trn3 import config_fields, data, layers, model_config
from trn3.bounds import SHOWN, shown
from trn3.units import Array


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """The dimensions of a transformer; every number follows from them.

    Attributes
    ----------
    id, name : str
        Identifier in ``data/models.csv`` (or of the config file) and full name.
    n_layers, d_model, n_heads, n_kv_heads, head_dim : int or ndarray
        Layers, width, attention heads, key/value heads and width of a head (without its rotary part
        in MLA) [-].
    d_ff : int or ndarray
        Inner width of the feed-forward block of dense layers [-].
    gated : bool or ndarray
        Whether the block has a gate (three matrices, SwiGLU) or is plain (two) [-].
    vocab : int or ndarray
        Rows of the embedding [-].
    tied : bool or ndarray
        Whether input and output embedding are one matrix [-].
    n_experts, top_k, n_shared_experts, d_ff_expert : int or ndarray
        Routed experts per layer (0: dense), experts per token, always-on experts, inner width of an
        expert [-].
    n_dense_layers : int or ndarray
        Layers of a mixture-of-experts model that have the dense block of width `d_ff` [-].
    attention : str or ndarray
        ``mha``, ``gqa``, ``mqa`` or ``mla``; for the reader, the counts follow from the numbers.
    kv_lora_rank, q_lora_rank, rope_dim, v_head_dim : int or ndarray
        Ranks of latent attention, its separate rotary width, width of a value head (0: `head_dim`)
        [-].
    window, n_window_layers : int or ndarray
        Length of the attention window and the number of layers that have one [-].
    d_ff_beside : int or ndarray
        Inner width of a dense block beside the experts of a layer, of the full width of the model
        [-].
    d_expert : int or ndarray
        Width of the input and output of a routed expert (0: `d_model`) [-].
    n_mixers_alone : int or ndarray
        Layers without a feed-forward block [-].
    n_positions : int or ndarray
        Rows of a learned position table (0: rotary or none) [-].
    context : int or ndarray
        Longest sequence [-].
    source_id : str or ndarray
        Where the dimensions come from (``data/sources.csv``).
    others : tuple of Layers
        Layers whose attention is not what the fields above say, by kind.
    """

    n_layers: Any
    d_model: Any
    n_heads: Any
    n_kv_heads: Any
    head_dim: Any
    d_ff: Any
    vocab: Any
    gated: Any = False
    tied: Any = False
    n_experts: Any = 0
    top_k: Any = 0
    n_shared_experts: Any = 0
    d_ff_expert: Any = 0
    n_dense_layers: Any = 0
    kv_lora_rank: Any = 0
    q_lora_rank: Any = 0
    rope_dim: Any = 0
    v_head_dim: Any = 0
    window: Any = 0
    n_window_layers: Any = 0
    d_ff_beside: Any = 0
    d_expert: Any = 0
    n_mixers_alone: Any = 0
    n_positions: Any = 0
    context: Any = 0
    attention: Any = "mha"
    id: Any = ""
    name: Any = ""
    source_id: Any = ""
    others: Any = ()

    @property
    def n_plain_layers(self) -> Array:
        """Layers with the attention that the shape's own fields describe, windows included [-]."""
        return self.n_layers - sum(group.n_replaced for group in self.others)

    @property
    def n_moe_layers(self) -> Array:
        """Layers whose feed-forward block is routed [-]."""
        with_block = self.n_layers - self.n_mixers_alone
        return (with_block - self.n_dense_layers) * (self.n_experts > 0)

    @property
    def mixer_share(self) -> Array:
        """Layers with attention or what stands in its place, over all layers [-]."""
        without = sum(g.n_layers * (g.kind == "none") for g in self.others)
        return (self.n_layers - without) / self.n_layers

    @property
    def feed_forward_share(self) -> Array:
        """Layers with a feed-forward block over all layers [-]."""
        return (self.n_layers - self.n_mixers_alone) / self.n_layers

    @property
    def kernel_share(self) -> Array:
        """What launches kernels over that of plain layers, which have a mixer and a feed-forward
        block: a second mixer and an indexer, with products and a choice of its own, count as one
        each [-].
        """
        seconds = sum(g.n_layers * (g.beside * (g.n_params > 0)) for g in self.others)
        indexers = sum(g.n_layers * (g.index_heads > 0) for g in self.others)
        return self.block_share + (seconds + indexers) / (2 * self.n_layers)

    @property
    def block_share(self) -> Array:
        """Mixers and feed-forward blocks over those of plain layers, which have one of each [-]."""
        return (self.mixer_share + self.feed_forward_share) / 2

    @property
    def qk_dim(self) -> Array:
        """Width of one query or key, rotary part included [-]."""
        return self.head_dim + self.rope_dim

    @property
    def v_dim(self) -> Array:
        """Width of one value [-]."""
        return self.v_head_dim + (self.v_head_dim == 0) * self.head_dim

    @property
    def n_ffn_matrices(self) -> Array:
        """Matrices of a feed-forward block: 3 gated, 2 plain [-]."""
        return 2 + 1 * (self.gated != 0)

    @property
    def n_attention_params_per_layer(self) -> Array:
        """Weights of the attention of one layer: query, key, value and output projections [-]."""
        h, a, q = self.d_model, self.n_heads, self.q_lora_rank
        query = (q > 0) * q * (h + a * self.qk_dim) + (q == 0) * h * a * self.qk_dim
        unpacked = self.kv_lora_rank * a * (self.head_dim + self.v_dim)
        return query + h * self._kv_numbers + unpacked + h * a * self.v_dim

    @property
    def d_routed(self) -> Array:
        """Width of what is sent to an expert and comes back [-]."""
        return self.d_expert + (self.d_expert == 0) * self.d_model

    @property
    def n_expert_params(self) -> Array:
        """Weights of one expert [-]."""
        return self.n_ffn_matrices * self.d_routed * self.d_ff_expert

    @property
    def n_beside_params(self) -> Array:
        """Weights beside the experts of a layer: the router, the dense block, and the way into a
        latent width and out of it [-].
        """
        dense = self.n_ffn_matrices * self.d_ff_beside
        return self.d_model * (self.n_experts + dense + 2 * self.d_expert)

    @property
    def n_mixer_params(self) -> Array:
        """Weights of attention, and of what stands in its place, in all layers [-]."""
        plain = self.n_plain_layers * self.n_attention_params_per_layer
        return plain + sum(group.n_layers * group.n_params for group in self.others)

    def _layers(self, n_routed: Any) -> Any:
        """Weights of all layers with `n_routed` routed experts in each routed one."""
        moe = self.n_beside_params + (n_routed + self.n_shared_experts) * self.n_expert_params
        n_dense = self.n_layers - self.n_mixers_alone - self.n_moe_layers
        dense = n_dense * self.n_ffn_matrices * self.d_model * self.d_ff
        return self.n_mixer_params + dense + self.n_moe_layers * moe

    @property
    def n_layer_params(self) -> Array:
        """Matrix weights of all layers, every expert counted [-]."""
        return self._layers(self.n_experts)

    @property
    def n_active_layer_params(self) -> Array:
        """Matrix weights of all layers that one token passes through [-]."""
        return self._layers(self.top_k)

    @property
    def n_head_params(self) -> Array:
        """Weights of the output head, a matrix multiplication even where it is tied [-]."""
        return self.vocab * self.d_model

    @property
    def n_embedding_params(self) -> Array:
        """Weights of input and output embedding and learned positions, a tied matrix counted
        once [-].
        """
        return (self.vocab * (2 - 1 * (self.tied != 0)) + self.n_positions) * self.d_model

    @property
    def n_params(self) -> Array:
        """All parameters; two normalisations per layer and a last one count, biases (below 0.1
        %) do not [-].
        """
        return (
            self.n_layer_params + self.n_embedding_params + (2 * self.n_layers + 1) * self.d_model
        )

    @property
    def n_active_params(self) -> Array:
        """Parameters that one token uses, embeddings included as publishers count them [-]."""
        return self.n_params - self.n_layer_params + self.n_active_layer_params

    @property
    def n_matmul_params(self) -> Array:
        """Weights that one token is multiplied with: active layers and output head [-]."""
        return self.n_active_layer_params + self.n_head_params

    def n_adapter_params(self, rank: Array) -> Array:
        """Weights of low-rank adapters (LoRA) beside the four attention projections.

        r (in + out) for each of them.

        Parameters
        ----------
        rank : float or ndarray
            Rank of the adapters [-].

        Returns
        -------
        float or ndarray
            Weights of all layers [-].

        Notes
        -----
        Latent attention is taken as if it had full projections. Adapters beside the feed-forward
        block, and beside layers without attention, are left out.

        Examples
        --------
        Hu et al. 2021 (arXiv:2106.09685), table 5: GPT-3 with rank 2 beside query, key, value and
        output, 18 million.

        >>> from trn3.workload import model
        >>> int(model("gpt3_175b").n_adapter_params(2) / 1e6)
        18
        """
        h = self.d_model
        query = h + self.n_heads * self.qk_dim
        key, value = h + self.n_kv_heads * self.qk_dim, h + self.n_kv_heads * self.v_dim
        output = self.n_heads * self.v_dim + h
        plain = self.n_plain_layers * rank * (query + key + value + output)
        others = sum(
            group.n_layers
            * (group.n_heads > 0)
            * (4 * h + group.n_heads * group.heads_dim + group.n_cached)
            for group in self.others
        )
        return plain + rank * others

    def attention_flops_per_token(self, seq_len: Array, causal: bool = True) -> Array:
        """Forward FLOP per token of scores and weighted values, `2 a (d_qk + d_v)` per token
        attended, and of what stands in their place.

        Parameters
        ----------
        seq_len : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            Count only the attended half, or the whole square as "full attention" conventions do
            [-].

        Returns
        -------
        float or ndarray
            FLOP per token, all layers.
        """
        cap = np.minimum(self.window, seq_len)
        full, near = (seq_len / 2, cap - cap**2 / (2 * seq_len)) if causal else (seq_len, cap)
        n_full = self.n_plain_layers - self.n_window_layers
        n_attended = n_full * full + self.n_window_layers * near
        plain = 2.0 * self.n_heads * (self.qk_dim + self.v_dim) * n_attended
        return plain + sum(g.n_layers * g.flops_per_token(seq_len, causal) for g in self.others)

    def decode_flops_per_token(self, context: Array) -> Array:
        """FLOP of scores and weighted values for one token that is decoded.

        Of latent attention `2 L a (2 r + r_rope)` per token attended: it is absorbed into the
        query, which costs more than keys and values unpacked, and reads less.

        Parameters
        ----------
        context : float or ndarray
            Tokens in the cache [-].

        Returns
        -------
        float or ndarray
            FLOP, all layers.

        Examples
        --------
        DeepSeek-V3: 61 layers of 128 heads on a latent of 512 + 64 (arXiv:2412.19437).

        >>> from trn3.workload import model
        >>> flops = model("deepseek_v3").decode_flops_per_token(1000)
        >>> float(flops) == 1000 * 2 * 61 * 128 * (2 * 512 + 64)
        True
        """
        plain = dataclasses.replace(self, others=())
        plain = dataclasses.replace(plain, n_layers=self.n_plain_layers)
        whole = plain.attention_flops_per_token(context, causal=False)
        others = sum(group.n_layers * group.decode_flops(context) for group in self.others)
        return np.maximum(self.latent_flops * context, whole) + others

    @property
    def latent_flops(self) -> Array:
        """FLOP of a decode step per token attended of plain layers whose latent is absorbed into
        the query; 0 of other attention [-].
        """
        width = 2 * self.kv_lora_rank + self.rope_dim
        absorbed = 2.0 * self.n_plain_layers * self.n_heads * width
        return absorbed * (self.kv_lora_rank > 0)

    def forward_flops_per_token(self, seq_len: Array, causal: bool = True) -> Array:
        """Forward FLOP per token: `2 N_matmul` and the attention.

        Parameters
        ----------
        seq_len : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            Attention convention, see `attention_flops_per_token` [-].

        Returns
        -------
        float or ndarray
            FLOP per token.
        """
        return 2.0 * self.n_matmul_params + self.attention_flops_per_token(seq_len, causal)

    def train_flops_per_token(self, seq_len: Array, causal: bool = True) -> Array:
        """FLOP per token of forward and backward pass, three times the forward pass, nothing
        recomputed.

        Parameters
        ----------
        seq_len : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            Attention convention, see `attention_flops_per_token` [-].

        Returns
        -------
        float or ndarray
            FLOP per token.
        """
        return 3.0 * self.forward_flops_per_token(seq_len, causal)

    def finetune_flops_per_token(self, seq_len: Array, causal: bool = True) -> Array:
        """FLOP per token of training with the base weights frozen: no gradient of a weight.

        4 N_matmul, forward and the gradient of the inputs, and three times the forward attention.

        Parameters
        ----------
        seq_len : float or ndarray
            Tokens of the sequence [-].
        causal : bool
            Attention convention, see `attention_flops_per_token` [-].

        Returns
        -------
        float or ndarray
            FLOP per token.

        Notes
        -----
        The adapters themselves, below 1 %, are left out.
        """
        attention = self.attention_flops_per_token(seq_len, causal)
        return 4.0 * self.n_matmul_params + 3.0 * attention

    def kv_bytes_per_token(self, kv_bytes: Array = 2.0) -> Array:
        """Key/value cache of one token over all layers, windows not yet full.

        Parameters
        ----------
        kv_bytes : float or ndarray
            Bytes of one cached number [B].

        Returns
        -------
        float or ndarray
            Bytes per token [B].
        """
        plain = self.n_plain_layers * self._kv_numbers
        return (plain + sum(g.n_layers * g.n_cached / g.ratio for g in self.others)) * kv_bytes

    def kv_bytes(self, context: Array, kv_bytes: Array = 2.0) -> Array:
        """Key/value cache of one sequence; layers with a window keep no more than that.

        Parameters
        ----------
        context : float or ndarray
            Tokens in the cache [-].
        kv_bytes : float or ndarray
            Bytes of one cached number [B].

        Returns
        -------
        float or ndarray
            Bytes [B].
        """
        near = self.n_window_layers * np.minimum(context, self.window)
        n = (self.n_plain_layers - self.n_window_layers) * context + near
        others = sum(group.n_layers * group.cached(context) for group in self.others)
        return (n * self._kv_numbers + others) * kv_bytes

    def read_bytes(self, context: Array, kv_bytes: Array = 2.0) -> Array:
        """Cache that a decode step reads of one sequence: what is attended to, and the keys of
        indexers whole.

        Parameters
        ----------
        context : float or ndarray
            Tokens in the cache [-].
        kv_bytes : float or ndarray
            Bytes of one cached number [B].

        Returns
        -------
        float or ndarray
            Bytes [B].

        Examples
        --------
        A plain model reads all that it has cached.

        >>> from trn3.workload import model
        >>> llama = model("llama3_1_8b")
        >>> bool(llama.read_bytes(8192) == llama.kv_bytes(8192))
        True
        """
        unread = sum(g.n_layers * (g.cached(context) - g.read(context)) for g in self.others)
        return self.kv_bytes(context, kv_bytes) - unread * kv_bytes

    @property
    def state_bytes(self) -> Array:
        """States of one sequence over all layers, whatever its length [B]."""
        none = 0.0 * self.n_layers
        return none + sum(group.n_layers * group.state_bytes for group in self.others)

    @property
    def _kv_numbers(self) -> Any:
        """Numbers cached per token and layer."""
        plain = (self.kv_lora_rank == 0) * self.n_kv_heads * (self.head_dim + self.v_dim)
        return plain + self.kv_lora_rank + self.rope_dim


NUMBERS = tuple(field.name for field in dataclasses.fields(ModelShape))[:-5]
"""The fields of a shape that are numbers."""


COUNTS_AGREE = 0.03
"""Share by which a count may differ from the one that is stated: biases and normalisations are not
counted, and a vision tower is not [-]."""
FINETUNE = ("", "full", "lora")
"""What a training run may be: pre-training, fine-tuning of every weight, of adapters."""


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """A training run.

    Attributes
    ----------
    model : ModelShape
        The model.
    tokens : float
        Tokens of the whole run [-].
    seq_len : int
        Tokens of one sequence [-].
    global_batch : int
        Sequences of one step [-].
    dtype : str
        Format of the matrix multiplications.
    finetune : str
        Empty: pre-training. ``full``: every weight is trained on, which costs a step the same.
        ``lora``: the base weights are frozen, low-rank adapters beside the attention projections
        are trained.
    lora_rank : int
        Rank of the adapters [-].
    """

    model: ModelShape
    tokens: float
    seq_len: int
    global_batch: int
    dtype: str = "bf16"
    finetune: str = ""
    lora_rank: int = 16

    def __post_init__(self) -> None:
        """Refuse numbers that are not positive, and a way to fine-tune that is not known."""
        positive("tokens", self.tokens, "tokens")
        positive("seq_len", self.seq_len, "tokens", whole=True)
        positive("global_batch", self.global_batch, "sequences", whole=True)
        positive("lora_rank", self.lora_rank, "", whole=True)
        if self.finetune not in FINETUNE:
            near = difflib.get_close_matches(str(self.finetune), FINETUNE, 1, 0)
            raise data.TrnError(
                f"finetune = {self.finetune!r}: must be empty (pre-training), full or lora"
                + (f"; nearest: {near[0]}" if near and near[0] else "")
            )

    @property
    def frozen(self) -> bool:
        """Whether the base weights stay as they are."""
        return self.finetune == "lora"

    def flops_per_token(self, causal: bool = True) -> Array:
        """FLOP that a token of this run needs, nothing recomputed.

        Parameters
        ----------
        causal : bool
            Attention convention, see `ModelShape.attention_flops_per_token` [-].

        Returns
        -------
        float or ndarray
            FLOP per token.
        """
        if self.frozen:
            return self.model.finetune_flops_per_token(self.seq_len, causal)
        return self.model.train_flops_per_token(self.seq_len, causal)


@dataclasses.dataclass(frozen=True)
class ServingLoad:
    """A serving load with its latency limits.

    Attributes
    ----------
    model : ModelShape
        The model.
    input_tokens, output_tokens : int
        Tokens of a prompt and of an answer [-].
    ttft_s, tpot_s : float
        Longest time to the first token and per further token [s].
    weights_dtype, kv_dtype : str
        Formats of weights and cache.
    requests_per_s : float
        Arrival rate [1/s].
    """

    model: ModelShape
    input_tokens: int
    output_tokens: int
    ttft_s: float = np.inf
    tpot_s: float = np.inf
    weights_dtype: str = "bf16"
    kv_dtype: str = "bf16"
    requests_per_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that are not positive."""
        for field, unit in (
            ("input_tokens", "tokens"),
            ("output_tokens", "tokens"),
            ("ttft_s", "s"),
            ("tpot_s", "s"),
        ):
            positive(field, getattr(self, field), unit)


def positive(field: str, value: Any, unit: str, whole: bool = False) -> None:
    """Refuse a value that is not a positive number.

    Parameters
    ----------
    field : str
        Its name, for the message.
    value : float or ndarray
        The value [any].
    unit : str
        Its unit, for the message.
    whole : bool
        Whether it must be a whole number, of at most 10^12.

    Raises
    ------
    TrnError
        With field, value, unit and what is allowed.

    Examples
    --------
    >>> positive("global_batch", 0, "sequences")
    Traceback (most recent call last):
    trn3.units.TrnError: global_batch = 0 sequences: must be a number above 0
    """
    try:
        number = np.asarray(value, dtype=float)
        fine = (
            number.size > 0
            and np.all(number > 0)
            and not (whole and np.any((number % 1 != 0) | (number > 1e12)))
        )
    except (TypeError, ValueError):
        fine = False
    if not fine:
        given = f"{value}" if len(f"{value}") <= SHOWN else shown(value)
        raise data.TrnError(f"{field} = {given} {unit}: must be a {'whole ' * whole}number above 0")


def stack(shapes: Sequence[ModelShape]) -> ModelShape:
    """Join shapes into one whose fields are arrays.

    Parameters
    ----------
    shapes : sequence of ModelShape
        The shapes, one per element.

    Returns
    -------
    ModelShape
        Fields are arrays of the length of `shapes`.

    Examples
    --------
    >>> stack([model("gpt3_175b"), model("llama2_70b")]).n_params.round(-9)
    array([1.75e+11, 6.90e+10])
    """
    fields = [f.name for f in dataclasses.fields(ModelShape) if f.name != "others"]
    kind = dict.fromkeys(NUMBERS, float)
    most = max((len(shape.others) for shape in shapes), default=0)
    padded = [[*shape.others, *[layers.NONE] * most][:most] for shape in shapes]
    return ModelShape(
        **{f: np.array([getattr(s, f) for s in shapes], dtype=kind.get(f)) for f in fields},
        others=tuple(layers.stack(list(groups)) for groups in zip(*padded, strict=True)),
    )


def with_known(shape: ModelShape, names: Sequence[str]) -> ModelShape:
    """Shapes of runs, those of models with layers of other kinds as the model is known.

    Parameters
    ----------
    shape : ModelShape
        Stacked, as the dimensions of the runs say.
    names : sequence of str
        Model of each; one that is not known, or has no such layers, stays as it is.

    Returns
    -------
    ModelShape
        Stacked; the same where no model has layers of other kinds.

    Examples
    --------
    >>> plain = stack([model("llama3_1_8b")] * 2)
    >>> with_known(plain, ["llama3_1_8b", "glm_5"]).n_params.round(-9)
    array([8.00e+09, 7.44e+11])
    """
    known = {name: _with_others(name) for name in dict.fromkeys(names)}
    if not any(known.values()):
        return shape
    each = [known[name] for name in names]
    found = {
        field: np.array([getattr(m, field) if m else old for m, old in zip(each, olds)])
        for field in NUMBERS
        for olds in [np.broadcast_to(getattr(shape, field), len(each))]
    }
    groups = stack([m or NOTHING for m in each]).others
    return dataclasses.replace(shape, **found, others=groups)


NOTHING = ModelShape(0, 0, 0, 0, 0, 0, 0)
"""No model: stands in a stack for one that has no groups of layers."""


def _with_others(name: str) -> ModelShape | None:
    """A model that is known and has layers of other kinds."""
    try:
        found = model(name)
    except data.TrnError:
        return None
    return found if found.others else None


def by_kind(shape: ModelShape) -> dict[str, int]:
    """How many layers of each kind a model has.

    Parameters
    ----------
    shape : ModelShape
        The model.

    Returns
    -------
    dict
        Number by the words of `layers.KINDS`; layers with two mixers count under both.

    Examples
    --------
    >>> by_kind(model("gpt_oss_120b"))
    {'full attention': 18, 'windows of attention': 18}
    """
    whole = "latent" if shape.kv_lora_rank else "full"
    counts = {whole: shape.n_plain_layers - shape.n_window_layers, "window": shape.n_window_layers}
    for group in shape.others:
        counts[group.kind] = counts.get(group.kind, 0) + group.n_layers
    return {layers.KINDS[kind]: int(n) for kind, n in counts.items() if n}


@data.kept
def models() -> dict[str, ModelShape]:
    """All models of ``data/models.csv``.

    Returns
    -------
    dict
        Identifier to shape.

    Examples
    --------
    >>> models()["llama3_1_8b"].n_kv_heads
    8
    """
    return {r["id"]: _listed(r) for r in data.rows("models")}


def _listed(row: dict[str, Any]) -> ModelShape:
    """The shape of a row, its layers of other kinds from the fields of its published file."""
    text = ("id", "name", "attention", "source_id")
    numbers = {k: 0 if np.isnan(row[k]) else int(row[k]) for k in NUMBERS}
    shape = ModelShape(**numbers, **{k: row[k] for k in text})
    if not row["config"]:
        return shape
    file = data.DATA / "models" / f"{row['config']}.json"
    found, _ = from_config(model_config.read(str(file)), row["id"])
    return dataclasses.replace(shape, others=found.others)


def _key(text: str) -> str:
    """Letters and digits only, so that Llama-3.3-70B and llama3_3_70b are one."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@data.kept
def _names() -> dict[str, str]:
    """Every accepted spelling to its identifier."""
    rows = data.rows("models")
    full = {_key(r["name"]): r["id"] for r in rows}
    return full | {_key(name): r["id"] for r in rows for name in (r["id"], *r["aliases"].split())}


_VARIANTS = frozenset(
    [
        "instruct",
        "it",
        "chat",
        "base",
        "hf",
        "thinking",
        "pt",
        "preview",
        "fp8",
        "bf16",
        "fp16",
        "fp4",
        "nvfp4",
        "mxfp4",
        "int8",
        "int4",
        "w4a16",
        "w8a8",
        "awq",
        "gptq",
        "gguf",
        "dynamic",
        "quantized",
        "kv",
    ]
)
"""Last words of a hub id that say how a model was tuned or stored, not what shape it has."""
_RELEASE = re.compile(r"v\d+(\.\d+)*|\d{4}")
"""A release or a month, as in v0.1 and 0528."""


def _hub_name(text: str) -> str:
    """The model of a hub id: without its owner, and without how it was tuned or stored."""
    words = re.split("[-_ ]", text.rpartition("/")[2].lower())
    while len(words) > 1 and (words[-1] in _VARIANTS or _RELEASE.fullmatch(words[-1])):
        words.pop()
    return "".join(words[1:] if words[0] == "meta" else words)


def _is_file(text: str) -> bool:
    """Whether there is such a file; what is no path is none."""
    try:
        return pathlib.Path(text).is_file()
    except OSError:
        return False


def model(text: str) -> ModelShape:
    """Find a model by identifier, alias, hub id or path of a Hugging Face ``config.json``.

    Parameters
    ----------
    text : str
        Such as ``llama3_3_70b``, ``Llama-3.3-70B``, ``meta-llama/Llama-3.3-70B-Instruct`` or
        ``my/config.json``.

    Returns
    -------
    ModelShape
        The shape.

    Raises
    ------
    UnknownId
        Where nothing has that name; the nearest ones are named.
    TrnError
        Where a file is not understood. With the environment variable TRN3_ALLOW_UNKNOWN=1 fields
        that are not modelled are left out, and the name of the model says which.

    Examples
    --------
    >>> round(model("Llama-3.3-70B").n_params / 1e9, 2)
    70.55
    >>> model("llama3_70")
    Traceback (most recent call last):
    trn3.data.UnknownId: unknown model 'llama3_70': ...
    """
    names = _names()
    for spelling in (text.removeprefix("hf:"), _hub_name(text)):
        if found := names.get(_key(spelling)):
            return models()[found]
    if text.endswith(".json") or _is_file(text):
        called = _called(text)
        allow = model_config.unknown_allowed()
        shape, unplaced = from_config(model_config.read(text), called, text, allow)
        stamp = f" (not modelled: {', '.join(unplaced)})" if unplaced else ""
        return dataclasses.replace(shape, name=f"“{called}”{stamp}")
    near = list(
        dict.fromkeys(names[k] for k in difflib.get_close_matches(_key(text), names, 4, 0.5))
    )
    hint = f"nearest: {', '.join(near)}"
    if not near:
        known = list(models())
        hint = f"known: {', '.join(known[:8])} and {len(known) - 8} more of data/models.csv"
    raise data.UnknownId(
        f"unknown model {shown(text)}: {hint}; or the path of a Hugging Face config.json"
    )


def _called(path: str) -> str:
    """What to call the model of a file: a page need not name the folders of its reader.

    A ``config.json`` is called as its folder, any other file as itself.
    """
    file = pathlib.Path(path)
    plain = file.stem.lower() == "config" and file.parent.name
    return file.parent.name if plain else file.stem


def from_config(
    config: dict[str, Any], id: str = "config", name: str = "", allow_unknown: bool = False
) -> tuple[ModelShape, list[str]]:
    """Read a Hugging Face ``config.json``.

    Parameters
    ----------
    config : dict
        The parsed file.
    id, name : str
        What to call the model.
    allow_unknown : bool
        Read the rest where the structure of the model is not understood in full.

    Returns
    -------
    tuple of ModelShape and list of str
        The shape, and the fields that could change the counts and were not understood.

    Raises
    ------
    TrnError
        Where a needed field is missing or is not a number, where a field that could change the
        counts is not understood, and where the count contradicts ``params_b`` [1e9] of the file.

    Examples
    --------
    >>> fields = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    >>> fields |= {"intermediate_size": 128, "vocab_size": 100, "hyper_connections": 3}
    >>> shape, unplaced = from_config(fields, allow_unknown=True)
    >>> shape.n_params, unplaced
    (95040, ['hyper_connections'])
    """
    found, unplaced = model_config.dimensions(config, name or id, allow_unknown)
    shape = ModelShape(id=id, name=name or id, source_id="user_config", **found)
    stated = config_fields.checked({"params_b": config.get("params_b")}).get("params_b")
    if stated is not None:
        counted = shape.n_params / 1e9
        if abs(counted / stated - 1) > COUNTS_AGREE:
            raise data.TrnError(
                f"model config {name or id}: params_b = {stated} billion: "
                f"the other fields give {counted:.4g} billion"
            )
    return shape, unplaced
