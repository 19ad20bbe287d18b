"""Every number of the tables with range, status and source, for a page that can be searched."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trn3 import data
from trn3.show import story, words
from trn3.study import claims

Row = Mapping[str, Any]
TABLES = ("specs", "systems", "prices", "assumptions", "sites", "failures")
HARDWARE = ("chip", "system", "cluster")
"""Kinds of subjects that come first, in this order."""

READING = ("subject", "quantity", "dtype", "basis", "region", "term")
"""What tells one number from another; of several readings of one, one is in use."""

ORDER = ("quantity", "dtype", "term", "basis")
"""By what the numbers of a subject are sorted, each in the order of ``labels.csv``."""

MISSING = {"undisclosed": "not published", "unsupported": "not supported"}
UNITS = {"-": "", "count": "", "x": "×"}
COUNTED = {
    "training_runs": ("source_key", "training run"),
    "inference_runs": ("source_id", "serving run"),
    "models": ("source_id", "model shape"),
}
"""Other tables that name their source, in which column, and what a row is."""


def subjects() -> list[dict[str, Any]]:
    """Gather all numbers by what they are about: chips, systems, clusters, then the rest.

    Returns
    -------
    list of dict
        Rows of ``subjects.csv`` with their ``numbers``, those of AWS first, the newest first; what
        has no row there has a name alone.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in [*_rows(), *_claims()]:
        found.setdefault(row["subject"], []).append(row | shown(row))
    table = data.table("subjects").sort_values("since", ascending=False, kind="stable")
    known = sorted(table.to_dict("records"), key=_rank)
    unknown = sorted(set(found) - set(table["id"]), key=data.named)
    named = [*known, *({"id": name, "name": data.named(name)} for name in unknown)]
    return [
        {**subject, "numbers": found[subject["id"]]} for subject in named if subject["id"] in found
    ]


def _rows() -> list[dict[str, Any]]:
    """Rows of the long tables in reading order, the newest price first; a row is ``spare`` while
    another reading of the same is in use.
    """
    places = {name: place for place, name in enumerate(data.table("labels")["name"])}
    rows = [row for table in TABLES for row in data.table(table).to_dict("records")]
    used = {_reading(row) for row in rows if row["use"] == "yes"}
    for row in rows:
        row["spare"] = row["use"] != "yes" and _reading(row) in used
    rows.sort(key=lambda row: str(row.get("price_date")), reverse=True)
    rows.sort(key=lambda row: [places.get(row.get(part, ""), -1) for part in ORDER])
    return rows


def _reading(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(part, "") for part in READING)


def _claims() -> list[dict[str, Any]]:
    """The launch claims as numbers of what they are about, their verdicts as status."""
    return [
        {
            "subject": row["subject"],
            "label": f"“{row['wording']}” ({row['claimant']})",
            "value": row["claimed"],
            "unit": row["unit"],
            "status": row["verdict"],
            "note": row["reason"],
            "source_id": row["source_id"],
        }
        for row in claims.verdicts().to_dict("records")
    ]


def _rank(row: Row) -> tuple[Any, ...]:
    """Chips, systems, clusters, each with AWS first and what is announced last; then the rest."""
    kind = row["kind"]
    place = HARDWARE.index(kind) if kind in HARDWARE else len(HARDWARE)
    return place, row["vendor"] != "AWS", row["vendor"], row["availability"] != "available"


def shown(row: Row) -> dict[str, str]:
    """Write value, range, unit and note as a table shows them, in the published unit.

    Parameters
    ----------
    row : mapping
        Of a table of the long form.

    Returns
    -------
    dict
        ``value``, ``span``, ``unit``, ``note``.
    """
    note = words.neat(story.derivation(str(row.get("note") or ""), row["subject"]))
    if row["status"] in MISSING:
        return {"value": MISSING[row["status"]], "span": "", "unit": "", "note": note}
    value, low, high = (plain(row.get(key)) for key in ("value", "low", "high"))
    between = " to " if low.startswith("−") else "–"
    return {
        "value": value or "—",
        "span": between.join([low, high]) if low and high and low != high else "",
        "unit": UNITS.get(row["unit"], str(row["unit"] or "")),
        "note": note,
    }


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
    chips = dict(data.table("subjects")[["id", "chip"]].itertuples(index=False))
    found: dict[str, list[Row]] = {}
    for report in reports:
        named = list(_texts(report["parameters"].values()))
        inside = [chips.get(name, "") for name in named]
        for name in dict.fromkeys([*named, *inside, *report.get("sources", [])]):
            found.setdefault(name, []).append(report)
    return found


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield from _texts(value) if isinstance(value, list) else [str(value)]
