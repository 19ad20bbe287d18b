"""Buy now or wait: moving to the chip of today, to the next one when it comes, to both in turn, or
to another one that can be rented already.

All choices carry the same load over the same horizon and are counted as savings against staying
where one is. The next chip's rent and speed are announcements and assumptions; what comes out is
the share of the cases in which each choice costs least, and a value of waiting with its range.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from trn3 import cost, data, hardware, inference, ties, uncertainty, workload
from trn3.show import story, words
from trn3.study import closing, compare, customers, pricing, rents, sensitivity, stacks
from trn3.uncertainty import Draws, Input, percentiles
from trn3.units import HOUR_S, MEGA, TERA

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
ROLES = ("now", "also", "new", "next")
"""Chips of the choice: today's, another that can be rented, Trainium3 and Trainium4."""
ANNOUNCED = {
    "FP8 arithmetic": ("peak_flops_per_s", "fp8"),
    "memory bandwidth": ("hbm_bytes_per_s", ""),
    "memory": ("hbm_bytes", ""),
}
"""Announced ratios of Trainium4 to Trainium3, in words: quantity and format."""
ANNOUNCED_ON = "2025-12-02"
"""Day from which AWS's months until Trainium4 count."""
LATEST = 24.0
"""Longest slip that is looked at [month]."""
CURVE_CASES = 2048
"""Cases behind each point of a curve [-]."""


