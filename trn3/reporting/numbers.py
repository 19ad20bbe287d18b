"""Every number of the tables with its range, status and source, for one page that can be searched."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trn3 import data
from trn3.show import story, words
from trn3.study import claims

Row = Mapping[str, Any]
TABLES = ("specs", "systems", "prices", "assumptions", "sites", "failures")
HARDWARE = ("chip", "system", "cluster")
"""Kinds of subjects that come first, in this order."""

MISSING = {"undisclosed": "not published", "unsupported": "not supported"}
UNITS = {"-": "", "count": "", "x": "×"}
COUNTED = {
    "training_runs": ("source_key", "training run"),
    "inference_runs": ("source_id", "serving run"),
    "models": ("source_id", "model shape"),
}
"""Other tables that name their source, in which column, and what a row is."""


@dataclass(frozen=True)
class Number:
    """A row of the page.

    Attributes
    ----------
    label, code : str
        What it is, in words and in the data.
    value, span, unit, status : str
        As a table shows them.
    note : str
        How it was found.
    source : str
        Id of its source.
    spare : bool
        Whether another reading of the same is in use.
    """

    label: str
    code: str
    value: str
    span: str
    unit: str
    status: str
    note: str
    source: str
    spare: bool = False


@dataclass(frozen=True)
class Subject:
    """What several numbers are about.

    Attributes
    ----------
    id, name : str
        In data and in words.
    about : str
        Maker, kind, since when.
    numbers : list of Number
        In reading order.
    is_hardware : bool
        Whether it is a chip, a system or a cluster.
    """

    id: str
    name: str
    about: str
    numbers: list[Number]
    is_hardware: bool = False


def subjects() -> list[Subject]:
    """Gather all numbers by what they are about: chips, systems, clusters, then the rest.

    Returns
    -------
    list of Subject
        Those of AWS first, the newest first.
    """
    order = _places()
    rows = [row for table in TABLES for row in data.table(table).to_dict("records")]
    rows.sort(key=lambda row: str(row.get("price_date")), reverse=True)
    rows.sort(key=lambda row: _place(row, order))
    used = {_key(row) for row in rows if row["use"] == "yes"}
    found: dict[str, list[Number]] = {}
    for row in rows:
        spare = row["use"] != "yes" and _key(row) in used
        found.setdefault(row["subject"], []).append(_number(row, spare))
    for subject, number in _claims():
        found.setdefault(subject, []).append(number)
    known = {row["id"]: row for row in data.table("subjects").to_dict("records")}
    return [_subject(name, found[name], known) for name in sorted(found, key=_rank(known))]


def _places() -> dict[str, int]:
    """Reading order of the names of quantities, formats and terms."""
    return {name: place for place, name in enumerate(data.table("labels")["name"])}


def _place(row: Row, order: Mapping[str, int]) -> list[int]:
    parts = (row["quantity"], row["dtype"], row.get("term", ""), row["basis"])
    return [order.get(str(part), -1) for part in parts]


def _key(row: Row) -> tuple[Any, ...]:
    """What only one row in use can be."""
    parts = ("subject", "quantity", "dtype", "basis", "region", "term")
    return tuple(row.get(part, "") for part in parts)


def _rank(known: Mapping[str, Row]) -> Any:
    """A key that sorts subjects: kinds, AWS before others, the newest first."""
    newest = sorted({row["since"] for row in known.values()}, reverse=True)

    def rank(name: str) -> tuple[Any, ...]:
        row = known.get(name)
        if row is None or row["kind"] not in HARDWARE:
            return len(HARDWARE), data.named(name).lower()
        vendor = row["vendor"]
        return HARDWARE.index(row["kind"]), vendor != "AWS", vendor, newest.index(row["since"])

    return rank


def _subject(name: str, numbers: list[Number], known: Mapping[str, Row]) -> Subject:
    row = known.get(name)
    if row is None:
        return Subject(name, _capital(data.named(name).replace("_", " ")), "", numbers)
    since = f"since {month(row['since'])}" if row["since"] else ""
    parts = (f"{row['vendor']} {row['kind']}", row["availability"], since)
    about = ", ".join(filter(None, parts))
    return Subject(name, row["name"], about, numbers, row["kind"] in HARDWARE)


def _number(row: Row, spare: bool) -> Number:
    quantity = str(row["quantity"])
    details = [data.named(str(row.get(part) or "")) for part in ("dtype", "basis")]
    offer = [data.named(str(row.get(part) or "")) for part in ("term", "region")]
    day = month(str(row.get("price_date") or ""))
    label = ", ".join(filter(None, [_capital(data.named(quantity)), *details, *offer, day]))
    note = words.neat(story.derivation(str(row["note"]), row["subject"]))
    return Number(label, quantity, *shown(row), row["status"], note, row["source_id"], spare)


def _claims() -> Iterable[tuple[str, Number]]:
    """The launch claims with their verdicts, as numbers of what they are about."""
    verdict = claims.verdicts().set_index("id")["verdict"]
    for row in data.table("claims").to_dict("records"):
        label = f"“{row['wording']}” ({row['claimant']})"
        value, _, unit = shown({**row, "value": row["claimed"], "status": ""})
        status, note = verdict[row["id"]], words.neat(row["reason"])
        yield row["subject"], Number(label, "", value, "", unit, status, note, row["source_id"])


def shown(row: Row) -> tuple[str, str, str]:
    """Write value, range and unit as a table shows them, in the published unit.

    Parameters
    ----------
    row : mapping
        Of a table of the long form.

    Returns
    -------
    tuple of str
        Value, range, unit.
    """
    value, low, high = (row.get(key) for key in ("value", "low", "high"))
    unit = str(row["unit"] or "")
    if row["status"] in MISSING:
        return MISSING[row["status"]], "", ""
    if low == high == value:
        low = high = None
    ends = [plain(end) for end in (low, high)]
    between = " to " if ends[0].startswith("−") else "–"
    span = between.join(ends) if all(ends) else ""
    return plain(value) or "—", span, UNITS.get(unit, unit)


def plain(value: Any) -> str:
    """Write a number of a table in full.

    Parameters
    ----------
    value : object
        A number, text or nothing.

    Returns
    -------
    str
        With commas and a true minus sign.

    Examples
    --------
    >>> plain(-131072.5), plain(float("nan"))
    ('−131,072.5', '')
    """
    if not isinstance(value, int | float):
        return str(value or "")
    return "" if math.isnan(value) else f"{value:,.10g}".replace("-", "−")


def month(text: str) -> str:
    """Write a day, or a month where no day is known.

    Parameters
    ----------
    text : str
        ISO date or month; anything else is given back.

    Returns
    -------
    str
        For prose.

    Examples
    --------
    >>> month("2026-07"), month("2026-07-22")
    ('Jul 2026', '22 Jul 2026')
    """
    if len(text) == len("2026-07"):
        return words.day(f"{text}-01").partition(" ")[2]
    return words.day(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def counts() -> dict[str, list[str]]:
    """Count what else the tables take from each source.

    Returns
    -------
    dict
        Words such as "12 training runs" by the source's id.
    """
    found: dict[str, list[str]] = {}
    for table, (column, word) in COUNTED.items():
        for source, n in data.table(table)[column].value_counts().items():
            found.setdefault(str(source), []).append(f"{n} {word}{'s' if n > 1 else ''}")
    return found


def uses(reports: Sequence[Row]) -> dict[str, list[Row]]:
    """Find the reports that were made with a chip or system, or that list a source.

    Parameters
    ----------
    reports : sequence of mapping
        Manifest line of each report.

    Returns
    -------
    dict
        Reports by the id of what they use.
    """
    table = data.table("subjects")
    chips = dict(zip(table["id"], table["chip"], strict=True))
    found: dict[str, list[Row]] = {}
    for report in reports:
        named = list(_texts(report["parameters"].values()))
        inside = [chips[name] for name in named if chips.get(name)]
        for name in dict.fromkeys([*named, *inside, *report.get("sources", [])]):
            found.setdefault(name, []).append(report)
    return found


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield from _texts(value) if isinstance(value, list) else [str(value)]
