"""Buy now or wait: limits, signs and the pieces of the choice."""

import numpy as np
import pytest

from trn3 import cost, data, uncertainty, workload
from trn3.show import words
from trn3.study import pricing, waiting
from trn3.uncertainty import Input

SPEEDS = {k: Input(x, x, x, "band", "tokens/s") for k, x in (("now", 800.0), ("new", 700.0))}
GIVEN = {
    "gain": Input(3.0, 3.0, 3.0),
    "units_per_month": Input(1e11, 1e11, 1e11),
    "busy": Input(0.6, 0.6, 0.6),
    "growth": Input(0.3, 0.3, 0.3),
    "arrives": Input(10.0, 10.0, 10.0),
    "slip": Input(0.0, 4.0, 12.0),
}


def result(rents=(6.0, 3.5), horizon=60, **change):
    given = waiting.inputs(SPEEDS, **GIVEN)
    v = {k: np.array(i.mid) for k, i in given.items()} | {
        k: np.asarray(x, float) for k, x in change.items()
    }
    return waiting.savings(v, *rents, horizon)


def test_buying_is_a_plain_move():
    r = result(growth=0.0, rent_fall=0.0)
    hours = 1e11 / (np.array([800.0, 700.0]) * 0.6 * 3600)
    move = cost.Move(hours[0], hours[1], 6.0, 12 * 6000.0, 1000.0, 4.0, 1.0, 0.0, 0.08, 60)
    assert r["buy"] == pytest.approx(cost.saving_usd(move, 3.5))


def test_a_chip_that_never_comes_is_worth_nothing():
    r = result(slip=600.0)
    labour = 12 * 6000.0 + 1000.0 * 3.5 * 2
    assert r["wait"] == pytest.approx(-labour, rel=0.05) and r["value"] < 0
    assert r["switch"] < r["buy"]  # paid for a second port that never carries the load


def test_value_of_waiting_falls_with_the_slip_and_with_the_rent_ratio():
    slips = np.arange(0.0, 25.0, 3.0)
    assert np.all(np.diff(result(slip=slips)["value"]) < 0)
    assert np.all(np.diff(result(trainium4_rent_ratio=np.array([1.0, 2.0, 4.0]))["wait"]) < 0)


def test_waiting_wins_when_today_s_chip_is_dear_and_the_next_one_near():
    assert result(rents=(6.0, 12.0), arrives=1.0, slip=0.0, trainium4_rent_ratio=0.5)["value"] > 0
    assert result(rents=(6.0, 1.0), arrives=30.0)["value"] < 0


def test_an_equal_next_chip_gives_nothing_to_wait_for():
    r = result(gain=1.0, trainium4_delivered=1.0, trainium4_rent_ratio=1.0)
    assert r["buy"] > r["wait"] and r["switch"] < r["buy"]


def test_the_band_holds_the_middle_and_repeats():
    given = waiting.inputs(SPEEDS, **GIVEN)
    one, two = (waiting.against_slip(given, (6.0, 3.5), 60, 256) for _ in range(2))
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert np.all(one["low"] <= one["mid"]) and np.all(one["mid"] <= one["high"])
    assert np.all((one["mid"] > 0) == (one["wins"] > 0.5))


def test_the_choices_share_the_cases_out_and_a_cheaper_rent_wins_more_of_them():
    speeds = SPEEDS | {"also": Input(300.0, 350.0, 400.0, "band", "tokens/s")}
    given = waiting.inputs(speeds, **GIVEN)
    drawn = uncertainty.draws(given, 512)
    before = -1.0
    for usd in (6.0, 3.0, 1.5, 0.5):
        shares = waiting.cheapest(waiting.savings(drawn, 6.0, 3.5, 60, usd))
        assert set(shares) == {waiting.STAY, *waiting.WAYS}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert shares["also"] >= before
        before = shares["also"]
    assert before > 0.5


def test_another_chip_can_only_lower_the_value_of_waiting():
    speeds = SPEEDS | {"also": Input(300.0, 350.0, 400.0, "band", "tokens/s")}
    drawn = uncertainty.draws(waiting.inputs(speeds, **GIVEN), 256)
    alone = waiting.savings(drawn, 6.0, 3.5, 60)["value"]
    assert np.all(waiting.savings(drawn, 6.0, 3.5, 60, 1.5)["value"] <= alone)


def test_the_announced_chip_gains_no_more_than_was_announced():
    new = np.array([80.0, 100.0, 120.0])
    # AWS, December 2025: four times the bandwidth, the largest ratio but that in FP4
    assert waiting.counted_gain(new, np.array([400.0, 500.0, 600.0])) == pytest.approx(4.0)
    assert waiting.counted_gain(new, np.array([200.0, 250.0, 300.0])) == pytest.approx(2.5)


