"""A chart as a figure of a page: title, key, sliders, source and numbers in HTML, the plot alone as
a chart.
"""

from collections.abc import Mapping
from typing import Any

from trn3.reporting import results
from trn3.reporting.frame import chart_json
from trn3.show import charts

LEFT_TO_HTML = {"title", "config", "usermeta", "background", "$schema"}
ZOOM = '"bind":"scales"'


def lay_out(notebook: Any, stem: str) -> None:
    """Put beside each chart of a notebook what its page shows of it, as ``figure``.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed; changed.
    stem : str
        File name of the page without its ending; tables of all numbers stand beside it.
    """
    seen: set[str] = set()
    for number, output in enumerate(results.drawn(notebook), 1):
        made = figure(output["data"][charts.MIME], seen)
        output["figure"] = made | {"file": f"{stem}-figure_{number}.csv"}


def figure(spec: Mapping[str, Any], seen: set[str]) -> dict[str, Any]:
    """Lay out one chart.

    Parameters
    ----------
    spec : mapping
        A finished chart's spec.
    seen : set of str
        Names of the sliders that the page already shows; extended.

    Returns
    -------
    dict
        What the template's macro ``figure`` shows.
    """
    about = results.told(spec) or {"title": spec.get("description", "Chart")}
    bound = [param for param in spec.get("params", []) if has_slider(param)]
    fresh = [param for param in bound if param["name"] not in seen]
    seen.update(param["name"] for param in bound)
    text = chart_json(plot(spec))
    more = {"sliders": fresh, "follows": bound and not fresh, "spec": text, "zoom": ZOOM in text}
    return {**about, **more}


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
    if "layer" in spec:
        kept["layer"] = [layer for layer in spec["layer"] if layer.get("name") != "notes"]
    if "params" in spec:
        kept["params"] = [_free(param) if has_slider(param) else param for param in spec["params"]]
    return kept


def has_slider(param: Mapping[str, Any]) -> bool:
    """Whether a parameter of Vega-Lite is moved by the reader.

    Parameters
    ----------
    param : mapping
        As a spec holds it.

    Returns
    -------
    bool
        It then stands outside of the chart.
    """
    return "input" in (param.get("bind") or {})


def _free(param: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in param.items() if key != "bind"}


def shown(value: Any) -> str:
    """Write a value of a chart's numbers.

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
    >>> shown(["a", True]), shown(""), shown(-131072), shown(None)
    ('a, yes', 'none', '−131,072', '—')
    """
    if value is None:
        return "—"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.15g}".replace("-", "−")
    return str(value or "none")
