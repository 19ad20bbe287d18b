"""Charts: eight forms, one renderer and one look, drawn by Vega-Lite (the only module that knows Altair).

A form takes a tidy frame and the names of its columns and returns a `Chart`; `finish` adds what a reader needs:

>>> import pandas as pd
>>> frame = pd.DataFrame({"what": ["Chip, FP8", "Chip, BF16"], "ratio": [1.94, 1.01], "claim": [4.0, 4.0]})
>>> chart = rows(frame, "ratio", "what", axis=Axis("Trainium3 over Trainium2"), unit="×", reference=1)
>>> chart = finish(chart, title="One chip gains 1.9×", subtitle="Published dense peaks, ratio", source="Source: AWS.")
>>> chart.meta["numbers"]["columns"]
['what', 'ratio', 'claim']

Specs carry the light colours; the HTML exporter turns each into a CSS variable, so that one spec serves the light page,
the dark page and paper. Specs are plain dictionaries (ten times faster to build than through Altair's classes, which a
batch of hundreds of reports feels); `Chart.altair` gives the Altair object to whoever wants to go on from there.
"""

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from trn3.theme import BOOK, PARTS, TOKENS, Axis, C, Spec, apart, clean, dashes, sig, style

MIME = "application/vnd.vegalite.v5+json"
CONFIG: Spec = BOOK["config"] | {"font": BOOK["font"]}
"""Vega-Lite configuration of the exported page; once per page."""
NOTEBOOK: Spec = CONFIG | {"background": C["page"], "title": BOOK["title"]}
"""The same on a white card with titles, for notebooks and pictures."""
Rules = Iterable[tuple[str, float, str]]
PLAIN, SHARES, SCALE = Axis(), Axis(domain=(0, 1), format=".0%"), Axis("Chips (log)", log=True, base=2)
SPEED, THROUGHPUT = (
    Axis("Tokens/s per user (log) →", log=True, base=2),
    Axis("↑ Output tokens/s per chip (log)", log=True),
)
MEASURED, COST = Axis("Measured (log)", log=True), Axis("Cumulative cost, million USD")


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
        bind = {"input": "range", "min": self.low, "max": self.high, "step": self.step, "name": self.label}
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
        {"field": k, "title": t, **({} if k in ("s", "p") else {"format": ",.4~r"})} for k, t in titles.items() if t
    ]


def _layer(name: str, x: Spec, y: Spec, tips: Sequence[Spec], data: list[Spec] | None) -> Spec:
    """One layer of ``charts.json`` with its channels: ``X:field``, ``Y:field``, ``=raw``, ``#number`` or a field."""
    encoding: Spec = {}
    for key, how in BOOK["layers"][name].items():
        if key == "tooltip":
            encoding[key] = list(tips)
        elif isinstance(how, dict) or key == "mark":
            encoding[key] = how
        elif how[:2] in ("X:", "Y:"):
            encoding[key] = (x if how[0] == "X" else y) | {"field": how[2:]}
        elif how[0] in "=#":
            encoding[key] = {"field": how[1:], "type": "nominal" if how[0] == "=" else "quantitative", "scale": None}
        else:
            encoding[key] = {"field": how}
    mark = encoding.pop("mark")
    if isinstance(mark, str):
        kind, *words = mark.split()
        styles = [w for w in words if w != "clip"]
        mark = {"type": kind, **({"style": styles[0]} if styles else {}), **({"clip": True} if "clip" in words else {})}
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
    layers = [_layer(n.replace("_", " "), x, y, tips, d) for n, d in tables.items() if d and n != "labels"]
    if tables.get("labels"):
        layers.append(_labels(tables["labels"], x, y))
    spec: Spec = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": 720, "height": height}
    return Chart(spec | {"layer": layers} | ({"params": list(params)} if params else {}), meta)


def _labels(data: list[Spec], x: Spec, y: Spec) -> Spec:
    """All labels of a chart in one table. Rows: x y t and, where not the usual, c w dx dy a."""
    rows_ = [{"dx": 0, "dy": 0, "a": "left", "w": 400, "c": C["ink"], **row} for row in data]
    fields = {"dx": "dx", "dy": "dy", "align": "a", "fontWeight": "w"}
    mark = {"type": "text", "clip": False, **{k: {"expr": f"datum.{f}"} for k, f in fields.items()}}
    color = {"color": {"field": "c", "type": "nominal", "scale": None}}
    shared = {"x": x | {"field": "x"}, "y": y | {"field": "y"}, "text": {"field": "t"}}
    halo, ink = {"mark": mark | {"style": "halo"}}, {"mark": mark, "encoding": color}
    return {"name": "labels", "data": {"values": rows_}, "encoding": shared, "layer": [halo, ink]}


def _above(data: list[Spec], x: float, axis: Axis, ends: Sequence[float]) -> bool:
    """Whether the lines run through the upper half at x, so that a label there belongs at the foot."""
    near = {s: min((r for r in data if r["s"] == s), key=lambda r: abs(r["x"] - x)) for s in {r["s"] for r in data}}
    places = [axis.place(r["y"], ends) for r in near.values()]
    return bool(places) and max(places) > 1 - min(places)