def test_the_gain_holds_in_every_case(choice):
    """Both chips run one stack, so no case has Trainium4 above the largest announced ratio."""
    assert choice.gain <= 4.0 and np.max(choice.drawn["gain"]) <= 4.0 * (1 + 1e-12)
    assert "speed_next" not in choice.drawn
    assert np.max(choice.drawn["trainium4_delivered"]) <= 1.0


def test_staying_is_a_choice_too():
    """Where every move costs more than it saves, waiting is weighed against staying, which costs
    nothing more.
    """
    r = result(rents=(1.0, 50.0))
    assert max(float(r[way]) for way in waiting.WAYS if way in r) < 0
    assert float(r["value"]) == pytest.approx(float(r["wait"]))
    some = result(rents=(6.0, 3.5))
    assert float(some["buy"]) > 0 and float(some["value"]) == pytest.approx(
        float(some["wait"]) - max(float(some["buy"]), float(some["switch"]))
    )


def test_paths_end_where_the_savings_say():
    given = waiting.inputs(SPEEDS, **GIVEN)
    moves = waiting.moves({k: np.array(i.mid) for k, i in given.items()}, 6.0, 3.5, 60)
    stay, saved = waiting.path(moves, "stay"), result()
    for way in saved.keys() & waiting.WAYS.keys():
        assert stay[-1] - waiting.path(moves, way)[-1] == pytest.approx(float(saved[way]), rel=1e-9)


def test_a_threshold_of_a_growth_stays_above_a_fall_of_all():
    """Looking four times below a falling load must not ask for a load that falls by more than
    itself.
    """
    given = waiting.inputs(SPEEDS, **GIVEN) | {
        "growth": Input(-0.6, -0.5, -0.4, unit="share/year", label="growth of the load")
    }
    asked = []

    def value(v):
        asked.append(np.min(v["growth"]))
        return waiting.savings(v, 6.0, 3.5, 60)["value"]

    found = uncertainty.threshold(value, given, "growth")
    assert min(asked) >= -0.99 and (np.isnan(found) or found > -1)


def test_every_input_has_words_and_a_unit_or_none():
    given = waiting.inputs(SPEEDS, **GIVEN)
    for name in waiting.ASSUMED:
        assert given[name].label and given[name].unit not in ("count", "x", "1/yr", "week"), name
    assert given["port_delay"].unit == "months" and given["port_chip_h"].unit == "chip-hours"


# --------------------------------------------------------------------------------- the whole choice
def plan(**change):
    load = workload.ServingLoad(workload.model("llama3_3_70b"), 2048, 512, 3.0, 0.03, "fp8", "fp8")
    asked = {"now": "hgx_h200", "term": "commitment", "price": 0.0} | change
    purchase = pricing.Purchase(asked.pop("term"), "us_east_2", asked.pop("price"))
    return waiting.Plan(load, asked.pop("now"), purchase, **asked)


@pytest.fixture(scope="module")
def choice():
    return waiting.decide(plan(), 1024)


def test_the_shares_of_all_choices_are_shown_and_sum_to_one(choice):
    shown = waiting.in_words(choice)
    assert len(shown) == 5 and list(choice.wins) == [waiting.STAY, *waiting.WAYS]
    assert sum(choice.wins.values()) == pytest.approx(1.0)
    shares = [choice.wins[way] for way in choice.ranking]
    assert shares == sorted(shares, reverse=True)


def test_the_case_that_stands_for_all_has_the_median_value(choice):
    value = waiting.by_package(choice, waiting.case(choice))["value"]
    share_below = np.mean(choice.saved["value"] < value)
    assert 0.49 <= share_below <= 0.51


def test_one_move_by_hand_is_what_the_package_says(choice):
    """The arithmetic of the page: months weighed, what is spared and what is paid."""
    case, month = waiting.case(choice), np.arange(choice.plan.horizon_months)
    pace = (1 + case["growth"]) * (1 - case["rent_fall"]) / (1 + case["capital_rate"])
    carries = case["arrives"] + case["slip"] + case["port_delay"]
    both = min(case["port_dual"], case["port_delay"])
    weight = pace ** (month / 12)
    old = weight * np.clip(carries - month, 0, 1)
    new = weight * np.clip(month + 1 - (carries - both), 0, 1)
    usd_now, usd_new = choice.usd
    usd_next = usd_new * case["trainium4_rent_ratio"]
    load_s = case["units_per_month"] / (3600 * case["busy"])
    next_h = load_s / (case["speed_new"] * case["gain"] * case["trainium4_delivered"])
    saved = usd_now * load_s / case["speed_now"] * (weight - old).sum()
    saved -= case["port_weeks"] * case["usd_per_engineer_week"]
    saved -= usd_next * (next_h * new.sum() + case["port_chip_h"])
    package = waiting.by_package(choice, case)
    assert saved == pytest.approx(package["wait"], rel=1e-9)
    best = max(0.0, package["buy"], package["switch"], package["also"])
    assert package["value"] == pytest.approx(package["wait"] - best)


