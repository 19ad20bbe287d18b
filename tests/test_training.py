"""Training: published step times, bounds, monotonicity, and one evaluator for one layout and for
many.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import committed, data, hardware, layouts, search, training, training_step
from trn3.layouts import Layouts
from trn3.workload import TrainingJob, model

A100 = hardware.Cluster(hardware.system("hgx_a100"), 64)
GPT3 = model("gpt3_175b")
JOB = TrainingJob(model("llama3_3_70b"), 15e12, 8192, 512)
CHIPS = [
    "a100_80",
    "h100",
    "b200",
    "gb200",
    "tpu_v6e",
    "trainium1",
    "trainium2",
    "trainium3",
    "mi300x",
]
PLAIN = Layouts(
    tp=4, pp=4, dp=4, zero=1, sequence_parallel=1, tp_overlap=1, dp_overlap=1, pp_overlap=1
)


def step_s(
    lay: Layouts, machine: training_step.Machine, shape=GPT3, seq_len=2048, batch=64, **stack
) -> np.ndarray:
    return np.asarray(
        training_step.evaluate(
            training_step.Work(shape, seq_len, batch, **stack), machine, lay
        ).step_time_s
    )


@pytest.mark.parametrize(
    ("recompute", "published_s"),
    [
        (2, 18.13),
        (1, 13.75),
    ],  # Korthikanti et al. 2022 (arXiv:2205.05198), table 5, 175B on 64 A100
)
def test_korthikanti_table_5_175b(recompute, published_s) -> None:
    sp = int(recompute == 1)
    lay = Layouts(
        tp=8, pp=8, micro_batch=1, interleave=3, recompute=recompute, sequence_parallel=sp
    )
    got = step_s(lay, training_step.machine(A100), unfused=1.0, serial=1.0, gradient_bytes=2.0)
    # constants are those of the mean stack, this table is of one: inside the range between stacks
    low, high = (
        committed.constant("training", f"band_{e}", "a100", "ampere") for e in ("low", "high")
    )
    assert low * got < published_s < high * got


def test_parts_add_up_to_the_step() -> None:
    for chip in ("h100", "trainium3"):
        e = training.estimate(JOB, hardware.Cluster(hardware.system(chip), 64), PLAIN)
        assert sum(e.parts_s.values()) == pytest.approx(e.step_time_s[1])
        assert e.frame()["share"].sum() == pytest.approx(1)


def test_bubble_follows_narayanan() -> None:
    # Narayanan et al. 2021 (arXiv:2104.04473), section 2.2: bubble over ideal time is (p - 1) / (v
    # m)
    for v, micro in ((1, 1), (3, 1), (1, 2)):
        lay = Layouts(tp=8, pp=8, interleave=v, micro_batch=micro, pp_overlap=1)
        steps = training_step.evaluate(
            training_step.Work(GPT3, 2048, 64), training_step.machine(A100), lay
        )
        n_micro = 64 / micro
        idle = ("pipeline bubble", "optimizer", "latency and fixed")
        busy = sum(part.time_s for name, part in steps.parts.items() if name not in idle)
        # the head on the last stage makes the busiest stage a little slower than the mean one
        bubble = steps.parts["pipeline bubble"].time_s
        assert bubble / busy == pytest.approx(7 / (v * n_micro), rel=0.03)


def test_full_recompute_repeats_the_forward_pass() -> None:
    # a third more matrix operations: 8 instead of 6 per parameter and token (Narayanan et al. 2021,
    # appendix)
    work, machine = training_step.Work(GPT3, 2048, 64), training_step.machine(A100)
    none, full = (
        training_step.evaluate(work, machine, Layouts(tp=8, pp=8, recompute=code)).parts
        for code in (layouts.NONE, layouts.FULL)
    )
    assert full["matmul"].time_s / none["matmul"].time_s == pytest.approx(4 / 3)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("dtype", ["bf16", "fp8"])
def test_between_bounds_on_every_chip(chip, dtype) -> None:
    cluster = hardware.Cluster(hardware.system(chip), 64)
    try:
        job = dataclasses.replace(JOB, dtype=cluster.chip.native(dtype))
    except hardware.UnsupportedDtype:
        pytest.skip(f"{chip} has no {dtype}")
    e = training.estimate(job, cluster, PLAIN)
    assert e.bounds_s[0] <= e.step_time_s[1] <= e.bounds_s[1]
    assert e.bounds_s[0] <= e.step_time_s[0] < e.step_time_s[1] < e.step_time_s[2]
    assert (e.mfu > 0).all() and (e.mfu <= 1).all()
    assert e.tokens_per_s[1] * e.step_time_s[1] == pytest.approx(512 * 8192)
    assert e.days[1] == pytest.approx(15e12 / e.tokens_per_s[1] / 86400)


def test_lower_bound_is_the_operations_at_peak() -> None:
    # Narayanan et al. 2021, equation 3: 96 B s l h^2 (1 + s / 6h + V / 16 l h) with recompute and
    # full attention; three quarters of it without, and half of the attention
    b, s, n, h, v = 64, 2048, 96, 12288, GPT3.vocab
    flops = 72 * b * s * n * h**2 * (1 + s / (12 * h) + v / (12 * n * h))
    e = training.estimate(TrainingJob(GPT3, 3e11, s, b), A100, Layouts(tp=8, pp=8))
    assert e.bounds_s[0] == pytest.approx(flops / 64 / 312e12, rel=0.01)


def test_trainium3_says_that_nothing_was_fitted() -> None:
    e = training.estimate(JOB, hardware.Cluster(hardware.system("trainium3"), 64), PLAIN)
    assert e.borrowed and e.note.startswith(
        "no public Trainium3 run was fitted; on chip generations never fitted"
    )
    seen = training.estimate(JOB, hardware.Cluster(hardware.system("h100"), 64), PLAIN)
    assert not seen.borrowed and "source" in seen.note


def test_unseen_generations_have_the_wider_band() -> None:
    new, known = (
        training.estimate(JOB, hardware.Cluster(hardware.system(c), 64), PLAIN)
        for c in ("trainium3", "h100")
    )
    width = [np.log(e.step_time_s[2] / e.step_time_s[0]) for e in (new, known)]
    assert width[0] > width[1]
    assert (
        "80% range" in new.note
        and "generation left out" in new.note
        and "publisher left out" in known.note
    )


def test_adapters_take_less_than_all_weights() -> None:
    # Hu et al. 2021 (arXiv:2106.09685), section 4.2: no gradients of frozen weights, a quarter less
    # time on GPT-3; about 4 N operations a token instead of 6 N
    cluster = hardware.Cluster(hardware.system("h100"), 64)
    full, lora = (
        training.estimate(dataclasses.replace(JOB, finetune=way), cluster, PLAIN)
        for way in ("full", "lora")
    )
    assert full.step_time_s.tolist() == training.estimate(JOB, cluster, PLAIN).step_time_s.tolist()
    assert 2 / 3 < lora.step_time_s[1] / full.step_time_s[1] < 0.8
    assert lora.memory_bytes < full.memory_bytes
    assert 0 < lora.mfu[1] <= 1 and lora.bounds_s[0] < full.bounds_s[0]
    assert JOB.flops_per_token() / dataclasses.replace(JOB, finetune="lora").flops_per_token() < 1.5


def test_an_unknown_way_to_fine_tune_is_refused() -> None:
    with pytest.raises(data.TrnError, match=r"finetune = 'lore'.*nearest: lora"):
        dataclasses.replace(JOB, finetune="lore")


def test_memory_that_does_not_fit_is_said() -> None:
    e = training.estimate(
        JOB,
        hardware.Cluster(hardware.system("h100"), 64),
        dataclasses.replace(PLAIN, micro_batch=16),
    )
    assert "does not fit: needs" in e.note and "GiB" in e.note


def test_layouts_that_do_not_divide_are_refused() -> None:
    with pytest.raises(layouts.LayoutError, match="tp = 7"):
        training.estimate(JOB, hardware.Cluster(hardware.system("h100"), 28), Layouts(tp=7, dp=4))
    with pytest.raises(layouts.LayoutError, match="n_chips = 63"):
        training.estimate(JOB, hardware.Cluster(hardware.system("h100"), 63), PLAIN)


@pytest.mark.parametrize("field", ["tokens", "seq_len", "global_batch"])
def test_numbers_that_are_not_positive_are_refused(field) -> None:
    with pytest.raises(data.TrnError, match=field):
        dataclasses.replace(JOB, **{field: 0})


AXES = {
    "tp": [1, 2, 4, 8],
    "pp": [1, 2, 4],
    "dp": [1, 4, 64],
    "cp": [1, 2],
    "ep": [1, 2, 4],
    "micro_batch": [1, 2, 4],
    "interleave": [1, 2],
    "recompute": [0, 1, 2],
    "zero": [0, 1, 2, 3],
    "sequence_parallel": [0, 1],
    "tp_overlap": [0, 1],
    "dp_overlap": [0, 1],
    "pp_overlap": [0, 1],
}
LAYOUTS = st.fixed_dictionaries({k: st.sampled_from(v) for k, v in AXES.items()})
MODELS = st.sampled_from(["gpt3_175b", "llama3_1_8b", "deepseek_v3", "mixtral_8x7b"])


@settings(max_examples=40, deadline=None)
@given(LAYOUTS, MODELS, st.sampled_from(CHIPS))
def test_more_is_never_slower(fields, name, chip) -> None:
    lay, shape = Layouts(**fields), model(name)
    base = training_step.machine(hardware.Cluster(hardware.system(chip), 1024))
    before = step_s(lay, base, shape, 4096, 512)
    assert np.isfinite(before) and before > 0
    faster = [(reach, 2 * rate, latency) for reach, rate, latency in base.tiers]
    sooner = [(reach, rate, latency / 2) for reach, rate, latency in base.tiers]
    changes = [
        {"peak_flops_per_s": 2 * base.peak_flops_per_s},
        {"hbm_bytes_per_s": 2 * base.hbm_bytes_per_s},
    ]
    for change in (*changes, {"tiers": faster}, {"tiers": sooner}):
        assert step_s(lay, dataclasses.replace(base, **change), shape, 4096, 512) <= before * (
            1 + 1e-9
        ), change
    for flag in ("tp_overlap", "dp_overlap", "pp_overlap"):
        on, off = (
            step_s(dataclasses.replace(lay, **{flag: x}), base, shape, 4096, 512) for x in (1, 0)
        )
        assert on <= off * (1 + 1e-9)


def test_one_layout_and_a_grid_are_the_same_code() -> None:
    machine = training_step.machine(hardware.Cluster(hardware.system("h100"), 1024))
    names = ["micro_batch", "recompute", "zero", "dp_overlap"]
    axes = {
        n: np.array(AXES[n]).reshape([-1 if i == j else 1 for j in range(4)])
        for i, n in enumerate(names)
    }
    grid = step_s(Layouts(tp=4, pp=4, dp=64, **axes), machine, batch=512)
    assert grid.shape == (3, 3, 4, 2)
    for index in np.ndindex(grid.shape):
        one = Layouts(tp=4, pp=4, dp=64, **{n: AXES[n][i] for n, i in zip(names, index)})
        assert step_s(one, machine, batch=512) == grid[index]


def test_arrays_of_models_and_chips_broadcast() -> None:
    from trn3.workload import stack

    names = ["gpt3_175b", "llama3_1_8b", "deepseek_v3"]
    machine = training_step.machine(hardware.Cluster(hardware.system("h100"), 1024))
    lay = Layouts(tp=2, pp=2, dp=16, ep=4)
    together = step_s(lay, machine, stack([model(n) for n in names]), 4096, 512)
    assert together.tolist() == pytest.approx(
        [float(step_s(lay, machine, model(n), 4096, 512)) for n in names], rel=1e-9
    )
    rates = dataclasses.replace(machine, peak_flops_per_s=np.array([5e14, 1e15]))
    alone = [
        float(step_s(lay, dataclasses.replace(machine, peak_flops_per_s=p))) for p in (5e14, 1e15)
    ]
    assert step_s(lay, rates).tolist() == alone


def test_weak_scaling_costs_little_inside_published_sizes() -> None:
    # dgxc-benchmarking, Llama 3.1 405B: 128 to 2304 H100 at constant work per chip stay within a
    # few per cent
    machine, shape = (
        training_step.machine(hardware.Cluster(hardware.system("h100"), 2304)),
        model("llama3_1_405b"),
    )
    lay = Layouts(
        tp=8,
        pp=8,
        cp=2,
        dp=1,
        interleave=8,
        zero=1,
        sequence_parallel=1,
        tp_overlap=1,
        dp_overlap=1,
        pp_overlap=1,
    )
    few, many = (
        step_s(dataclasses.replace(lay, dp=d), machine, shape, 8192, 126 * d) for d in (1, 18)
    )
    assert 1 <= many / few < 1.05


@pytest.mark.parametrize("name", ["trn3_gen2", "hgx_h100"])
def test_levels_of_software_are_ordered_and_none_passes_a_peak(name) -> None:
    job = TrainingJob(model("llama3_1_70b"), 1e12, 8192, 512)
    cluster = hardware.Cluster(hardware.system(name), 512)
    lay = search.best(job, cluster)
    runs = [training.estimate(job, cluster, lay, level) for level in committed.LEVELS]
    times = [run.step_time_s[1] for run in runs]
    assert times == sorted(times, reverse=True) and times[0] > times[1] > times[2]
    assert all((run.step_time_s >= run.bounds_s[0]).all() and run.mfu.max() <= 1 for run in runs)
    assert all(sum(run.parts_s.values()) == pytest.approx(run.step_time_s[1]) for run in runs)
    widths = [float(np.ptp(np.log(run.step_time_s))) for run in runs[:2]]
    assert widths[0] < widths[1], "what differs between stacks is known"


def test_an_unknown_level_of_software_is_named() -> None:
    job = TrainingJob(model("llama3_1_70b"), 1e12, 8192, 512)
    with pytest.raises(data.UnknownId, match="first_port, typical, tuned, hardware"):
        training.estimate(job, hardware.Cluster(hardware.system("hgx_h100"), 512), None, "best")


def test_a_record_of_ones_own_moves_the_middle_and_narrows_the_band() -> None:
    """What differs between stacks gives way to what the runs of one's own leave open."""
    job = TrainingJob(model("llama3_1_70b"), 1e12, 8192, 512)
    cluster = hardware.Cluster(hardware.system("hgx_h100"), 512)
    lay = search.best(job, cluster)
    mine = committed.Software("training", "own", 1.2, 0.03, 3, 1, "three runs")
    given = [training.estimate(job, cluster, lay, each) for each in ("typical", "tuned", mine)]
    typical, tuned, own = (run.step_time_s for run in given)
    assert own[1] == pytest.approx(1.2 * typical[1])
    widths = [float(np.ptp(np.log(each))) for each in (tuned, own, typical)]
    assert widths == sorted(widths)
