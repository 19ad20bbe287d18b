"""Memory of a chip against Korthikanti et al. 2022 and the ZeRO paper."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import hardware, memory
from trn3.layouts import Layouts
from trn3.units import GIB
from trn3.workload import TrainingJob, model

# Korthikanti et al. 2022 (arXiv:2205.05198), table 3 and figure 1: model, pp, batch, microbatch,
# interleave; GiB of parameters and optimizer, of activations without recompute, with sequence
# parallelism and selective recompute; TP 8.
FIGURE_1 = [
    ("gpt_22b", 1, 4, 4, 1, 45.6, 59.3, 9.6),
    ("gpt3_175b", 8, 64, 1, 3, 45.6, 66.8, 12.4),
    ("gpt_530b", 35, 280, 1, 3, 31.6, 114.0, 23.1),
    ("gpt_1t", 64, 512, 1, 1, 33.0, 131.3, 26.6),
]


@pytest.mark.parametrize(("name", "pp", "batch", "micro", "v", "state", "plain", "lean"), FIGURE_1)
def test_figure_1_of_korthikanti_within_2_percent(name, pp, batch, micro, v, state, plain, lean):
    for recompute, sp, activations in ((0, 0, plain), (1, 1, lean)):
        lay = Layouts(
            tp=8, pp=pp, micro_batch=micro, interleave=v, recompute=recompute, sequence_parallel=sp
        )
        held = memory.training_bytes(model(name), 2048, batch, lay, unfused=1)
        assert held.activations / GIB == pytest.approx(activations, rel=0.02)
        assert (held.weights + held.gradients + held.optimizer) / GIB == pytest.approx(
            state, rel=0.02
        )


@pytest.mark.parametrize("t", [1, 4, 8])
def test_table_2_of_korthikanti(t):
    m, s = model("gpt3_175b"), 2048
    h, scores = m.d_model, 5 * m.n_heads * s / m.d_model

    def per_token(recompute, sp, tp):
        return (
            memory.layer_activation_bytes(
                m, s, Layouts(tp=tp, recompute=recompute, sequence_parallel=sp)
            )
            / h
        )

    assert per_token(0, 0, 1) == pytest.approx(34 + scores)
    assert per_token(0, 0, t) == pytest.approx(10 + 24 / t + scores / t)
    assert per_token(0, 1, t) == pytest.approx((34 + scores) / t)
    assert per_token(1, 0, t) == pytest.approx(10 + 24 / t)
    assert per_token(1, 1, t) == pytest.approx(34 / t)
    assert per_token(2, 0, t) == pytest.approx(2)


def test_zero_shards_what_its_stage_says():
    # Rajbhandari et al. 2020 (arXiv:1910.02054), section 3: the optimizer, then gradients, then
    # weights over N_d ranks.
    m, n = model("llama2_7b"), 64
    plain, one, two, three = (
        memory.training_bytes(m, 2048, 64, Layouts(dp=n, zero=z)) for z in range(4)
    )
    assert (plain.weights, plain.gradients, plain.optimizer) == (
        2 * m.n_params,
        4 * m.n_params,
        12 * m.n_params,
    )
    assert (one.weights, one.gradients, one.optimizer * n) == (
        plain.weights,
        plain.gradients,
        plain.optimizer,
    )
    assert (two.weights, two.gradients * n, two.optimizer * n) == (
        plain.weights,
        plain.gradients,
        plain.optimizer,
    )
    layer = m.n_params / m.n_layers
    assert three.weights == pytest.approx(2 * (m.n_params / n + 2 * layer)), "and two whole layers"
    assert plain.activations == three.activations


def test_experts_spread_over_their_ranks():
    m = model("mixtral_8x7b")
    alone, spread = (memory.training_bytes(m, 4096, 8, Layouts(dp=8, ep=ep)) for ep in (1, 8))
    routed = m.n_layers * m.n_experts * m.n_expert_params
    assert alone.weights - spread.weights == pytest.approx(2 * routed * 7 / 8)
    sharded = memory.training_bytes(m, 4096, 8, Layouts(dp=8, ep=8, zero=1))
    assert sharded.optimizer == pytest.approx(12 * m.n_params / 8), (
        "every parameter once among eight ranks"
    )


layout = st.fixed_dictionaries(
    {
        "tp": st.sampled_from([1, 2, 8]),
        "pp": st.sampled_from([1, 2, 8]),
        "dp": st.sampled_from([1, 4, 16]),
        "cp": st.sampled_from([1, 2]),
        "interleave": st.sampled_from([1, 2, 4]),
        "recompute": st.integers(0, 2),
        "zero": st.integers(0, 3),
        "sequence_parallel": st.integers(0, 1),
        "micro_batch": st.sampled_from([1, 2, 4]),
    }
)


def total(name, fields, **other):
    return float(memory.training_bytes(model(name), 4096, 256, Layouts(**(fields | other))).total)


@settings(max_examples=60, deadline=None)
@given(layout, st.sampled_from(["gpt3_175b", "llama3_1_8b", "deepseek_v3"]))
def test_memory_moves_the_way_it_must(fields, name):
    assert total(name, fields) > 0
    for field, larger in (("micro_batch", 2), ("micro_batch", 8)):
        assert total(name, fields, **{field: fields[field] * larger}) >= total(name, fields), (
            "never falls with it"
        )
    for better in (
        {"zero": 3},
        {"sequence_parallel": 1},
        {"tp": fields["tp"] * 2},
        {"cp": fields["cp"] * 2},
    ):
        assert total(name, fields, **better) <= total(name, fields) * (1 + 1e-12)
    if fields["recompute"] < 2 and fields["pp"] > 1:
        assert total(name, fields, recompute=fields["recompute"] + 1) <= total(name, fields) * 1.2


def test_many_layouts_are_each_of_them():
    m, zero, micro = model("llama3_1_8b"), np.arange(4)[:, None], np.array([1, 2, 4])
    many = memory.training_bytes(
        m, 4096, 64, Layouts(tp=2, dp=8, zero=zero, micro_batch=micro)
    ).total
    one = [[total_of(m, z, b) for b in micro] for z in range(4)]
    assert many == pytest.approx(np.array(one), rel=1e-12)


def total_of(m, zero, micro):
    return memory.training_bytes(
        m, 4096, 64, Layouts(tp=2, dp=8, zero=zero, micro_batch=int(micro))
    ).total


def test_flash_attention_stores_no_scores():
    m, lay = model("llama3_1_8b"), Layouts()
    plain, flash = (memory.training_bytes(m, 8192, 1, lay, unfused=u).activations for u in (1, 0))
    # Korthikanti et al. 2022, section 4.1: 5 a s^2 b of scores, and two dropout masks of s b h
    masks = 2 * m.d_model * 8192
    assert plain - flash == (5 * m.n_heads * 8192 * 8192 + masks) * m.n_layers
    selective = dataclasses.replace(lay, recompute=1)
    kept = memory.training_bytes(m, 8192, 1, selective, unfused=1).activations
    assert kept == flash + masks * m.n_layers


# Grattafiori et al. 2024 (arXiv:2407.21783), table 4 and section 3.3.2: 405B at 8,192 tokens in
# BF16 with TP 8, PP 16 and FSDP that shards optimizer and gradients, without recompute on 80 GB;
# 128 chunks for 126 layers, embedding and output head, so 8 chunks a stage.
@pytest.mark.parametrize("dp", [64, 128])
def test_the_published_layout_of_llama_3_fits(dp):
    lay = Layouts(tp=8, pp=16, dp=dp, interleave=8, zero=2, sequence_parallel=1)
    held = memory.training_bytes(model("llama3_1_405b"), 8192, 2048, lay)
    room = hardware.chip("h100").hbm_bytes
    assert held.total <= room
    assert held.total > 0.8 * room, "a layout that its makers took because it just fits"


def test_a_pipeline_holds_gathered_weights_and_the_gradients_of_a_chunk():
    # Lamy-Poirier 2022 (arXiv:2211.05953): chunk by chunk, gradients are whole for one at a time
    m = model("llama2_7b")
    plain, sharded, chunks = (
        memory.training_bytes(m, 2048, 64, Layouts(pp=4, dp=8, **kind))
        for kind in ({}, {"zero": 3}, {"zero": 3, "interleave": 4})
    )
    assert sharded.weights == plain.weights
    assert sharded.gradients == plain.gradients
    assert chunks.gradients == pytest.approx(plain.gradients * (1 / 8 + 1 / 4))


def test_groups_hold_as_much_as_their_ranks_can_share():
    m = model("llama2_7b")
    whole, groups, alone = (
        memory.training_bytes(m, 2048, 64, Layouts(dp=64, zero=1, replicas=r)).optimizer
        for r in (1, 8, 64)
    )
    assert (groups, alone) == (8 * whole, 64 * whole)
    assert alone == 12 * m.n_params


def test_adapters_spare_gradients_and_optimizer():
    # Hu et al. 2021 (arXiv:2106.09685), section 4.2
    full, lora = (
        memory.job_bytes(
            TrainingJob(model("llama2_70b"), 1e8, 4096, 8, finetune=way), Layouts(tp=8)
        )
        for way in ("full", "lora")
    )
    assert lora.weights == full.weights and lora.activations == full.activations
    assert lora.optimizer < full.optimizer / 1000 and lora.gradients < full.gradients / 1000
