"""Failures: how much of a long job's time is useful, exactly and by simulation.

A job of N chips that fail independently at r failures per chip-second is interrupted every M = 1 /
(N r) seconds on average, whatever the cause, with exponentially distributed times between
interruptions. It works for an interval w, writes a checkpoint in c, and after a failure needs a
restart R; failures strike during work, checkpoint and restart.

References
----------
Young 1974, doi:10.1145/361147.361115; Daly 2006, doi:10.1016/j.future.2004.11.016;
Kokolis et al. 2025, arXiv:2410.21680; Breslow and Day 1987 (Byar's interval of a Poisson count).
"""

import dataclasses
import math

import numpy as np

from trn3.units import DAY_S, HOUR_S, YEAR_S, Array, require

MONTHS = 12
"""Months of a year."""
BLOCK = 8192
"""Events drawn at a time: arrays of 64 KiB stay in the cache, below the size for which the
system maps fresh pages.
"""
Z80 = 1.2816
"""Standard normal quantile of the upper end of an 80 % interval."""


def mtti_s(n_chips: Array, failures_per_chip_s: Array) -> Array:
    """Mean time to interruption of a job that stops when any of its chips does.

    M = 1 / (N r).

    Parameters
    ----------
    n_chips : Array
        Chips of the job [-].
    failures_per_chip_s : Array
        Interruptions per chip and second, all causes together [1/s].

    Returns
    -------
    Array
        Mean time to interruption [s].

    Raises
    ------
    InputError
        If a value is not positive and finite.

    Notes
    -----
    Small jobs fail mostly for reasons of software and users, which do not grow with N:
    Kokolis et al. measured 7.9 h at 1,024 GPUs where their own rate gives 28.8 h.

    Examples
    --------
    Kokolis et al. 2025: 6.50 failures per 1,000 node-days of 8 GPUs give 1.8 h at 16,384 GPUs.

    >>> round(mtti_s(16384, 6.50 / (1000 * 8 * 86400)) / 3600, 1)
    1.8
    """
    require("n_chips", n_chips, "chips")
    require("failures_per_chip_s", failures_per_chip_s, "failures/s")
    return 1.0 / (n_chips * failures_per_chip_s)


def rate_interval(n_events: Array, exposure_s: Array, z: float = Z80) -> tuple[Array, Array, Array]:
    """Rate of a counted Poisson process with its interval, by Byar's approximation.

    low = n (1 - 1/(9n) - z/(3 sqrt n))^3 / t and high with n + 1, plus sign, for n events in
    exposure t.

    Parameters
    ----------
    n_events : Array
        Events counted; zero gives a rate and low end of zero [-].
    exposure_s : Array
        Chip-seconds watched [s].
    z : float
        Normal quantile of the interval; the default gives 80 % [-].

    Returns
    -------
    tuple of Array
        Low, middle (n/t) and high rate [1/s].

    Raises
    ------
    InputError
        If the count is negative or the exposure not positive.

    Examples
    --------
    The 95 % interval of 10 events is 4.8 to 18.4 (Breslow and Day 1987, table 2.11).

    >>> low, mid, high = rate_interval(10, 1.0, z=1.96)
    >>> round(float(low), 1), float(mid), round(float(high), 1)
    (4.8, 10.0, 18.4)
    """
    require("n_events", n_events, "events", closed=True)
    require("exposure_s", exposure_s, "chip-seconds")
    n = np.asarray(n_events, dtype=float)
    some = np.maximum(n, 1.0)
    low = np.where(n > 0, n * (1 - 1 / (9 * some) - z / (3 * np.sqrt(some))) ** 3, 0.0)
    high = (n + 1) * (1 - 1 / (9 * (n + 1)) + z / (3 * np.sqrt(n + 1))) ** 3
    return low / exposure_s, n / exposure_s, high / exposure_s


