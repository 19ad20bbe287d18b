"""Buy now or wait: moving to the chip of today, to the next one when it comes, to both in turn, or
to another one that can be rented already.

All choices carry the same load over the same horizon and are counted as savings against staying
where one is. The next chip's rent and speed are announcements and assumptions; what comes out is a
value of waiting with its range, and the slip, rent ratio or price at which it changes sign.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trn3 import cost, data, hardware, ties, uncertainty
from trn3.uncertainty import Draws, Input
from trn3.units import HOUR_S

ASSUMED = {
    "port_weeks": ("effort of a first port", "engineer-weeks"),
    "port_delay": ("time to port", "months"),
    "port_dual": ("time in which both are paid", "months"),
    "port_chip_h": ("compiling and checking", "chip-hours"),
    "second_port_share": ("second port over the first", ""),
    "usd_per_engineer_week": ("price of an engineer-week", "USD"),
    "trainium4_rent_ratio": ("rent of Trainium4 over Trainium3", ""),
    "trainium4_delivered": ("delivered share of Trainium4's gain", ""),
    "rent_fall": ("yearly fall of all rents", ""),
    "capital_rate": ("discount rate a year", ""),
}
"""What is read from ``data/assumptions.csv``, in words, with its unit."""
WAYS = {
    "buy": "moving to Trainium3 now",
    "switch": "moving to Trainium3 now and to Trainium4 later",
    "wait": "waiting for Trainium4",
    "also": "moving to Trainium2 now",
}
"""The choices besides staying, in words."""
STAY = "stay"
ANNOUNCED = (
    ("peak_flops_per_s", "fp8"),
    ("hbm_bytes_per_s", ""),
    ("hbm_bytes", ""),
)
"""Announced ratios of Trainium4 to Trainium3: quantity and format."""


def inputs(speeds: Mapping[str, Input], **given: Input) -> dict[str, Input]:
    """The uncertain inputs of the choice.

    Parameters
    ----------
    speeds : Mapping of str to Input
        ``now``, ``new`` and ``next``: work per chip while busy [1/s]
    **given : Input
        ``units_per_month``, ``busy``, ``growth``, ``arrives`` (months until the next chip can be
        rented) and ``slip``; or another value for an assumption

    Returns
    -------
    dict of str to Input
        For :func:`savings` and `trn3.uncertainty.draws`
    """
    read = {}
    for name, (label, unit) in ASSUMED.items():
        fact = data.assumption(name)
        low, mid, high = fact.range / fact.scale
        read[name] = Input(low, mid, high, "limits", unit, label, fact.status, fact.note)
    return read | {f"speed_{k}": x for k, x in speeds.items()} | given


def next_speed(new: np.ndarray, modelled: np.ndarray) -> np.ndarray:
    """Speed of the announced chip: the model's, but never more than the largest announced ratio
    times that of the chip before it.

    Parameters
    ----------
    new, modelled : array of three
        Low, middle and high of Trainium3's speed, and of Trainium4's by the model [1/s]

    Returns
    -------
    numpy.ndarray
        Low, middle and high [1/s]

    Notes
    -----
    Under a limit on the time per token a chip with more of everything also holds a larger batch, so
    that a model of it can gain more than any of its parts; nobody has announced that.
    """
    ratios = [data.fact("trainium4", f"ratio_to_trainium3_{q}", d).value for q, d in ANNOUNCED]
    most = max(ratios) * float(new[1]) / float(modelled[1])
    return np.asarray(modelled) * min(most, 1.0)


def moves(
    v: Draws,
    now_usd_per_chip_h: Any,
    new_usd_per_chip_h: Any,
    horizon_months: int,
    also_usd_per_chip_h: Any = None,
) -> dict[str, Any]:
    """The moves that the choices are made of, each with the rent that it moves to.

    Parameters
    ----------
    v : dict of str to array
        Values of :func:`inputs`
    now_usd_per_chip_h : float or array
        Rent of the present chip [USD/h]
    new_usd_per_chip_h : float or array
        Rent of the new chip; the next one costs ``trainium4_rent_ratio`` times as much [USD/h]
    horizon_months : int
        Months counted [-]
    also_usd_per_chip_h : float, array or None
        Rent of another chip that can be had, with ``speed_also`` among the values [USD/h]

    Returns
    -------
    dict of str to (Move, rent)
        ``buy`` from the present chip to the new one, ``wait`` to the next one, ``again`` from the
        new to the next, ``also`` from the present chip to the other one

    Notes
    -----
    All rents fall by ``rent_fall`` a year, which weighs like a smaller load. Porting to the
    next chip starts when it can be rented. Selling back, contracts that bind and shortages are left
    out.
    """
    hours = {
        k: v["units_per_month"] / (v[f"speed_{k}"] * v["busy"] * HOUR_S)
        for k in ("now", "new", "next", "also")
        if f"speed_{k}" in v
    }
    hours["next"] = hours["next"] / v["trainium4_delivered"]
    labour, late = (
        v["port_weeks"] * v["usd_per_engineer_week"],
        v["arrives"] + v["slip"] + v["port_delay"],
    )
    pace = (1.0 + v["growth"]) * (1.0 - v["rent_fall"]) - 1.0
    extra, dual, rate = (
        v["port_chip_h"],
        np.minimum(v["port_dual"], v["port_delay"]),
        v["capital_rate"],
    )

    def move(a: str, b: str, rent: Any, work: Any, delay: Any) -> cost.Move:
        return cost.Move(
            hours[a], hours[b], rent, work, extra, delay, dual, pace, rate, horizon_months
        )

    next_usd = new_usd_per_chip_h * v["trainium4_rent_ratio"]
    others = {}
    if also_usd_per_chip_h is not None:
        now = move("now", "also", now_usd_per_chip_h, labour, v["port_delay"])
        others["also"] = (now, also_usd_per_chip_h)
    return others | {
        "buy": (
            move("now", "new", now_usd_per_chip_h, labour, v["port_delay"]),
            new_usd_per_chip_h,
        ),
        "wait": (move("now", "next", now_usd_per_chip_h, labour, late), next_usd),
        "again": (
            move("new", "next", new_usd_per_chip_h, labour * v["second_port_share"], late),
            next_usd,
        ),
    }


def savings(
    v: Draws,
    now_usd_per_chip_h: Any,
    new_usd_per_chip_h: Any,
    horizon_months: int,
    also_usd_per_chip_h: Any = None,
) -> dict[str, Any]:
    """Discounted saving of each choice against staying.

    Parameters
    ----------
    v : dict of str to array
        Values of :func:`inputs`
    now_usd_per_chip_h : float or array
        Rent of the present chip [USD/h]
    new_usd_per_chip_h : float or array
        Rent of the new chip [USD/h]
    horizon_months : int
        Months counted [-]
    also_usd_per_chip_h : float, array or None
        Rent of another chip that can be had [USD/h]

    Returns
    -------
    dict of str to array
        buy, switch, wait, also where its rent is given, and value: of waiting over the best of the
        others and of staying [USD]
    """
    steps = moves(v, now_usd_per_chip_h, new_usd_per_chip_h, horizon_months, also_usd_per_chip_h)
    out = {name: cost.saving_usd(*step) for name, step in steps.items()}
    out["switch"] = out["buy"] + out.pop("again")
    others = [saved for way, saved in out.items() if way != "wait"]
    best = np.maximum.reduce(np.broadcast_arrays(*others, 0.0))
    return out | {"value": out["wait"] - best}


def cheapest(saved: Mapping[str, Any]) -> dict[str, float]:
    """In what share of the cases each choice costs least.

    Parameters
    ----------
    saved : Mapping of str to array
        From `savings`, for draws

    Returns
    -------
    dict of str to float
        Share by choice, ``stay`` among them; together one

    Examples
    --------
    >>> cheapest({"buy": np.array([1.0, -1.0]), "wait": np.array([2.0, -2.0])})
    {'stay': 0.5, 'buy': 0.0, 'wait': 0.5}
    """
    ways = [way for way in WAYS if way in saved]
    gains = np.stack([np.zeros_like(saved[ways[0]]), *(saved[way] for way in ways)])
    first = ties.most(gains)
    return {way: float(np.mean(first == i)) for i, way in enumerate((STAY, *ways))}


def path(steps: Mapping[str, Any], way: str) -> np.ndarray:
    """Cumulative cost of a choice by month, discounted.

    Parameters
    ----------
    steps : Mapping
        From :func:`moves`
    way : str
        buy, wait, switch or stay

    Returns
    -------
    array
        From month 0 to the horizon [USD]
    """
    if way == "stay":
        return cost.cumulative_usd(*steps["buy"])[0]
    if way != "switch":
        return cost.cumulative_usd(*steps[way])[1]
    stay, go = cost.cumulative_usd(*steps["again"])
    return cost.cumulative_usd(*steps["buy"])[1] + go - stay


def with_link(system: hardware.System, factor: float) -> hardware.System:
    """The same system with another link between its chips.

    Parameters
    ----------
    system : System
        The system
    factor : float
        Over its own link [-]

    Returns
    -------
    System
        For asking what the link is worth
    """
    return replace(
        system,
        chip=replace(system.chip, scale_up_bytes_per_s=system.chip.scale_up_bytes_per_s * factor),
    )


def against_slip(
    given: Mapping[str, Input],
    rents: tuple[float, float],
    horizon_months: int,
    n: int = 2048,
    also_usd_per_chip_h: float | None = None,
) -> dict[str, Any]:
    """Value of waiting for every slip from none to two years.

    Parameters
    ----------
    given : Mapping of str to Input
        From :func:`inputs`
    rents : tuple of float
        Rent of the present and of the new chip [USD/h]
    horizon_months : int
        Months counted [-]
    n : int
        Draws [-]
    also_usd_per_chip_h : float or None
        Rent of another chip that can be had [USD/h]

    Returns
    -------
    dict of str to array
        slip [month], low, mid, high: P10, median and P90 over the cases [USD], and wins: the share
        of the cases in which waiting costs least [-]
    """
    slips, drawn = np.arange(0.0, 25.0, 2.0), uncertainty.draws(given, n)
    values = [
        savings(drawn | {"slip": np.array(s)}, *rents, horizon_months, also_usd_per_chip_h)["value"]
        for s in slips
    ]
    ends = np.array([uncertainty.percentiles(x) for x in values])
    return {
        "slip": slips,
        "low": ends[:, 0],
        "mid": ends[:, 1],
        "high": ends[:, 2],
        "wins": np.array([float(np.mean(x > 0)) for x in values]),
    }
