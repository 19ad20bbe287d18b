"""One serving load on several systems: lines, nearest points, bills, and runs beside them."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trn3 import hardware, inference, workload
from trn3.fit import trust
from trn3.show import story
from trn3.study import compare, pricing, served, stacks

LLAMA = workload.model("llama3_3_70b")
LOAD = workload.ServingLoad(LLAMA, 1024, 1024, 3.0, 0.025, "fp8", "fp8", 50.0)
PAIR = ["trn3_gen2", "hgx_h200"]
BIG = replace(LOAD, model=workload.model("llama3_1_405b"))
SMALL = "inf2_48xl"
"""Its 384 GB hold no 405 billion weights of 16 bits."""


@pytest.fixture(scope="module")
def lines():
    return served.frontiers(LOAD, PAIR)


@pytest.fixture(scope="module")
def answers():
    return compare.serving(LOAD, PAIR)


def test_the_nearest_point_is_the_best_where_limits_are_kept():
    system = hardware.system("hgx_h200")
    best, near = inference.best(LOAD, system), served.nearest(LOAD, system)
    assert (near.tp, near.batch) == (best.tp, best.batch)


def test_the_nearest_point_misses_impossible_limits_by_the_least_factor():
    asked, system = replace(LOAD, ttft_s=1e-3, tpot_s=1e-4), hardware.system("hgx_h200")
    near = served.nearest(asked, system)
    points = inference.frontier(asked, system).points
    missed = np.maximum(points["ttft_s"] / asked.ttft_s, points["tpot_s"] / asked.tpot_s)
    own = max(near.ttft_s[1] / asked.ttft_s, near.tpot_s[1] / asked.tpot_s)
    assert own == pytest.approx(missed.min(), rel=1e-6) and own > 10


def test_what_does_not_fit_has_no_nearest_point():
    with pytest.raises(inference.NoLayoutMeets, match="does not fit"):
        served.nearest(replace(BIG, weights_dtype="bf16"), hardware.system(SMALL))


def test_what_cannot_hold_the_model_has_no_line():
    assert list(served.frontiers(BIG, [*PAIR, SMALL])["system"].unique()) == PAIR


def test_lines_fall_from_many_users_to_few(lines):
    assert list(lines["system"].unique()) == PAIR and list(lines) == served.LINE
    for _, line in lines.groupby("system"):
        assert len(line) <= served.N_POINTS
        assert line["tokens_per_s_per_user"].is_monotonic_decreasing
        assert line["output_tokens_per_s_per_chip"].is_monotonic_increasing
        assert (line["low"] < line["high"]).all()


def test_no_line_at_all_is_an_empty_table():
    nothing = served.frontiers(BIG, [SMALL])
    assert nothing.empty and served.published(BIG, nothing).empty


def test_between_its_points_a_line_stays_between_them(lines):
    line = lines[lines["system"] == "hgx_h200"]
    speed = line["tokens_per_s_per_user"].to_numpy(float)
    rate = line["output_tokens_per_s_per_chip"].to_numpy(float)
    assert served.at_speed(lines, "hgx_h200", speed)[1] == pytest.approx(rate)
    middle = served.at_speed(lines, "hgx_h200", np.sqrt(speed[1:] * speed[:-1]))[1]
    assert (middle < np.maximum(rate[1:], rate[:-1])).all()
    assert (middle > np.minimum(rate[1:], rate[:-1])).all()
    assert np.isnan(served.at_speed(lines, "hgx_h200", 2 * speed.max())).all()
    assert np.isnan(served.at_speed(lines, "nobody", 10.0)).all()


def test_published_runs_stand_beside_the_line_of_their_system(lines):
    runs = served.published(LOAD, lines)
    assert len(runs) and set(runs["system"]) <= set(PAIR)
    for run in runs.itertuples():
        rivals = runs[(runs["system"] == run.system) & (runs.index != run.Index)]
        faster = rivals["tokens_per_s_per_user"] > run.tokens_per_s_per_user
        more = rivals["output_tokens_per_s_per_chip"] > run.output_tokens_per_s_per_chip
        assert run.beaten == (faster & more).any()
        line = served.at_speed(lines, run.system, run.tokens_per_s_per_user)[1]
        assert run.ratio == pytest.approx(line / run.output_tokens_per_s_per_chip, nan_ok=True)
    assert len(served.beside(runs)) == runs["name"].nunique()


def test_a_bill_is_chips_times_rent_and_a_tie_costs_the_same_per_token(answers):
    own = pricing.Purchase("capacity_block", "us_east_2", price=3.0, baseline_price=4.0)
    bills = served.bills(LOAD, answers, served.rented(own, PAIR), "trn3_gen2").set_index("system")
    assert bills.loc[PAIR, "usd_per_chip_h"].tolist() == [3.0, 4.0]
    hours = 365.25 * 24 / 12
    assert bills["usd_a_month"].to_numpy() == pytest.approx(
        (bills["chips"] * bills["usd_per_chip_h"] * hours).to_numpy(float)
    )
    tokens = LOAD.requests_per_s * LOAD.output_tokens * hours * 3600
    assert bills["usd_per_million"].to_numpy() == pytest.approx(
        (bills["usd_a_month"] / tokens * 1e6).to_numpy(float)
    )
    ours, theirs = (answers.found[key].output_tokens_per_s_per_chip[1] for key in PAIR)
    assert bills.loc["hgx_h200", "ties_at"] / ours == pytest.approx(4 / theirs)
    assert np.isnan(bills.loc["trn3_gen2", "ties_at"])
    shown = served.bills_shown(bills.reset_index(), "Trainium3")
    assert "Trainium3 ties at, USD" in shown and len(shown) == 2


def test_a_chip_that_is_not_sold_so_stands_last_and_says_it():
    load = replace(LOAD, tpot_s=0.1)
    both = compare.serving(load, ["mi300x_8", "trn3_gen2"])
    rent_of = served.rented(
        pricing.Purchase("capacity_block", "us_east_2"), ["trn3_gen2", "mi300x_8"]
    )
    bills = served.bills(load, both, rent_of, "trn3_gen2")
    assert bills["system"].tolist() == ["trn3_gen2", "mi300x_8"]
    assert "Capacity Block" in served.bills_shown(bills, "Trainium3").loc[1, "Bought"]


def test_where_nobody_answers_there_is_no_bill_and_the_table_says_so():
    nobody = compare.Answers({}, {"trn3_gen2": "too slow"})
    rent_of = served.rented(pricing.Purchase("capacity_block", "us_east_2"), PAIR)
    bills = served.bills(LOAD, nobody, rent_of, "trn3_gen2")
    assert bills.empty and "no system" in served.bills_shown(bills, "Trainium3").to_string()


def test_the_table_names_who_has_no_answer_and_why():
    asked = replace(BIG, tpot_s=0.05)
    speeds = compare.serving_table(asked, compare.serving(asked, [*PAIR, SMALL]))
    shown = served.shown(speeds).set_index("System").loc[hardware.system(SMALL).name]
    assert "does not fit" in shown["Why"]
    assert shown["Output tokens/s per chip"] == "no answer"
    assert "Why" not in served.shown(speeds.loc[PAIR])


def test_users_that_fit_fall_with_the_context():
    users = served.users_that_fit(LOAD, PAIR, [4096, 8192, 32768])
    assert list(users.index) == PAIR
    assert (users.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)


def test_longer_contexts_give_less_and_those_that_never_fit_are_left_out():
    short = hardware.system("hgx_h200")
    rates = served.by_context(LOAD, short, [4096, 16384, 10_000_000])
    assert rates["context"].tolist() == [4096, 16384]
    assert rates["rate"].is_monotonic_decreasing


def test_a_claim_without_an_answer_cannot_be_checked():
    said = {"claimant": "AWS", "wording": "three times", "claimed": 3.0}
    claims = pd.DataFrame(said, index=["a"])
    nothing = served.claimed(claims, {"a": np.full(3, np.nan)})
    assert nothing[0].verdict == "Cannot be checked"
    assert served.claimed(claims, {"a": np.array([1.0, 2.0, 3.5])})[0].verdict == "Within band"


def test_scores_of_later_runs_have_one_row_a_family():
    scores = trust.newer("inference")
    shown = served.later(scores, trust.by_part("inference", "publisher"))
    assert len(shown) == len(scores)
    assert "×" in shown.set_index("Runs").loc["Everything", "Refitted, off by"]


def test_a_named_level_moves_the_system_in_question_alone():
    usual, tuned = (served.frontiers(LOAD, PAIR, level) for level in ("typical", "tuned"))
    speed = 40.0
    ours, theirs = (
        served.at_speed(tuned, key, speed)[1] / served.at_speed(usual, key, speed)[1]
        for key in PAIR
    )
    assert ours > 1.1 and theirs == pytest.approx(1.0)


def test_better_software_gives_more_and_ties_at_a_higher_rent(answers):
    own = served.rented(pricing.Purchase("capacity_block", "us_east_2"), PAIR)
    system, rival = hardware.system(PAIR[0]), answers.found[PAIR[1]]
    levels = served.at_levels(LOAD, system, rival, own, stacks.read())
    assert levels["level"].tolist() == ["First port", "Typical", "Tuned", "Hardware"]
    assert levels["middle"].is_monotonic_increasing and levels["ties_at"].is_monotonic_increasing
    typical = levels.set_index("level").loc["Typical", "middle"]
    assert typical == pytest.approx(answers.found[PAIR[0]].output_tokens_per_s_per_chip[1])
    alone = served.at_levels(LOAD, system, None, own, stacks.read())
    assert alone["ties_at"].isna().all()


def test_a_configured_length_slows_what_is_compiled_and_nothing_else():
    usual = served.frontiers(LOAD, PAIR)
    long = served.frontiers(LOAD, PAIR, context_tokens=65536)
    ends = [
        frame.groupby("system")["output_tokens_per_s_per_chip"].max() for frame in (usual, long)
    ]
    assert ends[1]["hgx_h200"] == pytest.approx(ends[0]["hgx_h200"])
    assert ends[1]["trn3_gen2"] < 0.5 * ends[0]["trn3_gen2"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the forked engine is for Linux")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"model": "deepseek_v3"},
        {"model": "gpt_oss_120b", "dtype": "mxfp4", "disaggregated": True},
        {"systems": ["hgx_h200"], "model": "llama3_1_8b", "output_tokens": 2},
        {"ttft_s": 0.01, "tpot_ms": 1.0},
        {"software": "hardware", "configured_tokens": 32768},
    ],
    ids=str,
)
def test_the_step_that_page_04_builds_is_the_package_s(given):
    from trn3.reporting import engine, parameters

    tables = {}
    for cell in engine.run(parameters.find("04"), given).cells:
        for output in cell.get("outputs", []):
            results = output.get("data", {}).get(story.RESULTS)
            if results:
                tables = (json.loads(results) if isinstance(results, str) else results)["tables"]
    step = dict(tables["step"]["data"])
    assert step["**By hand**"] == pytest.approx(step["**By the package**"], rel=1e-5)
    parts = [value for part, value in step.items() if not part.startswith("**")]
    assert sum(parts) == pytest.approx(step["**By hand**"], rel=1e-4)
    for _, by_hand, package in tables["batch"]["data"]:
        assert by_hand == pytest.approx(package, rel=1e-5)


@pytest.mark.parametrize(
    ("ratios", "beaten", "told"),
    [
        ([0.4, 0.5, 0.8], [False] * 3, "reach 2.0 times"),
        ([0.5, 1.1], [False] * 2, ""),
        ([0.5, 1.1], [False, True], "reach 2.0 times"),  # a beaten run tells nothing
        ([np.nan], [False], ""),
        ([], [], ""),
    ],
)
def test_a_rival_below_all_its_published_runs_is_named(monkeypatch, ratios, beaten, told):
    runs = pd.DataFrame({"ratio": ratios, "beaten": np.array(beaten, bool)}).astype(
        {"ratio": float}
    )
    runs = runs.assign(system="hgx_h200")
    monkeypatch.setattr(served, "published", lambda *_: runs)
    said = served.flattered(LOAD, *map(hardware.system, PAIR))
    assert told in said and bool(said) == bool(told)
    assert not said or said.endswith("may flatter Trainium3.")


def test_later_ports_stand_beside_the_slow_tenth_on_trainium_alone():
    assert served.ports_later(hardware.chip("h200")) == ""
    said = served.ports_later(hardware.chip("trainium3"))
    part = "Inferentia2 and Trainium, time per token"
    later = trust.newer("inference").set_index("part").loc[part, "group_median_factor"]
    assert f"took {later:.1f}×" in said
