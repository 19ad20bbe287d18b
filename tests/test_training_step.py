"""Terms of a training step: cited numbers, limits, monotonicity, and no step faster than its
operations at peak.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trn3 import committed, hardware, training_step
from trn3.layouts import FULL, NONE, SELECTIVE, Layouts
from trn3.roofline import ARITHMETIC, FIXED, LINK, MEMORY
from trn3.training_step import Work
from trn3.workload import TrainingJob, model

GPT3 = model("gpt3_175b")
WORK = Work(GPT3, 2048, 1536)
NODES = ((8, 300e9, 2e-6), (np.inf, 25e9, 20e-6))
COUNT = training_step.at_peak(1.0, np.inf)
"""One operation a second: a time is a number of operations."""
BYTES = training_step.at_peak(np.inf, np.inf, ((np.inf, 1.0, 0.0),))
"""One byte a second over links: a time is a number of bytes."""
MODELS = st.sampled_from(["gpt3_175b", "llama3_1_8b", "llama3_1_405b", "mixtral_8x7b"])
CHIPS = ["a100_80", "h100", "b200", "tpu_v6e", "trainium1", "trainium2", "trainium3", "mi300x"]
SPLITS = st.fixed_dictionaries(
    {
        "tp": st.sampled_from([1, 2, 4, 8]),
        "pp": st.sampled_from([1, 2, 4]),
        "dp": st.sampled_from([1, 4, 16]),
        "cp": st.sampled_from([1, 2]),
        "micro_batch": st.sampled_from([1, 2]),
        "interleave": st.sampled_from([1, 2]),
        "recompute": st.sampled_from([NONE, SELECTIVE, FULL]),
        "zero": st.sampled_from([0, 1, 2, 3]),
        "replicas": st.sampled_from([1, 4]),
        "sequence_parallel": st.sampled_from([0, 1]),
        "tp_overlap": st.sampled_from([0, 1]),
        "dp_overlap": st.sampled_from([0, 1]),
        "pp_overlap": st.sampled_from([0, 1]),
    }
).map(lambda split: split | {"replicas": min(split["replicas"], split["dp"] * split["cp"])})
"""Sizes and choices of a layout, with groups that are no larger than the ranks there are."""


# ------------------------------------------------------------------------------------ cited numbers
@pytest.mark.parametrize("recompute", [NONE, FULL])
def test_operations_of_a_step_are_those_of_narayanan(recompute):
    # Narayanan et al. 2021, equation 3: 96 B s l h^2 (1 + s / 6h + V / 16 l h) with the forward
    # pass of the layers twice; 72 B s l h^2 (...) without. Attention is counted whole by the paper
    # and half, because causal, here; a flash kernel adds the scores once more backward.
    b, s, layers, h, v = 1536, 2048, 96, 12288, GPT3.vocab
    steps = training_step.evaluate(WORK, COUNT, Layouts(recompute=recompute))
    forwards = 4 if recompute == FULL else 3
    attention_passes = (forwards + 0.5) / 2
    matrices = forwards * 24 * b * s * layers * h**2
    attention = attention_passes * 4 * b * s**2 * layers * h
    head = 6 * b * s * h * v
    assert steps.step_time_s == pytest.approx(matrices + attention + head, rel=1e-9)


def test_tensor_parallel_traffic_is_that_of_narayanan():
    # Narayanan et al. 2021, section 3.2: 8 b s h (t - 1) / t numbers per layer, device, microbatch
    for t in (2, 4, 8):
        parts = training_step.layer_parts(WORK, BYTES, Layouts(tp=t), 2048)
        numbers = parts["tensor exchange"].time_s / 2
        assert numbers == pytest.approx(8 * 2048 * 12288 * (t - 1) / t)


def test_full_recompute_repeats_the_exchanges_of_the_forward_pass():
    # Korthikanti et al. 2022, section 5: with full recompute three passes exchange instead of two
    traffic = {
        code: training_step.layer_parts(WORK, BYTES, Layouts(tp=8, recompute=code), 2048)
        for code in (NONE, FULL)
    }
    ratio = traffic[FULL]["tensor exchange"].time_s / traffic[NONE]["tensor exchange"].time_s
    assert ratio == pytest.approx(3 / 2)


def test_bubble_is_that_of_narayanan():
    # Narayanan et al. 2021, section 2.2.2: (p - 1) / (v m) of the ideal time
    for p, v, m in ((4, 1, 8), (8, 2, 64), (16, 8, 16)):
        assert training_step.bubble_s(2.0, p, v) / (m * 2.0) == pytest.approx((p - 1) / (v * m))


def test_zero_3_moves_half_as_much_again():
    # Rajbhandari et al. 2020, section 7.2: 3 Psi against 2 Psi
    work = dataclasses.replace(WORK, gradient_bytes=2.0)
    plain, sharded = (
        training_step.data_exchange_bytes(work, Layouts(dp=64, zero=z), 1)[0] for z in (0, 3)
    )
    assert sharded / plain == pytest.approx(3 / 2)


@pytest.mark.parametrize("zero", [1, 2, 3])
def test_a_pipeline_exchanges_once_a_step(zero):
    # Grattafiori et al. 2024, section 3.3.2, and Jiang et al. 2024 (MegaScale), section 3.2
    few, many = (
        training_step.data_exchange_bytes(WORK, Layouts(pp=8, dp=8, zero=zero), m)[0]
        for m in (1, 64)
    )
    assert few == many
    # gradients of 32 bits reduced, weights of 16 bits gathered
    per_weight = few / training_step.local_params(GPT3, Layouts(pp=8))
    assert per_weight == pytest.approx(4 + 2)


def test_hybrid_sharding_keeps_the_gathers_inside_a_node():
    # Zhao et al. 2023 (arXiv:2304.11277), section 3.2.2: shards inside a node, then an all-reduce
    # of the shards of gradients across; less crosses the network than with sharding over all
    lay = Layouts(dp=64, zero=3)
    hybrid = dataclasses.replace(lay, replicas=8)
    inside, across = training_step.data_exchange_bytes(WORK, hybrid, 1)
    assert inside == training_step.data_exchange_bytes(WORK, lay, 1)[0]
    # shards of gradients of 16 bits, there and back
    assert across == pytest.approx(2 * 2 * GPT3.n_params / 8, rel=0.01)
    machine = dataclasses.replace(BYTES, tiers=((8, 1e3, 0.0), (np.inf, 1.0, 0.0)))
    all_of_them, in_nodes = (
        training_step.data_exchange(WORK, machine, one, 1, 0.0).time_s for one in (lay, hybrid)
    )
    assert in_nodes < all_of_them


def test_adapters_cost_two_passes_of_three():
    # Hu et al. 2021 (arXiv:2106.09685), section 4.2: no gradient of a frozen weight
    full, lora = (
        training_step.evaluate(dataclasses.replace(WORK, frozen=frozen), COUNT, Layouts())
        for frozen in (0.0, 1.0)
    )
    assert lora.parts["matmul"].time_s / full.parts["matmul"].time_s == pytest.approx(2 / 3)
    assert lora.parts["attention"].time_s == full.parts["attention"].time_s
    tokens = 1536 * 2048
    matrices = lora.step_time_s - lora.parts["attention"].time_s
    assert matrices == pytest.approx(4 * GPT3.n_matmul_params * tokens, rel=1e-9)


def test_flash_kernels_pay_for_the_scores_that_they_do_not_store():
    # Dao 2023, section 4.1: backward 2.5 times the forward pass; separate kernels twice
    flash, plain = (
        training_step.attention_s(dataclasses.replace(WORK, unfused=u), COUNT, 2048, 1)
        for u in (0.0, 1.0)
    )
    assert (float(flash[1]), float(plain[1])) == (2.5, 2.0)
    assert float(plain[0]) == pytest.approx(2 * float(flash[0])), "the whole square, not half of it"


# ------------------------------------------------------------------------------------------- limits
@pytest.mark.parametrize(
    ("one", "part"),
    [
        ({"tp": 1}, "tensor exchange"),
        ({"pp": 1}, "stage exchange"),
        ({"pp": 1}, "pipeline bubble"),
        ({"cp": 1}, "context exchange"),
    ],
)
def test_one_rank_exchanges_nothing(one, part):
    slow = training_step.at_peak(1e15, 1e13, ((np.inf, 1e3, 1.0),))
    many = training_step.evaluate(WORK, slow, Layouts(tp=8, pp=8, dp=4, cp=2))
    alone = training_step.evaluate(
        WORK, slow, Layouts(**{"tp": 8, "pp": 8, "dp": 4, "cp": 2} | one)
    )
    assert float(many.parts[part].time_s) > 0
    assert part not in alone.parts or float(alone.parts[part].time_s) == 0


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_one_replica_exchanges_nothing(zero):
    slow = training_step.at_peak(1e15, 1e13, ((np.inf, 1e3, 1.0),))
    exchange = training_step.data_exchange(WORK, slow, Layouts(tp=8, zero=zero), 1536, 0.0)
    assert (float(exchange.shown_s), float(exchange.latency_s)) == (0, 0)
    two = training_step.data_exchange(WORK, slow, Layouts(tp=8, dp=2, zero=zero), 768, 0.0)
    assert float(two.shown_s) > 0 and float(two.latency_s) > 0


def test_dense_models_route_nothing():
    lay = Layouts(tp=8, ep=1)
    assert "experts" not in training_step.layer_parts(WORK, COUNT, lay, 2048)


def test_host_sets_the_pace_of_short_layers_only():
    assert float(training_step.launch_s(1.0, 1e-3)) == pytest.approx(0, abs=1e-9)
    assert float(training_step.launch_s(1e-3, 1.0)) == pytest.approx(1 - 1e-3, rel=1e-9)


# --------------------------------------------------------------------------------------- properties
@settings(max_examples=80, deadline=None)
@given(SPLITS, MODELS, st.sampled_from(CHIPS), st.sampled_from(["", "full", "lora"]))
def test_no_step_is_faster_than_its_operations_at_peak(fields, name, chip, finetune):
    lay, job = Layouts(**fields), TrainingJob(model(name), 1e9, 4096, 128, finetune=finetune)
    machine = training_step.machine(hardware.Cluster(hardware.system(chip), lay.n_chips))
    flops = job.flops_per_token() * job.seq_len * job.global_batch
    ideal = flops / lay.n_chips / machine.peak_flops_per_s
    work = training_step.work_of(job)
    assert training_step.evaluate(work, machine, lay).step_time_s >= ideal * (1 - 1e-12)


@settings(max_examples=60, deadline=None)
@given(SPLITS, MODELS, st.sampled_from(CHIPS))
def test_software_is_never_faster_than_the_data_sheet(fields, name, chip):
    lay, shape = Layouts(**fields), model(name)
    real = training_step.machine(hardware.Cluster(hardware.system(chip), lay.n_chips))
    sheet = training_step.at_peak(real.peak_flops_per_s, real.hbm_bytes_per_s, real.tiers)
    # what overlaps is hidden by software, not by the data sheet
    open_lay = dataclasses.replace(lay, tp_overlap=0, dp_overlap=0, pp_overlap=0)
    work = Work(shape, 4096, 128)
    # a fitted share of the difference between stages shows, all of it in the limit
    even = dataclasses.replace(
        sheet.constants, imbalance=real.constants.imbalance, alltoall=real.constants.alltoall
    )
    best = training_step.evaluate(work, dataclasses.replace(sheet, constants=even), open_lay)
    assert best.step_time_s <= training_step.evaluate(work, real, open_lay).step_time_s * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(SPLITS, MODELS, st.sampled_from(["seq_len", "global_batch"]))
def test_more_work_is_never_done_sooner(fields, name, larger):
    lay = Layouts(**fields)
    machine = training_step.machine(hardware.Cluster(hardware.system("h100"), lay.n_chips))
    less = Work(model(name), 4096, 128)
    more = dataclasses.replace(less, **{larger: 2 * getattr(less, larger)})
    short, long = (training_step.evaluate(w, machine, lay).step_time_s for w in (less, more))
    assert long >= short


@settings(max_examples=40, deadline=None)
@given(SPLITS, MODELS)
def test_recompute_is_never_free(fields, name):
    machine = training_step.machine(hardware.Cluster(hardware.system("h100"), 64))
    lay, work = Layouts(**fields), Work(model(name), 4096, 128)
    none, selective, full = (
        training_step.evaluate(work, machine, dataclasses.replace(lay, recompute=code)).step_time_s
        for code in (NONE, SELECTIVE, FULL)
    )
    assert none < selective < full


@settings(max_examples=40, deadline=None)
@given(SPLITS, MODELS, st.sampled_from(CHIPS))
def test_parts_and_exchange_make_up_the_step(fields, name, chip):
    lay, work = Layouts(**fields), Work(model(name), 4096, 128)
    machine = training_step.machine(hardware.Cluster(hardware.system(chip), lay.n_chips))
    steps = training_step.evaluate(work, machine, lay)
    parts = sum(part.time_s for part in steps.parts.values())
    assert parts + steps.exchange.shown_s == pytest.approx(float(steps.step_time_s))
    assert {part.kind for part in steps.parts.values()} <= {ARITHMETIC, MEMORY, LINK, FIXED}


@settings(max_examples=30, deadline=None)
@given(st.lists(SPLITS, min_size=2, max_size=5), MODELS)
def test_an_array_of_layouts_is_each_of_them(several, name):
    assume(len({tuple(fields.values()) for fields in several}) > 1)
    machine = training_step.machine(hardware.Cluster(hardware.system("trainium3"), 1024))
    work = Work(model(name), 4096, 128)
    columns = {field: np.array([fields[field] for fields in several]) for field in several[0]}
    together = training_step.evaluate(work, machine, Layouts(**columns)).step_time_s
    alone = [
        float(training_step.evaluate(work, machine, Layouts(**fields)).step_time_s)
        for fields in several
    ]
    assert together.tolist() == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(committed.TrainingConstants)])
def test_every_constant_moves_some_step(name):
    """A constant that no formula reads would be fitted to nothing."""
    base = training_step.machine(hardware.Cluster(hardware.system("h100"), 1024))
    v3, llama = model("deepseek_v3"), model("llama3_1_405b")
    cases = [
        (Work(v3, 4096, 512), Layouts(tp=2, pp=4, dp=64, ep=8, tp_overlap=1), {}),
        (Work(llama, 8192, 512), Layouts(tp=16, pp=4, dp=16, zero=3, dp_overlap=1), {"fp8": 1.0}),
        (Work(llama, 8192, 512), Layouts(tp=8, pp=4, dp=32, dp_overlap=1), {"fp4": 1.0}),
        (Work(llama, 8192, 512), Layouts(tp=8, dp=128, zero=3, dp_overlap=1), {}),
        (Work(GPT3, 2048, 512, unfused=1.0), Layouts(tp=8), {}),
    ]
    value = getattr(base.constants, name)
    moved = dataclasses.replace(base.constants, **{name: 1.1 * value})

    def steps(constants):
        machines = (
            dataclasses.replace(base, constants=constants, narrow_ratio=2.0, **formats)
            for _, _, formats in cases
        )
        return [
            float(training_step.evaluate(work, machine, lay).step_time_s)
            for (work, lay, _), machine in zip(cases, machines)
        ]

    assert steps(moved) != steps(base.constants)
