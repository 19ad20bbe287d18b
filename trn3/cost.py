"""Money: what a chip-hour, a token, a run and a move cost. USD, chip-hours, and shares from 0 to 1.

Two views of a chip-hour stand side by side and are never mixed: what a customer pays (a price of a
region, a term and a day) and what it costs its owner (:func:`ownership`). A comparison is fair
within one view and one term only.

A move from one system to another is *linear* in the price of the new chip, so the break-even price,
and with it the probability of saving at any price, has a closed form: the two sides of
:func:`balance` divided.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trn3.units import HOUR_S, KILO, YEAR_S, Array

MONTHS_A_YEAR = 12.0
"""Months in a year; every monthly series starts at month 0, which is paid in full and not
discounted.
"""
MONTH_H = YEAR_S / HOUR_S / MONTHS_A_YEAR
"""Hours of a mean month [h]."""


def usd_per_unit(
    price_usd_per_chip_h: Array, units_per_s_per_chip: Array, utilisation: Array = 1.0
) -> Array:
    r"""Price of one unit of work (a token, a clip, a frame).

    .. math:: c = \frac{p / 3600}{x\,u}

    Parameters
    ----------
    price_usd_per_chip_h : float or array
        Rent of a chip [USD/h]
    units_per_s_per_chip : float or array
        Work done while busy [1/s]
    utilisation : float or array
        Share of the paid hours in which the chip is busy [-]

    Returns
    -------
    float or array
        Cost of a unit [USD]

    Notes
    -----
    Idle hours are paid. Time lost to failures belongs into `utilisation` too.

    Examples
    --------
    SGLang on H100: 2785.25 output tokens/s per chip at 2 USD/h is the published 0.20 USD
    per million [1]_:

    >>> round(usd_per_unit(2.0, 2785.25) * 1e6, 3)
    0.199

    References
    ----------
    .. [1] SGLang team, "Deploying DeepSeek with PD disaggregation and large-scale expert
    parallelism", 2025.
    """
    return price_usd_per_chip_h / (HOUR_S * units_per_s_per_chip * utilisation)


def run_usd(
    n_chips: Array, duration_s: Array, price_usd_per_chip_h: Array, goodput: Array = 1.0
) -> Array:
    """Price of a run: chips times hours times rent, the lost time paid as well.

    Parameters
    ----------
    n_chips : float or array
        Chips rented for the whole run [-]
    duration_s : float or array
        Time of the useful work [s]
    price_usd_per_chip_h : float or array
        Rent of a chip [USD/h]
    goodput : float or array
        Useful share of the time paid [-]

    Returns
    -------
    float or array
        Cost of the run [USD]

    Examples
    --------
    KARAKURI LM 70B: 32 trn1.32xlarge (512 chips) for three days at 21.50 USD per
    instance-hour, 49.5 thousand USD:

    >>> float(run_usd(512, 3 * 86400.0, 21.50 / 16))
    49536.0
    """
    return n_chips * duration_s / HOUR_S * price_usd_per_chip_h / goodput


def fleet_chips(
    units_per_s: Array,
    units_per_s_per_chip: Array,
    utilisation: Array = 1.0,
    n_chips_of_a_copy: Array = 1.0,
) -> Array:
    r"""Chips that carry a load, in whole copies of the model.

    .. math:: N = k \left\lceil \frac{X}{x\,u\,k} \right\rceil

    Parameters
    ----------
    units_per_s : float or array
        Work that comes in, X, on average [1/s]
    units_per_s_per_chip : float or array
        Work that a chip does while busy, x [1/s]
    utilisation : float or array
        Share of the paid hours in which the chips are busy, u [-]
    n_chips_of_a_copy : float or array
        Chips that hold one copy, k [-]

    Returns
    -------
    float or array
        Chips [-]

    Examples
    --------
    10 requests/s of 500 tokens on chips that write 400 tokens/s, busy half the time, four a copy:

    >>> float(fleet_chips(10 * 500.0, 400.0, 0.5, 4))
    28.0
    """
    one_copy = units_per_s_per_chip * utilisation * n_chips_of_a_copy
    return np.ceil(np.asarray(units_per_s) / one_copy) * n_chips_of_a_copy


def monthly_usd(n_chips: Array, price_usd_per_chip_h: Array) -> Array:
    """Bill of a mean month for chips that are always rented.

    Parameters
    ----------
    n_chips : float or array
        Chips [-]
    price_usd_per_chip_h : float or array
        Rent of a chip [USD/h]

    Returns
    -------
    float or array
        Bill of a month of 730.5 hours [USD]

    Examples
    --------
    >>> monthly_usd(28.0, 3.0)
    61362.0
    """
    return n_chips * price_usd_per_chip_h * MONTH_H


def discounted_usd(list_usd_per_chip_h: Array, discount: Array) -> Array:
    """A listed rent after a discount.

    Parameters
    ----------
    list_usd_per_chip_h : float or array
        As listed [USD/h]
    discount : float or array
        Share off the list, 0 to 1 [-]

    Returns
    -------
    float or array
        What is paid [USD/h]

    Examples
    --------
    >>> discounted_usd(8.0, 0.25)
    6.0
    """
    return list_usd_per_chip_h * (1.0 - discount)


def annuity(rate: Array, years: Array) -> Array:
    r"""Yearly payment that returns one unit of capital with interest over its life (capital
    recovery factor).

    .. math:: a = \frac{r}{1 - (1 + r)^{-n}}, \qquad a \to 1/n \;\text{as}\; r \to 0

    Parameters
    ----------
    rate : float or array
        Cost of capital, above -1 [1/year]
    years : float or array
        Life [year]

    Returns
    -------
    float or array
        Payment per unit of capital [1/year]

    Examples
    --------
    >>> round(float(annuity(0.08, 5.0)), 4), float(annuity(0.0, 5.0))
    (0.2505, 0.2)
    """
    r = np.asarray(rate, dtype=float)
    safe = np.where(np.abs(r) < 1e-9, 1.0, r)
    return np.where(
        np.abs(r) < 1e-9,
        1.0 / np.asarray(years),
        safe / -np.expm1(-np.asarray(years) * np.log1p(safe)),
    )


@dataclass(frozen=True)
class Asset:
    """What a chip costs its owner to buy, house and run; every field a float or an array.

    Attributes
    ----------
    server_usd : float or array
        Purchase per chip with its share of server, rack and network [USD]
    server_life_years : float or array
        Life of that [year]
    power_w : float or array
        Nameplate power per chip at the rack, before cooling [W]
    draw_share : float or array
        Mean draw over nameplate [-]
    pue : float or array
        Facility energy over rack energy [-]
    electricity_usd_per_kwh : float or array
        Price of energy [USD/kWh]
    facility_usd_per_w : float or array
        Building, power and cooling per watt of nameplate [USD/W]
    facility_life_years : float or array
        Life of that [year]
    rate : float or array
        Cost of capital [1/year]
    operations_share : float or array
        Staff, spares and upkeep, as a share of the server's price a year [1/year]
    """

    server_usd: Array
    server_life_years: Array
    power_w: Array
    draw_share: Array
    pue: Array
    electricity_usd_per_kwh: Array
    facility_usd_per_w: Array
    facility_life_years: Array
    rate: Array
    operations_share: Array


def ownership(asset: Asset, utilisation: Array = 1.0) -> dict[str, Array]:
    r"""Cost of a chip-hour to its owner, by part.

    .. math::
        c = \frac{C_s\,a(r, n_s) + C_f P\,a(r, n_f) + o\,C_s}{H\,u} +
        \frac{P\,d\,\mathrm{PUE}\,c_e}{u}, \qquad H = 8766\,\mathrm{h}

    Parameters
    ----------
    asset : Asset
        Prices, lives, power and rates
    utilisation : float or array
        Share of the hours that are sold or used [-]

    Returns
    -------
    dict of str to float or array
        server, facility, energy, operations [USD per used chip-hour]

    Notes
    -----
    Left out: tax, grants, land, resale and the software team. Energy is counted at the mean
    draw in all hours.

    Examples
    --------
    One kilowatt at PUE 1.14 and 0.08 USD/kWh is 9 cents an hour:

    >>> free = Asset(0.0, 5.0, 1000.0, 1.0, 1.14, 0.08, 0.0, 14.0, 0.08, 0.0)
    >>> round(float(ownership(free)["energy"]), 3)
    0.091
    """
    hours = YEAR_S / HOUR_S * utilisation
    housing = (
        asset.facility_usd_per_w * asset.power_w * annuity(asset.rate, asset.facility_life_years)
    )
    draw_kw = asset.power_w / KILO * asset.draw_share * asset.pue
    return {
        "server": asset.server_usd * annuity(asset.rate, asset.server_life_years) / hours,
        "facility": housing / hours,
        "energy": draw_kw * asset.electricity_usd_per_kwh / utilisation,
        "operations": asset.server_usd * asset.operations_share / hours,
    }


@dataclass(frozen=True)
class Move:
    """A load that runs on one system and may move to another; every field a float or an array of
    draws.

    Attributes
    ----------
    now_chip_h : float or array
        Chip-hours a month on the present system at month 0 [chip-h]
    new_chip_h : float or array
        Chip-hours a month on the new system for the same load [chip-h]
    now_usd_per_chip_h : float or array
        Rent of the present chip [USD/h]
    labour_usd : float or array
        People who port and check, paid at month 0 [USD]
    extra_chip_h : float or array
        New chip-hours for compiling and for the accuracy run, at month 0 [chip-h]
    delay_months : float or array
        Months until the new system carries the load [month]
    dual_months : float or array
        Of these, the last months in which both are paid [month]
    growth : float or array
        Growth of the load [1/year]
    rate : float or array
        Discount rate [1/year]
    horizon_months : int
        Months counted [-]
    """

    now_chip_h: Array
    new_chip_h: Array
    now_usd_per_chip_h: Array
    labour_usd: Array
    extra_chip_h: Array
    delay_months: Array
    dual_months: Array
    growth: Array
    rate: Array
    horizon_months: int

    @cached_property
    def sums(self) -> tuple[np.ndarray, ...]:
        """Sums of :func:`monthly_weights` over the months [-]."""
        return tuple(w.sum(axis=-1) for w in monthly_weights(self))


def monthly_weights(move: Move) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Weight of each month: all of it, the part still paid for the present system, the part paid
    for the new one.

    .. math:: f_t = \left(\frac{1 + g}{1 + r}\right)^{t/12}, \quad
        w^{now}_t = f_t\,[d - t]_0^1, \quad w^{new}_t = f_t\,[t + 1 - (d - b)]_0^1

    with growth g, discount rate r, delay d and dual months b; the brackets clip to 0–1.

    Parameters
    ----------
    move : Move
        The case; arrays of draws give one row per draw

    Returns
    -------
    tuple of array
        f, w_now and w_new with the months along the last axis [-]

    Examples
    --------
    >>> case = Move(1.0, 1.0, 1.0, 0.0, 0.0, 1.5, 1.0, 0.0, 0.0, 3)
    >>> _, now, new = monthly_weights(case)
    >>> now, new
    (array([1. , 0.5, 0. ]), array([0.5, 1. , 1. ]))
    """
    t = np.arange(move.horizon_months, dtype=float)
    delay, dual = np.asarray(move.delay_months)[..., None], np.asarray(move.dual_months)[..., None]
    pace = np.log1p(np.asarray(move.growth)) - np.log1p(np.asarray(move.rate))
    factor = np.exp(np.asarray(pace)[..., None] * t / MONTHS_A_YEAR)
    return (
        factor,
        factor * np.clip(delay - t, 0.0, 1.0),
        factor * np.clip(t + 1.0 - (delay - dual), 0.0, 1.0),
    )


