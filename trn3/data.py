"""Every number with its source: CSV tables in ``data/``, typed and checked on reading, and the facts in them.

The tables and their columns are described once, in ``data/datapackage.json``; this module reads that description, so
a new column or a new allowed word is an edit there. Tables of the *long form* hold one number per row, in the unit in
which it was published; a `Fact` gives it in SI units. Rates per hour, per kWh and money keep their customary units.
"""

from __future__ import annotations

import ast
import csv
import itertools
import json
import math
import operator
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trn3 import units as u

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(os.environ.get("TRN3_DATA") or Path(__file__).resolve().parent.parent / "data")
"""The folder of the tables; the environment variable TRN3_DATA names another one."""

Row = dict[str, Any]
_MONEY = {"USD": 1.0, "kUSD": u.KILO, "MUSD": u.MEGA, "BUSD": u.GIGA}
UNITS: dict[str, tuple[float, str]] = {
    **{p + "FLOP/s": (f, "FLOP/s") for p, f in (("", 1.0), ("G", u.GIGA), ("T", u.TERA), ("P", u.PETA))},
    **{"TOP/s": (u.TERA, "FLOP/s"), "EFLOP/s": (u.KILO * u.PETA, "FLOP/s"), "FLOP": (1.0, "FLOP")},
    **{"B": (1.0, "B"), "KiB": (u.KIB, "B"), "MiB": (u.MIB, "B"), "GiB": (u.GIB, "B"), "TB": (u.TERA, "B")},
    **{"GB": (u.GIGA, "B"), "MB": (u.MEGA, "B"), "GB/s": (u.GIGA, "B/s"), "TB/s": (u.TERA, "B/s")},
    **{"GiB/s": (u.GIB, "B/s"), "Gbit/s": (u.GIGA / 8, "B/s"), "Tbit/s": (u.TERA / 8, "B/s")},
    **{"W": (1.0, "W"), "kW": (u.KILO, "W"), "MW": (u.MEGA, "W"), "GW": (u.GIGA, "W"), "GHz": (u.GIGA, "Hz")},
    **{"ns": (1e-9, "s"), "us": (1e-6, "s"), "ms": (1e-3, "s"), "s": (1.0, "s"), "min": (60.0, "s")},
    **{"h": (u.HOUR_S, "s"), "d": (u.DAY_S, "s"), "week": (7 * u.DAY_S, "s"), "yr": (u.YEAR_S, "s")},
    **{"-": (1.0, "-"), "x": (1.0, "-"), "count": (1.0, "-"), "%": (0.01, "-")},
    **{k: (f, "USD") for k, f in _MONEY.items()},
    **{k + "/yr": (f, "USD/yr") for k, f in _MONEY.items()},
    **{"USD/W": (1.0, "USD/W"), "MUSD/MW": (1.0, "USD/W"), "BUSD/GW": (1.0, "USD/W"), "USD/h": (1.0, "USD/h")},
    **{"USD/kWh": (1.0, "USD/kWh"), "US cent/kWh": (0.01, "USD/kWh"), "USD/MWh": (1e-3, "USD/kWh")},
    **{k: (1.0, k) for k in ("USD/Mtok", "USD/kW-month", "EUR/kWh", "JPY/kWh", "USD/week", "pJ", "pJ/B", "pJ/FLOP")},
    **{k: (1.0, k) for k in ("gCO2e/kWh", "kgCO2e", "L/kWh", "1/h", "nm", "1/node-d", "J/FLOP", "J/B")},
}
"""Factor to SI and the SI unit of every unit that a table may use."""


TrnError = u.TrnError
"""Base of every error that a user may see; defined beside the units, so that formulas can raise it too."""


class DataError(TrnError):
    """A table in ``data/`` is broken; names the file, the line and the column."""


class UnknownId(TrnError):  # noqa: N818
    """A name that no table holds; suggests the nearest."""


@dataclass(frozen=True)
class Fact:
    """One number with its range and provenance.

    Attributes
    ----------
    subject, quantity : str
        What it describes, and which property.
    value, low, high : float
        In SI units; all three are equal where no range is given, NaN where nothing is published [`unit`].
    unit : str
        The SI unit of value, low and high.
    per, basis, dtype : str
        The reference quantity, the reading and the number format, where they apply.
    status : str
        published, measured, derived, reported, assumed, undisclosed or unsupported.
    use : bool
        Whether this row is the one that the models take.
    source_id, locator, accessed, note : str
        Where it was read and when, and what to know about it.
    shown_unit : str
        The unit in the table.
    scale : float
        SI units per `shown_unit`, so ``value / scale`` is the published figure [-].
    """

    subject: str
    quantity: str
    value: float
    low: float
    high: float
    unit: str
    per: str
    basis: str
    dtype: str
    status: str
    use: bool
    source_id: str
    locator: str
    accessed: str
    note: str
    shown_unit: str
    scale: float

    @property
    def range(self) -> np.ndarray:
        """Low, value and high as an array [`unit`]."""
        return np.array([self.low, self.value, self.high])


