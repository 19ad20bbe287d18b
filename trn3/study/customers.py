"""Customer files: loads over time, models, latency limits, present systems and prices, effort and
risk of porting.

A customer is a TOML file (``data/customers/*.toml``) whose keys, units and bounds are the table
``data/customer_fields.csv``. :func:`load` checks it and lists every problem at once.
"""

import tomllib
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from functools import lru_cache, partial, reduce
from itertools import product
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)

from trn3 import data, hardware, workload
from trn3.bounds import LONGEST, bounds, nearest, shown, text_of
from trn3.uncertainty import Input
from trn3.units import MEGA, TERA

KINDS = ("serve", "train", "stream")
OWN_RENT = {"now": ("baseline_price",), "new": ("commitment_price", "price")}
"""Keys of a baseline that hold a rent of the customer's own, by side; the first one counts."""


class CustomerError(data.TrnError):
    """A customer file has problems; the text lists all of them, one a line."""

    @property
    def lines(self) -> list[str]:
        """The problems, each in a line that names the file."""
        return str(self).split("\n")


_NEEDED = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab")
"""Dimensions that a shape under ``[models]`` must give."""
MOST_PARTS = 50
"""Most workloads, and most baselines, of a customer file."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _printable(text: str) -> str:
    if not text.isprintable() or len(text) > LONGEST:
        raise ValueError(f"must be one line of printable text of at most {LONGEST} characters")
    return text


Text = Annotated[str, AfterValidator(_printable)]
Number = Annotated[float, Field(strict=True)]


class Quantity(_Record):
    """A number of a customer file: ``{ mid = 10, low = 4, high = 26, unit = "weeks", why = "..."
    }``.

    Attributes
    ----------
    mid, low, high : float
        The range; low and high are mid where not given, and must be given where it is assumed
        [unit]
    unit : str
        Its unit, always written out
    status : str
        published, measured, derived, reported or assumed
    why, source : str
        The reason of an assumption, the address of a fact
    """

    mid: Number
    unit: Text
    low: Number | None = None
    high: Number | None = None
    status: Literal["published", "measured", "derived", "reported", "assumed"] = "assumed"
    why: Text = ""
    source: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _is_written_out(cls, value: object) -> object:
        if isinstance(value, int | float):
            raise ValueError(
                f'has no unit; write {{ mid = {value}, low = ..., high = ..., unit = "..." }}'
            )
        return value


def _bounded(allowed: str, floor: float, cap: float, value: Quantity) -> Quantity:
    low, high = (value.mid if end is None else end for end in (value.low, value.high))
    problems = {
        f"unit = {value.unit!r}: allowed: {allowed.replace(' ', ', ')}": value.unit
        not in allowed.split(),
        f"low, mid, high = {low:g}, {value.mid:g}, {high:g} {value.unit}: must rise": not low
        <= value.mid
        <= high,
        f"{low:g} to {high:g} {value.unit}: allowed: {floor:g} to {cap:g}".replace(
            "to inf", "and more"
        ): not floor <= low <= high <= cap,
        "low and high are missing: an assumed number has both": value.status == "assumed"
        and value.high is None,
    }
    if any(problems.values()):
        raise ValueError("; ".join(text for text, wrong in problems.items() if wrong))
    return value.model_copy(update={"low": low, "high": high})


def _id(kind: str, text: str) -> str:
    """An id in its one spelling; a chip means its usual system."""
    return hardware.system(text).id if kind == "system" else data.resolve(kind, text)


def _field(row: dict[str, str]) -> tuple[Any, Any]:
    """Type and default of a key, from its row in the table."""
    kind, allowed = row["kind"], row["allowed"]
    floor, cap = float(row["floor"] or "-inf"), float(row["cap"] or "inf")
    types: dict[str, Any] = {
        "text": Text,
        "day": date,
        "whole": Annotated[int, Field(strict=True, ge=max(floor, 1), le=min(cap, 10**9))],
        "number": Annotated[float, Field(strict=True, gt=floor, le=cap)],
        "choice": Literal[tuple(allowed.split())],
        "id": Annotated[Text, AfterValidator(partial(_id, allowed))],
        "quantity": Annotated[Quantity, AfterValidator(partial(_bounded, allowed, floor, cap))],
    }
    return (types[kind], ...) if row["required"] == "yes" else (types[kind] | None, None)


@data.kept
def _customer_type() -> Any:
    """The records of a customer file, built from the table of its keys."""
    keys: dict[str, dict[str, Any]] = {}
    for row in data.table("customer_fields").to_dict("records"):
        keys.setdefault(row["record"], {})[row["field"]] = _field(row)
    make, parts = partial(create_model, __base__=_Record), {}  # type: Any, dict[str, Any]
    for name in ("baseline", "claim"):
        parts[name] = make(name, **keys[name])
    for name in KINDS:
        parts[name] = make(name, kind=(Literal[name], ...), **keys["workload"], **keys[name])
    any_kind = reduce(or_, (parts[k] for k in KINDS))
    work = Annotated[any_kind, Field(discriminator="kind")]  # type: ignore[valid-type]
    nested: dict[str, Any] = {
        "claim": (parts["claim"] | None, None),
        "models": (dict[Text, dict[str, Any]], {}),
    }
    for name, kind in (("baselines", parts["baseline"]), ("workloads", work)):
        nested[name] = (tuple[kind, ...], Field(min_length=1, max_length=MOST_PARTS))  # type: ignore[valid-type]
    return make("customer", **keys["customer"], **nested)


def customers() -> list[str]:
    """The customer files of the data folder.

    Returns
    -------
    list of str
        Their ids, sorted; ``template`` is one to copy

    Examples
    --------
    >>> "karakuri" in customers()
    True
    """
    return sorted(p.stem for p in (data.DATA / "customers").glob("*.toml"))


def load(name: str) -> Any:
    """Read and check a customer file.

    Parameters
    ----------
    name : str
        An id of :func:`customers`, or the path of a TOML file

    Returns
    -------
    record
        Keys of ``data/customer_fields.csv`` as attributes; numbers are `Quantity`, ids are those of
        the data

    Raises
    ------
    CustomerError
        Lists every problem of the file at once: file, key, value, unit, what is allowed
    UnknownId
        No such customer

    Examples
    --------
    >>> load("Karakuri").workloads[0].model
    'llama2_70b'
    """
    known = {c: data.DATA / "customers" / f"{c}.toml" for c in customers()}
    path = known.get("".join(c for c in name.lower() if c.isalnum()), Path(name))
    if path.suffix != ".toml":
        raise data.UnknownId(
            f"customer = {name!r}: allowed: {', '.join(known)}, or the path of a .toml file"
        )
    try:
        raw = tomllib.loads(text_of(path))
    except data.TrnError as error:
        raise CustomerError(f"{path}: {error}") from None
    except RecursionError:
        raise CustomerError(f"{path}: cannot be read (nested too deeply)") from None
    except ValueError as error:
        raise CustomerError(f"{path}: cannot be read as TOML: {error}") from None
    problems, customer = [], None
    try:
        customer = _customer_type().model_validate(raw)
    except ValidationError as error:
        problems = [
            _explain(dict(e))
            for e in error.errors()
            if not (e["type"] == "too_short" and e["input"])
        ]
    problems += dict.fromkeys(_unresolved(raw))
    if problems:
        raise CustomerError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return customer


def _explain(error: dict[str, Any]) -> str:
    """One line for an error of pydantic: key, value, what is allowed."""
    parts = [p if str(p).isprintable() else shown(p) for p in error["loc"] if p not in KINDS]
    key, text = (
        "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip("."),
        error["msg"],
    )
    table, last = (
        data.table("customer_fields").drop_duplicates("field").set_index("field"),
        str(parts[-1]),
    )
    if error["type"].startswith("union_tag"):
        given = (
            f" = {shown(error['ctx']['tag'])}" if "tag" in error.get("ctx", {}) else " is missing"
        )
        return f"{key}.kind{given}; allowed: {', '.join(KINDS)}"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(last, [*table.index, *Quantity.model_fields], 1)
        return f"{key}: unknown key; " + (
            f"did you mean {near[0]}?" if near else "allowed: the keys of template.toml"
        )
    if error["type"] == "missing":
        inner = last in Quantity.model_fields and len(parts) > 1  # mid or unit of a quantity
        name = str(parts[-2]) if inner else last
        row = dict(table.loc[name]) if name in table.index else {}
        units = row.get("kind") in ("quantity", "choice") and last != "mid"
        allowed = f"; allowed: {', '.join(str(row['allowed']).split())}" if units else ""
        about = f" ({row['meaning']})" if row.get("meaning") and not inner else ""
        return f"{key}: is missing{about}{allowed}"
    if error["type"].startswith("date"):
        text = "write a day, such as 2026-11-22"
    value = "" if isinstance(error["input"], dict | list) else f" = {shown(error['input'])}"
    return (
        f"{key}{value}: {text.removeprefix('Value error, ').replace('Input should be', 'allowed:')}"
    )


def _unresolved(raw: dict[str, Any]) -> Iterator[str]:
    """Problems that need several keys: shapes and models, names that stand twice, software
    families, and the listed prices of every baseline.
    """
    models = raw["models"] if isinstance(raw.get("models"), dict) else {}
    wrong = {name: list(_shape_problems(name, fields)) for name, fields in models.items()}
    for problems in wrong.values():
        yield from problems
    lists = (raw[k] if isinstance(raw.get(k), list) else [] for k in ("workloads", "baselines"))
    works, bases = ([block for block in found if isinstance(block, dict)] for found in lists)
    for part, key, blocks in (("workloads", "name", works), ("baselines", "key", bases)):
        names = [str(block.get(key)) for block in blocks]
        for name in sorted({n for n in names if names.count(n) > 1} - {"None"}):
            yield f"{part}: {key} = {shown(name)} stands more than once"
    families = sorted(set(data.table("support")["family"]))
    for i, work in enumerate(works):
        if work.get("family") not in families:
            given = shown(work.get("family"))
            yield f"workloads[{i}].family = {given}: allowed: {', '.join(families)}"
        name = str(work.get("model"))
        if work.get("kind") != "stream" and not wrong.get(name):
            yield from _tried(f"workloads[{i}].model", partial(shape, models, name))
        for (j, base), side in product(enumerate(bases), ("now", "new")):
            system = str(base.get(side) or work.get(side))
            own = any(key in base for key in OWN_RENT[side])
            if not own and _is_system(system):  # what is wrong with these was said above
                yield from _tried(f"baselines[{j}].{side}", partial(price, base, side, system))


def _shape_problems(name: str, fields: Any) -> Iterator[str]:
    """What is wrong with a shape under ``[models]``, field by field."""
    place = f"models.{name if name.isprintable() else shown(name)}"
    if not isinstance(fields, dict):
        yield f"{place}: must be a table of the dimensions of a model"
        return
    limits = {name: bounds("config")[name] for name in workload.NUMBERS}
    for key, value in fields.items():
        try:
            if key in limits:
                limits[key].read(value)
            elif key in ("name", "attention", "source"):
                _printable(value if isinstance(value, str) else "\n")
            else:
                yield f"{place}.{shown(key)}: unknown key{nearest(key, limits)}"
        except ValueError as error:
            yield f"{place}.{key}: {error}".replace(f"{key}: {key} ", f"{key} ")
    for key in sorted({*_NEEDED} - {*fields}):
        yield f"{place}.{key}: is missing ({limits[key].meaning})"


def _is_system(name: str) -> bool:
    try:
        return bool(_id("system", name))
    except data.UnknownId:
        return False


def _tried(key: str, call: Any) -> Iterator[str]:
    try:
        call()
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        yield f"{key}: {str(error).partition(chr(10))[0]}"


def shape(shapes: dict[str, Any], name: str) -> workload.ModelShape:
    """The shape of a model: one of the file's own, or of the tables.

    Parameters
    ----------
    shapes : dict
        The file's ``[models]``
    name : str
        A name in it, an id of ``data/models.csv``, or the path of a ``config.json``

    Returns
    -------
    ModelShape
        The shape
    """
    if name not in shapes:
        return workload.model(name)
    return workload.ModelShape(
        id=name, **{("source_id" if k == "source" else k): v for k, v in shapes[name].items()}
    )


def price_row(base: dict[str, Any], side: str, system: str) -> dict[str, Any]:
    """The row of the price table behind a rent: the cheapest offer of a term in a region; without
    a term the assumed rent of an unpriced chip.

    Parameters
    ----------
    base : dict
        A baseline
    side : str
        ``now`` or ``new``
    system : str
        System of that side

    Returns
    -------
    dict
        Columns of ``data/prices.csv``

    Raises
    ------
    UnknownId
        No such price; names those that there are
    """
    chip = hardware.system(system).chip
    term = base.get("term" if side == "now" else "new_term") or (
        "assumed" if side == "new" else "none"
    )
    region, day = (
        str(base.get("region") or ""),
        str(base.get("date") or "") if side == "now" else "",
    )
    places = (
        [region.lower().replace("-", "_"), region[:2], ""] if region and term != "assumed" else []
    )
    listed = _listed(data.DATA, chip.id)
    here = [
        r
        for r in listed
        if r["term"] == term
        and (str(r["price_date"]).startswith(day) if day else r["use"] == "yes")
    ]
    inside = [r for r in here if not places or r["region"] in places]
    here = inside or (here if side == "new" else [])  # a baseline names one region, its own
    if not here:
        sold = {
            r["term"]: sorted({o["region"] for o in listed if o["term"] == r["term"]} - {""})
            for r in listed
        }
        known = " ".join(
            f"{t} ({', '.join(regions) or 'any'})" for t, regions in sorted(sold.items())
        )
        asked = f"term = {term}, region = {region or 'any'}" + (f", date = {day}" if day else "")
        raise data.UnknownId(
            f"{chip.id} has no price for {asked}; allowed: {known or 'none, give now_price'}"
        )
    newest = sorted(here, key=lambda r: r["price_date"], reverse=True)
    return dict(min(newest, key=lambda r: r["value"]))


@lru_cache
def _listed(folder: Path, chip: str) -> list[dict[str, Any]]:
    """Price rows of a chip; a case asks for them at every step."""
    rows = data.table("prices")
    rows = rows[
        (rows["subject"] == chip)
        & (rows["quantity"] == "price_usd_per_chip_h")
        & (rows["value"] > 0)
    ]
    return list(rows.to_dict("records"))


def price(base: dict[str, Any], side: str, system: str) -> Input:
    """Rent of a side's chip: the file's own, or that of :func:`price_row`.

    Parameters
    ----------
    base : dict
        A baseline
    side : str
        ``now`` or ``new``
    system : str
        System of that side

    Returns
    -------
    Input
        Rent [USD/h]

    Raises
    ------
    UnknownId
        No such price in the table
    """
    label = f"rent of {hardware.system(system).chip.name}"
    for key in OWN_RENT[side]:
        if base.get(key):
            return as_input(_bounded("USD/h", 0.0, np.inf, Quantity(**base[key])), label)
    row = price_row(base, side, system)
    fact, listed = data.to_fact(row), f"{row['term'].replace('_', ' ')}, {row['price_date']}"
    if row["term"] == "assumed":
        ends = fact.low, fact.value, fact.high
        return Input(*ends, "limits", "USD/h", label, fact.status, fact.note)
    off = Quantity(**base["discount"]) if base.get("discount") else Quantity(mid=0.0, unit="share")
    cut = as_input(off, "discount")
    ends = fact.low * (1 - cut.high), fact.value * (1 - cut.mid), fact.high * (1 - cut.low)
    if cut.mid:
        listed += f", less {cut.mid:.0%}"
    return Input(*ends, "limits", "USD/h", label, fact.status, listed)


def _given(value: float, unit: str) -> Quantity:
    """A quantity that a parameter gives: no range."""
    return Quantity(low=value, mid=value, high=value, unit=unit, why="given as a parameter")


def with_rents(customer: Any, key: str, baseline_price: float = 0.0, discount: float = 0.0) -> Any:
    """A customer who pays other rents for the present chips than the file says.

    Parameters
    ----------
    customer : record
        From `load`
    key : str
        Key of the baseline; the first without it
    baseline_price : float
        Own rent of the present chip; 0 keeps that of the file [USD/h]
    discount : float
        Share off the listed rents; 0 keeps that of the file [-]

    Returns
    -------
    record
        The customer
    """
    given: dict[str, Any] = {}
    bases = customer.baselines
    asked = key or bases[0].key
    label = next((base.label for base in bases if base.key == asked), "")
    if discount:
        given["discount"] = _given(discount, "share")
        given["label"] = f"{label}, less {100 * discount:.4g}%"
    if baseline_price:
        given["baseline_price"] = _given(baseline_price, "USD/h")
        given["label"] = f"your own {baseline_price:,.2f} USD for the present chips"
    changed = [base.model_copy(update=given) if base.key == asked else base for base in bases]
    return customer.model_copy(update={"baselines": tuple(changed)})


def as_input(value: Quantity, label: str) -> Input:
    """A number of the file as an uncertain input.

    Parameters
    ----------
    value : Quantity
        The number
    label : str
        Its name for a reader

    Returns
    -------
    Input
        Within its limits
    """
    ends = value.low if value.low is not None else value.mid, value.mid, value.high or value.mid
    return Input(*ends, "limits", value.unit, label, value.status, value.why)


def as_fact(value: Input) -> data.Fact:
    """An uncertain input as a row for the table of assumptions.

    Parameters
    ----------
    value : Input
        The input

    Returns
    -------
    Fact
        With its range, unit, status and reason
    """
    origin = "from the models of this project" if value.status == "derived" else ""
    text = dict.fromkeys(("subject", "per", "basis", "dtype", "locator", "accessed"), "")
    scale, unit = (MEGA, f"million {value.unit}") if value.mid >= MEGA else (1.0, value.unit)
    scale, unit = (TERA, "TFLOP/s") if value.unit == "FLOP/s" else (scale, unit)
    return data.Fact(
        quantity=value.label,
        value=value.mid,
        low=value.low,
        high=value.high,
        unit=value.unit,
        status=value.status,
        use=True,
        source_id="",
        note=value.note or origin,
        shown_unit=unit,
        scale=scale,
        **text,
    )