def cumulative_usd(move: Move, price_usd_per_chip_h: Array) -> tuple[np.ndarray, np.ndarray]:
    """Discounted cost up to the end of each month, for staying and for moving, month 0 to the
    horizon.

    Parameters
    ----------
    move : Move
        The case
    price_usd_per_chip_h : float or array
        Rent of the new chip [USD/h]

    Returns
    -------
    tuple of array
        Stay and move, `horizon_months` + 1 values along the last axis [USD]

    Examples
    --------
    >>> stay, go = cumulative_usd(Move(100.0, 50.0, 2.0, 150.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3), 2.0)
    >>> stay, go
    (array([  0., 200., 400., 600.]), array([150., 250., 350., 450.]))
    """
    factor, now, new = monthly_weights(move)
    rent = np.asarray(move.now_chip_h * move.now_usd_per_chip_h)[..., None]
    rent_new = np.asarray(move.new_chip_h * price_usd_per_chip_h)[..., None]
    once = np.asarray(move.labour_usd + move.extra_chip_h * price_usd_per_chip_h)[..., None]
    stay, go = np.cumsum(rent * factor, axis=-1), np.cumsum(rent * now + rent_new * new, axis=-1)
    pad = [(0, 0)] * (go.ndim - 1) + [(1, 0)]
    return np.pad(np.broadcast_to(stay, go.shape), pad), once + np.pad(go, pad)