def inputs(speeds: Mapping[str, Input], **given: Input) -> dict[str, Input]:
    """The uncertain inputs of the choice.

    Parameters
    ----------
    speeds : Mapping of str to Input
        ``now``, ``new`` and, where it is a choice, ``also``: work per chip while busy [1/s]
    **given : Input
        ``gain`` of the next chip over the new one, ``units_per_month``, ``busy``, ``growth``,
        ``arrives`` (months until the next chip can be rented) and ``slip``; or another value for an
        assumption

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


def counted_gain(new: np.ndarray, modelled: np.ndarray) -> float:
    """Speed of the announced chip over the one before it: the model's, but never more than the
    largest announced ratio.

    Parameters
    ----------
    new, modelled : array of three
        Low, middle and high of Trainium3's speed, and of Trainium4's by the model [1/s]

    Returns
    -------
    float
        Ratio of the middles [-]

    Notes
    -----
    Under a limit on the time per token a chip with more of everything also holds a larger batch, so
    that a model of it can gain more than any of its parts; nobody has announced that. Both chips
    run one stack, so Trainium4's speed is this ratio times Trainium3's in every case.
    """
    return min(float(modelled[1]) / float(new[1]), float(announced().max()))


def announced() -> pd.Series:
    """What AWS announced of Trainium4, over Trainium3.

    Returns
    -------
    pandas.Series
        Ratios, by what they are about [-]

    Examples
    --------
    >>> announced().to_dict()
    {'FP8 arithmetic': 3.0, 'memory bandwidth': 4.0, 'memory': 2.0}
    """
    return pd.Series({what: ratio_fact(what).value for what in ANNOUNCED})


def ratio_fact(what: str) -> data.Fact:
    """An announced ratio with its source.

    Parameters
    ----------
    what : str
        A key of `ANNOUNCED`

    Returns
    -------
    Fact
        Trainium4 over Trainium3
    """
    quantity, dtype = ANNOUNCED[what]
    return data.fact("trainium4", f"ratio_to_trainium3_{quantity}", dtype)


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
    busy_s = v["busy"] * HOUR_S
    speeds = {role: v[f"speed_{role}"] for role in ROLES if f"speed_{role}" in v}
    speeds["next"] = v["speed_new"] * v["gain"] * v["trainium4_delivered"]
    hours = {role: v["units_per_month"] / (busy_s * speed) for role, speed in speeds.items()}
    labour = v["port_weeks"] * v["usd_per_engineer_week"]
    soon = v["port_delay"]
    late = v["arrives"] + v["slip"] + v["port_delay"]
    shared: dict[str, Any] = {
        "extra_chip_h": v["port_chip_h"],
        "dual_months": np.minimum(v["port_dual"], v["port_delay"]),
        "growth": (1.0 + v["growth"]) * (1.0 - v["rent_fall"]) - 1.0,
        "rate": v["capital_rate"],
        "horizon_months": horizon_months,
    }

    def move(start: str, end: str, rent: Any, labour_usd: Any, delay_months: Any) -> cost.Move:
        return cost.Move(
            now_chip_h=hours[start],
            new_chip_h=hours[end],
            now_usd_per_chip_h=rent,
            labour_usd=labour_usd,
            delay_months=delay_months,
            **shared,
        )

    usd_now, usd_new = now_usd_per_chip_h, new_usd_per_chip_h
    usd_next = usd_new * v["trainium4_rent_ratio"]
    second = labour * v["second_port_share"]
    steps = {
        "buy": (move("now", "new", usd_now, labour, soon), usd_new),
        "wait": (move("now", "next", usd_now, labour, late), usd_next),
        "again": (move("new", "next", usd_new, second, late), usd_next),
    }
    if also_usd_per_chip_h is not None:
        steps["also"] = (move("now", "also", usd_now, labour, soon), also_usd_per_chip_h)
    return steps


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
    slips = np.arange(0.0, LATEST + 1.0, 2.0)
    drawn = uncertainty.draws(given, n)
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


# --------------------------------------------------------------------------------- the whole choice
@dataclass(frozen=True)
class Plan:
    """A load, how chips are bought for it, and what is expected of the years ahead.

    Attributes
    ----------
    load : ServingLoad
        Model, lengths and limits.
    now : str
        System that it runs on today.
    purchase : Purchase
        How chips are bought: the first rent is that of Trainium3, the second today's.
    tokens_per_month : float
        Output tokens of a month [token].
    utilisation : float
        Share of the paid hours in which chips are busy [-].
    growth : float
        Growth of the load [1/year].
    slip : float
        Delay of Trainium4 after the announced time [month].
    horizon_months : int
        Months that are counted [month].
    software : str, Software or Stacks
        Level of the software on Trainium3 and Trainium4; on the others it is typical, or that of
        the reader's own runs.
    """

    load: workload.ServingLoad
    now: str
    purchase: pricing.Purchase
    tokens_per_month: float = 1e11
    utilisation: float = 0.6
    growth: float = 0.5
    slip: float = 6.0
    horizon_months: int = 60
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL


@dataclass(frozen=True, eq=False)
class Choice:
    """The choice with everything that it rests on.

    Attributes
    ----------
    plan : Plan
        What was asked.
    answers : Answers
        Best point of every system.
    rented : dict of str to Rent
        What chips rent for, by role; without Trainium2 where it is not sold so.
    given : dict of str to Input
        From `inputs`.
    drawn : dict of str to array
        Cases of them.
    """

    plan: Plan
    answers: compare.Answers[inference.ServingPoint]
    rented: Mapping[str, rents.Rent]
    given: Mapping[str, Input]
    drawn: Draws

    @property
    def usd(self) -> tuple[float, float]:
        """Rents of today's chip and of Trainium3 [USD/h]."""
        return self.rented["now"].usd_per_chip_h, self.rented["new"].usd_per_chip_h

    @property
    def usd_also(self) -> float | None:
        """Rent of Trainium2; none where it is no choice [USD/h]."""
        return self.rented["also"].usd_per_chip_h if "also" in self.rented else None

    @property
    def points(self) -> dict[str, inference.ServingPoint]:
        """Best point, by role."""
        found = self.answers.found
        systems = systems_of(self.plan.now)
        return {role: found[each.id] for role, each in systems.items() if each.id in found}

    @property
    def speeds(self) -> dict[str, np.ndarray]:
        """Low, middle and high of what a busy chip writes, as it is counted, by role [1/s]."""
        speeds = {role: x.output_tokens_per_s_per_chip for role, x in self.points.items()}
        return speeds | {"next": speeds["new"] * counted_gain(speeds["new"], speeds["next"])}

    @property
    def gain(self) -> float:
        """Speed of Trainium4 over Trainium3, as it is counted before its first software [-]."""
        return float(self.speeds["next"][1] / self.speeds["new"][1])

    @property
    def chips(self) -> dict[str, str]:
        """Names of the chips, by role."""
        return {role: point.system.chip.name for role, point in self.points.items()}

    @cached_property
    def saved(self) -> dict[str, np.ndarray]:
        """Saving of every choice in every case [USD]."""
        return savings(self.drawn, *self.usd, self.plan.horizon_months, self.usd_also)

    @cached_property
    def wins(self) -> dict[str, float]:
        """Share of the cases in which each choice costs least [-]."""
        return cheapest(self.saved)

    @property
    def ranking(self) -> list[str]:
        """The choices, the one that costs least most often first."""
        return ties.by_value({way: -share for way, share in self.wins.items()})

    @property
    def spoken(self) -> dict[str, str]:
        """The choices in words."""
        return {STAY: f"staying on {self.chips['now']}"} | {w: WAYS[w] for w in self.ways}

    @property
    def ways(self) -> list[str]:
        """The choices besides staying."""
        return [way for way in WAYS if way in self.saved]

    @property
    def years(self) -> str:
        """The horizon in words."""
        years = self.plan.horizon_months / 12
        return f"{years:g} year{'s' * (years != 1)}"

    @property
    def even(self) -> rents.BreakEven:
        """Rent of Trainium3 at which a token costs what it costs today, before any port."""
        return rents.break_even(self.speeds["new"], self.speeds["now"], self.usd[0])

    @property
    def basis(self) -> str:
        """The rent of Trainium3 with where it comes from."""
        kind = "an assumed" if self.rented["new"].assumed else "your"
        return f"{kind} {words.money(self.usd[1])}"


