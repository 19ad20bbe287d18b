r"""A serving step: time of decode and of prefill, term by term, over arrays of layouts and batches.

A step of decode reads the weights, computes with them, reads the caches, exchanges activations and
pays for launching kernels:

.. math:: T = (T_{read}^3 + T_{compute}^3)^{1/3} + T_{cache} + T_{links} + T_{fixed}

Every term is a function below; `evaluate` puts them together. Letters:

======  ============================================================  ==========================
letter  meaning                                                       here
======  ============================================================  ==========================
B       sequences that decode together in one attention group         ``work.batch``
S, O    tokens of a prompt and of an answer                           ``work.input_tokens, ...``
n       tokens that go through the model in one pass                  ``tokens``
L, D    layers and width of the model                                 ``model.n_layers, d_model``
H       attention heads                                               ``model.n_heads``
E, k    routed experts of a layer, and those that a token takes       ``model.n_experts, top_k``
N       weights                                                       ``dense_params, ...``
tp      chips that share the matrices and heads of an attention group ``layout.tp``
dp      attention groups that share the experts                       ``layout.dp``
M       servers, or other units of a tier, over which a copy lies     ``device.tiers``
pp      pipeline stages                                               ``layout.pp``
W       bandwidth of the memory of a chip                             ``device.hbm_bytes_per_s``
P       dense peak of a chip                                          ``device.peak_flops_per_s``
beta    link of a chip, one way                                       ``device.link_bytes_per_s``
alpha   time of an all-reduce of no bytes                             ``constants.collective_s``
======  ============================================================  ==========================

Efficiencies and fixed costs are fitted to published runs by `trn3.fit.serving_fit`
(`trn3.committed.ServingConstants`). Weights and activations of 16 bits count 2 bytes, and a
multiplication with its addition 2 FLOP.

References
----------
Pope et al. 2022, Efficiently scaling transformer inference, arXiv:2211.05102: weight, cache and
collective terms. Austin et al. 2025, How to scale your model, chapter on inference: the same as
bounds. Leviathan et al. 2023, arXiv:2211.17192: speculative decoding. DeepSeek-AI 2024,
arXiv:2405.04434 and arXiv:2412.19437: latent attention, and experts spread over chips.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trn3 import committed, data, hardware, ties
from trn3.collectives import Tiers
from trn3.committed import ServingConstants
from trn3.hardware import Chip, System
from trn3.roofline import ARITHMETIC, FIXED, LINK, MEMORY, Part
from trn3.units import Array
from trn3.workload import ModelShape

DTYPE_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "fp8": 1.0, "mxfp8": 1.0, "int8": 1.0}
DTYPE_BYTES |= {"fp4": 0.5 + 1 / 16, "nvfp4": 0.5 + 1 / 16, "mxfp4": 0.5 + 1 / 32}
DTYPE_BYTES |= {"int4": 0.5 + 2 / 32}
"""Bytes of a stored number, with the scale of its block."""

WIDE_BYTES = 2.0
"""Bytes of a 16-bit number: activations, output head and embeddings stay so wide."""

FLOP_PER_WEIGHT = 2.0
"""A multiplication and an addition."""


# ------------------------------------------------------------------------------------------ records
@dataclass(frozen=True)
class Device:
    """What a serving step needs to know of a chip, its links and its engine; scalars or arrays.

    Attributes
    ----------
    usable_bytes : Array
        Memory of a chip for weights and caches [B].
    hbm_bytes_per_s : Array
        Bandwidth of that memory [B/s].
    peak_flops_per_s, bf16_flops_per_s : Array
        Dense peak in the format of the weights' matrix products, and in bf16 for attention
        [FLOP/s].
    compute_bytes : Array
        Width of that format: 2 for bf16, 1 for fp8, 0.5 for fp4 [B].
    link_bytes_per_s : Array
        Link one way per chip inside the scale-up domain [B/s].
    one_shot_share, two_shot_share : Array
        Share of the link that all-reduce kernels reach, those that send everything to everybody,
        and those that scatter and gather [-].
    ramp_s : Array
        Time on the link of the message at which the latter reach 0.7 of that share [s].
    chunk_tokens : Array
        Most prompt tokens of one prefill pass of the engine [-].
    max_sequences : Array
        Largest batch of an attention group that the engine is built for [-].
    network_share : Array
        Share of the slower links beyond the first tier that exchanges with experts reach [-].
    n_ranks : Array
        Ranks that share a chip (logical NeuronCores; 1 on a GPU) [-].
    compiled : Array
        Whether graphs are compiled for fixed shapes, and prompts prefilled one at a time (Neuron)
        [-].
    widened : Array
        Whether 4-bit weights are widened to 16 bits before they are multiplied [-].
    block_tokens, array_width : Array
        Tokens of a block, and width of the array, of compiled products with experts [-].
    torus : Array
        Whether collectives run along the axes of a torus (TPU) rather than through switches or a
        mesh [-].
    tiers : sequence of tuple
        The network, inner to outer: chips reached, bytes per second one way per chip, latency;
        scalars. Empty where no copy of the model leaves the first tier [-, B/s, s].
    """

    usable_bytes: Array
    hbm_bytes_per_s: Array
    peak_flops_per_s: Array
    bf16_flops_per_s: Array
    compute_bytes: Array
    link_bytes_per_s: Array
    one_shot_share: Array
    two_shot_share: Array
    ramp_s: Array
    chunk_tokens: Array
    max_sequences: Array
    network_share: Array
    n_ranks: Array
    compiled: Array
    widened: Array
    block_tokens: Array
    array_width: Array
    torus: Array
    tiers: Tiers


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

    tp: Array
    dp: Array = 1.0
    pp: Array = 1.0
    whole: Array = True

    @property
    def n_chips(self) -> Array:
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
    expert_reads : Array
        Times that a graph may read one expert in a pass; 1 where tokens of one expert are gathered
        [-].
    """

    batch: Array
    input_tokens: Array
    output_tokens: Array
    weight_bytes: Array = 2.0
    kv_bytes: Array = 2.0
    bucket_batch: Array = 0.0
    bucket_input: Array = 0.0
    bucket_context: Array = 0.0
    prompts: Array = 1.0
    expert_reads: Array = 1.0


@dataclass(frozen=True)
class Tokens:
    """Tokens that go through the model, and in how many passes.

    Attributes
    ----------
    count : Array
        Tokens of one attention group, over all passes [-].
    n_passes : Array
        Passes that they take; each reads the weights [-].
    head : bool
        Whether the output head runs on each of them, as in decode.
    """

    count: Array
    n_passes: Array = 1.0
    head: bool = True


