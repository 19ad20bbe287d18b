"""Memory of a chip in training: weights, gradients, optimizer and activations, for any number of
layouts at once.

Activations follow Korthikanti et al. 2022 (arXiv:2205.05198, table 2), split into what every
tensor-parallel rank keeps and what they share, so that grouped queries, gated and routed
feed-forward blocks count too; the states of ZeRO follow Rajbhandari et al. 2020 (arXiv:1910.02054).
Fields of a layout broadcast, each on its own axis.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from trn3 import data, hardware, layouts, workload
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

    `10 h / t_s + (2 (a + k)(d_qk + d_v) + 4 f) / t + 5 a s / t`; of a GPT with a plain block of 4 h
    that is `10 + 24 / t + 5 a s / (h t)`, or `34 / t` with sequence parallelism and selective
    recompute, times h.

    Parameters
    ----------
    shape : ModelShape
        The model.
    seq_len : float or ndarray
        Tokens of a sequence [-].
    layout : Layouts
        Uses `tp`, `sequence_parallel` and `recompute` (0 none, 1 selective, 2 full).
    unfused : float or ndarray
        1 where attention stores its scores, 0 for flash kernels, which keep none [-].

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

    >>> from trn3.layouts import FULL, NONE, Layouts
    >>> from trn3.workload import model
    >>> m = model("gpt_22b")
    >>> float(layer_activation_bytes(m, 2048, Layouts(tp=8, recompute=1, sequence_parallel=1)) * 8 / m.d_model)
    34.0
    """
    h, a = shape.d_model, shape.n_heads
    split = 1 + layout.sequence_parallel * (layout.tp - 1)
    routed = shape.n_moe_layers / shape.n_layers
    inner = (1 - routed) * shape.d_ff + routed * (
        shape.top_k + shape.n_shared_experts
    ) * shape.d_ff_expert
    attention = 2 * a * (shape.qk_dim + shape.v_dim) + 2 * shape.n_kv_heads * (
        shape.qk_dim + shape.v_dim
    )
    shared = attention + 2 * shape.n_ffn_matrices * inner + 4 * h * routed * shape.top_k
    scores = 5 * a * seq_len * unfused * (layout.recompute == NONE)
    return np.where(
        layout.recompute == FULL, 2 * h / split, 10 * h / split + (shared + scores) / layout.tp
    )


def training_bytes(
    shape: ModelShape, seq_len: Array, global_batch: Array, layout: Layouts, unfused: Array = 0.0
) -> Memory:
    """Memory of the fullest chip, the first stage of the pipeline.

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

    Returns
    -------
    Memory
        Bytes by cause [B].

    Notes
    -----
    Parameters are spread evenly over the stages. Stage 1 of `p` keeps `min(p, m)`
    microbatches, times `1 + (p - 1) / (p v)` interleaved. ZeRO-1 shards the optimizer over data and
    context ranks, 2 the gradients, 3 the weights, of which two layers are whole at a time. Full
    recompute adds the layer being redone. Left out: buffers of the communication library,
    fragmentation, and the embedding's stage holding more than the others.
    """
    ranks, tp, pp = layout.dp * layout.cp, layout.tp, layout.pp
    routed = shape.n_moe_layers * shape.n_experts * shape.n_expert_params
    dense = shape.n_params - routed
    whole = (dense + routed / layout.ep) / (tp * pp)
    shard = (dense / ranks + routed / np.maximum(ranks, layout.ep)) / (tp * pp)
    gathered = 2 * whole * pp / shape.n_layers * (ranks > 1)
    weights = WEIGHT_BYTES * np.where(layout.zero >= 3, np.minimum(shard + gathered, whole), whole)
    gradients = GRADIENT_BYTES * np.where(layout.zero >= 2, shard, whole)
    optimizer = OPTIMIZER_BYTES * np.where(layout.zero >= 1, shard, whole)
    tokens = layout.micro_batch * seq_len / layout.cp
    in_flight = np.minimum(pp, global_batch / (layout.dp * layout.micro_batch))
    in_flight = in_flight * (1 + (layout.interleave > 1) * (pp - 1) / (pp * layout.interleave))
    per_layer = layer_activation_bytes(shape, seq_len, layout, unfused) * tokens
    whole_layer = dataclasses.replace(layout, recompute=NONE)
    redone = (
        (layout.recompute == FULL)
        * layer_activation_bytes(shape, seq_len, whole_layer, unfused)
        * tokens
    )
    logits = 4 * tokens * shape.vocab / tp * (pp == 1)
    return Memory(
        weights, gradients, optimizer, per_layer * shape.n_layers / pp * in_flight + redone + logits
    )


def _leanest(job: TrainingJob, rows: Layouts) -> Memory:
    """Memory of every split with the choices that take least."""
    lean = dataclasses.replace(rows, recompute=FULL, zero=3, sequence_parallel=1)
    return training_bytes(job.model, job.seq_len, job.global_batch, lean)


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
            np.broadcast_to(part, len(rows.tp))[np.argmin(held.total)]
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