def systems_of(now: str) -> dict[str, hardware.System]:
    """The systems of the choice.

    Parameters
    ----------
    now : str
        Today's system

    Returns
    -------
    dict of str to System
        By role; Trainium2 once

    Raises
    ------
    TrnError
        Today's system is one of those to choose

    Examples
    --------
    >>> list(systems_of("hgx_h200")), list(systems_of("trn2_48xl"))
    (['now', 'also', 'new', 'next'], ['now', 'new', 'next'])
    """
    ids = {"now": now, "also": "trn2_48xl", "new": "trainium3", "next": "trainium4"}
    found = {role: hardware.system(system) for role, system in ids.items()}
    if found["now"].chip.id in ("trainium3", "trainium4"):
        raise data.TrnError(f"now = {now!r}: is one of the choices; allowed: a system to move from")
    if found["also"].chip == found["now"].chip:
        del found["also"]
    return found


def decide(plan: Plan, n: int = 8192) -> Choice:
    """Ask every chip for its speed and its rent, and draw the cases.

    Parameters
    ----------
    plan : Plan
        What is asked
    n : int
        Cases [-]

    Returns
    -------
    Choice
        With the shares of the cases

    Raises
    ------
    TrnError
        A chip that the choice is about cannot serve the load, or today's is not sold so
    """
    systems = systems_of(plan.now)
    answers = compare.ask(lambda each: _best(plan, each), [each.id for each in systems.values()])
    for role in ("now", "new", "next"):
        if systems[role].id in answers.missing:
            why = answers.missing[systems[role].id]
            asked = f"tpot_ms = {1000 * plan.load.tpot_s:g}"
            asked += f", input_tokens = {plan.load.input_tokens:,}"
            raise data.TrnError(f"{asked}: {why}")
    rented = {
        "now": plan.purchase.rent(systems["now"], 1),
        "new": plan.purchase.rent(systems["new"], 0),
    }
    also = systems.get("also")
    if also is not None and also.id in answers.found:
        with suppress(data.UnknownId):  # `left_out` says so
            rented["also"] = plan.purchase.rent(also, 2)
    choice = Choice(plan, answers, rented, {}, {})
    gain = Input(
        *(choice.gain,) * 3,
        label="speed of Trainium4 over Trainium3",
        status="derived",
        note="announced ratios through the model of this load, at most the largest of them",
    )
    given = inputs(_speed_inputs(choice), gain=gain, **_outlook(plan))
    return replace(choice, given=given, drawn=uncertainty.draws(given, n))


def _best(plan: Plan, system: hardware.System) -> inference.ServingPoint:
    """Best point of a chip with the software that it has."""
    is_new = system.chip.id in ("trainium3", "trainium4")
    level = stacks.given(plan.software).level("serving", system, is_new)
    return inference.best(compare.load_on(plan.load, system), system, software=level)


def _speed_inputs(choice: Choice) -> dict[str, Input]:
    found = {}
    for role, speed in choice.speeds.items():
        if role == "next":
            continue  # Trainium3's times the gain
        low, middle, high = map(float, speed)
        label = f"speed of {choice.chips[role]}"
        found[role] = Input(low, middle, high, "band", "tokens/s", label, "derived")
    return found