def from_others(rates: np.ndarray, own: int, z: float = Z80) -> np.ndarray:
    """Rate of one fleet as the other fleets predict it.

    Geometric mean of the others, with exp(z s sqrt(1 + 1/k)) to either side for k fleets whose log
    rates have the standard deviation s.

    Parameters
    ----------
    rates : ndarray
        Failure rate of each fleet [1/s].
    own : int
        Index of the fleet that is left out; -1 leaves none out [-].
    z : float
        Normal quantile of the range; the default gives 80 % [-].

    Returns
    -------
    ndarray
        Low, middle and high rate [1/s].

    Raises
    ------
    InputError
        If a rate is not positive.

    Examples
    --------
    >>> [float(x) for x in from_others(np.array([1.0, 1.0, 5.0]), own=2)]
    [1.0, 1.0, 1.0]
    """
    require("rates", rates, "failures/s")
    logs = np.log(np.delete(rates, own) if own >= 0 else rates)
    spread = z * np.std(logs, ddof=1) * math.sqrt(1 + 1 / len(logs))
    return np.exp(np.mean(logs) + spread * np.array([-1.0, 0.0, 1.0]))


def checkpoint_s(state_bytes: Array, bytes_per_s: Array, fixed_s: Array = 0.0) -> Array:
    """Time to write a checkpoint that the job waits for.

    c = state / bandwidth + fixed.

    Parameters
    ----------
    state_bytes : Array
        Weights and optimizer state of one copy of the model [B].
    bytes_per_s : Array
        Bandwidth of all writers together [B/s].
    fixed_s : Array
        Part that does not shrink with bandwidth [s].

    Returns
    -------
    Array
        Blocking time of one checkpoint [s].

    Raises
    ------
    InputError
        If the state or the bandwidth is not positive.

    Examples
    --------
    BLOOM wrote 2.3 TB in 40 s.

    >>> checkpoint_s(2.3e12, 57.5e9)
    40.0
    """
    require("state_bytes", state_bytes, "bytes")
    require("bytes_per_s", bytes_per_s, "bytes/s")
    return state_bytes / bytes_per_s + fixed_s


def best_interval_s(checkpoint_s: Array, mtti_s: Array) -> Array:
    """Exact best time of work between checkpoints for exponential failures.

    The w that maximises `goodput` solves 1 - w/M = exp(-(w + c)/M), whatever the restart time;
    found by Newton's method from Young's interval, which lies above it.

    Parameters
    ----------
    checkpoint_s : Array
        Blocking time of one checkpoint [s].
    mtti_s : Array
        Mean time to interruption [s].

    Returns
    -------
    Array
        Work between checkpoints [s].

    Raises
    ------
    InputError
        If a time is not positive and finite.

    Examples
    --------
    Young's rule is nearly exact where checkpoints are short, and too long where they are not.

    >>> round(float(best_interval_s(1.0, 20000.0))), round((2 * 1.0 * 20000.0) ** 0.5)
    (199, 200)
    >>> round(float(best_interval_s(600.0, 600.0))), round((2 * 600.0 * 600.0) ** 0.5)
    (505, 849)
    """
    require("checkpoint_s", checkpoint_s, "s")
    require("mtti_s", mtti_s, "s")
    k = np.asarray(checkpoint_s / np.asarray(mtti_s, dtype=float))
    x = np.minimum(np.sqrt(2 * k), 1.0)
    for _ in range(40):
        x = x - (x + np.expm1(-(x + k))) / -np.expm1(-(x + k))
    return np.maximum(x, 0.0) * mtti_s