def _rules(rules: Rules, x: Spec, y: Spec, foot: Collection[float] = ()) -> dict[str, list[Spec]]:
    """Tables of the threshold lines ("x" or "y", value, label) and of their labels; "y" without a label is strong."""
    out: dict[str, list[Spec]] = {"unity": [], "xrules": [], "yrules": [], "labels": []}
    for axis, value, text in rules:
        out[f"{axis}rules" if text or axis == "x" else "unity"].append({axis: clean(value)})
        other = (y if axis == "x" else x)["scale"]["domain"]
        low = axis == "y" or value in foot
        spot = {"x": other[0], "y": other[0 if low else 1], axis: clean(value), "dx": 5, "dy": -10 if low else 8}
        out["labels"] += [{**spot, "t": text, "c": C["ink2"]}] if text else []
    return out


def _points(data: Iterable[Spec]) -> list[Spec]:
    """Rows with the look of their subject; hollow ones are filled with the page."""
    out = []
    for row in data:
        look, faint = style(row.get("subject") or row["s"]), bool(row.get("faint"))
        fill = C["page"] if row.get("hollow") or look.hollow else look.color
        size = 20 if faint else 100 if look.token == "trn3" else 64
        kept = {k: v for k, v in row.items() if k not in ("subject", "hollow", "faint", "label", "text", "group")}
        out.append(kept | {"c": look.color, "f": fill, "shape": look.shape, "size": size, "o": 0.35 if faint else 1})
    return out


def _by_row(names: Sequence[str], top: float = 0.75, heads: Collection[int] = ()) -> Spec:
    """A y channel with one row per name, drawn from the top."""
    y = Axis(domain=(-top, len(names) - 0.35)).channel([], values=list(range(len(names))), grid=False, format="d")
    words = ",".join("'" + n.replace("\\", "\\\\").replace("'", "\\'") + "'" for n in names)
    y["axis"] |= {"labelExpr": f"[{words}][datum.value]", "labelAlign": "left", "labelOverlap": False}
    y["axis"]["labelPadding"] = min(220, round(6.4 * max((len(n) for n in names), default=0)))
    if heads:
        bold = {"test": f"indexof({sorted(heads)},datum.value)>=0", "value": 600}
        y["axis"]["labelFontWeight"] = {"condition": bold, "value": 400}
    return y | {"scale": y["scale"] | {"reverse": True}}


def _quiet(x: Spec) -> Spec:
    """A value axis with a grid across it and no line."""
    return x | {"axis": x["axis"] | {"grid": True, "domain": False}}


def rows(
    frame: pd.DataFrame, value: str, label: str, *, axis: Axis = PLAIN, unit: str = "", reference: float | None = None
) -> Chart:
    """Dots or ranges by row, with a reference line and, per group, the value that somebody claimed.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per dot, in drawing order. Columns used when present: ``low``, ``high`` (80% range), ``group`` (bold
        head), ``claim`` (claimed value, a thick bar across the group), ``subject`` (for `style`; Trainium3 without),
        ``hollow`` (bool: computed with something unpublished), ``text`` (beside the dot; shown alone where the number
        is missing).
    value, label : str
        Columns: the number, and the row's name.
    axis : Axis
        The value axis.
    unit : str
        Unit behind the numbers.
    reference : float, optional
        Where the vertical reference line stands, for example 1 for ratios [unit of the axis].

    Returns
    -------
    Chart
        Not yet finished.

    Examples
    --------
    >>> frame = pd.DataFrame({"what": ["FP8", "BF16"], "ratio": [1.94, 1.01], "group": "“4× faster”", "claim": 4.0})
    >>> chart = rows(frame, "ratio", "what", axis=Axis("Trainium3 over Trainium2"), unit="×", reference=1)
    >>> [layer["name"] for layer in chart.spec["layer"]]
    ['reference', 'claims', 'gaps', 'points', 'labels']
    """
    data = _table(frame, "low", "high", "group", "claim", "subject", "hollow", "text", x=value, s=label)
    names: list[str] = []
    heads: list[int] = []
    bars: dict[str, Spec] = {}
    for row in data:
        head = row.get("group")
        if head and head not in [names[i] for i in heads]:
            heads.append(len(names))
            names.append(head)
        row |= {"y": len(names), "subject": row.get("subject") or "trainium3"}
        names.append(row["s"])
        if row.get("claim") is not None:
            bar = bars.setdefault(head or str(row["y"]), {"x": row["claim"], "y": row["y"] - 0.45})
            bar["y2"] = row["y"] + 0.45
    shown = [row.get(k) for row in data for k in ("x", "low", "high", "claim")]
    x, y = _quiet(axis.channel([*shown, reference])), _by_row(names, 0.9, heads)
    dots = [r for r in data if r["x"] is not None]
    ranged = [
        {k: r[k] for k in ("low", "high", "y")} | {"c": style(r["subject"]).color}
        for r in dots
        if r.get("low") is not None
    ]
    gaps = [{k: r[k] for k in ("x", "claim", "y")} for r in dots if r.get("claim") is not None]
    labels = [_beside(row, unit, axis, x["scale"]["domain"]) for row in data]
    for bar in bars.values():
        labels.append(
            {"x": bar["x"], "y": bar["y"] - 0.28, "t": f"claim {bar['x']:,.3g}{unit}", "c": C["ink2"], "a": "center"}
        )
    extra = {k: k for k in ("low", "high", "claim") if k in frame}
    tips = _tips(s="what", x=axis.title or value, **extra)
    lines_ = {"reference": [{"x": reference}] if reference is not None else [], "claims": list(bars.values())}
    meta = {
        "numbers": _numbers(
            frame, ["group", label, value, "low", "high", "claim", "text" if len(dots) < len(data) else ""]
        )
    }
    return _draw(
        x, y, 31 * len(names) + 24, meta, tips, **lines_, gaps=gaps, ranges=ranged, points=_points(dots), labels=labels
    )