def _outlook(plan: Plan) -> dict[str, Input]:
    """What the reader gave, and when Trainium4 comes."""
    told = data.fact("trainium4", "months_to_broad_availability")
    gone = data.data_date() - date.fromisoformat(ANNOUNCED_ON)
    since = round(gone.days / (365.25 / 12), 1)
    arrives = Input(
        told.low - since,
        told.value - since,
        told.high - since,
        unit="months",
        label="months until broad availability",
        status=told.status,
        note=told.note,
    )
    growth, slip = plan.growth, plan.slip
    grown = (growth / 2, growth, growth * 1.5) if growth > 0 else (growth,) * 3
    tokens, busy = (plan.tokens_per_month,) * 3, (plan.utilisation,) * 3
    return {
        "units_per_month": _asked(tokens, "tokens", "load a month"),
        "busy": _asked(busy, "", "busy share"),
        "growth": _asked(grown, "a year", "growth of the load"),
        "arrives": arrives,
        "slip": _asked((0.0, slip, max(LATEST, slip)), "months", "slip of Trainium4"),
    }


def _asked(ends: Sequence[float], unit: str, label: str) -> Input:
    low, middle, high = ends
    return Input(low, middle, high, unit=unit, label=label, status="assumed")


# ----------------------------------------------------------------------------------- for the reader
PROVIDED = {
    "buy": ", if Trainium3 can be had at that rent",
    "switch": ", if both can be had at such rents",
    "wait": ", if Trainium4 comes as announced",
}
"""What a choice takes for granted: only today's chip and Trainium2 can be rented by anybody."""


def lead(choice: Choice) -> str:
    """The answer: the rents of Trainium3 at which the choice and the cost of a token turn.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    str
        A sentence
    """
    by_rent, even, here = shares_by_rent(choice), choice.even, choice.chips["now"]
    rent, tried = turn(by_rent), by_rent["rent"]
    span = f"at any rent of Trainium3 from {words.rng(tried.min(), tried.max())} USD per chip-hour"
    often = "in most cases" if stays_in_most(by_rent) else "in fewer than half of the cases"
    if np.isfinite(rent):
        often, span = "in most cases", f"if Trainium3 rents above {words.money(rent, 'chip-hour')}"
    tie = f"{words.money(even.middle)} ({words.band(even.low, even.high)})"
    return (
        f"Over {choice.years} staying on {here} costs least {often} {span}; before any port, a "
        f"token costs the same on both at {tie}."
    )


def rest(choice: Choice) -> str:
    """The choices at the rent of Trainium3, the most frequent first.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    str
        Two sentences
    """
    best = choice.ranking[0]
    said = words.least(choice.spoken[best], choice.wins[best])
    named = [f"{choice.spoken[w]} ({words.share(choice.wins[w])})" for w in choice.ranking[1:3]]
    return (
        f"At {choice.basis}{_unlike(choice)} {said}{PROVIDED.get(best, '')}. "
        f"Next come {' and '.join(named)}."
    )


def _unlike(choice: Choice) -> str:
    """That the two rents are of two kinds, where they are: an assumed one rests on blocks."""
    paid = choice.rented["now"]
    if not choice.rented["new"].assumed or choice.plan.purchase.term == pricing.BASIS:
        return ""
    return f", made from Capacity Blocks, against {choice.chips['now']} {rents.bought(paid.term)},"


def figures(choice: Choice) -> list[story.Figure]:
    """The numbers under the answer.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of Figure
        Two shares, the value of waiting and the rent that ties
    """
    low, middle, high = percentiles(choice.saved["value"] / MEGA)
    shares = [
        story.Figure(
            words.started(choice.spoken[way]), words.share(choice.wins[way]), "costs least"
        )
        for way in choice.ranking[:2]
    ]
    here, paid = choice.chips["now"], choice.rented["now"]
    return [
        *shares,
        story.Figure(
            "Value of waiting",
            words.money(MEGA * words.rounded(middle, 2)),
            f"over the best other choice, median, {words.rng(low, high)} million",
        ),
        story.Figure(
            "A token costs the same on Trainium3 at",
            words.money(choice.even.middle),
            f"per chip-hour, {words.rng(choice.even.low, choice.even.high)}, before any port; "
            f"{here} {rents.bought(paid.term)} at {words.money(paid.usd_per_chip_h)}",
        ),
    ]


def in_words(choice: Choice) -> pd.DataFrame:
    """Every choice: how often it costs least, and what it saves.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Texts, the choice that costs least most often first
    """
    rows = []
    for way in choice.ranking:
        middle, ends = "—", "—"
        if way in choice.saved:
            low, median, high = percentiles(choice.saved[way] / MEGA)
            middle, ends = words.sig(median), words.rng(low, high)
        named = words.started(choice.spoken[way])
        rows.append([named, words.share(choice.wins[way]), middle, ends])
    heads = ["Choice", "Costs least in", "Saves, million USD (median)", "80% range"]
    return pd.DataFrame(rows, columns=heads)