def _fault(name: str, line: int, column: str, text: str) -> DataError:
    return DataError(f"data/{name}.csv line {line}, column {column}: {text}")


@lru_cache(maxsize=8)
def _package(folder: Path) -> Row:
    path = folder / "datapackage.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"data/datapackage.json: {error}") from None


def _schema(folder: Path, name: str) -> Row:
    known = {r["name"]: r["schema"] for r in _package(folder)["resources"]}
    return dict(known.get(name, {}))


def _cell(name: str, line: int, field: Row, text: str) -> Any:
    rules, column = field.get("constraints", {}), field["name"]
    if text == "":
        if rules.get("required"):
            raise _fault(name, line, column, "is empty")
        return math.nan if field["type"] in ("number", "integer") else ""
    if "enum" in rules and text not in rules["enum"]:
        raise _fault(name, line, column, f"{text!r} is none of {', '.join(rules['enum'])}")
    if field["type"] not in ("number", "integer"):
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (field["type"] == "integer" and number != int(number)):
        raise _fault(name, line, column, f"{text!r} is not a finite {field['type']}")
    return int(number) if field["type"] == "integer" else number


@lru_cache(maxsize=64)
def _rows(folder: Path, name: str) -> tuple[Row, ...]:
    fields = _schema(folder, name).get("fields")
    try:
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except OSError as error:
        raise DataError(f"data/{name}.csv: {error.strerror}") from None
    fields = fields or [{"name": column, "type": "string"} for column in header]
    if header != [f["name"] for f in fields]:
        odd = sorted({f["name"] for f in fields} ^ set(header)) or ["their order"]
        raise _fault(name, 1, odd[0], "the header differs from datapackage.json in " + ", ".join(odd))
    rows = []
    for line, cells in lines:
        if len(cells) != len(fields):
            raise _fault(name, line, header[min(len(cells), len(header)) - 1], f"{len(cells)} cells, not {len(fields)}")
        rows.append({"_line": line} | {f["name"]: _cell(name, line, f, c) for f, c in zip(fields, cells)})
    _check_keys(folder, name, rows)
    if {"value", "low", "high", "status", "use"} <= set(header):
        _check_long(name, rows)
    return tuple(rows)


def _check_keys(folder: Path, name: str, rows: list[Row]) -> None:
    schema = _schema(folder, name)
    for key in schema.get("foreignKeys", []):
        (column,), reference = key["fields"], key["reference"]
        known = {r[reference["fields"][0]] for r in _rows(folder, reference["resource"])}
        for row in rows:
            if row[column] and row[column] not in known:
                raise _fault(name, row["_line"], column, f"{row[column]!r} is not in data/{reference['resource']}.csv")
    key, seen = schema.get("primaryKey", []), {}
    for row in rows if key else []:
        value = tuple(row[c] for c in key)
        if value in seen:
            raise _fault(name, row["_line"], key[0], f"repeats line {seen[value]} ({', '.join(map(str, value))})")
        seen[value] = row["_line"]


def _group(row: Row) -> tuple[str, ...]:
    return tuple(row.get(c, "") for c in ("subject", "quantity", "dtype", "basis", "region", "term"))


def _check_long(name: str, rows: list[Row]) -> None:
    used: dict[tuple[str, ...], int] = {}
    for row in rows:
        line, value, low, high = row["_line"], row["value"], row["low"], row["high"]
        if row["unit"] not in UNITS:
            raise _fault(name, line, "unit", f"{row['unit']!r} is unknown{_nearest(row['unit'], UNITS)}")
        if math.isnan(low) != math.isnan(high) or not (math.isnan(low) or low <= value <= high):
            raise _fault(name, line, "low", f"low, value, high = {low:g}, {value:g}, {high:g} are not in order")
        if row["status"] == "assumed" and math.isnan(low):
            raise _fault(name, line, "low", "an assumed number needs low and high")
        if math.isnan(value) != (row["status"] in ("undisclosed", "unsupported")):
            raise _fault(name, line, "value", f"status {row['status']} does not go with value {value:g}")
        if row["status"] == "derived" and not row["note"].startswith("= "):
            raise _fault(name, line, "note", "a derived number gives its arithmetic, '= ...'")
        if row["use"] == "yes" and used.setdefault(_group(row), line) != line:
            raise _fault(name, line, "use", f"line {used[_group(row)]} is already in use for this quantity")
    for row in rows:
        if not math.isnan(row["value"]) and _group(row) not in used:
            raise _fault(name, row["_line"], "use", f"no row of {row['subject']} {row['quantity']} has use=yes")


