"""Energy formulas: cited values, limits and identities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import energy as e
from trn3.units import KWH_J, InputError

SHARE = st.floats(0.01, 0.95)
CHIP = e.coefficients(1000.0, 0.4, 40e-12, 25e-12, (2e15, 2e12, 0.0))


@settings(max_examples=50, deadline=None)
@given(rated=st.floats(200, 3000), floor=SHARE, activity=st.floats(0, 1))
def test_full_load_is_the_rating_and_no_load_the_floor(rated, floor, activity):
    load = (
        1e15,
        activity * 0.7 * rated * (1 - floor) / 40e-12,
        0.0,
    )  # memory takes at most 70 % of the dynamic power
    chip = e.coefficients(rated, floor, 40e-12, 25e-12, load)
    assert sum(e.chip_parts_j(chip, 2.0, *(2 * x for x in load)).values()) == pytest.approx(
        2 * rated
    )
    assert sum(e.chip_parts_j(chip, 2.0, 0.0, 0.0, 0.0).values()) == pytest.approx(
        2 * rated * floor
    )


@settings(max_examples=50, deadline=None)
@given(flops=st.floats(0, 1e16), hbm=st.floats(0, 1e13), link=st.floats(0, 1e13))
def test_a_chip_never_exceeds_its_rating(flops, hbm, link):
    assert sum(e.chip_parts_j(CHIP, 1.0, flops, hbm, link).values()) <= 1000.0 * (1 + 1e-12)


def test_arithmetic_keeps_its_least_share():
    # memory said to take more than all of the dynamic power: 0.6 kW x 0.3 stay for 1e15 FLOP/s
    chip = e.coefficients(1000.0, 0.4, 40e-12, 25e-12, (1e15, 20e12, 0.0), 0.3)
    assert float(chip.per_flop) == pytest.approx(0.3 * 600.0 / 1e15)


def test_more_work_takes_more_energy():
    energies = [sum(e.chip_parts_j(CHIP, 1.0, f, 1e12, 1e11).values()) for f in (0.0, 5e14, 1e15)]
    assert np.all(np.diff(energies) > 0)


def test_slow_format_lies_between_its_ends():
    low, mid, high = (float(e.slow_format(CHIP, 3.75, 2.0, x).per_flop) for x in (0.0, 0.5, 1.0))
    assert low == pytest.approx(2.0 * CHIP.per_flop) and high == pytest.approx(3.75 * CHIP.per_flop)
    assert mid**2 == pytest.approx(low * high)


def test_bloom_energy():
    # Luccioni et al. 2022, table 1: 1,082,990 GPU-hours at 400 W are 433,196 kWh; 57 gCO2e/kWh make
    # 24.7 t.
    energy = 1082990 * 3600.0 * 400.0
    assert energy / KWH_J == pytest.approx(433196)
    assert e.carbon_kg(energy, 57.0) / 1000 == pytest.approx(24.7, abs=0.05)


def test_gpt3_energy():
    # Patterson et al. 2021, table 4: 3.14e23 FLOP at 24.6 TFLOP/s, 330 W with hosts, PUE 1.10:
    # 1,287 MWh.
    seconds = 3.14e23 / 24.6e12
    parts = e.facility_parts_j({"chip": 330.0 * seconds}, seconds, 0.0, 1.10)
    assert sum(parts.values()) / KWH_J / 1000 == pytest.approx(1287, rel=0.002)


def test_nameplates_of_nodes():
    # DGX H100: 10.2 kW for 8 x 700 W; DGX B200: 14.3 kW for 8 x 1,000 W.
    assert 700 + e.host_w(700.0, 1.82, 1.0) == pytest.approx(10200 / 8, rel=0.002)
    assert 1000 + e.host_w(1000.0, 1.79, 1.0) == pytest.approx(14300 / 8, rel=0.002)


def test_building_energy_is_it_energy_times_pue():
    chip = e.chip_parts_j(CHIP, 10.0, 1e15, 1e13, 1e12)
    parts = e.facility_parts_j(chip, 10.0, 250.0, 1.2)
    assert sum(parts.values()) == pytest.approx(1.2 * (sum(chip.values()) + 2500.0))


def test_tokens_per_megawatt_is_one_over_joules_per_token():
    rate, power = 730.0, 1480.0
    assert e.per_megawatt(rate, power) * power / rate == pytest.approx(1e6)


def test_claims_in_watts():
    # 40 % more work per watt at twice the work needs 2/1.4 of the power; four times at equal work a
    # quarter.
    assert e.implied_w(700.0, 2.0, 1.4) == pytest.approx(1000.0)
    assert e.implied_w(500.0, 1.0, 4.0) == 125.0
    ratio = np.array([1.2, 1.4, 4.0])
    assert 3.0 * 500.0 / e.implied_w(500.0, 3.0, ratio) == pytest.approx(ratio)


def test_embodied_carbon_shrinks_with_use():
    full, half = e.embodied_kg(1e7, 600.0, 1.5e8, np.array([1.0, 0.5]))
    assert half == 2 * full


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan, np.inf])
def test_powers_out_of_range(bad):
    with pytest.raises(InputError, match="rated_w"):
        e.coefficients(bad, 0.4, 4e-11, 2e-11, (1e15, 1e12, 0.0))
    with pytest.raises(InputError, match="time_s"):
        e.chip_parts_j(CHIP, bad, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="usd_per_chip_h"):
        e.bill_share(1000.0, 0.08, bad)


def test_messages_say_what_is_allowed():
    with pytest.raises(InputError, match=r"pue = 0.9: must be finite and at least 1"):
        e.facility_parts_j({"chip": 1.0}, 1.0, 0.0, 0.9)
    with pytest.raises(InputError, match="floor_share"):
        e.coefficients(500.0, 1.0, 4e-11, 2e-11, (1e15, 1e12, 0.0))
    with pytest.raises(InputError, match="grid_g_per_kwh"):
        e.carbon_kg(1.0, -3.0)


@settings(max_examples=50, deadline=None)
@given(rated=st.floats(100, 3000), share=st.floats(0, 1), time_s=st.floats(0, 1e6))
def test_a_chip_without_requests_stays_within_its_rating(rated, share, time_s):
    assert 0 <= e.idle_j(rated, share, time_s) <= rated * time_s * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(
    rated=st.floats(100, 3000),
    factor=st.floats(1, 3),
    pue=st.floats(1, 2),
    draw=st.floats(0, 1),
    use=st.floats(0, 1),
)
def test_mean_power_never_exceeds_the_provisioned(rated, factor, pue, draw, use):
    host = e.host_w(rated, factor, draw)
    mean = sum(e.facility_parts_j({"chip": use * rated}, 1.0, host, pue).values())
    assert mean <= e.provisioned_w(rated, factor, pue) * (1 + 1e-12)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_idle_shares_out_of_range(bad):
    with pytest.raises(InputError, match="idle_share"):
        e.idle_j(700.0, bad, 1.0)
