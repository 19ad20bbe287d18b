"""Money formulas: published worked values, limits, identities, and the economics of a move."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import cost

positive = st.floats(0.01, 1e4)
MOVE = cost.Move(1000.0, 700.0, 5.0, 20_000.0, 500.0, 3.0, 1.0, 0.3, 0.08, 36)


def test_deepseek_day():
    # DeepSeek, inference system overview, 2025: 226.75 nodes of 8 H800 at 2 USD per chip-hour are
    # 87,072 USD a day
    assert cost.run_usd(226.75 * 8, 86400.0, 2.0) == pytest.approx(87_072)


def test_karakuri_70b_run():
    # 32 trn1.32xlarge (512 chips) for about three days: 36,864 chip-hours, 49.5 thousand USD at
    # 21.50 USD an hour each
    assert cost.run_usd(512, 3 * 86400.0, 1.0) == pytest.approx(36_864)
    assert cost.run_usd(512, 3 * 86400.0, 21.50 / 16) == pytest.approx(49_536)


def test_sglang_cost_of_decode():
    # SGLang, 2025: 22,282 output tokens/s per 8-GPU node; 0.20 USD per million at 2 USD per
    # GPU-hour
    assert cost.usd_per_unit(2.0, 22_282 / 8) * 1e6 == pytest.approx(0.20, rel=0.01)


def test_neuron_documentation_cost_per_million():
    # Neuron docs price inf2.48xlarge at 5.608 USD/h: at 1,000 units/s a million cost 1.5578 USD
    assert cost.usd_per_unit(5.608, 1000.0) * 1e6 == pytest.approx(1.5578, rel=1e-4)


@given(positive, positive, st.floats(0.01, 1.0))
@settings(max_examples=50)
def test_idle_hours_are_paid(price, rate, busy):
    assert cost.usd_per_unit(price, rate, busy) == pytest.approx(
        cost.usd_per_unit(price, rate) / busy
    )


def test_annuity_of_textbooks():
    # 100,000 at 5 % over 10 years is 12,950.46 a year (any table of capital recovery factors:
    # 0.12950)
    assert cost.annuity(0.05, 10.0) == pytest.approx(0.129505, rel=1e-5)
    assert cost.annuity(1e-12, 8.0) == pytest.approx(0.125)
    years = cost.annuity(np.array([0.0, 0.08]), np.array([5.0, 5.0]))
    assert years[1] > years[0] == pytest.approx(0.2)


@given(st.floats(0.001, 0.5), st.floats(1.0, 40.0))
@settings(max_examples=50)
def test_annuity_pays_the_loan_back(rate, years):
    n = int(years)
    debt = 1.0
    for _ in range(n):
        debt = debt * (1 + rate) - cost.annuity(rate, float(n))
    assert debt == pytest.approx(0.0, abs=1e-6)


def test_energy_is_a_small_part_of_a_rent():
    # 1 kW at PUE 1.14 and 0.08 USD/kWh is 0.09 USD an hour, under 3 % of a 3.5 USD chip-hour
    free = cost.Asset(0.0, 5.0, 1000.0, 1.0, 1.14, 0.08, 0.0, 14.0, 0.08, 0.0)
    assert (
        cost.ownership(free)["energy"] == pytest.approx(0.0912)
        and cost.ownership(free)["energy"] / 3.5 < 0.03
    )


def test_ownership_grows_with_every_part_and_falls_with_use():
    names = [f.name for f in dataclasses.fields(cost.Asset)]
    base = dict(zip(names, (30e3, 5.0, 1500.0, 0.8, 1.2, 0.08, 12.0, 14.0, 0.08, 0.03)))
    total = sum(cost.ownership(cost.Asset(**base)).values())
    for name, value in base.items():
        more = sum(cost.ownership(cost.Asset(**base | {name: value * 1.1})).values())
        assert (more < total) if name.endswith("life_years") else (more > total), name
    assert sum(cost.ownership(cost.Asset(**base), 0.5).values()) == pytest.approx(2 * total)


def test_months_are_paid_once_without_dual_running():
    _, now, new = cost.monthly_weights(cost.Move(1.0, 1.0, 1.0, 0.0, 0.0, 2.25, 0.0, 0.4, 0.1, 12))
    factor = cost.monthly_weights(MOVE)[0]
    assert (now + new) == pytest.approx((1.4 / 1.1) ** (np.arange(12) / 12)) and factor[0] == 1.0


@given(
    st.floats(0.0, 24.0), st.floats(0.0, 24.0), st.floats(-0.5, 2.0), st.floats(0.0, 0.3), positive
)
@settings(max_examples=60)
def test_break_even_price_saves_nothing(delay, dual, growth, rate, price):
    move = cost.Move(1000.0, 700.0, price, 5000.0, 10.0, delay, min(dual, delay), growth, rate, 36)
    spared, hours = cost.balance(move)
    even = spared / hours
    scale = float(cost.cumulative_usd(move, 0.0)[0][-1]) + 5000.0
    assert cost.saving_usd(move, even) == pytest.approx(0.0, abs=1e-6 * scale)
    stay, go = cost.cumulative_usd(move, even)
    assert go[-1] == pytest.approx(stay[-1], rel=1e-6)


def test_doubling_the_rivals_price_leaves_the_inputs_of_the_break_even_price_alone():
    dear = dataclasses.replace(MOVE, now_usd_per_chip_h=2 * MOVE.now_usd_per_chip_h)
    (spared, hours), (spared2, hours2) = cost.balance(MOVE), cost.balance(dear)
    assert hours2 == hours  # the new chip's hours do not know the rival's price
    assert spared2 + MOVE.labour_usd == pytest.approx(2 * (spared + MOVE.labour_usd))
    assert cost.saving_usd(dear, 4.0) - cost.saving_usd(MOVE, 4.0) == pytest.approx(
        spared + MOVE.labour_usd
    )


def break_even_month(move, price):
    return cost.crossing(*cost.cumulative_usd(move, price))


def test_a_move_of_arrays_is_many_moves():
    speeds = np.array([500.0, 700.0, 900.0])
    many = cost.Move(
        1000.0, speeds, 5.0, 20_000.0, 500.0, np.array([0.0, 1.5, 6.0]), 0.0, 0.3, 0.08, 36
    )
    one = [
        cost.Move(1000.0, s, 5.0, 20_000.0, 500.0, d, 0.0, 0.3, 0.08, 36)
        for s, d in zip(speeds, (0.0, 1.5, 6.0))
    ]
    assert cost.saving_usd(many, 4.0) == pytest.approx([cost.saving_usd(m, 4.0) for m in one])
    assert break_even_month(many, 4.0) == pytest.approx(
        [float(break_even_month(m, 4.0)) for m in one]
    )


def test_break_even_month_by_hand_and_never():
    # 100,000 once, 2,000 a month saved from the start: paid back after 50 months
    move = cost.Move(1000.0, 1000.0, 5.0, 100_000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 60)
    assert break_even_month(move, 3.0) == pytest.approx(50.0)
    assert np.isinf(break_even_month(move, 5.0)) and break_even_month(move, 0.0) == pytest.approx(
        20.0
    )
    free = cost.Move(1000.0, 1000.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 60)
    assert break_even_month(free, 3.0) == 0.0
