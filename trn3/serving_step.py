"""A serving step: time of prefill and decode over arrays of layouts and batches.

One decode step of `B` sequences per attention group takes

    T = (T_weights^3 + T_compute^3)^(1/3) + T_cache + T_links + L t_layer m + t_host + B t_sequence

and a request in a closed loop pays, per output token, also its share of the others' prefill.
Efficiencies and fixed costs are constants of `data/calibration.csv` (kind ``serving``), fitted to
published runs by `trn3.fit.serving_fit`.

References
---------- Pope et al. 2022, Efficiently scaling transformer inference, arXiv:2211.05102 (weight,
cache and collective terms); Leviathan et al. 2023, arXiv:2211.17192, eq. 1 (tokens per verification
of speculative decoding).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trn3 import committed, data, hardware
from trn3.hardware import Chip, System
from trn3.workload import ModelShape

Values = Mapping[str, Any]
DTYPE_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "fp8": 1.0, "mxfp8": 1.0, "int8": 1.0}
DTYPE_BYTES |= {"fp4": 0.5 + 1 / 16, "nvfp4": 0.5 + 1 / 16, "mxfp4": 0.5 + 1 / 32}
"""Bytes of a stored number, with the scale of its block."""


@dataclass(frozen=True)
class Device:
    """What a serving step needs to know of a chip and its links; scalars or arrays.

    Attributes
    ----------
    hbm_bytes, hbm_bytes_per_s : Array
        Memory of a chip [B] and its bandwidth [B/s].
    peak_flops_per_s, bf16_flops_per_s : Array
        Dense peak in the format of the weights' matrix products, and in bf16 for attention
        [FLOP/s].
    compute_bytes : Array
        Width of that format: 2 for bf16, 1 for fp8, 0.5 for fp4 [B].
    link_bytes_per_s : Array
        Link one way per chip inside the scale-up domain [B/s].
    n_ranks : Array
        Ranks that share a chip (logical NeuronCores; 1 on a GPU) [-].
    compiled : Array
        Whether graphs are compiled for fixed shapes, and prompts prefilled one at a time (Neuron)
        [-].
    torus : Array
        Whether the links form a torus (TPU) rather than a switch or full mesh [-].
    """

    hbm_bytes: Any
    hbm_bytes_per_s: Any
    peak_flops_per_s: Any
    bf16_flops_per_s: Any
    compute_bytes: Any
    link_bytes_per_s: Any
    n_ranks: Any = 1.0
    compiled: Any = False
    torus: Any = False


@dataclass(frozen=True)
class Layouts:
    """How one copy of the model lies on chips; scalars or arrays.

    Attributes
    ----------
    tp : Array
        Chips that share one attention group [-].
    dp : Array
        Attention groups that share the experts (data-parallel attention, expert parallelism over
        all) [-].
    pp : Array
        Pipeline stages [-].
    whole : Array
        Whether each expert lies whole on one chip (expert parallelism), so that loads are uneven;
        else sliced [-].
    """

    tp: Any
    dp: Any = 1.0
    pp: Any = 1.0
    whole: Any = True

    @property
    def n_chips(self) -> Any:
        """Chips of one copy [-]."""
        return self.tp * self.dp * self.pp


@dataclass(frozen=True)
class Work:
    """What runs; scalars or arrays.

    Attributes
    ----------
    batch : Array
        Sequences that decode together in one attention group [-].
    input_tokens, output_tokens : Array
        Tokens of a prompt and of an answer [-].
    weight_bytes, kv_bytes : Array
        Bytes of a stored weight and of a cached number [B].
    bucket_batch, bucket_input, bucket_context : Array
        Shapes that a compiled graph computes: 0 takes the next power of two on a compiled device
        [-].
    prompts : Array
        Prompts that are prefilled together [-].
    chunk_tokens : Array
        Most prompt tokens of one prefill pass [-].
    expert_reads : Array
        Times that a graph may read one expert in a pass; 1 where tokens of one expert are gathered
        [-].
    """

    batch: Any
    input_tokens: Any
    output_tokens: Any
    weight_bytes: Any = 2.0
    kv_bytes: Any = 2.0
    bucket_batch: Any = 0.0
    bucket_input: Any = 0.0
    bucket_context: Any = 0.0
    prompts: Any = 1.0
    chunk_tokens: Any = 8192.0
    expert_reads: Any = 1.0


@dataclass(frozen=True)
class Steps:
    """Times and rates of every point.

    Attributes
    ----------
    decode_s, prefill_s : Array
        One decode step of the batch; one prompt [s].
    tpot_s, ttft_s : Array
        Per output token and to the first token, under the load that keeps the batch full [s].
    tokens_per_s_per_user : Array
        Output tokens a user sees per second [1/s].
    tokens_per_s_per_chip : Array
        Output tokens per second and chip [1/s].
    memory_bytes : Array
        Weights and cache on a chip [B].
    fits : Array
        Whether that leaves the reserve free [-].
    """

    decode_s: Any
    prefill_s: Any
    tpot_s: Any
    ttft_s: Any
    tokens_per_s_per_user: Any
    tokens_per_s_per_chip: Any
    memory_bytes: Any
    fits: Any


def dtype_bytes(dtype: str) -> float:
    """Bytes of a stored number.

    Parameters
    ----------
    dtype : str
        ``bf16``, ``fp8``, ``fp4``, ``mxfp4`` ... [-].

    Returns
    -------
    float
        Bytes, the scale of its block included [B].

    Raises
    ------
    trn3.data.TrnError
        Where the format is not known.

    Examples
    -------- One byte-wide scale per 16 numbers in NVFP4, per 32 in the MX formats (OCP MX
    specification 1.0, section 5.2).

    >>> dtype_bytes("nvfp4"), dtype_bytes("mxfp4")
    (0.5625, 0.53125)
    """
    if dtype not in DTYPE_BYTES:
        raise data.TrnError(f"dtype = {dtype!r}: must be one of {', '.join(DTYPE_BYTES)}")
    return DTYPE_BYTES[dtype]


def routed_params(m: ModelShape) -> Any:
    """Weights of one routed expert over all its layers.

    Parameters
    ----------
    m : ModelShape
        The model [-].

    Returns
    -------
    Array
        Weights [-].

    Examples
    --------
    >>> from trn3 import workload
    >>> m = workload.model("deepseek_v3")
    >>> round(routed_params(m) * m.n_experts / 1e9)
    654
    """
    return m.n_moe_layers * m.n_expert_params


def dense_params(m: ModelShape) -> Any:
    """Weights that every token passes through, without embedding, head and routed experts.

    Parameters
    ----------
    m : ModelShape
        The model [-].

    Returns
    -------
    Array
        Weights [-].
    """
    return m.n_active_layer_params - m.top_k * routed_params(m)


def dense_bytes(m: ModelShape, w: Work) -> Any:
    """The same as stored: 4-bit checkpoints of mixture-of-experts models keep attention and shared
    weights at 8 bits.

    Parameters
    ----------
    m : ModelShape
        The model [-].
    w : Work
        Formats [-].

    Returns
    -------
    Array
        Bytes [B].
    """
    return dense_params(m) * np.where(
        np.greater(m.n_experts, 0), np.maximum(w.weight_bytes, 1.0), w.weight_bytes
    )


def device(system: System, dtype: str = "bf16") -> Device:
    """Numbers of a system's chip for weights of a format.

    Parameters
    ----------
    system : System
        Where the model runs [-].
    dtype : str
        Format of the weights [-].

    Returns
    -------
    Device
        Scalars [-].

    Raises
    ------
    trn3.hardware.UnsupportedDtype
        Where the chip has no such format and does not widen 4-bit weights.
    """
    chip = system.chip
    compute = dtype if has(chip, dtype) or format_for(chip, dtype) != dtype else "bf16"
    peak, bf16 = chip.peak(compute), chip.peak("bf16")
    width = next(
        (
            w
            for w, d in ((2.0, "bf16"), (1.0, "fp8"))
            if has(chip, d) and peak <= 1.01 * chip.peak(d)
        ),
        0.5,
    )
    neuron = chip.vendor == "AWS"
    ranks = data.assumption(f"serving_ranks_{chip.id}").value if neuron else 1.0
    torus = "torus" in system.topology.lower() and not neuron
    bandwidth, links = chip.hbm_sustained_bytes_per_s, chip.scale_up_bytes_per_s
    links = links if np.isfinite(links) else system.tiers[0].bytes_per_s
    return Device(chip.hbm_bytes, bandwidth, peak, bf16, width, links, ranks, neuron, torus)


def has(chip: Chip, dtype: str) -> bool:
    """Whether a chip runs a format or another of the same width.

    Parameters
    ----------
    chip : Chip
        The accelerator [-].
    dtype : str
        The asked format [-].

    Returns
    -------
    bool
        True where it does [-].
    """
    try:
        return bool(chip.native(dtype))
    except hardware.UnsupportedDtype:
        return False


def format_for(chip: Chip, dtype: str) -> str:
    """Format in which a chip serves weights that are published in another one.

    Parameters
    ----------
    chip : Chip
        The accelerator [-].
    dtype : str
        The asked format [-].

    Returns
    -------
    str
        `dtype` where the chip computes in it, or widens 4-bit weights as it reads them; else
        ``bf16`` [-].

    Notes
    ----- Engines of GPUs and TPUs widen 4-bit weights on the fly; AWS's load them as bf16 where the
    chip lacks the format.

    Examples
    --------
    >>> [format_for(hardware.chip(c), "mxfp4") for c in ("h100", "trainium2", "trainium3")]
    ['mxfp4', 'bf16', 'mxfp4']
    """
    return dtype if has(chip, dtype) or (dtype.endswith("fp4") and chip.vendor != "AWS") else "bf16"


NAMES = [
    "hbm_share",
    "matmul_share",
    "collective_s",
    "kv_share",
    "fp8_share",
    "fp4_share",
    "attention_share",
    "expert_matmul_share",
    "expert_imbalance",
    "expert_sharing",
    "layer_s",
    "moe_layers",
    "latent_layers",
    "host_s",
    "sequence_s",
    "all_to_all_s",
    "mixing",
    "first_token_s",
    "first_token_steps",
    "queue",
    "queue_power",
]
"""Constants that the evaluator asks for."""


def constants(chip: Chip) -> dict[str, float]:
    """Committed constants for a chip: its own, else its family's, else the shared value.

    Parameters
    ----------
    chip : Chip
        The accelerator [-].

    Returns
    -------
    dict
        Value by name, as in `NAMES` [-].
    """
    return {n: committed.constant("serving", n, chip.id, chip.family) for n in NAMES}


def all_reduce_s(n_bytes: Any, n: Any, device: Device, latency_s: Any) -> Any:
    """Time of one all-reduce by message size: a one-shot kernel for small, a two-shot one for large
    messages.

    With x = B / beta: alpha + min((n - 1) x / 0.35, 2 (n - 1) / n sqrt(x (x + 35 us)) / 0.45) on a
    switch or mesh, and alpha sqrt(n) + 4 x / sqrt(n) over both axes of a torus.

    Parameters
    ----------
    n_bytes : Array
        Message [B].
    n : Array
        Chips of the group [-].
    device : Device
        Its links [-].
    latency_s : Array
        Time of an empty all-reduce, alpha [s].

    Returns
    -------
    Array
        Time, 0 for one chip [s].

    Notes
    ----- The three numbers follow the all-reduce times of TensorRT-LLM kernels in CUDA graphs that
    NVIDIA's aiconfigurator publishes for H100, H200, B200 and GB200 at 2, 4 and 8 chips, 8 KiB to
    512 MiB, within about 30 %.
    """
    n = np.asarray(n, float)
    x = n_bytes / device.link_bytes_per_s
    two_shot = 2 * (n - 1) / n * np.sqrt(x * (x + 35e-6)) / 0.45
    switched = latency_s + np.minimum((n - 1) * x / 0.35, two_shot)
    return np.where(
        n > 1, np.where(device.torus, np.sqrt(n) * latency_s + 4 * x / np.sqrt(n), switched), 0.0
    )


def links_s(m: ModelShape, d: Device, at: Layouts, k: Values, tokens: Any) -> Any:
    """Collectives of one pass: two all-reduces per layer, or one and two all-to-alls where experts
    are spread.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    k : mapping
        Constants [-].
    tokens : Array
        Tokens of one attention group [-].

    Returns
    -------
    Array
        Time [s].
    """
    reduce = all_reduce_s(2.0 * tokens * m.d_model, at.tp, d, k["collective_s"])
    exchange = k["all_to_all_s"] + 1.5 * tokens * m.top_k * m.d_model / d.link_bytes_per_s
    spread = np.greater(at.dp, 1) & np.greater(m.n_experts, 0)
    return m.n_layers * (reduce + np.where(spread, 2 * exchange, reduce))


def kernels_s(m: ModelShape, k: Values) -> Any:
    """Launch and synchronisation of one pass: a cost per layer, more of them for experts and latent
    attention.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    k : mapping
        Constants [-].

    Returns
    -------
    Array
        Time [s].
    """
    more = np.where(np.greater(m.n_experts, 0), k["moe_layers"], 1.0)
    return (
        m.n_layers
        * k["layer_s"]
        * more
        * np.where(np.greater(m.kv_lora_rank, 0), k["latent_layers"], 1.0)
    )


def experts_read(m: ModelShape, w: Work, k: Values, tokens: Any) -> Any:
    """Distinct experts that a pass of so many tokens reads per layer.

    E (1 - (1 - k/E)^(1 + (n - 1) s)), where s < 1 because tokens of one text share experts; a graph
    that reads the experts of every token anew reads n k, at most `expert_reads` times all of them.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    w : Work
        How often a graph reads an expert [-].
    k : mapping
        Constants [-].
    tokens : Array
        Tokens that meet at the experts [-].

    Returns
    -------
    Array
        Experts, not whole [-].

    Examples
    --------
    DeepSeek-V3 (256, 8): 163 experts at 32 independent tokens.

    >>> from trn3 import workload
    >>> m = workload.model("deepseek_v3")
    >>> round(float(experts_read(m, Work(32, 1024, 1024), {"expert_sharing": 1.0}, 32)))
    163
    """
    e = np.maximum(m.n_experts, 1)
    shared = e * (1 - (1 - m.top_k / e) ** (1 + np.maximum(tokens - 1, 0) * k["expert_sharing"]))
    anew = np.minimum(tokens * m.top_k, w.expert_reads * m.n_experts)
    return np.where(np.greater(w.expert_reads, 1), anew, shared * np.greater(m.n_experts, 0))


def matmul_s(
    m: ModelShape, d: Device, at: Layouts, k: Values, w: Work, tokens: Any, decode: bool
) -> Any:
    """Matrix products of `tokens` per attention group: reading weights and computing, nearly the
    longer of the two.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    k : mapping
        Constants [-].
    w : Work
        Formats and the prefill chunk [-].
    tokens : Array
        Tokens of one attention group [-].
    decode : bool
        One pass with the output head; else prefill in chunks without it [-].

    Returns
    -------
    Array
        Time [s].

    Notes
    -----
    The output head stays at 16 bits.
    """
    passes = 1.0 if decode else np.ceil(tokens / w.chunk_tokens)
    head, spread = 1.0 if decode else 0.0, at.tp * at.dp
    read = (
        experts_read(m, w, k, tokens * at.dp / passes / at.pp) * routed_params(m) * w.weight_bytes
    )
    uneven = np.where(np.greater(spread, 1) & at.whole, k["expert_imbalance"], 1.0)
    n_bytes = (dense_bytes(m, w) + 2.0 * head * m.n_head_params) / at.tp + read * uneven / spread
    t_read = passes * n_bytes / (d.hbm_bytes_per_s * k["hbm_share"])
    narrow = np.where(
        d.compute_bytes < 1, k["fp4_share"], np.where(d.compute_bytes < 2, k["fp8_share"], 1.0)
    )
    routed = m.top_k * routed_params(m) / k["expert_matmul_share"]
    n_flops = 2.0 * tokens * (dense_params(m) + head * m.n_head_params + routed) / (at.tp * at.pp)
    t_compute = n_flops / (d.peak_flops_per_s * k["matmul_share"] * narrow)
    return np.cbrt(t_read * t_read * t_read + t_compute * t_compute * t_compute)


def cache_shards(m: ModelShape, d: Device, at: Layouts) -> Any:
    """Chips' worth of bandwidth that read one group's cache: key/value heads bound it, latent
    caches are copied.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].

    Returns
    -------
    Array
        Shards [-].
    """
    heads = np.minimum(at.tp * d.n_ranks, m.n_kv_heads) / d.n_ranks
    return np.where(np.greater(m.kv_lora_rank, 0), 1.0, np.where(d.torus, at.tp, heads)) * at.pp


def latent_flops(m: ModelShape) -> Any:
    """FLOP of a decode step per token attended when latent attention is absorbed into the query; 0
    for other kinds.

    Parameters
    ----------
    m : ModelShape
        Model [-].

    Returns
    -------
    Array
        FLOP over all layers [-].
    """
    absorbed = 2.0 * m.n_layers * m.n_heads * (2 * m.kv_lora_rank + m.rope_dim)
    return absorbed * np.greater(m.kv_lora_rank, 0)


def read_context(w: Work) -> Any:
    """Tokens of cache that a decode step reads per sequence: the compiled length, or the mean over
    the answer.

    Parameters
    ----------
    w : Work
        Lengths [-].

    Returns
    -------
    Array
        Tokens [-].
    """
    return np.where(
        np.greater(w.bucket_context, 0), w.bucket_context, w.input_tokens + w.output_tokens / 2
    )


def decode_s(m: ModelShape, d: Device, at: Layouts, k: Values, w: Work) -> Any:
    """Time of one decode step.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    k : mapping
        Constants [-].
    w : Work
        Batch and lengths as computed, buckets already applied (`padded`) [-].

    Returns
    -------
    Array
        Time [s].
    """
    context = read_context(w)
    cached = w.batch * m.kv_bytes(context, w.kv_bytes)
    t_cache = cached / (cache_shards(m, d, at) * d.hbm_bytes_per_s * k["hbm_share"] * k["kv_share"])
    scores = (
        w.batch * context * latent_flops(m) / (at.tp * d.bf16_flops_per_s * k["attention_share"])
    )
    t_cache = np.maximum(t_cache, scores)
    fixed = kernels_s(m, k) + k["host_s"] + w.batch * k["sequence_s"]
    return matmul_s(m, d, at, k, w, w.batch, True) + t_cache + links_s(m, d, at, k, w.batch) + fixed


def prefill_s(m: ModelShape, d: Device, at: Layouts, k: Values, w: Work) -> Any:
    """Time to prefill one prompt per attention group (or several together), in chunks.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    k : mapping
        Constants [-].
    w : Work
        Lengths and chunk [-].

    Returns
    -------
    Array
        Time [s].
    """
    prompt = np.where(np.greater(w.bucket_input, 0), w.bucket_input, w.input_tokens)
    tokens = w.prompts * prompt
    passes = np.ceil(tokens / w.chunk_tokens)
    scores = tokens * m.attention_flops_per_token(prompt)
    t_scores = scores / (at.tp * at.pp * d.bf16_flops_per_s * k["attention_share"])
    per_pass = links_s(m, d, at, k, tokens / passes) + kernels_s(m, k)
    return matmul_s(m, d, at, k, w, tokens, False) + t_scores + passes * per_pass


def mixed_prefill_s(m: ModelShape, d: Device, at: Layouts, k: Values, w: Work) -> Any:
    """Prefill time that a request costs the others: short prompts share a pass, up to the chunk;
    compiled ones do not.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    k : mapping
        Constants [-].
    w : Work
        Batch and lengths [-].

    Returns
    -------
    Array
        Time per prompt [s].
    """
    prompts = np.clip(w.chunk_tokens / w.input_tokens, 1.0, np.maximum(w.batch, 1.0))
    prompts = np.where(d.compiled, 1.0, prompts)
    return prefill_s(m, d, at, k, replace(w, prompts=prompts)) / prompts


def padded(d: Device, w: Work) -> Work:
    """Fill in the shapes that a compiled device computes: powers of two of batch and prompt, the
    load's full context.

    Parameters
    ----------
    d : Device
        Chip; where it is not compiled nothing changes [-].
    w : Work
        What is asked [-].

    Returns
    -------
    Work
        With the buckets set, and `batch` kept as asked [-].

    Examples
    --------
    >>> trn = Device(96e9, 2.9e12, 6.67e14, 6.67e14, 2.0, 6.4e11, compiled=True)
    >>> w = padded(trn, Work(5.0, 900.0, 250.0))
    >>> float(w.bucket_batch), float(w.bucket_input), float(w.bucket_context)
    (8.0, 1024.0, 1150.0)
    """

    def power(asked: Any) -> Any:
        return 2.0 ** np.ceil(np.log2(np.maximum(asked, 1)))

    def bucket(given: Any, shape: Any) -> Any:
        return np.where(d.compiled & np.equal(given, 0), shape, given)

    context = bucket(w.bucket_context, w.input_tokens + w.output_tokens)
    prompt = bucket(
        w.bucket_input, np.minimum(power(w.input_tokens), np.maximum(context, w.input_tokens))
    )
    return replace(
        w,
        bucket_batch=bucket(w.bucket_batch, power(w.batch)),
        bucket_input=prompt,
        bucket_context=context,
    )


def weight_bytes_per_chip(m: ModelShape, at: Layouts, w: Work) -> Any:
    """Weights that a chip holds; embeddings stay at 16 bits, attention is copied per group, experts
    are spread.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    at : Layouts
        Layout [-].
    w : Work
        Formats [-].

    Returns
    -------
    Array
        Bytes [B].
    """
    experts = m.n_experts * routed_params(m) * w.weight_bytes / (at.tp * at.dp)
    return ((dense_bytes(m, w) + 2.0 * m.n_embedding_params) / at.tp + experts) / at.pp


def cache_bytes_per_chip(m: ModelShape, d: Device, at: Layouts, w: Work) -> Any:
    """Cache of one sequence at its full length, on the chip that holds most of it.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    w : Work
        Lengths and format [-].

    Returns
    -------
    Array
        Bytes of one sequence [B].
    """
    tokens = np.maximum(w.input_tokens + w.output_tokens, w.bucket_context)
    return m.kv_bytes(tokens, w.kv_bytes) / cache_shards(m, d, at)


def max_batch(m: ModelShape, d: Device, at: Layouts, w: Work) -> Any:
    """Most sequences per attention group whose full caches fit beside the weights.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    w : Work
        Lengths and formats [-].

    Returns
    -------
    Array
        Sequences, 0 where not one fits [-].

    Notes
    ----- Usable share of the memory and the reserve for activations and graphs are assumptions
    (`data/assumptions.csv`).
    """
    usable = (
        data.assumption("serving_usable_hbm_share").value * d.hbm_bytes
        - data.assumption("serving_reserve").value
    )
    room = (usable - weight_bytes_per_chip(m, at, w)) / cache_bytes_per_chip(m, d, at, w)
    return np.clip(np.floor(room), 0.0, data.assumption("serving_max_sequences").value)


def evaluate(
    m: ModelShape,
    d: Device,
    at: Layouts,
    w: Work,
    k: Values,
    disaggregated: bool = False,
    speedup: Any = 1.0,
) -> Steps:
    """Times and rates of every point; arguments broadcast, so one point and a million are the same
    call.

    TPOT = T(B) / speedup + phi (B - 1) T_shared / output; TTFT = T_prefill (1 + g (B - 1)^h) + t_0
    + n T(B).

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip and links, from `device` [-].
    at : Layouts
        Layouts [-].
    w : Work
        Batch, lengths, formats [-].
    k : mapping
        Constants, from `constants` [-].
    disaggregated : bool
        Prefill on chips of its own, of the same layout, in the ratio that keeps both busy [-].
    speedup : Array
        Tokens accepted per step of speculative decoding over its cost, from `speculative_speedup`
        [-].

    Returns
    -------
    Steps
        Arrays of the broadcast shape [-].
    """
    w = padded(d, w)
    compiled, waiting = np.maximum(w.bucket_batch, w.batch), np.maximum(w.batch - 1.0, 0.0)
    step = decode_s(m, d, at, k, replace(w, batch=compiled)) / speedup
    pre = prefill_s(m, d, at, k, w)
    share = mixed_prefill_s(m, d, at, k, w) / w.output_tokens
    tpot = step + (0.0 if disaggregated else k["mixing"] * waiting * share)
    ttft = (
        pre * (1 + k["queue"] * waiting ** k["queue_power"])
        + k["first_token_s"]
        + k["first_token_steps"] * step
    )
    chips = at.n_chips * (1.0 + (share * w.batch / step if disaggregated else 0.0))
    held = weight_bytes_per_chip(m, at, w) + compiled * cache_bytes_per_chip(m, d, at, w)
    fits = compiled <= max_batch(m, d, at, w)
    return Steps(step, pre, tpot, ttft, 1.0 / tpot, w.batch * at.dp / (tpot * chips), held, fits)


def speculative_speedup(
    acceptance: Any, draft_tokens: Any, draft_cost: Any, wider: Any = 1.0
) -> Any:
    """Speed-up of decode by a draft: tokens gained per verification over its cost.

    (1 - a^(g + 1)) / (1 - a) / (1 + g c) / r, with r the cost of a step of B (g + 1) tokens over
    one of B.

    Parameters
    ----------
    acceptance : Array
        Chance that a drafted token is accepted, below 1 [-].
    draft_tokens : Array
        Tokens drafted per step, g [-].
    draft_cost : Array
        Time of a draft token over that of a step, c [-].
    wider : Array
        Cost of the wider step, r [-].

    Returns
    -------
    Array
        Speed-up; below 1 where the wider step costs more than it gains [-].

    Examples
    -------- Leviathan et al. 2023, eq. 1: acceptance 0.8 and 5 draft tokens give 3.69 tokens per
    verification.

    >>> round(speculative_speedup(0.8, 5, 0.0), 2)
    3.69

    References
    ---------- Leviathan, Kalman and Matias 2023, Fast inference from transformers via speculative
    decoding, arXiv:2211.17192.
    """
    return (
        (1 - acceptance ** (draft_tokens + 1))
        / (1 - acceptance)
        / (1 + draft_tokens * draft_cost)
        / wider
    )


def traffic(m: ModelShape, d: Device, at: Layouts, w: Work, k: Values) -> dict[str, Any]:
    """Work behind one output token, its share of the prompt included; what energy is charged for.

    Parameters
    ----------
    m : ModelShape
        Model, or models stacked [-].
    d : Device
        Chip [-].
    at : Layouts
        Layout [-].
    w : Work
        Batch, lengths, formats [-].
    k : mapping
        Constants [-].

    Returns
    -------
    dict
        ``flops``, ``hbm_bytes`` and ``link_bytes`` per output token, over all chips [-, B, B].
    """
    w = padded(d, w)
    batch, share = np.maximum(w.bucket_batch, w.batch), 1.0 / w.output_tokens
    prompt = np.where(np.greater(w.bucket_input, 0), w.bucket_input, w.input_tokens)
    context, passes = read_context(w), share * np.ceil(prompt / w.chunk_tokens)
    active = 2.0 * (dense_params(m) + m.n_head_params + m.top_k * routed_params(m))
    full = np.maximum(latent_flops(m) * context, m.attention_flops_per_token(context, causal=False))
    flops = (active + full) * batch / w.batch + share * prompt * (
        active + m.attention_flops_per_token(prompt)
    )

    def weights(tokens: Any) -> Any:
        fixed = (dense_bytes(m, w) + 2.0 * m.n_head_params) * at.dp
        return fixed + experts_read(m, w, k, tokens * at.dp) * routed_params(m) * w.weight_bytes

    cache = batch * m.kv_bytes(context, w.kv_bytes) * at.tp / cache_shards(m, d, at)
    hbm = (weights(batch) + at.dp * cache) / (w.batch * at.dp) + passes * weights(prompt) / at.dp
    per_token = 2.0 * m.n_layers * 2.0 * m.d_model * 2.0 * (at.tp - 1.0)
    routed = np.where(np.greater(at.dp, 1), 3.0 * m.n_layers * m.top_k * m.d_model, 0.0)
    return {
        "flops": flops,
        "hbm_bytes": hbm,
        "link_bytes": (per_token + routed) * (batch / w.batch + share * prompt),
    }
