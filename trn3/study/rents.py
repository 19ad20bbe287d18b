"""Rents: what a chip-hour is listed at, what you pay for it, and the rent at which two chips tie.

A rent is read by purchase term, region and day, and the place where it holds is part of the answer.
A Capacity Block ends on its date, so it fits a run or a test; for years of serving a commitment of
a year or more fits (`COMMITMENT`), here the cheapest one that is listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trn3 import cost, data, hardware, ties
from trn3.show import words
from trn3.study import customers
from trn3.uncertainty import ratio_range

COMMITMENT = "commitment"
"""The cheapest listed offer of `YEARLY`, as a term of its own."""
YEARLY = ("reserved_3y", "reserved_2y", "reserved_1y", "contract_1y")
"""Terms that bind for a year or more, and so fit years of serving."""
WAYS = (COMMITMENT, "on_demand", "capacity_block", "neocloud")
"""Ways of buying that are compared with each other."""
COLUMNS = (
    "system",
    "chip",
    "way",
    "term",
    "rent",
    "place",
    "here",
    "date",
    "offer",
    "status",
    "source_id",
)
SAID = {
    COMMITMENT: "under a commitment of a year or more",
    "own": "at your own rent",
    "assumed": "at an assumed rent",
    "on_demand": "on demand",
    "capacity_block": "by Capacity Block",
    "neocloud": "from a smaller cloud",
    "contract": "by contract only, no public price",
    "contract_1y": "on a contract of 1 year",
    "reserved_1y": "reserved for 1 year",
    "reserved_2y": "reserved for 2 years",
    "reserved_3y": "reserved for 3 years",
    "typical": "at a typical rent",
    "spot": "at a spot price",
    "market_index": "at a market index",
}
ENDS = ("capacity_block", "spot", "neocloud_spot")
"""Terms that end on their date or at any time, and so do not carry years of serving."""


@dataclass(frozen=True)
class Rent:
    """What a chip-hour costs whoever rents it.

    Attributes
    ----------
    chip : str
        Id of the chip.
    usd_per_chip_h : float
        What is paid, after a discount [USD/h].
    low, high : float
        Range of an assumed rent, else what is paid [USD/h].
    term : str
        How it is bought: a term of ``data/prices.csv``, or "own".
    region, offer, date : str
        Where and as what it is sold, and the day of the price.
    here : bool
        Whether it is sold in the region that was asked for.
    status, source_id, note : str
        As in the tables; "own" for a rent that the reader gave.
    """

    chip: str
    usd_per_chip_h: float
    low: float
    high: float
    term: str
    region: str = ""
    offer: str = ""
    date: str = ""
    here: bool = True
    status: str = "own"
    source_id: str = ""
    note: str = "given as a parameter"

    @property
    def assumed(self) -> bool:
        """Whether nobody lists it."""
        return self.status == "assumed"

    @property
    def fact(self) -> data.Fact:
        """The rent as a row for the table of assumptions."""
        text = dict.fromkeys(("per", "basis", "dtype", "locator", "accessed"), "")
        return data.Fact(
            subject=self.chip,
            quantity="price_usd_per_chip_h",
            value=self.usd_per_chip_h,
            low=self.low,
            high=self.high,
            unit="USD/h",
            status="assumed" if self.status == "own" else self.status,
            use=True,
            source_id=self.source_id,
            note=self.note,
            shown_unit="USD per chip-hour",
            scale=1.0,
            **text,
        )


def given(chip: str, usd_per_chip_h: float) -> Rent:
    """A rent of the reader's own.

    Parameters
    ----------
    chip : str
        Id of the chip
    usd_per_chip_h : float
        The rent [USD/h]

    Returns
    -------
    Rent
        Without a range
    """
    return Rent(chip, usd_per_chip_h, usd_per_chip_h, usd_per_chip_h, "own")


def unlisted(chip: str) -> bool:
    """Whether nobody lists a rent of a chip, so that an assumed one stands in the tables.

    Parameters
    ----------
    chip : str
        Id of the chip

    Returns
    -------
    bool
        True for Trainium3 and Trainium4
    """
    rows = data.table("prices")
    return chip in set(rows[rows["term"] == "assumed"]["subject"])


def listed(system: hardware.System, term: str, region: str = "", discount: float = 0.0) -> Rent:
    """The cheapest listed rent of a chip by one way of buying, where it is sold.

    Parameters
    ----------
    system : System
        What is rented
    term : str
        A term of ``data/prices.csv``, or `COMMITMENT`
    region : str
        Where; an offer elsewhere is taken, and says so, if there is none here
    discount : float
        Share off the list [-]

    Returns
    -------
    Rent
        After the discount

    Raises
    ------
    UnknownId
        The chip is not sold that way anywhere

    Examples
    --------
    GB200 blocks are sold in one Local Zone alone, whatever region is asked for:

    >>> rent = listed(hardware.system("gb200_nvl72"), "capacity_block", "us_east_2")
    >>> rent.region, rent.here
    ('us_east_1_dfw', False)
    """
    for place in dict.fromkeys((region, "")):
        rows = []
        for each in YEARLY if term == COMMITMENT else (term,):
            try:
                base = {"term": each, "region": place}
                rows.append(customers.price_row(base, "now", system.id))
            except data.UnknownId as reason:
                last = reason
        if rows:
            row = min(rows, key=lambda r: r["value"])
            usd = float(cost.discounted_usd(row["value"], discount))
            return Rent(
                chip=system.chip.id,
                usd_per_chip_h=usd,
                low=usd,
                high=usd,
                term=row["term"],
                region=row["region"],
                offer=row["basis"],
                date=str(row["price_date"]),
                here=place == region,
                status=row["status"],
                source_id=row["source_id"],
                note=row["note"],
            )
    raise data.UnknownId(str(last).replace(f"term = {YEARLY[-1]}", f"term = {term}"))


def assumed(system: hardware.System) -> Rent:
    """The assumed rent of a chip that nobody lists, with its range.

    Parameters
    ----------
    system : System
        What would be rented

    Returns
    -------
    Rent
        From ``data/prices.csv``; a discount does not apply to it

    Raises
    ------
    UnknownId
        The chip has a listed rent
    """
    row = data.to_fact(customers.price_row({}, "new", system.id))
    return Rent(
        chip=system.chip.id,
        usd_per_chip_h=row.value,
        low=row.low,
        high=row.high,
        term="assumed",
        status=row.status,
        source_id=row.source_id,
        note=row.note,
    )


def paid(
    system: hardware.System,
    term: str,
    region: str = "",
    price: float = 0.0,
    discount: float = 0.0,
) -> Rent:
    """What a reader pays for a chip: their own rent, else the listed one less their discount, else
    the assumed one.

    Parameters
    ----------
    system : System
        What is rented
    term, region : str
        How and where
    price : float
        Their own rent, taken as it is; 0 for none [USD/h]
    discount : float
        Share off a listed rent [-]

    Returns
    -------
    Rent
        With where it comes from
    """
    if price:
        return given(system.chip.id, price)
    if unlisted(system.chip.id):
        return assumed(system)
    return listed(system, term, region, discount)


def paid_in_some_way(
    system: hardware.System,
    ways: Iterable[str],
    region: str = "",
    price: float = 0.0,
    discount: float = 0.0,
) -> tuple[str, Rent]:
    """What a reader pays for a chip in the first of several ways in which it can be had.

    Parameters
    ----------
    system : System
        What is rented
    ways : iterable of str
        Terms, or `COMMITMENT`, the one that is wanted first
    region : str
        Where
    price : float
        Their own rent; 0 for none [USD/h]
    discount : float
        Share off a listed rent [-]

    Returns
    -------
    tuple of str and Rent
        The way, and the rent

    Raises
    ------
    UnknownId
        It cannot be had in any of them
    """
    asked = list(dict.fromkeys(ways))
    for way in asked:
        try:
            return way, paid(system, way, region, price, discount)
        except data.UnknownId:
            continue
    return asked[0], paid(system, asked[0], region, price, discount)


@dataclass(frozen=True)
class BreakEven:
    """The rent of one chip at which its work costs the same as on another.

    Attributes
    ----------
    low, middle, high : float
        Its 80% range [USD/h].
    """

    low: float
    middle: float
    high: float

    def verdict(self, rent_usd_per_chip_h: float) -> words.Verdict:
        """Whether the chip is the cheaper one at a rent.

        Parameters
        ----------
        rent_usd_per_chip_h : float
            What it rents for [USD/h]

        Returns
        -------
        Verdict
            Clear, likely or open
        """
        ends = np.array([self.low, self.middle, self.high]) / rent_usd_per_chip_h
        return words.verdict(*map(float, ends))


def break_even(own_speed: np.ndarray, rival_speed: np.ndarray, rival_usd_per_h: float) -> BreakEven:
    r"""The rent at which a unit of work costs the same on both chips.

    .. math:: p^* = p_{rival}\,\frac{x}{x_{rival}}

    Parameters
    ----------
    own_speed, rival_speed : array of three
        Low, middle and high of the work per chip while busy [1/s]
    rival_usd_per_h : float
        Rent of the rival [USD/h]

    Returns
    -------
    BreakEven
        With the ranges of both speeds in it

    Examples
    --------
    Twice the speed is worth twice the rent:

    >>> even = break_even(np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0]), 3.0)
    >>> even.middle, even.verdict(5.0).word, even.verdict(5.0).better
    (6.0, 'clear', True)
    """
    return BreakEven(*(float(x) for x in rival_usd_per_h * ratio_range(own_speed, rival_speed)))


def offers(
    systems: Sequence[hardware.System],
    ways: Iterable[str],
    region: str,
    discount: float = 0.0,
    own_usd_per_chip_h: float = 0.0,
) -> pd.DataFrame:
    """What several systems rent for, by way of buying, one row an offer.

    Parameters
    ----------
    systems : sequence of System
        What can be rented; the reader's own rent is that of the first
    ways : iterable of str
        Terms, or `COMMITMENT`
    region : str
        Where it is looked for first
    discount : float
        Share off listed rents [-]
    own_usd_per_chip_h : float
        What the reader pays for the first system, however it is bought; 0 for none [USD/h]

    Returns
    -------
    pandas.DataFrame
        Columns ``system``, ``chip``, ``way``, ``term``, ``rent`` [USD/h], ``place``, ``here``,
        ``date``, ``offer``, ``status``, ``source_id``
    """
    rows = []
    for i, system in enumerate(systems):
        own = own_usd_per_chip_h if i == 0 else 0.0
        for way in dict.fromkeys(ways):
            try:
                rent = paid(system, way, region, own, discount)
            except data.UnknownId:
                continue
            rows.append(
                {
                    "system": system.id,
                    "chip": system.chip.name,
                    "way": way,
                    "term": rent.term,
                    "rent": rent.usd_per_chip_h,
                    "place": rent.region,
                    "here": rent.here,
                    "date": rent.date,
                    "offer": rent.offer,
                    "status": rent.status,
                    "source_id": rent.source_id,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def ties_with(
    offered: pd.DataFrame, speeds: Mapping[str, np.ndarray], subject: str
) -> pd.DataFrame:
    """The rent of one chip at which it ties with every offer, the lowest first.

    Parameters
    ----------
    offered : pandas.DataFrame
        From `offers`
    speeds : Mapping of str to array of three
        Low, middle and high of the work per chip while busy, by the id of the system [1/s]
    subject : str
        Id of the system in question

    Returns
    -------
    pandas.DataFrame
        The offers whose system has a speed, with ``low``, ``even`` and ``high`` [USD/h]
    """
    found = offered[offered["system"].isin(list(speeds))]
    found = found[found["system"] != subject].reset_index(drop=True)
    evens = [
        break_even(speeds[subject], speeds[offer.system], offer.rent)
        for offer in found.itertuples()
    ]
    found["low"] = [even.low for even in evens]
    found["even"] = [even.middle for even in evens]
    found["high"] = [even.high for even in evens]
    return found.iloc[ties.order(found["even"].to_numpy())].reset_index(drop=True)


def verdicts(tied: pd.DataFrame, rent_usd_per_chip_h: float) -> list[words.Verdict]:
    """What a rent says against every row of `ties_with`.

    Parameters
    ----------
    tied : pandas.DataFrame
        With ``low``, ``even`` and ``high``
    rent_usd_per_chip_h : float
        Rent of the system in question [USD/h]

    Returns
    -------
    list of Verdict
        One a row; better means cheaper
    """
    ends = tied[["low", "even", "high"]].itertuples(index=False)
    return [BreakEven(*row).verdict(rent_usd_per_chip_h) for row in ends]


def bought(term: str) -> str:
    """A way of buying in a sentence.

    Parameters
    ----------
    term : str
        A term of ``data/prices.csv``, `COMMITMENT`, or "own"

    Returns
    -------
    str
        For example "by Capacity Block"
    """
    names = data.table("labels").set_index("name")["label"]
    return SAID.get(term) or f"{names.get(term, term)}"


def where(region: str) -> str:
    """A place in words.

    Parameters
    ----------
    region : str
        As in ``data/prices.csv``

    Returns
    -------
    str
        For example "us-east-2" or "Dallas (Local Zone)"
    """
    names = data.table("labels").set_index("name")["label"]
    return str(names.get(region, region.replace("_", "-"))) if region else "any place"


def terms_of(term: str, region: str) -> str:
    """How and where something is bought.

    Parameters
    ----------
    term, region : str
        As in the rows of `offers`

    Returns
    -------
    str
        In words

    Examples
    --------
    >>> terms_of("capacity_block", "us_east_1_dfw"), terms_of("own", "")
    ('by Capacity Block (Dallas Local Zone)', 'at your own rent')
    """
    return bought(term) + (f" ({where(region)})" if region else "")


def dated(usd_per_chip_h: float, date: str) -> str:
    """A rent with its day, if it has one.

    Parameters
    ----------
    usd_per_chip_h : float
        The rent [USD/h]
    date : str
        ISO date, or nothing

    Returns
    -------
    str
        In words
    """
    return words.money(usd_per_chip_h) + (f", {words.day(date)}" if date else "")


def listed_tokens(input_tokens: float, output_tokens: float, model: str = "") -> pd.DataFrame:
    """List prices of tokens, for requests of one shape, the cheapest first.

    Parameters
    ----------
    input_tokens, output_tokens : float
        Prompt and answer [tokens]
    model : str
        Id of a model; all of them without it

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``seller``, ``day``, ``source_id``; ``usd_in`` and ``usd_out`` of a
        million tokens read and written; ``usd_per_mtok``, a million output tokens with their
        prompts [USD]; no row where no list price is known

    Examples
    --------
    >>> row = listed_tokens(3000, 1000, "llama3_3_70b").iloc[0]
    >>> bool(abs(row["usd_per_mtok"] - 3 * row["usd_in"] - row["usd_out"]) < 1e-9)
    True
    """
    rows = data.table("prices")
    rows = rows[(rows["term"] == "api_list") & (rows["use"] == "yes")]
    rows = rows[rows["subject"] == model] if model else rows
    keys = {"subject": "model", "basis": "seller", "price_date": "day", "source_id": "source_id"}
    wide = rows.pivot_table(index=list(keys), columns="quantity", values="value")
    wide = wide.reindex(columns=TOKEN_PRICES).dropna().set_axis(["usd_in", "usd_out"], axis=1)
    found = wide.reset_index().rename(columns=keys)
    found["usd_per_mtok"] = found["usd_in"] * input_tokens / output_tokens + found["usd_out"]
    return found.iloc[ties.order(found["usd_per_mtok"].to_numpy(float))].reset_index(drop=True)


TOKEN_PRICES = ["price_input_usd_per_mtok", "price_output_usd_per_mtok"]


def availability(systems: Sequence[hardware.System], offered: pd.DataFrame) -> pd.DataFrame:
    """Where each system can be had, and where it was looked for and is not; a published price
    counts as an offer.

    Parameters
    ----------
    systems : sequence of System
        What is wanted
    offered : pandas.DataFrame
        From `offers`

    Returns
    -------
    pandas.DataFrame
        Columns ``System``, ``Offered`` and ``Looked for and not offered``, in words with the day of
        the last reading
    """
    rows = data.table("prices")
    rows = rows[rows["quantity"] == "offered"]
    prices = offered[~offered["term"].isin(NO_OFFER)]
    found = []
    for system in systems:
        mine = rows[rows["subject"] == system.id]
        listed_here = prices[prices["system"] == system.id]
        has = [
            _read(row.term, row.region, row.price_date) for row in mine.itertuples() if row.value
        ]
        has += [_read(row.term, row.place, row.date) for row in listed_here.itertuples()]
        lacks = [
            _read(row.term, row.region, row.price_date)
            for row in mine.itertuples()
            if not row.value
        ]
        found.append([system.name, _listing(has), _listing([*lacks, *_refused(system.chip.id)])])
    return pd.DataFrame(found, columns=["System", "Offered", "Looked for and not offered"])


NO_OFFER = ("own", "typical", "spot", "assumed")
"""Terms whose price is nobody's offer: a spot price may be quoted where every launch fails."""


def _refused(chip: str) -> list[str]:
    """Spot prices of a chip at which no launch succeeded."""
    rows = data.table("prices")
    rows = rows[(rows["subject"] == chip) & (rows["term"] == "spot")]
    quoted = rows[rows["quantity"] == "price_usd_per_chip_h"]
    refused = rows[(rows["quantity"] == "n_spot_launches_refused") & (rows["value"] > 0)]
    if quoted.empty or refused.empty:
        return []
    price, launches = quoted["value"].iloc[0], refused.iloc[0]
    return [
        f"spot, quoted at {words.money(price)}: all {launches['value']:.0f} launches of a public "
        f"test were refused ({words.day(launches['price_date'])})"
    ]


def _read(term: str, region: str, day: str) -> str:
    return f"{bought(term)}, {where(region)} ({words.day(str(day))})"


def _listing(found: list[str]) -> str:
    return "; ".join(dict.fromkeys(found)) or "—"
