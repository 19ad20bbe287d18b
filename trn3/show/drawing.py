"""What charts are made of: sliders, the chart itself, layers from ``charts.json``, labels,
thresholds and points.

Internal to `trn3.show.charts` and `trn3.show.forms`, hence the underscores.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from trn3.show.theme import BOOK, Axis, C, Spec, clean, style

MIME = "application/vnd.vegalite.v5+json"
Rules = Iterable[tuple[str, float, str]]
PLAIN = Axis()
_LIMIT = (
    "isFinite(containerSize()[0])?max(110,containerSize()[0]*0.4):300"  # names end in … on a phone
)


@dataclass(frozen=True)
class Slider:
    """A control that the reader moves; charts of one page share it by its name.

    Attributes
    ----------
    name : str
        Name in the expressions of `cumulative` and `tornado`.
    label : str
        Label with unit, for example ``"Trainium3 price, USD per chip-hour"``.
    low, high, value, step : float
        Ends of the assumption, its middle value and the step [unit of the label].
    """

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float

    def param(self) -> Spec:
        """Give the Vega-Lite parameter.

        Returns
        -------
        dict
            A parameter bound to a range input.
        """
        bind = {
            "input": "range",
            "min": self.low,
            "max": self.high,
            "step": self.step,
            "name": self.label,
        }
        return {"name": self.name, "value": self.value, "bind": bind}


@dataclass
class Chart:
    """A Vega-Lite spec that shows itself in JupyterLab and in the exported page.

    Attributes
    ----------
    spec : dict
        The Vega-Lite spec.
    meta : dict
        What the page needs beside the plot: title, subtitle, source, key, numbers.
    """

    spec: Spec
    meta: Spec = field(default_factory=dict)

    def altair(self) -> Any:
        """Give the same chart as an Altair object, to be changed further.

        Returns
        -------
        altair.LayerChart
            Built from the spec.
        """
        import altair

        return altair.Chart.from_dict(self.spec)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {MIME: self.spec, "text/plain": f"<chart: {self.meta.get('title', '')}>"}


def _table(frame: pd.DataFrame, *names: str, **fields: str) -> list[Spec]:
    """Records with short field names; `names` are taken where the frame has them."""
    columns = {**fields, **{n: n for n in names if n in frame.columns}}
    cells = [[clean(v) for v in frame[name].tolist()] for name in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def _numbers(frame: pd.DataFrame, names: Iterable[str] = ()) -> Spec:
    kept = [n for n in dict.fromkeys(names) if n in frame.columns] or list(frame.columns)
    return {
        "columns": [str(n) for n in kept],
        "rows": [list(r.values()) for r in _table(frame[kept], **{str(n): n for n in kept})],
    }


def _tips(**titles: str) -> list[Spec]:
    return [
        {"field": k, "title": t, **({} if k in ("s", "p") else {"format": ",.4~r"})}
        for k, t in titles.items()
        if t
    ]


def _layer(name: str, x: Spec, y: Spec, tips: Sequence[Spec], data: list[Spec] | None) -> Spec:
    """One layer of ``charts.json`` with its channels: ``X:field``, ``Y:field``, ``=raw``,
    ``#number`` or a field.
    """
    encoding: Spec = {}
    for key, how in BOOK["layers"][name].items():
        if key == "tooltip":
            encoding[key] = list(tips)
        elif isinstance(how, dict) or key == "mark":
            encoding[key] = how
        elif how[:2] in ("X:", "Y:"):
            encoding[key] = (x if how[0] == "X" else y) | {"field": how[2:]}
        elif how[0] in "=#":
            encoding[key] = {
                "field": how[1:],
                "type": "nominal" if how[0] == "=" else "quantitative",
                "scale": None,
            }
        else:
            encoding[key] = {"field": how}
    mark = encoding.pop("mark")
    if isinstance(mark, str):
        kind, *words = mark.split()
        styles = [w for w in words if w != "clip"]
        mark = {
            "type": kind,
            **({"style": styles[0]} if styles else {}),
            **({"clip": True} if "clip" in words else {}),
        }
    return {
        "name": name,
        **({"data": {"values": data}} if data is not None else {}),
        "mark": mark,
        "encoding": encoding,
    }


def _draw(
    x: Spec,
    y: Spec,
    height: float,
    meta: Spec,
    tips: Sequence[Spec] = (),
    params: Sequence[Spec] = (),
    **tables: list[Spec],
) -> Chart:
    """Layers in the order of their tables; empty ones are left out, labels get a halo below."""
    layers = [
        _layer(n.replace("_", " "), x, y, tips, d) for n, d in tables.items() if d and n != "labels"
    ]
    if tables.get("labels"):
        layers.append(_labels(tables["labels"], x, y))
    spec: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 720,
        "height": height,
    }
    return Chart(spec | {"layer": layers} | ({"params": list(params)} if params else {}), meta)


def _labels(data: list[Spec], x: Spec, y: Spec) -> Spec:
    """All labels of a chart in one table. Rows: x y t and, where not the usual, c w dx dy a."""
    rows_ = [{"dx": 0, "dy": 0, "a": "left", "w": 400, "c": C["ink"], **row} for row in data]
    fields = {"dx": "dx", "dy": "dy", "align": "a", "fontWeight": "w"}
    mark = {
        "type": "text",
        "clip": False,
        "limit": {"expr": _LIMIT},
        **{k: {"expr": f"datum.{f}"} for k, f in fields.items()},
    }
    color = {"color": {"field": "c", "type": "nominal", "scale": None}}
    shared = {"x": x | {"field": "x"}, "y": y | {"field": "y"}, "text": {"field": "t"}}
    halo, ink = {"mark": mark | {"style": "halo"}}, {"mark": mark, "encoding": color}
    return {"name": "labels", "data": {"values": rows_}, "encoding": shared, "layer": [halo, ink]}


def _above(data: list[Spec], x: float, axis: Axis, ends: Sequence[float]) -> bool:
    """Whether the lines run through the upper half at x, so that a label there belongs at the
    foot.
    """
    near = {
        s: min((r for r in data if r["s"] == s), key=lambda r: abs(r["x"] - x))
        for s in {r["s"] for r in data}
    }
    places = [axis.place(r["y"], ends) for r in near.values()]
    return bool(places) and max(places) > 1 - min(places)


def _rules(rules: Rules, x: Spec, y: Spec, foot: Collection[float] = ()) -> dict[str, list[Spec]]:
    """Tables of the threshold lines ("x" or "y", value, label) and of their labels; "y" without
    a label is strong.
    """
    out: dict[str, list[Spec]] = {"unity": [], "xrules": [], "yrules": [], "labels": []}
    for axis, value, text in rules:
        out[f"{axis}rules" if text or axis == "x" else "unity"].append({axis: clean(value)})
        other = (y if axis == "x" else x)["scale"]["domain"]
        low = axis == "y" or value in foot
        spot = {
            "x": other[0],
            "y": other[0 if low else 1],
            axis: clean(value),
            "dx": 5,
            "dy": -10 if low else 8,
        }
        out["labels"] += [{**spot, "t": text, "c": C["ink2"]}] if text else []
    return out


def _points(data: Iterable[Spec]) -> list[Spec]:
    """Rows with the look of their subject; hollow ones are filled with the page."""
    out = []
    for row in data:
        look, faint = style(row.get("subject") or row["s"]), bool(row.get("faint"))
        fill = C["page"] if row.get("hollow") or look.hollow else look.color
        size = 20 if faint else 100 if look.token == "trn3" else 64
        kept = {
            k: v
            for k, v in row.items()
            if k not in ("subject", "hollow", "faint", "label", "text", "group")
        }
        out.append(
            kept
            | {
                "c": look.color,
                "f": fill,
                "shape": look.shape,
                "size": size,
                "o": 0.35 if faint else 1,
            }
        )
    return out


def _by_row(names: Sequence[str], top: float = 0.75, heads: Collection[int] = ()) -> Spec:
    """A y channel with one row per name, drawn from the top."""
    y = Axis(domain=(-top, len(names) - 0.35)).channel(
        [], values=list(range(len(names))), grid=False, format="d"
    )
    words = ",".join("'" + n.replace("\\", "\\\\").replace("'", "\\'") + "'" for n in names)
    y["axis"] |= {
        "labelExpr": f"[{words}][datum.value]",
        "labelAlign": "left",
        "labelOverlap": False,
    }
    y["axis"]["labelPadding"] = min(220, round(6.4 * max((len(n) for n in names), default=0)))
    if heads:
        bold = {"test": f"indexof({sorted(heads)},datum.value)>=0", "value": 600}
        y["axis"]["labelFontWeight"] = {"condition": bold, "value": 400}
    return y | {"scale": y["scale"] | {"reverse": True}}


def _quiet(x: Spec) -> Spec:
    """A value axis with a grid across it and no line."""
    return x | {"axis": x["axis"] | {"grid": True, "domain": False}}


def _zoomed(chart: Chart) -> Chart:
    target = next(
        layer for layer in reversed(chart.spec["layer"]) if layer["name"] in ("points", "lines")
    )
    target["params"] = [BOOK["zoom"]]
    return chart
