"""A chart as a figure of a page: title, key, sliders, source and numbers in HTML, the plot alone as
a chart.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trn3.reporting.frame import chart_json
from trn3.show import charts

MOST_ROWS = 60
"""Rows of a chart's numbers that a page shows; more stand in a file beside it."""

LEFT_TO_HTML = {"title", "config", "usermeta", "background", "$schema"}
RIGHT = Markup(' class="n"')


def figure(
    spec: Mapping[str, Any], number: int, seen: set[str], code: str = "", stem: str = ""
) -> dict[str, Any]:
    """Lay out one chart.

    Parameters
    ----------
    spec : mapping
        A finished chart's spec.
    number : int
        Its place among the page's charts, from 0 [-].
    seen : set of str
        Names of the sliders that the page already shows; extended.
    code : str
        Source of the cell.
    stem : str
        File name of the page without its ending; a table of all numbers stands beside it where they
        are many.

    Returns
    -------
    dict
        What the template's macro ``figure`` shows.
    """
    about = spec.get("usermeta", {}).get("trn3", {"title": spec.get("description", "Chart")})
    bound = [p for p in spec.get("params", []) if "input" in (p.get("bind") or {})]
    fresh = [slider(p) for p in bound if p["name"] not in seen]
    seen.update(p["name"] for p in bound)
    drawn = plot(spec)
    return {
        **about,
        "number": number,
        "sliders": fresh,
        "follows": bound and not fresh,
        "spec": chart_json(drawn),
        "zoom": any(p.get("bind") == "scales" for p in params(drawn)),
        "table": table(about.get("numbers")),
        "file": f"{stem}-figure_{number + 1}.csv",
        "code": code,
    }


def plot(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a spec what draws: no title, notes or sliders, and as wide as its place.

    Parameters
    ----------
    spec : mapping
        A finished chart's spec.

    Returns
    -------
    dict
        A spec for the page.
    """
    kept = {key: part for key, part in spec.items() if key not in LEFT_TO_HTML}
    kept["width"] = "container"
    layers = [layer for layer in spec.get("layer", []) if layer.get("name") != "notes"]
    if layers:
        kept["layer"] = layers
    else:
        kept.pop("layer", None)
    if "params" in spec:
        kept["params"] = [_unbound(param) for param in spec["params"]]
    return kept


def _unbound(param: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter whose slider stands outside of the chart."""
    outside = "input" in (param.get("bind") or {})
    return {key: part for key, part in param.items() if key != "bind" or not outside}


def params(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Find the parameters of a spec and of its layers.

    Parameters
    ----------
    spec : mapping
        A chart's spec.

    Returns
    -------
    list of mapping
        In order.
    """
    inner = (params(layer) for layer in spec.get("layer", []))
    return [*spec.get("params", []), *(param for several in inner for param in several)]


def slider(param: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the slider of a parameter.

    Parameters
    ----------
    param : mapping
        A parameter of Vega-Lite bound to a range.

    Returns
    -------
    dict
        Name, label, ends, step, value, and the value as it is shown.
    """
    bind = param["bind"]
    decimals = len(str(bind["step"]).partition(".")[2])
    return {
        "name": param["name"],
        "label": bind["name"],
        "min": bind["min"],
        "max": bind["max"],
        "step": bind["step"],
        "value": param["value"],
        "shown": f"{param['value']:.{decimals}f}",
    }


def table(numbers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lay out the numbers of a chart: those of a column to the right, texts to the left.

    Parameters
    ----------
    numbers : mapping or None
        Columns and rows.

    Returns
    -------
    dict
        Heads and rows as (text, attribute), and how many rows there are.
    """
    numbers = numbers or {"columns": [], "rows": []}
    rows = numbers["rows"]
    columns = [[row[i] for row in rows] for i in range(len(numbers["columns"]))]
    css = [RIGHT if any(map(_is_number, column)) else "" for column in columns]
    heads = [name.replace("_", " ") for name in numbers["columns"]]
    return {
        "heads": list(zip(heads, css, strict=True)),
        "rows": [_row(row, css) for row in rows[:MOST_ROWS]],
        "n_rows": len(rows),
    }


def _row(row: Sequence[Any], css: Sequence[str]) -> list[tuple[str, str]]:
    return [(_cell(value, right), right) for value, right in zip(row, css, strict=True)]


def _cell(value: Any, right: str) -> str:
    text = "—" if value is None else shown(value)
    return text.replace("-", "−") if right else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Write a value of a table.

    Parameters
    ----------
    value : object
        Text, number, truth value, nothing, or a list of them.

    Returns
    -------
    str
        For a reader.

    Examples
    --------
    >>> shown(["a", True]), shown(""), shown(131072)
    ('a, yes', 'none', '131,072')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.15g}"
    return str(value or "none")


def long_tables(outputs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Find the numbers of charts that are too many for a page, which shows their beginning.

    Parameters
    ----------
    outputs : iterable of mapping
        Outputs of all cells.

    Returns
    -------
    dict
        Columns and data by name.
    """
    specs = [o["data"][charts.MIME] for o in outputs if charts.MIME in o.get("data", {})]
    found = {}
    for place, spec in enumerate(specs, 1):
        numbers = spec.get("usermeta", {}).get("trn3", {}).get("numbers")
        if numbers and len(numbers["rows"]) > MOST_ROWS:
            found[f"figure_{place}"] = {"columns": numbers["columns"], "data": numbers["rows"]}
    return found