def speeds_in_words(choice: Choice) -> pd.DataFrame:
    """What a busy chip of every kind writes.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Texts; a row a chip, also for one without an answer
    """
    rows = []
    for role, system in systems_of(choice.plan.now).items():
        chip = system.chip.name
        if role not in choice.points:
            rows.append([chip, "—", "—", "—", choice.answers.missing[system.id]])
            continue
        low, middle, high = choice.speeds[role]
        dtype = compare.load_on(choice.plan.load, system).weights_dtype
        copy = words.on_chips(choice.points[role].n_chips, choice.points[role].n_systems)
        speed = f"{words.sig(middle, 3)} ({words.rng(low, high)})"
        rows.append([chip, system.chip.native(dtype).upper(), copy, speed, "—"])
    heads = ["Chip", "Format", "One copy on", "Output tokens/s of a chip (80% range)", "Why not"]
    shown = pd.DataFrame(rows, columns=heads)
    return shown if choice.answers.missing else shown.drop(columns="Why not")


def rented(choice: Choice) -> pd.DataFrame:
    """Rents and middle speeds of the chips that have a rent.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``Chip``, ``USD per hour``, ``Tokens/s``, by role
    """
    rows = {
        role: [choice.chips[role], choice.rented[role].usd_per_chip_h, choice.speeds[role][1]]
        for role in ROLES
        if role in choice.rented
    }
    heads = ["Chip", "USD per hour", "Tokens/s"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=heads)


def gain_in_words(choice: Choice) -> str:
    """How much faster Trainium4 is counted than Trainium3.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    str
        A sentence
    """
    new, counted = choice.speeds["new"][1], choice.speeds["next"][1]
    modelled = choice.points["next"].output_tokens_per_s_per_chip[1]
    said = f"On this load Trainium4 counts as **{words.ratio(counted / new)}** Trainium3"
    if words.rounded(modelled, 6) > words.rounded(counted, 6):
        said += (
            ", the largest ratio that was announced of FP8 arithmetic and memory; the model gives "
            f"{words.ratio(modelled / new)}, as a chip with more of everything also holds a larger "
            "batch"
        )
    return f"{said}."


def link(choice: Choice) -> str:
    """What half the assumed link of Trainium4 would cost, for the load and for a model of experts.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    str
        Sentences
    """
    fact = data.fact("trainium4", "scale_up_bytes_per_s")
    load = choice.plan.load
    tpot_s = max(load.tpot_s, 0.05)
    parts = []
    for shape in {each.id: each for each in (load.model, workload.model("deepseek_v3"))}.values():
        lost = _lost(replace(load, model=shape, tpot_s=tpot_s), choice.points["next"].system)
        if np.isfinite(lost):
            parts.append(f"{shape.name} {'under 1%' if lost < 0.01 else words.pct(lost)}")
    return (
        "**The link.** Trainium4 is announced with NVLink Fusion, without a rate; "
        f"{words.si(fact.value, 'B/s')} one way is assumed "
        f"({words.rng(fact.low / TERA, fact.high / TERA)} TB/s). Half that rate would cost "
        f"{' and '.join(parts)} of throughput at {1000 * tpot_s:g} ms per token."
    )


def _lost(load: workload.ServingLoad, system: hardware.System) -> float:
    """Share of throughput that half the link takes; NaN where the load cannot be served."""
    try:
        full, half = (inference.best(load, with_link(system, factor)) for factor in (1.0, 0.5))
    except data.TrnError:
        return float("nan")
    speeds = [x.output_tokens_per_s_per_chip[1] for x in (half, full)]
    return float(1.0 - speeds[0] / speeds[1])