def _nearest(text: str, known: Iterable[str]) -> str:
    near = get_close_matches(text, list(known), 3, 0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


@lru_cache(maxsize=64)
def _table(folder: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(_rows(folder, name))).drop(columns="_line", errors="ignore")


def table(name: str) -> pd.DataFrame:
    """One table of ``data/``, typed and checked, in published units.

    Parameters
    ----------
    name : str
        File name without its ending, such as ``specs`` or ``prices``.

    Returns
    -------
    pandas.DataFrame
        A copy; numbers as floats with NaN for an empty cell, everything else as text.

    Raises
    ------
    DataError
        Names the file, line and column of the first fault.

    Examples
    --------
    >>> int(table("subjects").query("id == 'trainium3'").shape[0])
    1
    """
    return _table(DATA, name).copy()


def to_fact(row: Row) -> Fact:
    """Make a fact of a row of a long table.

    Parameters
    ----------
    row : dict
        A row of a table of the long form, published units.

    Returns
    -------
    Fact
        The same in SI units.
    """
    scale, unit = UNITS[row["unit"]]
    low, high = (row["value"] if math.isnan(row[k]) else row[k] for k in ("low", "high"))
    texts = {k: row[k] for k in ("subject", "quantity", "per", "basis", "dtype", "status", "source_id", "locator")}
    return Fact(
        value=row["value"] * scale, low=low * scale, high=high * scale, unit=unit, shown_unit=row["unit"], scale=scale,
        use=row["use"] == "yes", accessed=row["accessed"], note=row["note"], **texts,
    )  # fmt: skip


_FACT_TABLES = ("specs", "systems", "sites", "failures")


@lru_cache(maxsize=8)
def _facts(folder: Path) -> dict[tuple[str, ...], Fact]:
    rows = itertools.chain.from_iterable(_rows(folder, t) for t in _FACT_TABLES)
    return {_group(r)[:4]: to_fact(r) for r in rows if r["use"] == "yes"}


@lru_cache(maxsize=8)
def _assumed(folder: Path) -> dict[str, Fact]:
    return {r["quantity"]: to_fact(r) for r in _rows(folder, "assumptions") if r["use"] == "yes"}


def maybe(subject: str, quantity: str, dtype: str = "", basis: str = "") -> Fact | None:
    """The fact that the models take, or None where the tables hold none.

    Parameters
    ----------
    subject, quantity : str
        A chip, system, site or fleet, and its property.
    dtype, basis : str
        Number format and reading, where the quantity has several.

    Returns
    -------
    Fact or None
        The row marked ``use = yes``.
    """
    return _facts(DATA).get((subject, quantity, dtype, basis))


def fact(subject: str, quantity: str, dtype: str = "", basis: str = "") -> Fact:
    """The fact that the models take.

    Parameters
    ----------
    subject, quantity : str
        A chip, system, site or fleet, and its property.
    dtype, basis : str
        Number format and reading, where the quantity has several.

    Returns
    -------
    Fact
        The row marked ``use = yes``, in SI units.

    Raises
    ------
    UnknownId
        When no row has this subject and quantity; suggests the nearest.

    Examples
    --------
    AWS's page for Trainium3 prints 2,517 TFLOP/s for MXFP8.

    >>> fact("trainium3", "peak_flops_per_s", "mxfp8").value
    2517000000000000.0
    """
    found = maybe(subject, quantity, dtype, basis)
    if found is None:
        keys = [k for k in _facts(DATA) if k[0] == subject]
        if not keys:
            subjects = {k[0] for k in _facts(DATA)}
            raise UnknownId(f"subject {subject!r} has no facts{_nearest(subject, subjects)}")
        asked = " ".join(filter(None, (quantity, dtype, basis)))
        names = [" ".join(filter(None, k[1:])) for k in keys]
        raise UnknownId(f"{subject} has no {asked!r}{_nearest(asked, names)}")
    return found


def facts(subject: str) -> list[Fact]:
    """All rows about a subject, conflicting values too.

    Parameters
    ----------
    subject : str
        A chip, system, site or fleet.

    Returns
    -------
    list of Fact
        In the order of the tables.
    """
    rows = itertools.chain.from_iterable(_rows(DATA, t) for t in _FACT_TABLES)
    return [to_fact(r) for r in rows if r["subject"] == subject]


def assumption(name: str) -> Fact:
    """An assumed constant of ``data/assumptions.csv``.

    Parameters
    ----------
    name : str
        Its name, the column ``quantity``.

    Returns
    -------
    Fact
        With low and high, in SI units.

    Raises
    ------
    UnknownId
        When there is none of this name; suggests the nearest.

    Examples
    --------
    >>> bool(assumption("restart_s").low <= assumption("restart_s").value)
    True
    """
    if name not in _assumed(DATA):
        raise UnknownId(f"assumption {name!r} is unknown{_nearest(name, _assumed(DATA))}")
    return _assumed(DATA)[name]


def price(subject: str, term: str, region: str = "", basis: str = "") -> Fact:
    """A price per chip-hour of ``data/prices.csv``.

    Parameters
    ----------
    subject : str
        A chip.
    term : str
        on_demand, spot, capacity_block, reserved_1y, reserved_3y, neocloud, tco, ...
    region, basis : str
        The region and the offer (an instance type or a seller); any where empty, the first in the table's order.

    Returns
    -------
    Fact
        The row in use [USD/h].

    Raises
    ------
    UnknownId
        When there is no such price; names the terms that there are.
    """
    rows = [r for r in _rows(DATA, "prices") if r["subject"] == subject and r["quantity"] == "price_usd_per_chip_h"]
    for row in rows:
        if (
            row["use"] == "yes"
            and row["term"] == term
            and region in ("", row["region"])
            and basis in ("", row["basis"])
        ):
            return to_fact(row)
    terms = sorted({f"{r['term']} {r['region']}".strip() for r in rows if r["use"] == "yes"}) or ["none"]
    raise UnknownId(
        f"{subject} has no {' '.join(filter(None, (term, region, basis)))} price; there are: {', '.join(terms)}"
    )


def sources(ids: Iterable[str]) -> pd.DataFrame:
    """The sources of these ids, in the order of ``data/sources.csv``.

    Parameters
    ----------
    ids : iterable of str
        Source ids; repeats are dropped.

    Returns
    -------
    pandas.DataFrame
        id, publisher, title, url, published, accessed, licence.

    Raises
    ------
    UnknownId
        Names an id that is not in the table.
    """
    frame, wanted = table("sources"), set(ids)
    for odd in sorted(wanted - set(frame["id"])):
        raise UnknownId(f"source {odd!r} is not in data/sources.csv{_nearest(odd, frame['id'])}")
    return frame[frame["id"].isin(wanted)].reset_index(drop=True)


def ids(kind: str) -> list[str]:
    """The ids of a kind, sorted.

    Parameters
    ----------
    kind : str
        chip, system, region, fleet, model, term, dtype or source.

    Returns
    -------
    list of str
        As stored.

    Raises
    ------
    UnknownId
        When there is no such kind.
    """
    columns = {
        "model": ("models", "id"),
        "source": ("sources", "id"),
        "term": ("prices", "term"),
        "dtype": ("specs", "dtype"),
    }
    if kind in columns:
        name, column = columns[kind]
        return sorted({r[column] for r in _rows(DATA, name)} - {""})
    kinds: dict[str, list[str]] = {}
    for row in _rows(DATA, "subjects"):
        kinds.setdefault(row["kind"], []).append(row["id"])
    if kind not in kinds:
        raise UnknownId(f"kind {kind!r} is unknown; there are: {', '.join(sorted([*kinds, *columns]))}")
    return sorted(kinds[kind])


def resolve(kind: str, text: str) -> str:
    """The id that a person means: any case, hyphens, dots and spaces for underscores, and the common aliases.

    Parameters
    ----------
    kind : str
        chip, system, region, fleet, model, term, dtype or source.
    text : str
        What was typed.

    Returns
    -------
    str
        The id.

    Raises
    ------
    UnknownId
        Names the nearest ids.

    Examples
    --------
    >>> resolve("chip", "Trainium-3"), resolve("chip", "trn3"), resolve("region", "us-east-2")
    ('trainium3', 'trainium3', 'us_east_2')
    """
    known = {_plain(i): i for i in ids(kind)}
    aliases = {
        a: r["id"] for r in _rows(DATA, "subjects") if r["kind"] == kind for a in map(_plain, r["aliases"].split())
    }
    wanted = _plain(text)
    if wanted not in known and wanted not in aliases:
        near = get_close_matches(wanted, [*known, *aliases], 3, 0.5)
        names = list(dict.fromkeys(known.get(n) or aliases[n] for n in near)) or sorted(known.values())[:8]
        raise UnknownId(f"{kind} {text!r} is unknown; did you mean {' or '.join(names)}?")
    return known.get(wanted) or aliases[wanted]


def _plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def data_date() -> date:
    """The day on which the tables were last surveyed; pages reckon ages from it, never from the clock.

    Returns
    -------
    datetime.date
        From ``data/datapackage.json``.
    """
    return date.fromisoformat(_package(DATA)["data_date"])


def age_days(day: str, today: date | None = None) -> int:
    """Days since a price was read.

    Parameters
    ----------
    day : str
        ISO date; a year or a month means its first day.
    today : datetime.date, optional
        The day to reckon from; the tables' own date where omitted.

    Returns
    -------
    int
        Age [d].

    Examples
    --------
    >>> age_days("2026-07", date(2026, 7, 31))
    30
    """
    return ((today or data_date()) - date.fromisoformat((day + "-01-01")[:10] if len(day) < 10 else day[:10])).days


def stale(day: str, today: date | None = None) -> bool:
    """Whether a price is older than the limit in ``data/assumptions.csv`` (180 days).

    Parameters
    ----------
    day : str
        ISO date on which it was read.
    today : datetime.date, optional
        The day to reckon from; the tables' own date where omitted.

    Returns
    -------
    bool
        True when a page must warn.
    """
    return age_days(day, today) * u.DAY_S > assumption("price_age_limit_s").value


_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip


def _reference(node: ast.expr) -> Fact | None:
    place = [n.id for n in ast.walk(node.slice) if isinstance(n, ast.Name)] if isinstance(node, ast.Subscript) else []
    inner = node.value if isinstance(node, ast.Subscript) else node
    if not (isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name)):
        return None
    if inner.value.id == "assumption":
        return assumption(inner.attr)
    return fact(inner.value.id, inner.attr, *("" if p == "_" else p for p in place))


