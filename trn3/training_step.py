"""Training step time: one evaluator over broadcastable arrays of shapes, machines and layouts.

A step is m microbatches through a pipeline of p stages, then the data-parallel exchange that
nothing hides:

    t = m t_max + (p - 1) / v t_mean + exposed(DP) + optimizer + fixed

Every field of shape, machine, work and layout may be a scalar or an array with axes of its own; a
term is computed on the axes that it depends on, and terms meet only in `Steps`. Efficiencies come
from ``data/calibration.csv``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trn3 import collectives, committed, hardware, roofline
from trn3.committed import TrainingConstants
from trn3.units import Array
from trn3.workload import ModelShape

NONE, SELECTIVE, FULL = 0, 1, 2
"""Codes of the recompute axis."""


@dataclass(frozen=True)
class Machine:
    """Chip and network as the evaluator sees them.

    Attributes
    ----------
    peak_flops_per_s : float or array
        Dense BF16 peak of a chip [FLOP/s].
    hbm_bytes_per_s : float or array
        Memory bandwidth [byte/s].
    tiers : tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency [-, byte/s, s].
    constants : TrainingConstants
        Fitted constants [-].
    narrow_ratio : float or array
        Nominal peak of the format of the matrix multiplications over the BF16 peak [-].
    fp8, fp4 : float or array
        1 where that format is 8 or 4 bits wide, else 0 [-].
    """

    peak_flops_per_s: Array
    hbm_bytes_per_s: Array
    tiers: collectives.Tiers
    constants: TrainingConstants
    narrow_ratio: Array = 1.0
    fp8: Array = 0.0
    fp4: Array = 0.0


@dataclass(frozen=True)
class Work:
    """What a step computes, and the age of the software that computes it.

    Attributes
    ----------
    shape : ModelShape
        Model [-].
    seq_len, global_batch : float or array
        Tokens per sequence and sequences per step [-].
    unfused : float or array
        1: attention by separate kernels, scores stored in memory; 0: flash kernels [-].
    old_kernel : float or array
        1: flash kernels of 2023 or earlier [-].
    ported : float or array
        1: flash kernels written for an earlier chip generation [-].
    serial : float or array
        1: the stack overlaps no exchange with compute [-].
    eager : float or array
        1: not compiled, vector operators unfused [-].
    redo : float or array
        Share of the forward pass that full recompute repeats [-].
    gradient_bytes : float or array
        Bytes of a gradient on the network [byte].
    network : float or array
        Share of the network's usual rate that the stack reaches [-].
    moe_years : float or array
        Age of the expert kernels against the newest fitted release [year].
    """

    shape: ModelShape
    seq_len: Array
    global_batch: Array
    unfused: Array = 0.0
    old_kernel: Array = 0.0
    ported: Array = 0.0
    serial: Array = 0.0
    eager: Array = 0.0
    redo: Array = 1.0
    gradient_bytes: Array = 4.0
    network: Array = 1.0
    moe_years: Array = 0.0


@dataclass(frozen=True)
class Steps:
    """Terms of a step on their own axes; `step_time_s` lets them meet.

    Attributes
    ----------
    pipeline_s : float or array
        All microbatches and the bubble [s].
    hide_s : float or array
        Time behind which the data-parallel exchange can hide [s].
    exchange_s : float or array
        Data-parallel exchange [s].
    floor_s : float or array
        Share of the exchange that never hides [s].
    fixed_s : float or array
        Optimizer, latency and per-step cost [s].
    parts : dict
        Time by cause on the busiest stage, for reading [s].
    """

    pipeline_s: Array
    hide_s: Array
    exchange_s: Array
    floor_s: Array
    fixed_s: Array
    parts: Mapping[str, Array]

    @property
    def step_time_s(self) -> Array:
        """Time of a step [s]."""
        return (
            self.pipeline_s + np.maximum(self.floor_s, self.exchange_s - self.hide_s) + self.fixed_s
        )


def machine(cluster: hardware.Cluster, dtype: str = "bf16") -> Machine:
    """Machine of a cluster with the committed constants of its chip.

    Parameters
    ----------
    cluster : trn3.hardware.Cluster
        Chips and their network [-].
    dtype : str
        Format of the matrix multiplications [-].

    Returns
    -------
    Machine
        Peaks, bandwidths and constants, all scalars [-].
    """
    chip = cluster.chip
    bf16, narrow = chip.peak("bf16"), chip.peak(dtype)
    return Machine(
        peak_flops_per_s=bf16,
        hbm_bytes_per_s=chip.hbm_sustained_bytes_per_s,
        tiers=tuple((t.n_chips, t.bytes_per_s, t.latency_s) for t in cluster.system.tiers),
        constants=committed.constants(TrainingConstants, chip.id, chip.family),
        narrow_ratio=narrow / bf16,
        fp8=float("8" in chip.native(dtype) and narrow > bf16),
        fp4=float("4" in chip.native(dtype)),
    )


def _matmul(
    machine: Machine, m: Array, n: Array, k: Array, gain: Array, share: Array = 1.0
) -> Array:
    """Forward time of a matrix multiplication, `gain` times as fast as in BF16.

    The shape term grows with the balance P / W: what a small matrix loses is traffic that
    arithmetic does not hide.
    """
    c = machine.constants
    bandwidth = machine.hbm_bytes_per_s * c.hbm
    rate = machine.peak_flops_per_s * c.matmul * share * gain
    lost = (
        c.rereads
        * roofline.ridge(machine.peak_flops_per_s, machine.hbm_bytes_per_s)
        * np.sqrt(gain)
    )
    return roofline.matmul_time_s(m, n, k, rate, bandwidth, lost, c.block)


def _layer_matmuls(
    shape: ModelShape, machine: Machine, tokens: Array, tp: Array, gain: Array
) -> tuple[Array, Array]:
    """Forward time of the matrix multiplications of attention, and of a dense feed-forward
    block.
    """
    a, kv, h, q = shape.n_heads, shape.n_kv_heads, shape.d_model, shape.q_lora_rank
    mla = 1.0 * (np.asarray(shape.kv_lora_rank) > 0)
    width = a * shape.qk_dim + (1 - mla) * kv * (shape.qk_dim + shape.v_dim)
    attention = _matmul(machine, tokens, width / tp, h + (q > 0) * (q - h), gain)
    attention = attention + _matmul(machine, tokens, h, a * shape.v_dim / tp, gain)
    if np.any(mla):
        rank = np.maximum(shape.kv_lora_rank, 1.0)
        attention = attention + mla * _matmul(machine, tokens, rank + shape.rope_dim + q, h, gain)
        attention = attention + mla * _matmul(
            machine, tokens, a * (shape.head_dim + shape.v_dim) / tp, rank, gain
        )
    f = np.maximum(shape.d_ff, 1) / tp
    dense = _matmul(machine, tokens, (shape.n_ffn_matrices - 1) * f, h, gain) + _matmul(
        machine, tokens, h, f, gain
    )
    return attention, dense


def _experts(shape: ModelShape, machine: Machine, tokens: Array, lay: Any, gain: Array) -> Array:
    """Forward time of routed and shared experts of a layer."""
    c, up = machine.constants, shape.n_ffn_matrices - 1
    n_local = np.maximum(shape.n_experts, 1) / lay.ep
    rows = np.maximum(tokens * shape.top_k / n_local, 1e-3)
    f, h = np.maximum(shape.d_ff_expert, 1) / lay.tp, shape.d_model
    routed = _matmul(machine, rows, up * f, h, gain, c.expert) + _matmul(
        machine, rows, h, f, gain, c.expert
    )
    fs = np.maximum(f * shape.n_shared_experts, 1e-3)
    shared = _matmul(machine, tokens, up * fs, h, gain) + _matmul(machine, tokens, h, fs, gain)
    return routed * n_local + shared * (np.asarray(shape.n_shared_experts) > 0)


def _attention(work: Work, machine: Machine, tokens: Array, tp: Array) -> tuple[Array, Array]:
    """Forward time of scores and weighted values of a layer, and backward over forward."""
    c, shape, s = machine.constants, work.shape, work.seq_len
    flops = shape.attention_flops_per_token(s) / shape.n_layers * tokens / tp
    narrow = np.minimum(1.0, shape.head_dim / 128.0) ** 0.25
    rate = (
        machine.peak_flops_per_s
        * c.attention
        * narrow
        * (1 - work.old_kernel * (1 - c.attention_old))
    )
    rate = rate * (1 - work.ported * (1 - c.attention_ported))
    flash = flops * (1 + c.attention_seq / s) / rate
    if not np.any(work.unfused):
        return flash, 2.5
    plain = 2 * flops / (machine.peak_flops_per_s * c.matmul * c.attention_unfused)
    scores = 11 * shape.n_heads * s * tokens / tp / (machine.hbm_bytes_per_s * c.hbm)
    return flash + work.unfused * (plain + scores - flash), 2.5 - 0.5 * work.unfused


def _vector(work: Work, machine: Machine, tokens: Array, lay: Any) -> Array:
    """Forward time of normalisation, residuals and activations of a layer, by bytes."""
    c, shape = machine.constants, work.shape
    f = shape.d_ff + (shape.n_moe_layers / shape.n_layers) * (
        shape.d_ff_expert * (shape.top_k + shape.n_shared_experts) - shape.d_ff
    )
    split = 1 + lay.sequence_parallel * (lay.tp - 1)
    inner = (
        2 * (shape.n_heads * shape.v_dim + shape.n_kv_heads * shape.head_dim)
        + shape.n_ffn_matrices * f
    )
    n_bytes = 2 * tokens * (10 * shape.d_model / split + inner / lay.tp)
    return n_bytes * (1 + work.eager * (c.eager - 1)) / (machine.hbm_bytes_per_s * c.hbm)


def _tensor_exchange_s(work: Work, machine: Machine, tokens: Array, lay: Any) -> Array:
    """One all-reduce of the activations of a layer over the tensor-parallel group, as far as it
    shows.
    """
    c = machine.constants
    n_bytes = 2 * tokens * work.shape.d_model
    per_byte = collectives.s_per_byte(lay.tp, 1, machine.tiers) / c.link
    full = 2 * (lay.tp - 1) / lay.tp * n_bytes * per_byte + 2 * (lay.tp - 1) * machine.tiers[0][2]
    return full * (1 - lay.tp_overlap * (1 - c.tp_exposed))


def _routing_s(work: Work, machine: Machine, tokens: Array, lay: Any) -> Array:
    """Dispatch and combine of a routed layer, forward: sort in memory, exchange, and a fixed
    cost per local expert.
    """
    c, shape = machine.constants, work.shape
    per_byte = collectives.split_s_per_byte(lay.ep, lay.tp, machine.tiers) / c.link
    moved = 2 * tokens * shape.top_k * shape.d_model / lay.tp
    sort = c.permute * moved / (machine.hbm_bytes_per_s * c.hbm)
    exchange = 2 * moved * per_byte * c.alltoall
    fixed = c.expert_launch_s * np.maximum(shape.n_experts, 1) / lay.ep
    return (sort + exchange + fixed) * np.exp(c.moe_trend * work.moe_years)


def _context_exchange_s(
    work: Work, machine: Machine, tokens: Array, lay: Any, hide: Array
) -> Array:
    """Ring of keys and values of a layer, forward, above half the attention time."""
    shape = work.shape
    n_bytes = 2 * tokens * shape.n_kv_heads * (shape.qk_dim + shape.v_dim) / lay.tp * (lay.cp - 1)
    per_byte = collectives.s_per_byte(lay.cp, lay.tp, machine.tiers) / machine.constants.link
    return np.maximum(n_bytes * per_byte - 0.5 * hide, 0.0)


def _layer(work: Work, machine: Machine, lay: Any, tokens: Array) -> dict[str, Array]:
    """Time of an average layer for one microbatch, forward, backward and recompute, by cause."""
    c, shape = machine.constants, work.shape
    gain = (
        1
        + machine.fp8 * (machine.narrow_ratio * c.fp8 - 1)
        + machine.fp4 * (machine.narrow_ratio * c.fp4 - 1)
    )
    routed = np.divide(shape.n_moe_layers, shape.n_layers)
    full, selective = (lay.recompute == FULL) * work.redo, (lay.recompute == SELECTIVE)
    passes = 3 + full
    attention, dense = _layer_matmuls(shape, machine, tokens, lay.tp, gain)
    out: dict[str, Array] = {"matmul": (attention + (1 - routed) * dense) * passes}
    scores, backward = _attention(work, machine, tokens, lay.tp)
    out["attention"] = scores * (1 + backward + full + selective)
    out["vector"] = _vector(work, machine, tokens, lay) * passes
    out["tensor exchange"] = _tensor_exchange_s(work, machine, tokens, lay) * (4 + 2 * full)
    if np.any(shape.n_experts):
        out["experts"] = _experts(shape, machine, tokens, lay, gain) * routed * passes
        out["expert exchange"] = _routing_s(work, machine, tokens, lay) * routed * (2 + full)
    if np.any(np.asarray(lay.cp) > 1):
        out["context exchange"] = _context_exchange_s(work, machine, tokens, lay, scores) * passes
    device = sum(out.values())
    host = c.layer_launch_s * (1 + full / 3)
    out["launch"] = np.sqrt(np.sqrt(device**4 + host**4)) - device
    return out


def evaluate(work: Work, machine: Machine, lay: Any) -> Steps:
    """Step time of every layout.

    Parameters
    ----------
    work : Work
        Model, sequence, batch and software [-].
    machine : Machine
        Chip, network and constants [-].
    lay : Layouts
        tp, pp, dp, cp, ep, micro_batch, interleave, recompute (0 none, 1 selective, 2 full), zero
        (0-3), sequence_parallel, tp_overlap, dp_overlap and pp_overlap (0 or 1), each a scalar or
        an array [-].

    Returns
    -------
    Steps
        Terms of the step, on their own axes [s].
    """
    c, shape = machine.constants, work.shape
    tokens = lay.micro_batch * work.seq_len / lay.cp
    n_micro = work.global_batch / (lay.dp * lay.micro_batch)
    layer_parts = _layer(work, machine, lay, tokens)
    layer = sum(layer_parts.values())
    bandwidth = machine.hbm_bytes_per_s * c.hbm
    head = 3 * _matmul(machine, tokens, shape.vocab / lay.tp, shape.d_model, 1.0)
    head = head + 12 * tokens * shape.vocab / lay.tp / bandwidth
    per_stage = np.ceil(shape.n_layers / lay.pp)
    last = shape.n_layers - (lay.pp - 1) * per_stage
    mean = (shape.n_layers * layer + head) / lay.pp
    busiest = mean + c.imbalance * (np.maximum(per_stage * layer, last * layer + head) - mean)
    boundary = 2 * tokens * shape.d_model / lay.tp
    hop = (
        collectives.s_per_byte(lay.pp, lay.tp * lay.cp * lay.dp, machine.tiers)
        * boundary
        / c.network
    )
    sends = 2 * n_micro * lay.interleave * hop * (lay.pp > 1) * (1 - lay.pp_overlap)
    bubble = (lay.pp - 1) / lay.interleave * mean
    pipeline = n_micro * busiest + bubble + sends
    exchange, floor, hide, latency = _data_exchange(work, machine, lay, n_micro, mean)
    local = _local_params(shape, lay)
    shards = 1 + (lay.zero > 0) * (lay.dp * lay.cp - 1)
    fixed = 30 * local / shards / bandwidth + c.step_s + latency
    parts = {k: n_micro * shape.n_layers / lay.pp * v for k, v in layer_parts.items()}
    parts |= {
        "output head": n_micro * (busiest - shape.n_layers / lay.pp * layer),
        "pipeline bubble": bubble,
    }
    parts |= {"stage exchange": sends, "optimizer and fixed": fixed}
    return Steps(pipeline, hide, exchange, floor, fixed, parts)


def _local_params(shape: ModelShape, lay: Any) -> Array:
    """Parameters that a rank holds before any data-parallel sharding."""
    routed = shape.n_moe_layers * shape.n_experts * shape.n_expert_params
    dense = shape.n_layer_params - routed + shape.n_embedding_params
    return (dense + routed / lay.ep) / (lay.tp * lay.pp)


def _data_exchange(
    work: Work, machine: Machine, lay: Any, n_micro: Array, stage: Array
) -> tuple[Array, Array, Array, Array]:
    """Data-parallel exchange: its time, the part that always shows, what can hide it, and its
    latency.
    """
    c, n = machine.constants, lay.dp * lay.cp
    sharded, per_micro = 1.0 * (lay.zero >= 2), 4 + 2.0 * (lay.zero >= 3)
    once = (lay.zero == 0) * 2 * work.gradient_bytes + (lay.zero == 1) * (2 + work.gradient_bytes)
    n_bytes = (
        _local_params(work.shape, lay)
        * (once * (1 - sharded) + per_micro * sharded * n_micro)
        * (n - 1)
        / n
    )
    per_byte = collectives.s_per_byte(n, lay.tp, machine.tiers) / c.network / work.network
    exchange = n_bytes * per_byte
    exposed = c.dp_exposed + sharded * (c.fsdp_exposed - c.dp_exposed)
    overlap = lay.dp_overlap * (1 - work.serial)
    share = 1 - overlap * (1 - exposed)
    hide = overlap * (1 - exposed) * n_micro * stage
    rounds = 10 + sharded * (3 * n_micro * work.shape.n_layers / lay.pp - 10)
    return (
        exchange,
        exchange * share,
        hide,
        rounds * collectives.ring_latency_s(n, lay.tp, machine.tiers),
    )