# --------------------------------------------------------------------------------- one drawn case
def case(choice: Choice) -> dict[str, float]:
    """The drawn case that stands for all: its value of waiting is the median, to within a hundredth
    of the cases, and of these its inputs lie nearest to their middles.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    dict of str to float
        Value of every input
    """
    value = choice.saved["value"]
    near = np.argsort(np.abs(value - np.median(value)), kind="stable")
    near = near[: max(len(value) // 100, 1)]
    distance = np.zeros(len(near))
    for values in choice.drawn.values():
        rank = np.searchsorted(np.sort(values), values[near]) / len(value)
        distance += (rank - 0.5) ** 2
    chosen = int(near[ties.least(distance)])
    return {name: float(values[chosen]) for name, values in choice.drawn.items()}


def case_in_words(choice: Choice, values: Mapping[str, float]) -> pd.DataFrame:
    """A case for a table.

    Parameters
    ----------
    choice : Choice
        From `decide`
    values : Mapping of str to float
        From `case`

    Returns
    -------
    pandas.DataFrame
        Texts, a row an input
    """
    rows = []
    for name, each in choice.given.items():
        fact = customers.as_fact(each)
        shown = words.sig(values[name] / fact.scale, 3, fact.shown_unit)
        rows.append([words.started(each.label), shown])
    return pd.DataFrame(rows, columns=["Input", "In this case"])


def by_package(choice: Choice, values: Mapping[str, float]) -> dict[str, float]:
    """Saving of every choice in one case.

    Parameters
    ----------
    choice : Choice
        From `decide`
    values : Mapping of str to float
        From `case`

    Returns
    -------
    dict of str to float
        As `savings` [USD]
    """
    at = {name: np.array(x) for name, x in values.items()}
    found = savings(at, *choice.usd, choice.plan.horizon_months, choice.usd_also)
    return {way: float(usd) for way, usd in found.items()}


# --------------------------------------------------------------------------------------- pictures
def slip_lines(choice: Choice) -> pd.DataFrame:
    """Value of waiting by the slip of Trainium4.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns of `against_slip` in million USD, and ``series``
    """
    plan = choice.plan
    curve = against_slip(
        choice.given, choice.usd, plan.horizon_months, CURVE_CASES, choice.usd_also
    )
    frame = pd.DataFrame(curve)
    frame[["low", "mid", "high"]] /= MEGA
    return frame.assign(series="Trainium4, value of waiting")


def labels(choice: Choice) -> dict[str, str]:
    """Short names of the choices, for the ends of lines.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    dict of str to str
        By choice
    """
    short = {
        STAY: f"Stay on {choice.chips['now']}",
        "buy": "Trainium3 now",
        "switch": "Trainium3, then 4",
        "wait": "Trainium4 later",
        "also": "Trainium2 now",
    }
    return {way: short[way] for way in choice.spoken}


def _some(choice: Choice) -> Draws:
    return {name: values[:CURVE_CASES] for name, values in choice.drawn.items()}


def money_by_month(choice: Choice) -> pd.DataFrame:
    """Cumulative cost of every choice, the median of the cases.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``month``, ``usd`` [million USD], ``way``
    """
    horizon = choice.plan.horizon_months
    steps = moves(_some(choice), *choice.usd, horizon, choice.usd_also)
    months = np.unique([*range(0, horizon + 1, 3), horizon])
    frames = []
    for way, label in labels(choice).items():
        usd = np.median(path(steps, way), axis=0)[months] / MEGA
        frames.append(pd.DataFrame({"month": months, "usd": usd, "way": label}))
    return pd.concat(frames, ignore_index=True)


def shares_by_rent(choice: Choice) -> pd.DataFrame:
    """In what share of the cases each choice costs least, by the rent of Trainium3.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``rent`` [USD/h], ``share`` [-], ``way``, ``key``
    """
    usd_now, usd_new = choice.usd
    some, horizon, names = _some(choice), choice.plan.horizon_months, labels(choice)
    rows = []
    for rent in np.linspace(0.15, 1.6, 30) * usd_new:
        wins = cheapest(savings(some, usd_now, rent, horizon, choice.usd_also))
        rows += [(rent, wins[way], label, way) for way, label in names.items()]
    return pd.DataFrame(rows, columns=["rent", "share", "way", "key"])


def turn(by_rent: pd.DataFrame) -> float:
    """Rent of Trainium3 at which half of the cases say stay.

    Parameters
    ----------
    by_rent : pandas.DataFrame
        From `shares_by_rent`

    Returns
    -------
    float
        NaN where there is none in the range [USD/h]

    Examples
    --------
    >>> at = {"rent": [1.0, 3.0], "share": [0.4, 0.6], "key": ["stay", "stay"]}
    >>> turn(pd.DataFrame(at))
    2.0
    """
    stays = by_rent[by_rent["key"] == STAY]
    if not stays["share"].min() < 0.5 < stays["share"].max():
        return float("nan")
    return float(np.interp(0.5, stays["share"], stays["rent"]))


def stays_in_most(by_rent: pd.DataFrame) -> bool:
    """Whether staying costs least in half of the cases or more at every rent that was tried.

    Parameters
    ----------
    by_rent : pandas.DataFrame
        From `shares_by_rent`

    Returns
    -------
    bool
        Whatever Trainium3 rents for

    Examples
    --------
    >>> stays_in_most(pd.DataFrame({"share": [0.6, 0.4], "key": ["stay", "buy"]}))
    True
    """
    return bool(by_rent[by_rent["key"] == STAY]["share"].min() >= 0.5)


def rent_title(choice: Choice, by_rent: pd.DataFrame) -> str:
    """Title of the chart of shares by rent.

    Parameters
    ----------
    choice : Choice
        From `decide`
    by_rent : pandas.DataFrame
        From `shares_by_rent`

    Returns
    -------
    str
        The finding
    """
    here, rent = choice.chips["now"], turn(by_rent)
    if np.isfinite(rent):
        return f"Above {words.money(rent)} for Trainium3 most cases say stay on {here}"
    if stays_in_most(by_rent):
        return f"Staying on {here} costs least in most cases at any of these rents"
    return "At no rent in this range does staying cost least in half of the cases"


def drivers(choice: Choice) -> pd.DataFrame:
    """The inputs that the value of waiting hangs on most.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Of `sensitivity.medians`, with ``what`` in words and ``a``, ``b`` in million USD
    """
    table = sensitivity.medians(choice.given, choice.drawn, choice.saved["value"]).head(8)
    named = []
    for row in table.itertuples():
        fact = customers.as_fact(choice.given[row.input])
        ends = words.rng(row.low / fact.scale, row.high / fact.scale, fact.shown_unit)
        named.append(f"{words.started(row.label)}: {ends}")
    return table.assign(what=named, a=table["at_low"] / MEGA, b=table["at_high"] / MEGA)


# --------------------------------------------------------------------------- what would settle it
def next_step(choice: Choice) -> str:
    """What can be measured or asked today, and how far it would narrow the value of waiting.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    str
        Sentences
    """
    runs = [_measured(choice, role) for role in ("now", "also") if role in choice.rented]
    narrows, said = max(runs)
    if narrows < closing.WORTH:
        most = drivers(choice).iloc[0]
        offered = "; measuring it takes an offer by contract"
        said = (
            "No run that anybody can make today narrows the value of waiting by a tenth; the "
            f"{most['label']} moves it most{offered * int(most['input'] == 'speed_new')}."
        )
    written = closing.offer_in_writing(choice.even, "Trainium3", choice.chips["now"])
    return f"**What can be known today.** {said} **Trainium3 now, before any port.** {written}"


def _measured(choice: Choice, role: str) -> tuple[float, str]:
    """Share of the range of the value of waiting that a run on a chip takes away, and the sentence
    on that run.
    """
    point, rent = choice.points[role], choice.rented[role]
    on = closing.Candidate(point.system, choice.speeds[role], point.n_chips, rent)
    low, middle, high = map(float, on.measured)
    key = f"speed_{role}"
    known = {**choice.given, key: replace(choice.given[key], low=low, mid=middle, high=high)}
    drawn = uncertainty.draws(known, len(choice.drawn[key]))
    saved = savings(drawn, *choice.usd, choice.plan.horizon_months, choice.usd_also)
    before, _, before_high = percentiles(choice.saved["value"] / MEGA)
    after, _, after_high = percentiles(saved["value"] / MEGA)
    hours = data.assumption("measurement_s").value / HOUR_S
    sentence = words.closing(
        "this load",
        f"{on.n_rented:,} rented {choice.chips[role]}",
        hours,
        float(cost.run_usd(on.n_rented, hours * HOUR_S, rent.usd_per_chip_h)),
        (before, before_high),
        (after, after_high),
        "million USD",
        words.of_share(max(cheapest(saved).values())).word != "open",
    )
    return 1.0 - (after_high - after) / (before_high - before), sentence


def flips(choice: Choice, by_rent: pd.DataFrame) -> list[str]:
    """What would change the answer.

    Parameters
    ----------
    choice : Choice
        From `decide`
    by_rent : pandas.DataFrame
        From `shares_by_rent`

    Returns
    -------
    list of str
        Sentences in Markdown
    """
    said = [_rents_apart(choice, turn(by_rent))]
    for row in drivers(choice).head(3).itertuples():
        fact = customers.as_fact(choice.given[row.input])
        ends = [words.sig(x / fact.scale, 2, fact.shown_unit) for x in (row.low, row.high)]
        usd = [words.money(words.rounded(x, 2)) for x in (row.at_low, row.at_high)]
        said.append(
            f"{words.started(row.label)} below {ends[0]}: waiting is worth **{usd[0]}**; above "
            f"{ends[1]}: **{usd[1]}**."
        )
    plan, given = choice.plan, choice.given
    month = given["arrives"].mid + plan.slip + given["port_delay"].mid
    counted = f"of {plan.horizon_months}"
    if month >= plan.horizon_months:
        counted = f"on, and only {plan.horizon_months} months are counted"
    said.append(f"Trainium4 would carry the load from month {words.sig(month)} {counted}.")
    return said + left_out(choice)


def _rents_apart(choice: Choice, rent: float) -> str:
    """The two rents of the page, told apart."""
    here, tie = choice.chips["now"], words.money(choice.even.middle)
    said = f"**{tie}** is the rent of Trainium3 at which a token costs what it costs on {here}, "
    said += "before any port; page 07 gives it for every way of buying. "
    if not np.isfinite(rent):
        return said + "No rent that was tried turns the choice between staying and leaving."
    return said + (
        f"**{words.money(rent)}** is where half of the cases say stay: Trainium4's rent follows "
        "Trainium3's, so this one is about both."
    )


def left_out(choice: Choice) -> list[str]:
    """Why Trainium2 is no choice, where it is none.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of str
        One sentence or none
    """
    systems = systems_of(choice.plan.now)
    if "also" not in systems or "also" in choice.rented:
        return []
    sold = f"no rent {rents.bought(choice.plan.purchase.term)} is listed"
    why = choice.answers.missing.get(systems["also"].id, sold)
    return [f"Trainium2 is left out: {why}."]


def checks(choice: Choice) -> list[story.Check]:
    """What was announced or published, beside the model.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of Check
        Of one step from chip to chip each
    """
    said = [
        story.Check(
            "Cannot be checked",
            f"Trainium4: AWS announces {words.ratio(announced()['FP8 arithmetic'])} the FP8 rate "
            "of Trainium3; there is no chip to measure.",
            "independent",
        )
    ]
    older = choice.speeds.get("also", choice.speeds["now"])
    if "trn2_48xl" not in choice.answers.found:
        return said
    new, old = (hardware.chip(name) for name in ("trainium3", "trainium2"))
    peak = new.peak("mxfp8") / old.peak("fp8")
    said.append(
        story.Check(
            "Derived",
            f"Trainium3 over Trainium2: {words.ratio(peak)} the FP8 rate (MXFP8 on Trainium3) in "
            f"AWS's tables; {words.ratio(choice.speeds['new'][1] / older[1])} the speed on this "
            "load in the model.",
            "reproduces its input",
        )
    )
    return said


def assumptions(choice: Choice) -> list[tuple[str, data.Fact]]:
    """Everything that the choice rests on.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of tuple
        Label and fact
    """
    drawn = [(words.started(x.label), customers.as_fact(x)) for x in choice.given.values()]
    paid = [(f"Rent of {choice.chips[role]}", x.fact) for role, x in choice.rented.items()]
    told = [(f"Announced: {what} over Trainium3", ratio_fact(what)) for what in ANNOUNCED]
    return [*drawn, *paid, *told]


def sources(choice: Choice) -> Sequence[str]:
    """Ids of the sources.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of str
        As cited
    """
    told = data.fact("trainium4", "months_to_broad_availability").source_id
    return ["about_amazon_trn3", told, *(x.source_id for x in choice.rented.values()), *OWN]


OWN = ("amazon_q4_2025", "this_survey")


def headline(choice: Choice) -> list[dict[str, Any]]:
    """The numbers that leave the page.

    Parameters
    ----------
    choice : Choice
        From `decide`

    Returns
    -------
    list of dict
        For `trn3.show.story.results`
    """
    plan = choice.plan
    terms = f"{plan.load.model.name}, {words.big(plan.tokens_per_month)} tokens a month, slip "
    terms += f"{plan.slip:g} months, horizon {plan.horizon_months} months; Trainium3 at "
    terms += f"{choice.usd[1]:g} USD/h"
    rows = [
        story.number(f"share of cases: {choice.spoken[way]} costs least", [share] * 3, "-", terms)
        for way, share in choice.wins.items()
    ]
    value = percentiles(choice.saved["value"])
    rows.append(story.number("value of waiting for Trainium4", value, "USD", terms, baseline=0.0))
    return rows