def references(expression: str) -> list[Fact]:
    """The facts that an expression uses, each once.

    Parameters
    ----------
    expression : str
        As for `compute`.

    Returns
    -------
    list of Fact
        In the order in which they appear.
    """
    nodes = [n for n in ast.walk(ast.parse(expression, mode="eval")) if isinstance(n, ast.Attribute | ast.Subscript)]
    inside = {id(n.value) for n in nodes if isinstance(n, ast.Subscript)}
    return list(dict.fromkeys(f for n in nodes if id(n) not in inside and (f := _reference(n))))


def compute(expression: str, take: dict[Fact, float] | None = None) -> float:
    """Evaluate an expression over the tables: numbers, ``+ - * / **``, and references to facts in SI units.

    A reference is ``subject.quantity``, ``subject.quantity[dtype]``, ``subject.quantity[dtype, basis]`` with ``_`` for
    no dtype, or ``assumption.name``. Nothing else is accepted, so no text from a table is ever run.

    Parameters
    ----------
    expression : str
        The arithmetic.
    take : dict, optional
        Another value for some facts, as `compute_range` gives them.

    Returns
    -------
    float
        The result, in SI units where it holds references.

    Raises
    ------
    DataError
        When the expression holds anything else.

    Examples
    --------
    >>> round(compute("trainium3.peak_flops_per_s[mxfp8] / trainium2.peak_flops_per_s[fp8]"), 2)
    1.94
    """

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        found = _reference(node) if isinstance(node, ast.Attribute | ast.Subscript) else None
        if found is None:
            raise DataError(f"cannot evaluate {ast.unparse(node)!r} in {expression!r}")
        return (take or {}).get(found, found.value)

    try:
        return value(ast.parse(expression.strip(), mode="eval").body)
    except SyntaxError:
        raise DataError(f"cannot read the expression {expression!r}") from None


def compute_range(expression: str) -> np.ndarray:
    """The lowest, middle and highest value of an expression over the ranges of its facts.

    Parameters
    ----------
    expression : str
        As for `compute`.

    Returns
    -------
    numpy.ndarray
        Low, value, high: every corner of the ranges is tried, which is exact for a monotonic expression [SI].

    Examples
    --------
    >>> low, middle, high = compute_range("trainium3.power_w / trainium2.power_w")
    >>> bool(low < middle < high)
    True
    """
    wide = [f for f in references(expression) if f.low < f.high]
    corners = [compute(expression, dict(zip(wide, c))) for c in itertools.product(*((f.low, f.high) for f in wide))]
    return np.array([min(corners), compute(expression), max(corners)])
