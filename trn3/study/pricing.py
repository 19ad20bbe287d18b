"""What a token, or a training run, costs on several systems, and at which rent one of them ties.

A token costs the rent divided by what the chip writes in a paid hour. The first system is the one
in question; the others are rivals, bought in the same way, and the second is what the reader rents
now. Nobody publishes a rent of Trainium3. The assumed one is made from Capacity Blocks of other
chips, so it is held against Capacity Blocks alone; a break-even rent needs no rent of Trainium3 and
is given for every way of buying.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from trn3 import cost, data, hardware, inference, ties, training, workload
from trn3.show import story, words
from trn3.study import closing, compare, customers, rents, savings, stacks
from trn3.uncertainty import Input
from trn3.units import DAY_S, KILO, MEGA

BASIS = "capacity_block"
"""Way of buying on which an assumed rent rests: the anchors of ``data/prices.csv`` are such."""


@dataclass(frozen=True)
class Purchase:
    """How a reader buys chips.

    Attributes
    ----------
    term : str
        A term of ``data/prices.csv``, or `rents.COMMITMENT`.
    region : str
        Where prices are looked for first.
    price, baseline_price : float
        The reader's own rent of the first and of the second system; 0 for none [USD/h].
    discount : float
        Share off listed rents [-].
    commitment_price : float
        The reader's own rent of the first system under a commitment; 0 for none [USD/h].
    """

    term: str
    region: str
    price: float = 0.0
    baseline_price: float = 0.0
    discount: float = 0.0
    commitment_price: float = 0.0

    @property
    def binds(self) -> bool:
        """Whether it is bought for a year or more."""
        return self.term in (rents.COMMITMENT, *rents.YEARLY)

    def own(self, place: int) -> float:
        """The reader's own rent of the system at a place of the list; 0 for none [USD/h]."""
        if place == 0 and self.binds and self.commitment_price:
            return self.commitment_price
        given = (self.price, self.baseline_price)
        return given[place] if place < len(given) else 0.0

    def rent(self, system: hardware.System, place: int) -> rents.Rent:
        """What a chip-hour of a system costs this reader.

        Parameters
        ----------
        system : System
            What is rented
        place : int
            Its place in the list of systems, from 0 [-]

        Returns
        -------
        Rent
            Own, listed or assumed; the first system in some other way if it is not sold in this one

        Raises
        ------
        UnknownId
            A rival is not sold so
        """
        own = self.own(place)
        if place > 0:
            return rents.paid(system, self.term, self.region, own, self.discount)
        ways = (self.term, *rents.WAYS)
        return rents.paid_in_some_way(system, ways, self.region, own, self.discount)[1]


@dataclass(frozen=True, eq=False)
class Priced:
    """One piece of work on several systems, with what it costs on each.

    Attributes
    ----------
    subject : System
        The system in question.
    paid : Rent
        What it rents for.
    purchase : Purchase
        How all of them are bought.
    table : pandas.DataFrame
        A row a system, cheapest first and those without an answer last, by the id of the system:
        ``chip``; ``speed`` of a busy chip with ``speed_low`` and ``speed_high``; ``copy_chips`` of
        one copy; ``rent`` [USD/h] with ``term``, ``place`` and ``date``; ``usd`` of a unit with
        ``usd_low`` and ``usd_high``; ``even``, the rent of the subject at which the unit costs the
        same, with ``even_low`` and ``even_high`` [USD/h]; ``why`` there is no answer.
    software : str or Software
        Level of the software on the subject.
    """

    subject: hardware.System
    paid: rents.Rent
    purchase: Purchase
    table: pd.DataFrame
    software: stacks.Level = stacks.TYPICAL

    @property
    def name(self) -> str:
        """The chip in question, and whether it is only announced."""
        chip = self.subject.chip
        return f"{chip.name} (announced)" if chip.announced else chip.name

    @property
    def own(self) -> pd.Series:
        """Row of the system in question."""
        return self.table.loc[self.subject.id]

    @property
    def rivals(self) -> pd.DataFrame:
        """Rows of the others that have an answer, the lowest break-even rent first."""
        found = self.table[(self.table["why"] == "") & self.table["even"].notna()]
        return found.iloc[ties.order(found["even"].to_numpy(float))]

    @property
    def cheapest(self) -> pd.Series:
        """Row of the rival that costs least."""
        return self.rivals.iloc[0]

    @property
    def missing(self) -> dict[str, str]:
        """Why the others have no answer, by the name of the chip."""
        left = self.table[self.table["why"] != ""]
        return dict(zip(left["chip"], left["why"], strict=True))

    @property
    def basis(self) -> str:
        """Where the rent of the subject comes from: assumed, given or listed."""
        kinds = {"assumed": "assumed", "own": "given"}
        return kinds.get(self.paid.status, "listed")

    @property
    def alike(self) -> bool:
        """Whether the rent of the subject and those of its rivals are of one kind: an assumed one
        is made from Capacity Blocks.
        """
        return self.basis != "assumed" or self.purchase.term == BASIS

    @property
    def at(self) -> str:
        """The rent of the subject in the middle of a sentence: "at an assumed 3.50 USD"."""
        article = {"assumed": "an assumed", "given": "your", "listed": "a listed"}[self.basis]
        return f"at {article} {words.money(self.paid.usd_per_chip_h)}"

    @property
    def rent_range(self) -> Input:
        """Rent of the subject; half as much again either way where it has no range [USD/h]."""
        paid, label = self.paid, f"rent of {self.name}"
        if paid.low < paid.high:
            return Input(paid.low, paid.usd_per_chip_h, paid.high, "limits", "USD/h", label)
        middle, factor = paid.usd_per_chip_h, savings.SHOWN_RENT
        return Input(middle / factor, middle, middle * factor, "limits", "USD/h", label)

    @property
    def speed_range(self) -> Input:
        """Speed of a busy chip of the subject [1/s]."""
        low, middle, high = speed_of(self.own)
        return Input(low, middle, high, "band", "tokens/s", self.name, "derived")

    def even(self, rival: str) -> rents.BreakEven:
        """Rent of the subject at which it ties with a rival.

        Parameters
        ----------
        rival : str
            Id of a system of the table

        Returns
        -------
        BreakEven
            With its range
        """
        row = self.table.loc[rival]
        return rents.BreakEven(float(row["even_low"]), float(row["even"]), float(row["even_high"]))

    def verdict(self, rival: str) -> words.Verdict:
        """Whether the subject is cheaper than a rival at its rent.

        Parameters
        ----------
        rival : str
            Id of a system of the table

        Returns
        -------
        Verdict
            Clear, likely or open
        """
        return self.even(rival).verdict(self.paid.usd_per_chip_h)

    @property
    def verdicts(self) -> list[words.Verdict]:
        """One for each of the rivals."""
        return [self.verdict(rival) for rival in self.rivals.index]