def test_the_bill_by_hand_is_what_the_package_says(choice):
    bill = waiting.rented(choice)
    assert list(bill.index) == ["now", "also", "new"], "Trainium4 has no rent"
    hours = 1e11 / (3600 * 0.6 * bill["Tokens/s"])
    package = 1e11 * cost.usd_per_unit(bill["USD per hour"], bill["Tokens/s"], 0.6)
    assert (hours * bill["USD per hour"]).to_numpy() == pytest.approx(package.to_numpy())


def test_an_open_choice_is_called_open_and_has_no_verb(choice):
    assert max(choice.wins.values()) < 0.8, "or the case must be chosen anew"
    text = waiting.rest(choice)
    assert " the choice is open: " in text and "costs least most often" in text
    assert " wait " not in f"{waiting.lead(choice)} {text}"


def test_the_answer_leads_with_the_rents_that_turn_it(choice):
    text = waiting.lead(choice)
    turn = waiting.turn(waiting.shares_by_rent(choice))
    assert f"if Trainium3 rents above {words.money(turn, 'chip-hour')}" in text
    assert f"{words.money(choice.even.middle)} (80% range" in text


def test_rents_of_two_kinds_are_told_in_the_answer(choice):
    assert "made from Capacity Blocks, against H200 SXM reserved for 2 years" in waiting.rest(
        choice
    )
    blocks = waiting.decide(plan(term="capacity_block"), 256)
    assert "Capacity Block" not in waiting.rest(blocks)
    assert "Capacity Block" not in waiting.rest(waiting.decide(plan(price=2.0), 256))


def test_what_cannot_be_had_is_said_with_a_clear_choice():
    cheap = waiting.decide(plan(price=0.05, growth=0.0, slip=24.0, horizon_months=24), 256)
    assert cheap.ranking[0] == "buy"
    text = waiting.rest(cheap)
    assert text.startswith("At your 0.05 USD ")
    assert ", if Trainium3 can be had at that rent. Next come " in text


def test_a_chip_that_is_not_sold_so_is_left_out_and_named():
    found = waiting.decide(plan(term="on_demand"), 256)
    assert "also" not in found.wins
    assert waiting.left_out(found) == ["Trainium2 is left out: no rent on demand is listed."]
    assert waiting.left_out(waiting.decide(plan(now="trn2_48xl"), 256)) == []


def test_what_is_to_be_chosen_cannot_be_where_one_is():
    with pytest.raises(data.TrnError, match="now = 'trn3_gen2'"):
        waiting.systems_of("trn3_gen2")


def test_a_run_of_today_says_what_it_narrows_or_that_none_does(choice):
    said = waiting.next_step(choice)
    assert said.startswith("**What can be known today.** ")
    low, high = np.percentile(choice.saved["value"], [10, 90])
    narrows, sentence = waiting._measured(choice, "now")
    assert narrows < 1 and "8 rented H200 SXM for 24 hours" in sentence
    assert "No run that anybody can make today" in said or "8 rented H200 SXM" in said
    assert narrows < 0.1 or sentence in said
    assert f"a width of {words.sig((high - low) / 1e6)} to" in sentence


def test_the_rent_that_turns_the_choice_lies_where_half_stay(choice):
    by_rent = waiting.shares_by_rent(choice)
    turn = waiting.turn(by_rent)
    some = {name: values[: waiting.CURVE_CASES] for name, values in choice.drawn.items()}
    saved = waiting.savings(some, choice.usd[0], turn, 60, choice.usd_also)
    assert waiting.cheapest(saved)[waiting.STAY] == pytest.approx(0.5, abs=0.02)
    assert words.money(turn) in waiting.rent_title(choice, by_rent)
    assert words.money(turn) in waiting.flips(choice, by_rent)[0]


def test_a_level_of_software_is_that_of_the_new_chips_alone(choice):
    first = waiting.decide(plan(software="first_port"), 1024)
    for role in ("now", "also"):
        assert first.speeds[role].tolist() == choice.speeds[role].tolist()
    assert first.speeds["new"][1] < choice.speeds["new"][1]
    assert first.wins[waiting.STAY] > choice.wins[waiting.STAY]
