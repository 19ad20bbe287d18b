"""Rents, break-even rents, bills, and what closes an open answer: identities and directions."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trn3 import cost, data, hardware
from trn3.study import closing, rents

H200, GB200 = hardware.system("hgx_h200"), hardware.system("gb200_nvl72")
TRN2, TRN3 = hardware.system("trn2_48xl"), hardware.system("trn3_gen2")
SPEED = st.floats(1.0, 1e4)
RENT = st.floats(0.05, 100.0)


def band(middle: float, down: float, up: float) -> np.ndarray:
    return middle * np.array([1.0 / down, 1.0, up])


@given(SPEED, SPEED, RENT, st.floats(0.05, 1.0))
def test_at_the_break_even_rent_a_unit_costs_the_same(own, rival, usd, busy):
    even = rents.break_even(band(own, 1.2, 1.2), band(rival, 1.5, 1.3), usd)
    mine = cost.usd_per_unit(even.middle, own, busy)
    assert mine == pytest.approx(cost.usd_per_unit(usd, rival, busy))
    assert even.low < even.middle < even.high


@given(SPEED, SPEED, RENT, RENT, RENT)
def test_a_higher_rent_never_speaks_for_the_chip(own, rival, usd, a, b):
    even = rents.break_even(band(own, 1.3, 1.3), band(rival, 1.4, 1.2), usd)
    low, high = (even.verdict(x) for x in sorted((a, b)))
    assert low.share >= high.share


@given(SPEED, SPEED, RENT, st.floats(1.01, 3.0))
def test_a_dearer_rival_raises_the_break_even_rent_in_proportion(own, rival, usd, factor):
    one = rents.break_even(band(own, 1.3, 1.3), band(rival, 1.4, 1.2), usd)
    two = rents.break_even(band(own, 1.3, 1.3), band(rival, 1.4, 1.2), usd * factor)
    ends = [one.low, one.middle, one.high]
    assert [two.low, two.middle, two.high] == pytest.approx([factor * x for x in ends])


@given(st.floats(0.0, 1.0))
def test_a_discount_is_a_share_off_the_list_and_none_of_it_is_the_list(discount):
    full = rents.listed(H200, "capacity_block", "us_east_2")
    less = rents.listed(H200, "capacity_block", "us_east_2", discount)
    assert less.usd_per_chip_h == pytest.approx((1 - discount) * full.usd_per_chip_h)
    assert rents.listed(H200, "capacity_block", "us_east_2", 0.0) == full


def test_a_rent_that_the_reader_gives_and_an_assumed_one_take_no_discount():
    assert rents.paid(H200, "on_demand", "us_east_2", 3.0, 0.5).usd_per_chip_h == 3.0
    whole, cut = (rents.paid(TRN3, "on_demand", "us_east_2", 0.0, d) for d in (0.0, 0.5))
    assert whole == cut and whole.assumed and whole.low < whole.usd_per_chip_h < whole.high


def test_an_offer_elsewhere_says_where_it_is():
    # AWS's guide to Capacity Blocks: GB200 UltraServers are sold in the Local Zone in Dallas
    block = rents.listed(GB200, "capacity_block", "us_east_2")
    assert (block.region, block.here) == ("us_east_1_dfw", False)
    assert rents.listed(H200, "on_demand", "us_east_2").here
    assert "Dallas" in rents.terms_of(block.term, block.region)


def test_years_of_serving_are_not_bought_in_blocks():
    for system in (H200, GB200, TRN2):
        found = rents.listed(system, rents.COMMITMENT)
        assert found.term in rents.YEARLY and found.term not in rents.ENDS
        for term in rents.YEARLY:
            try:
                other = rents.listed(system, term)
            except data.UnknownId:
                continue
            assert found.usd_per_chip_h <= other.usd_per_chip_h


def test_what_nobody_sells_is_refused_by_name():
    with pytest.raises(data.UnknownId, match="trainium2 has no price for term = on_demand"):
        rents.listed(TRN2, "on_demand", "us_east_2")


@given(st.floats(0.1, 1e5), SPEED, st.floats(0.01, 1.0), st.integers(1, 64), RENT)
def test_a_bill_is_fleet_times_rent_times_hours_and_the_fleet_carries_the_load(
    load, speed, busy, copy, usd
):
    chips = float(cost.fleet_chips(load, speed, busy, copy))
    assert chips % copy == 0 and chips > 0
    assert chips * speed * busy >= load * (1 - 1e-9)
    assert (chips - copy) * speed * busy < load
    assert cost.monthly_usd(chips, usd) == pytest.approx(chips * usd * 730.5)


# -------------------------------------------------------------------------- what closes an answer
def candidate(system, middle, spread, usd):
    return closing.Candidate(
        system, band(middle, spread, spread), 8, rents.given(system.chip.id, usd)
    )


@given(st.floats(1.1, 3.0), st.floats(1.1, 3.0), RENT, RENT)
def test_a_measurement_narrows_the_range_and_keeps_its_middle(own, rival, usd, asked):
    sides = (candidate(TRN2, 100.0, own, 1.0), candidate(H200, 300.0, rival, usd))
    for run in closing.measurements(*sides, asked):
        assert run.after.middle == pytest.approx(run.before.middle)
        assert run.before.low <= run.after.low <= run.after.high <= run.before.high
        assert run.closes == (run.after.verdict(asked).word != "open")


def test_only_what_can_be_had_is_measured():
    sides = (candidate(TRN3, 100.0, 2.0, 3.5), candidate(H200, 300.0, 1.3, 6.0))
    assert [run.on.system.id for run in closing.measurements(*sides, 3.0)] == ["hgx_h200"]


@given(st.floats(1.3, 3.0), st.floats(1.3, 3.0), RENT)
def test_a_run_that_closes_the_answer_comes_before_one_that_does_not(own, rival, asked):
    sides = (candidate(TRN2, 100.0, own, 2.0), candidate(H200, 300.0, rival, 6.0))
    runs = closing.measurements(*sides, asked)
    assume(len(runs) == 2)
    assert runs[0].closes >= runs[1].closes
    if runs[0].closes and runs[1].closes:
        assert runs[0].usd <= runs[1].usd


def test_whole_servers_are_paid_for_a_measurement():
    (run,) = closing.measurements(
        closing.Candidate(TRN3, band(1.0, 2.0, 2.0), 4, rents.given("trainium3", 3.5)),
        closing.Candidate(H200, band(2.0, 1.5, 1.5), 2, rents.given("h200", 5.0)),
        2.5,
    )
    assert run.usd == pytest.approx(8 * 24 * 5.0)
    said = run.sentence("this load")
    assert "8 rented H200" in said and "24 hours" in said and "narrow" in said