@dataclass(frozen=True)
class Steps:
    """Times and rates of every point.

    Attributes
    ----------
    decode_s, prefill_s : Array
        One decode step of the batch; one prompt [s].
    prompt_share : Array
        Share of the chips' time that goes to reading prompts; the rest writes answers [-].
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

    decode_s: Array
    prefill_s: Array
    prompt_share: Array
    tpot_s: Array
    ttft_s: Array
    tokens_per_s_per_user: Array
    tokens_per_s_per_chip: Array
    memory_bytes: Array
    fits: Array


# -------------------------------------------------------------------------- records from the tables
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
    --------
    One byte-wide scale per 16 numbers in NVFP4, per 32 in the MX formats (OCP MX specification 1.0,
    section 5.2).

    >>> dtype_bytes("nvfp4"), dtype_bytes("mxfp4")
    (0.5625, 0.53125)
    """
    if dtype not in DTYPE_BYTES:
        raise data.TrnError(f"dtype = {dtype!r}: must be one of {', '.join(DTYPE_BYTES)}")
    return DTYPE_BYTES[dtype]


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

    Examples
    --------
    >>> has(hardware.chip("trainium3"), "fp8"), has(hardware.chip("a100_80"), "fp8")
    (True, False)
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
        `dtype` where the chip computes in it, or its engines widen 4-bit weights as they read them;
        else ``bf16`` [-].

    Examples
    --------
    Engines of GPUs and TPUs widen 4-bit weights; AWS's load them as bf16 where the chip lacks the
    format.

    >>> [format_for(hardware.chip(c), "mxfp4") for c in ("h100", "trainium2", "trainium3")]
    ['mxfp4', 'bf16', 'mxfp4']
    """
    widened = chip.widens_4bit and dtype.endswith(("fp4", "int4"))
    return dtype if has(chip, dtype) or widened else "bf16"


def device(system: System, dtype: str = "bf16") -> Device:
    """Numbers of a system's chip and of its engine for weights of a format.

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

    Examples
    --------
    H100, dense FP8: 1,979 TFLOP/s.

    >>> device(hardware.system("hgx_h100"), "fp8").peak_flops_per_s / 1e12
    1979.0
    """
    chip = system.chip
    compute = dtype if has(chip, dtype) or format_for(chip, dtype) != dtype else "bf16"
    scale_up = chip.scale_up_bytes_per_s
    links = ("one_shot_share", "two_shot_share", "ramp_s", "network_share")
    engine = ("chunk_tokens", "max_sequences", "block_tokens", "array_width")
    assumed = {name: data.assumption(f"serving_{name}").value for name in links + engine}
    usable_share = data.assumption("serving_usable_hbm_share").value
    return Device(
        usable_bytes=usable_share * chip.hbm_bytes - data.assumption("serving_reserve").value,
        hbm_bytes_per_s=chip.hbm_sustained_bytes_per_s,
        peak_flops_per_s=chip.peak(compute),
        bf16_flops_per_s=chip.peak("bf16"),
        compute_bytes=_compute_bytes(chip, chip.peak(compute)),
        link_bytes_per_s=scale_up if np.isfinite(scale_up) else system.tiers[0].bytes_per_s,
        n_ranks=chip.n_ranks,
        compiled=chip.compiled,
        widened=dtype.endswith(("fp4", "int4")) and not has(chip, dtype),
        torus=system.axis_collectives,
        tiers=tuple((t.n_chips, t.bytes_per_s, t.latency_s) for t in system.tiers),
        **assumed,
    )


def _compute_bytes(chip: Chip, peak_flops_per_s: float) -> float:
    """Width of the widest format whose peak is not below the one used: a chip that computes 8 bits
    no faster than 16 gains nothing that a constant could take a share of.
    """
    for width, dtype in ((2.0, "bf16"), (1.0, "fp8")):
        if has(chip, dtype) and peak_flops_per_s <= 1.01 * chip.peak(dtype):
            return width
    return 0.5


def constants(chip: Chip) -> ServingConstants:
    """Committed constants for a chip: its own, else its family's, else the shared value.

    Parameters
    ----------
    chip : Chip
        The accelerator [-].

    Returns
    -------
    ServingConstants
        Scalars [-].

    Examples
    --------
    No engine reads weights faster than the memory delivers them.

    >>> 0 < constants(hardware.chip("h200")).hbm_share < 1
    True
    """
    return committed.constants(ServingConstants, chip.id, chip.cores)


def at_level(constants: ServingConstants, software: committed.Software) -> ServingConstants:
    """Constants of a stack whose times are some factor of a typical one's.

    Parameters
    ----------
    constants : ServingConstants
        Of a typical stack [-].
    software : Software
        Level of the stack [-].

    Returns
    -------
    ServingConstants
        Shares divided by the factor, but no share above that of the hardware; fixed times
        multiplied [-].

    Notes
    -----
    The hardware's shares are what matrix products were measured to reach, and all of the bandwidth
    that the memory sustains. At the level ``hardware`` nothing is lost to launching kernels, to the
    host, or to sending answers late; collectives keep their latency, experts their imbalance.

    Examples
    --------
    A slow stack takes longer for everything; none is faster than the hardware.

    >>> typical = constants(hardware.chip("trainium3"))
    >>> at = lambda level: at_level(typical, committed.software("serving", level))
    >>> at("typical") == typical
    True
    >>> bool(at("first_port").hbm_share < typical.hbm_share < at("tuned").hbm_share <= 1)
    True
    >>> bool(at("first_port").layer_s > typical.layer_s > at("hardware").layer_s == 0)
    True
    """
    measured = committed.prior("training", "measured_matmul").value
    most = {"hbm_share": 1.0, "matmul_share": measured, "attention_share": measured}
    fixed = ("layer_s", "host_s", "sequence_s", "first_token_s", "collective_s", "all_to_all_s")
    if software.level == "hardware":
        none = dict.fromkeys((*fixed[:4], "first_token_steps"), 0.0)
        return replace(constants, **most, **none)
    if software.time_factor == 1.0:
        return constants
    slower = software.time_factor
    shares = {
        name: np.minimum(
            getattr(constants, name) / slower, np.maximum(top, getattr(constants, name))
        )
        for name, top in most.items()
    }
    return replace(
        constants, **shares, **{name: slower * getattr(constants, name) for name in fixed}
    )


# ------------------------------------------------------------------------------- weights of a model
def routed_params(model: ModelShape) -> Array:
    """Weights of one routed expert over all its layers.

    Parameters
    ----------
    model : ModelShape
        The model [-].

    Returns
    -------
    Array
        Weights [-].

    Examples
    --------
    DeepSeek-V3: 58 routed layers of 256 experts with three matrices of 7168 x 2048 (section 4.2)
    hold 654 of its 671 billion weights.

    >>> from trn3 import workload
    >>> deepseek = workload.model("deepseek_v3")
    >>> round(routed_params(deepseek) * 256 / 1e9), round(58 * 256 * 3 * 7168 * 2048 / 1e9)
    (654, 654)

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V3 technical report, arXiv:2412.19437.
    """
    return model.n_moe_layers * model.n_expert_params


def dense_params(model: ModelShape) -> Array:
    """Weights that every token passes through, without embedding, head and routed experts.

    Parameters
    ----------
    model : ModelShape
        The model [-].

    Returns
    -------
    Array
        Weights [-].

    Examples
    --------
    With the eight experts of a token and both embeddings they are the 37 billion that DeepSeek-V3
    activates.

    >>> from trn3 import workload
    >>> deepseek = workload.model("deepseek_v3")
    >>> active = dense_params(deepseek) + 8 * routed_params(deepseek)
    >>> round(float(active + deepseek.n_embedding_params) / 1e9, 1)
    37.6
    """
    return model.n_active_layer_params - model.top_k * routed_params(model)


def dense_bytes(model: ModelShape, work: Work) -> Array:
    """The same as stored: 4-bit checkpoints of mixture-of-experts models keep attention and shared
    weights at 8 bits.

    Parameters
    ----------
    model : ModelShape
        The model [-].
    work : Work
        Formats [-].

    Returns
    -------
    Array
        Bytes [B].

    Examples
    --------
    >>> from trn3 import workload
    >>> four_bits = Work(1, 1, 1, weight_bytes=0.5)
    >>> [float(dense_bytes(m, four_bits) / dense_params(m))
    ...  for m in map(workload.model, ("llama3_3_70b", "gpt_oss_120b"))]
    [0.5, 1.0]
    """
    eight_bits = 1.0  # bytes
    least = np.where(np.greater(model.n_experts, 0), eight_bits, 0.0)
    return dense_params(model) * np.maximum(work.weight_bytes, least)


def experts_read(
    model: ModelShape, work: Work, constants: ServingConstants, tokens: Array
) -> Array:
    r"""Distinct experts that a pass of n tokens reads per layer.

    .. math:: E (1 - (1 - k / E)^{1 + (n - 1) s})

    with s < 1 because tokens of one text share experts. A graph that reads the experts of every
    token anew reads n k, at most `expert_reads` times all of them.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    work : Work
        How often a graph reads an expert [-].
    constants : ServingConstants
        Sharing of experts, s [-].
    tokens : Array
        Tokens that meet at the experts, n [-].

    Returns
    -------
    Array
        Experts, not whole; 0 for a dense model [-].

    Notes
    -----
    Experts are taken to be equally liked; a router that prefers some reads fewer.

    Examples
    --------
    DeepSeek-V3 (256 experts, 8 per token): 8 for one token, 163 for 32 independent ones.

    >>> from trn3 import workload
    >>> deepseek, work = workload.model("deepseek_v3"), Work(32, 1024, 1024)
    >>> independent = replace(constants(hardware.chip("h200")), expert_sharing=1.0)
    >>> experts_read(deepseek, work, independent, np.array([1, 32])).round()
    array([  8., 163.])
    """
    n_experts = np.maximum(model.n_experts, 1)
    drawn = 1 + np.maximum(tokens - 1, 0) * constants.expert_sharing
    shared = n_experts * (1 - (1 - model.top_k / n_experts) ** drawn)
    anew = np.minimum(tokens * model.top_k, work.expert_reads * model.n_experts)
    routed = np.greater(model.n_experts, 0)
    return np.where(np.greater(work.expert_reads, 1), anew, shared * routed)


def expert_rows(model: ModelShape, device: Device, layout: Layouts, tokens: Tokens) -> Array:
    r"""Rows that a token adds to the products with experts in one layer.

    .. math:: k, \qquad \text{compiled prompts: } k + b \min\left(\frac{E - 1}{n\, dp}, k\right)

    A compiled graph sorts the tokens of a prompt into blocks of b rows, one expert each. As it
    cannot know which expert gets how many, it runs enough blocks for the worst case, E - 1 more
    than the tokens fill.

    Parameters
    ----------
    model : ModelShape
        Experts E and those of a token, k [-].
    device : Device
        Whether graphs are compiled, and rows of a block [-].
    layout : Layouts
        Attention groups, whose tokens meet at the experts [-].
    tokens : Tokens
        Tokens n of a group; in decode (with the output head) experts are gathered, not sorted into
        blocks [-].

    Returns
    -------
    Array
        Rows [-].

    Examples
    --------
    256 tokens of DeepSeek-V3 fill 2,048 rows; with blocks of 256 rows 255 of them may be nearly
    empty, 65,280 rows more, which 64 groups share.

    >>> from trn3 import workload
    >>> deepseek, chip = workload.model("deepseek_v3"), device(hardware.system("trn2_48xl"))
    >>> chip = replace(chip, block_tokens=256)
    >>> one, many = Layouts(16.0), Layouts(1.0, 64.0)
    >>> prompt = Tokens(256, head=False)
    >>> [256 * float(expert_rows(deepseek, chip, at, prompt)) for at in (one, many)]
    [67328.0, 3068.0]
    >>> float(expert_rows(deepseek, chip, one, Tokens(256)))
    8.0

    References
    ----------
    AWS, Neuron documentation, mixture-of-experts kernel for context encoding: blocks of 128 to 512
    tokens.
    """
    meet = tokens.count * layout.dp / tokens.n_passes
    spare = np.minimum((model.n_experts - 1) / meet, model.top_k)
    blocks = device.block_tokens * np.maximum(spare, 0.0)
    return model.top_k + np.where(np.logical_and(device.compiled, not tokens.head), blocks, 0.0)


def narrow_experts(model: ModelShape, device: Device, layout: Layouts) -> Array:
    """Width of the array over that of the slice of an expert on one rank, where experts are sliced
    thinner than the array of a compiled device is wide.

    Parameters
    ----------
    model : ModelShape
        Width of an expert [-].
    device : Device
        Ranks of a chip, and the width of its array [-].
    layout : Layouts
        Chips that slice an expert [-].

    Returns
    -------
    Array
        Factor on reading and computing, 1 where slices fill the array [-].

    Examples
    --------
    DeepSeek-V3's experts are 2,048 wide: 16 Trainium2 of four ranks hold slices of 32, which fill a
    quarter of the 128 lanes.

    >>> from trn3 import workload
    >>> deepseek, chip = workload.model("deepseek_v3"), device(hardware.system("trn2_48xl"))
    >>> float(narrow_experts(deepseek, chip, Layouts(16.0, whole=False)))
    4.0
    """
    sliced = device.compiled & ~np.asarray(layout.whole, bool) & np.greater(model.n_experts, 0)
    width = np.maximum(model.d_ff_expert, 1) / (layout.tp * layout.dp * device.n_ranks)
    return np.where(sliced, np.maximum(device.array_width / width, 1.0), 1.0)


# ---------------------------------------------------------------------------------- matrix products
def weight_read_s(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    work: Work,
    tokens: Tokens,
) -> Array:
    r"""Time to read the weights once per pass.

    .. math:: T_{read} = \frac{1}{W \eta} \left(\frac{N_{dense}}{tp}
              + \frac{e\, N_{expert}\, u}{tp\, dp}\right)

    in bytes, with e the experts read (`experts_read`) and u the load of the busiest chip over the
    mean, where experts lie whole on chips.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Bandwidth W [-].
    layout : Layouts
        Chips that share the weights; the stages of a pipeline read theirs one after the other [-].
    constants : ServingConstants
        Share of the bandwidth, imbalance of experts [-].
    work : Work
        Formats [-].
    tokens : Tokens
        Tokens, passes, and whether the output head is read [-].

    Returns
    -------
    Array
        Time over all passes [s].

    Notes
    -----
    The output head stays at 16 bits. Embeddings are looked up, not read.

    Examples
    --------
    The scaling book (chapter on inference): a step of Llama 2 13B in bf16 on eight TPU v5e reads
    26 GB at 8 x 8.1e11 B/s, 4.0 ms.

    >>> from trn3 import workload
    >>> llama, v5e = workload.model("llama2_13b"), device(hardware.system("tpu_v5e_pod"))
    >>> ideal = replace(constants(hardware.chip("tpu_v5e")), hbm_share=1.0)
    >>> at, work = Layouts(8.0), Work(1, 1024, 1024)
    >>> v5e = replace(v5e, hbm_bytes_per_s=8.1e11)
    >>> round(1e3 * float(weight_read_s(llama, v5e, at, ideal, work, Tokens(1))), 1)
    4.0

    References
    ----------
    Pope et al. 2022, section 2; Austin et al. 2025, How to scale your model, chapter on inference.
    """
    n_spread = layout.tp * layout.dp
    meet = tokens.count * layout.dp / tokens.n_passes / layout.pp
    n_read = experts_read(model, work, constants, meet)
    expert_bytes = n_read * routed_params(model) * work.weight_bytes
    uneven = np.where(np.greater(n_spread, 1) & layout.whole, constants.expert_imbalance, 1.0)
    head_bytes = WIDE_BYTES * tokens.head * model.n_head_params
    expert_bytes = expert_bytes * uneven * narrow_experts(model, device, layout)
    n_bytes = (dense_bytes(model, work) + head_bytes) / layout.tp + expert_bytes / n_spread
    return tokens.n_passes * n_bytes / (device.hbm_bytes_per_s * constants.hbm_share)


def weight_compute_s(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    tokens: Tokens,
) -> Array:
    r"""Time to multiply n tokens with the weights.

    .. math:: T_{compute} = \frac{2 n}{tp\, pp\, P \eta}
              \left(N_{dense} + \frac{r\, w\, N_{expert}}{\eta_{expert}}\right)

    with the rows r that a token adds to the products of experts (`expert_rows`: k, or more where
    blocks are compiled) and the factor w of slices narrower than the array (`narrow_experts`).

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Peak P and width of its format [-].
    layout : Layouts
        Chips that share the work; the stages of a pipeline work on different sequences [-].
    constants : ServingConstants
        Shares of the peak [-].
    tokens : Tokens
        Tokens, and whether the output head is computed [-].

    Returns
    -------
    Array
        Time over all passes [s].

    Notes
    -----
    8- and 4-bit products keep `fp8_share` and `fp4_share` of their nominal gain; a format that is
    no faster than the next wider one on this chip counts as that. Where a chip widens 4-bit weights
    the products of experts reach `widened_share` of the rate of 16-bit ones.

    Examples
    --------
    The scaling book: on TPU v5e in bf16 (1.97e14 FLOP/s, 8.1e11 B/s) computing takes as long as
    reading at 240 tokens.

    >>> from trn3 import workload
    >>> llama, v5e = workload.model("llama2_13b"), device(hardware.system("tpu_v5e_pod"))
    >>> ideal = replace(constants(hardware.chip("tpu_v5e")), hbm_share=1.0, matmul_share=1.0)
    >>> v5e = replace(v5e, hbm_bytes_per_s=8.1e11, peak_flops_per_s=1.97e14)
    >>> at, work = Layouts(8.0), Work(1, 1024, 1024)
    >>> read_s = weight_read_s(llama, v5e, at, ideal, work, Tokens(1))
    >>> round(float(read_s / weight_compute_s(llama, v5e, at, ideal, Tokens(1))))
    243

    References
    ----------
    Austin et al. 2025, How to scale your model, chapter on inference.
    """
    narrow = np.where(device.compute_bytes < 2, constants.fp8_share, 1.0)
    narrow = np.where(device.compute_bytes < 1, constants.fp4_share, narrow)
    widened = np.logical_and(device.widened, tokens.head)
    share = constants.expert_matmul_share * np.where(widened, constants.widened_share, 1.0)
    times = expert_rows(model, device, layout, tokens) * narrow_experts(model, device, layout)
    routed = times * routed_params(model) / share
    n_weights = dense_params(model) + tokens.head * model.n_head_params + routed
    n_flops = FLOP_PER_WEIGHT * tokens.count * n_weights / (layout.tp * layout.pp)
    return n_flops / (device.peak_flops_per_s * constants.matmul_share * narrow)


def smooth_max(first: Array, second: Array) -> Array:
    r"""Longer of two times that overlap in part.

    .. math:: (a^3 + b^3)^{1/3}

    Parameters
    ----------
    first, second : Array
        Times [s].

    Returns
    -------
    Array
        Between the longer of the two and 1.26 times it [s].

    Notes
    -----
    The power 3 is a choice, between 1 (no overlap) and infinity (all of it).

    Examples
    --------
    >>> round(float(smooth_max(3.0, 3.0)), 2), round(float(smooth_max(3.0, 0.3)), 3)
    (3.78, 3.001)
    """
    return np.cbrt(first * first * first + second * second * second)


def longer(first: Array, second: Array) -> Array:
    r"""Longer of two bounds that hold at once, without a kink where they cross.

    .. math:: (a^{16} + b^{16})^{1/16}

    Parameters
    ----------
    first, second : Array
        Times [s].

    Returns
    -------
    Array
        The longer of the two, at most 4.4 % more where they are equal [s].

    Notes
    -----
    A fit follows slopes, which a maximum does not have where its terms cross. Squares and square
    roots round alike on every machine.

    Examples
    --------
    >>> round(float(longer(3.0, 3.0)), 2), float(longer(3.0, 0.3)), float(longer(0.0, 0.0))
    (3.13, 3.0, 0.0)
    """
    most = np.maximum(first, second)
    ratio = np.minimum(first, second) / np.where(np.greater(most, 0), most, 1.0)
    power = np.square(np.square(np.square(np.square(ratio))))
    return most * np.sqrt(np.sqrt(np.sqrt(np.sqrt(1.0 + power))))


def matmul_s(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    work: Work,
    tokens: Tokens,
) -> Array:
    """Matrix products: reading the weights and computing with them, nearly the longer of the two.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Efficiencies [-].
    work : Work
        Formats [-].
    tokens : Tokens
        What goes through [-].

    Returns
    -------
    Array
        Time over all passes [s].

    Examples
    --------
    Where reading and computing take as long, the products take 2^(1/3) times either.

    >>> from trn3 import workload
    >>> llama, chip = workload.model("llama3_3_70b"), hardware.chip("h200")
    >>> given = device(hardware.system("h200"), "fp8"), Layouts(4.0), constants(chip)
    >>> many = Tokens(np.geomspace(1, 4096, 1000))
    >>> work = Work(1, 1024, 1024, 1.0, 1.0)
    >>> ratio = matmul_s(llama, *given, work, many) / np.maximum(
    ...     weight_read_s(llama, *given, work, many), weight_compute_s(llama, *given, many))
    >>> bool(1 < ratio.min() and 1.25 < ratio.max() <= 2 ** (1 / 3))
    True
    """
    read_s = weight_read_s(model, device, layout, constants, work, tokens)
    return smooth_max(read_s, weight_compute_s(model, device, layout, constants, tokens))


# ------------------------------------------------------------------------------ attention and cache
def read_context(work: Work) -> Array:
    """Tokens of cache that a decode step reads per sequence: the compiled length, or the mean over
    the answer, S + O / 2.

    Parameters
    ----------
    work : Work
        Lengths [-].

    Returns
    -------
    Array
        Tokens [-].

    Examples
    --------
    >>> given, compiled = Work(1, 1000, 200), Work(1, 1000, 200, bucket_context=4096)
    >>> float(read_context(given)), float(read_context(compiled))
    (1100.0, 4096.0)
    """
    mean = work.input_tokens + work.output_tokens / 2
    return np.where(np.greater(work.bucket_context, 0), work.bucket_context, mean)


def cache_shards(model: ModelShape, device: Device, layout: Layouts) -> Array:
    """Chips' worth of bandwidth that read one group's cache.

    Key/value heads bound it on switched links: more ranks than heads hold copies. A torus splits by
    sequences. A latent cache is copied to every chip of the group.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Ranks of a chip, and whether it is part of a torus [-].
    layout : Layouts
        Layout [-].

    Returns
    -------
    Array
        Shards [-].

    Examples
    --------
    Llama 3.3 70B has eight key/value heads: 16 chips read its cache no faster than eight.

    >>> from trn3 import workload
    >>> h200, at = device(hardware.system("h200"), "fp8"), Layouts(np.array([4.0, 8.0, 16.0]))
    >>> cache_shards(workload.model("llama3_3_70b"), h200, at)
    array([4., 8., 8.])
    >>> cache_shards(workload.model("deepseek_v3"), h200, at)
    array([1., 1., 1.])

    References
    ----------
    Pope et al. 2022, section 3.3: attention sharded by heads or by batch.
    """
    by_heads = np.minimum(layout.tp * device.n_ranks, model.n_kv_heads) / device.n_ranks
    plain = np.where(device.torus, layout.tp, by_heads)
    return np.where(np.greater(model.kv_lora_rank, 0), 1.0, plain) * layout.pp


def cache_share(constants: ServingConstants) -> Array:
    """Share of the memory bandwidth that reading caches reaches, never above the whole.

    Parameters
    ----------
    constants : ServingConstants
        Share of reading weights, and the cache's over it [-].

    Returns
    -------
    Array
        Share [-].

    Examples
    --------
    >>> given = constants(hardware.chip("h200"))
    >>> share = lambda kv: float(cache_share(replace(given, hbm_share=0.8, kv_share=kv)))
    >>> round(share(1.0), 3), round(share(2.0), 3)
    (0.799, 1.0)
    """
    wanted = constants.hbm_share * constants.kv_share
    return 1.0 / longer(1.0 / wanted, 1.0)


def cache_read_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    r"""Time to read the caches of B sequences once.

    .. math:: T = \frac{B\, b_{kv}(S + O/2)}{shards\; W \min(\eta\, \eta_{kv}, 1)}

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Bandwidth W [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Shares of the bandwidth [-].
    work : Work
        Batch, lengths and format [-].

    Returns
    -------
    Array
        Time of a decode step [s].

    Examples
    --------
    The scaling book: a step of Llama 2 13B in bf16 on eight TPU v5e (8.2e11 B/s) takes at least
    12.1 ms for 8 sequences of 8,192 tokens, 4.0 ms for weights and 8.2 ms for 53.6 GB of cache.

    >>> from trn3 import workload
    >>> llama, v5e = workload.model("llama2_13b"), device(hardware.system("tpu_v5e_pod"))
    >>> v5e, at = replace(v5e, hbm_bytes_per_s=8.2e11), Layouts(8.0)
    >>> ideal = replace(constants(hardware.chip("tpu_v5e")), hbm_share=1.0, kv_share=2.0)
    >>> round(1e3 * float(cache_read_s(llama, v5e, at, ideal, Work(8, 8192, 0))), 1)
    8.2

    References
    ----------
    Austin et al. 2025, How to scale your model, chapter on inference; Pope et al. 2022, section 2.
    """
    n_bytes = work.batch * model.read_bytes(read_context(work), work.kv_bytes)
    rate = cache_shards(model, device, layout) * device.hbm_bytes_per_s
    cached_s = n_bytes / (rate * cache_share(constants))
    return cached_s + state_s(model, device, layout, constants, work)


def state_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Time to read and write the states of B sequences once, sharded by their heads.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Bandwidth [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Shares of the bandwidth [-].
    work : Work
        Batch [-].

    Returns
    -------
    Array
        Time of a decode step; 0 without layers that keep a state [s].

    Notes
    -----
    Taken to reach the share of the bandwidth that reading a cache does.

    Examples
    --------
    >>> from trn3 import workload
    >>> h200 = hardware.system("h200")
    >>> given = device(h200, "fp8"), Layouts(8.0), constants(h200.chip), Work(64, 4096, 1024)
    >>> float(state_s(workload.model("llama3_3_70b"), *given))
    0.0
    """
    n_bytes = 2 * work.batch * model.state_bytes / (layout.tp * layout.pp)
    return n_bytes / (device.hbm_bytes_per_s * cache_share(constants))


def latent_flops(model: ModelShape) -> Array:
    r"""FLOP of a decode step per token attended when latent attention is absorbed into the query.

    .. math:: 2 L H (2 r + r_{rope})

    for a latent of rank r: scores with latent and rotary part, and values out of the latent.

    Parameters
    ----------
    model : ModelShape
        Model [-].

    Returns
    -------
    Array
        FLOP over all layers; 0 for other kinds of attention [-].

    Examples
    --------
    DeepSeek-V3, 61 layers of 128 heads on a latent of 512 + 64: 17 MFLOP per token attended, 242
    for each of the 1,152 cached bytes of a layer's token; no chip has so high a ridge.

    >>> from trn3 import workload
    >>> deepseek = workload.model("deepseek_v3")
    >>> round(latent_flops(deepseek) / 1e6), round(latent_flops(deepseek) / deepseek.kv_bytes(1.0))
    (17, 242)

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, section 2.1.
    """
    return model.latent_flops


def latent_attention_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Time to compute latent attention of a decode step, B context `latent_flops` / (tp P).

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Peak in bf16 [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Share of the peak [-].
    work : Work
        Batch and lengths [-].

    Returns
    -------
    Array
        Time; 0 without latent attention, whose arithmetic hides behind reading the cache [s].

    Examples
    --------
    >>> from trn3 import workload
    >>> h200 = hardware.system("h200")
    >>> given = device(h200, "fp8"), Layouts(8.0), constants(h200.chip), Work(64, 4096, 1024)
    >>> float(latent_attention_s(workload.model("llama3_3_70b"), *given))
    0.0
    """
    context = read_context(work)
    n_flops = work.batch * context * latent_flops(model)
    for group in model.others:
        absorbed = np.greater(group.decode_dim, 0) * group.decode_flops(context)
        n_flops = n_flops + work.batch * group.n_layers * absorbed
    return n_flops / (layout.tp * device.bf16_flops_per_s * constants.attention_share)


def attended_flops(model: ModelShape, work: Work) -> Array:
    """FLOP of attention for one token of a decode step: scores and weighted values over its whole
    context, or absorbed latent attention where that is more.

    Parameters
    ----------
    model : ModelShape
        Model [-].
    work : Work
        Lengths [-].

    Returns
    -------
    Array
        FLOP over all layers [-].

    Examples
    --------
    Narayanan et al. 2021, eq. 2: 4 h FLOP per token attended and layer, here GPT-3 (96 layers of
    12,288) at 2,048.

    >>> from trn3 import workload
    >>> flops = attended_flops(workload.model("gpt3_175b"), Work(1, 2048, 0))
    >>> float(flops) == 4 * 12288 * 96 * 2048
    True
    """
    return model.decode_flops_per_token(read_context(work))


def prompt_attention_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Time of the scores and weighted values of the prompts of a pass, each attending to its half.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Peak in bf16 [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Share of the peak [-].
    work : Work
        Prompts and their length [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    It grows with the square of the prompt, so that eight prompts of 1,024 tokens take an eighth of
    one of 8,192.

    >>> from trn3 import workload
    >>> h200 = hardware.system("h200")
    >>> given = device(h200, "fp8"), Layouts(8.0), constants(h200.chip)
    >>> short, long = Work(1, 1024, 1, prompts=8), Work(1, 8192, 1)
    >>> llama = workload.model("llama3_3_70b")
    >>> float(prompt_attention_s(llama, *given, short) / prompt_attention_s(llama, *given, long))
    0.125
    """
    prompt = prompt_tokens(work)
    n_flops = work.prompts * prompt * model.attention_flops_per_token(prompt)
    n_chips = layout.tp * layout.pp
    return n_flops / (n_chips * device.bf16_flops_per_s * constants.attention_share)


def prompt_tokens(work: Work) -> Array:
    """Tokens of a prompt as computed: the compiled length where there is one.

    Parameters
    ----------
    work : Work
        Lengths [-].

    Returns
    -------
    Array
        Tokens [-].

    Examples
    --------
    >>> given, compiled = Work(1, 900, 1), Work(1, 900, 1, bucket_input=1024)
    >>> float(prompt_tokens(given)), float(prompt_tokens(compiled))
    (900.0, 1024.0)
    """
    return np.where(np.greater(work.bucket_input, 0), work.bucket_input, work.input_tokens)


# -------------------------------------------------------------------------------------- collectives
def all_reduce_s(n_bytes: Array, n_chips: Array, device: Device, latency_s: Array) -> Array:
    r"""Time of one all-reduce by message size.

    With x = bytes / beta, through switches or a mesh the quicker of one shot (everything to
    everybody) and two shots (scatter and gather, slower than their share by sqrt(1 + h / x)):

    .. math:: \alpha + \min\left(\frac{(n - 1) x}{\eta_1},
              \frac{2 (n - 1)}{n \eta_2} \sqrt{x (x + h)}\right)

    and on a torus, scattering and gathering along each of its two axes,

    .. math:: \sqrt{n} \alpha + \frac{4 x}{\sqrt{n}}

    Parameters
    ----------
    n_bytes : Array
        Message [B].
    n_chips : Array
        Chips of the group [-].
    device : Device
        Its links, and the shares of them that kernels reach [-].
    latency_s : Array
        Time of an empty all-reduce, alpha [s].

    Returns
    -------
    Array
        Time, 0 for one chip [s].

    Notes
    -----
    The shares follow the all-reduce times of TensorRT-LLM kernels in CUDA graphs that NVIDIA's
    aiconfigurator publishes for H100, H200, B200 and GB200 at 2, 4 and 8 chips, 8 KiB to 512 MiB,
    within about 30 %. Reduction inside the switch is not counted apart.

    Examples
    --------
    Pope et al. 2022 (section 3.2.2): a layer whose weights lie on both axes of a torus moves
    8 B L E / sqrt(n) numbers (here one token of width E = 18,432 on 64 chips), as our two
    all-reduces do.

    >>> v4 = device(hardware.system("tpu_v4_pod"))
    >>> two_s = 2 * all_reduce_s(WIDE_BYTES * 18432, 64, v4, 0.0)
    >>> round(float(two_s * v4.link_bytes_per_s / WIDE_BYTES)) == 8 * 18432 / 8
    True

    A large message approaches the bus bandwidth identity of nccl-tests, 2 (n - 1) / n x.

    >>> h100 = replace(device(hardware.system("h100")), two_shot_share=1.0)
    >>> x = 1e12 / h100.link_bytes_per_s
    >>> round(float(all_reduce_s(1e12, 8, h100, 0.0) / (2 * 7 / 8 * x)), 3)
    1.0

    References
    ----------
    Thakur, Rabenseifner and Gropp 2005, Optimization of collective communication operations in
    MPICH. Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms. Pope et al. 2022.
    """
    n = np.asarray(n_chips, float)
    x = n_bytes / device.link_bytes_per_s
    one_shot = (n - 1) * x / device.one_shot_share
    two_shot = 2 * (n - 1) / n * np.sqrt(x * (x + device.ramp_s)) / device.two_shot_share
    switched = latency_s + np.minimum(one_shot, two_shot)
    # 4: a reduce-scatter and an all-gather along each of two axes of sqrt(n) chips
    along_axes = np.sqrt(n) * latency_s + 4 * x / np.sqrt(n)
    return np.where(n > 1, np.where(device.torus, along_axes, switched), 0.0)


EXCHANGE_BYTES = 1.5
"""Bytes of a number in an exchange with the experts: out in 8 bits, back in 16, on the mean."""


def exchange_s(
    model: ModelShape, device: Device, constants: ServingConstants, tokens: Array
) -> Array:
    r"""Time of one all-to-all between attention groups and experts, there or back.

    .. math:: \alpha_{exchange} + \frac{1.5\, n\, k\, D}{\beta}

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Links, beta [-].
    constants : ServingConstants
        Time of a small exchange [-].
    tokens : Array
        Tokens of one attention group, n [-].

    Returns
    -------
    Array
        Time [s].

    Notes
    -----
    Tokens whose experts lie on the same chip are sent all the same; a group of several chips sends
    through one chip's link.

    Examples
    --------
    DeepSeek's DeepEP prints 4,096 tokens of width 7,168 to eight experts inside a server, 8 bits
    out and 16 back, as limited by NVLink: 350 MB a chip on the mean of the two.

    >>> from trn3 import workload
    >>> h800, free = device(hardware.system("h800")), constants(hardware.chip("h800"))
    >>> free = replace(free, all_to_all_s=0.0)
    >>> time_s = exchange_s(workload.model("deepseek_v3"), h800, free, 4096)
    >>> round(float(time_s) * h800.link_bytes_per_s / 1e6)
    352

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V3 technical report, arXiv:2412.19437, section 3.2.2 and 3.3.
    """
    return constants.all_to_all_s + inner_exchange_s(model, device, tokens)


def inner_exchange_s(model: ModelShape, device: Device, tokens: Array) -> Array:
    """Time that the bytes of one exchange take on the links inside the first tier,
    1.5 n k D / beta.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Links, beta [-].
    tokens : Array
        Tokens of one attention group, n [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    >>> from trn3 import workload
    >>> h100, deepseek = device(hardware.system("h100")), workload.model("deepseek_v3")
    >>> time_s = inner_exchange_s(deepseek, h100, 4096)
    >>> round(float(time_s * h100.link_bytes_per_s / (4096 * 8 * 7168)), 3)
    1.5
    """
    n_bytes = EXCHANGE_BYTES * tokens * model.top_k * model.d_routed
    return n_bytes / device.link_bytes_per_s


def links_s(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    tokens: Array,
) -> Array:
    """Collectives of one pass inside the first tier: two all-reduces per layer, after attention and
    after the feed-forward block; where experts are spread, one and two exchanges.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Latencies [-].
    tokens : Array
        Tokens of one attention group [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    Narayanan et al. 2021 (section 3.2): two all-reduces a layer in the forward pass, none on one
    chip.

    >>> from trn3 import workload
    >>> llama, h100 = workload.model("llama3_3_70b"), hardware.system("h100")
    >>> k, chip = constants(h100.chip), device(h100)
    >>> eight_s = links_s(llama, chip, Layouts(8.0), k, 64.0)
    >>> one_s = all_reduce_s(WIDE_BYTES * 64 * 8192, 8, chip, k.collective_s)
    >>> round(float(eight_s / one_s)), float(links_s(llama, chip, Layouts(1.0), k, 64.0))
    (160, 0.0)
    """
    message_bytes = WIDE_BYTES * tokens * model.d_model
    reduce_s = all_reduce_s(message_bytes, layout.tp, device, constants.collective_s)
    spread = np.greater(layout.dp, 1) & np.greater(model.n_experts, 0)
    one_s = exchange_s(model, device, constants, tokens)
    one_s = np.where(joined(device, layout), constants.all_to_all_s, one_s)
    experts_s = np.where(spread, 2 * one_s, reduce_s) * model.feed_forward_share
    return model.n_layers * (reduce_s * model.mixer_share + experts_s)


def joined(device: Device, layout: Layouts) -> Array:
    """Whether a copy of the model leaves the first tier of its network, as over several servers.

    Parameters
    ----------
    device : Device
        Tiers [-].
    layout : Layouts
        Chips of a copy [-].

    Returns
    -------
    Array
        True where it does [-].

    Examples
    --------
    >>> h100 = device(hardware.system("hgx_h100"))
    >>> joined(h100, Layouts(1.0, np.array([8.0, 16.0])))
    array([False,  True])
    """
    first = device.tiers[0][0] if device.tiers else np.inf
    return np.greater(layout.tp * layout.dp, first)


def network_s(model: ModelShape, device: Device, layout: Layouts, tokens: Array) -> Array:
    r"""Time on the way of the bytes of a pass's exchanges where a copy leaves the first tier.

    A token goes once to each of the other units of a tier (of M) that hold one of its experts, and
    is handed on meanwhile inside the first tier:

    .. math:: 2 L \max\left(T_{inner},\; \alpha_{tier} + \frac{1.5\, n\, D\, c}
              {tp\, \eta\, \beta_{tier}}\right), \quad c = (M - 1) (1 - (1 - 1/M)^k)

    where the slowest tier counts.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Tiers, and the share of their bandwidth that is reached [-].
    layout : Layouts
        Chips of a copy [-].
    tokens : Array
        Tokens of one attention group, n; its chips share the sending [-].

    Returns
    -------
    Array
        Time; 0 where a copy stays within the first tier, or spreads no experts [s].

    Notes
    -----
    Experts are taken to be equally liked; a router that keeps a token's experts on few servers
    sends less.

    Examples
    --------
    DeepSeek-V3 on four servers of eight H100: a token with eight experts goes to 2.7 of the three
    others, not to six, so at 50 GB/s 4,096 tokens take 2.4 ms, there or back.

    >>> from trn3 import workload
    >>> h100, deepseek = device(hardware.system("h100")), workload.model("deepseek_v3")
    >>> h100 = replace(h100, network_share=1.0)
    >>> time_s = network_s(deepseek, h100, Layouts(1.0, 32.0), 4096)
    >>> round(1e3 * float(time_s) / 2 / 61, 1)
    2.4
    >>> float(network_s(deepseek, h100, Layouts(1.0, 8.0), 4096))
    0.0

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V3 technical report, arXiv:2412.19437, section 3.2.2.
    """
    n_chips = layout.tp * layout.dp
    n_bytes = EXCHANGE_BYTES * tokens * model.d_routed / layout.tp
    slowest_s = inner_exchange_s(model, device, tokens)
    for (below, _, _), (reach, bytes_per_s, latency_s) in pairwise(device.tiers):
        inside = np.minimum(n_chips, reach)
        units = np.maximum(inside / below, 1.0)
        experts = model.top_k * inside / n_chips
        copies = (units - 1) * (1 - (1 - 1 / units) ** experts)
        tier_s = latency_s + n_bytes * copies / (bytes_per_s * device.network_share)
        slowest_s = np.maximum(slowest_s, np.where(units > 1, tier_s, 0.0))
    spread = np.greater(layout.dp, 1) & np.greater(model.n_experts, 0)
    exchanges = 2 * model.n_layers * model.feed_forward_share
    return np.where(spread & joined(device, layout), exchanges * slowest_s, 0.0)


def shown_s(network_s: Array, busy_s: Array, read_s: Array, compiled: Array) -> Array:
    r"""As much of the network's time as shows in a pass.

    Engines that split a batch in two send for one half while the other computes, which reads the
    weights once more:

    .. math:: \min(T_{net}, \max(T_{read}, T_{net} - T_{busy}))

    Parameters
    ----------
    network_s : Array
        Time on the network [s].
    busy_s : Array
        The pass without it [s].
    read_s : Array
        Reading the weights once [s].
    compiled : Array
        Whether graphs are compiled for fixed shapes; they do not split [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    >>> float(shown_s(0.020, 0.050, 0.004, False)), float(shown_s(0.020, 0.050, 0.004, True))
    (0.004, 0.02)

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V3 technical report, arXiv:2412.19437, section 3.4.
    """
    halves_s = np.maximum(read_s, network_s - busy_s)
    return np.where(compiled, network_s, np.minimum(network_s, halves_s))


# -------------------------------------------------------------------------------------- fixed costs
def kernels_s(model: ModelShape, constants: ServingConstants) -> Array:
    """Launch and synchronisation of one pass: a cost per layer, more of them for experts and for
    latent attention.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    constants : ServingConstants
        Time of a plain layer, and kernels of others over it [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    80 plain layers take 80 times `layer_s`.

    >>> from trn3 import workload
    >>> k = constants(hardware.chip("h100"))
    >>> round(float(kernels_s(workload.model("llama3_3_70b"), k) / k.layer_s))
    80
    """
    routed = np.where(np.greater(model.n_experts, 0), constants.moe_layers, 1.0)
    latent = np.where(np.greater(model.kv_lora_rank, 0), constants.latent_layers, 1.0)
    return model.n_layers * constants.layer_s * routed * latent * model.kernel_share


def step_fixed_s(model: ModelShape, constants: ServingConstants, work: Work) -> Array:
    """Fixed cost of a decode step: kernels, and the host that schedules and samples B sequences.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    constants : ServingConstants
        Times of kernels and host [-].
    work : Work
        Batch [-].

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    >>> from trn3 import workload
    >>> k, llama = constants(hardware.chip("h100")), workload.model("llama3_3_70b")
    >>> more_s = step_fixed_s(llama, k, Work(65, 1, 1)) - step_fixed_s(llama, k, Work(64, 1, 1))
    >>> round(float(more_s / k.sequence_s), 6)
    1.0
    """
    return kernels_s(model, constants) + constants.host_s + work.batch * constants.sequence_s


# ---------------------------------------------------------------------------------- decode, prefill
def decode_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Time of one decode step of B sequences: matrix products, caches, links, fixed costs, and what
    shows of the network.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Efficiencies and fixed costs [-].
    work : Work
        Batch and lengths as computed, buckets already applied (`padded`) [-].

    Returns
    -------
    Array
        Time [s].

    Notes
    -----
    Terms other than reading and computing of the matrix products, and the network's, do not
    overlap. Speculative decoding is a factor of its own (`speculative_speedup`).

    Examples
    --------
    Pope et al. 2022 print 36.9 ms for PaLM 540B in bf16 on 64 TPU v4, batch 64 at 2,048 tokens.

    >>> from trn3 import workload
    >>> v4, work = hardware.system("tpu_v4_pod"), Work(64, 2048, 64)
    >>> palm, k = workload.model("palm_540b"), constants(v4.chip)
    >>> bool(0.033 < decode_s(palm, device(v4), Layouts(64.0), k, work) < 0.041)
    True

    References
    ----------
    Pope et al. 2022, table 2 and figure 1.
    """
    tokens = Tokens(work.batch)
    products_s = matmul_s(model, device, layout, constants, work, tokens)
    read_s = cache_read_s(model, device, layout, constants, work)
    scores_s = latent_attention_s(model, device, layout, constants, work)
    exchanged_s = links_s(model, device, layout, constants, work.batch)
    fixed_s = step_fixed_s(model, constants, work)
    busy_s = products_s + longer(read_s, scores_s) + exchanged_s + fixed_s
    sent_s = network_s(model, device, layout, work.batch)
    if not np.any(sent_s):
        return busy_s
    weights_s = weight_read_s(model, device, layout, constants, work, tokens)
    return busy_s + shown_s(sent_s, busy_s, weights_s, device.compiled)


def decode_parts(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> dict[str, Part]:
    r"""Parts of a decode step by what they wait for; they add up to `decode_s`.

    What reading and computing share of the matrix products is split by what a small change of
    either would save, which Euler's theorem makes add up: a T / da = a^3 / T^2.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Efficiencies and fixed costs [-].
    work : Work
        Batch and lengths as computed [-].

    Returns
    -------
    dict of str to Part
        Weights and caches (memory), products and latent attention (arithmetic), links and network
        (link), launch (fixed) [s].

    Examples
    --------
    A single sequence waits for memory and for launching kernels, hardly for arithmetic.

    >>> from trn3 import workload
    >>> h200 = hardware.system("h200")
    >>> given = device(h200, "fp8"), Layouts(8.0), constants(h200.chip), Work(1, 1024, 1024, 1.0)
    >>> parts = decode_parts(workload.model("llama3_3_70b"), *given)
    >>> parts["products"].kind, bool(parts["products"].time_s < 0.01 * parts["weights"].time_s)
    ('arithmetic', True)
    """
    tokens = Tokens(work.batch)
    read_s = weight_read_s(model, device, layout, constants, work, tokens)
    compute_s = weight_compute_s(model, device, layout, constants, tokens)
    products_s = smooth_max(read_s, compute_s)
    cache_s = cache_read_s(model, device, layout, constants, work)
    latent_s = latent_attention_s(model, device, layout, constants, work)
    attended_s = longer(cache_s, latent_s)
    of_cache_s = attended_s * (cache_s / np.where(attended_s > 0, attended_s, 1.0)) ** 16
    exchanged_s = links_s(model, device, layout, constants, work.batch)
    fixed_s = step_fixed_s(model, constants, work)
    busy_s = products_s + attended_s + exchanged_s + fixed_s
    sent_s = network_s(model, device, layout, work.batch)
    return {
        "weights": Part(MEMORY, read_s**3 / products_s**2),
        "products": Part(ARITHMETIC, compute_s**3 / products_s**2),
        "caches": Part(MEMORY, of_cache_s),
        "latent attention": Part(ARITHMETIC, attended_s - of_cache_s),
        "links": Part(LINK, exchanged_s),
        "network": Part(LINK, shown_s(sent_s, busy_s, read_s, device.compiled)),
        "launch": Part(FIXED, fixed_s),
    }


def prefill_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Time to prefill one prompt per attention group (or several together), in chunks: matrix
    products, scores, links, launch.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip, and the most tokens of a chunk [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Efficiencies and fixed costs [-].
    work : Work
        Lengths and number of prompts [-].

    Returns
    -------
    Array
        Time [s].

    Notes
    -----
    The output head runs on the last token of a prompt alone and is left out.

    Examples
    --------
    SGLang (May 2025): 32 H100 read 6,288 tokens/s per chip of DeepSeek-V3 in prompts of 4,096,
    within what a slow and a fast tenth of stacks would do; nothing of it was fitted.

    >>> from trn3 import workload
    >>> h100, work = hardware.system("h100"), Work(1, 4096, 1, 1.0, prompts=4)
    >>> given = device(h100, "fp8"), Layouts(1.0, 32.0), constants(h100.chip), work
    >>> rate = 4 * 4096 / float(prefill_s(workload.model("deepseek_v3"), *given))
    >>> slow, fast = (committed.software("serving", n).time_factor for n in ("first_port", "tuned"))
    >>> rate / slow < 6288 < rate / fast
    True
    """
    tokens = read_tokens(device, work)
    per_pass = tokens.count / tokens.n_passes
    products_s = matmul_s(model, device, layout, constants, work, tokens)
    scores_s = prompt_attention_s(model, device, layout, constants, work)
    exchanged_s = links_s(model, device, layout, constants, per_pass)
    per_pass_s = exchanged_s + kernels_s(model, constants)
    busy_s = products_s + scores_s + tokens.n_passes * per_pass_s
    sent_s = tokens.n_passes * network_s(model, device, layout, per_pass)
    if not np.any(sent_s):
        return busy_s
    weights_s = weight_read_s(model, device, layout, constants, work, tokens)
    return busy_s + shown_s(sent_s, busy_s, weights_s, device.compiled)


def read_tokens(device: Device, work: Work) -> Tokens:
    """Tokens of the prompts that are prefilled together, and the chunks that they take.

    Parameters
    ----------
    device : Device
        Most tokens of a chunk [-].
    work : Work
        Prompts and their length [-].

    Returns
    -------
    Tokens
        Without the output head, which runs on the last token of a prompt alone [-].

    Examples
    --------
    >>> h100 = replace(device(hardware.system("h100")), chunk_tokens=8192.0)
    >>> float(read_tokens(h100, Work(1, 20000, 1)).n_passes)
    3.0
    """
    count = work.prompts * prompt_tokens(work)
    return Tokens(count, np.ceil(count / device.chunk_tokens), head=False)


def together(device: Device, work: Work) -> Work:
    """The same work with as many prompts as share a prefill pass in service: up to the chunk and
    the batch; one on a compiled device.

    Parameters
    ----------
    device : Device
        Chip, and the most tokens of a chunk [-].
    work : Work
        Batch and lengths [-].

    Returns
    -------
    Work
        With `prompts` set [-].

    Examples
    --------
    >>> h100 = replace(device(hardware.system("h100")), chunk_tokens=8192.0)
    >>> [float(together(h100, Work(batch, 1024, 1)).prompts) for batch in (2, 64)]
    [2.0, 8.0]
    """
    prompts = np.clip(device.chunk_tokens / work.input_tokens, 1.0, np.maximum(work.batch, 1.0))
    return replace(work, prompts=np.where(device.compiled, 1.0, prompts))


def mixed_prefill_s(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Array:
    """Prefill time of one prompt among others: short prompts share a pass, up to the chunk;
    compiled ones do not.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip, and the most tokens of a chunk [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Efficiencies and fixed costs [-].
    work : Work
        Batch and lengths [-].

    Returns
    -------
    Array
        Time per prompt [s].

    Examples
    --------
    Prompts of 128 tokens are cheaper together, those of a chunk or more are not.

    >>> from trn3 import workload
    >>> h200, llama = hardware.system("h200"), workload.model("llama3_3_70b")
    >>> given = llama, device(h200, "fp8"), Layouts(4.0), constants(h200.chip)
    >>> short, long = Work(64, 128, 128, 1.0), Work(64, 8192, 128, 1.0)
    >>> bool(mixed_prefill_s(*given, short) < prefill_s(*given, short))
    True
    >>> bool(mixed_prefill_s(*given, long) == prefill_s(*given, long))
    True
    """
    shared = together(device, work)
    return prefill_s(model, device, layout, constants, shared) / shared.prompts


def padded(device: Device, work: Work) -> Work:
    """Fill in the shapes that a compiled device computes: powers of two of batch and prompt, the
    load's full context.

    Parameters
    ----------
    device : Device
        Chip; where it is not compiled nothing changes [-].
    work : Work
        What is asked [-].

    Returns
    -------
    Work
        With the buckets set, and `batch` kept as asked [-].

    Examples
    --------
    >>> trainium2 = device(hardware.system("trn2_48xl"))
    >>> work = padded(trainium2, Work(5.0, 900.0, 250.0))
    >>> float(work.bucket_batch), float(work.bucket_input), float(work.bucket_context)
    (8.0, 1024.0, 1150.0)
    """

    def power(asked: Array) -> Array:
        return ties.power_of_two(np.maximum(asked, 1))

    def bucket(given: Array, shape: Array) -> Array:
        return np.where(device.compiled & np.equal(given, 0), shape, given)

    context = bucket(work.bucket_context, work.input_tokens + work.output_tokens)
    longest = np.maximum(context, work.input_tokens)
    return replace(
        work,
        bucket_batch=bucket(work.bucket_batch, power(work.batch)),
        bucket_input=bucket(work.bucket_input, np.minimum(power(work.input_tokens), longest)),
        bucket_context=context,
    )


# ------------------------------------------------------------------------------------------- memory
def weight_bytes_per_chip(model: ModelShape, layout: Layouts, work: Work) -> Array:
    """Weights that a chip holds; embeddings stay at 16 bits, attention is copied per group, experts
    are spread.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    layout : Layouts
        Layout [-].
    work : Work
        Formats [-].

    Returns
    -------
    Array
        Bytes [B].

    Examples
    --------
    Llama 2 70B in 16 bits: 138 GB, on two chips 69 each.

    >>> from trn3 import workload
    >>> held = weight_bytes_per_chip(workload.model("llama2_70b"), Layouts(2.0), Work(1, 1, 1))
    >>> round(float(held) / 1e9)
    69
    """
    n_spread = layout.tp * layout.dp
    expert_bytes = model.n_experts * routed_params(model) * work.weight_bytes / n_spread
    whole_bytes = dense_bytes(model, work) + WIDE_BYTES * model.n_embedding_params
    return (whole_bytes / layout.tp + expert_bytes) / layout.pp


def cache_bytes_per_chip(model: ModelShape, device: Device, layout: Layouts, work: Work) -> Array:
    """Cache of one sequence at its full length, on the chip that holds most of it.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    work : Work
        Lengths and format [-].

    Returns
    -------
    Array
        Bytes of one sequence [B].

    Examples
    --------
    The scaling book: 8,192 tokens of Llama 2 13B in 8 bits hold 3.4 GB of cache.

    >>> from trn3 import workload
    >>> llama, v5e = workload.model("llama2_13b"), device(hardware.system("tpu_v5e_pod"))
    >>> held = cache_bytes_per_chip(llama, v5e, Layouts(1.0), Work(1, 8191, 1, kv_bytes=1.0))
    >>> round(float(held) / 1e9, 1)
    3.4

    References
    ----------
    Austin et al. 2025, How to scale your model, chapter on inference.
    """
    tokens = np.maximum(work.input_tokens + work.output_tokens, work.bucket_context)
    cached = model.kv_bytes(tokens, work.kv_bytes) / cache_shards(model, device, layout)
    return cached + model.state_bytes / (layout.tp * layout.pp)


def max_batch(model: ModelShape, device: Device, layout: Layouts, work: Work) -> Array:
    """Most sequences per attention group whose full caches fit beside the weights.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Memory that can be used, and the largest batch of its engine [-].
    layout : Layouts
        Layout [-].
    work : Work
        Lengths and formats [-].

    Returns
    -------
    Array
        Sequences, 0 where not one fits [-].

    Examples
    --------
    141 GB of weights (Llama 3.3 70B in 16 bits) do not fit an H100 of 80 GB, and leave a few
    sequences room on two.

    >>> from trn3 import workload
    >>> h100 = device(hardware.system("h100"))
    >>> at, work = Layouts(np.array([1.0, 2.0])), Work(1, 1024, 1024)
    >>> one, two = max_batch(workload.model("llama3_3_70b"), h100, at, work)
    >>> bool(one == 0), bool(0 < two < 20)
    (True, True)
    """
    room = device.usable_bytes - weight_bytes_per_chip(model, layout, work)
    batch = np.floor(room / cache_bytes_per_chip(model, device, layout, work))
    return np.clip(batch, 0.0, device.max_sequences)


# --------------------------------------------------------------------------------------- whole step
def least_tpot_s(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    work: Work,
    disaggregated: bool = False,
) -> Array:
    r"""Least time per output token of a copy that reads its users' prompts as well.

    Whatever overlaps, each resource has to get through the work of all B users:

    .. math:: \max\left(A + (B - 1) \frac{T_{shared}}{O},\;
              M + (B - 1) \frac{M_{shared}}{O}\right)

    with the arithmetic A of a decode step, its memory traffic M, the whole time of a prompt
    T_shared (in which the chip reads no other) and the weights that it reads, M_shared. A compiled
    engine stops decode for every prompt: A is then the whole step.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip and links [-].
    layout : Layouts
        Layouts [-].
    constants : ServingConstants
        Efficiencies [-].
    work : Work
        Lengths and batch, buckets applied (`padded`) [-].
    disaggregated : bool
        Whether prompts are read on other chips.

    Returns
    -------
    Array
        Time [s].

    Examples
    --------
    With long prompts and short answers little but prompts is read: 63 prompts of others a token.

    >>> from trn3 import workload
    >>> h200, llama = hardware.system("h200"), workload.model("llama3_3_70b")
    >>> given = llama, device(h200, "fp8"), Layouts(4.0), constants(h200.chip)
    >>> work = Work(64, 8192, 1, 1.0)
    >>> round(float(least_tpot_s(*given, work) / prefill_s(*given, work)))
    63
    """
    computed = replace(work, batch=np.maximum(work.bucket_batch, work.batch))
    given = model, device, layout, constants
    decoded = Tokens(computed.batch)
    attended = computed.batch * attended_flops(model, computed)
    attention_s = attended / (layout.tp * device.bf16_flops_per_s * constants.attention_share)
    arithmetic_s = weight_compute_s(*given, decoded) + attention_s
    memory_s = weight_read_s(*given, computed, decoded) + cache_read_s(*given, computed)
    if disaggregated:
        return np.maximum(arithmetic_s, memory_s)
    if np.any(device.compiled):
        arithmetic_s = np.where(device.compiled, decode_s(*given, computed), arithmetic_s)

    shared = together(device, work)
    others = np.maximum(work.batch - 1.0, 0.0) / shared.prompts / work.output_tokens
    prompts_s = prefill_s(*given, shared)
    weights_s = weight_read_s(*given, shared, read_tokens(device, shared))
    return longer(arithmetic_s + others * prompts_s, memory_s + others * weights_s)


def evaluate(
    model: ModelShape,
    device: Device,
    layout: Layouts,
    constants: ServingConstants,
    work: Work,
    disaggregated: bool = False,
    speedup: Array = 1.0,
) -> Steps:
    r"""Times and rates of every point; arguments broadcast, so one point and a million are the same
    call.

    .. math:: TPOT = \max(T(B) / v + \varphi (B - 1) T_{shared} / O,\; TPOT_{least})
    .. math:: TTFT = T_{prefill} (1 + g (B - 1)^h) + t_0 + m T(B)
    .. math:: rate = \frac{B\, O}{T_{shared} + O\; TPOT}

    per attention group. A user's own prompt holds its place in the batch too, so that a copy
    answers at most 1 / T_shared requests a second, and no operation or byte goes beyond a peak
    (`least_tpot_s`).

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip and links, from `device` [-].
    layout : Layouts
        Layouts [-].
    constants : ServingConstants
        From `constants` [-].
    work : Work
        Batch, lengths, formats [-].
    disaggregated : bool
        Prefill on chips of its own, of the same layout, in the ratio that keeps both busy [-].
    speedup : Array
        Tokens accepted per step of speculative decoding over its cost, v, from
        `speculative_speedup` [-].

    Returns
    -------
    Steps
        Arrays of the broadcast shape [-].

    Examples
    --------
    A user alone waits for nobody: the time per token is the step, and a request takes its prompt
    and its tokens.

    >>> from trn3 import workload
    >>> h200 = hardware.system("h200")
    >>> given = device(h200, "fp8"), Layouts(4.0), constants(h200.chip), Work(1, 1024, 512, 1.0)
    >>> alone = evaluate(workload.model("llama3_3_70b"), *given)
    >>> bool(alone.tpot_s == alone.decode_s)
    True
    >>> request_s = alone.prefill_s + 512 * alone.tpot_s
    >>> round(float(alone.tokens_per_s_per_chip * 4 * request_s))
    512
    """
    work = padded(device, work)
    given = model, device, layout, constants
    batch, others = np.maximum(work.bucket_batch, work.batch), np.maximum(work.batch - 1.0, 0.0)
    step_s = decode_s(*given, replace(work, batch=batch)) / speedup
    prompt_s = prefill_s(*given, work)
    shared_s = mixed_prefill_s(*given, work) / work.output_tokens

    least_s = least_tpot_s(*given, work, disaggregated)
    if disaggregated:
        tpot_s = np.maximum(step_s, least_s)
        per_token_s = tpot_s + work.batch * shared_s  # of the chips for both
    else:
        waited_s = constants.mixing * others * shared_s
        tpot_s = step_s + longer(waited_s, np.maximum(least_s - step_s, 0.0))
        per_token_s = tpot_s + shared_s  # of a place in the batch

    queued_s = prompt_s * (1 + constants.queue * others**constants.queue_power)
    ttft_s = queued_s + constants.first_token_s + constants.first_token_steps * step_s
    per_sequence = cache_bytes_per_chip(model, device, layout, work)
    return Steps(
        decode_s=step_s,
        prefill_s=prompt_s,
        prompt_share=1.0 - step_s / per_token_s,
        tpot_s=tpot_s,
        ttft_s=ttft_s,
        tokens_per_s_per_user=1.0 / tpot_s,
        tokens_per_s_per_chip=work.batch * layout.dp / (per_token_s * layout.n_chips),
        memory_bytes=weight_bytes_per_chip(model, layout, work) + batch * per_sequence,
        fits=batch <= max_batch(model, device, layout, work),
    )


def speculative_speedup(
    acceptance: Array, draft_tokens: Array, draft_cost: Array, wider: Array = 1.0
) -> Array:
    r"""Speed-up of decode by a draft: tokens gained per verification over its cost.

    .. math:: \frac{1 - a^{g + 1}}{(1 - a) (1 + g c)\, r}

    with r the cost of a step of B (g + 1) tokens over one of B.

    Parameters
    ----------
    acceptance : Array
        Chance that a drafted token is accepted, a, below 1 [-].
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

    Notes
    -----
    Tokens are taken to be accepted independently of each other.

    Examples
    --------
    Leviathan et al. 2023, eq. 1: acceptance 0.8 and 5 draft tokens give 3.69 tokens per
    verification.

    >>> round(speculative_speedup(0.8, 5, 0.0), 2)
    3.69

    References
    ----------
    Leviathan, Kalman and Matias 2023, Fast inference from transformers via speculative decoding,
    arXiv:2211.17192, eq. 1 and theorem 3.8.
    """
    gained = (1 - acceptance ** (draft_tokens + 1)) / (1 - acceptance)
    return gained / (1 + draft_tokens * draft_cost) / wider


# ----------------------------------------------------------------------------------- work per token
@dataclass(frozen=True)
class Traffic:
    """Work behind one output token, its share of the prompt included, over all chips.

    Attributes
    ----------
    flops : Array
        Floating-point operations [-].
    hbm_bytes : Array
        Bytes read from the memories [B].
    link_bytes : Array
        Bytes sent between chips [B].
    """

    flops: Array
    hbm_bytes: Array
    link_bytes: Array


def traffic(
    model: ModelShape, device: Device, layout: Layouts, constants: ServingConstants, work: Work
) -> Traffic:
    """Work behind one output token, its share of the prompt included; what energy is charged for.

    Parameters
    ----------
    model : ModelShape
        Model, or models stacked [-].
    device : Device
        Chip [-].
    layout : Layouts
        Layout [-].
    constants : ServingConstants
        Sharing of experts [-].
    work : Work
        Batch, lengths, formats [-].

    Returns
    -------
    Traffic
        Per output token, what a compiled graph computes for nothing included [-].

    Examples
    --------
    Kaplan et al. 2020: 2 FLOP per weight and token, here at short contexts.

    >>> from trn3 import workload
    >>> h200, llama = hardware.system("h200"), workload.model("llama3_3_70b")
    >>> given = device(h200, "fp8"), Layouts(4.0), constants(h200.chip), Work(64, 1, 256, 1.0)
    >>> round(float(traffic(llama, *given).flops / (2 * llama.n_matmul_params)), 2)
    1.01
    """
    work = padded(device, work)
    batch = np.maximum(work.bucket_batch, work.batch)
    computed, shared = replace(work, batch=batch), together(device, work)
    padding = batch / work.batch
    prompts = 1.0 / work.output_tokens  # of an output token
    prompt, tokens = prompt_tokens(work), read_tokens(device, shared)

    inner = FLOP_PER_WEIGHT * (dense_params(model) + model.top_k * routed_params(model))
    head = FLOP_PER_WEIGHT * model.n_head_params
    decoded = inner + head + attended_flops(model, computed)
    read = inner + model.attention_flops_per_token(prompt)
    flops = decoded * padding + prompts * prompt * read

    shards = cache_shards(model, device, layout)
    cached = batch * model.read_bytes(read_context(work), work.kv_bytes) * layout.tp / shards
    cached = cached + 2 * batch * model.state_bytes
    step = _weights_read(model, layout, constants, work, Tokens(batch)) + layout.dp * cached
    prefill = _weights_read(model, layout, constants, work, tokens) / shared.prompts
    hbm_bytes = step / (work.batch * layout.dp) + prompts * prefill / layout.dp

    sent = _bytes_sent(model, layout) * (padding + prompts * prompt)
    return Traffic(flops, hbm_bytes, sent)


def _weights_read(
    model: ModelShape, layout: Layouts, constants: ServingConstants, work: Work, tokens: Tokens
) -> Array:
    """Bytes of weights that all groups of a copy read while such tokens go through each."""
    experts = experts_read(model, work, constants, tokens.count * layout.dp / tokens.n_passes)
    head_bytes = WIDE_BYTES * tokens.head * model.n_head_params
    copied = (dense_bytes(model, work) + head_bytes) * layout.dp
    return tokens.n_passes * (copied + experts * routed_params(model) * work.weight_bytes)


def _bytes_sent(model: ModelShape, layout: Layouts) -> Array:
    """Bytes that all chips of a group send for one token: two all-reduces of 2 (tp - 1) messages a
    layer, and an exchange there and back with every expert.
    """
    message = WIDE_BYTES * model.d_model
    reduced = 2.0 * model.n_layers * message * 2.0 * (layout.tp - 1.0) * model.block_share
    n_experts = model.n_layers * model.feed_forward_share * model.top_k
    exchanged = 2.0 * EXCHANGE_BYTES * n_experts * model.d_routed
    return reduced + np.where(np.greater(layout.dp, 1), exchanged, 0.0)