def _beside(row: Spec, unit: str, axis: Axis, ends: Sequence[float]) -> Spec:
    """The number beside a dot: right of it or of its range, left where the claim or the edge is near on the right."""
    if row["x"] is None:
        return {"x": ends[0], "y": row["y"], "t": row.get("text") or "not published", "c": C["ink2"], "dx": 4}
    low, high = (row.get(k) if row.get(k) is not None else row["x"] for k in ("low", "high"))
    span = f" ({sig(low, 2)}–{sig(high, 2)})" if high > low else ""
    text = row.get("text") or sig(row["x"], 2 if span else 3) + unit + span
    room = 1.0 - axis.place(high, ends)
    if row.get("claim") is not None and row["claim"] >= high:
        room = axis.place(row["claim"], ends) - axis.place(high, ends)
    left = room < 0.011 * len(text) + 0.03 and axis.place(low, ends) > 0.011 * len(text) + 0.02
    spot = {"x": low, "dx": -10, "a": "right"} if left else {"x": high, "dx": 10}
    return {"y": row["y"], "t": text, "w": 600, **spot}


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    x_axis: Axis = PLAIN,
    y_axis: Axis = PLAIN,
    points: pd.DataFrame | None = None,
    dashed: Collection[str] = (),
    beyond: float | None = None,
    rules: Rules = (),
    names: Mapping[str, str] | None = None,
    height: float = 380,
    zoom: bool = False,
) -> Chart:
    """Lines with bands, direct labels at their ends, and points over them.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of the lines; columns ``low`` and ``high`` give the 80% band.
    x, y, series : str
        Columns; the series' name is given to `style` and stands at the line's end.
    x_axis, y_axis : Axis
        The axes.
    points : pandas.DataFrame, optional
        The same columns for single points, and optionally ``label``, ``subject``, ``hollow`` and ``faint``.
    dashed : collection of str
        Series that are computed with something unpublished or only announced.
    beyond : float, optional
        From here on the lines are extrapolated: dashed, with a lighter band [unit of x].
    rules : iterable of (axis, value, label)
        Thresholds, for example ``("x", 144, "one UltraServer")``; ``("y", 1, "")`` is a strong line.
    names : mapping, optional
        Text at the line's end where it is not the series' name; "" for none.
    height : float
        Height of the plot [px].
    zoom : bool
        Shift and wheel zoom (only for dense charts).

    Returns
    -------
    Chart
        Not yet finished.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [64, 128], "days": [20, 11], "low": [17, 9], "high": [25, 14], "chip": "trainium3"})
    >>> chart = lines(frame, "n", "days", "chip", x_axis=Axis("Chips (log)", True, 2), y_axis=Axis("Days (log)", True))
    >>> [layer["name"] for layer in chart.spec["layer"]]
    ['bands', 'lines', 'labels']
    """
    data = [r for r in _table(frame, "low", "high", x=x, y=y, s=series) if None not in (r["x"], r["y"])]
    optional = ("label", "subject", "hollow", "faint")
    dots = (
        [d for d in _table(points, *optional, x=x, y=y, s=series) if None not in (d["x"], d["y"])]
        if points is not None
        else []
    )
    across = x_axis.channel([r["x"] for r in [*data, *dots]], 1.0 if data else 1.15)
    up = y_axis.channel([r.get(k) for r in [*data, *dots] for k in ("y", "low", "high")])
    order = list(dict.fromkeys(r["s"] for r in data))
    dash = {n: [6, 3] if n in dashed else d for n, d in dashes(order).items()}
    crowded = {v for axis, v, _ in rules if axis == "x" and _above(data, v, y_axis, up["scale"]["domain"])}
    tables = _rules(rules, across, up, crowded)
    labels = tables.pop("labels")
    bands, strokes = [], []
    for far in (False, True) if beyond is not None else (False,):
        for name in order:
            look, key = style(name), f"{name}{far}"
            part = [
                r
                for r in data
                if r["s"] == name and (beyond is None or (r["x"] >= beyond if far else r["x"] <= beyond))
            ]
            bands += [
                {**r, "c": look.color, "k": key, "o": 0.09 if far else 0.2} for r in part if r.get("low") is not None
            ]
            more = {"d": [6, 3] if far else dash[name], "w": look.width, "c": look.color, "k": key}
            strokes += [{"x": r["x"], "y": r["y"], "s": name, **more} for r in part]
    bands = [{k: v for k, v in r.items() if k not in ("y", "s")} for r in bands]
    labels += [{"x": d["x"], "y": d["y"], "t": d["label"], "dx": 8, "dy": 12} for d in dots if d.get("label")]
    labels += _ends(data, order, names or {}, y_axis, up["scale"]["domain"], height)
    if beyond is not None:
        free = {"y": up["scale"]["domain"][int(strokes[0]["y"] > strokes[-1]["y"])]}  # the side that the lines leave
        labels.append(
            {
                "x": beyond,
                **free,
                "t": "extrapolated →",
                "dx": 5,
                "dy": 10 if free["y"] == up["scale"]["domain"][1] else -10,
                "c": C["ink2"],
            }
        )
    tips = _tips(s="series", x=x_axis.title or x, y=y_axis.title or y)
    meta = {"numbers": _numbers(frame, [series, x, y, "low", "high"])}
    chart = _draw(
        across, up, height, meta, tips, **tables, bands=bands, lines=strokes, points=_points(dots), labels=labels
    )
    return _zoomed(chart) if zoom else chart