def time_shares(
    work_s: Array, checkpoint_s: Array, restart_s: Array, mtti_s: Array
) -> dict[str, Array]:
    """Where the wall time of a job goes, exactly, with exponential failures that also strike during
    restarts.

    One segment of work and checkpoint takes E = M exp(R/M) (exp((w + c)/M) - 1) on average (Daly
    2006, eq. 20); it holds w of work, c of checkpoint and (exp((w + c)/M) - 1) M (exp(R/M) - 1) of
    restarts. What is left is work and checkpoint time that a failure threw away.

    Parameters
    ----------
    work_s : Array
        Work between checkpoints [s].
    checkpoint_s : Array
        Blocking time of one checkpoint [s].
    restart_s : Array
        From a failure to work again: detect, replace, load [s].
    mtti_s : Array
        Mean time to interruption [s].

    Returns
    -------
    dict of str to Array
        Shares ``useful``, ``checkpoint``, ``lost``, ``restart`` that sum to one [-].

    Raises
    ------
    InputError
        If a time is negative or not finite, or the work or the time to interruption is zero.

    Examples
    --------
    Young's estimate of the smallest loss, sqrt(2c/M) + R/M, is 10.9 % for a minute of each
    in 3.1 hours.

    >>> shares = time_shares(1157.0, 60.0, 60.0, 11160.0)
    >>> {name: round(float(share), 3) for name, share in shares.items()}
    {'useful': 0.895, 'checkpoint': 0.046, 'lost': 0.053, 'restart': 0.005}
    """
    require("work_s", work_s, "s")
    require("checkpoint_s", checkpoint_s, "s", closed=True)
    require("restart_s", restart_s, "s", closed=True)
    require("mtti_s", mtti_s, "s")
    # Scaled by exp(-R/M) and exp(-(w+c)/M), so that a million chips with a slow restart underflow
    # instead of overflow.
    fail = -np.expm1(-(np.asarray(work_s) + checkpoint_s) / mtti_s)
    alive = np.exp(-np.asarray(restart_s) / mtti_s)
    segment = mtti_s * fail
    whole = alive * np.exp(-(np.asarray(work_s) + checkpoint_s) / mtti_s) / segment
    useful, written = work_s * whole, checkpoint_s * whole
    restart = np.asarray(1.0 - alive)
    return {
        "useful": useful,
        "checkpoint": written,
        "lost": 1.0 - useful - written - restart,
        "restart": restart,
    }


def goodput(work_s: Array, checkpoint_s: Array, restart_s: Array, mtti_s: Array) -> Array:
    """Share of the wall time that is useful work; the ``useful`` part of `time_shares`.

    g = w / (M exp(R/M) (exp((w + c)/M) - 1)).

    Parameters
    ----------
    work_s : Array
        Work between checkpoints [s].
    checkpoint_s : Array
        Blocking time of one checkpoint [s].
    restart_s : Array
        From a failure to work again [s].
    mtti_s : Array
        Mean time to interruption [s].

    Returns
    -------
    Array
        Useful share [-].

    Examples
    --------
    With rare failures only the checkpoints cost.

    >>> round(float(goodput(900.0, 100.0, 0.0, 1e12)), 6)
    0.9
    """
    return time_shares(work_s, checkpoint_s, restart_s, mtti_s)["useful"]


def restart_for(share: Array, checkpoint_s: Array, mtti_s: Array) -> Array:
    """Longest restart with which a job keeps a useful share, at the best checkpoint interval.

    R = M ln(g0 / g), where g0 is the useful share with an instant restart.

    Parameters
    ----------
    share : Array
        Useful share wanted [-].
    checkpoint_s : Array
        Blocking time of one checkpoint [s].
    mtti_s : Array
        Mean time to interruption [s].

    Returns
    -------
    Array
        Longest restart; negative where no restart is short enough [s].

    Examples
    --------
    >>> work = best_interval_s(20.0, 180.0)
    >>> round(float(goodput(work, 20.0, restart_for(0.5, 20.0, 180.0), 180.0)), 6)
    0.5
    """
    require("share", share, "")
    return mtti_s * np.log(
        goodput(best_interval_s(checkpoint_s, mtti_s), checkpoint_s, 0.0, mtti_s) / share
    )


