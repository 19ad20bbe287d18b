"""Failures and checkpoints: cited values, limits, identities, and the simulation against the
exact result.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import reliability as r
from trn3.units import DAY_S, HOUR_S, InputError

TIMES = st.floats(0.1, 1e5)


def test_llama3_interruptions():
    # Llama 3 Herd of Models: 419 unexpected interruptions of 16,384 H100 in 54 days; one every 3.1
    # hours.
    rate = 419 / (16384 * 54 * DAY_S)
    assert r.mtti_s(16384, rate) / HOUR_S == pytest.approx(3.09, abs=0.005)


@pytest.mark.parametrize(("n_gpus", "hours"), [(16384, 1.80), (131072, 0.23)])
def test_meta_projection(n_gpus, hours):
    # Kokolis et al. 2025: 6.50 failures per 1,000 node-days of 8 GPUs; their projected times to
    # failure.
    rate = 6.50 / (1000 * 8 * DAY_S)
    assert r.mtti_s(n_gpus, rate) / HOUR_S == pytest.approx(hours, rel=0.03)


def test_meta_formula_is_the_small_loss_limit():
    # Kokolis et al. 2025: E[ETTR] = (1 - N r (u0 + dt/2)) / (1 + w/dt), to first order in the
    # losses.
    mtti, restart, write, work = 1e7, 300.0, 20.0, 3600.0
    published = (1 - (restart + work / 2) / mtti) / (1 + write / work)
    assert r.goodput(work, write, restart, mtti) == pytest.approx(published, abs=2e-6)


def young(write, mtti):
    return np.sqrt(2.0 * write * mtti)  # Young 1974, eq. 9


def daly(write, mtti):
    x = np.sqrt(write / (2.0 * mtti))
    return young(write, mtti) * (1.0 + x / 3.0 + x**2 / 9.0) - write  # Daly 2006, eq. 37


def test_best_interval_lies_where_young_and_daly_put_it():
    mtti = np.array([1e5, 1e6, 1e7])
    for write in (0.1, 1.0):
        assert daly(write, mtti) == pytest.approx(r.best_interval_s(write, mtti), rel=1e-5)
        assert young(write, mtti) == pytest.approx(r.best_interval_s(write, mtti), rel=4e-3)


@settings(max_examples=60, deadline=None)
@given(write=TIMES, restart=TIMES, mtti=TIMES, factor=st.floats(0.2, 5.0))
def test_no_interval_beats_the_best(write, restart, mtti, factor):
    best = r.best_interval_s(write, mtti)
    assert best <= young(write, mtti) * (1 + 1e-9)
    at_best, beside = r.goodput(np.array([best, best * factor]), write, restart, mtti)
    assert at_best >= beside * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(work=TIMES, write=TIMES, restart=TIMES, mtti=TIMES)
def test_shares_sum_to_one_and_are_shares(work, write, restart, mtti):
    shares = r.time_shares(work, write, restart, mtti)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(-1e-9 <= float(s) <= 1.0 for s in shares.values())


@settings(max_examples=40, deadline=None)
@given(work=TIMES, write=TIMES, restart=TIMES, mtti=TIMES, more=st.floats(1.001, 3.0))
def test_goodput_falls_with_every_cost(work, write, restart, mtti, more):
    base = r.goodput(work, write, restart, mtti)
    assert r.goodput(work, write * more, restart, mtti) <= base
    assert r.goodput(work, write, restart * more, mtti) <= base
    assert r.goodput(work, write, restart, mtti * more) >= base


def test_no_failures_costs_only_checkpoints():
    shares = r.time_shares(300.0, 100.0, 600.0, 1e15)
    assert shares["useful"] == pytest.approx(0.75)
    assert shares["checkpoint"] == pytest.approx(0.25)


def test_a_restart_far_longer_than_the_time_between_failures_leaves_nothing():
    shares = r.time_shares(60.0, 10.0, 3600.0, np.array([10.0, 1.0]))
    assert np.all(shares["useful"] < 1e-100) and np.all(shares["restart"] > 1 - 1e-12)


def test_arrays_give_what_scalars_give():
    mtti = np.geomspace(50.0, 1e6, 7)
    whole = r.goodput(r.best_interval_s(20.0, mtti), 20.0, 300.0, mtti)
    single = [r.goodput(r.best_interval_s(20.0, m), 20.0, 300.0, m) for m in mtti]
    assert whole == pytest.approx(single, rel=1e-12)


@pytest.mark.parametrize("mtti", [30.0, 180.0, 1400.0, 11000.0, 1e6])
@pytest.mark.parametrize("restart", [1.0, 60.0, 600.0])
@pytest.mark.parametrize("write", [0.1, 60.0])
def test_simulation_agrees_with_the_exact_result(mtti, restart, write):
    work = float(r.best_interval_s(write, mtti))
    exact = r.time_shares(work, write, restart, mtti)
    run = r.simulate(work, write, restart, mtti, 400_000, seed=11)
    # 30 cases: four standard errors are exceeded once in 500 test files by chance, and the seed is
    # fixed
    assert abs(run.useful - exact["useful"]) <= 4 * run.standard_error
    for name in ("checkpoint", "lost", "restart"):
        assert getattr(run, name) == pytest.approx(float(exact[name]), abs=8e-3)
    assert run.useful + run.checkpoint + run.lost + run.restart == pytest.approx(1.0)


def test_standard_error_is_honest():
    work = float(r.best_interval_s(20.0, 1800.0))
    exact = float(r.goodput(work, 20.0, 300.0, 1800.0))
    runs = [r.simulate(work, 20.0, 300.0, 1800.0, 4000, seed) for seed in range(200)]
    scores = np.array([(run.useful - exact) / run.standard_error for run in runs])
    assert abs(scores.mean()) < 0.25 and 0.85 < scores.std() < 1.15


def test_simulation_is_seeded():
    first, again, other = (r.simulate(600.0, 20.0, 60.0, 900.0, 5000, seed) for seed in (1, 1, 2))
    assert first == again and first != other


def test_clustered_failures_keep_the_mean_time():
    run = r.simulate(600.0, 20.0, 0.0, 3600.0, 300_000, seed=3, shape=0.7)
    assert run.wall_s / run.n_failures == pytest.approx(3600.0, rel=0.02)
    # long quiet stretches make up for the clusters: fewer pieces are lost than with even chances
    assert run.useful > float(r.goodput(600.0, 20.0, 0.0, 3600.0))


def play_two_levels(memory, storage, share_memory, mtti, n_failures, seed):
    """Useful share of a job with both levels, played segment by segment."""
    (c1, r1), (c2, r2) = memory, storage
    w1 = float(r.best_interval_s(c1, mtti / share_memory))
    w2 = float(r.best_interval_s(c2, mtti / (1 - share_memory)))
    per_storage = max(1, round(w2 * float(r.goodput(w1, c1, r1, mtti / share_memory)) / w1))
    random = np.random.default_rng(seed)
    lives, from_memory = (
        random.exponential(mtti, n_failures),
        random.random(n_failures) < share_memory,
    )
    stored = held = 0
    pending = 0.0
    for life, mild in zip(lives.tolist(), from_memory.tolist(), strict=True):
        left = life - pending
        while left > 0:
            need = w1 + c1 if held < per_storage else c2
            left -= need
            if left < 0:
                break
            stored, held = (stored, held + 1) if held < per_storage else (stored + held, 0)
        worse = (
            life < pending and pending == r2
        )  # a failure within a restart from storage restarts that
        held = held if mild and not worse else 0
        pending = r1 if mild and not worse else r2
    return stored * w1 / lives.sum()


@pytest.mark.parametrize(
    ("mtti", "p"), [(2000.0, 0.9), (600.0, 0.95), (11000.0, 0.8), (180.0, 0.95)]
)
def test_two_levels_against_a_simulation_of_both(mtti, p):
    levels = ((1.0, 60.0), (30.0, 600.0))
    shares = r.two_level(*levels, p, mtti)
    assert float(shares["useful"]) == pytest.approx(
        play_two_levels(*levels, p, mtti, 30_000, seed=5), abs=0.015
    )
    assert sum(float(s) for s in shares.values()) == pytest.approx(1.0)


def test_memory_checkpoints_help():
    single = r.goodput(r.best_interval_s(20.0, 600.0), 20.0, 600.0, 600.0)
    double = r.two_level((0.5, 60.0), (20.0, 600.0), 0.9, 600.0)["useful"]
    assert double > 1.5 * single


def test_restart_for_inverts_goodput():
    restart = r.restart_for(0.9, 5.0, 36000.0)
    assert r.goodput(r.best_interval_s(5.0, 36000.0), 5.0, restart, 36000.0) == pytest.approx(0.9)
    assert r.restart_for(0.9, 60.0, 180.0) < 0  # no restart is short enough


def test_poisson_interval_holds_the_stated_share():
    random = np.random.default_rng(2)
    low, _, high = r.rate_interval(random.poisson(40.0, 4000), 1.0)
    assert np.mean((low <= 40.0) & (high >= 40.0)) == pytest.approx(0.80, abs=0.03)
    assert [float(x) for x in r.rate_interval(0, 10.0)][:2] == [0.0, 0.0]


def test_a_left_out_fleet_does_not_see_itself():
    rates = np.array([1.2e-5, 1.5e-5, 2.0e-5, 3.4e-5])
    changed = rates.copy()
    changed[2] *= 100
    assert r.from_others(rates, 2) == pytest.approx(r.from_others(changed, 2))
    assert r.from_others(rates, 1)[1] != pytest.approx(r.from_others(changed, 1)[1])


def test_spares():
    # Poisson with mean 2: P(X <= 4) = 0.947, P(X <= 5) = 0.983 (tables)
    assert r.spares_needed(np.array([2.0, 2.0]), 1.0, 1.0, 0.95).tolist() == [5, 5]
    assert r.spares_needed(2.0, 1.0, 1.0, 0.94) == 4
    big = r.spares_needed(1e4, 1.0, 1.0, 0.99)
    assert big == pytest.approx(1e4 + 2.326 * 100, abs=3)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan])
def test_times_and_rates_out_of_range(bad):
    with pytest.raises(InputError, match="failures_per_chip_s"):
        r.mtti_s(8, bad)
    with pytest.raises(InputError, match="mtti_s"):
        r.goodput(60.0, 1.0, 1.0, bad)
    with pytest.raises(InputError, match=r"n_chips = .* chips: must be finite and above 0"):
        r.mtti_s(np.array([8.0, bad]), 1e-9)
    if bad != 0.0:
        with pytest.raises(InputError, match="restart_s"):
            r.simulate(60.0, 1.0, bad, 100.0, 10, seed=0)


@settings(max_examples=50, deadline=None)
@given(useful=st.floats(0, 1), n=st.integers(1, 2_000_000), price=st.floats(0, 100))
def test_what_a_month_loses_is_at_most_the_month(useful, n, price):
    hours, chip_days, usd = r.monthly_loss(useful, n, price)
    assert 0 <= hours <= 730.5 + 1e-9  # a twelfth of 365.25 days
    assert chip_days == pytest.approx(hours * n / 24)
    assert usd == pytest.approx(hours * n * price)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_useful_shares_out_of_range(bad):
    with pytest.raises(InputError, match="useful"):
        r.monthly_loss(bad, 1024, 3.5)
