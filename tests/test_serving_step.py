"""Terms of a serving step against published numbers, limits, identities and monotonicity."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import committed, hardware, inference, serving_step, workload
from trn3.committed import ServingConstants
from trn3.roofline import ARITHMETIC, FIXED, LINK, MEMORY
from trn3.serving_step import Layouts, Tokens, Work

NOTHING = 1e-15
"""A time or share so small that it does not count."""
FREE = ("collective_s", "layer_s", "host_s", "sequence_s", "all_to_all_s", "first_token_s")
FREE += ("mixing", "queue")
IDEAL = ServingConstants(
    **{f.name: NOTHING if f.name in FREE else 1.0 for f in fields(ServingConstants)}
)
"""Peaks and bandwidths in full, no fixed cost."""
GPU = replace(
    serving_step.device(hardware.system("hgx_h100"), "fp8"),
    hbm_bytes_per_s=3.35e12,
    peak_flops_per_s=1.979e15,
    link_bytes_per_s=4.5e11,
)
LLAMA, DEEPSEEK, OSS = (workload.model(m) for m in ("llama3_3_70b", "deepseek_v3", "gpt_oss_120b"))


def fitted(chip: str = "h200") -> ServingConstants:
    return serving_step.constants(hardware.chip(chip))


# ------------------------------------------------------------------------------- published numbers
@pytest.mark.parametrize(("width", "published_s"), [(1.0, 28.5e-3), (2.0, 36.9e-3)])
def test_palm_540b_decodes_as_pope_et_al_print(width, published_s):
    # Pope et al. 2022: 64 TPU v4, batch 64, context 2048, int8 weights 28.5 ms and bf16 weights
    # 36.9 ms per token.
    m, device = workload.model("palm_540b"), serving_step.device(hardware.system("tpu_v4_pod"))
    w = Work(64.0, 2048.0, 64.0, width, 2.0)
    step = serving_step.decode_s(m, device, Layouts(64.0), fitted("tpu_v4"), w)
    assert float(step) == pytest.approx(published_s, rel=0.10)


@pytest.mark.parametrize(
    ("chips", "kib", "link", "floor", "published_us"),
    # TensorRT-LLM all-reduce in a CUDA graph, NVIDIA aiconfigurator; link in GB/s one way, floor =
    # the 8 KiB time.
    [
        (2, 1024, 450, 3.0, 9.4),
        (4, 1024, 450, 3.3, 25.9),
        (8, 256, 450, 3.8, 17.6),
        (8, 1024, 450, 3.8, 35.2),
        (8, 16384, 450, 3.8, 197),
        (8, 524288, 450, 3.8, 4011),
        (8, 1024, 900, 5.9, 30.1),
        (8, 524288, 900, 5.9, 2592),
    ],
)
def test_all_reduce_follows_the_measured_sizes(chips, kib, link, floor, published_us):
    device = replace(GPU, link_bytes_per_s=link * 1e9)
    predicted = serving_step.all_reduce_s(kib * 1024, chips, device, floor * 1e-6)
    assert float(predicted) * 1e6 == pytest.approx(published_us, rel=0.35)


@pytest.mark.parametrize(
    ("model", "tokens", "experts"),
    [(DEEPSEEK, 1, 8), (DEEPSEEK, 128, 252), (OSS, 32, 82), (OSS, 1, 4)],
)
def test_independent_tokens_touch_so_many_experts(model, tokens, experts):
    # Worked with E (1 - (1 - k/E)^n) for (256, 8) and (128, 4).
    got = serving_step.experts_read(model, Work(tokens, 1, 1), IDEAL, tokens)
    assert round(float(got)) == experts


def test_critical_batch_of_tpu_v5e_is_240():
    # Scaling book: bf16 weights on TPU v5e, 1.97e14 FLOP/s over 8.1e11 B/s, arithmetic takes over
    # at about 240 tokens.
    m, at, work = workload.model("llama2_7b"), Layouts(1.0), Work(1, 1, 1)
    tpu = replace(
        serving_step.device(hardware.system("tpu_v5e_pod")),
        hbm_bytes_per_s=8.1e11,
        peak_flops_per_s=1.97e14,
    )
    critical = Tokens(1.97e14 / 8.1e11)
    read_s = serving_step.weight_read_s(m, tpu, at, IDEAL, work, critical)
    compute_s = serving_step.weight_compute_s(m, tpu, at, IDEAL, critical)
    assert float(compute_s) == pytest.approx(float(read_s), rel=1e-9)
    both_s = serving_step.matmul_s(m, tpu, at, IDEAL, work, critical)
    assert float(both_s / read_s) == pytest.approx(2 ** (1 / 3), rel=1e-9)
    assert pytest.approx(240, rel=0.02) == 1.97e14 / 8.1e11


def test_deepseek_fleet_of_96_h100_lies_between_a_slow_and_a_fast_stack():
    # SGLang, May 2025: 32 H100 prefill 6,288 tokens/s per chip at prompts of 4,096, and 7,417 with
    # a perfect balance of experts; nothing of it was fitted.
    system, k = hardware.system("hgx_h100"), fitted("h100")
    w = Work(1.0, 4096.0, 1.0, 1.0, 2.0, prompts=4.0)
    time = serving_step.prefill_s(
        DEEPSEEK, serving_step.device(system, "fp8"), Layouts(1.0, 32.0), k, w
    )
    slow, fast = (committed.software("serving", n).time_factor for n in ("first_port", "tuned"))
    assert slow < 1.5 and fast > 1 / 1.5
    for measured in (6288, 7417):
        assert 16384 / float(time) / slow < measured < 16384 / float(time) / fast

    # -------------------------------------------------------------------------- limits, identities


def test_one_sequence_without_costs_reads_weights_once():
    w = Work(1.0, 1.0, 1.0, 1.0, 1.0)
    n_bytes = serving_step.dense_params(LLAMA) + 2 * LLAMA.n_head_params + LLAMA.kv_bytes(1.5, 1.0)
    assert float(serving_step.decode_s(LLAMA, GPU, Layouts(1.0), IDEAL, w)) == pytest.approx(
        n_bytes / 3.35e12, rel=1e-4
    )


def test_dense_and_routed_parameters_add_up():
    for m in (LLAMA, DEEPSEEK, OSS):
        whole = serving_step.dense_params(m) + m.n_experts * serving_step.routed_params(m)
        assert whole == pytest.approx(m.n_layer_params, rel=1e-12)


def test_latent_cache_is_copied_and_grouped_heads_are_split():
    eight = Layouts(8.0)
    assert float(serving_step.cache_shards(DEEPSEEK, GPU, eight)) == 1
    assert float(serving_step.cache_shards(LLAMA, GPU, eight)) == 8
    assert (
        float(serving_step.cache_shards(LLAMA, GPU, Layouts(16.0))) == 8
    )  # eight key/value heads, then copies
    two_ranks = replace(GPU, n_ranks=2.0)
    assert float(serving_step.cache_shards(LLAMA, two_ranks, eight)) == 4


def test_window_caps_the_cache():
    long, longer = (
        float(serving_step.cache_bytes_per_chip(OSS, GPU, Layouts(1.0), Work(1, n, 0)))
        for n in (8192, 16384)
    )
    assert longer / long == pytest.approx(2, rel=0.02) and longer / long < 2


def test_weights_of_70b_in_bf16_need_more_than_one_h100():
    h100 = serving_step.device(hardware.system("hgx_h100"))
    room = [
        float(serving_step.max_batch(LLAMA, h100, Layouts(float(n)), Work(1, 1024, 1024)))
        for n in (1, 2, 4, 8)
    ]
    assert room[0] == 0 and room == sorted(room) and room[3] > 100  # 141 GB of weights


def test_compiled_graphs_pay_for_the_configured_length():
    trn = serving_step.device(hardware.system("trn3_gen2"), "fp8")
    short, long = (Work(8.0, 1024.0, 1024.0, 1.0, 1.0, bucket_context=n) for n in (2048.0, 65536.0))
    ideal = replace(IDEAL, kv_share=2.0)  # all of the bandwidth
    steps = [
        float(serving_step.decode_s(LLAMA, trn, Layouts(2.0), ideal, serving_step.padded(trn, w)))
        for w in (short, long)
    ]
    # Two chips of four ranks hold the eight key/value heads once; every further token of every
    # sequence is read.
    more = 8 * LLAMA.kv_bytes(65536 - 2048, 1.0) / (2 * trn.hbm_bytes_per_s)
    assert steps[1] - steps[0] == pytest.approx(more, rel=1e-6)
    assert (
        serving_step.padded(GPU, short) == short
        or float(serving_step.padded(GPU, short).bucket_batch) == 0
    )


def test_disaggregation_spares_the_user_the_prompts_of_others():
    at, k, w = Layouts(4.0), fitted(), Work(64.0, 4096.0, 256.0, 1.0, 1.0)
    mixed, apart = (serving_step.evaluate(LLAMA, GPU, at, k, w, d) for d in (False, True))
    assert float(apart.tpot_s) < float(mixed.tpot_s)
    assert float(apart.tpot_s) == pytest.approx(float(apart.decode_s))
    alone = serving_step.evaluate(LLAMA, GPU, at, k, replace(w, batch=1.0))
    assert float(alone.tpot_s) == pytest.approx(float(alone.decode_s))


def test_speculation_without_gain_or_draft_is_nothing():
    assert serving_step.speculative_speedup(0.0, 4, 0.0) == 1
    assert serving_step.speculative_speedup(0.7, 0, 0.1) == pytest.approx(1)
    assert serving_step.speculative_speedup(0.5, 200, 0.0) == pytest.approx(
        2
    )  # the sum of a geometric series
    assert serving_step.speculative_speedup(0.3, 4, 0.2, 1.5) < 1


def test_traffic_of_a_big_batch_is_two_operations_per_weight():
    w = Work(2048.0, 1.0, 2000.0, 1.0, 1.0)
    work = serving_step.traffic(LLAMA, GPU, Layouts(1.0), IDEAL, w)
    ideal = 2 * (serving_step.dense_params(LLAMA) + LLAMA.n_head_params)
    assert ideal < work.flops < 1.05 * ideal and float(work.link_bytes) == 0
    one = serving_step.traffic(LLAMA, GPU, Layouts(1.0), IDEAL, replace(w, batch=1.0))
    assert float(one.hbm_bytes) > 500 * float(work.hbm_bytes) / 2048 * 4


# -------------------------------------------------------------------------------------- properties
shapes = st.sampled_from([LLAMA, DEEPSEEK, OSS])
sizes = st.sampled_from([1.0, 2.0, 4.0, 8.0])


@settings(max_examples=40, deadline=None)
@given(
    m=shapes,
    tp=sizes,
    dp=sizes,
    batch=st.integers(1, 1024),
    tokens=st.integers(16, 32768),
    faster=st.floats(1.01, 8),
)
def test_more_of_anything_is_never_slower(m, tp, dp, batch, tokens, faster):
    at, k, w = Layouts(tp, dp), fitted(), Work(float(batch), float(tokens), 512.0, 1.0, 1.0)
    base = [serving_step.decode_s(m, GPU, at, k, w), serving_step.prefill_s(m, GPU, at, k, w)]
    for name in ("hbm_bytes_per_s", "peak_flops_per_s", "bf16_flops_per_s", "link_bytes_per_s"):
        quick = replace(GPU, **{name: getattr(GPU, name) * faster})
        now = [
            serving_step.decode_s(m, quick, at, k, w),
            serving_step.prefill_s(m, quick, at, k, w),
        ]
        assert all(float(b) <= float(a) * (1 + 1e-12) for a, b in zip(base, now))


@settings(max_examples=40, deadline=None)
@given(m=shapes, tp=sizes, batch=st.integers(1, 500), tokens=st.integers(16, 32768))
def test_bigger_batches_take_longer_and_give_more(m, tp, batch, tokens):
    at, k, w = Layouts(tp), fitted(), Work(float(batch), float(tokens), 512.0, 1.0, 1.0)
    one, two = (
        float(serving_step.decode_s(m, GPU, at, k, replace(w, batch=float(b))))
        for b in (batch, 2 * batch)
    )
    assert one <= two <= 2 * one
    longer = serving_step.decode_s(m, GPU, at, k, replace(w, input_tokens=2.0 * tokens))
    assert float(longer) >= one
    assert serving_step.max_batch(m, GPU, at, w) >= serving_step.max_batch(
        m, GPU, at, replace(w, input_tokens=2.0 * tokens)
    )


@settings(max_examples=25, deadline=None)
@given(
    m=shapes,
    tps=st.lists(sizes, min_size=2, max_size=4),
    batch=st.integers(1, 300),
    compiled=st.booleans(),
)
def test_one_point_equals_the_same_point_in_an_array(m, tps, batch, compiled):
    device, k = replace(GPU, compiled=compiled), fitted()
    w = Work(float(batch), 900.0, 300.0, 1.0, 1.0)
    many = serving_step.evaluate(m, device, Layouts(np.array(tps)), k, w)
    for i, tp in enumerate(tps):
        single = serving_step.evaluate(m, device, Layouts(tp), k, w)
        for name in ("tpot_s", "ttft_s", "tokens_per_s_per_chip", "memory_bytes"):
            assert np.broadcast_to(getattr(many, name), len(tps))[i] == pytest.approx(
                float(getattr(single, name)), rel=1e-12
            )


PARTS = {"weights": MEMORY, "products": ARITHMETIC, "caches": MEMORY}
PARTS |= {"latent attention": ARITHMETIC, "links": LINK, "network": LINK, "launch": FIXED}


@settings(max_examples=40, deadline=None)
@given(m=shapes, tp=sizes, dp=sizes, batch=st.integers(1, 2048), tokens=st.integers(16, 32768))
def test_parts_of_a_step_carry_their_kind_and_add_up(m, tp, dp, batch, tokens):
    given = GPU, Layouts(tp, dp), fitted(), Work(float(batch), float(tokens), 512.0, 1.0, 1.0)
    parts = serving_step.decode_parts(m, *given)
    assert {name: part.kind for name, part in parts.items()} == PARTS
    assert all(float(part.time_s) >= 0 for part in parts.values())
    whole = sum(float(part.time_s) for part in parts.values())
    assert whole == pytest.approx(float(serving_step.decode_s(m, *given)), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(m=shapes, tp=sizes, dp=sizes, batch=st.integers(1, 2048), tokens=st.integers(16, 32768))
def test_no_step_is_above_a_peak(m, tp, dp, batch, tokens):
    """Even without fixed costs and losses, neither operations nor bytes exceed the data sheet."""
    work = Work(float(batch), float(tokens), 2.0, 1.0, 1.0)
    given = GPU, Layouts(tp, dp), IDEAL, work
    step_s = float(serving_step.decode_s(m, *given))
    n_weights = serving_step.dense_params(m) + m.n_head_params
    n_weights += m.top_k * serving_step.routed_params(m)
    assert 2 * batch * n_weights / tp <= 1.979e15 * step_s
    read = serving_step.weight_read_s(m, *given, Tokens(float(batch)))
    assert float(read) + float(serving_step.cache_read_s(m, *given)) <= step_s * (1 + 1e-12)
    prompt_s = float(serving_step.prefill_s(m, *given))
    assert 2 * tokens * (n_weights - m.n_head_params) / tp <= 1.979e15 * prompt_s


# -------------------------------------------------------------------- nothing above the data sheet
MODELS = st.sampled_from(
    [workload.model(m) for m in ("llama3_1_8b", "llama3_3_70b", "gpt3_175b", "falcon_180b")]
    + [DEEPSEEK, OSS, workload.model("qwen3_235b"), workload.model("mixtral_8x7b")]
)
RACKS = ("trn3_gen2", "trn2_48xl", "inf2_48xl", "hgx_h100", "hgx_b200", "gb200_nvl72")
RACKS += ("mi300x_8", "tpu_v6e_pod", "gh200_1")
SYSTEMS = st.sampled_from(RACKS).map(hardware.system)
TOKENS = st.integers(1, 32768).map(float)
ROUNDING = 1.0 + 1e-9


def every_point(model, system, prompt, answer, dtype, disaggregated, level="typical"):
    """All layouts and batches of a system, whether they fit or not, and the work of a token."""
    device = serving_step.device(system, dtype)
    some = inference.layouts(model, system)
    layout = inference.layout_of(some.tp[:, None], some.dp[:, None])
    batch = np.array([1.0, 2.0, 3.0, 16.0, 250.0, 2048.0])
    width = serving_step.dtype_bytes(dtype)
    work = Work(batch, prompt, answer, width, width, bucket_batch=batch)
    software = committed.software("serving", level)
    stack = serving_step.at_level(serving_step.constants(system.chip), software)
    given = model, device, layout, stack, work
    return device, layout, given, serving_step.evaluate(*given, disaggregated)


@settings(max_examples=60, deadline=None)
@given(
    model=MODELS,
    system=SYSTEMS,
    prompt=TOKENS,
    answer=TOKENS,
    dtype=st.sampled_from(["bf16", "fp8"]),
    disaggregated=st.booleans(),
    level=st.sampled_from(committed.LEVELS),
)
def test_no_point_is_above_any_peak(model, system, prompt, answer, dtype, disaggregated, level):
    if not serving_step.has(system.chip, dtype):
        return
    device, layout, given, steps = every_point(
        model, system, prompt, answer, dtype, disaggregated, level
    )
    token = serving_step.traffic(*given)
    rate = steps.tokens_per_s_per_chip
    fastest = max(device.peak_flops_per_s, device.bf16_flops_per_s)
    assert np.all(rate * token.flops <= fastest * ROUNDING)
    assert np.all(rate * token.hbm_bytes <= device.hbm_bytes_per_s * ROUNDING)
    # an attention group reads one prompt after the other, alone or in shared passes
    shared_s = serving_step.mixed_prefill_s(*given[:4], serving_step.padded(device, given[4]))
    requests_per_s = rate * layout.n_chips / layout.dp / answer
    assert np.all(requests_per_s * shared_s <= ROUNDING)
    assert np.all(steps.tpot_s >= steps.decode_s) and np.all(steps.ttft_s >= steps.prefill_s)
    assert np.all((steps.prompt_share > 0) & (steps.prompt_share < 1))


def faster(system, factor):
    """The same system with more of everything."""
    chip = replace(
        system.chip,
        peak_flops_per_s={d: p * factor for d, p in system.chip.peak_flops_per_s.items()},
        hbm_bytes=system.chip.hbm_bytes * factor,
        hbm_bytes_per_s=system.chip.hbm_bytes_per_s * factor,
        hbm_sustained_bytes_per_s=system.chip.hbm_sustained_bytes_per_s * factor,
        scale_up_bytes_per_s=system.chip.scale_up_bytes_per_s * factor,
    )
    tiers = tuple(replace(t, bytes_per_s=t.bytes_per_s * factor) for t in system.tiers)
    return replace(system, chip=chip, tiers=tiers)


@settings(max_examples=40, deadline=None)
@given(model=MODELS, system=SYSTEMS, prompt=TOKENS, answer=TOKENS, factor=st.floats(1.01, 4.0))
def test_a_system_with_more_of_everything_is_never_slower(model, system, prompt, answer, factor):
    own, more = (
        every_point(model, each, prompt, answer, "bf16", False)[-1]
        for each in (system, faster(system, factor))
    )
    assert np.all(more.tokens_per_s_per_chip * ROUNDING >= own.tokens_per_s_per_chip)
    assert np.all(more.tpot_s <= own.tpot_s * ROUNDING)
    assert np.all(more.ttft_s <= own.ttft_s * ROUNDING)
    assert np.all(more.fits | ~own.fits)


@settings(max_examples=40, deadline=None)
@given(model=MODELS, system=SYSTEMS, prompt=TOKENS, answer=TOKENS)
def test_a_request_alone_takes_its_prompt_and_its_tokens(model, system, prompt, answer):
    device = serving_step.device(system)
    layout, k = Layouts(1.0), serving_step.constants(system.chip)
    work = Work(1.0, prompt, answer, bucket_batch=1.0)
    alone = serving_step.evaluate(model, device, layout, k, work)
    request_s = float(alone.prefill_s + answer * alone.tpot_s)
    assert float(alone.tokens_per_s_per_chip) == pytest.approx(answer / request_s, rel=1e-9)


# ----------------------------------------------------------------------------------- joined servers
def test_experts_on_joined_servers_pay_for_the_network():
    h100 = serving_step.device(hardware.system("hgx_h100"), "fp8")
    k, tokens = fitted("h100"), 128.0
    one, four = Layouts(1.0, 8.0), Layouts(1.0, 32.0)
    assert float(serving_step.network_s(DEEPSEEK, h100, one, tokens)) == 0
    sent_s = float(serving_step.network_s(DEEPSEEK, h100, four, tokens))
    # 128 tokens go to 3 (1 - (3/4)^8) = 2.70 other servers, 7,168 numbers of 1.5 bytes each, at
    # 50 GB/s and the share that is reached, twice in each of 61 layers
    wire_s = 128 * 2.6997 * 7168 * 1.5 / (50e9 * h100.network_share)
    assert sent_s == pytest.approx(122 * (20e-6 + wire_s), rel=1e-3)
    # what is on its way hides behind the other half of the batch, if that is not much slower
    work = Work(tokens, 2048.0, 512.0, 1.0, 1.0)
    parts = serving_step.decode_parts(DEEPSEEK, h100, four, k, work)
    assert 0 < float(parts["network"].time_s) <= sent_s
    assert float(serving_step.links_s(DEEPSEEK, h100, four, k, tokens)) == pytest.approx(
        122 * k.all_to_all_s
    )
    assert float(serving_step.network_s(LLAMA, h100, Layouts(8.0, 4.0), tokens)) == 0


@settings(max_examples=60, deadline=None)
@given(
    network=st.floats(0, 1),
    busy=st.floats(0, 1),
    read=st.floats(0, 1),
    more=st.floats(0, 1),
    compiled=st.booleans(),
)
def test_what_shows_of_the_network_is_bounded_and_grows(network, busy, read, more, compiled):
    def step_s(network_s, busy_s):
        return busy_s + float(serving_step.shown_s(network_s, busy_s, read, compiled))

    assert max(busy, network) <= step_s(network, busy) + 1e-12
    assert step_s(network, busy) <= busy + network + 1e-12
    assert step_s(network, busy) <= step_s(network + more, busy) + 1e-12
    assert step_s(network, busy) <= step_s(network, busy + more) + 1e-12