def two_level(
    memory: tuple[Array, Array], storage: tuple[Array, Array], share_memory: Array, mtti_s: Array
) -> dict[str, Array]:
    """Time shares with checkpoints in the memory of neighbours and, less often, on storage.

    A share p of the failures is repaired from memory, the rest from storage. The inner process sees
    interruptions every M/p, the outer one every M/(1-p), and their useful shares multiply; each
    level uses its own best interval. A restart from storage begins again at any failure, so it
    counts as R' = M/(1-p) ln(p + (1-p) exp(R/M)).

    Parameters
    ----------
    memory : tuple of Array
        Checkpoint and restart time of the memory level [s].
    storage : tuple of Array
        Checkpoint and restart time of the storage level [s].
    share_memory : Array
        Share of failures that the memory level repairs, above 0 and below 1 [-].
    mtti_s : Array
        Mean time to interruption, all failures [s].

    Returns
    -------
    dict of str to Array
        Shares ``useful``, ``checkpoint``, ``lost``, ``restart`` that sum to one [-].

    Notes
    -----
    The product is exact to first order in the losses; a test holds it against a simulation of
    both levels.

    Examples
    --------
    >>> shares = two_level((0.1, 60.0), (20.0, 600.0), 0.95, 1200.0)
    >>> round(sum(float(s) for s in shares.values()), 6)
    1.0
    """
    (written, restart), (slow_written, slow_restart) = memory, storage
    inner_mtti, outer_mtti = mtti_s / share_memory, mtti_s / (1 - share_memory)
    # A restart from storage is itself struck by every failure: the restart that costs as much at
    # the outer rate alone.
    struck = outer_mtti * np.logaddexp(
        np.log(share_memory), np.log1p(-share_memory) + slow_restart / mtti_s
    )
    inner = time_shares(best_interval_s(written, inner_mtti), written, restart, inner_mtti)
    outer = time_shares(best_interval_s(slow_written, outer_mtti), slow_written, struck, outer_mtti)
    return {
        name: inner[name] * outer["useful"] + (outer[name] if name != "useful" else 0.0)
        for name in inner
    }


def monthly_loss(
    useful: Array, n_chips: Array, usd_per_chip_h: Array
) -> tuple[Array, Array, Array]:
    r"""What checkpoints and failures cost a job that runs all month.

    .. math:: t = (1 - g)\, T_{month}, \quad N t, \quad N t\, p

    Parameters
    ----------
    useful : Array
        Share g of the time that is useful work, from 0 to 1 [-].
    n_chips : Array
        Chips N of the job, which are paid all the time [-].
    usd_per_chip_h : Array
        Rent p of a chip [USD/h].

    Returns
    -------
    tuple of Array
        Hours of the job [h], chip-days [d] and rent [USD] of a month of 30.4 days.

    Raises
    ------
    InputError
        If the share lies outside 0 to 1, the chips are not positive or the rent is negative.

    Examples
    --------
    Llama 3 405B kept 16,384 chips useful for 90% of the time: 73 hours a month were not.

    >>> hours, chip_days, usd = monthly_loss(0.9, 16384, 3.5)
    >>> round(float(hours)), round(float(chip_days)), round(float(usd) / 1e6, 1)
    (73, 49869, 4.2)
    """
    require("useful", useful, "", closed=True)
    require("1 - useful", 1.0 - np.asarray(useful), "", closed=True)
    require("n_chips", n_chips, "chips")
    require("usd_per_chip_h", usd_per_chip_h, "USD/h", closed=True)
    hours = (1.0 - useful) * YEAR_S / MONTHS / HOUR_S
    chip_h = hours * n_chips
    return hours, chip_h * HOUR_S / DAY_S, chip_h * usd_per_chip_h