def _zoomed(chart: Chart) -> Chart:
    target = next(layer for layer in reversed(chart.spec["layer"]) if layer["name"] in ("points", "lines"))
    target["params"] = [BOOK["zoom"]]
    return chart


def _ends(
    data: list[Spec], order: list[str], names: Mapping[str, str], axis: Axis, ends: Sequence[float], height: float
) -> list[Spec]:
    """One label per line at its last point inside the plot, pushed apart where several end together."""
    inside = {n: [r for r in data if r["s"] == n and ends[0] <= r["y"] <= ends[1]] for n in order if names.get(n, n)}
    last = {n: max(rows_, key=lambda r: r["x"]) for n, rows_ in inside.items() if rows_}
    natural = [height * (1 - axis.place(r["y"], ends)) for r in last.values()]
    out = []
    for (name, row), p, q in zip(last.items(), apart(natural, foot=height - 4), natural, strict=True):
        look = style(name)
        weight = 600 if look.token == "trn3" else 400
        out.append(
            {
                "x": row["x"],
                "y": row["y"],
                "t": names.get(name, name),
                "dx": 9,
                "dy": clean(p - q),
                "c": look.text,
                "w": weight,
            }
        )
    return out


def frontier(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    x_axis: Axis = SPEED,
    y_axis: Axis = THROUGHPUT,
    measured: pd.DataFrame | None = None,
    limit: tuple[float, str] | None = None,
    dashed: Collection[str] | None = None,
) -> Chart:
    """Throughput per chip against speed per user: predicted lines with bands, measured hulls as joined squares.

    Parameters
    ----------
    frame : pandas.DataFrame
        Predicted frontier; columns ``low`` and ``high`` give the 80% band.
    x, y, series : str
        Columns.
    x_axis, y_axis : Axis
        The axes, with arrows to the better side.
    measured : pandas.DataFrame, optional
        The same columns for measured runs; those not on their series' hull are drawn faint.
    limit : (value, label), optional
        Latency limit as a dotted rule [unit of x].
    dashed : collection of str, optional
        Predicted series with something unpublished; all of `frame` without it.

    Returns
    -------
    Chart
        Not yet finished.
    """
    dots, joined = None, frame
    key = [("dashband", "Predicted, 80% range", "trn3")]
    if measured is not None and len(measured):
        best = pd.concat([_hull(group, x, y) for _, group in measured.groupby(series, sort=False)])
        dots = measured.assign(faint=~measured.index.isin(best.index), subject=measured[series])
        joined = pd.concat([frame, best.assign(**{series: best[series].astype(str) + " measured"})], ignore_index=True)
        key += [("square", "Measured, best of the runs", "ink2"), ("faint", "Measured, other runs", "ink2")]
    shown = set(frame[series]) if dashed is None else dashed
    rules: Rules = [("x", *limit)] if limit else ()
    chart = lines(
        joined, x, y, series, x_axis=x_axis, y_axis=y_axis, points=dots, rules=rules, dashed=shown, height=400
    )
    chart.meta |= {"key": key}
    if dots is not None:
        everything = pd.concat([frame.assign(kind="predicted"), measured.assign(kind="measured")])
        chart.meta |= {"numbers": _numbers(everything, [series, "kind", x, y, "low", "high"])}
    return chart


