"""One customer's decision as a page tells it: sentences, tables and charts of a case.

`decide` carries a customer file through `trn3.study.savings`; what it finds, or why nothing can
run, is what every function here tells. A company without published volumes gets rents and shares,
never sums; a file whose volumes are the reader's own gets both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from trn3 import cost, data, hardware
from trn3.fit import trust
from trn3.show import charts, story, words
from trn3.study import closing, customers, rents, savings, stacks
from trn3.uncertainty import Input, percentiles
from trn3.units import MEGA

CHEAPER = ("cheaper", "dearer")
KINDS = {"serve": "inference", "train": "training"}
"""Kinds of workload whose speed is modelled, as `trn3.fit.trust` calls them."""
LEAST_SHOWN = -150.0
"""Savings below this are drawn there [%]."""
HANDED_BACK_MONTHS = 24
"""When leaving again is looked at [month]."""


@dataclass(frozen=True, eq=False)
class Decision:
    """A customer against one baseline, at a rent of the new chip.

    Attributes
    ----------
    customer, baseline : record
        What was asked.
    case : Case or None
        Draws of the saving; None if no workload can run on the new chip.
    stopped : dict of str to str
        Workloads that cannot, and why.
    given_rent : float
        The reader's own rent of the new chip; 0 takes the file's or the assumed one [USD/h].
    draws : int
        Cases [-].
    software : str or Software
        Level of the stack on the new chips.
    """

    customer: Any
    baseline: Any
    case: savings.Case | None
    stopped: dict[str, str]
    given_rent: float
    draws: int
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL

    @property
    def results(self) -> tuple[savings.Result, ...]:
        """Workloads that can run."""
        return self.case.results if self.case else ()

    @property
    def known(self) -> savings.Case:
        """The case, where there is one."""
        if self.case is None:
            raise savings.CannotRun(self.customer.name, self.stopped)
        return self.case

    @property
    def now(self) -> str:
        """Name of the present chips."""
        return self._chips("now")

    @property
    def new(self) -> str:
        """Name of the new chips."""
        return self._chips("new")

    def _chips(self, side: str) -> str:
        asked = getattr(self.baseline, side)
        systems = {asked or getattr(work, side) for work in self.customer.workloads}
        return " and ".join(sorted({hardware.system(key).chip.name for key in systems}))

    @property
    def rent(self) -> float:
        """Rent of the new chip [USD/h]."""
        return float(self.given_rent or self.known.rent.mid)

    @property
    def at(self) -> str:
        """That rent in the middle of a sentence: "at an assumed 3.50 USD"."""
        basis = "your" if self.given_rent else words.a(self.known.rent.status)
        return f"at {basis} {words.money(self.rent)}"

    @property
    def horizon(self) -> str:
        """How long is counted: "3 years"."""
        years = self.customer.horizon_months / 12
        return f"{years:g} year{'s' * (years != 1)}"

    @cached_property
    def even(self) -> rents.BreakEven:
        """Break-even rent over all cases."""
        return rents.BreakEven(*percentiles(self.known.break_even))

    @cached_property
    def chance(self) -> float:
        """Share of the cases in which moving saves [-]."""
        return self.known.probability(self.rent)

    @property
    def verdict(self) -> words.Verdict:
        """Whether moving is cheaper: clear, likely or open."""
        return words.of_share(self.chance)

    @property
    def pair(self) -> tuple[str, str]:
        """The two ways, as a sentence names them."""
        return f"moving to {self.new}", f"staying on {self.now}"

    @cached_property
    def saved(self) -> tuple[float, ...]:
        """Share of the cost of staying that moving saves: low, middle, high [-]."""
        return percentiles(self.known.saving(self.rent) / self.known.stay_usd)

    @cached_property
    def yearly_usd(self) -> tuple[float, ...]:
        """Saving a year: low, middle, high [USD]."""
        return percentiles(self.known.saving(self.rent) / (self.customer.horizon_months / 12))

    @property
    def back(self) -> str:
        """When moving pays back, in the median of the cases."""
        month = float(np.median(self.known.pays_back(self.rent)))
        if not np.isfinite(month):
            return f"not in {self.customer.horizon_months} months"
        return f"month {max(1, int(np.ceil(words.rounded(month))))}"

    @property
    def nothing(self) -> str:
        """Why nothing can be said, where no workload can run."""
        return f"No workload of {self.customer.name} runs within its limits on both chips."


def decide(
    customer: Any,
    baseline: str = "",
    rent: float = 0.0,
    draws: int = 8192,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> Decision:
    """Carry a customer through the decision; one that cannot run is an answer too.

    Parameters
    ----------
    customer : record
        From `trn3.study.customers.load`
    baseline : str
        Key of a baseline; the first without it
    rent : float
        The reader's own rent of the new chip; 0 takes the file's or the assumed one [USD/h]
    draws : int
        Cases [-]
    software : str or Software
        Level of the stack on the new chips

    Returns
    -------
    Decision
        What was found

    Raises
    ------
    UnknownId
        No such baseline

    Examples
    --------
    >>> found = decide(customers.load("karakuri"), draws=256)
    >>> found.new, found.now, found.verdict.word in ("clear", "likely", "open")
    ('Trainium3', 'H100 SXM', True)
    """
    asked = baseline or customer.baselines[0].key
    try:
        case = savings.evaluate(customer, baseline, draws, software=software)
    except savings.CannotRun as reason:
        base = next(base for base in customer.baselines if base.key == asked)
        return Decision(customer, base, None, reason.stopped, rent, draws, software)
    return Decision(customer, case.baseline, case, case.stopped, rent, draws, software)


# --------------------------------------------------------------------------------------- the answer
def lead(decision: Decision) -> str:
    """The answer: the rent below which moving costs less.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        A sentence
    """
    if decision.case is None:
        name = decision.customer.name
        return f"No workload of {name} runs within its limits on both chips, so nothing can move."
    even = decision.even
    move, stay = decision.pair
    said = words.below(move, "costs less", stay, even.low, even.middle, even.high)
    return f"{words.started(said)}{_with_level(decision)}."


def _with_level(decision: Decision) -> str:
    """The level of the software on the new chips, where one that is not typical counts."""
    levels, system = stacks.given(decision.software), _new_system(decision)
    kinds = [savings.MODELLED[r.work.kind] for r in decision.results if r.work.kind in KINDS]
    told = [stacks.with_level(levels.level(kind, system)) for kind in kinds]
    return max(told, key=len, default="")


def rest(decision: Decision) -> str:
    """What follows the answer: the verdict at the rent, or what stops the workloads.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        Sentences
    """
    if decision.case is None:
        return " ".join(f"{name}: {why}." for name, why in decision.stopped.items())
    middle = decision.even.middle
    said = words.priced(decision.verdict, *decision.pair, decision.at, words.money(middle))
    if middle <= 0:
        clause = words.against(decision.verdict, *decision.pair, *CHEAPER)
        said = f"{words.started(decision.at)} {clause}, and no rent turns that"
    return f"{said}; over {decision.horizon}, against {decision.baseline.label}."


def figures(decision: Decision) -> list[story.Figure]:
    """The key figures: break-even rent, chance, share of the bill or sum, and payback.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    list of Figure
        For `trn3.show.story.answer`; none where nothing can run
    """
    if decision.case is None:
        return []
    even, saved, yearly = decision.even, decision.saved, decision.yearly_usd
    middle = words.money(even.middle) if even.middle > 0 else "none"
    chance = story.Figure("Cases that save", words.pct(decision.chance), decision.at)
    if decision.known.shows_sums:
        ends = words.rng(yearly[0] / 1e6, yearly[2] / 1e6)
        chance = story.Figure(
            "Saving a year",
            words.money(words.rounded(yearly[1], 2)),
            f"median, {ends} million; {words.pct(decision.chance)} of the cases save",
        )
    return [
        story.Figure(
            "Break-even rent", middle, f"per chip-hour, {words.band(even.low, even.high)}"
        ),
        chance,
        story.Figure(
            "Share of the bill saved",
            words.pct(saved[1]),
            f"{words.rng(100 * saved[0], 100 * saved[2])}%, over {decision.horizon}",
        ),
        story.Figure("Pays back", decision.back, "median of the cases, porting included"),
    ]


def title(decision: Decision) -> str:
    """Title of the chart of both bills, in the one grammar.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        At most 14 words
    """
    if decision.case is None:
        return f"No workload runs on both {decision.now} and {decision.new}"
    return words.titled(decision.verdict, *decision.pair, *CHEAPER)


# ------------------------------------------------------------------------------ the page in a table
def gates(decision: Decision) -> pd.DataFrame:
    """Can it run, can it be had, and do the numbers of the file hold together?

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``Workload``, ``Gate``, ``Finding`` and ``Status``, those that cannot run last
    """
    rows = []
    for result in decision.results:
        name = result.work.name
        for gate in savings.gate(result.work, result.new).itertuples():
            rows.append((name, gate.gate, gate.finding, STATUS.get(gate.status, gate.status)))
        rent = result.inputs[result.keys["now_price"]].mid
        sane = savings.sane(result.work, result.now, rent)
        rows.append((name, "Sanity", sane.sentence, "works"))
    rows += [(name, "Cannot run", why, "no") for name, why in decision.stopped.items()]
    return pd.DataFrame(rows, columns=["Workload", "Gate", "Finding", "Status"])


STATUS = {"port": "needs a port", "no offer": "no public price"}
"""Codes of `savings.gate` that a reader writes otherwise."""


def page(decision: Decision) -> pd.DataFrame:
    """The decision on one page.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``Block`` and the customer's name
    """
    columns = ["Block", decision.customer.name]
    if decision.case is None:
        return pd.DataFrame([("Verdict", lead(decision))], columns=columns)
    blocks = [
        ("Verdict", _by_workload(decision)),
        ("Bill of a month", f"{_month(decision)}, {decision.at}; median of the cases"),
        ("Unit cost", f"{_units(decision)}; at the customer's own busy share"),
        ("Porting", f"{_porting(decision)}, in engineers' time, is included"),
        ("Payback", f"{words.started(decision.back)} in the median of the cases"),
        ("What must hold", _must_hold(decision)),
        ("Can you get it", _offer(decision)),
        ("Risks", _risks(decision)),
        ("Energy and carbon", f"{_energy(decision)}; the power of the chips is estimated"),
        ("Trust", _trust(decision)),
    ]
    return pd.DataFrame(blocks, columns=columns)


def _by_workload(decision: Decision) -> str:
    said = []
    for result in decision.results:
        chance = replace(decision.known, results=(result,)).probability(decision.rent)
        verdict = words.against(words.of_share(chance), *decision.pair, *CHEAPER)
        said.append(f"{result.work.name}: {verdict}")
    return "; ".join(said)


def _month(decision: Decision) -> str:
    now, new = (
        np.asarray(sum(side)) for side in zip(*map(_month_usd(decision.rent), decision.results))
    )
    if decision.known.shows_sums:
        both = [words.money(words.rounded(float(np.median(usd)), 2)) for usd in (now, new)]
        return " now, ".join(both) + " then"
    return f"{words.times(*percentiles(new / now))} today's bill"


def _month_usd(rent: float) -> Any:
    """From a result to its bill of the first month, now and then."""
    return lambda result: (
        result.drawn.now_chip_h * result.drawn.now_usd_per_chip_h,
        result.drawn.new_chip_h * rent,
    )


def _units(decision: Decision) -> str:
    said = []
    for result in decision.results:
        unit, spent, then = savings.unit_usd(result, decision.rent)
        text = f"{words.times(*percentiles(then / spent))} today's cost per {unit}"
        if decision.known.shows_sums:
            both = [words.money(words.rounded(float(np.median(usd)), 2)) for usd in (spent, then)]
            text = f"{both[0]} now, {both[1]} then, per {unit}"
        said.append(f"{result.work.name}: {text}")
    return "; ".join(said)


def _porting(decision: Decision) -> str:
    labour = labour_usd(decision)
    if decision.known.shows_sums:
        return words.money(words.rounded(float(np.median(labour)), 2))
    share = float(np.median(labour / decision.known.stay_usd))
    return f"{words.share(share)} of the cost of staying"


def labour_usd(decision: Decision) -> np.ndarray:
    """Cost of porting all workloads, per draw.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    numpy.ndarray
        Engineers' time [USD]
    """
    return np.asarray(sum(result.drawn.labour_usd for result in decision.results))


def turns(decision: Decision) -> list[str]:
    """Inputs that turn the median case within their own ranges, each with the value that does.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    list of str
        Clauses, such as "the busy share above 0.6"
    """
    if decision.case is None:
        return []
    said = []
    for row in decision.known.thresholds(decision.rent).itertuples():
        given = decision.known.inputs[row.input]
        said.append(f"the {row.label} {_turn(given, row.saves, row.flips_at)}")
    return said


def _turn(given: Input, saves: str, value: float) -> str:
    """Where moving saves: above or below a value, in whole chips where a few are counted."""
    if given.unit != "chips" or value >= 100:
        return f"{saves} {_value(given, value)}"
    if saves == "above":
        return f"of {words.big(math.ceil(value))} chips or more"
    return f"of {words.big(math.floor(value))} chips or fewer"


def _value(given: Input, value: float) -> str:
    """A value of an input with its unit, large ones in words."""
    fact = customers.as_fact(given)
    unit = "" if fact.shown_unit in ("ratio", "share") else fact.shown_unit
    if fact.scale == MEGA:
        return f"{words.big(value)} {given.unit}"
    return words.sig(value / fact.scale, 2, unit)


def _must_hold(decision: Decision) -> str:
    clauses = turns(decision)
    if not clauses:
        return "No input alone turns the median case within its range"
    return f"In the median case moving saves with {'; or with '.join(clauses)}"


def _offer(decision: Decision) -> str:
    shown = gates(decision)
    return f"{decision.new}: {shown[shown['Gate'] == 'Offer'].iloc[0]['Finding']}"


def caveats(decision: Decision) -> pd.DataFrame:
    """Warnings about what the workloads have, from ``data/caveats.csv``.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Rows of that table
    """
    held = set().union(*map(savings.triggers, decision.results))
    told = data.table("caveats")
    return told[told["trigger"].isin(held)]


def _risks(decision: Decision) -> str:
    return " ".join(f"{caveat}." for caveat in caveats(decision)["caveat"])


def _energy(decision: Decision) -> str:
    use = savings.energy(decision.known).set_index("side")
    power, carbon = (use.loc["new", k] / use.loc["now", k] for k in ("mwh", "tonnes"))
    return f"{words.ratio(power, 'today')} in energy, {words.ratio(carbon, 'today')} in carbon"


def _trust(decision: Decision) -> str:
    status = pd.Series([i.status for i in decision.known.inputs.values()])
    shares = status.value_counts(normalize=True)
    said = ", ".join(f"{words.pct(share)} are {kind}" for kind, share in shares.items())
    kinds = [KINDS[r.work.kind] for r in decision.results if r.work.kind in KINDS]
    chip = decision.results[0].new.system.chip
    models = " ".join(trust.sentence(kind, chip) for kind in dict.fromkeys(kinds))
    return f"Of the inputs {said}. {models}".strip()


def next_step(decision: Decision) -> str:
    """What would settle the answer: a run that narrows it, and an offer in writing.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        Sentences
    """
    if decision.case is None:
        return f"**Stopped.** {rest(decision)}"
    said = [f"**{words.started(decision.verdict.word)}.**"]
    if decision.verdict.word == "open":
        runs = closing.worthwhile(savings.measurements(decision.known, decision.rent))
        said += [run.sentence("this workload") for run in runs[:1]]
    said.append(_written(decision.even))
    assumed = decision.known.rent.status == "assumed" and not decision.given_rent
    if decision.customer.access == "public" and assumed:
        said.append(
            f"Nobody can rent {decision.new} without a contract, so there is nothing to move to "
            "before then."
        )
    return " ".join(said)


def _written(even: rents.BreakEven) -> str:
    """Which offers would settle the answer."""
    if even.high <= 0:
        return "No rent makes moving cheaper in nine cases of ten or more."
    above = f"one above {words.money(even.high)} makes staying clearly cheaper"
    if even.low <= 0:
        return f"No offer makes moving clearly cheaper; {above}."
    return (
        f"An offer in writing below {words.money(even.low)} makes moving clearly cheaper, {above}."
    )


# --------------------------------------------------------------------------- one case, step by step
COLUMNS = {
    "units": "units of load in the first month: runs, requests or stream-hours [1/month]",
    "work_now": "work of a unit on the present chips: tokens or FLOP [-]",
    "work_new": "the same on the new chips [-]",
    "speed_now": "work that a busy present chip does [1/s]",
    "speed_new": "work that a busy new chip does [1/s]",
    "busy_now": "share of the paid hours in which the present chips are busy [-]",
    "busy_new": "the same for the new chips [-]",
    "floor_now": "smallest fleet of present chips [-]",
    "floor_new": "smallest fleet of new chips [-]",
    "rent_now": "rent of a present chip [USD/h]",
    "labour_usd": "porting [USD]",
    "extra_chip_h": "compiling and checking on new chips [chip-h]",
    "delay": "months until the new chips carry the load [month]",
    "dual": "of these, months in which both are paid [month]",
    "growth": "growth of the load [1/year]",
    "rate": "discount rate [1/year]",
}
"""Columns of `one_case`."""


def one_case(decision: Decision) -> pd.DataFrame:
    """The drawn case that stands for all, one row a workload.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Index workload; columns as in `COLUMNS`

    Examples
    --------
    >>> case = one_case(decide(customers.load("karakuri"), draws=256))
    >>> bool((case["rent_now"] > 0).all()), list(case.columns) == list(COLUMNS)
    (True, True)
    """
    rows = {}
    for result in decision.results:
        v = {k: np.array(value) for k, value in result.at(decision.known.median).items()}
        floors = [0.0 if result.work.kind == "train" else v[f"floor_{s}"] for s in SIDES]
        works = [savings.amount(result.work, getattr(result, side), v) for side in SIDES]
        speeds = [v[f"speed_{side}"] * getattr(result, side).under(v) for side in SIDES]
        busy = v["busy"], np.minimum(v["busy"] * v["busy_ratio"], 1.0)
        move = result.move(v)
        values = (
            *(result.units(v), *works, *speeds, *busy, *floors),
            *(move.now_usd_per_chip_h, move.labour_usd, move.extra_chip_h),
            *(move.delay_months, move.dual_months, move.growth, move.rate),
        )
        rows[result.work.name] = [float(value) for value in values]
    case = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS), dtype=float)
    return case.rename_axis("Workload")


SIDES = ("now", "new")


def rent(decision: Decision) -> float:
    """Rent of the new chip.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    float
        Nothing where no workload can run [USD/h]
    """
    return decision.rent if decision.case else 0.0


def rent_in_words(decision: Decision) -> str:
    """That rent for a caption.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        In words
    """
    return f"{decision.new} {decision.at}" if decision.case else decision.nothing


def tornado(decision: Decision) -> pd.DataFrame:
    """What moves the break-even rent, all inputs.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        As `trn3.study.sensitivity.medians`; empty where nothing can run
    """
    return decision.case.tornado if decision.case else pd.DataFrame(columns=["input"])


def by_package(decision: Decision) -> pd.DataFrame:
    """What the package computes for that case, to hold beside a computation by hand.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Index workload; ``now_chip_h`` and ``new_chip_h`` of the first month [chip-h], ``spared``
        [USD] and ``hours`` [chip-h] over the horizon
    """
    place = decision.known.median if decision.case else 0
    rows = {}
    for result in decision.results:
        move, balance = result.drawn, result.balance
        values = (move.now_chip_h, move.new_chip_h, *balance)
        n = len(decision.known.break_even)
        rows[result.work.name] = [float(np.broadcast_to(x, (n,))[place]) for x in values]
    columns = ["now_chip_h", "new_chip_h", "spared", "hours"]
    package = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return package.rename_axis("Workload")


# ------------------------------------------------------------------------------------------- charts
def bills(decision: Decision) -> charts.Chart:
    """Both bills of the case that stands for all, month by month, with sliders.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    Chart
        Not yet finished
    """
    if decision.case is None:
        return charts.empty(decision.nothing)
    months, stays, moves = savings.path(decision.known)
    ways = [(f"Stay on {decision.now}", stays), (f"Move to {decision.new}", moves)]
    lines = pd.DataFrame([{"name": name, "start": usd, "slope": 0} for name, usd in ways])
    rent = decision.rent
    sliders = [
        charts.Slider(
            "price",
            f"{decision.new} rent, USD per chip-hour",
            round(rent / 3, 2),
            round(rent * 3, 2),
            round(rent, 2),
            0.01,
        ),
        charts.Slider("discount", f"Discount on {decision.now}, share", 0.0, 0.6, 0.0, 0.01),
        charts.Slider("busy", "Busy share, times the assumed", 0.5, _busiest(decision), 1.0, 0.01),
    ]
    return charts.cumulative(
        lines,
        sliders=sliders,
        months=decision.customer.horizon_months,
        y_axis=charts.Axis(f"Cumulative cost, {unit(decision)}"),
        path=months.round(3),
    )


def unit(decision: Decision) -> str:
    """Unit of the bills that are shown.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        Millions where the volumes are the reader's own, else a share
    """
    own = decision.case is not None and decision.case.shows_sums
    return "million USD" if own else "% of the cost of staying"


def _busiest(decision: Decision) -> float:
    """How many times the assumed busy share the fullest fleet allows."""
    case = decision.known
    shares = [
        case.at_median[r.keys["busy"]].mid * max(1.0, case.at_median[r.keys["busy_ratio"]].mid)
        for r in decision.results
    ]
    return round(min([1.5, *(1.0 / share for share in shares)]) - 0.005, 2)


def by_year(decision: Decision) -> pd.DataFrame:
    """The numbers of `bills`: both costs at the end of every year.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``month``, ``stay`` and ``move`` with the unit in their names
    """
    if decision.case is None:
        return pd.DataFrame(columns=["month"])
    scale = savings.path_scale(decision.case)
    both = [cost.cumulative_usd(result.drawn, decision.rent) for result in decision.results]
    stay, move = (
        sum(np.asarray(pair[side])[decision.case.median] for pair in both) / scale
        for side in (0, 1)
    )
    columns = {"month": np.arange(len(stay)), f"stay, {unit(decision)}": stay}
    return pd.DataFrame(columns | {f"move, {unit(decision)}": move}).iloc[::12]


def drivers(decision: Decision, n: int = 7) -> charts.Chart:
    """What moves the break-even rent most.

    Parameters
    ----------
    decision : Decision
        From `decide`
    n : int
        Inputs shown [-]

    Returns
    -------
    Chart
        Not yet finished
    """
    if decision.case is None:
        return charts.empty(decision.nothing)
    rows = decision.case.tornado.head(n)
    facts = {name: customers.as_fact(each) for name, each in decision.case.inputs.items()}
    names = []
    for row in rows.itertuples():
        fact = facts[row.input]
        span = words.rng(row.low / fact.scale, row.high / fact.scale, fact.shown_unit)
        names.append(f"{words.started(row.label)}: {span}")
    axis = charts.Axis("Break-even rent, USD/h")
    bars = rows.assign(what=names)
    return charts.tornado(bars, "what", "at_low", "at_high", base=decision.even.middle, axis=axis)


def most_driven(decision: Decision) -> str:
    """The input on which the break-even rent hangs most, as a title.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        At most 14 words
    """
    if decision.case is None:
        return title(decision)
    label = decision.case.tornado["label"].iloc[0].split(" (")[0]
    return f"The break-even rent depends most on the {label}"


# ---------------------------------------------------------------------------------------- baselines
@dataclass(frozen=True, eq=False)
class Compared:
    """The same customer against each of their baselines.

    Attributes
    ----------
    decisions : dict of str to Decision
        By key, in the order of the file.
    missing : dict of str to str
        Why the others have no answer, by label.
    names : dict of str to str
        Short names of the baselines, by key.
    """

    decisions: dict[str, Decision]
    missing: dict[str, str]
    names: dict[str, str]


def compare(asked: Decision) -> Compared:
    """Ask the same question against every baseline of a customer.

    Parameters
    ----------
    asked : Decision
        From `decide`; its rent counts where the new chip is the same

    Returns
    -------
    Compared
        Decisions, and why some baselines have none
    """
    decisions, missing, names = {}, {}, {}
    for base in asked.customer.baselines:
        same = base.key == asked.baseline.key or not (base.new or asked.baseline.new)
        rent = asked.given_rent if same else 0.0
        try:
            one = decide(asked.customer, base.key, rent, asked.draws, asked.software)
        except data.TrnError as reason:
            missing[base.label] = str(reason)
            continue
        if one.case is None:
            missing[base.label] = "; ".join(dict.fromkeys(one.stopped.values()))
            continue
        decisions[base.key] = one
        names[base.key] = _short(one)
    return Compared(decisions, missing, names)


def _short(decision: Decision) -> str:
    """A baseline in few words: chip, way of buying, day."""
    base, chip = decision.baseline, decision.results[0].now.system.chip.name
    day = words.day(str(base.date or ""))
    return f"{chip}, {(base.term or 'own price').replace('_', ' ')} {day}".strip()


def baselines_in_words(compared: Compared) -> pd.DataFrame:
    """The table of all baselines.

    Parameters
    ----------
    compared : Compared
        From `compare`

    Returns
    -------
    pandas.DataFrame
        Texts, one row a baseline, with why it has no answer if one has none
    """
    rows = []
    for one in compared.decisions.values():
        even = f"{words.fixed(one.even.middle, 2)} ({words.rng(one.even.low, one.even.high)})"
        low, middle, high = one.saved
        saved = f"{words.pct(middle)} ({words.rng(100 * low, 100 * high)}%)"
        rent = words.fixed(one.rent, 2)
        status = "given" if one.given_rent else one.known.rent.status
        chance = words.pct(one.chance)
        rows.append([one.baseline.label, one.new, even, rent, status, saved, chance, "—"])
    rows += [[label, *["—"] * 6, why[:160]] for label, why in compared.missing.items()]
    heads = ["Compared with", "New chip", "Break-even rent, USD/h (80% range)"]
    heads += ["Rent taken, USD/h", "Status", "Saving (80% range)", "Cases that save", "Why not"]
    shown = pd.DataFrame(rows, columns=heads)
    return shown if compared.missing else shown.drop(columns="Why not")


def claim_marks(compared: Compared) -> pd.DataFrame:
    """Savings by workload and baseline as `trn3.show.charts.rows` draws them.

    Parameters
    ----------
    compared : Compared
        From `compare`

    Returns
    -------
    pandas.DataFrame
        Columns ``workload``, ``saving``, ``low``, ``high``, ``group``, ``subject``, ``hollow``,
        ``text``, and ``claim`` where one was made [%]
    """
    rows = []
    for key, one in compared.decisions.items():
        for result in one.results:
            alone = replace(one.known, results=(result,))
            saved = 100 * np.array(percentiles(alone.saving(one.rent) / alone.stay_usd))
            low, middle, high = np.maximum(saved, LEAST_SHOWN)
            cut = "under " if saved[0] < LEAST_SHOWN else ""
            row = {"workload": result.work.name, "saving": middle, "low": low, "high": high}
            row |= {"group": compared.names[key], "subject": result.new.system.chip.name}
            row |= {"hollow": one.known.rent.status == "assumed"}
            row |= {"text": f"{words.sig(middle)}% ({cut}{words.rng(low, high)}%)"}
            if one.customer.claim:
                row["claim"] = 100 * one.customer.claim.saving.mid
            rows.append(row)
    return pd.DataFrame(rows)


def claims(compared: Compared, asked: Decision) -> charts.Chart:
    """Savings by workload and baseline, with what was claimed.

    Parameters
    ----------
    compared : Compared
        From `compare`
    asked : Decision
        What the page is about

    Returns
    -------
    Chart
        Not yet finished
    """
    marks = claim_marks(compared)
    if marks.empty:
        return charts.empty(asked.nothing)
    axis = charts.Axis("Saving, % of the bill")
    return charts.rows(marks, "saving", "workload", axis=axis, unit="%", reference=0)


def claims_title(compared: Compared, asked: Decision) -> str:
    """What the savings span, and how many ranges reach the claim.

    Parameters
    ----------
    compared : Compared
        From `compare`
    asked : Decision
        What the page is about

    Returns
    -------
    str
        At most 14 words
    """
    marks = claim_marks(compared)
    if marks.empty:
        return title(asked)
    worst, best = float(marks["saving"].min()), float(marks["saving"].max())
    cut = worst == LEAST_SHOWN  # the axis ends here, the savings do not
    far, more = ("Over", " or more") if cut else ("From", "")
    span = f"{far} {words.sig(-worst)}% dearer to {words.sig(best)}% cheaper"
    if worst >= 0 or best <= 0:
        low, high = sorted((abs(worst), abs(best)))
        span = f"Moving is {words.rng(low, high)}%{more} {CHEAPER[worst < 0]}"
    if "claim" not in marks:
        return span
    n = len(marks.query("claim <= high"))
    claim = marks["claim"].iloc[0]
    reach = "reaches" if n == 1 else "reach"
    return f"{span}; {n or 'none'} of {len(marks)} ranges {reach} the claimed {claim:.0f}%"


def claim_label(decision: Decision) -> str:
    """What was claimed, for a source line.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        In words with a semicolon behind, or nothing
    """
    claim = decision.customer.claim
    return f"claim: {claim.label}; " if claim else ""


def speeds(decision: Decision) -> pd.DataFrame:
    """Why: speed on the workloads beside what the data sheets say, chip for chip.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Texts, one row a workload
    """
    rows = []
    for result in decision.results:
        new, now = result.new.system.chip, result.now.system.chip
        dtype_now = decision.baseline.dtype_now or result.work.dtype_now
        ratios = (
            result.new.speed.mid / result.now.speed.mid,
            new.peak(result.work.dtype_new) / now.peak(dtype_now),
            new.hbm_bytes_per_s / now.hbm_bytes_per_s,
        )
        rows.append([result.work.name, *map(words.ratio, ratios)])
    heads = ["Workload", "Speed on this workload", "Dense peak", "Memory bandwidth"]
    return pd.DataFrame(rows, columns=heads)


def leaving(decision: Decision) -> str:
    """What is left of the saving for a customer who moves back after two years.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    str
        Sentences
    """
    if decision.case is None:
        return f"**Leaving again.** {decision.nothing}"
    share = decision.customer.port_back_share.mid
    shorter = decision.customer.model_copy(update={"horizon_months": HANDED_BACK_MONTHS})
    brief = savings.evaluate(
        shorter, decision.baseline.key, decision.draws, software=decision.software
    )
    spent = brief.saving(decision.rent) - share * labour_usd(decision)
    low, middle, high = percentiles(spent / brief.stay_usd)
    saved = words.saving(middle)
    return (
        f"**Leaving again.** Moving back after two years takes {words.pct(share)} of the porting "
        f"effort. With it, two years on {decision.new} {saved} {decision.at}, in the "
        f"median of the cases (saving {words.rng(100 * low, 100 * high)}%)."
    )


def levels(decision: Decision) -> pd.DataFrame:
    """Break-even rent at each level of the software on the new chips.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Columns ``level``, ``even``, ``low`` and ``high`` [USD/h], and ``subject``, ``hollow`` and
        ``text`` as `trn3.show.charts.rows` takes them; empty where no speed is modelled
    """
    kinds = {result.work.kind for result in decision.results}
    rows = []
    tried = stacks.each(stacks.given(decision.software), _new_system(decision))
    for name, level in tried if kinds & set(KINDS) else ():
        one = decide(
            decision.customer, decision.baseline.key, decision.given_rent, decision.draws, level
        )
        if one.case is None:
            continue
        even, fewer = one.even, len(one.stopped) - len(decision.stopped)
        less = f", {fewer} workload{'s' * (fewer > 1)} stopped" if fewer > 0 else ""
        row = {"level": f"{name}{less}", "even": even.middle}
        row |= {"low": even.low, "high": even.high, "subject": decision.new, "hollow": True}
        row |= {"text": f"{words.fixed(even.middle, 2)} ({words.rng(even.low, even.high)})"}
        rows.append(row)
    return pd.DataFrame(rows)


def _new_system(decision: Decision) -> hardware.System:
    work = decision.customer.workloads[0]
    return hardware.system(decision.baseline.new or work.new)


def by_level(decision: Decision) -> charts.Chart:
    """`levels` as a chart, with the rent that is taken.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    Chart
        Not yet finished
    """
    rows = levels(decision)
    if decision.case is None:
        return charts.empty(decision.nothing)
    if rows.empty:
        return charts.empty("The file gives the share of the peak itself: no level applies.")
    axis = charts.Axis("Break-even rent, USD/h", zero=True)
    return charts.rows(rows, "even", "level", axis=axis, unit=" USD", reference=decision.rent)


# ---------------------------------------------------------------------------------- end of the page
def assumptions(decision: Decision) -> list[tuple[str, data.Fact]]:
    """Every uncertain input with its range and reason.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    list of tuple
        Label and fact, for `trn3.show.story.assumptions`
    """
    if decision.case is None:
        return []
    inputs = sorted(decision.case.inputs.values(), key=lambda each: each.label)
    facts = [(words.started(each.label), customers.as_fact(each)) for each in inputs]
    return [*facts, (f"Rent of {decision.new}", customers.as_fact(decision.case.rent))]


def flips(decision: Decision) -> list[str]:
    """What would change the answer.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    list of str
        Sentences
    """
    stopped = [f"{name} cannot move: {why}." for name, why in decision.stopped.items()]
    if decision.case is None:
        return stopped
    chance = f"{words.started(decision.at)}, {words.pct(decision.chance)} of the cases save."
    single = [f"In the median case moving saves with {clause}." for clause in turns(decision)]
    return [f"{lead(decision)} {chance}", *single, *stopped]


def checks(decision: Decision) -> pd.DataFrame:
    """Published money near the customer: what they claimed, and two fleets of others.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    pandas.DataFrame
        Rows of `savings.checks`, in units that a page shows
    """
    name = decision.customer.name
    rows = savings.checks([name.lower().replace(" ", "")])
    mine = rows["check"].str.startswith(f"{name}: ")
    near = rows[mine | rows["check"].str.contains("DeepSeek, a day|SGLang")].copy()
    factor = near["unit"].map({"share": 100.0}).fillna(1.0)
    for column in ("published", "predicted", "low", "high"):
        near[column] *= factor
    near["unit"] = near["unit"].replace({"share": "% saved"})
    claims = near["check"].str.removeprefix(f"{name}: ")
    near["check"] = near["check"].where(~mine[near.index], f"Claim on {name}, “" + claims + "”")
    return near


def told(rows: pd.DataFrame) -> list[story.Check]:
    """`checks` as a page lists them.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `checks`

    Returns
    -------
    list of Check
        For `trn3.show.story.checks`
    """
    said = []
    for row in rows.itertuples():
        digits = 3 if row.published < 10 else 2
        if not np.isfinite(row.predicted):
            text = (
                f"{row.check}: published {words.sig(row.published, digits)} {row.unit}; {row.note}."
            )
            said.append(story.Check("Cannot be checked", text.replace(" %", "%"), row.kind))
            continue
        text = (
            f"{row.check}: computed {words.sig(row.predicted)} {row.unit} "
            f"({words.rng(row.low, row.high)}), published {words.sig(row.published, digits)}. "
            f"{words.started(row.note)}."
        )
        said.append(story.Check(trust.verdict(row), text.replace(" %", "%"), row.kind))
    return said


def cited(decision: Decision, rows: pd.DataFrame) -> list[str]:
    """Sources of a page.

    Parameters
    ----------
    decision : Decision
        From `decide`
    rows : pandas.DataFrame
        From `checks`

    Returns
    -------
    list of str
        Ids
    """
    claim = [decision.customer.claim.source_id] if decision.customer.claim else []
    support = data.table("support")["source_id"]
    return [*caveats(decision)["source_id"], *rows["source_id"], *support, *claim]


def headline(decision: Decision) -> list[dict[str, object]]:
    """Numbers of the results file.

    Parameters
    ----------
    decision : Decision
        From `decide`

    Returns
    -------
    list of dict
        For `trn3.show.story.results`; none where nothing can run
    """
    if decision.case is None:
        return []
    months = decision.customer.horizon_months
    terms = f"{decision.customer.name}, {decision.baseline.label}, horizon {months} months"
    at = f"if it rents for {decision.rent:g} USD/h"
    even, saved, chance = decision.even, decision.saved, decision.chance
    rows: list[Sequence[object]] = [
        ("break-even rent of the new chip", even.middle, even.low, even.high, "USD/h", terms),
        ("share of the bill saved", saved[1], saved[0], saved[2], "-", f"{terms}, {at}"),
        ("probability of saving", chance, chance, chance, "-", at),
    ]
    if decision.case.shows_sums:
        low, middle, high = decision.yearly_usd
        rows.append(("saving a year", middle, low, high, "USD", f"{terms}, {at}"))
    keys = ("name", "value", "low", "high", "unit", "conditions")
    numbers = [dict(zip(keys, row, strict=True)) | {"status": "modelled"} for row in rows]
    numbers[0]["baseline"] = decision.rent
    return numbers