def spares_needed(
    n_units: Array, failures_per_unit_s: Array, repair_s: Array, confidence: float
) -> np.ndarray:
    """Spare units that keep a job whole with the given confidence while failed ones are repaired.

    Units in repair are Poisson distributed with mean m = n r T (Palm's theorem); the answer is the
    quantile.

    Parameters
    ----------
    n_units : Array
        Units that must run, in the size in which they are replaced: nodes, trays, cubes [-].
    failures_per_unit_s : Array
        Failures per unit and second that need a repair [1/s].
    repair_s : Array
        Time until a failed unit is back [s].
    confidence : float
        Share of time in which the spares suffice, below 1 [-].

    Returns
    -------
    ndarray
        Spare units [-].

    Raises
    ------
    InputError
        If a value is not positive and finite.

    Examples
    --------
    A Poisson count of mean 1 stays at or below 3 with probability 0.981.

    >>> int(spares_needed(1.0, 1.0, 1.0, 0.98))
    3
    """
    for label, value in (
        ("n_units", n_units),
        ("failures_per_unit_s", failures_per_unit_s),
        ("repair_s", repair_s),
    ):
        require(label, value, "")
    means = np.asarray(np.asarray(n_units) * failures_per_unit_s * repair_s, dtype=float)

    def quantile(mean: float) -> int:
        count = np.arange(1, int(mean + 12 * math.sqrt(mean) + 40))
        log_share = np.concatenate([[0.0], np.cumsum(math.log(mean) - np.log(count))]) - mean
        return int(np.searchsorted(np.cumsum(np.exp(log_share)), confidence))

    return np.vectorize(quantile, otypes=[int])(means)


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What a simulated job did.

    Attributes
    ----------
    useful, checkpoint, lost, restart : float
        Shares of the wall time [-].
    standard_error : float
        Of the useful share [-].
    n_failures : int
        Failures simulated [-].
    wall_s : float
        Wall time simulated [s].
    """

    useful: float
    checkpoint: float
    lost: float
    restart: float
    standard_error: float
    n_failures: int
    wall_s: float


def simulate(
    work_s: float,
    checkpoint_s: float,
    restart_s: float,
    mtti_s: float,
    n_failures: int,
    seed: int,
    shape: float = 1.0,
) -> Simulation:
    """Play a job failure by failure; the check on `time_shares`, and its extension to clustered
    failures.

    From one failure to the next the job restarts, then completes whole segments of work and
    checkpoint, and loses the piece that it was in; a failure within a restart begins the restart
    again. Times between failures are Weibull.

    Parameters
    ----------
    work_s : float
        Work between checkpoints [s].
    checkpoint_s : float
        Blocking time of one checkpoint [s].
    restart_s : float
        From a failure to work again [s].
    mtti_s : float
        Mean time to interruption [s].
    n_failures : int
        Failures to play [-].
    seed : int
        Seed of the random numbers; the same seed gives the same result [-].
    shape : float
        Weibull shape: 1 is exponential, below 1 failures come in clusters [-].

    Returns
    -------
    Simulation
        Shares of the wall time with the standard error of the useful share.

    Raises
    ------
    InputError
        If a time, the count or the shape is out of range.

    Notes
    -----
    The standard error is that of a ratio of means (delta method), and at least one segment.
    Events are drawn in blocks that fit the cache.

    Examples
    --------
    >>> run = simulate(600.0, 20.0, 300.0, 3600.0, 100_000, seed=1)
    >>> abs(run.useful - float(goodput(600.0, 20.0, 300.0, 3600.0))) < 4 * run.standard_error
    True
    """
    require("n_failures", n_failures, "failures")
    require("shape", shape, "")
    exact = float(
        goodput(work_s, checkpoint_s, restart_s, mtti_s)
    )  # also validates; only scales the variance below
    random, segment = np.random.default_rng(seed), work_s + checkpoint_s
    scale = mtti_s / math.gamma(1 + 1 / shape)
    sums, squares = np.zeros(3), 0.0
    for start in range(0, n_failures, BLOCK):
        lived = random.standard_exponential(min(BLOCK, n_failures - start))
        if shape != 1.0:
            lived **= 1 / shape
        lived *= scale
        up = lived - restart_s
        np.maximum(up, 0.0, out=up)
        done = np.floor(up / segment)
        sums += lived.sum(), up.sum(), done.sum()
        residual = work_s * done - exact * lived
        squares += float(residual @ residual)
    wall, up_s, segments = (float(x) for x in sums)
    error = (
        max(math.sqrt(squares), work_s) / wall
    )  # at least one segment: rare successes may all be missed
    shares = (
        segments * work_s / wall,
        segments * checkpoint_s / wall,
        (up_s - segments * segment) / wall,
    )
    return Simulation(
        *shares, restart=1 - up_s / wall, standard_error=error, n_failures=n_failures, wall_s=wall
    )
