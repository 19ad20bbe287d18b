"""Every number with its source: CSV tables in ``data/``, typed and checked on reading, and the
facts in them.

The tables, their columns and their vocabulary are described once, in ``data/datapackage.json``,
which is read here and by Frictionless; units and their factors stand in ``data/units.csv``. A table
of the *long form* holds one number per row in the unit in which it was published; a `Fact` gives it
in SI units. Rates per hour or kWh, money and grams of CO2e keep their customary units, as their
names say.
"""

from __future__ import annotations

import ast
import csv
import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trn3.units import DAY_S, TrnError

if TYPE_CHECKING:
    import pandas as pd


def home() -> Path:
    """The folder that holds ``data/`` and ``notebooks/``.

    Returns
    -------
    pathlib.Path
        The checkout; of an installed wheel the folder ``share/trn3`` where it put them.
    """
    beside, mark = Path(__file__).resolve().parent.parent, "datapackage.json"
    for place in (beside, beside / "share" / "trn3"):  # a checkout; `pip install --target`
        if (place / "data" / mark).is_file():
            return place
    from importlib import metadata  # slow to load, and a checkout needs none of it

    try:
        shipped = metadata.files("trn3") or []
    except metadata.PackageNotFoundError:  # only the folder of the package was copied
        shipped = []
    found = [Path(str(file.locate())).resolve() for file in shipped if file.name == mark]
    return found[0].parent.parent if found else beside


DATA = Path(os.environ.get("TRN3_DATA") or home() / "data")
"""The folder of the tables; the environment variable TRN3_DATA names another one."""

