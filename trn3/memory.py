"""Memory of a chip in training: weights, gradients, optimizer and activations, for any number of
layouts at once. The letters are those of `trn3.training_step`.

Activations follow Korthikanti et al. 2022 (arXiv:2205.05198, table 2), split into what every
tensor-parallel rank keeps and what they share, so that grouped queries, gated and routed
feed-forward blocks count too; the states of ZeRO follow Rajbhandari et al. 2020 (arXiv:1910.02054).
Fields of a layout broadcast, each on its own axis.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from trn3 import data, hardware, layouts, ties, workload
from trn3.layouts import FULL, NONE, Layouts
from trn3.units import GIB, Array
from trn3.workload import ModelShape, TrainingJob

WEIGHT_BYTES, GRADIENT_BYTES, OPTIMIZER_BYTES = 2, 4, 12
"""Bytes per parameter of mixed-precision Adam: 16-bit weight, 32-bit gradient, 32-bit weight and
two moments.
"""


class DoesNotFit(data.TrnError):
    """No layout fits the memory; says what is largest and what would fit."""


@dataclass(frozen=True)
class Memory:
    """Memory of the fullest chip by cause.

    Attributes
    ----------
    weights, gradients, optimizer, activations : float or ndarray
        Bytes, each on the axes that it depends on [B].
    """

    weights: Array
    gradients: Array
    optimizer: Array
    activations: Array

    @property
    def total(self) -> Array:
        """All causes together [B]."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def reason(self, hbm_bytes: float) -> str:
        """Say what a layout needs and what of.

        Parameters
        ----------
        hbm_bytes : float
            Memory of a chip [B].

        Returns
        -------
        str
            Such as ``needs 93 GiB of 80 GiB: activations 48, optimizer 30, gradients 10, weights
            5``.

        Examples
        --------
        >>> Memory(5 * GIB, 10 * GIB, 30 * GIB, 48 * GIB).reason(80 * GIB)
        'needs 93 GiB of 80 GiB: activations 48, optimizer 30, gradients 10, weights 5'
        """
        kinds = ("weights", "gradients", "optimizer", "activations")
        causes = {k: float(np.max(getattr(self, k))) / GIB for k in kinds}
        parts = ", ".join(f"{k} {v:,.0f}" for k, v in sorted(causes.items(), key=lambda kv: -kv[1]))
        return f"needs {sum(causes.values()):,.0f} GiB of {hbm_bytes / GIB:,.0f} GiB: {parts}"


def layer_activation_bytes(
    shape: ModelShape, seq_len: Array, layout: Layouts, unfused: Array = 1.0
) -> Array:
    """Activations that one layer keeps per token for the backward pass.

    8 D / t_s + (2 (A + K)(H_qk + H_v) + 2 n F) / t, with t_s = t under sequence
    parallelism, else 1, and n matrices in the feed-forward block; 2 D / t_s with full recompute.
    Separate attention kernels keep the scores, 5 A S / t, and the dropout of their time two masks,
    2 D / t_s: of a GPT with a plain block of 4 D that is D (10 + 24 / t + 5 A S / (D t)).

    Parameters
    ----------
    shape : ModelShape
        The model.
    seq_len : float or ndarray
        Tokens of a sequence [-].
    layout : Layouts
        Uses `tp`, `sequence_parallel` and `recompute`.
    unfused : float or ndarray
        1 where attention stores its scores and dropout its masks, 0 for flash kernels, which keep
        no scores, in models trained without dropout [-].

    Returns
    -------
    float or ndarray
        Bytes per token [B].

    Notes
    -----
    A gated block keeps three inner tensors, a plain one two; each routed expert a copy of its
    input and output.

    Examples
    --------
    Table 2 of Korthikanti et al.: 34 s b h / t with tensor and sequence parallelism and
    selective recompute.

    >>> from trn3.layouts import Layouts
    >>> from trn3.workload import model
    >>> m = model("gpt_22b")
    >>> lay = Layouts(tp=8, recompute=1, sequence_parallel=1)
    >>> float(layer_activation_bytes(m, 2048, lay) * 8 / m.d_model)
    34.0
    """
    h, a, k = shape.d_model, shape.n_heads, shape.n_kv_heads
    ranks = np.where(layout.sequence_parallel, layout.tp, 1)
    # of width D, in bytes: inputs of both normalisations (2 + 2), of the first product of attention
    # and of the feed-forward block (2 + 2); and two dropout masks (1 + 1)
    outer = (8 * h + 2 * h * unfused) * shape.block_share
    # queries and the output of attention; keys and values
    attention = 2 * a * (shape.qk_dim + shape.v_dim) + 2 * k * (shape.qk_dim + shape.v_dim)
    # of other mixers, what their products make
    others = sum(group.n_layers * group.n_params for group in shape.others)
    mixed = 2 * others / h
    attention = (attention * shape.n_plain_layers + mixed) / shape.n_layers
    routed = shape.n_moe_layers / shape.n_layers
    alone = shape.n_mixers_alone / shape.n_layers
    n_experts = shape.top_k + shape.n_shared_experts
    width = (1 - routed - alone) * shape.d_ff + routed * n_experts * shape.d_ff_expert
    width = width + routed * shape.d_ff_beside
    # input and output of the activation, the gate beside them
    inner = 2 * shape.n_ffn_matrices * width
    copies = 4 * shape.d_routed * routed * shape.top_k
    # of a score: softmax (2), dropout mask (1), dropped scores (2)
    stored = np.where(layout.recompute == NONE, unfused, 0.0)
    scores = 5 * a * seq_len * stored
    kept = outer / ranks + (attention + inner + copies + scores) / layout.tp
    # full recompute keeps the input of the layer
    return np.where(layout.recompute == FULL, 2 * h / ranks, kept)


