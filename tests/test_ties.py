"""Ties: what rounding of another processor would give, here made by hand, changes no choice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import hardware, inference, search, serving_step, ties, training_step, uncertainty
from trn3.study import scaling
from trn3.workload import ServingLoad, TrainingJob, model

NOISE, SINGLE_NOISE = 1e-13, 1e-7
"""Far more than processors differ by, in double and in single precision."""


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_noise_changes_neither_ranks_nor_least(whole, seed):
    exact = np.array(whole, dtype=float) / 7
    noisy = exact * (1 + NOISE * np.random.default_rng(seed).uniform(-1, 1, len(exact)))
    assert ties.ranks(noisy).tolist() == ties.ranks(exact).tolist()
    assert ties.order(noisy).tolist() == np.argsort(exact, kind="stable").tolist()
    assert ties.least(noisy) == np.argmin(exact) and ties.most(noisy) == np.argmax(exact)


def test_what_differs_by_more_than_a_tie_keeps_its_order():
    values = np.array([1 + 3e-9, 1.0, 1 - 3e-9, -1.0, np.inf, -np.inf, np.nan, np.inf])
    assert ties.order(values).tolist() == [5, 3, 2, 1, 0, 4, 7, 6]
    assert ties.ranks(values)[[4, 7]].tolist() == [5, 5]


def test_least_along_an_axis_passes_over_what_is_missing():
    values = np.array([[np.nan, 0.3, np.inf], [2.0, 0.1 + 0.2, np.inf], [2.0, 0.3, 4.0]])
    assert ties.least(values).tolist() == [1, 0, 2]
    assert ties.least(values, axis=1).tolist() == [1, 1, 1]


def test_differences_are_held_against_what_they_are_differences_of():
    spans = np.array([0.0, 3e-10, 0.0, 2.0])
    assert ties.order(-spans, size=1e3).tolist() == [3, 0, 1, 2]
    assert ties.order(-spans).tolist() == [3, 1, 0, 2]


@given(st.integers(0, 20), st.floats(-1, 1))
def test_noise_moves_no_power_of_two_and_no_whole_number(exponent, noise):
    whole = 2.0**exponent
    near = whole * (1 + NOISE * noise)
    for down in (False, True):
        assert ties.power_of_two(near, down) == whole
    assert ties.ceil(near) == whole
    assert ties.ceil(whole + 0.01) == whole + 1


@given(st.floats(1, 1e12))
def test_powers_of_two_enclose(value):
    up, down = ties.power_of_two(value), ties.power_of_two(value, down=True)
    assert down <= value * (1 + 1e-8) and up >= value * (1 - 1e-8) and up in (down, 2 * down)
    assert np.log2(up).is_integer()


@pytest.fixture
def noise(monkeypatch):
    """Step times and serving speeds as a processor that rounds otherwise would compute them."""
    draw = np.random.default_rng(5).uniform
    timed, trained, served = search._Search.time, training_step.evaluate, serving_step.evaluate

    def off(values, size=NOISE):
        values = np.asarray(values)
        return values * (1 + size * draw(-1, 1, values.shape)).astype(values.dtype)

    def start():
        monkeypatch.setattr(
            search._Search, "time", lambda self, lay: off(timed(self, lay), SINGLE_NOISE)
        )

        def step(work, machine, lay):
            steps = trained(work, machine, lay)
            return replace(steps, pipeline_s=off(steps.pipeline_s), fixed_s=off(steps.fixed_s))

        def point(*given):
            found = served(*given)
            return replace(found, tpot_s=off(found.tpot_s), ttft_s=off(found.ttft_s))

        monkeypatch.setattr(training_step, "evaluate", step)
        monkeypatch.setattr(inference, "evaluate", point)

    return start


def named(frame):
    return frame[[c for c in frame if c not in ("step_time_s", "memory_gib")]].to_numpy().tolist()


@pytest.mark.parametrize(
    ("name", "system", "n_chips", "batch"),
    [
        ("llama3_1_405b", "trn3_gen2", 4608, 1536),
        ("llama2_7b", "hgx_h100", [8, 16, 32], 64),
        ("mixtral_8x7b", "hgx_h100", 32, 64),
    ],
)
def test_noise_changes_no_layout_of_a_search(noise, name, system, n_chips, batch):
    exact = search.search(name, system, n_chips, batch)
    noise()
    for _ in range(3):
        noisy = search.search(name, system, n_chips, batch)
        assert (noisy.step_time_s != exact.step_time_s).any()
        assert named(noisy.frame()) == named(exact.frame())
        assert named(noisy.front) == named(exact.front)


def test_noise_changes_no_layout_over_sizes(noise):
    job, sizes = TrainingJob(model("llama3_1_405b"), 1e12, 8192, 2048), [512, 4096, 100_000]
    exact = scaling.fastest(job, hardware.system("trn3_gen2"), sizes)
    one = search.best(job, hardware.Cluster(hardware.system("trn3_gen2"), 4096))
    noise()
    for _ in range(3):
        assert scaling.fastest(job, hardware.system("trn3_gen2"), sizes) == exact
        assert search.best(job, hardware.Cluster(hardware.system("trn3_gen2"), 4096)) == one


@pytest.mark.parametrize(
    ("name", "system"), [("llama3_3_70b", "trn3_gen2"), ("gpt_oss_120b", "hgx_b200")]
)
def test_noise_changes_no_serving_point(noise, name, system):
    load, rack = (
        ServingLoad(model(name), 2048, 512, 3.0, 0.03, "fp8", "fp8"),
        hardware.system(system),
    )
    where = ["n_chips", "tp", "dp", "ep", "batch"]
    exact = inference.frontier(load, rack).frame()[where].to_numpy().tolist()
    best = [getattr(inference.best(load, rack), name) for name in where]
    noise()
    for _ in range(3):
        assert inference.frontier(load, rack).frame()[where].to_numpy().tolist() == exact
        assert [getattr(inference.best(load, rack), name) for name in where] == best


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_noise_reorders_no_bar_of_a_tornado(seed):
    """Inputs without effect, and pairs with the same effect, stay in the order of the inputs."""
    names = ("none", "first", "second", "also_none", "large")
    inputs = {name: uncertainty.Input(1.0, 2.0, 3.0) for name in names}
    samples, draw = uncertainty.draws(inputs, 64), np.random.default_rng(seed).uniform

    def result(v):
        exact = 1e6 + v["first"] - v["second"] + 3 * v["large"]
        return exact * (1 + 1e-15 * draw(-1, 1, np.shape(exact)))

    found = uncertainty.tornado(result, inputs, samples, result(samples))
    assert found["input"].tolist() == ["large", "first", "second", "none", "also_none"]
    assert found["span"].tolist()[3:] == [0.0, 0.0]


def test_noise_in_a_constant_input_correlates_with_nothing():
    """An input that half of the draws leave at its end: equals share a rank, whatever their last
    bits say.
    """
    inputs = {
        "flat": uncertainty.Input(1.0, 2.0, 2.0),
        "large": uncertainty.Input(1.0, 2.0, 3.0),
    }
    samples = uncertainty.draws(inputs, 1024)
    found = []
    for seed in range(3):
        draw = np.random.default_rng(seed).uniform
        noisy = {k: x * (1 + 1e-15 * draw(-1, 1, x.shape)) for k, x in samples.items()}
        table = uncertainty.tornado(
            lambda v: v["large"] + 0 * v["flat"], inputs, noisy, noisy["large"]
        )
        found.append(table["rank_correlation"].round(9).tolist())
    assert found[0] == found[1] == found[2]