Row = dict[str, Any]
_FACTS = ("specs", "systems", "sites", "failures", "assumptions")
_KEY = ("subject", "quantity", "dtype", "basis", "region", "term")
_IDS = {
    "model": ("models", "id"),
    "source": ("sources", "id"),
    "term": ("prices", "term"),
    "dtype": ("specs", "dtype"),
}
_REFERENCE = re.compile(r"([a-z_]\w*)\.([a-z_]\w*)(?:\[(\w+)(?:, *(\w+))?\])?")
_ARITHMETIC: dict[type, Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_RULES: dict[str, Any] = {
    "at_least": np.greater_equal,
    "at_most": np.less_equal,
    "equal": np.isclose,
}


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
        In SI units; all three are equal where no range is given, NaN where nothing is published
        [`unit`].
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
    region, term, price_date : str
        Of a price; empty otherwise.
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
    region: str = ""
    term: str = ""
    price_date: str = ""

    @property
    def range(self) -> np.ndarray:
        """Low, value and high as an array [`unit`]."""
        return np.array([self.low, self.value, self.high])


def _unreadable(folder: Path, name: str, error: Exception) -> DataError:
    if not folder.is_dir():
        return DataError(f"no folder {folder}: TRN3_DATA must name the folder data/ of a checkout")
    return DataError(f"data/{name}: {getattr(error, 'strerror', None) or error}")


Result = TypeVar("Result")


def kept(function: Callable[..., Result]) -> Callable[..., Result]:
    """Remember what a function made of the tables, for as long as they are those of one folder.

    Parameters
    ----------
    function : callable
        Reads the tables; its arguments must be hashable.

    Returns
    -------
    callable
        The same, which asks `function` again once `DATA` names another folder.

    Examples
    --------
    >>> @kept
    ... def n_units():
    ...     return len(rows("units"))
    >>> n_units() == n_units() == len(rows("units"))
    True
    """

    @lru_cache(maxsize=512)
    def of(folder: Path, *arguments: Any, **named: Any) -> Result:
        return function(*arguments, **named)

    @wraps(function)
    def ask(*arguments: Any, **named: Any) -> Result:
        return of(DATA, *arguments, **named)

    return ask


@lru_cache(maxsize=8)
def _package(folder: Path) -> Row:
    try:
        return dict(json.loads((folder / "datapackage.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise _unreadable(folder, "datapackage.json", error) from None


def _need(good: bool, place: tuple[str, int, str], text: str) -> None:
    if not good:
        raise DataError(
            " ".join(("data/{}.csv line {}, column {}: ".format(*place) + text).split())
        )


def _cell(place: tuple[str, int, str], field: Row, text: str) -> Any:
    rules = field.get("constraints", {})
    _need(bool(text) or not rules.get("required"), place, "is empty")
    words = rules.get("enum", (text,))
    _need(not text or text in words, place, f"{text!r} is none of {', '.join(words)}")
    if field["type"] not in ("number", "integer"):
        return text
    try:
        value = float(text or "nan")
    except ValueError:
        value = math.inf
    _need(not text or math.isfinite(value), place, f"{text!r} is not a finite number")
    _need(
        not value < rules.get("minimum", -math.inf),
        place,
        f"{text} is below {rules.get('minimum')}",
    )
    return value


@lru_cache(maxsize=64)
def _rows(folder: Path, name: str) -> tuple[Row, ...]:
    try:
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(folder, f"{name}.csv", error) from None
    schema = {r["name"]: r["schema"] for r in _package(folder)["resources"]}.get(name, {})
    fields = schema.get("fields") or [{"name": c, "type": "string"} for c in header]
    odd = sorted({f["name"] for f in fields} ^ set(header))
    _need(
        header == [f["name"] for f in fields],
        (name, 1, (odd or header)[0]),
        "not the header of datapackage.json",
    )
    rows = []
    for line, cells in lines:
        _need(
            len(cells) == len(fields),
            (name, line, header[-1]),
            f"{len(cells)} cells, not {len(fields)}",
        )
        rows.append(
            {"_line": line}
            | {f["name"]: _cell((name, line, f["name"]), f, c) for f, c in zip(fields, cells)}
        )
    _check_keys(folder, name, schema, rows)
    if {"value", "low", "high", "status", "use"} <= set(header):
        _check_long(name, rows)
    return tuple(rows)


def _check_keys(folder: Path, name: str, schema: Row, rows: list[Row]) -> None:
    for key in schema.get("foreignKeys", ()):
        (column,), other = key["fields"], key["reference"]["resource"]
        known = {r[key["reference"]["fields"][0]] for r in _rows(folder, other)} | {""}
        for r in rows:
            _need(
                r[column] in known,
                (name, r["_line"], column),
                f"{r[column]!r} is not in data/{other}.csv",
            )
    key, seen = schema.get("primaryKey", ()), dict[tuple, int]()
    for r in rows if key else ():
        first = seen.setdefault(tuple(r[c] for c in key), r["_line"])
        _need(first == r["_line"], (name, r["_line"], key[0]), f"repeats line {first}")


def _group(row: Row) -> tuple[str, ...]:
    return tuple(row.get(c, "") for c in _KEY)


def _check_long(name: str, rows: list[Row]) -> None:
    used = Counter(_group(r) for r in rows if r["use"] == "yes")
    for r in rows:
        value, low, high, none, n = (
            r["value"],
            r["low"],
            r["high"],
            math.isnan(r["low"]),
            used[_group(r)],
        )
        for column, good, text in (
            ("low", none == math.isnan(high), "low and high go together"),
            (
                "low",
                none or low <= value <= high,
                f"low, value, high = {low:g}, {value:g}, {high:g} are not in order",
            ),
            ("low", not none or r["status"] != "assumed", "an assumed number needs low and high"),
            (
                "value",
                math.isnan(value) == (r["status"][:2] == "un"),
                f"{value:g} does not go with {r['status']}",
            ),
            (
                "note",
                r["status"] != "derived" or r["note"].startswith("= "),
                "a derived number gives '= arithmetic'",
            ),
            (
                "use",
                n == 1 or (n == 0 and math.isnan(value)),
                f"{n} rows of this quantity have use=yes, not 1",
            ),
        ):
            _need(good, (name, r["_line"], column), text)


def _nearest(text: str, known: Iterable[str]) -> str:
    near = get_close_matches(text, list(known), 3, 0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


@lru_cache(maxsize=64)
def _frame(folder: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    about = {r["name"]: r for r in _package(folder)["resources"]}
    resource: Row = about.get(name, {})
    if "checked_by" not in resource:  # a table that people add to by hand is checked on reading
        return pd.DataFrame(list(_rows(folder, name))).drop(columns="_line", errors="ignore")
    types = {
        field["name"]: float if field["type"] in ("number", "integer") else str
        for field in resource["schema"]["fields"]
    }
    empty = {column: [""] for column, kind in types.items() if kind is float}
    try:
        return pd.read_csv(
            folder / f"{name}.csv", dtype=types, keep_default_na=False, na_values=empty
        )
    except (OSError, ValueError) as error:
        raise DataError(f"data/{name}.csv: {error}; trn3 doctor names the cell") from None


def names() -> list[str]:
    """The tables of ``data/``.

    Returns
    -------
    list of str
        File names without their ending, as `table` takes them.
    """
    return [resource["name"] for resource in _package(DATA)["resources"]]


def rows(name: str) -> tuple[Row, ...]:
    """The rows of a table, without the cost of a frame.

    Parameters
    ----------
    name : str
        File name without its ending, such as ``models``.

    Returns
    -------
    tuple of dict
        Cells by column; numbers as floats with NaN for an empty cell, everything else as text.

    Raises
    ------
    DataError
        Names the file, line and column of the first fault.

    Examples
    --------
    >>> rows("units")[0]["unit"] in {r["unit"] for r in rows("units")}
    True
    """
    return _rows(DATA, name)


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
    return _frame(DATA, name).copy(deep=False)  # pandas copies what is written to


@lru_cache(maxsize=8)
def _units(folder: Path) -> dict[str, tuple[float, str]]:
    return {r["unit"]: (r["factor"], r["si"]) for r in _rows(folder, "units")}


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
    scale, unit = _units(DATA)[row["unit"]]
    low, high = (row["value"] if math.isnan(row[k]) else row[k] for k in ("low", "high"))
    numbers = {
        "value": row["value"] * scale,
        "low": low * scale,
        "high": high * scale,
        "use": row["use"] == "yes",
    }
    kept = {k: row[k] for k in Fact.__dataclass_fields__ if k in row}
    return Fact(**{**kept, **numbers, "unit": unit, "shown_unit": row["unit"], "scale": scale})


@lru_cache(maxsize=8)
def _facts(folder: Path) -> dict[tuple[str, ...], Fact]:
    rows = ((t, r) for t in _FACTS for r in _rows(folder, t) if r["use"] == "yes")
    return {
        ("assumption" if t == "assumptions" else r["subject"], *_group(r)[1:4]): to_fact(r)
        for t, r in rows
    }


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
        names = [" ".join(filter(None, k[1:])) for k in _facts(DATA) if k[0] == subject]
        asked = " ".join(filter(None, (quantity, dtype, basis)))
        hint = _nearest(asked, names) if names else _nearest(subject, {k[0] for k in _facts(DATA)})
        raise UnknownId(
            f"{subject} has no {asked!r}{hint}"
            if names
            else f"subject {subject!r} has no facts{hint}"
        )
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
    return [to_fact(r) for t in _FACTS for r in _rows(DATA, t) if r["subject"] == subject]


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
    return fact("assumption", name)


def price(subject: str, term: str, region: str = "", basis: str = "") -> Fact:
    """A price per chip-hour of ``data/prices.csv``.

    Parameters
    ----------
    subject : str
        A chip.
    term : str
        on_demand, spot, capacity_block, reserved_1y, reserved_3y, neocloud, tco, ...
    region, basis : str
        The region and the offer (an instance type or a seller); any where empty. ``us_east_2`` also
        finds a price that is the same all over ``us``. Of several, the newest, and then the first
        in the table's order.

    Returns
    -------
    Fact
        The row in use [USD/h].

    Raises
    ------
    UnknownId
        When there is no such price; names the terms that there are.
    """
    key = (subject, "price_usd_per_chip_h")
    rows = [r for r in _rows(DATA, "prices") if r["use"] == "yes" and _group(r)[:2] == key]
    here = [r for r in rows if r["term"] == term and basis in ("", r["basis"])]
    here = [
        r
        for r in here
        if not region or region == r["region"] or region.startswith(f"{r['region']}_")
    ]
    if here:
        return to_fact(max(here, key=lambda r: (r["price_date"], len(r["region"]) * bool(region))))
    terms = ", ".join(sorted({f"{r['term']} {r['region']}".strip() for r in rows})) or "none"
    raise UnknownId(
        f"{subject} has no price for {' '.join(filter(None, (term, region, basis)))}; "
        f"there are: {terms}"
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
    name, column = _IDS.get(kind, ("subjects", "id"))
    found = {r[column] for r in _rows(DATA, name) if kind in _IDS or r["kind"] == kind} - {""}
    if not found:
        kinds = sorted({r["kind"] for r in _rows(DATA, "subjects")} | set(_IDS))
        raise UnknownId(f"kind {kind!r} is unknown; there are: {', '.join(kinds)}")
    return sorted(found)


def _plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


@lru_cache(maxsize=64)
def _known(folder: Path, kind: str) -> dict[str, str]:
    """Ids of a kind by everything that a person may type for them."""
    rows = (
        r for r in _rows(folder, _IDS.get(kind, ("subjects",))[0]) if r.get("kind", kind) == kind
    )
    aliases = {_plain(a): r["id"] for r in rows for a in r.get("aliases", "").split()}
    return aliases | {_plain(i): i for i in ids(kind)}


def resolve(kind: str, text: str) -> str:
    """The id that a person means: any case, hyphens, dots and spaces for underscores, and the
    common aliases.

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
    known = _known(DATA, kind)
    if _plain(text) not in known:
        near = [known[n] for n in get_close_matches(_plain(text), known, 3, 0.5)] or sorted(
            known.values()
        )
        raise UnknownId(
            f"{kind} {text!r} is unknown; "
            f"did you mean {' or '.join(list(dict.fromkeys(near))[:8])}?"
        )
    return known[_plain(text)]


@lru_cache(maxsize=8)
def _names(folder: Path) -> dict[str, str]:
    tables = (("models", "id", "name"), ("subjects", "id", "name"), ("labels", "name", "label"))
    return {
        r[key]: r[words] for t, key, words in tables for r in _frame(folder, t).to_dict("records")
    }


def named(code: str) -> str:
    """What a person calls an id or a code of the tables.

    Parameters
    ----------
    code : str
        For example ``trn3_gen2``; anything unknown is given back.

    Returns
    -------
    str
        Its name.

    Examples
    --------
    >>> named("trn3_gen2"), named("capacity_block"), named("mine")
    ('Trn3 Gen2 UltraServer', 'Capacity Block', 'mine')
    """
    return _names(DATA).get(code, code)


def data_date() -> date:
    """The day on which the tables were last surveyed; pages reckon ages from it, never from the
    clock.

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
    return ((today or data_date()) - date.fromisoformat((day + "-01-01")[:10])).days


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
    return age_days(day, today) * DAY_S > assumption("price_age_limit_s").value


def _referred(found: re.Match[str]) -> Fact:
    subject, quantity, *place = (("" if part == "_" else part or "") for part in found.groups())
    return fact(subject, quantity, *place)


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
    return list(dict.fromkeys(map(_referred, _REFERENCE.finditer(expression))))


def _arithmetic(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return float(_ARITHMETIC[type(node.op)](_arithmetic(node.left), _arithmetic(node.right)))
    raise SyntaxError


def compute(expression: str, take: dict[Fact, float] | None = None) -> float:
    """Evaluate an expression over the tables: numbers, ``+ - * /``, brackets, and references to
    facts in SI units.

    A reference is ``subject.quantity``, ``subject.quantity[dtype]``, ``subject.quantity[dtype,
    basis]`` with ``_`` for no dtype, or ``assumption.name``. Nothing else is accepted, so no text
    from a table is ever run.

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

    def number(found: re.Match[str]) -> str:
        return repr((take or {}).get(_referred(found), _referred(found).value))

    try:
        return _arithmetic(ast.parse(_REFERENCE.sub(number, expression).strip(), mode="eval").body)
    except SyntaxError:
        raise DataError(
            f"cannot evaluate {expression!r}: only numbers, references, + - * / and brackets"
        ) from None


def compute_range(expression: str) -> np.ndarray:
    """The lowest, middle and highest value of an expression over the ranges of its facts.

    Parameters
    ----------
    expression : str
        As for `compute`.

    Returns
    -------
    numpy.ndarray
        Low, value, high: every corner of the ranges is tried, which is exact for a monotonic
        expression [SI].

    Examples
    --------
    >>> low, middle, high = compute_range("trainium3.power_w / trainium2.power_w")
    >>> bool(low < middle < high)
    True
    """
    wide = [f for f in references(expression) if f.low < f.high]
    corners = [
        compute(expression, dict(zip(wide, c)))
        for c in itertools.product(*((f.low, f.high) for f in wide))
    ]
    return np.array([min(corners), compute(expression), max(corners)])


def verdict(claim_id: str) -> str:
    """The verdict on a launch claim: computed from its readings where it has any, else as it was
    judged.

    A reading meets the claim when its whole range does. *Holds*: all readings meet it; *Does not
    hold*: none can; *Partly*: some do, or a range contains the claimed value.

    Parameters
    ----------
    claim_id : str
        An id of ``data/claims.csv``.

    Returns
    -------
    str
        Holds, Partly, Does not hold or Cannot be checked.

    Raises
    ------
    UnknownId
        When there is no such claim.

    Examples
    --------
    >>> verdict("faster_4x"), verdict("memory_4x"), verdict("million_chips")
    ('Partly', 'Does not hold', 'Cannot be checked')
    """
    claims = {r["id"]: r for r in _rows(DATA, "claims")}
    if claim_id not in claims:
        raise UnknownId(f"claim {claim_id!r} is unknown{_nearest(claim_id, claims)}")
    claim = claims[claim_id]
    if claim["verdict_by"] == "judged":
        return str(claim["verdict"])
    goal = claim["claimed"] * _units(DATA)[claim["unit"]][0] * (1.0 - claim["tolerance"])
    readings = [
        r
        for r in _rows(DATA, "claim_readings")
        if r["claim_id"] == claim_id and r["role"] == "counts"
    ]
    met = np.array([_RULES[claim["rule"]](compute_range(r["compute"]), goal) for r in readings])
    return "Holds" if met.all() else "Partly" if met.any() else "Does not hold"