def rank_params(shape: ModelShape, layout: Layouts) -> tuple[Array, Array]:
    """Parameters of a rank: those that it computes with, and its shard of them in a group of data
    and context ranks.

    Parameters
    ----------
    shape : ModelShape
        The model.
    layout : Layouts
        Uses `tp`, `pp`, `dp`, `cp`, `ep` and `replicas`.

    Returns
    -------
    tuple of float or ndarray
        Whole and shard [-].

    Notes
    -----
    Spread evenly over the stages. Routed experts are spread over `ep` of the data and context ranks
    already, so that fewer ranks share each.

    Examples
    --------
    Rajbhandari et al. 2020, figure 1: the states of 64 ranks are sharded 64 ways.

    >>> from trn3.workload import model
    >>> whole, shard = rank_params(model("llama2_7b"), Layouts(dp=64))
    >>> float(whole / shard)
    64.0
    """
    ranks = layout.shards
    routed = shape.n_moe_layers * shape.n_experts * shape.n_expert_params
    dense = shape.n_params - routed
    split = layout.tp * layout.pp
    whole = (dense + routed / layout.ep) / split
    return whole, (dense / ranks + routed / np.maximum(ranks, layout.ep)) / split


def in_flight(layout: Layouts, global_batch: Array) -> Array:
    """Microbatches whose activations the first stage of a pipeline keeps.

    min(p, m), times 1 + (p - 1) / (p v) with v > 1 chunks per stage.

    Parameters
    ----------
    layout : Layouts
        Uses `pp`, `dp`, `micro_batch` and `interleave`.
    global_batch : float or ndarray
        Sequences of a step [-].

    Returns
    -------
    float or ndarray
        Microbatches, each of all layers of the stage [-].

    Examples
    --------
    Korthikanti et al. 2022, section 4.2.3: p microbatches of L / p layers, 1 + (p - 1) / (p v)
    times as much when interleaved; with 8 stages and 3 chunks 8 + 7 / 3.

    >>> kept = in_flight(Layouts(pp=8, interleave=np.array([1, 3])), 64)
    >>> kept.round(3).tolist()
    [8.0, 10.333]
    """
    pp, v = layout.pp, layout.interleave
    n_micro = global_batch / (layout.dp * layout.micro_batch)
    more = np.where(np.asarray(v) > 1, (pp - 1) / (pp * v), 0.0)
    return np.minimum(pp, n_micro) * (1 + more)


