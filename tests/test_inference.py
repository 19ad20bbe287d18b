"""Serving under limits: the frontier, the best point, fleets, and what cannot be had."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import committed, data, hardware, inference, serving_step, workload
from trn3.inference import NoLayoutMeets

LLAMA, DEEPSEEK = (workload.model(m) for m in ("llama3_3_70b", "deepseek_v3"))
LLAMA_405B = workload.model("llama3_1_405b")


@pytest.fixture(scope="module")
def load():
    return workload.ServingLoad(LLAMA, 1024, 1024, 3.0, 0.05, "fp8", "fp8", 20.0)


def test_frontier_is_a_hull_within_the_limits(load):
    found = inference.frontier(load, hardware.system("hgx_h200"))
    hull = found.frame()
    assert hull["tokens_per_s_per_user"].is_monotonic_decreasing
    assert hull["output_tokens_per_s_per_chip"].is_monotonic_increasing
    assert (hull["ttft_s"] <= 3.0).all() and (hull["tpot_s"] <= 0.05).all()
    assert (hull["output_tokens_per_s_per_chip_low"] < hull["output_tokens_per_s_per_chip"]).all()
    point = inference.best(load, hardware.system("hgx_h200"))
    assert point.output_tokens_per_s_per_chip[1] == pytest.approx(
        hull["output_tokens_per_s_per_chip"].max()
    )
    assert (np.diff(point.output_tokens_per_s_per_chip) > 0).all() and (
        np.diff(point.tpot_s) > 0
    ).all()


@pytest.mark.parametrize("name", ["trn3_gen2", "trn2_48xl", "hgx_h200"])
def test_better_software_is_never_slower(load, name):
    system = hardware.system(name)
    points = [inference.best(load, system, software=level) for level in committed.LEVELS]
    rates = [point.output_tokens_per_s_per_chip[1] for point in points]
    assert rates == sorted(rates) and rates[0] < rates[1] < rates[3]
    typical = inference.best(load, system)
    assert typical.output_tokens_per_s_per_chip.tolist() == (
        points[1].output_tokens_per_s_per_chip.tolist()
    )
    # what differs between stacks leaves the range at a level that is given
    wide, narrow = (np.ptp(np.log(p.output_tokens_per_s_per_chip)) for p in points[1:3])
    assert wide / 2 <= narrow < wide


def test_a_record_of_software_is_taken_as_it_is(load):
    system = hardware.system("trn3_gen2")
    slow = replace(committed.software("serving", "first_port"), level="own", spread=0.05)
    named, given = (inference.best(load, system, software=s) for s in ("first_port", slow))
    assert named.tpot_s[1] == given.tpot_s[1]
    assert inference.fleet(replace(load, requests_per_s=50.0), system, software=slow)[1] > 0
    with pytest.raises(data.UnknownId, match="software = 'fast'"):
        inference.best(load, system, software="fast")


def test_at_the_hardware_s_level_a_step_waits_for_memory_and_arithmetic_alone(load):
    chip = hardware.chip("trainium3")
    best = serving_step.at_level(
        serving_step.constants(chip), committed.software("serving", "hardware")
    )
    best_product = hardware.measured_products("trainium3")["peak_share"].max()
    assert best.matmul_share == pytest.approx(best_product, abs=0.005) and best.hbm_share == 1.0
    assert best.layer_s == best.host_s == best.sequence_s == best.first_token_s == 0.0


def test_looser_limits_never_cost_throughput(load):
    system = hardware.system("trn3_gen2")
    rates = [
        inference.best(replace(load, tpot_s=t), system).output_tokens_per_s_per_chip[1]
        for t in (0.02, 0.04, 0.08)
    ]
    assert rates == sorted(rates)


@settings(max_examples=25, deadline=None)
@given(
    model=st.sampled_from([LLAMA, DEEPSEEK, workload.model("gpt_oss_120b")]),
    system=st.sampled_from(["trn3_gen2", "trn2_48xl", "hgx_h200", "hgx_b200", "gb200_nvl72"]),
    prompt=st.integers(1, 16384),
    answer=st.integers(1, 4096),
    tpot_s=st.floats(0.01, 0.2),
    ttft_s=st.floats(0.1, 30.0),
    slack=st.floats(1.0, 5.0),
)
def test_more_latency_allowed_never_gives_less(
    model, system, prompt, answer, tpot_s, ttft_s, slack
):
    rack = hardware.system(system)
    tight = workload.ServingLoad(model, prompt, answer, ttft_s, tpot_s, "fp8", "fp8")
    try:
        one = inference.best(tight, rack)
    except NoLayoutMeets:
        return
    loose = replace(tight, ttft_s=slack * ttft_s, tpot_s=slack * tpot_s)
    more = inference.best(loose, rack).output_tokens_per_s_per_chip[1]
    rate = one.output_tokens_per_s_per_chip[1]
    assert more >= rate * (1 - 1e-9)
    # the point itself: no peak passed by what stands behind a token, no prompt read twice as fast
    assert rate * one.flops_per_token <= rack.chip.peak("fp8") * (1 + 1e-9)
    assert rate * one.hbm_bytes_per_token <= rack.chip.hbm_bytes_per_s * (1 + 1e-9)
    assert one.tpot_s[1] <= tpot_s and one.ttft_s[1] <= ttft_s


@pytest.mark.parametrize(
    ("model", "lengths", "tpot_s"),
    # prompts with hardly an answer: on paper, a chip reads at most peak / (2 x weights) tokens/s
    [("llama3_1_8b", (8000, 2), 0.05), ("llama3_3_70b", (4000, 10), 0.05)],
)
@pytest.mark.parametrize("system", ["trn3_gen2", "hgx_h200"])
def test_long_prompts_and_short_answers_stay_below_the_data_sheet(model, lengths, tpot_s, system):
    shape, rack = workload.model(model), hardware.system(system)
    point = inference.best(workload.ServingLoad(shape, *lengths, 30.0, tpot_s, "fp8", "fp8"), rack)
    requests_per_s = point.output_tokens_per_s_per_chip[1] / lengths[1]
    on_paper = rack.chip.peak("fp8") / (2.0 * shape.n_layer_params * lengths[0])
    assert 0.1 * on_paper < requests_per_s < on_paper


def test_mixtures_of_experts_may_join_servers_and_dense_models_do_not():
    asked = workload.ServingLoad(DEEPSEEK, 1024, 1024, 3.0, 0.05, "fp8", "fp8")
    for name in ("hgx_h100", "hgx_b200", "trn2_48xl"):
        rack = hardware.system(name)
        point = inference.best(asked, rack)
        assert point.n_chips > rack.n_chips and point.n_systems == point.n_chips // rack.n_chips
        alone = inference.best(replace(asked, model=LLAMA), rack)
        assert alone.n_systems == 1
    joined = inference.frontier(asked, hardware.system("hgx_h100")).points
    most = data.assumption("serving_most_chips").value
    assert joined["n_chips"].max() <= most and joined["tp"].max() <= 8


def test_a_small_load_takes_no_larger_copy_than_it_needs():
    asked = workload.ServingLoad(DEEPSEEK, 1024, 1024, 3.0, 0.05, "fp8", "fp8", 0.2)
    rack = hardware.system("hgx_b200")
    assert inference.fleet(asked, rack)[1] <= 8 < inference.best(asked, rack).n_chips


def test_a_bigger_domain_is_never_worse(load):
    small, big = (
        inference.best(replace(load, model=DEEPSEEK), hardware.system(s))
        for s in ("trn3_gen1", "trn3_gen2")
    )
    assert big.output_tokens_per_s_per_chip[1] >= small.output_tokens_per_s_per_chip[1]


def test_fleet_grows_with_the_rate_in_whole_copies(load):
    system = hardware.system("hgx_b200")
    one, ten = (inference.fleet(replace(load, requests_per_s=r), system) for r in (5.0, 50.0))
    point = inference.best(load, system)
    assert (one <= ten).all() and np.all(ten % point.n_chips == 0) and ten[0] <= ten[1] <= ten[2]
    busy = data.assumption("serving_fleet_utilisation").value
    least = 50.0 * 1024 / (point.output_tokens_per_s_per_chip[1] * busy)
    assert least <= ten[1] < least + point.n_chips


def test_unseen_chips_have_wider_bands():
    seen, new = (inference.band(hardware.chip(c), "throughput") for c in ("h200", "trainium3"))
    assert new[0] < 1 < new[2] and seen[0] < 1 < seen[2]
    widths = [
        np.log(b[2] / b[0])
        for b in (inference.band(hardware.chip(c), "tpot") for c in ("h200", "trainium3"))
    ]
    assert widths[1] > widths[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_tokens": 200000}, ["input_tokens + output_tokens", "131,072"]),
        ({"tpot_s": 1e-4}, ["ttft_s", "tpot_s = 0.0001 s", "nearest", "batch="]),
        ({"model": LLAMA_405B, "weights_dtype": "bf16"}, ["does not fit", "GiB per chip"]),
    ],
)
def test_impossible_loads_name_what_to_change(load, change, words):
    with pytest.raises(NoLayoutMeets) as error:
        inference.best(replace(load, **change), hardware.system("hgx_h100"))
    assert all(w in str(error.value) for w in words) and "\n" not in str(error.value)


def test_bad_numbers_are_refused_by_name(load):
    with pytest.raises(data.TrnError, match="output_tokens = 0"):
        replace(load, output_tokens=0)
    with pytest.raises(data.TrnError, match="requests_per_s"):
        inference.fleet(replace(load, requests_per_s=0.0), hardware.system("hgx_h200"))
    with pytest.raises(NoLayoutMeets, match=r"needs .* chips .* 8 serve about"):
        inference.fleet(replace(load, requests_per_s=1e4), hardware.system("hgx_h200"), 8)
    with pytest.raises(data.TrnError, match="dtype = 'fp7'"):
        serving_step.dtype_bytes("fp7")
    with pytest.raises(hardware.UnsupportedDtype, match="A100"):
        inference.frontier(load, hardware.system("hgx_a100"))
