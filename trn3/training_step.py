"""Training step time: every term a formula of its own, for one layout or for millions at once.

A step is m microbatches through the p stages of a pipeline, then what shows of the data-parallel
exchange, then the optimizer:

    t = m t_busiest + (p - 1) / v t_mean + sends + shown exchange + optimizer + fixed

A stage is its layers and, on the last one, the output head. A layer is matrix products, attention,
vector work and exchanges, forward, backward and what is computed again.

======  =====================  ==================================================================
letter  name                   meaning
======  =====================  ==================================================================
B       global_batch           sequences of a step
b       micro_batch            sequences that a stage computes at a time
S       seq_len                tokens of a sequence
T       tokens                 tokens of a microbatch on one rank, b S / cp
m       n_micro                microbatches of a replica, B / (dp b)
L       n_layers               layers
D       d_model                width of the model
F       d_ff, d_ff_expert      inner width of the feed-forward block, of an expert
A, K    n_heads, n_kv_heads    heads of queries; heads of keys and values
H       qk_dim, v_dim          width of a head
E, k    n_experts, top_k       routed experts of a layer; experts that a token meets
V       vocab                  rows of the embedding
N       params                 weights that a rank holds
t       tp                     ranks that share every matrix
p, v    pp, interleave         stages of the pipeline; model chunks of a stage
d       dp cp                  ranks with the same weights: replicas times parts of a sequence
c, e    cp, ep                 ranks that share a sequence; ranks that share the experts
P       peak_flops_per_s       dense BF16 peak of a chip
W       hbm_bytes_per_s        sustained memory bandwidth of a chip
beta    bytes_per_s            bandwidth of a link, one way per chip
alpha   latency_s              latency of a hop
======  =====================  ==================================================================

Every field of shape, machine, work and layout may be a scalar or an array with axes of its own; a
term is computed on the axes that it depends on, and terms meet only in `Steps`. What software
reaches of P, W and beta comes from `trn3.committed`, in `Machine.constants`; with `at_peak` a
formula gives what the data sheet alone allows.

References
----------
Narayanan et al. 2021, arXiv:2104.04473 (pipeline, FLOP and traffic of a GPT); Korthikanti et al.
2022, arXiv:2205.05198 (sequence parallelism, recompute); Rajbhandari et al. 2020, arXiv:1910.02054
(ZeRO); Dao 2023, arXiv:2307.08691 (flash attention).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from trn3 import collectives, committed, hardware, roofline
from trn3.committed import TrainingConstants
from trn3.layouts import FULL, SELECTIVE, Layouts
from trn3.roofline import ARITHMETIC, FIXED, LINK, MEMORY, Part
from trn3.units import Array
from trn3.workload import ModelShape, TrainingJob

ACTIVATION_BYTES = 2
"""Bytes of an activation, and of a weight on the network: 16 bits."""


@dataclass(frozen=True)
class Machine:
    """Chip and network as the evaluator sees them.

    Attributes
    ----------
    peak_flops_per_s : float or array
        Dense BF16 peak of a chip [FLOP/s].
    hbm_bytes_per_s : float or array
        Sustained memory bandwidth [byte/s].
    tiers : tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency [-, byte/s, s].
    constants : TrainingConstants
        What software reaches of it [-].
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

    @property
    def kernel_bytes_per_s(self) -> Array:
        """Memory bandwidth that kernels reach [byte/s]."""
        return self.hbm_bytes_per_s * self.constants.hbm


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
    kernel : float or array
        Rate of the flash kernel over that of one made for the chip [-].
    serial : float or array
        1: the stack overlaps no exchange with compute [-].
    redo : float or array
        Share of the forward pass that full recompute repeats [-].
    gradient_bytes : float or array
        Bytes of a gradient on the network [byte].
    frozen : float or array
        1: the base weights are frozen, low-rank adapters are trained [-].
    lora_rank : float or array
        Rank of the adapters [-].
    """

    shape: ModelShape
    seq_len: Array
    global_batch: Array
    unfused: Array = 0.0
    kernel: Array = 1.0
    serial: Array = 0.0
    redo: Array = 1.0
    gradient_bytes: Array = 4.0
    frozen: Array = 0.0
    lora_rank: Array = 16


@dataclass(frozen=True)
class Steps:
    """Terms of a step on their own axes; `step_time_s` lets them meet.

    Attributes
    ----------
    pipeline_s : float or array
        All microbatches, the bubble and the sends between stages [s].
    exchange : Exchange
        Data-parallel exchange [s].
    fixed_s : float or array
        Optimizer, latency and per-step cost [s].
    parts : dict
        Parts on the busiest stage, for reading; the data-parallel exchange is not among them [s].
    """

    pipeline_s: Array
    exchange: "Exchange"
    fixed_s: Array
    parts: Mapping[str, Part]

    @property
    def step_time_s(self) -> Array:
        """Time of a step [s]."""
        return self.pipeline_s + self.exchange.shown_s + self.fixed_s


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


def work_of(job: TrainingJob) -> Work:
    """What a step of a job computes, with today's software.

    Parameters
    ----------
    job : TrainingJob
        Model, sequence, batch and what is trained [-].

    Returns
    -------
    Work
        Compiled, flash attention [-].
    """
    return Work(
        job.model,
        job.seq_len,
        job.global_batch,
        frozen=float(job.frozen),
        lora_rank=job.lora_rank,
    )


def at_peak(
    peak_flops_per_s: Array, hbm_bytes_per_s: Array, tiers: collectives.Tiers = ()
) -> Machine:
    """A machine whose software reaches all that the data sheet allows, and hides no exchange.

    Parameters
    ----------
    peak_flops_per_s : float or array
        Peak arithmetic rate [FLOP/s].
    hbm_bytes_per_s : float or array
        Memory bandwidth; infinite where only operations are to be counted [byte/s].
    tiers : tuple
        Inner to outer: chips reached, bytes per second one way per chip, latency; by default links
        that take no time [-, byte/s, s].

    Returns
    -------
    Machine
        With every share at 1 and every fixed cost at 0.

    Examples
    --------
    At one operation per second the time of a product is the number of its operations, 2 m n k.

    >>> float(matmul_s(at_peak(1.0, np.inf), 2, 3, 4))
    48.0
    """
    shares: tuple[str, ...] = ("matmul", "fp8", "fp4", "attention", "hbm")
    shares += ("attention_unfused", "link", "network", "tp_exposed", "dp_exposed")
    shares += ("fsdp_exposed", "imbalance", "expert", "alltoall")
    costs: tuple[str, ...] = ("rereads", "attention_seq", "layer_launch_s", "step_s")
    costs += ("expert_launch_s", "permute")
    values = dict.fromkeys(shares, 1.0) | dict.fromkeys(costs, 0.0) | {"block": np.inf}
    free = ((np.inf, np.inf, 0.0),)
    constants = committed.record(TrainingConstants, values)
    return Machine(peak_flops_per_s, hbm_bytes_per_s, tiers or free, constants)


# ------------------------------------------------------------------------------ matrix products
def format_gain(machine: Machine) -> Array:
    """How many times as fast as in BF16 large matrices are in the format of a machine.

    1 + (r e - 1), with r the nominal ratio of the peaks and e the share of it that software gives.

    Parameters
    ----------
    machine : Machine
        Chip and constants [-].

    Returns
    -------
    float or array
        1 in 16 bits [-].

    Notes
    -----
    Attention scores and the output head stay in 16 bits.
    """
    c, ratio = machine.constants, machine.narrow_ratio
    in_8_bits = np.where(machine.fp8, ratio * c.fp8 - 1, 0.0)
    in_4_bits = np.where(machine.fp4, ratio * c.fp4 - 1, 0.0)
    return 1 + in_8_bits + in_4_bits


def matmul_s(
    machine: Machine, m: Array, n: Array, k: Array, gain: Array = 1.0, share: Array = 1.0
) -> Array:
    """Time of one matrix multiplication [m, k] x [k, n].

    2 m n k / (P e g) (1 + n0 sqrt(g) P / W (1/m + 1/n + 1/k + 1/block)), at least its traffic over
    W: `roofline.matmul_time_s` at what software reaches.

    Parameters
    ----------
    machine : Machine
        Chip and constants [-].
    m, n, k : float or array
        Rows, columns and inner dimension [-].
    gain : float or array
        How many times as fast as in BF16, see `format_gain` [-].
    share : float or array
        Rate against that of a large dense matrix [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    What small matrices lose grows with the balance P / W: it is traffic that arithmetic does not
    hide. Tiles that do not divide are left out.

    Examples
    --------
    Scaling book, part 1: a TPU v5e, 1.97e14 FLOP/s and 8.2e11 byte/s, needs more than 240 rows
    before arithmetic rather than the weights of a large matrix sets the time.

    >>> v5e = at_peak(1.97e14, 8.2e11)
    >>> at = lambda rows: float(matmul_s(v5e, rows, 1e7, 1e7))
    >>> round(at(120) / at(60), 2), round(at(960) / at(480), 2)
    (1.0, 2.0)
    """
    c = machine.constants
    rate = machine.peak_flops_per_s * c.matmul * share * gain
    balance = roofline.ridge(machine.peak_flops_per_s, machine.hbm_bytes_per_s)
    lost = c.rereads * balance * np.sqrt(gain)
    return roofline.matmul_time_s(m, n, k, rate, machine.kernel_bytes_per_s, lost, c.block)


def projections_s(
    shape: ModelShape, machine: Machine, tokens: Array, tp: Array, gain: Array = 1.0
) -> Array:
    """Forward time of the query, key, value and output projections of a layer.

    2 T D (A + 2 K) H / t + 2 T A H D / t operations; latent attention (MLA) puts products over its
    ranks in place of those of keys and values.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].
    gain : float or array
        See `format_gain` [-].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    Narayanan et al. 2021, appendix: 6 B s h^2 for keys, queries and values, 2 B s h^2 for the
    output.

    >>> from trn3.workload import model
    >>> gpt3 = model("gpt3_175b")
    >>> float(projections_s(gpt3, at_peak(1.0, np.inf), 2048, 1)) / (2048 * 12288**2)
    8.0
    """
    h, a, q_rank = shape.d_model, shape.n_heads, shape.q_lora_rank
    latent = np.asarray(shape.kv_lora_rank) > 0
    keys_values = shape.n_kv_heads * (shape.qk_dim + shape.v_dim)
    columns = a * shape.qk_dim + np.where(latent, 0, keys_values)
    query_width = np.where(q_rank > 0, q_rank, h)
    time = matmul_s(machine, tokens, columns / tp, query_width, gain)
    time = time + matmul_s(machine, tokens, h, a * shape.v_dim / tp, gain)
    if not np.any(latent):
        return time
    rank = np.maximum(shape.kv_lora_rank, 1.0)
    down = matmul_s(machine, tokens, rank + shape.rope_dim + q_rank, h, gain)
    up = matmul_s(machine, tokens, a * (shape.head_dim + shape.v_dim) / tp, rank, gain)
    return time + np.where(latent, down, 0.0) + np.where(latent, up, 0.0)


def mixers_s(
    shape: ModelShape, machine: Machine, tokens: Array, tp: Array, gain: Array = 1.0
) -> Array:
    """Forward time of the projections of a mean layer, those of other kinds as one product each.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].
    gain : float or array
        See `format_gain` [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    The recurrence of a state-space layer counts as operations of `attention_flops`.

    Examples
    --------
    Without other kinds the mean layer is the plain one.

    >>> from trn3.workload import model
    >>> given = model("gpt3_175b"), at_peak(1.0, np.inf), 2048, 1
    >>> float(mixers_s(*given)) == float(projections_s(*given))
    True
    """
    plain = projections_s(shape, machine, tokens, tp, gain)
    if not shape.others:
        return plain
    time = plain * shape.n_plain_layers / shape.n_layers
    for group in shape.others:
        columns = np.maximum(group.n_params / shape.d_model, 1) / tp
        one = matmul_s(machine, tokens, columns, shape.d_model, gain)
        share = group.n_layers / shape.n_layers
        time = time + np.where(np.asarray(group.n_params) > 0, share * one, 0.0)
    return time


def feed_forward_s(
    shape: ModelShape,
    machine: Machine,
    rows: Array,
    width: Array,
    gain: Array = 1.0,
    share: Array = 1.0,
) -> Array:
    """Forward time of a feed-forward block, gated (3 matrices) or plain (2).

    Up, and beside it the gate: 2 T D F or 4 T D F operations; down: 2 T F D.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    machine : Machine
        Chip and constants [-].
    rows : float or array
        Tokens that meet the block on a rank [-].
    width : float or array
        Inner width on a rank, F / t [-].
    gain, share : float or array
        See `matmul_s` [-].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    Narayanan et al. 2021, appendix: 16 B s h^2 in the two products of the feed-forward block.

    >>> from trn3.workload import model
    >>> gpt3 = model("gpt3_175b")
    >>> float(feed_forward_s(gpt3, at_peak(1.0, np.inf), 2048, gpt3.d_ff)) / (2048 * 12288**2)
    16.0
    """
    h = shape.d_model
    up = matmul_s(machine, rows, (shape.n_ffn_matrices - 1) * width, h, gain, share)
    down = matmul_s(machine, rows, h, width, gain, share)
    return up + down


def experts_s(
    shape: ModelShape, machine: Machine, tokens: Array, lay: Layouts, gain: Array = 1.0
) -> Array:
    """Forward time of the routed and shared experts of a layer.

    E / e local experts, each a feed-forward block over T k e / E rows, and the shared experts over
    all T.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    machine : Machine
        Chip and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `tp` and `ep` [-].
    gain : float or array
        See `format_gain` [-].

    Returns
    -------
    float or array
        Time; 0 in a dense model [s].

    Notes
    -----
    Tokens are spread evenly; a router that prefers some experts is left out.

    Examples
    --------
    DeepSeek-V3 (arXiv:2412.19437, section 4.2): 8 of 256 experts of width 2,048 and one shared one,
    so 9 blocks of three matrices per token.

    >>> from trn3.workload import model
    >>> v3 = model("deepseek_v3")
    >>> flops = float(experts_s(v3, at_peak(1.0, np.inf), 4096, Layouts()))
    >>> flops / (2 * 4096 * 3 * 7168 * 2048)
    9.0
    """
    n_local = np.maximum(shape.n_experts, 1) / lay.ep
    # a thousandth of a row where a dense model stands beside routed ones: products need a row
    rows = np.maximum(tokens * shape.top_k / n_local, 1e-3)
    width = np.maximum(shape.d_ff_expert, 1) / lay.tp
    routed = replace(shape, d_model=shape.d_routed)
    one = feed_forward_s(routed, machine, rows, width, gain, machine.constants.expert)
    shared_width = np.maximum(width * shape.n_shared_experts, 1e-3)
    shared = feed_forward_s(shape, machine, tokens, shared_width, gain)
    always = np.where(np.asarray(shape.n_shared_experts) > 0, shared, 0.0)
    return one * n_local + always + beside_experts_s(shape, machine, tokens, lay.tp, gain)


def beside_experts_s(
    shape: ModelShape, machine: Machine, tokens: Array, tp: Array, gain: Array = 1.0
) -> Array:
    """Forward time of the dense block beside the experts, and of the way into their latent width
    and out of it.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].
    gain : float or array
        See `format_gain` [-].

    Returns
    -------
    float or array
        Time; 0 where there is neither [s].

    Examples
    --------
    >>> from trn3.workload import model
    >>> float(beside_experts_s(model("deepseek_v3"), at_peak(1.0, np.inf), 4096, 1))
    0.0
    """
    time: Array = 0.0
    if np.any(shape.d_ff_beside):
        width = np.maximum(shape.d_ff_beside, 1) / tp
        dense = feed_forward_s(shape, machine, tokens, width, gain)
        time = np.where(np.asarray(shape.d_ff_beside) > 0, dense, 0.0)
    if np.any(shape.d_expert):
        width = np.maximum(shape.d_expert, 1) / tp
        latent = 2 * matmul_s(machine, tokens, width, shape.d_model, gain)
        time = time + np.where(np.asarray(shape.d_expert) > 0, latent, 0.0)
    return time


def output_head_s(work: Work, machine: Machine, tokens: Array, tp: Array) -> Array:
    """Time of the output head and its loss, forward and backward.

    3 times the product 2 T V D / t, 2 times where it is frozen, and 12 T V / t bytes.

    Parameters
    ----------
    work : Work
        Model, and whether its weights are frozen [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    In 16 bits whatever the format of the layers.

    Examples
    --------
    Narayanan et al. 2021, appendix: 6 B s h V in forward and backward pass of the logit layer.

    >>> from trn3.workload import model
    >>> gpt3 = model("gpt3_175b")
    >>> head = float(output_head_s(Work(gpt3, 2048, 1), at_peak(1.0, np.inf), 2048, 1))
    >>> head / (2048 * 12288 * gpt3.vocab)
    6.0
    """
    shape = work.shape
    # the logits, the gradient of their input, and of the weights unless these are frozen
    passes = np.where(work.frozen, 2, 3)
    products = passes * matmul_s(machine, tokens, shape.vocab / tp, shape.d_model, 1.0)
    # bytes of a logit: 32 bits written, read by the loss, and the gradient written
    logit_bytes = 12
    return products + logit_bytes * tokens * shape.vocab / tp / machine.kernel_bytes_per_s


# ------------------------------------------------------------------------------------ attention
def attention_flops(work: Work, tokens: Array, tp: Array) -> Array:
    """Operations of scores and weighted values of a layer, forward, causal.

    2 A (H_qk + H_v) T S / (2 t); a window attends to less.

    Parameters
    ----------
    work : Work
        Model and sequence [-].
    tokens, tp : float or array
        T and t [-].

    Returns
    -------
    float or array
        Operations [FLOP].

    Examples
    --------
    Dao 2023 (arXiv:2307.08691), section 4.1: 4 s^2 A H operations forward, half of it when causal.

    >>> from trn3.workload import model
    >>> flops = attention_flops(Work(model("gpt3_175b"), 2048, 1), 2048, 1)
    >>> float(flops) / (4 * 2048**2 * 96 * 128 / 2)
    1.0
    """
    per_token = work.shape.attention_flops_per_token(work.seq_len) / work.shape.n_layers
    return per_token * tokens / tp


def flash_attention_s(work: Work, machine: Machine, tokens: Array, tp: Array) -> Array:
    """Forward time of attention by a flash kernel, which stores no scores.

    FLOP (1 + s0 / S) / (P e k): at S = s0 the kernel runs at half its rate; k is 1 for one that was
    made for the chip.

    Parameters
    ----------
    work : Work
        Model, sequence and rate of the kernel [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    Heads narrower than 128 leave part of the matrix unit idle: the rate falls with the fourth root
    of the width, an assumption.

    Examples
    --------
    >>> from trn3.workload import model
    >>> work = Work(model("gpt3_175b"), 2048, 1)
    >>> one, eight = (float(flash_attention_s(work, at_peak(1e15, 3e12), 2048, t)) for t in (1, 8))
    >>> one / eight
    8.0
    """
    c = machine.constants
    full_width = 128.0
    width = np.minimum(1.0, work.shape.head_dim / full_width) ** 0.25
    rate = machine.peak_flops_per_s * c.attention * width * work.kernel
    return attention_flops(work, tokens, tp) * (1 + c.attention_seq / work.seq_len) / rate


def unfused_attention_s(work: Work, machine: Machine, tokens: Array, tp: Array) -> Array:
    """Forward time of attention by separate kernels, which store the scores.

    Twice the causal operations at the rate of matrix products, and 11 A S T / t bytes.

    Parameters
    ----------
    work : Work
        Model and sequence [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    The bytes of a score: 2 written; softmax 2 read, 2 written; dropout 2 read, 1 of mask and 2
    written. Korthikanti et al. 2022, section 4.1: five of them (softmax, mask, dropped scores)
    are kept for the backward pass.

    Examples
    --------
    Narayanan et al. 2021, appendix: 4 B s^2 h operations, none left out for the causal mask.

    >>> from trn3.workload import model
    >>> work = Work(model("gpt3_175b"), 2048, 1)
    >>> float(unfused_attention_s(work, at_peak(1.0, np.inf), 2048, 1)) / (4 * 2048**2 * 12288)
    1.0
    """
    c = machine.constants
    whole_square = 2 * attention_flops(work, tokens, tp)
    products = whole_square / (machine.peak_flops_per_s * c.matmul * c.attention_unfused)
    score_bytes = 11
    moved = score_bytes * work.shape.n_heads * work.seq_len * tokens / tp
    return products + moved / machine.kernel_bytes_per_s


def attention_s(work: Work, machine: Machine, tokens: Array, tp: Array) -> tuple[Array, Array]:
    """Forward time of attention by the kernels that a stack has, and backward over forward.

    Parameters
    ----------
    work : Work
        Model, sequence and kernels [-].
    machine : Machine
        Chip and constants [-].
    tokens, tp : float or array
        T and t [-].

    Returns
    -------
    tuple of float or array
        Forward time of a layer [s], and backward over forward [-].

    Notes
    -----
    Backward, a flash kernel does five products where forward has two, because it computes the
    scores again (Dao 2023, section 4.1: 2.5 times); separate kernels do four.

    Examples
    --------
    >>> from trn3.workload import model
    >>> attention_s(Work(model("gpt3_175b"), 2048, 1), at_peak(1e15, 3e12), 2048, 1)[1]
    2.5
    """
    flash = flash_attention_s(work, machine, tokens, tp)
    if not np.any(work.unfused):
        return flash, 2.5
    plain = unfused_attention_s(work, machine, tokens, tp)
    return np.where(work.unfused, plain, flash), np.where(work.unfused, 2.0, 2.5)


# ---------------------------------------------------------------------------------- vector work
def vector_bytes(shape: ModelShape, tokens: Array, lay: Layouts) -> Array:
    """Bytes that normalisation, residuals, rotary embedding and activations of a layer move,
    forward.

    2 T (10 D / t_s + (2 (A + K) H + n F) / t), with t_s = t under sequence parallelism, else 1, and
    n = 3 for a gated block, 2 for a plain one.

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `tp` and `sequence_parallel` [-].

    Returns
    -------
    float or array
        Bytes [byte].

    Examples
    --------
    Korthikanti et al. 2022, section 4.2.2: sequence parallelism splits what tensor parallelism
    leaves whole, so that all of it falls with t.

    >>> from trn3.workload import model
    >>> whole, split = Layouts(), Layouts(tp=8, sequence_parallel=1)
    >>> gpt3 = model("gpt3_175b")
    >>> float(vector_bytes(gpt3, 2048, whole) / vector_bytes(gpt3, 2048, split))
    8.0
    """
    # numbers of width D: two normalisations read and written (4), two residuals, each two read and
    # one written (6)
    outer = 10 * shape.d_model * shape.block_share
    routed = shape.n_moe_layers / shape.n_layers
    expert_width = shape.d_ff_expert * (shape.top_k + shape.n_shared_experts) + shape.d_ff_beside
    alone = shape.n_mixers_alone / shape.n_layers
    width = shape.d_ff + routed * (expert_width - shape.d_ff) - alone * shape.d_ff
    # rotary embedding: queries and keys read and written; activation: its inputs read, one written
    rotary = 2 * (shape.n_heads * shape.v_dim + shape.n_kv_heads * shape.head_dim)
    rotary = rotary * shape.n_plain_layers / shape.n_layers
    # of other mixers, the outputs of their products
    others = sum(group.n_layers * group.n_params for group in shape.others)
    mixed = 2 * others / (shape.d_model * shape.n_layers)
    inner = rotary + mixed + shape.n_ffn_matrices * width
    ranks = np.where(lay.sequence_parallel, lay.tp, 1)
    return ACTIVATION_BYTES * tokens * (outer / ranks + inner / lay.tp)


def vector_s(work: Work, machine: Machine, tokens: Array, lay: Layouts) -> Array:
    """Forward time of the vector work of a layer, by the bytes that it moves.

    Parameters
    ----------
    work : Work
        Model [-].
    machine : Machine
        Chip and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `tp` and `sequence_parallel` [-].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    A GPT-3 layer moves 2 (10 + 4 + 8) D bytes per token: 0.34 us at 1.6 TB/s.

    >>> from trn3.workload import model
    >>> time = vector_s(Work(model("gpt3_175b"), 2048, 1), at_peak(1e15, 1.6e12), 1, Layouts())
    >>> round(float(time) * 1e6, 2)
    0.34
    """
    return vector_bytes(work.shape, tokens, lay) / machine.kernel_bytes_per_s


# ------------------------------------------------------------------------- exchanges of a layer
def tensor_exchange_s(work: Work, machine: Machine, tokens: Array, lay: Layouts) -> Array:
    """One all-reduce of the activations of a layer over the tensor-parallel group, as far as it
    shows.

    2 (t - 1) / t 2 T D / beta + 2 (t - 1) alpha; with sequence parallelism a reduce-scatter and an
    all-gather take its place and move the same.

    Parameters
    ----------
    work : Work
        Model [-].
    machine : Machine
        Links and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `tp` and `tp_overlap` [-].

    Returns
    -------
    float or array
        Time; 0 at tp = 1 [s].

    Examples
    --------
    Narayanan et al. 2021, section 3.2: two all-reduces forward and two backward move
    8 b s h (t - 1) / t numbers per layer, device and microbatch; at one byte per second:

    >>> from trn3.workload import model
    >>> links = at_peak(1.0, 1.0, ((np.inf, 1.0, 0.0),))
    >>> work = Work(model("gpt3_175b"), 2048, 1)
    >>> n_bytes = 4 * tensor_exchange_s(work, links, 2048, Layouts(tp=8))
    >>> round(float(n_bytes) / 2 / (2048 * 12288 * 7 / 8), 9)
    8.0
    """
    c, tp = machine.constants, lay.tp
    n_bytes = ACTIVATION_BYTES * tokens * work.shape.d_model
    per_byte = collectives.s_per_byte(tp, 1, machine.tiers) / c.link
    latency_s = machine.tiers[0][2]
    full = 2 * (tp - 1) / tp * n_bytes * per_byte + 2 * (tp - 1) * latency_s
    hidden = np.where(lay.tp_overlap, 1 - c.tp_exposed, 0.0)
    return full * (1 - hidden)


def routing_s(work: Work, machine: Machine, tokens: Array, lay: Layouts) -> Array:
    """Dispatch and combine of a routed layer, forward: sorting in memory, two all-to-alls, and a
    fixed cost per local expert.

    r 2 T k D / (t W) + 2 (2 T k D / t) / beta x + f E / e

    Parameters
    ----------
    work : Work
        Model [-].
    machine : Machine
        Chip, links and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `tp` and `ep` [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    Every token is sent once per expert, as if no two of its experts shared a node: dispatch that
    sends one copy per node is left out.

    Examples
    --------
    Two all-to-alls of 4,096 tokens to 8 experts, 7,168 numbers of 2 bytes, of which 7 in 8 leave
    the rank; at one byte per second:

    >>> from trn3.workload import model
    >>> links = at_peak(1.0, np.inf, ((np.inf, 1.0, 0.0),))
    >>> work = Work(model("deepseek_v3"), 4096, 1)
    >>> float(routing_s(work, links, 4096, Layouts(ep=8))) / (2 * 2 * 4096 * 8 * 7168 * 7 / 8)
    1.0
    """
    c, shape = machine.constants, work.shape
    per_byte = collectives.split_s_per_byte(lay.ep, lay.tp, machine.tiers) / c.link
    moved = ACTIVATION_BYTES * tokens * shape.top_k * shape.d_routed / lay.tp
    sort = c.permute * moved / machine.kernel_bytes_per_s
    # there and back
    exchange = 2 * moved * per_byte * c.alltoall
    launch = c.expert_launch_s * np.maximum(shape.n_experts, 1) / lay.ep
    return sort + exchange + launch


def context_exchange_s(
    work: Work, machine: Machine, tokens: Array, lay: Layouts, attention_s: Array
) -> Array:
    """Ring of keys and values of a layer over the context-parallel group, forward, above half the
    attention time.

    2 T K (H_qk + H_v) (c - 1) / t bytes over beta, less half of what attention takes.

    Parameters
    ----------
    work : Work
        Model [-].
    machine : Machine
        Links and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses `cp` and `tp` [-].
    attention_s : float or array
        Attention of the layer, forward, behind which the ring hides [s].

    Returns
    -------
    float or array
        Time; 0 at cp = 1 [s].

    Notes
    -----
    That half of the attention time hides is an assumption: few published runs split a sequence.

    Examples
    --------
    Liu et al. 2023 (arXiv:2310.01889), section 3: a ring step takes no time of its own while
    attention on a block takes longer than the block's way to the neighbour.

    >>> from trn3.workload import model
    >>> work = Work(model("gpt3_175b"), 8192, 1)
    >>> links = at_peak(1e15, 3e12, ((np.inf, 1e11, 0.0),))
    >>> [float(context_exchange_s(work, links, 2048, Layouts(cp=c), 1.0)) for c in (1, 4)]
    [0.0, 0.0]
    """
    shape = work.shape
    plain = shape.n_plain_layers * shape.n_kv_heads * (shape.qk_dim + shape.v_dim)
    cached = sum(group.n_layers * group.n_cached for group in shape.others)
    block = ACTIVATION_BYTES * tokens * (plain + cached) / shape.n_layers
    n_bytes = block / lay.tp * (lay.cp - 1)
    per_byte = collectives.s_per_byte(lay.cp, lay.tp, machine.tiers) / machine.constants.link
    return np.maximum(n_bytes * per_byte - 0.5 * attention_s, 0.0)


def launch_s(device_s: Array, host_s: Array) -> Array:
    """What launching adds to a layer: host and device run beside each other and the slower one
    sets the pace.

    (t_device^4 + t_host^4)^(1/4) - t_device, a smooth maximum.

    Parameters
    ----------
    device_s : float or array
        Time of the layer on the device [s].
    host_s : float or array
        Time to launch its kernels [s].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    Nothing where the device is slow; where both take as long, a fifth of it.

    >>> round(float(launch_s(1.0, 0.01)), 6), round(float(launch_s(1.0, 1.0)), 2)
    (0.0, 0.19)
    """
    return np.sqrt(np.sqrt(device_s**4 + host_s**4)) - device_s


def layer_parts(work: Work, machine: Machine, lay: Layouts, tokens: Array) -> dict[str, Part]:
    """Parts of an average layer for one microbatch: forward, backward and what is computed again.

    Parameters
    ----------
    work : Work
        Model, sequence and software [-].
    machine : Machine
        Chip, network and constants [-].
    lay : Layouts
        Uses `tp`, `cp`, `ep`, `recompute`, `sequence_parallel` and `tp_overlap` [-].
    tokens : float or array
        T [-].

    Returns
    -------
    dict of str to Part
        Add up to the time of the layer [s].

    Notes
    -----
    Backward costs two products for each one forward: the gradient of the input and of the
    weights; frozen weights have none (Hu et al. 2021, section 4). The products of adapters, below 1
    %, and their launches are left out. Full recompute repeats the forward pass with its exchanges,
    selective recompute only attention (Korthikanti et al. 2022, section 5).

    Examples
    --------
    Narayanan et al. 2021, equation 3: 96 B s l h^2 (1 + s / 6 h) operations with full recompute;
    the causal mask halves s, and a flash kernel spends 4.5 / 4 on it.

    >>> from trn3.workload import model
    >>> work, counted = Work(model("gpt3_175b"), 2048, 1), at_peak(1.0, np.inf)
    >>> parts = layer_parts(work, counted, Layouts(recompute=FULL), 2048)
    >>> float(parts["matmul"].time_s) / (96 * 2048 * 12288**2)
    1.0
    >>> round(float(parts["attention"].time_s) / (16 * 2048**2 * 12288), 4)
    0.5625
    """
    shape = work.shape
    gain = format_gain(machine)
    routed = np.divide(shape.n_moe_layers, shape.n_layers)
    full = np.where(lay.recompute == FULL, work.redo, 0.0)
    selective = np.where(lay.recompute == SELECTIVE, 1.0, 0.0)
    # forward, and backward twice as many bytes; of products those for the gradients of inputs and,
    # unless frozen, of weights
    passes = 3 + full
    products = np.where(work.frozen, 2, 3) + full
    projections = mixers_s(shape, machine, tokens, lay.tp, gain)
    width = np.maximum(shape.d_ff, 1) / lay.tp
    alone = shape.n_mixers_alone / shape.n_layers
    dense = (1 - routed - alone) * feed_forward_s(shape, machine, tokens, width, gain)
    attention, backward = attention_s(work, machine, tokens, lay.tp)
    # two all-reduces forward, two backward, and the two forward ones again
    blocks = shape.block_share
    tensor_exchanges = (4 + 2 * full) * blocks
    exchange = tensor_exchange_s(work, machine, tokens, lay)
    parts = {
        "matmul": Part(ARITHMETIC, (projections + dense) * products),
        "attention": Part(ARITHMETIC, attention * (1 + backward + full + selective)),
        "vector": Part(MEMORY, vector_s(work, machine, tokens, lay) * passes),
        "tensor exchange": Part(LINK, exchange * tensor_exchanges),
    }
    if np.any(shape.n_experts):
        experts = experts_s(shape, machine, tokens, lay, gain) * routed * products
        # the gradients are routed back as the tokens were
        routing = routing_s(work, machine, tokens, lay) * routed * (2 + full)
        parts["experts"] = Part(ARITHMETIC, experts)
        parts["expert exchange"] = Part(LINK, routing)
    if np.any(np.asarray(lay.cp) > 1):
        ring = context_exchange_s(work, machine, tokens, lay, attention) * passes
        parts["context exchange"] = Part(LINK, ring)
    # the host launches forward and backward pass, a third of it again
    host = machine.constants.layer_launch_s * (1 + full / 3) * shape.kernel_share
    parts["launch"] = Part(FIXED, launch_s(sum(p.time_s for p in parts.values()), host))
    return parts


# ----------------------------------------------------------------------------------- a pipeline
def stage_times_s(layer_s: Array, head_s: Array, n_layers: Array, pp: Array) -> tuple[Array, Array]:
    """Time of the mean and of the busiest stage for a microbatch.

    Mean: (L t_layer + t_head) / p. Busiest: a stage of ceil(L / p) layers, or the last one with the
    layers that are left and the head.

    Parameters
    ----------
    layer_s, head_s : float or array
        Time of a layer and of the output head for a microbatch [s].
    n_layers, pp : float or array
        L and p [-].

    Returns
    -------
    tuple of float or array
        Mean and busiest [s].

    Examples
    --------
    Eight layers on three stages: three, three, and two with the head.

    >>> mean, busiest = stage_times_s(1.0, 1.0, 8, 3)
    >>> float(mean), float(busiest)
    (3.0, 3.0)
    """
    per_stage = np.ceil(n_layers / pp)
    last = n_layers - (pp - 1) * per_stage
    mean = (n_layers * layer_s + head_s) / pp
    return mean, np.maximum(per_stage * layer_s, last * layer_s + head_s)


def bubble_s(stage_s: Array, pp: Array, interleave: Array = 1) -> Array:
    """Time in which a stage waits for the pipeline to fill and to drain.

    (p - 1) / v t, of a one-forward-one-backward schedule with v chunks per stage.

    Parameters
    ----------
    stage_s : float or array
        Forward and backward time of a mean stage for a microbatch [s].
    pp, interleave : float or array
        p and v [-].

    Returns
    -------
    float or array
        Time; 0 at pp = 1 [s].

    Notes
    -----
    Schedules that split the backward pass to fill the bubble (zero bubble, DualPipe) are left out.

    Examples
    --------
    Narayanan et al. 2021, section 2.2: over the ideal time m t it is (p - 1) / (v m), here with 8
    stages, 64 microbatches and 3 chunks.

    >>> bubble_s(1.0, 8, 3) / 64 == 7 / (3 * 64)
    True
    """
    return (pp - 1) / interleave * stage_s


def stage_exchange_s(
    work: Work, machine: Machine, tokens: Array, lay: Layouts, n_micro: Array
) -> Array:
    """Sends between stages in a step, where they do not run beside compute.

    2 m v 2 T D / t / beta: every microbatch forward and backward, through every chunk; each of the
    t ranks sends its part.

    Parameters
    ----------
    work : Work
        Model [-].
    machine : Machine
        Links and constants [-].
    tokens : float or array
        T [-].
    lay : Layouts
        Uses all sizes, `interleave` and `pp_overlap` [-].
    n_micro : float or array
        m [-].

    Returns
    -------
    float or array
        Time; 0 at pp = 1 [s].

    Examples
    --------
    Narayanan et al. 2021, sections 3.2 and 4.1: b s h numbers between two stages for each
    microbatch and direction, b s h / t with the scatter-gather of the ranks.

    >>> from trn3.workload import model
    >>> links = at_peak(1.0, 1.0, ((np.inf, 1.0, 0.0),))
    >>> work = Work(model("gpt3_175b"), 2048, 1)
    >>> n_bytes = stage_exchange_s(work, links, 2048, Layouts(tp=8, pp=2), 1)
    >>> float(n_bytes) / (2 * 2) / (2048 * 12288 / 8)
    1.0
    """
    boundary = ACTIVATION_BYTES * tokens * work.shape.d_model / lay.tp
    # the stages are the outermost ranks, so that their neighbours are furthest apart
    stride = lay.tp * lay.cp * lay.dp
    per_byte = collectives.s_per_byte(lay.pp, stride, machine.tiers)
    hop = per_byte * boundary / machine.constants.network
    sends = 2 * n_micro * lay.interleave * hop
    return np.where(np.asarray(lay.pp) > 1, sends, 0.0) * (1 - lay.pp_overlap)


# ------------------------------------------------------------------- data parallel and optimizer
def local_params(shape: ModelShape, lay: Layouts) -> Array:
    """Weights that a rank computes with, before any data-parallel sharding.

    (N_dense + N_routed / e) / (t p)

    Parameters
    ----------
    shape : ModelShape
        Model [-].
    lay : Layouts
        Uses `tp`, `pp` and `ep` [-].

    Returns
    -------
    float or array
        Weights [-].

    Notes
    -----
    Normalisations (below 0.1 %) are left out; the embeddings are spread over all stages.

    Examples
    --------
    Narayanan et al. 2021, table 1: GPT-3 on 8 x 12 ranks, 1.8 billion weights each.

    >>> from trn3.workload import model
    >>> round(local_params(model("gpt3_175b"), Layouts(tp=8, pp=12)) / 1e9, 1)
    1.8
    """
    routed = shape.n_moe_layers * shape.n_experts * shape.n_expert_params
    dense = shape.n_layer_params - routed + shape.n_embedding_params
    return (dense + routed / lay.ep) / (lay.tp * lay.pp)


def trained_params(work: Work, lay: Layouts) -> Array:
    """Weights of a rank that have a gradient and an optimizer.

    All of `local_params`, or with a frozen base the adapters over t p.

    Parameters
    ----------
    work : Work
        Model, whether its weights are frozen, and rank of the adapters [-].
    lay : Layouts
        Uses `tp`, `pp` and `ep` [-].

    Returns
    -------
    float or array
        Weights [-].

    Examples
    --------
    Hu et al. 2021, table 4: 18 million of GPT-3's weights are trained with rank 2 beside the four
    projections, one in nine thousand.

    >>> from trn3.workload import model
    >>> work = Work(model("gpt3_175b"), 2048, 64, frozen=1.0, lora_rank=2)
    >>> round(local_params(work.shape, Layouts()) / float(trained_params(work, Layouts())), -3)
    9000.0
    """
    adapters = work.shape.n_adapter_params(work.lora_rank) / (lay.tp * lay.pp)
    return np.where(work.frozen, adapters, local_params(work.shape, lay))


class Exchange(NamedTuple):
    """Data-parallel exchange of a step.

    Attributes
    ----------
    time_s : float or array
        All of it [s].
    floor_s : float or array
        What shows at least [s].
    hide_s : float or array
        Compute behind which the rest can hide [s].
    latency_s : float or array
        Latency of its rings, which nothing hides [s].
    """

    time_s: Array
    floor_s: Array
    hide_s: Array
    latency_s: Array

    @property
    def shown_s(self) -> Array:
        """What shows of the bytes: no less than the floor, and what finds no compute [s]."""
        return np.maximum(self.floor_s, self.time_s - self.hide_s)


def per_microbatch(lay: Layouts) -> Array:
    """Whether sharded gradients and weights are exchanged for every microbatch, not once a step.

    With ZeRO-2 and 3, unless there is a pipeline.

    Parameters
    ----------
    lay : Layouts
        Uses `zero` and `pp` [-].

    Returns
    -------
    bool or array
        True where they are [-].

    Notes
    -----
    Stacks with a pipeline keep the gathered weights and the gradients of a stage until its last
    microbatch: Llama 3 does not reshard after the forward pass (arXiv:2407.21783, section 3.3.2),
    and MegaScale gathers before the first and reduces after the last chunk (arXiv:2402.15627,
    section 3.2).

    Examples
    --------
    >>> per_microbatch(Layouts(zero=np.arange(4))).tolist()
    [False, False, True, True]
    >>> bool(per_microbatch(Layouts(pp=8, zero=3)))
    False
    """
    return (np.asarray(lay.zero) >= 2) & (np.asarray(lay.pp) == 1)


def data_exchange_bytes(work: Work, lay: Layouts, n_micro: Array) -> tuple[Array, Array]:
    """Bytes of weights and gradients that the data-parallel exchange of a step is about, per rank:
    inside a sharding group, and across its replicas.

    Plain: 2 g N, an all-reduce being two passes. ZeRO-1, and any ZeRO with a pipeline: (g + 2) N,
    gradients reduced and weights gathered once. ZeRO-2 and 3: 4 N and 6 N for every microbatch.
    Across r replicas of n shards each, once: 2 g N / n.

    Parameters
    ----------
    work : Work
        Model, bytes g of a gradient, and what is trained [-].
    lay : Layouts
        Uses all sizes, `zero` and `replicas` [-].
    n_micro : float or array
        m [-].

    Returns
    -------
    tuple of float or array
        Inside a group and across groups, before the ring's share (n - 1) / n [byte].

    Notes
    -----
    What is frozen is gathered but not reduced.

    Examples
    --------
    Rajbhandari et al. 2020, section 7: with gradients of 16 bits ZeRO-1 and ZeRO-2 move as much as
    plain data parallelism, ZeRO-3 half as much again.

    >>> from trn3.workload import model
    >>> work = Work(model("llama2_7b"), 4096, 64, gradient_bytes=2.0)
    >>> moved, across = data_exchange_bytes(work, Layouts(zero=np.arange(4)), 1)
    >>> (moved / moved[0]).tolist()
    [1.0, 1.0, 1.0, 1.5]
    """
    g, zero = work.gradient_bytes, np.asarray(lay.zero)
    trained = trained_params(work, lay)
    once = np.where(zero == 0, 2 * g * trained, (ACTIVATION_BYTES + g) * trained)
    # sharded gradients are reduced in 16 bits; weights are gathered once, or before the forward and
    # before the backward pass
    gathered = np.where(zero >= 3, 2 * local_params(work.shape, lay), trained)
    every = n_micro * ACTIVATION_BYTES * (gathered + trained)
    often = per_microbatch(lay)
    inside = np.where(often, every, once)
    reduced_bytes = np.where(often, ACTIVATION_BYTES, g)
    return inside, np.where(zero > 0, 2 * reduced_bytes * trained / lay.shards, 0.0)


def data_exchange(
    work: Work, machine: Machine, lay: Layouts, n_micro: Array, stage_s: Array
) -> Exchange:
    """Data-parallel exchange of a step: its time, and what can hide it.

    (n - 1) / n bytes / beta inside a sharding group of n ranks and again across r replicas, of
    which a share always shows; the rest hides behind the m microbatches of a stage.

    Parameters
    ----------
    work : Work
        Model and software [-].
    machine : Machine
        Links and constants [-].
    lay : Layouts
        Uses all sizes, `zero`, `replicas` and `dp_overlap` [-].
    n_micro : float or array
        m [-].
    stage_s : float or array
        Time of a mean stage for a microbatch [s].

    Returns
    -------
    Exchange
        Zero at dp = cp = 1.

    Notes
    -----
    Rings of a step: ten where gradients go once, taken as five buckets that are reduced and
    gathered; where weights are gathered for every microbatch three for every layer and microbatch.

    Examples
    --------
    The bytes of a ring, 2 (d - 1) / d of the gradients (Patarasuk and Yuan 2009):

    >>> from trn3.workload import model
    >>> links, llama = at_peak(1.0, 1.0, ((np.inf, 1.0, 0.0),)), model("llama2_7b")
    >>> found = data_exchange(Work(llama, 4096, 64), links, Layouts(dp=8), 8, 0.0)
    >>> round(float(found.shown_s) / (4 * local_params(llama, Layouts())), 9) == 2 * 7 / 8
    True
    """
    c, n, tp = machine.constants, lay.dp * lay.cp, lay.tp
    zero, r = np.asarray(lay.zero), np.asarray(lay.replicas)
    # plain data parallel has one group
    group = np.where(zero > 0, n / r, n)
    inside, across = data_exchange_bytes(work, lay, n_micro)
    per_byte = collectives.s_per_byte(group, tp, machine.tiers) / c.network
    time = inside * (group - 1) / group * per_byte
    every = per_microbatch(lay)
    rings = np.where(every, 3 * n_micro * work.shape.n_layers / lay.pp, 10)
    latency = rings * collectives.ring_latency_s(group, tp, machine.tiers)
    if np.any(r > 1):
        far = collectives.s_per_byte(r, tp * group, machine.tiers) / c.network
        time = time + across * (r - 1) / r * far
        far_ring = collectives.ring_latency_s(r, tp * group, machine.tiers)
        latency = latency + np.where(zero > 0, 10 * far_ring, 0.0)
    exposed = np.where(every, c.fsdp_exposed, c.dp_exposed)
    hidden = np.where(work.serial, 0.0, lay.dp_overlap) * (1 - exposed)
    return Exchange(time, time * (1 - hidden), hidden * n_micro * stage_s, latency)


def optimizer_s(work: Work, machine: Machine, lay: Layouts) -> Array:
    """Time of the optimizer, mixed-precision Adam, by the bytes that it moves.

    30 N / W, N / n with the states sharded over n ranks.

    Parameters
    ----------
    work : Work
        Model, and what of it is trained [-].
    machine : Machine
        Chip and constants [-].
    lay : Layouts
        Uses all sizes, `zero` and `replicas` [-].

    Returns
    -------
    float or array
        Time [s].

    Examples
    --------
    One billion weights at 3 TB/s: 10 ms.

    >>> from trn3.workload import model
    >>> llama = model("llama2_7b")
    >>> time = optimizer_s(Work(llama, 4096, 64), at_peak(1e15, 3e12), Layouts())
    >>> round(1e3 * float(time) * 1e9 / local_params(llama, Layouts()), 6)
    10.0
    """
    # bytes of a weight: gradient read (4), 32-bit weight (4 + 4) and two moments (8 + 8) read and
    # written, 16-bit weight written (2)
    moved = 30 * trained_params(work, lay)
    shards = np.where(np.asarray(lay.zero) > 0, lay.shards, 1)
    return moved / shards / machine.kernel_bytes_per_s


# --------------------------------------------------------------------------------- the whole step
def evaluate(work: Work, machine: Machine, lay: Layouts) -> Steps:
    """Step time of every layout.

    Parameters
    ----------
    work : Work
        Model, sequence, batch and software [-].
    machine : Machine
        Chip, network and constants [-].
    lay : Layouts
        Layouts; each field a scalar or an array [-].

    Returns
    -------
    Steps
        Terms of the step, on their own axes [s].

    Examples
    --------
    Narayanan et al. 2021, table 2: GPT-3 on 384 A100 of 312 TFLOP/s, batch 1536; no step is shorter
    than its operations at peak, 6 N and the attention for every token.

    >>> from trn3.workload import model
    >>> gpt3, links = model("gpt3_175b"), ((8, 300e9, 0.0), (np.inf, 25e9, 0.0))
    >>> work, lay = Work(gpt3, 2048, 1536), Layouts(tp=8, pp=12, dp=4)
    >>> step = float(evaluate(work, at_peak(312e12, 2e12, links), lay).step_time_s)
    >>> ideal = gpt3.train_flops_per_token(2048) * 2048 * 1536 / (384 * 312e12)
    >>> bool(1.0 < step / ideal < 1.5)
    True
    """
    c, shape = machine.constants, work.shape
    tokens = lay.micro_batch * work.seq_len / lay.cp
    n_micro = work.global_batch / (lay.dp * lay.micro_batch)
    layer_of = layer_parts(work, machine, lay, tokens)
    layer = sum(part.time_s for part in layer_of.values())
    head = output_head_s(work, machine, tokens, lay.tp)
    mean, longest = stage_times_s(layer, head, shape.n_layers, lay.pp)
    busiest = mean + c.imbalance * (longest - mean)
    bubble = bubble_s(mean, lay.pp, lay.interleave)
    sends = stage_exchange_s(work, machine, tokens, lay, n_micro)
    exchange = data_exchange(work, machine, lay, n_micro, mean)
    optimizer = optimizer_s(work, machine, lay)
    fixed = c.step_s + exchange.latency_s
    per_stage = shape.n_layers / lay.pp
    parts = {
        name: Part(kind, n_micro * per_stage * time) for name, (kind, time) in layer_of.items()
    }
    parts["output head"] = Part(ARITHMETIC, n_micro * (busiest - per_stage * layer))
    parts["pipeline bubble"] = Part(FIXED, bubble)
    parts["stage exchange"] = Part(LINK, sends)
    parts["optimizer"] = Part(MEMORY, optimizer)
    parts["latency and fixed"] = Part(FIXED, fixed)
    return Steps(n_micro * busiest + bubble + sends, exchange, optimizer + fixed, parts)