def training_bytes(
    shape: ModelShape,
    seq_len: Array,
    global_batch: Array,
    layout: Layouts,
    unfused: Array = 0.0,
    trained: Array = 1.0,
) -> Memory:
    """Memory of the fullest chip, the first stage of the pipeline.

    2 + 4 + 12 bytes per parameter, of which ZeRO shards the last first, and the activations of the
    microbatches in flight.

    Parameters
    ----------
    shape : ModelShape
        The model.
    seq_len, global_batch : float or ndarray
        Tokens of a sequence, and sequences of a step [-].
    layout : Layouts
        The layouts; fields may have axes of their own.
    unfused : float or ndarray
        1 where attention stores its scores, 0 for flash kernels [-].
    trained : float or ndarray
        Share of the parameters that have a gradient and an optimizer [-].

    Returns
    -------
    Memory
        Bytes by cause [B].

    Notes
    -----
    ZeRO-1 shards the optimizer over the ranks of a group, 2 the gradients, 3 the weights, of which
    two layers are whole at a time. In a pipeline weights stay gathered, and the gradients of the
    chunk at work, 1 / v of a stage, are whole until its last microbatch (Lamy-Poirier 2022,
    arXiv:2211.05953). Full recompute adds the layer being redone. Adapters beside frozen weights
    need the inputs of the products as well, so that activations stay. Left out:
    buffers of the communication library, fragmentation, and the embedding's stage holding more than
    the others.

    Examples
    --------
    Rajbhandari et al. 2020, section 3.1: mixed-precision Adam holds 16 bytes per parameter with
    gradients of 16 bits, 18 with gradients of 32.

    >>> from trn3.workload import model
    >>> held = training_bytes(model("llama2_7b"), 2048, 1, Layouts())
    >>> float(held.weights + held.gradients + held.optimizer) / model("llama2_7b").n_params
    18.0
    """
    whole, shard = rank_params(shape, layout)
    staged = np.asarray(layout.pp) > 1
    # the layer at work, and the next one on its way
    gathered = np.where(layout.shards > 1, 2 * whole / shape.n_layers, 0.0)
    least = np.where(staged, whole, np.minimum(shard + gathered, whole))
    weights = WEIGHT_BYTES * np.where(layout.zero >= 3, least, whole)
    chunk = np.where(staged, whole / layout.interleave, 0.0)
    reduced = np.minimum(shard + chunk, whole)
    gradients = GRADIENT_BYTES * trained * np.where(layout.zero >= 2, reduced, whole)
    optimizer = OPTIMIZER_BYTES * trained * np.where(layout.zero >= 1, shard, whole)
    tokens = layout.micro_batch * seq_len / layout.cp
    kept = layer_activation_bytes(shape, seq_len, layout, unfused) * tokens
    stage = kept * shape.n_layers / layout.pp * in_flight(layout, global_batch)
    whole_layer = dataclasses.replace(layout, recompute=NONE)
    redone = layer_activation_bytes(shape, seq_len, whole_layer, unfused) * tokens
    # logits of 32 bits, where the first stage is the last one too
    logits = np.where(np.asarray(layout.pp) == 1, 4 * tokens * shape.vocab / layout.tp, 0.0)
    activations = stage + np.where(layout.recompute == FULL, redone, 0.0) + logits
    return Memory(weights, gradients, optimizer, activations)


def job_bytes(job: TrainingJob, layout: Layouts) -> Memory:
    """Memory of the fullest chip for a job, with flash attention.

    Parameters
    ----------
    job : TrainingJob
        Model, sequence, batch and what is trained.
    layout : Layouts
        The layouts; fields may have axes of their own.

    Returns
    -------
    Memory
        Bytes by cause [B].

    Examples
    --------
    Hu et al. 2021, section 4.2: frozen weights have no optimizer. Of 18 bytes per weight 2 stay.

    >>> from trn3.workload import model
    >>> job = TrainingJob(model("gpt3_175b"), 1e9, 2048, 64, finetune="lora")
    >>> held = job_bytes(job, Layouts(tp=8))
    >>> round(float(held.weights + held.gradients + held.optimizer) * 8 / job.model.n_params, 1)
    2.0
    """
    trained: Array = 1.0
    if job.frozen:
        trained = job.model.n_adapter_params(job.lora_rank) / job.model.n_params
    return training_bytes(job.model, job.seq_len, job.global_batch, layout, trained=trained)


def _leanest(job: TrainingJob, rows: Layouts) -> Memory:
    """Memory of every split with the choices that take least."""
    lean = dataclasses.replace(rows, recompute=FULL, zero=3, sequence_parallel=1)
    return job_bytes(job, lean)


def misfit(
    job: TrainingJob, system: hardware.System, rows: Layouts, hbm_bytes: float
) -> DoesNotFit:
    """Explain why none of some splits fits: what the leanest takes, how many chips hold it, which
    model would fit.

    Parameters
    ----------
    job : TrainingJob
        Model, sequence and batch.
    system : System
        Where it trains.
    rows : Layouts
        Splits, as `layouts.splits` makes them [-].
    hbm_bytes : float
        Memory of a chip that a layout may fill [B].

    Returns
    -------
    DoesNotFit
        The error to raise.
    """
    most, held = int(np.max(rows.n_chips)), _leanest(job, rows)
    least = Memory(
        *(
            np.broadcast_to(part, np.shape(rows.tp))[ties.least(np.asarray(held.total))]
            for part in vars(held).values()
        )
    )

    def fitting(shape: ModelShape) -> np.ndarray:
        every = layouts.splits(shape, job.seq_len, job.global_batch, max(32, system.n_chips), True)
        fits = _leanest(dataclasses.replace(job, model=shape), every).total <= hbm_bytes
        return np.asarray(every.n_chips)[fits]

    enough, by_size = (
        fitting(job.model),
        sorted(workload.models().values(), key=lambda m: -m.n_params),
    )
    largest = next((m.id for m in by_size if np.any(fitting(m) <= most)), "none")
    parts, chips = (
        least.reason(hbm_bytes).replace(": ", " per chip ("),
        f"{system.chip.name} chip{'s' * (most > 1)}",
    )
    text = f"{job.model.name} does not fit on {most:,} {chips}: its leanest layout {parts})"
    text += (
        f"; fewest chips that hold it: {enough.min() if len(enough) else 'none with this batch'}"
    )
    return DoesNotFit(f"{text}; largest listed model that fits on {most:,}: {largest}")