def tokens(
    load: workload.ServingLoad,
    systems: Sequence[str],
    purchase: Purchase,
    utilisation: float = 1.0,
    requests_per_s: float = 1.0,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> Priced:
    r"""What an output token costs on several systems, its prompt included.

    .. math:: c = \frac{p}{3600\,x\,u}, \qquad p^* = p_{rival}\,\frac{x}{x_{rival}}

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits and format
    systems : sequence of str
        The one in question, then its rivals
    purchase : Purchase
        How all of them are bought
    utilisation : float
        Share u of the paid hours in which the chips are busy [-]
    requests_per_s : float
        Load on average [1/s]
    software : str, Software or Stacks
        Level of the stack on the first system; on its rivals it is typical, or that of the reader's
        own runs

    Returns
    -------
    Priced
        USD of a million output tokens, output tokens per second and chip; also ``dtype``,
        ``prompt_share``, and ``chips`` and ``usd_a_month`` of the whole load

    Raises
    ------
    TrnError
        The first system cannot serve the load, or no rival can or is sold so

    Examples
    --------
    >>> load = workload.ServingLoad(workload.model("llama3_3_70b"), 2048, 512, 3.0, 0.03)
    >>> priced = tokens(load, ["trn3_gen2", "hgx_h200"], Purchase(BASIS, "us_east_2"))
    >>> bool(priced.own["usd"] > 0), priced.basis, priced.cheapest["chip"]
    (True, 'assumed', 'H200 SXM')
    """
    first, levels = hardware.system(systems[0]).id, stacks.given(software)

    def served(system: hardware.System) -> inference.ServingPoint:
        level = levels.level("serving", system, system.id == first)
        return inference.best(compare.load_on(load, system), system, software=level)

    answers = compare.ask(served, systems)
    shown = compare.serving_table(load, answers)
    speeds = {k: p.output_tokens_per_s_per_chip for k, p in answers.found.items()}
    asked = f"ttft_s = {load.ttft_s:g}, tpot_ms = {KILO * load.tpot_s:g}, "
    asked += f"input_tokens = {load.input_tokens:,}"
    priced = _priced(systems, purchase, speeds, dict(answers.missing))
    _answered(priced, asked)
    table = priced.table.assign(dtype=shown["dtype"], copy_chips=shown["n_chips"])
    table["prompt_share"] = pd.Series(
        {k: prompt_share(load, p) for k, p in answers.found.items()}, dtype=float
    )
    rows = table["why"] == ""
    for end, speed in (("usd_low", "speed_high"), ("usd", "speed"), ("usd_high", "speed_low")):
        usd = cost.usd_per_unit(table.loc[rows, "rent"], table.loc[rows, speed], utilisation)
        table.loc[rows, end] = MEGA * usd
    tokens_per_s = requests_per_s * load.output_tokens
    table.loc[rows, "chips"] = cost.fleet_chips(
        tokens_per_s, table.loc[rows, "speed"], utilisation, table.loc[rows, "copy_chips"]
    )
    table["usd_a_month"] = cost.monthly_usd(table["chips"], table["rent"])
    level = levels.level("serving", priced.subject)
    return replace(priced, table=_cheapest_first(table), software=level)


def runs(
    job: workload.TrainingJob,
    systems: Sequence[str],
    purchase: Purchase,
    n_chips: int,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> Priced:
    """What a training run costs on several systems.

    Parameters
    ----------
    job : TrainingJob
        The run
    systems : sequence of str
        The one in question, then its rivals
    purchase : Purchase
        How all of them are bought
    n_chips : int
        Chips of the run, the same number on every system [-]
    software : str, Software or Stacks
        Level of the stack on the first system; on its rivals it is typical, or that of the reader's
        own runs

    Returns
    -------
    Priced
        USD of the run, tokens per second and chip; also ``days`` with ``days_low`` and
        ``days_high``; no rivals where the first system cannot train the model so

    Examples
    --------
    >>> job = workload.TrainingJob(workload.model("llama3_8b"), 1e11, 4096, 512, "bf16")
    >>> priced = runs(job, ["trn3_gen2", "hgx_h100"], Purchase(BASIS, "us_east_2"), 64)
    >>> bool(priced.own["usd_low"] < priced.own["usd"] < priced.own["usd_high"])
    True
    """
    first, levels = hardware.system(systems[0]).id, stacks.given(software)

    def trained(system: hardware.System) -> training.TrainingEstimate:
        level = levels.level("training", system, system.id == first)
        return training.estimate(job, hardware.Cluster(system, n_chips), software=level)

    answers = compare.ask(trained, systems)
    speeds = {k: run.tokens_per_s / run.cluster.n_chips for k, run in answers.found.items()}
    priced = _priced(systems, purchase, speeds, dict(answers.missing))
    table = priced.table.copy()
    for end, speed in (("_low", "speed_high"), ("", "speed"), ("_high", "speed_low")):
        seconds = job.tokens / (table[speed] * n_chips)
        table[f"days{end}"] = seconds / DAY_S
        table[f"usd{end}"] = cost.run_usd(n_chips, seconds, table["rent"])
    level = levels.level("training", priced.subject)
    return replace(priced, table=_cheapest_first(table), software=level)


def prompt_share(load: workload.ServingLoad, point: inference.ServingPoint) -> float:
    """Share of a chip's busy time that goes into reading prompts, in the format of the chip.

    Parameters
    ----------
    load : ServingLoad
        What is served
    point : ServingPoint
        Where and how [-]

    Returns
    -------
    float
        From 0 to 1 [-]
    """
    return savings.prompt_share(compare.load_on(load, point.system), point)


def _priced(
    systems: Sequence[str],
    purchase: Purchase,
    speeds: dict[str, np.ndarray],
    missing: dict[str, str],
) -> Priced:
    """Speeds, rents and break-even rents."""
    racks = list({s.id: s for s in map(hardware.system, systems)}.values())
    subject = racks[0]
    rows = {}
    for place, system in enumerate(racks):
        row: dict[str, object] = {"chip": system.chip.name, "why": missing.get(system.id, "")}
        rows[system.id] = row
        if row["why"]:
            continue
        low, middle, high = map(float, speeds[system.id])
        row |= {"speed_low": low, "speed": middle, "speed_high": high}
        try:
            rent = purchase.rent(system, place)
        except data.UnknownId:
            row["why"] = f"no rent {rents.bought(purchase.term)} is listed"
            continue
        row |= {"rent": rent.usd_per_chip_h, "term": rent.term, "source_id": rent.source_id}
        row |= {"place": rent.region, "date": rent.date, "here": rent.here}
        if place > 0 and subject.id in speeds:
            even = rents.break_even(speeds[subject.id], speeds[system.id], rent.usd_per_chip_h)
            row |= {"even_low": even.low, "even": even.middle, "even_high": even.high}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("system")
    table = table.reindex(columns=["chip", "why", *NUMBERS, *TEXTS])
    return Priced(subject, purchase.rent(subject, 0), purchase, table)


NUMBERS = ("speed_low", "speed", "speed_high", "rent", "even_low", "even", "even_high")
TEXTS = ("term", "place", "date", "here", "source_id")


def _answered(priced: Priced, asked: str) -> None:
    """Refuse where the first system has no answer, or no rival has one."""
    if priced.own["why"]:
        raise data.TrnError(f"{asked}: {priced.own['why']}")
    if priced.rivals.empty:
        reasons = "; ".join(dict.fromkeys(priced.missing.values())) or "systems needs a rival"
        raise data.TrnError(f"{asked}, term = {priced.purchase.term}: {reasons}{_sold(priced)}")


def _sold(priced: Priced) -> str:
    """In which other ways the rivals are sold."""
    rivals = [hardware.system(key) for key in priced.table.index[1:]]
    ways = rents.offers(rivals, rents.WAYS, priced.purchase.region)["way"]
    other = [way for way in dict.fromkeys(ways) if way != priced.purchase.term]
    return f"; sold by term = {', '.join(other)}" if other else ""


def _cheapest_first(table: pd.DataFrame) -> pd.DataFrame:
    usd = table["usd"].to_numpy(float)
    return table.iloc[ties.order(np.where(np.isfinite(usd), usd, np.inf))]


def offers(priced: Priced, systems: Sequence[str], purchase: Purchase) -> pd.DataFrame:
    """Every way of buying the rivals, with the rent of the subject at which it ties.

    Parameters
    ----------
    priced : Priced
        From `tokens` or `runs`
    systems : sequence of str
        As there
    purchase : Purchase
        The reader's own rents and discount; all ways of buying are looked up

    Returns
    -------
    pandas.DataFrame
        As `rents.ties_with`, the lowest break-even rent first
    """
    rivals = [s for s in map(hardware.system, systems) if s.id != priced.subject.id]
    ways = (purchase.term, *rents.WAYS)
    found = rents.offers(rivals, ways, purchase.region, purchase.discount, purchase.baseline_price)
    known = priced.table[priced.table["speed"].notna()]
    speeds = {row.Index: speed_of(row) for row in known.itertuples()}
    return rents.ties_with(found, speeds, priced.subject.id)


def speed_of(row: object) -> np.ndarray:
    """Low, middle and high of the speed of a row of a `Priced`.

    Parameters
    ----------
    row : namedtuple or Series
        With ``speed_low``, ``speed`` and ``speed_high``

    Returns
    -------
    numpy.ndarray
        Three values [1/s]
    """
    return np.array([float(getattr(row, k)) for k in ("speed_low", "speed", "speed_high")])


# ----------------------------------------------------------------------------------- for the reader
def in_words(priced: Priced, unit: str, scale: float = 1.0) -> pd.DataFrame:
    """The table of a page: what each system costs, and at which rent the subject ties with it.

    Parameters
    ----------
    priced : Priced
        From `tokens` or `runs`
    unit : str
        What one unit is, with its currency: a head of the table
    scale : float
        Amount of `unit` in the table's own [USD]

    Returns
    -------
    pandas.DataFrame
        Texts, one row a system, with a column for what has no answer if there is any
    """
    rows = []
    for row in priced.table.itertuples():
        if row.why:
            rows.append([row.chip, "—", "—", "—", "—", row.why])
            continue
        day = f", {words.day(row.date)}" if row.date else ""
        bought = f"{rents.terms_of(row.term, row.place)}{day}"
        usd = amount(row.usd / scale)
        usd += f" ({ends_of(row, scale)})"
        tie = "—"
        if np.isfinite(row.even):
            tie = f"{words.fixed(row.even, 2)} ({words.rng(row.even_low, row.even_high)})"
        rows.append([row.chip, bought, words.fixed(row.rent, 2), usd, tie, "—"])
    heads = ["Chip", "Bought", "USD per chip-hour", f"{unit} (80% range)"]
    heads += [f"{priced.name} ties at, USD (80% range)", "Why not"]
    shown = pd.DataFrame(rows, columns=heads)
    return shown if priced.missing else shown.drop(columns="Why not")


def amount(usd: float) -> str:
    """An amount of a table: cents below a hundred, three digits above.

    Parameters
    ----------
    usd : float
        The amount [USD]

    Returns
    -------
    str
        Without its currency

    Examples
    --------
    >>> amount(2.571), amount(1076.8)
    ('2.57', '1,080')
    """
    return words.fixed(usd, 2) if usd < 100 else words.big(words.rounded(usd, 3))


def ends_of(row: Any, scale: float = 1.0) -> str:
    """The range of a cost, two digits at either end: a low end may be a fifth of a high one.

    Parameters
    ----------
    row : namedtuple or Series
        With ``usd_low`` and ``usd_high``
    scale : float
        Amount of one unit in them [USD]

    Returns
    -------
    str
        Without its currency

    Examples
    --------
    >>> ends_of(pd.Series({"usd_low": 2.58, "usd_high": 11.3}))
    '2.6–11'
    """
    return "–".join(words.sig(usd / scale) for usd in (row.usd_low, row.usd_high))


def marks(priced: Priced) -> pd.DataFrame:
    """The costs as `trn3.show.charts.rows` draws them.

    Parameters
    ----------
    priced : Priced
        From `tokens` or `runs`

    Returns
    -------
    pandas.DataFrame
        Columns ``chip`` with its rent, ``usd``, ``low``, ``high``, ``subject``, ``hollow`` where
        the rent is not listed, ``text``
    """
    known = priced.table[priced.table["why"] == ""]
    shown = known[["usd", "usd_low", "usd_high", "chip"]].set_axis(
        ["usd", "low", "high", "subject"], axis=1
    )
    shown["hollow"] = (known.index == priced.subject.id) & (priced.basis != "listed")
    shown["chip"] = [f"{row.chip}, {row.rent:.2f} USD/h" for row in known.itertuples()]
    shown["text"] = [f"{amount(row.usd)} USD ({ends_of(row)})" for row in known.itertuples()]
    return shown.reset_index(drop=True)


def offers_in_words(tied: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table of all offers.

    Parameters
    ----------
    tied : pandas.DataFrame
        From `offers`
    name : str
        The chip in question

    Returns
    -------
    pandas.DataFrame
        Texts, grouped by the way of buying
    """
    order = {way: place for place, way in enumerate(rents.WAYS)}
    by_way = tied.assign(place_of=tied["way"].map(order).fillna(-1))
    rows = [
        [
            row.chip,
            rents.terms_of(row.term, row.place),
            words.day(row.date),
            words.fixed(row.rent, 2),
            f"{words.fixed(row.even, 2)} ({words.rng(row.low, row.high)})",
        ]
        for row in by_way.sort_values("place_of", kind="stable").itertuples()
    ]
    heads = ["Chip", "Offer", "Price of", "USD per chip-hour"]
    shown = pd.DataFrame(rows, columns=[*heads, f"{name} ties at, USD (80% range)"])
    return shown.drop_duplicates()  # the reader's own rent holds in every way of buying


def reconciled(tied: pd.DataFrame, served: Priced, trained: Priced) -> list[str]:
    """The break-even rents that stand on several pages, each told apart in a sentence.

    Parameters
    ----------
    tied : pandas.DataFrame
        From `offers`, for serving
    served, trained : Priced
        Serving, and the training run

    Returns
    -------
    list of str
        Sentences in Markdown
    """
    lowest = served.cheapest
    said = [
        f"**{words.money(lowest['even'])}** is the answer here: {lowest['chip']}, "
        f"{rents.terms_of(lowest['term'], lowest['place'])}, writes a token for least."
    ]
    yearly = tied[tied["way"] == rents.COMMITMENT]
    if len(yearly) and not served.purchase.binds:
        row = yearly.iloc[0]
        said.append(
            f"**{words.money(row['even'])}** holds for years of serving: {row['chip']} "
            f"{rents.terms_of(row['term'], row['place'])}; page 00 asks for it where its rival is "
            "that chip."
        )
    named = tied[(tied["way"] == BASIS) & (tied["system"] == ONE_RIVAL)]
    if len(named) and (lowest.name, served.purchase.term) != (ONE_RIVAL, BASIS):
        row = named.iloc[0]
        said.append(
            f"**{words.money(row['even'])}** is against one rival, {row['chip']} "
            f"{rents.terms_of(row['term'], row['place'])}, as on pages 00 and 11."
        )
    if len(trained.rivals):
        row = trained.cheapest
        said.append(
            f"**{words.money(row['even'])}** is for training, not serving: the BF16 run on "
            f"{row['chip']}."
        )
    return said


ONE_RIVAL = "hgx_b200"
"""System that pages 00 and 11 hold against the subject if nothing else is asked."""


def ends(priced: Priced, utilisation: float) -> pd.DataFrame:
    """Cost of a million output tokens of the subject with one input at either end of its range.

    Parameters
    ----------
    priced : Priced
        From `tokens`
    utilisation : float
        Busy share of the paid hours [-]

    Returns
    -------
    pandas.DataFrame
        Columns ``input``, ``usd_at_low``, ``usd_at_high`` [USD], in the order of
        `trn3.study.savings.token_bars`

    Examples
    --------
    A third of the busy share is three times the price:

    >>> load = workload.ServingLoad(workload.model("llama3_3_70b"), 2048, 512, 3.0, 0.03)
    >>> priced = tokens(load, ["trn3_gen2", "hgx_h200"], Purchase(BASIS, "us_east_2"))
    >>> busy = ends(priced, 0.6).iloc[0]
    >>> round(float(busy["usd_at_low"] / busy["usd_at_high"]), 6)
    3.0
    """
    rent, speed = priced.rent_range, priced.speed_range

    def usd(price: float, rate: float, busy: float) -> float:
        return float(MEGA * cost.usd_per_unit(price, rate, busy))

    low_busy, high_busy = savings.SHOWN_BUSY
    less = [rent.mid * (1.0 - cut) for cut in savings.SHOWN_DISCOUNT]
    rows = [
        ("busy share", usd(rent.mid, speed.mid, low_busy), usd(rent.mid, speed.mid, high_busy)),
        ("rent", *(usd(price, speed.mid, utilisation) for price in (rent.low, rent.high))),
        ("speed", *(usd(rent.mid, rate, utilisation) for rate in (speed.low, speed.high))),
        ("discount", *(usd(price, speed.mid, utilisation) for price in less)),
    ]
    return pd.DataFrame(rows, columns=["input", "usd_at_low", "usd_at_high"])


def listed_in_words(load: workload.ServingLoad, served: Priced, utilisation: float) -> pd.DataFrame:
    """List prices of tokens beside the subject: how busy it must be to cost as little.

    Parameters
    ----------
    load : ServingLoad
        Model and lengths
    served : Priced
        From `tokens`
    utilisation : float
        Busy share at which it was priced [-]

    Returns
    -------
    pandas.DataFrame
        Texts and prices, one row a seller
    """
    listed = rents.listed_tokens(load.input_tokens, load.output_tokens, load.model.id)
    if listed.empty:
        return pd.DataFrame({"Seller": [f"no list price of {load.model.name} is known"]})
    busy = utilisation * float(served.own["usd"]) / listed["usd_per_mtok"]
    shares = [words.pct(share) if share <= 1 else "not even if always" for share in busy]
    return pd.DataFrame(
        {
            "Seller": listed["seller"].map(data.named),
            "Price of": listed["day"].map(words.day),
            "USD per million in": listed["usd_in"],
            "USD per million out": listed["usd_out"],
            "USD per thousand requests": listed["usd_per_mtok"] * load.output_tokens / KILO,
            f"{served.name} costs as little if busy": shares,
        }
    )


def request_usd(load: workload.ServingLoad, served: Priced) -> float:
    """What a request costs on the subject.

    Parameters
    ----------
    load : ServingLoad
        Lengths
    served : Priced
        From `tokens`

    Returns
    -------
    float
        Prompt and answer [USD]
    """
    return float(served.own["usd"]) * load.output_tokens / MEGA


def next_step(priced: Priced, rival: str, what: str = "this load") -> str:
    """What would settle an open comparison: a run that narrows it, and an offer in writing.

    Parameters
    ----------
    priced : Priced
        From `tokens`
    rival : str
        Id of the rival
    what : str
        What is run

    Returns
    -------
    str
        Sentences
    """
    row, even = priced.table.loc[rival], priced.even(rival)
    written = closing.offer_in_writing(even, priced.name, row["chip"])
    if not priced.alike:
        return f"**{_unlike(priced)}** {written}"
    verdict = priced.verdict(rival)
    said = words.priced(verdict, priced.name, row["chip"], priced.at, words.money(even.middle))
    if verdict.word != "open":
        return f"**{said}.**"
    found = closing.measurements(
        _candidate(priced.subject, priced.own),
        _candidate(hardware.system(rival), row),
        priced.paid.usd_per_chip_h,
    )
    runs = [run.sentence(what) for run in closing.worthwhile(found)[:1]]
    return " ".join([f"**{said}.**", *runs, written])


def _candidate(system: hardware.System, row: pd.Series) -> closing.Candidate:
    rent = rents.given(system.chip.id, float(row["rent"]))
    return closing.Candidate(system, speed_of(row), int(row["copy_chips"]), rent)


def _unlike(priced: Priced) -> str:
    return (
        f"No rent of {priced.name} {rents.bought(priced.purchase.term)} is known, and the assumed "
        "one rests on Capacity Blocks, so only the break-even rents can be read here."
    )


def first_open(priced: Priced) -> str:
    """The rival to look at next: the first whose comparison is open, else the cheapest.

    Parameters
    ----------
    priced : Priced
        From `tokens` or `runs`

    Returns
    -------
    str
        Id of a system
    """
    rivals = priced.rivals.index
    unsettled = [rival for rival in rivals if priced.verdict(rival).word == "open"]
    return str(unsettled[0] if unsettled and priced.alike else rivals[0])


def assumptions(priced: Priced) -> list[tuple[str, data.Fact]]:
    """What a page took as given: the rent of the subject, and the speed of every chip.

    Parameters
    ----------
    priced : Priced
        From `tokens`

    Returns
    -------
    list of tuple
        Label and fact, for `trn3.show.story.assumptions`
    """
    note = "serving model, page 04, at the best point within the limits; the range is its 80% band"
    found = [(f"Rent of {priced.name}", priced.paid.fact)]
    for row in priced.table[priced.table["speed"].notna()].itertuples():
        low, middle, high = speed_of(row).round(1)
        speed = Input(low, middle, high, "band", "tokens/s", row.chip, "derived", note)
        found.append((f"Speed of {row.chip}, one chip", customers.as_fact(speed)))
    return found


def levels(
    load: workload.ServingLoad,
    job: workload.TrainingJob,
    systems: Sequence[str],
    purchase: Purchase,
    run_chips: int,
    own: stacks.Stacks | None = None,
) -> pd.DataFrame:
    """Break-even rent of the subject against its cheapest rival, at each level of its software.

    Parameters
    ----------
    load : ServingLoad
        What is served
    job : TrainingJob
        What is trained
    systems : sequence of str
        The one in question, then its rivals, whose software is typical
    purchase : Purchase
        How all of them are bought
    run_chips : int
        Chips of the run [-]
    own : Stacks, optional
        Levels that the reader's own runs tell, a level more

    Returns
    -------
    pandas.DataFrame
        Columns ``group`` (serving or training, and against whom), ``level``, ``even``, ``low`` and
        ``high`` [USD/h], and ``subject``, ``hollow`` and ``text`` as `trn3.show.charts.rows` takes
        them
    """
    rows = []
    for name, level in stacks.each(own or stacks.Stacks(), hardware.system(systems[0])):
        served = tokens(load, systems, purchase, software=level)
        trained = runs(job, systems, purchase, run_chips, level)
        for kind, priced in (("Serving", served), ("Training", trained)):
            for _, rival in priced.rivals.head(1).iterrows():
                even = priced.even(str(rival.name))
                rows.append(
                    {
                        "group": f"{kind}, against {rival['chip']} at {rival['rent']:.2f} USD",
                        "level": name,
                        "even": even.middle,
                        "low": even.low,
                        "high": even.high,
                        "subject": priced.subject.chip.name,
                        "hollow": True,
                        "text": f"{words.fixed(even.middle, 2)} ({words.rng(even.low, even.high)})",
                    }
                )
    return pd.DataFrame(rows).sort_values("group", kind="stable").reset_index(drop=True)


# ------------------------------------------------------------------------------ what a page answers
def lead(served: Priced) -> str:
    """The answer: the rent below which a token costs least on the subject.

    Parameters
    ----------
    served : Priced
        From `tokens`

    Returns
    -------
    str
        A sentence
    """
    rival, n = served.cheapest, len(served.rivals)
    others = f"its {n} rivals" if n > 1 else str(rival["chip"])
    ends = rival["even_low"], rival["even"], rival["even_high"]
    said = words.below(served.name, "costs less per token", others, *ends)
    level = stacks.with_level(served.software)
    return f"{words.started(rents.bought(served.purchase.term))}, {said}{level}."


def rest(served: Priced, trained: Priced, offers: pd.DataFrame) -> str:
    """What follows the answer: the verdict at the rent, years of serving, and why there is no
    training run.

    Parameters
    ----------
    served, trained : Priced
        From `tokens` and `runs`
    offers : pandas.DataFrame
        From `offers`

    Returns
    -------
    str
        Sentences
    """
    said = []
    tied = offers[offers["way"] == BASIS] if not served.alike else None
    verdicts = served.verdicts
    held = ""
    if tied is not None:
        verdicts = rents.verdicts(tied, served.paid.usd_per_chip_h)
        held = ", against Capacity Blocks, on which that rent rests,"
    if verdicts:
        tally = words.tally(verdicts, "cheaper", "dearer", "rivals")
        said.append(f"{words.started(served.at)} it is{held} {tally}.")
    said.append(_years(served, offers))
    said.append(_run(trained))
    return " ".join(filter(None, said))


def _run(trained: Priced) -> str:
    """Why there is no training run; what it says stands among the figures."""
    if len(trained.rivals):
        return ""
    why = trained.own["why"] or "; ".join(dict.fromkeys(trained.missing.values()))
    return f"The training run has no answer: {why}."


def _years(served: Priced, offers: pd.DataFrame) -> str:
    """Serving for years, where the page is about something else or the reader has an offer."""
    yearly = offers[offers["way"] == rents.COMMITMENT]
    if yearly.empty or served.purchase.binds:
        return ""
    price = served.purchase.commitment_price
    if price:
        tally = words.tally(rents.verdicts(yearly, price), "cheaper", "dearer", "rivals")
        return f"Under your commitment at {words.money(price)} it is {tally}."
    row = yearly.iloc[0]
    return (
        f"For years of serving it has to rent below {words.money(row.even)} "
        f"({words.rng(row.low, row.high)}): {row.chip} {rents.bought(row.term)} costs "
        f"{words.money(row.rent)}."
    )


def figures(served: Priced, trained: Priced, present: str) -> list[story.Figure]:
    """The key figures of a page: both break-even rents, the bill of a month, and a token.

    Parameters
    ----------
    served, trained : Priced
        From `tokens` and `runs`
    present : str
        What the reader rents now, a system

    Returns
    -------
    list of Figure
        For `trn3.show.story.answer`
    """
    own, now = served.own, served.table.loc[hardware.system(present).id]
    pairs = (("Serving", served), ("Training", trained))
    found = [
        story.Figure(
            f"{work}: {served.name} ties at",
            words.money(row["even"]),
            f"per chip-hour, {words.rng(row['even_low'], row['even_high'])}; {row['chip']} at "
            f"{rents.dated(row['rent'], row['date'])}",
        )
        for work, priced in pairs
        for _, row in priced.rivals.head(1).iterrows()
    ]
    then = f"{words.big(own['chips'])} {own['chip']} {served.at}"
    bill, token = words.big(words.rounded(own["usd_a_month"], 2)), words.money(own["usd"])
    spent, cost_now = f"whole copies: {then}", f"{ends_of(own)} {served.at}"
    label = "Bill of a month, USD"
    if not now["why"]:
        label = "Bill of a month, now → then, USD"
        bill = f"{words.big(words.rounded(now['usd_a_month'], 2))} → {bill}"
        spent = f"whole copies: {words.big(now['chips'])} {now['chip']} at "
        spent += f"{words.money(now['rent'])} → {then}"
        cost_now += f"; {words.money(now['usd'])} on {now['chip']}"
    found.append(story.Figure(label, bill, spent))
    found.append(story.Figure("A million output tokens", token, cost_now))
    return found


def title(served: Priced) -> str:
    """Title of the chart of costs: the finding where both rents are of one kind.

    Parameters
    ----------
    served : Priced
        From `tokens`

    Returns
    -------
    str
        At most 14 words
    """
    rival = served.cheapest
    if not served.alike:
        return "What a million output tokens cost on each system"
    return words.titled(served.verdict(rival.name), served.name, rival["chip"], "cheaper", "dearer")


def flips(served: Priced, utilisation: float) -> list[str]:
    """What would change the answer: the rent against every rival, and the busy share.

    Parameters
    ----------
    served : Priced
        From `tokens`
    utilisation : float
        Busy share of the paid hours [-]

    Returns
    -------
    list of str
        Sentences
    """
    said = []
    for row in served.rivals.itertuples():
        rival = f"{row.chip} {rents.terms_of(row.term, row.place)}"
        ends = row.even_low, row.even, row.even_high
        clause = words.below(served.name, "costs less per token", rival, *ends)
        said.append(f"{words.started(clause)}.")
    rival = served.cheapest
    busy = utilisation * served.own["usd"] / rival["usd"]
    here = f"In the middle case {served.name} {served.at}"
    there = f"{rival['chip']}, busy {words.pct(utilisation)},"
    idle = f"{here} costs as much per token as {there} where it is busy **{words.pct(busy)}**."
    if busy > 1:
        idle = f"{here} stays dearer than {there} even if it is always busy itself."
    left = [f"{chip} is left out: {why}." for chip, why in served.missing.items()]
    return [*said, *([idle] if served.alike else []), *left]


def headline(
    served: Priced, trained: Priced, utilisation: float, requests_per_s: float
) -> list[dict[str, object]]:
    """Numbers of the results file.

    Parameters
    ----------
    served, trained : Priced
        From `tokens` and `runs`
    utilisation : float
        Busy share of the paid hours [-]
    requests_per_s : float
        Load [1/s]

    Returns
    -------
    list of dict
        For `trn3.show.story.results`
    """
    own, rival = served.own, served.cheapest
    rent, name = served.paid.usd_per_chip_h, served.name
    load = f"busy {utilisation:.0%}, {rents.bought(served.purchase.term)}"
    at = f"{load}, if it rents for {rent:g} USD/h"
    spread = own["usd_a_month"] / own["usd"]
    rows = [
        (
            f"break-even rent of {name}, serving",
            *(rival["even"], rival["even_low"], rival["even_high"], "USD/h"),
            *(f"{load}; {rival['chip']}, {words.day(rival['date'])}", rent),
        ),
        *(
            (
                f"break-even rent of {name}, training",
                *(row["even"], row["even_low"], row["even_high"], "USD/h"),
                *(f"BF16; {row['chip']}, {words.day(row['date'])}", rent),
            )
            for _, row in trained.rivals.head(1).iterrows()
        ),
        (
            f"cost per million output tokens, {name}",
            *(own["usd"], own["usd_low"], own["usd_high"], "USD"),
            *(at, rival["usd"]),
        ),
        (
            f"bill of a month, {name}",
            *(own["usd_a_month"], spread * own["usd_low"], spread * own["usd_high"], "USD"),
            *(f"{requests_per_s:g} requests/s, {at}", rival["usd_a_month"]),
        ),
    ]
    keys = ("name", "value", "low", "high", "unit", "conditions", "baseline")
    return [dict(zip(keys, row, strict=True)) | {"status": "modelled"} for row in rows]
