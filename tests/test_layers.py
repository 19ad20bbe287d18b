"""Layers by kind: limits, identities, and the same weights in counts, memory and steps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trn3 import hardware, inference, layers, search, serving_step, training_step, workload
from trn3.layers import Layers
from trn3.layouts import Layouts
from trn3.training_step import at_peak

CONFIGS = Path(__file__).parent / "configs"
HYBRIDS = [
    "nemotron3_super",
    "qwen3_5_397b",
    "falcon_h1_34b",
    "deepseek_v32",
    "deepseek_v4_pro",
    "arctic_480b",
    "jamba_v0_1",
    "minitron_lfm2_8b_a1b",
    "gemma4_26b",
    "mimo_v2_flash",
    "recurrentgemma_9b",
]


def hybrid(name):
    return workload.model(str(CONFIGS / f"{name}.json"))


GROUPS = st.builds(
    Layers,
    kind=st.just("sparse"),
    n_layers=st.integers(0, 9),
    n_heads=st.integers(0, 64),
    qk_dim=st.integers(1, 256),
    v_dim=st.integers(1, 256),
    n_cached=st.integers(64, 4096),
    ratio=st.sampled_from([1, 4, 128]),
    window=st.sampled_from([0, 128, 4096]),
    reach=st.sampled_from([0, 1024]),
    index_heads=st.integers(0, 64),
    index_dim=st.integers(0, 64),
    n_state=st.integers(0, 10**6),
)


@given(GROUPS, st.integers(1, 10**6))
def test_no_token_attends_to_more_than_is_there(group, context):
    assert 0 < group.attended(context) <= context
    assert group.attended(context, causal=True) <= group.attended(context)
    assert group.flops_per_token(context, causal=True) <= group.flops_per_token(context)
    assert group.flops_per_token(context) <= group.decode_flops(context)


@given(GROUPS, st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_longer_context_caches_and_reads_no_less(group, one, more):
    assert group.cached(one) <= group.cached(one + more)
    assert group.read(one) <= group.read(one + more)


@given(st.integers(1, 10**6))
def test_plain_attention_reads_what_it_caches(context):
    whole = layers.attention(1, 64, 4, 2, 16)
    assert whole.read(context) == whole.cached(context) == context * 2 * 2 * 16


def test_the_mean_of_a_window_is_the_sum_over_its_tokens():
    # Token i of 4,096 attends to min(i, 512).
    seen = np.minimum(np.arange(4096) + 0.5, 512).mean()
    assert layers.attention(1, 64, 4, 2, 16, window=512).attended(4096, True) == seen


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_group_weighs_as_the_plain_layers_do(name):
    # The plain formula and the groups' are the same where a group has the plain dimensions.
    shape = hybrid(name)
    plain = workload.ModelShape(
        1, shape.d_model, shape.n_heads, shape.n_kv_heads, shape.head_dim, 0, 1
    )
    group = layers.attention(
        1, shape.d_model, shape.n_heads, shape.n_kv_heads, shape.head_dim, shape.head_dim
    )
    assert group.n_params == plain.n_attention_params_per_layer
    assert group.cached(77) * 2 == plain.kv_bytes(77)


def test_latent_attention_weighs_as_the_plain_layers_do():
    shape = workload.model("deepseek_v3")
    ranks = {"query": 1536, "cache": 512, "rotary": 64}
    group = layers.latent(61, 7168, 128, 128, 128, ranks)
    assert group.n_params == shape.n_attention_params_per_layer
    assert 61 * group.n_cached * 2 == shape.kv_bytes_per_token()


@pytest.mark.parametrize("name", HYBRIDS)
def test_training_multiplies_with_the_weights_that_are_counted(name):
    # A rank that computes one operation a second needs, forward and twice backward, two seconds for
    # each active weight; the router is not timed.
    shape = hybrid(name)
    work = training_step.Work(shape, 4096, 64)
    parts = training_step.layer_parts(work, at_peak(1.0, np.inf), Layouts(), 4096)
    products = parts["matmul"].time_s + (parts["experts"].time_s if "experts" in parts else 0)
    router = shape.n_moe_layers * shape.d_model * shape.n_experts
    weights = (shape.n_active_layer_params - router) / shape.n_layers
    assert products == pytest.approx(3 * 2 * 4096 * weights, rel=2e-4)


def test_a_stack_holds_models_with_and_without_groups():
    shapes = [hybrid("nemotron3_super"), workload.model("llama3_1_8b"), hybrid("deepseek_v4_pro")]
    both = workload.stack(shapes)
    for count in ("n_params", "n_active_params", "state_bytes", "block_share", "n_plain_layers"):
        assert getattr(both, count) == pytest.approx([getattr(s, count) for s in shapes])
    for flops in (
        "train_flops_per_token",
        "decode_flops_per_token",
        "kv_bytes",
        "read_bytes",
        "n_adapter_params",
    ):
        each = [getattr(s, flops)(8192) for s in shapes]
        assert getattr(both, flops)(8192) == pytest.approx(each)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("nemotron3_super", 0.5),  # each layer is a mixer or a feed-forward block
        ("falcon_h1_34b", 1.5),  # two mixers and a feed-forward block
        ("deepseek_v32", 1.5),  # attention, its indexer and a feed-forward block
        ("qwen3_5_397b", 1.0),
    ],
)
def test_kernels_are_those_of_the_blocks_that_there_are(name, share):
    shape = hybrid(name)
    assert shape.kernel_share == share
    plain = workload.model("llama3_3_70b")
    constants = serving_step.constants(hardware.chip("h200"))
    routed = constants.moe_layers if shape.n_experts else 1.0
    latent = constants.latent_layers if shape.kv_lora_rank else 1.0
    each = serving_step.kernels_s(plain, constants) / plain.n_layers * routed * latent
    expected = pytest.approx(shape.n_layers * share * each)
    assert serving_step.kernels_s(shape, constants) == expected


def test_four_bits_of_nemotron_3_super_fit_one_b200():
    # The card of its 4-bit form names one B200 as the least.
    shape, b200 = workload.model("nemotron_3_super"), hardware.system("hgx_b200")
    load = workload.ServingLoad(shape, 1024, 1024, weights_dtype="nvfp4", kv_dtype="fp8")
    work, one = inference.work_of(load, 1.0), serving_step.Layouts(1.0)
    device = serving_step.device(b200, "nvfp4")
    held = serving_step.weight_bytes_per_chip(shape, one, work)
    cached = serving_step.cache_bytes_per_chip(shape, device, one, work)
    assert held + cached < device.usable_bytes


def test_64_b200_hold_the_training_of_nemotron_3_super():
    shape = workload.model("nemotron_3_super")
    found = search.search(shape.id, "hgx_b200", range(64, 65), 256, 1)
    assert found.feasible > 0