def _hull(frame: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Rows that no other row beats in both columns, from slow to fast."""
    ordered = frame.sort_values([x, y], ascending=[False, False])
    best = ordered[y].astype(float).cummax().shift(fill_value=-math.inf)
    return ordered[ordered[y] > best].sort_values(x)


def ratios(
    frame: pd.DataFrame,
    predicted: str,
    measured: str,
    group: str,
    *,
    x_axis: Axis = MEASURED,
    band: tuple[float, float] = (0.8, 1.25),
    label: str = "label",
) -> Chart:
    """Predicted over measured against the measured value, on a logarithmic axis centred on 1.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per run; ``low`` and ``high`` (80% range of the prediction), ``subject`` and ``hollow`` are used when
        present.
    predicted, measured, group : str
        Columns: two numbers in one unit, and the source's group (coloured by the vendor that it names).
    x_axis : Axis
        Axis of the measured value.
    band : (float, float)
        The shaded band of the ratio [-].
    label : str
        Column with a text beside single points (the worst ones), used when present.

    Returns
    -------
    Chart
        Not yet finished.
    """
    shares = {
        k: frame[c] / frame[measured] for k, c in (("ratio", predicted), ("low", "low"), ("high", "high")) if c in frame
    }
    work = frame.assign(**shares, **({"label": frame[label]} if label in frame else {}))
    data = [
        r for r in _table(work, "subject", "hollow", "label", "low", "high", x=measured, y="ratio", s=group) if r["y"]
    ]
    across = x_axis.channel([r["x"] for r in data])
    reach = 1.05 * max(1.5, *(max(r["y"], 1 / r["y"]) for r in data)) if data else 1.5
    marks = [v for v in (0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.25, 2, 3, 5, 10) if 1 / reach <= v <= reach]
    up = Axis("Predicted over measured (log)", True, domain=(1 / reach, reach)).channel([], values=marks)
    bars = [
        {k: r[k] for k in ("x", "low", "high")} | {"c": style(r.get("subject") or r["s"]).color}
        for r in data
        if r.get("low") is not None
    ]
    labels = [{"x": r["x"], "y": r["y"], "t": r["label"], "dx": 9} for r in data if r.get("label")]
    tips = _tips(s="group", x=x_axis.title or measured, y="predicted over measured")
    meta = {"numbers": _numbers(work, [group, measured, predicted, "ratio", label])}
    shade = [{"y": band[0], "y2": band[1]}]
    return _zoomed(
        _draw(
            across,
            up,
            380,
            meta,
            tips,
            shade=shade,
            unity=[{"y": 1}],
            uncertain=bars,
            points=_points(data),
            labels=labels,
        )
    )


def stacks(
    frame: pd.DataFrame,
    row: str,
    part: str,
    value: str,
    *,
    axis: Axis = PLAIN,
    unit: str = "",
    totals: pd.DataFrame | None = None,
) -> Chart:
    """Horizontal stacked bars: parts of a whole in a fixed order, with the total and its range.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per row and part, parts in the order math, memory, network, idle or waiting, overhead (five at most).
    row, part, value : str
        Columns.
    axis : Axis
        The value axis; it starts at 0.
    unit : str
        Unit behind the total.
    totals : pandas.DataFrame, optional
        Columns `row`, ``low``, ``high``: the 80% range of the total, drawn as a whisker below the bar.

    Returns
    -------
    Chart
        Not yet finished.

    Raises
    ------
    ValueError
        With more parts than can be told apart.
    """
    names, parts = list(dict.fromkeys(frame[row].astype(str))), list(dict.fromkeys(frame[part].astype(str)))
    if len(parts) > len(PARTS):
        raise ValueError(f"parts: {len(parts)} given, {len(PARTS)} can be told apart; merge the smallest into overhead")
    total, bars = dict.fromkeys(names, 0.0), []
    for r in _table(frame, s=row, p=part, v=value):
        start = total[r["s"]]
        total[r["s"]] += r["v"] or 0.0
        ends = {"x": clean(start), "x2": clean(total[r["s"]]), "y": names.index(r["s"])}
        bars += [{**r, **ends, "c": C[PARTS[parts.index(r["p"])]]}] if r["v"] else []
    spans = [r for r in _table(totals, "low", "high", s=row) if r["low"] is not None] if totals is not None else []
    spans = [{"low": r["low"], "high": r["high"], "y": names.index(r["s"]), "x": clean(total[r["s"]])} for r in spans]
    x = _quiet(
        replace(axis, zero=True).channel([0, 1.08 * max([*total.values(), *(r["high"] for r in spans)], default=1.0)])
    )
    y = _by_row(names) | {"axis": None}
    labels = [{"x": 0, "y": i, "t": n, "w": 600, "dy": -19} for i, n in enumerate(names)]
    labels += [
        {"x": clean(v), "y": names.index(n), "t": f"{float(f'{v:.2g}'):,.12g}{unit}", "w": 600, "dx": 7}
        for n, v in total.items()
    ]
    key = [("bar", p, t) for p, t in zip(parts, PARTS, strict=False)] + [
        ("whisker", "80% range of the total", "ink")
    ] * bool(spans)
    meta = {"key": key, "numbers": _numbers(frame, [row, part, value])}
    ends_ = [{"x": r[k], "y": r["y"]} for r in spans for k in ("low", "high")]
    tips = _tips(s="row", p="part", v=axis.title or value)
    return _draw(
        x, y, 58 * len(names) + 12, meta, tips, bars=bars, whiskers=spans, ends=ends_, middles=spans, labels=labels
    )


def area(
    frame: pd.DataFrame,
    x: str,
    part: str,
    value: str,
    *,
    useful: str = "Useful",
    x_axis: Axis = SCALE,
    y_axis: Axis = SHARES,
    beyond: float | None = None,
    rules: Rules = (),
) -> Chart:
    """Stacked shares against scale: the useful part at the foot in Trainium's colour, the losses above it.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per x and part; shares from 0 to 1 that add to 1.
    x, part, value : str
        Columns.
    useful : str
        The part that is drawn at the foot.
    x_axis, y_axis : Axis
        The axes.
    beyond : float, optional
        From here on nobody has measured: lighter, with a note [unit of x].
    rules : iterable of (axis, value, label)
        Thresholds as in `lines`.

    Returns
    -------
    Chart
        Not yet finished.
    """
    data = _table(frame, x=x, p=part, v=value)
    parts = [useful, *(p for p in dict.fromkeys(r["p"] for r in data) if p != useful)]
    colour = dict(zip(parts, [C["trn3"], *(C[p] for p in PARTS)], strict=False))
    base: dict[float, float] = {}
    stack = []
    for r in sorted(data, key=lambda r: parts.index(r["p"])):
        low = base.get(r["x"], 0.0)
        base[r["x"]] = low + (r["v"] or 0.0)
        ends = {"low": clean(low), "high": clean(base[r["x"]])}
        stack.append({**r, **ends, "c": colour[r["p"]], "o": 0.2 if r["p"] == useful else 1})
    across, up = x_axis.channel(list(base), 1.0), y_axis.channel([0, *base.values()])
    tables = _rules(rules, across, up)
    (first, last), foot = across["scale"]["domain"], up["scale"]["domain"][0]
    labels = [*tables.pop("labels"), {"x": first, "y": foot, "t": useful, "dx": 10, "dy": -40, "w": 600}]
    if beyond is not None:
        labels.append(
            {"x": last, "y": foot, "t": "nobody has measured this", "a": "right", "dx": -6, "dy": -12, "c": C["ink2"]}
        )
    edge = [{"x": r["x"], "y": r["high"]} for r in stack if r["p"] == useful]
    meta = {
        "key": [("bar", p, t) for p, t in zip(parts[1:], PARTS, strict=False)],
        "numbers": _numbers(frame, [x, part, value]),
    }
    tips = _tips(p="part", x=x_axis.title or x, v=y_axis.title or "share")
    veil = [{"x": beyond}] if beyond is not None else []
    return _draw(across, up, 360, meta, tips, areas=stack, veil=veil, useful=edge, **tables, labels=labels)


def tornado(
    frame: pd.DataFrame,
    name: str,
    low: str,
    high: str,
    *,
    base: float | str,
    axis: Axis = PLAIN,
    sliders: Sequence[Slider] = (),
) -> Chart:
    """What one input at a time does to the answer, sorted by span.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per input; ``low_label`` and ``high_label`` are written at the two ends when present.
    name, low, high : str
        Columns: the input, and the answer at its low and at its high end: numbers, or Vega expressions over sliders
        (then give them sorted).
    base : float or str
        The answer as assumed, number or expression [unit of the axis].
    axis : Axis
        The value axis; give a domain when the values are expressions.
    sliders : sequence of Slider
        Controls named in the expressions.

    Returns
    -------
    Chart
        Not yet finished.
    """
    data = _table(frame, "low_label", "high_label", s=name, low=low, high=high)
    live = isinstance(base, str) or any(isinstance(r[k], str) for r in data for k in ("low", "high"))
    data.sort(key=lambda r: 0 if live else -abs(r["high"] - r["low"]))
    ends = [] if live else [0, base, *(r[k] for r in data for k in ("low", "high"))]
    x, y = _quiet(axis.channel(ends)), _by_row([r["s"] for r in data]) | {"axis": None}
    values = [{"s": r["s"], "y": i, "tl": r.get("low_label"), "th": r.get("high_label")} for i, r in enumerate(data)]
    picks = {
        end: " : ".join([*(f"datum.y=={i} ? {r[end]}" for i, r in enumerate(data)), "0"]) for end in ("low", "high")
    }
    steps = [{"calculate": text, "as": end} for end, text in {**picks, "base": str(base)}.items()]
    tips = _tips(s="input", low="at the low end", high="at the high end")
    shown = [n for n, column in (("low text", "tl"), ("high text", "th")) if any(r[column] for r in values)]
    layers = [_layer(n, x, y, tips, None) for n in ("low", "high")] + [_layer("reference", x, y, (), [{"x": 0}])]
    layers += [_layer(n, x, y, (), None) for n in ("now", "heads", *shown)]
    key = [("bar", "Low end of the input", "p3"), ("bar", "High end", "p2"), ("tick", "As assumed", "trn3")]
    meta = {"key": key, "numbers": _numbers(frame, [name, *([] if live else [low, high]), "low_label", "high_label"])}
    chart = _draw(x, y, 54 * len(data) + 10, meta, params=[s.param() for s in sliders])
    chart.spec |= {"data": {"values": values}, "transform": steps, "layer": layers}
    return chart


def cumulative(
    frame: pd.DataFrame,
    *,
    sliders: Sequence[Slider] = (),
    months: int = 24,
    y_axis: Axis = COST,
    path: pd.DataFrame | None = None,
) -> Chart:
    """Cumulative cost of two ways by month, with break-even, following sliders inside the page.

    Parameters
    ----------
    frame : pandas.DataFrame
        Two lines: first staying, then moving. Columns ``name``, ``start`` (one-off cost), ``slope`` (cost per month),
        optionally ``slope_low`` and ``slope_high``: numbers, or Vega expressions over the sliders' names
        [unit of the axis].
    sliders : sequence of Slider
        Controls named in the expressions, four at most.
    months : int
        Horizon [month].
    y_axis : Axis
        Axis of the cost.
    path : pandas.DataFrame, optional
        One line per month from 0, for costs that are no straight line: expressions take a column as ``datum.column``.

    Returns
    -------
    Chart
        Not yet finished.
    """
    two = [{k: v if isinstance(v, str) else clean(v) for k, v in r.items()} for r in frame.to_dict("records")]

    def either(pair: Sequence[str], name: str) -> Spec:
        return {"calculate": f"datum.i==0 ? {pair[0]} : {pair[1]}", "as": name}

    def end(column: str) -> list[str]:
        slopes = [r.get(column) if r.get(column) not in (None, "") else "" for r in two]
        return [
            f"({r['start']})+({s})*datum.x" if s else f"datum.{f}" for r, s, f in zip(two, slopes, "ab", strict=True)
        ]

    ways = [{"calculate": f"({r['start']})+({r['slope']})*datum.x", "as": f} for r, f in zip(two, "ab", strict=True)]
    x = Axis("Months after the decision", domain=(0, months)).channel(
        [], values=[*range(0, months + 1, max(1, months // 4))]
    )
    y: Spec = {
        "type": "quantitative",
        "title": y_axis.title,
        "scale": {"zero": True, "nice": 4},
        "axis": {"tickCount": 5},
    }
    looks = [style(r["name"]) for r in two]
    by_month = path.to_dict("records") if path is not None else [{}] * (months + 1)
    values = [{"x": m, "i": i, **by_month[m]} for i in (0, 1) for m in range(months + 1)]
    fixed = {"s": [r["name"] for r in two], "c": [k.color for k in looks], "tc": [k.text for k in looks]}
    steps = [either(["'" + t.replace("'", "\\'") + "'" for t in texts], name) for name, texts in fixed.items()]
    steps += [either([str(k.width) for k in looks], "w"), {"calculate": "datum.i", "as": "k"}]
    steps += [{"calculate": "[1,0]", "as": "d"}, {"calculate": "0.2", "as": "o"}]
    steps += [*ways, either(["datum.a", "datum.b"], "y")]
    steps += [either(end(f"slope_{side}"), side) for side in ("low", "high")]
    lag = [{"op": "lag", "field": f, "as": f"{f}0"} for f in ("gap", "y")]
    share = "datum.gap0>0 && datum.gap<=0 ? datum.gap0/(datum.gap0-datum.gap) : null"
    one = [
        {"filter": "datum.i==0"},
        {"calculate": "datum.b-datum.a", "as": "gap"},
        {"window": lag, "sort": [{"field": "x"}]},
        {"calculate": share, "as": "part"},
        {"joinaggregate": [{"op": "valid", "field": "part", "as": "n"}, {"op": "max", "field": "gap", "as": "most"}]},
    ]
    place = [("datum.y0+datum.part*(datum.y-datum.y0)", "y"), ("datum.x-1+datum.part", "x")]
    meet = [*one, {"filter": "isValid(datum.part)"}, *({"calculate": t, "as": f} for t, f in place)]
    gap = "(datum.y-datum.rival)"
    word = {"calculate": "datum.s+' '+format(datum.y,',.3~r')", "as": "t"}
    near = f"abs({gap})<0.05*datum.y ? ({gap}>0 ? -8 : 8) : 0"
    last = [
        {"filter": f"datum.x=={months}"},
        either(["datum.b", "datum.a"], "rival"),
        {"calculate": near, "as": "dy"},
        word,
    ]
    month = [*meet, {"calculate": "'Break-even: month '+format(datum.x,'.1f')", "as": "t"}]
    words = f"datum.most>0 ? 'No break-even within {months} months' : 'Moving costs less from the first month'"
    never = [*one, {"filter": "datum.n==0 && datum.x==0"}, {"calculate": words, "as": "t"}]
    after = {"drop": meet, "break-even": meet, "month": month, "never": never, "last": last}
    tips = _tips(s="way", x="month", y=y_axis.title)
    key = [("line", r["name"], look.token) for r, look in zip(two, looks, strict=True)] + [("dot", "Break-even", "ink")]
    chart = _draw(x, y, 340, {"key": key, "numbers": _numbers(frame)}, params=[s.param() for s in sliders])
    layers = [_layer(n, x, y, tips, None) for n in ("bands", "lines")]
    layers += [_layer(n, x, y, (), None) | {"transform": t} for n, t in after.items()]
    chart.spec |= {"data": {"values": values}, "transform": steps, "layer": layers}
    return chart


def empty(sentence: str, numbers: pd.DataFrame | None = None) -> Chart:
    """What stands where nothing can be drawn: one sentence that says what is missing and why.

    Parameters
    ----------
    sentence : str
        For example "Nothing to draw: no price, so no cost."
    numbers : pandas.DataFrame, optional
        What is known all the same.

    Returns
    -------
    Chart
        Not yet finished.
    """
    meta = {"empty": sentence, "numbers": _numbers(numbers) if numbers is not None else None}
    return _draw({}, {}, 40, meta, sentence=[{"t": sentence}])


def finish(
    chart: Any,
    *,
    title: str,
    subtitle: str,
    source: str,
    key: Sequence[tuple[str, str, str]] | None = None,
    description: str = "",
    numbers: pd.DataFrame | None = None,
) -> Chart:
    """Give a chart what its reader needs: a finding, the measure, the key, the source and the numbers.

    Parameters
    ----------
    chart : Chart or altair chart
        From one of the forms, or your own.
    title : str
        The finding, computed, at most 14 words, no full stop.
    subtitle : str
        Measure, unit, conditions, what the band is, "log" if so.
    source : str
        "Source: publisher, date read; what is modelled; what is assumed."
    key : sequence of (mark, label, colour), optional
        Entries above the plot where marks are not named: mark is dot, hollow, square, faint, triangle, diamond, bar,
        line, dashed, band, dashband, tick or whisker; colour is a name in `TOKENS` or a subject. The form's own
        without it.
    description : str
        What a screen reader says: finding and main numbers; title and subtitle without it.
    numbers : pandas.DataFrame, optional
        The table under the chart, one row per mark; the plotted columns without it.

    Returns
    -------
    Chart
        Shows itself when it ends a cell.
    """
    made = chart if isinstance(chart, Chart) else Chart(chart.to_dict())
    entries = made.meta.get("key", []) if key is None else key
    marks = [[m, t, c if c in TOKENS else style(c).token] for m, t, c in entries]
    meta = {**made.meta, "title": title, "subtitle": subtitle, "source": source, "key": marks}
    meta |= {"numbers": _numbers(numbers)} if numbers is not None else {}
    _once(made.spec.get("layer", []))
    spec = {**made.spec, "description": description or f"{title}. {subtitle}.", "usermeta": {"trn3": meta}}
    return Chart(_for_notebook(spec, meta), meta)


def _once(layers: Sequence[Spec]) -> None:
    """Leave scale and axis in the first layer that has them; Vega-Lite shares them, and specs lose a third."""
    seen = set()
    for layer in layers:
        for name, channel in layer.get("encoding", {}).items():
            if name in seen and "scale" in channel and "labelExpr" not in (channel.get("axis") or {}):
                layer["encoding"][name] = {k: channel[k] for k in ("field", "type") if k in channel}
            elif name in ("x", "y") and "axis" in channel:
                seen.add(name)


def _for_notebook(spec: Spec, meta: Spec) -> Spec:
    """Title, key and source inside the chart, on white: what JupyterLab and a static picture show."""
    indent = -max([0, *(_indent(layer) for layer in spec.get("layer", []))])
    px, py, notes = indent, -40, []
    for mark, label, token in meta["key"]:
        need = 7 * len(label) + 34
        px, py = (indent, py - 17) if px > indent and px + need > indent + 700 else (px, py)
        glyph, words = {"t": BOOK["glyphs"].get(mark, "●"), "c": C[token]}, {"t": label, "c": C["ink2"]}
        notes += [{"px": px, "py": py, **glyph}, {"px": px + 17, "py": py, **words}]
        px += need
    source = textwrap.wrap(meta["source"], 112)
    foot = spec.get("height", 300) + 52
    notes += [{"px": indent, "py": foot + 15 * i, "t": t, "c": C["ink3"]} for i, t in enumerate(source)]
    title = {"text": textwrap.wrap(meta["title"], 70), "subtitle": textwrap.wrap(meta["subtitle"], 100)}
    layers = spec.get("layer") or [{k: spec.pop(k) for k in ("mark", "encoding", "data") if k in spec}]
    return {**spec, "title": title, "config": NOTEBOOK, "layer": [*layers, _layer("notes", {}, {}, (), notes)]}


def _indent(layer: Spec) -> int:
    axis = layer.get("encoding", {}).get("y", {}).get("axis") or {}
    return int(axis.get("labelPadding", 0)) + 5


def png(spec: Spec, scale: float = 1.5) -> bytes:
    """Static picture of a chart, for pages that show no Vega.

    Parameters
    ----------
    spec : dict
        A finished chart's spec.
    scale : float
        Pixels per CSS pixel [-].

    Returns
    -------
    bytes
        PNG.
    """
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=scale))


def enable() -> None:
    """Make Altair charts of the notebook use this theme and a renderer that works offline.

    Charts of this module need no call; it serves charts that a reader adds. Altair's own renderer writes a type that
    nbformat refuses and JupyterLab does not draw, hence ours.
    """
    import altair

    altair.renderers.register("trn3", lambda spec, **_: ({MIME: spec, "text/plain": "<chart>"}, {}))
    altair.renderers.enable("trn3")
    altair.theme.register("trn3", enable=True)(lambda: altair.theme.ThemeConfig(config=NOTEBOOK))