def saving_usd(move: Move, price_usd_per_chip_h: Array) -> Array:
    r"""What moving saves over the horizon, discounted; negative if it costs.

    .. math:: S(p) = h_0 p_0 \sum_t (f_t - w^{now}_t) - L - p\,\Bigl(h_1 \sum_t w^{new}_t + e\Bigr)

    Parameters
    ----------
    move : Move
        The case
    price_usd_per_chip_h : float or array
        Rent of the new chip [USD/h]

    Returns
    -------
    float or array
        Saving [USD]

    Examples
    --------
    >>> float(saving_usd(Move(100.0, 50.0, 2.0, 150.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3), 2.0))
    150.0
    """
    spared_usd, new_chip_h = balance(move)
    return spared_usd - price_usd_per_chip_h * new_chip_h


def balance(move: Move) -> tuple[Array, Array]:
    """The two sides of a move over the horizon: money spared before the new chip is paid, and the
    hours of it to pay.

    Parameters
    ----------
    move : Move
        The case

    Returns
    -------
    tuple of float or array
        Rent spared less labour, discounted [USD], and chip-hours of the new chip, weighted like
        money [chip-h]

    Examples
    --------
    >>> spared, hours = balance(Move(100.0, 50.0, 2.0, 150.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3))
    >>> float(spared), float(hours)
    (450.0, 150.0)
    """
    factor, now, new = move.sums
    spared = move.now_chip_h * move.now_usd_per_chip_h * (factor - now) - move.labour_usd
    return spared, move.new_chip_h * new + move.extra_chip_h


def crossing(stay_usd: np.ndarray, go_usd: np.ndarray) -> Array:
    """First month after which the second of two cumulative costs is, and stays, the lower one.

    Parameters
    ----------
    stay_usd : array
        Cost up to each month from 0, along the last axis [USD]
    go_usd : array
        The other cost [USD]

    Returns
    -------
    float or array
        Month, interpolated; infinite where it is not lower at the end [month]

    Examples
    --------
    >>> float(crossing(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.5, 3.0])))
    1.3333333333333333
    """
    gap = go_usd - stay_usd
    months, behind = gap.shape[-1] - 1, gap > 0.0
    last = months - np.argmax(behind[..., ::-1], axis=-1)
    low = np.take_along_axis(gap, last[..., None], -1)[..., 0]
    high = np.take_along_axis(gap, np.minimum(last + 1, months)[..., None], -1)[..., 0]
    month = last + low / np.where(low - high > 0.0, low - high, 1.0)
    return np.where(behind.any(axis=-1), np.where(behind[..., -1], np.inf, month), 0.0)
