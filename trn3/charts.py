"""Charts: one theme, one renderer and eight chart forms, drawn by Vega-Lite (the only module that knows Altair).

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
import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

Spec = dict[str, Any]
MIME = "application/vnd.vegalite.v5+json"
FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", '
FONT += "Arial, sans-serif"
TOKENS: dict[str, tuple[str, str]] = {
    name: (light, dark)
    for name, light, dark in (
        row.split()
        for row in """page #FFFFFF #12171D;panel #F4F6F8 #1A2129;line #D8DDE3 #333D48;rule #1B2430 #E8ECF0
control #7B8794 #7D8896;ink #1B2430 #E8ECF0;ink2 #4A5663 #B5BFCA;ink3 #5F6B78 #9AA6B2;grid #E4E8EC #2A333D
axis #818D9A #75818E;link #0B5CAD #7DB7FF;focus #0B5CAD #7DB7FF;accent #B4470A #FF9B57;halo #FFFFFE #12171D
tip #1B2431 #E8ECF1;tiptext #FFFFFD #12171E;trn3 #BE4D00 #FA8D38;trn2 #D5762E #C9793B;trn1 #B58660 #A07A5A
nvidia #1B6E50 #5AD8A8;tpu #1F4FA3 #789BF8;amd #6E0A4A #EA5590;other #7F8C98 #8597A4;p1 #2B2D5B #C3BEFA
p2 #5A57A6 #918BE0;p3 #8E86CB #6A64B8;p4 #56606C #A9B2BC;p5 #828D99 #747F8B;good #11695F #6FD6C4
goodbg #E2F3EF #12332F;warn #8A5A00 #F0BE5A;warnbg #FCF1D6 #382B0C;bad #B3261E #FF9A90;badbg #FCE8E6 #43201D
none #55606C #AAB4BF;nonebg #ECEFF2 #262E37;info #0B4F96 #9CC8FF;infobg #E6EFFA #142C47""".replace("\n", ";").split(";")
    )
}
"""Every colour by name: (light, dark)."""
C = {name: light for name, (light, _) in TOKENS.items()}
PARTS = ("p1", "p2", "p3", "p4", "p5")
_FAMILY = (  # token, shape, pattern; the first that matches wins; newest chips first within a vendor
    ("trn3", "circle", r"trainium ?[34]|trn[34]"),
    ("trn2", "circle", r"trainium ?2|trn2"),
    ("trn1", "circle", r"trainium|trn1|inf"),
    ("other", "cross", r"a100|v100|l40s|a10g"),
    ("nvidia", "square", r"gb300|b300|gb200|b200|gh200|h200|h100|h800|h20|hgx|nvl|nvidia"),
    ("tpu", "triangle-up", r"tpu[ _]?v7|ironwood|tpu[ _]?v6e|tpu[ _]?v5p|tpu[ _]?v5e|tpu[ _]?v4|tpu|google"),
    ("amd", "diamond", r"mi4\d\d|mi355|mi325|mi300|mi\d|amd"),
)
_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 3])


@dataclass(frozen=True)
class Style:
    """How one subject is drawn, in every chart.

    Attributes
    ----------
    token : str
        Name of its colour in `TOKENS`.
    color : str
        The light hex.
    shape : str
        Vega symbol.
    width : float
        Line width [px].
    size : float
        Mark area [px^2].
    hollow : bool
        True for what is only announced.
    text : str
        Colour of its label, the ink where the mark's colour is too weak for text.
    """

    token: str
    color: str
    shape: str
    width: float
    size: float
    hollow: bool
    text: str


def style(subject: str) -> Style:
    """Colour, shape and weight of a chip, system or vendor, found by its id or by its name in a text.

    Parameters
    ----------
    subject : str
        For example ``"trainium3"``, ``"trn3_gen2"``, ``"Trainium3 MXFP8"``, ``"TPU v7"``; unknown ones are grey.

    Returns
    -------
    Style
        The same in all reports.

    Examples
    --------
    >>> style("trn3_gen2").token, style("B200, measured").shape, style("Gaudi 3").token
    ('trn3', 'square', 'other')
    """
    text = subject.lower()
    token, shape = next(((t, s) for t, s, pattern in _FAMILY if re.search(pattern, text)), ("other", "cross"))
    main = token == "trn3"
    color = C["ink2"] if token in ("trn1", "trn2", "other") else C[token]
    width = {"trn3": 3.0, "trn2": 1.5, "trn1": 1.5}.get(token, 1.75)
    return Style(token, C[token], shape, width, 100 if main else 64, bool(re.search("trainium ?4|trn4", text)), color)


def _dashes(names: Sequence[str]) -> dict[str, list[int]]:
    """Solid for the newest chip of a vendor in this chart, then 6-3, then 2-3."""
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(style(name).token, []).append(name)

    def age(name: str) -> int:
        words = next((p.split("|") for t, _, p in _FAMILY if t == style(name).token), [])
        return next((i for i, word in enumerate(words) if re.search(word, name.lower())), 99)

    ages = {t: sorted({age(n) for n in group}) for t, group in seen.items()}
    return {
        n: [6, 3] if style(n).hollow else _DASHES[min(ages[t].index(age(n)), 2)] for t, g in seen.items() for n in g
    }


@dataclass(frozen=True)
class Slider:
    """A control that the reader moves; charts of one page share it by its name.

    Attributes
    ----------
    name : str
        Name in the expressions of `cumulative` and `tornado`.
    label : str
        Label with unit, for example ``"Trainium3 price, USD per chip-hour"``.
    low : float
        Low end of the assumption [unit of the label].
    high : float
        High end [unit of the label].
    value : float
        Where it starts: the middle value of the assumption [unit of the label].
    step : float
        Step [unit of the label].
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


def _clean(value: Any) -> Any:
    """JSON value of a cell: missing is None, floats are rounded to what a screen can show."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, (bool, np.bool_, str)):
        return value if isinstance(value, str) else bool(value)
    if isinstance(value, (int, float, np.number)):
        return int(value) if value == round(float(value)) and abs(value) < 1e9 else float(f"{float(value):.4g}")
    return str(value)


def _table(frame: pd.DataFrame, **fields: str | None) -> list[Spec]:
    """Records with short field names, in row order."""
    columns = {short: [_clean(v) for v in frame[name].tolist()] for short, name in fields.items() if name}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _numbers(frame: pd.DataFrame, columns: Iterable[str | None] = ()) -> Spec:
    names = list(dict.fromkeys(c for c in columns if c)) or [str(c) for c in frame.columns]
    cells = [[_clean(v) for v in frame[name].tolist()] for name in names]
    return {"columns": names, "rows": [list(row) for row in zip(*cells, strict=True)]}


def ticks(low: float, high: float, log: bool = False, base: int = 10) -> list[float]:
    """Round axis values inside a range.

    Parameters
    ----------
    low : float
        Low end of the axis [any].
    high : float
        High end [any].
    log : bool
        Logarithmic axis.
    base : int
        10 gives 1-3-10, 2 gives powers of two [-].

    Returns
    -------
    list of float
        Four to seven values.

    Examples
    --------
    >>> ticks(0, 7.2), ticks(30, 1200, log=True), ticks(1, 64, log=True, base=2)
    ([0, 2, 4, 6], [30, 100, 300, 1000], [1, 2, 4, 8, 16, 32, 64])
    """
    if not log:
        raw = (high - low) / 5 or 1.0
        unit = 10.0 ** math.floor(math.log10(raw))
        step = min((s * unit for s in (1, 2, 2.5, 5, 10)), key=lambda s: abs(math.log(s / raw)))
        first = math.ceil(low / step - 1e-9)
        return [_clean(round(i * step, 12)) for i in range(first, math.floor(high / step + 1e-9) + 1)]
    marks = (1.0, 3.0) if base == 10 else (1.0,)
    first, last = math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9)
    all_ticks = [m * float(base) ** e for e in range(first, last + 1) for m in marks]
    kept = [t for t in all_ticks if low * 0.999 <= t <= high * 1.001]
    return [_clean(t) for t in kept[:: max(1, math.ceil(len(kept) / 7))]]


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes
    ----------
    title : str
        Measure and unit, at most 32 characters; say "(log)" on a logarithmic axis.
    log : bool
        Logarithmic, for spans over 20.
    base : int
        Ticks of a logarithmic axis: 10 gives 1-3-10, 2 gives powers of two [-].
    domain : tuple of float, optional
        Ends of the axis; around the data without it.
    zero : bool
        A linear axis starts at 0.
    format : str
        d3 number format of the ticks; three digits without it, whole numbers on powers of two.
    """

    title: str = ""
    log: bool = False
    base: int = 10
    domain: tuple[float, float] | None = None
    zero: bool = False
    format: str = ""

    def ends(self, values: Iterable[Any]) -> list[float]:
        """Ends around the data; linear ones lie on ticks, logarithmic ones on two digits.

        Parameters
        ----------
        values : iterable
            Numbers to be shown; None is passed over [unit of the axis].

        Returns
        -------
        list of float
            Low and high end [unit of the axis].
        """
        if self.domain:
            return [float(end) for end in self.domain]
        data = [v for v in values if v is not None and (not self.log or v > 0)] or [1.0, 10.0]
        low, high = min(data), max(data)
        if self.log:
            return [float(f"{low / 1.15:.2g}"), float(f"{high * 1.15:.2g}")]
        low, high = (min(low, 0.0), max(high, 0.0)) if self.zero else (low, high)
        marks = ticks(low, high if high > low else low + 1)
        step = marks[1] - marks[0] if len(marks) > 1 else 1.0
        return [_clean(round(f(end / step) * step, 9)) for f, end in ((math.floor, low), (math.ceil, high))]

    def channel(self, data: Iterable[Any], **axis: Any) -> Spec:
        """Vega-Lite channel without its field.

        Parameters
        ----------
        data : iterable
            Numbers to be shown [unit of the axis].
        **axis : object
            Further properties of the Vega-Lite axis.

        Returns
        -------
        dict
            Type, title, scale and axis.
        """
        ends = self.ends(data)
        scale: Spec = {"domain": ends, "nice": False, **({"type": "log"} if self.log else {"zero": False})}
        axis = {
            "values": ticks(*ends, self.log, self.base),
            "format": self.format or (",d" if self.log and self.base == 2 else ",.3~r"),
            **axis,
        }
        return {"type": "quantitative", "title": self.title or None, "scale": scale, "axis": axis}


def _on(channel: Spec, name: str) -> Spec:
    return {**channel, "field": name}


def _raw(name: str, kind: str = "nominal") -> Spec:
    """A channel whose values stand in the data as they are drawn."""
    return {"field": name, "type": kind, "scale": None}


def _tips(**titles: str | tuple[str, str]) -> list[Spec]:
    pairs = {k: t if isinstance(t, tuple) else (t, "") for k, t in titles.items()}
    return [{"field": k, "title": t, **({"format": f} if f else {})} for k, (t, f) in pairs.items() if t]


def _labels(data: list[Spec], x: Spec, y: Spec) -> Spec:
    """All labels of a chart in one table: halo below, text above. Rows: x y t c w dx dy a."""
    rows_ = [{"dx": 0, "dy": 0, "a": "left", "w": 400, "c": C["ink"], **row} for row in data]
    mark = {key: {"expr": f"datum.{f}"} for key, f in (("dx", "dx"), ("dy", "dy"), ("align", "a"), ("fontWeight", "w"))}
    mark = {"type": "text", "baseline": "middle", "aria": False, **mark}
    halo = {**mark, "stroke": C["halo"], "strokeWidth": 4, "strokeJoin": "round", "fill": C["halo"]}
    ink = {"mark": mark, "encoding": {"color": _raw("c")}}
    shared = {"x": _on(x, "x"), "y": _on(y, "y"), "text": {"field": "t"}}
    return {"name": "labels", "data": {"values": rows_}, "encoding": shared, "layer": [{"mark": halo}, ink]}


def _rules(
    rules: Iterable[tuple[str, float, str]], x: Spec, y: Spec, foot: bool = False
) -> tuple[list[Spec], list[Spec]]:
    """Threshold lines ("x" or "y", value, label) and the rows of their labels."""
    layers, labels = [], []
    for axis, value, text in rules:
        channel, other = (x, y) if axis == "x" else (y, x)
        strong = axis == "y" and not text
        mark = {
            "type": "rule",
            "aria": False,
            "color": C["ink" if strong else "ink2"],
            "strokeWidth": 1.5 if strong else 1.25,
        }
        mark |= {} if strong else {"strokeDash": [2, 3]}
        layers.append({"data": {"values": [{"v": _clean(value)}]}, "mark": mark, "encoding": {axis: _on(channel, "v")}})
        ends = other["scale"]["domain"]
        spot = {"x": _clean(value), "y": ends[0 if foot else 1]} if axis == "x" else {"x": ends[0], "y": _clean(value)}
        shift = {"dx": 5, "dy": -10 if foot else 8} if axis == "x" else {"dx": 4, "dy": -9}
        labels += [{**spot, **shift, "t": text, "c": C["ink2"]}] if text else []
    return layers, labels


def _chart(layers: list[Spec], height: float, meta: Spec, right: float = 8, params: Sequence[Spec] = ()) -> Chart:
    spec: Spec = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": 720, "height": height}
    spec |= {"padding": {"left": 2, "right": _clean(right), "top": 14, "bottom": 4}, "layer": layers}
    return Chart(spec | ({"params": list(params)} if params else {}), meta)


def _apart(pixels: Sequence[float], gap: float = 15, top: float = 0, foot: float = 1e9) -> list[float]:
    """Positions pushed apart to at least `gap`, moved as little as possible, in the order given."""
    order = np.argsort(pixels, kind="stable")
    groups: list[list[float]] = []  # centre, count
    for p in np.asarray(pixels, float)[order]:
        groups.append([float(p), 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (c2, n2), (c1, n1) = groups.pop(), groups.pop()
            groups.append([(c1 * n1 + c2 * n2) / (n1 + n2), n1 + n2])
    flat = [c + gap * (i - (n - 1) / 2) for c, n in groups for i in range(int(n))]
    placed = dict(zip(order.tolist(), flat, strict=True))
    return [min(max(placed[i], top), foot) for i in range(len(placed))]


def _pixel(value: float, ends: Sequence[float], log: bool, size: float) -> float:
    """Distance from the top (or left end reversed) at which a value is drawn."""
    low, high, value = (math.log(v) for v in (*ends, value)) if log else (*ends, value)
    return size * (1 - (value - low) / (high - low))


def _marks(data: list[Spec], x: Spec, y: Spec, tips: list[Spec], name: str = "points") -> Spec:
    """Points whose shape, size, colour and fill stand in the data; hollow ones are filled with the page."""
    drawn = []
    for row in data:
        look = style(row.get("subject") or row["s"])
        hollow = bool(row.get("hollow")) or look.hollow
        faint = 0.35 if row.get("faint") else 1
        size = 20 if row.get("faint") else look.size
        extra = {
            "c": look.color,
            "f": C["page"] if hollow else look.color,
            "shape": look.shape,
            "size": size,
            "o": faint,
        }
        drawn.append({k: v for k, v in row.items() if k not in ("subject", "hollow", "faint")} | extra)
    mark = {"type": "point", "filled": True, "strokeWidth": 1.75, "clip": False, "aria": False}
    encoding = {"x": _on(x, "x"), "y": _on(y, "y"), "stroke": _raw("c"), "fill": _raw("f"), "shape": _raw("shape")}
    encoding |= {"size": _raw("size", "quantitative"), "opacity": _raw("o", "quantitative"), "tooltip": tips}
    return {"name": name, "data": {"values": drawn}, "mark": mark, "encoding": encoding}


def _optional(frame: pd.DataFrame, *names: str) -> dict[str, str]:
    return {name: name for name in names if name in frame.columns}


def rows(
    frame: pd.DataFrame, value: str, label: str, *, axis: Axis = Axis(), unit: str = "", reference: float | None = None
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
    fields = _optional(frame, "low", "high", "group", "claim", "subject", "hollow", "text")
    data = _table(frame, x=value, s=label, **fields)
    heads: list[Spec] = []
    bars: dict[str, Spec] = {}
    names: list[str] = []
    for row in data:
        head = row.get("group")
        if head and head not in [h["t"] for h in heads]:
            heads.append({"t": head, "y": len(names)})
            names.append(head)
        row["y"] = len(names)
        names.append(row["s"])
        row["subject"] = row.get("subject") or "trainium3"
        if row.get("claim") is not None:
            bar = bars.setdefault(head or row["s"], {"x": row["claim"], "y": row["y"] - 0.45})
            bar["y2"] = row["y"] + 0.45
    shown = [v for row in data for v in (row["x"], row.get("low"), row.get("high"), row.get("claim"))]
    x = axis.channel([*shown, reference], grid=True, domain=False)
    ends, words = x["scale"]["domain"], ", ".join(f"'{_quote(n)}'" for n in names)
    bold = {"condition": {"test": f"indexof({[h['y'] for h in heads]}, datum.value) >= 0", "value": 600}, "value": 400}
    wide = max(len(n) for n in names) * 6.4 if names else 0
    y = Axis(domain=(-0.9, len(names) - 0.4)).channel([], values=list(range(len(names))), grid=False)
    y["axis"] |= {"labelExpr": f"[{words}][datum.value]", "labelFontWeight": bold, "labelLimit": 220}
    y["axis"] |= {"labelAlign": "left", "labelPadding": min(wide, 220), "labelOverlap": False, "format": "d"}
    y["scale"] |= {"reverse": True}
    ranged = [
        row for row in data if row.get("low") is not None and row.get("high") is not None and row["x"] is not None
    ]
    tips = _tips(s="what", x="value", low="low" if ranged else "", high="high" if ranged else "", claim="claimed")
    tips = [t for t in tips if t["field"] in {*fields, "s", "x"}]
    rule = {"type": "rule", "aria": False}
    named = [
        ("reference", [{"x": reference}] if reference is not None else [], {"color": C["ink"], "strokeWidth": 1.5})
    ]
    layers = [
        {"name": n, "data": {"values": d}, "mark": rule | m, "encoding": {"x": _on(x, "x")}} for n, d, m in named if d
    ]
    spans = (
        (
            "claims",
            list(bars.values()),
            {"y": _on(y, "y"), "y2": {"field": "y2"}},
            {"strokeWidth": 3, "color": C["ink"]},
        ),
        (
            "gaps",
            [r for r in data if r.get("claim") is not None and r["x"] is not None],
            {"y": _on(y, "y"), "x2": {"field": "claim"}},
            {"strokeDash": [1, 3], "color": C["axis"]},
        ),
        (
            "ranges",
            ranged,
            {"y": _on(y, "y"), "x": _on(x, "low"), "x2": {"field": "high"}, "color": _raw("c")},
            {"strokeWidth": 6, "opacity": 0.35},
        ),
    )
    for name, values, encoding, mark in spans:
        keep = [{k: r[k] for k in ("x", "y", "y2", "claim", "low", "high") if r.get(k) is not None} for r in values]
        keep = [
            {**k, "c": style(r["subject"]).color} if "subject" in r else k for k, r in zip(keep, values, strict=True)
        ]
        layers += [
            {"name": name, "data": {"values": keep}, "mark": rule | mark, "encoding": {"x": _on(x, "x")} | encoding}
        ] * bool(keep)
    layers.append(_marks([r for r in data if r["x"] is not None], x, y, tips))
    labels = [_row_label(row, unit, ends, axis.log) for row in data]
    labels += [
        {"x": b["x"], "y": b["y"] - 0.28, "t": f"claim {b['x']:,.3g}{unit}", "c": C["ink2"], "a": "center"}
        for b in bars.values()
    ]
    chart = _chart([*layers, _labels(labels, x, y)], 31 * len(names) + 24, {})
    chart.meta["numbers"] = _numbers(
        frame, [fields.get("group"), label, value, *(fields.get(k) for k in ("low", "high", "claim"))]
    )
    return chart


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _row_label(row: Spec, unit: str, ends: Sequence[float], log: bool) -> Spec:
    """The number beside a dot: right of it or of its range, left where that is nearer to the claim or to the edge."""
    if row["x"] is None:
        return {"x": ends[0], "y": row["y"], "t": row.get("text") or "not published", "c": C["ink2"], "dx": 4}
    low, high = (row.get(k) if row.get(k) is not None else row["x"] for k in ("low", "high"))
    text = row.get("text") or f"{row['x']:,.3g}{unit}" + (f" ({low:,.3g}–{high:,.3g})" if high > low else "")
    place = 1 - _pixel(high, ends, log, 1)
    crowd = (
        row.get("claim") is not None and high < row["claim"] and 1 - _pixel(row["claim"], ends, log, 1) - place < 0.16
    )
    left = crowd or place > 0.75
    spot = {"x": low, "dx": -10, "a": "right"} if left else {"x": high, "dx": 10}
    return {"y": row["y"], "t": text, "w": 600, **spot}


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    x_axis: Axis = Axis(),
    y_axis: Axis = Axis(),
    points: pd.DataFrame | None = None,
    dashed: Collection[str] = (),
    beyond: float | None = None,
    rules: Iterable[tuple[str, float, str]] = (),
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
    >>> frame = pd.DataFrame({"chips": [64, 128], "days": [20, 11], "low": [17, 9], "high": [25, 14], "chip": "trainium3"})
    >>> chart = lines(frame, "chips", "days", "chip", x_axis=Axis("Chips (log)", True, 2), y_axis=Axis("Days (log)", True))
    >>> [layer["name"] for layer in chart.spec["layer"]]
    ['bands', 'lines', 'labels']
    """
    data = [
        r for r in _table(frame, x=x, y=y, s=series, **_optional(frame, "low", "high")) if None not in (r["x"], r["y"])
    ]
    dots = (
        _table(points, x=x, y=y, s=series, **_optional(points, "label", "subject", "hollow", "faint"))
        if points is not None
        else []
    )
    dots = [d for d in dots if None not in (d["x"], d["y"])]
    across = x_axis.channel([r["x"] for r in [*data, *dots]])
    up = y_axis.channel([r.get(k) for r in [*data, *dots] for k in ("y", "low", "high")])
    order = list(dict.fromkeys(r["s"] for r in data))
    dashes = {n: [6, 3] if n in dashed else d for n, d in _dashes(order).items()}
    tips = _tips(s="series", x=(x_axis.title or x, x_axis.format or ",.4~r"), y=(y_axis.title or y, ",.3~r"))
    layers, labels = _rules(rules, across, up)
    band = [r for r in data if r.get("low") is not None and r.get("high") is not None]
    parts = [(name, old) for name in order for old in ((False, True) if beyond is not None else (False,))]

    def part(rows_: list[Spec], name: str, far: bool) -> list[Spec]:
        return [
            r for r in rows_ if r["s"] == name and (beyond is None or (r["x"] >= beyond if far else r["x"] <= beyond))
        ]

    bands, strokes = [], []
    for i, (name, far) in enumerate(parts):
        look = style(name)
        base = {"c": look.color, "k": i}
        bands += [
            {"x": r["x"], "low": r["low"], "high": r["high"], "o": 0.09 if far else 0.2, **base}
            for r in part(band, name, far)
        ]
        keep = [
            {"x": r["x"], "y": r["y"], "s": name, "d": [6, 3] if far else dashes[name], "w": look.width, **base}
            for r in part(data, name, far)
        ]
        strokes += keep
    xy = {"x": _on(across, "x"), "detail": {"field": "k"}}
    area = {"type": "area", "clip": True, "aria": False, "line": False}
    line = {"type": "line", "clip": True, "aria": False}
    if bands:
        fill = {
            "fill": _raw("c"),
            "fillOpacity": _raw("o", "quantitative"),
            "y": _on(up, "low"),
            "y2": {"field": "high"},
        }
        layers.append({"name": "bands", "data": {"values": bands}, "mark": area, "encoding": xy | fill})
    stroke = {
        "y": _on(up, "y"),
        "stroke": _raw("c"),
        "strokeDash": _raw("d"),
        "strokeWidth": _raw("w", "quantitative"),
        "tooltip": tips,
    }
    layers.append({"name": "lines", "data": {"values": strokes}, "mark": line, "encoding": xy | stroke})
    if dots:
        layers.append(_marks(dots, across, up, tips))
        labels += [{"x": d["x"], "y": d["y"], "t": d["label"], "dx": 8, "dy": 12} for d in dots if d.get("label")]
    ends = _ends(data, order, names or {}, up["scale"]["domain"], y_axis.log, height)
    labels += ends
    if beyond is not None:
        labels.append(
            {"x": beyond, "y": up["scale"]["domain"][0], "t": "extrapolated →", "dx": 5, "dy": -10, "c": C["ink2"]}
        )
    layers += [_labels(labels, across, up)] if labels else []
    if zoom:
        layers[-2 if labels else -1]["params"] = [_ZOOM]
    meta = {"numbers": _numbers(frame, [series, x, y, *_optional(frame, "low", "high")])}
    return _chart(layers, height, meta, 8)


_ZOOM: Spec = {
    "name": "zoom",
    "bind": "scales",
    "select": {
        "type": "interval",
        "zoom": "wheel![event.shiftKey]",
        "clear": "dblclick",
        "translate": "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    },
}


def _ends(
    data: list[Spec], order: list[str], names: Mapping[str, str], ends: Sequence[float], log: bool, height: float
) -> list[Spec]:
    """One label per line at its last point inside the plot, pushed apart where several end together."""
    last = {n: [r for r in data if r["s"] == n and ends[0] <= r["y"] <= ends[1]] for n in order}
    tips = {n: max(rows_, key=lambda r: r["x"]) for n, rows_ in last.items() if rows_ and names.get(n, n)}
    natural = [_pixel(r["y"], ends, log, height) for r in tips.values()]
    placed = _apart(natural, 15, 4, height - 4)
    looks = [(n, r, style(n)) for n, r in tips.items()]
    return [
        {
            "x": r["x"],
            "y": r["y"],
            "t": names.get(n, n),
            "dx": 7,
            "dy": _clean(p - q),
            "c": look.text,
            "w": 600 if look.token == "trn3" else 400,
        }
        for (n, r, look), p, q in zip(looks, placed, natural, strict=True)
    ]


def stacks(
    frame: pd.DataFrame,
    row: str,
    part: str,
    value: str,
    *,
    axis: Axis = Axis(zero=True),
    unit: str = "",
    totals: pd.DataFrame | None = None,
    log_note: str = "",
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
    log_note : str
        Unused text kept for the numbers table.

    Returns
    -------
    Chart
        Not yet finished.
    """
    names, parts = list(dict.fromkeys(frame[row].astype(str))), list(dict.fromkeys(frame[part].astype(str)))
    if len(parts) > len(PARTS):
        raise ValueError(f"parts: {len(parts)} given, {len(PARTS)} can be told apart; merge the smallest into overhead")
    colour = {p: C[t] for p, t in zip(parts, PARTS, strict=False)}
    ends: dict[str, float] = dict.fromkeys(names, 0.0)
    bars = []
    for r in _table(frame, s=row, p=part, v=value):
        if r["v"]:
            start = ends[r["s"]]
            ends[r["s"]] = start + r["v"]
            bars.append(
                {**r, "x": _clean(start), "x2": _clean(ends[r["s"]]), "y": names.index(r["s"]), "c": colour[r["p"]]}
            )
    whiskers = (
        [
            {**r, "x": _clean(ends[r["s"]]), "y": names.index(r["s"])}
            for r in _table(totals, s=row, low="low", high="high")
        ]
        if totals is not None
        else []
    )
    whiskers = [w for w in whiskers if w["low"] is not None]
    reach = max([*ends.values(), *(w["high"] for w in whiskers)], default=1.0)
    x = replace(axis, zero=True).channel([0, reach * 1.08], grid=True, domain=False)
    y = Axis(domain=(-0.75, len(names) - 0.25)).channel([], grid=False)
    y |= {"axis": None}
    y["scale"] |= {"reverse": True}
    tips = _tips(s="row", p="part", v=(axis.title or value, ",.3~r"))
    bar = {"type": "bar", "aria": False, "height": 20, "stroke": C["page"], "strokeWidth": 1.5}
    enc = {"x": _on(x, "x"), "x2": {"field": "x2"}, "y": _on(y, "y"), "fill": _raw("c"), "tooltip": tips}
    layers = [{"name": "bars", "data": {"values": bars}, "mark": bar, "encoding": enc}]
    if whiskers:
        ink = {"aria": False, "color": C["ink"], "yOffset": 17}
        span = {"y": _on(y, "y"), "x": _on(x, "low"), "x2": {"field": "high"}}
        layers.append(
            {
                "name": "whiskers",
                "data": {"values": whiskers},
                "mark": {"type": "rule", "strokeWidth": 2, **ink},
                "encoding": span,
            }
        )
        for end in ("low", "high"):
            tick = {"type": "tick", "orient": "vertical", "size": 9, "thickness": 2, **ink}
            layers.append(
                {"data": {"values": whiskers}, "mark": tick, "encoding": {"y": _on(y, "y"), "x": _on(x, end)}}
            )
        dot = {"type": "point", "filled": True, "size": 30, "shape": "circle", **ink}
        layers.append({"data": {"values": whiskers}, "mark": dot, "encoding": {"y": _on(y, "y"), "x": _on(x, "x")}})
    texts = [{"x": 0, "y": i, "t": n, "w": 600, "dy": -19} for i, n in enumerate(names)]
    texts += [
        {
            "x": _clean(e),
            "y": names.index(n),
            "t": f"{e:,.2g}{unit}" if e < 100 else f"{e:,.0f}{unit}",
            "w": 600,
            "dx": 7,
        }
        for n, e in ends.items()
    ]
    key = [("bar", p, t) for p, t in zip(parts, PARTS, strict=False)] + [
        ("whisker", "80% range of the total", "ink")
    ] * bool(whiskers)
    return _chart(
        [*layers, _labels(texts, x, y)],
        58 * len(names) + 12,
        {"key": key, "numbers": _numbers(frame, [row, part, value])},
        30,
    )


def area(
    frame: pd.DataFrame,
    x: str,
    part: str,
    value: str,
    *,
    useful: str = "Useful",
    x_axis: Axis = Axis(log=True, base=2),
    y_axis: Axis = Axis(domain=(0, 1), format=".0%"),
    beyond: float | None = None,
    rules: Iterable[tuple[str, float, str]] = (),
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
        base[r["x"]] = low + (r["v"] or 0)
        stack.append(
            {
                **r,
                "low": _clean(low),
                "high": _clean(base[r["x"]]),
                "c": colour[r["p"]],
                "o": 0.2 if r["p"] == useful else 1,
            }
        )
    across, up = x_axis.channel([r["x"] for r in data]), y_axis.channel(list(base.values()))
    across["scale"]["domain"] = x_axis.domain or [min(r["x"] for r in data), max(r["x"] for r in data)]
    tips = _tips(p="part", x=(x_axis.title or x, ",d"), v=(y_axis.title or "share", ".1%"))
    mark = {"type": "area", "clip": True, "aria": False, "line": False, "stroke": C["page"], "strokeWidth": 1}
    enc = {
        "x": _on(across, "x"),
        "y": _on(up, "low"),
        "y2": {"field": "high"},
        "fill": _raw("c"),
        "fillOpacity": _raw("o", "quantitative"),
        "tooltip": tips,
        "detail": {"field": "p"},
    }
    layers = [{"name": "areas", "data": {"values": stack}, "mark": mark, "encoding": enc}]
    if beyond is not None:
        veil = {"type": "rect", "aria": False, "color": C["page"], "opacity": 0.45}
        layers.append(
            {
                "data": {"values": [{"x": beyond}]},
                "mark": veil,
                "encoding": {"x": _on(across, "x"), "x2": {"value": "width"}},
            }
        )
    edge = [{"x": r["x"], "y": r["high"]} for r in stack if r["p"] == useful]
    layers.append(
        {
            "name": "useful",
            "data": {"values": edge},
            "mark": {"type": "line", "aria": False, "color": C["trn3"], "strokeWidth": 2.25},
            "encoding": {"x": _on(across, "x"), "y": _on(up, "y")},
        }
    )
    ruled, labels = _rules(rules, across, up, foot=True)
    ends = across["scale"]["domain"]
    labels += [
        {"x": ends[0], "y": y_axis.domain[0] if y_axis.domain else 0, "t": useful, "dx": 10, "dy": -40, "w": 600}
    ]
    labels += [{"x": beyond, "y": 0, "t": "beyond what anyone has measured →", "dx": 5, "dy": -12, "c": C["ink2"]}] * (
        beyond is not None
    )
    key = [("bar", p, t) for p, t in zip(parts[1:], PARTS, strict=False)]
    return _chart(
        [*layers, *ruled, _labels(labels, across, up)],
        360,
        {"key": key, "numbers": _numbers(frame, [x, part, value])},
        24,
    )


def frontier(
    frame: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    x_axis: Axis = Axis("Tokens/s per user (log) →", log=True, base=2),
    y_axis: Axis = Axis("↑ Output tokens/s per chip (log)", log=True),
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
        Predicted series; all of `frame` without it.

    Returns
    -------
    Chart
        Not yet finished.
    """
    predicted = frame.assign(**{series: frame[series].astype(str)})
    dots, joined = None, predicted
    if measured is not None and len(measured):
        best = pd.concat([_hull(g, x, y) for _, g in measured.groupby(series, sort=False)])
        dots = measured.assign(faint=~measured.index.isin(best.index), subject=measured[series])
        joined = pd.concat(
            [predicted, best.assign(**{series: best[series].astype(str) + " measured"})], ignore_index=True
        )
    chart = lines(
        joined,
        x,
        y,
        series,
        x_axis=x_axis,
        y_axis=y_axis,
        points=dots,
        rules=[("x", *limit)] if limit else (),
        dashed=set(predicted[series]) if dashed is None else dashed,
        height=400,
    )
    chart.meta["key"] = [
        ("dashband", "Predicted, 80% range", "trn3"),
        *[("square", "Measured, best of the runs", "ink2"), ("faint", "Measured, other runs", "ink2")]
        * (dots is not None),
    ]
    return chart


def _hull(frame: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Rows that no other row beats in both columns, by falling y."""
    ordered = frame.sort_values([x, y], ascending=[False, False])
    return ordered[ordered[y] > ordered[y].cummax().shift(fill_value=-math.inf)].sort_values(x)


def tornado(
    frame: pd.DataFrame,
    name: str,
    low: str,
    high: str,
    *,
    base: float | str,
    axis: Axis = Axis(),
    labels: tuple[str, str] = ("low_label", "high_label"),
    sliders: Sequence[Slider] = (),
) -> Chart:
    """What one input at a time does to the answer, sorted by span.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per input.
    name, low, high : str
        Columns: the input, and the answer at its low and at its high end: numbers, or Vega expressions over sliders.
    base : float or str
        The answer as assumed, number or expression [unit of the axis].
    axis : Axis
        The value axis; give a domain when the values are expressions.
    labels : (str, str)
        Columns with the texts at the two ends, used when present.
    sliders : sequence of Slider
        Controls named in the expressions.

    Returns
    -------
    Chart
        Not yet finished.
    """
    data = _table(
        frame,
        s=name,
        low=low,
        high=high,
        tl=labels[0] if labels[0] in frame else None,
        th=labels[1] if labels[1] in frame else None,
    )
    live = any(isinstance(r[k], str) for r in data for k in ("low", "high"))
    if not live:
        data.sort(key=lambda r: -abs(r["high"] - r["low"]))
    data = [{**r, "y": i} for i, r in enumerate(data)]
    x = axis.channel(
        [base, *(r[k] for r in data for k in ("low", "high")), 0] if not live else [], grid=True, domain=False
    )
    y = Axis(domain=(-0.8, len(data) - 0.4)).channel([], grid=False) | {"axis": None}
    y["scale"] |= {"reverse": True}
    values = [{**r, "base": base if not isinstance(base, str) else 0} for r in data]
    steps: list[Spec] = []
    if live:
        pick = lambda k: " : ".join([*(f"datum.y=={r['y']} ? {r[k]}" for r in data), "0"])  # noqa: E731
        steps = [
            {"calculate": pick("low"), "as": "low"},
            {"calculate": pick("high"), "as": "high"},
            {"calculate": str(base), "as": "base"},
        ]
        values = [{k: v for k, v in r.items() if k not in ("low", "high")} for r in values]
    bar = {"type": "bar", "aria": False, "height": 18, "clip": True}
    layers = []
    for end, token in (("low", "p3"), ("high", "p2")):
        enc = {
            "x": _on(x, "base"),
            "x2": {"field": end},
            "y": _on(y, "y"),
            "tooltip": _tips(s="input", low=("at the low end", ",.3~r"), high=("at the high end", ",.3~r")),
        }
        layers.append({"name": end, "mark": bar | {"color": C[token]}, "encoding": enc})
    zero = {"type": "rule", "aria": False, "color": C["ink"], "strokeWidth": 1.5}
    now = {"type": "rule", "aria": False, "color": C["trn3"], "strokeWidth": 2}
    layers.append({"name": "zero", "data": {"values": [{"v": 0}]}, "mark": zero, "encoding": {"x": _on(x, "v")}})
    layers.append({"name": "base", "mark": now, "encoding": {"x": _on(x, "base")}})
    text = {"type": "text", "aria": False, "baseline": "middle"}
    head = {
        "mark": text | {"align": "left", "dy": -19, "color": C["ink2"]},
        "encoding": {"x": {"value": 0}, "y": _on(y, "y"), "text": {"field": "s"}},
    }
    layers.append(head)
    for end, column, other in (("low", "tl", "high"), ("high", "th", "low")):
        if column in data[0]:
            side = {"expr": f"datum.{end} < datum.{other} ? -6 : 6"}
            align = {"expr": f"datum.{end} < datum.{other} ? 'right' : 'left'"}
            layers.append(
                {
                    "mark": text | {"dx": side, "align": align},
                    "encoding": {"x": _on(x, end), "y": _on(y, "y"), "text": {"field": column}},
                }
            )
    for layer in layers:
        if "data" not in layer:
            layer |= {"data": {"values": values}, **({"transform": steps} if steps else {})}
    key = [("bar", "Low end of the input", "p3"), ("bar", "High end", "p2"), ("tick", "As assumed", "trn3")]
    meta = {
        "key": key,
        "numbers": _numbers(frame, [name, *([low, high] if not live else []), *(c for c in labels if c in frame)]),
    }
    return _chart(layers, 54 * len(data) + 10, meta, 24, [s.param() for s in sliders])


def ratios(
    frame: pd.DataFrame,
    predicted: str,
    measured: str,
    group: str,
    *,
    x_axis: Axis = Axis("Measured (log)", log=True),
    band: tuple[float, float] = (0.8, 1.25),
    label: str | None = None,
) -> Chart:
    """Predicted over measured against the measured value, on a logarithmic axis centred on 1.

    Parameters
    ----------
    frame : pandas.DataFrame
        One line per run; ``low`` and ``high`` (80% range of the prediction) are drawn when present, ``subject`` styles.
    predicted, measured, group : str
        Columns: two numbers in one unit, and the source's group (coloured by its vendor where it names one).
    x_axis : Axis
        Axis of the measured value.
    band : (float, float)
        The shaded band of the ratio [-].
    label : str, optional
        Column with a text beside single points (the worst ones).

    Returns
    -------
    Chart
        Not yet finished.
    """
    ratio = frame[predicted] / frame[measured]
    work = frame.assign(ratio=ratio, **({"label": frame[label]} if label else {}))
    for end in ("low", "high"):
        if end in frame:
            work[end] = frame[end] / frame[measured]
    data = _table(work, x=measured, y="ratio", s=group, **_optional(work, "subject", "hollow", "label", "low", "high"))
    across = x_axis.channel([r["x"] for r in data])
    worst = max([1.35, *(abs(math.log(r["y"])) for r in data if r["y"])], key=lambda v: v)
    reach = max(1.5, math.exp(min(worst, 3)) if worst != 1.35 else 1.5) * 1.05
    up = Axis("Predicted over measured (log)", True, domain=(1 / reach, reach)).channel(
        [], values=[v for v in (0.2, 0.3, 0.5, 0.8, 1, 1.25, 2, 3, 5) if 1 / reach <= v <= reach]
    )
    shade = {"type": "rect", "aria": False, "color": C["trn3"], "opacity": 0.16}
    shaded = {
        "data": {"values": [{"y": band[0], "y2": band[1]}]},
        "mark": shade,
        "encoding": {"y": _on(up, "y"), "y2": {"field": "y2"}},
    }
    rules, labels = _rules([("y", 1, "")], across, up)
    tips = _tips(s="group", x=(measured, ",.3~r"), y=("predicted over measured", ".3~r"))
    labels += [{"x": r["x"], "y": r["y"], "t": r["label"], "dx": 8} for r in data if r.get("label")]
    ranged = [r for r in data if r.get("low") is not None and r.get("high") is not None]
    bar = {"type": "rule", "aria": False, "strokeWidth": 3, "opacity": 0.3, "clip": True}
    bars = [
        {"x": r["x"], "low": r["low"], "high": r["high"], "c": style(r.get("subject") or r["s"]).color} for r in ranged
    ]
    ranges = {
        "name": "ranges",
        "data": {"values": bars},
        "mark": bar,
        "encoding": {"x": _on(across, "x"), "y": _on(up, "low"), "y2": {"field": "high"}, "color": _raw("c")},
    }
    layers = [shaded, *rules, *([ranges] if bars else []), _marks(data, across, up, tips)]
    layers[-1]["params"] = [_ZOOM]
    meta = {"numbers": _numbers(work, [group, measured, predicted, "ratio"])}
    return _chart([*layers, *([_labels(labels, across, up)] if labels else [])], 380, meta, 24)


def cumulative(
    frame: pd.DataFrame,
    *,
    sliders: Sequence[Slider] = (),
    months: int = 24,
    y_axis: Axis = Axis("Cumulative cost, million USD", zero=True),
) -> Chart:
    """Cumulative cost of two ways by month, with break-even, following sliders inside the page.

    Parameters
    ----------
    frame : pandas.DataFrame
        Two lines: first staying, then moving. Columns ``name``, ``start`` (one-off cost) and ``slope`` (cost per month),
        optionally ``slope_low`` and ``slope_high``: numbers, or Vega expressions over the sliders' names
        [unit of the axis].
    sliders : sequence of Slider
        Controls named in the expressions, four at most.
    months : int
        Horizon [month].
    y_axis : Axis
        Axis of the cost.

    Returns
    -------
    Chart
        Not yet finished.
    """
    return _cumulative(frame, sliders, months, y_axis)


def _cumulative(frame: pd.DataFrame, sliders: Sequence[Slider], months: int, y_axis: Axis) -> Chart:
    text = [
        {k: str(_clean(v) if not isinstance(v, str) else v) for k, v in r.items()} for r in frame.to_dict("records")
    ]
    stay, move = text[0], text[1]
    x = Axis("Months after the move", domain=(0, months)).channel(
        [], values=[*range(0, months + 1, max(1, months // 4))]
    )
    y: Spec = {
        "type": "quantitative",
        "title": y_axis.title,
        "scale": {"zero": True, "nice": 4},
        "axis": {"format": y_axis.format or ",.3~r", "tickCount": 5},
    }
    layers: list[Spec] = []
    grid = {"values": [{"m": m} for m in range(0, months + 1)]}
    for r in (stay, move):
        look = style(r["name"])
        at = lambda slope, r=r: f"({r['start']}) + ({slope}) * datum.m"  # noqa: E731
        if r.get("slope_low"):
            steps = [{"calculate": at(r["slope_low"]), "as": "low"}, {"calculate": at(r["slope_high"]), "as": "high"}]
            enc = {"x": _on(x, "m"), "y": _on(y, "low"), "y2": {"field": "high"}}
            layers.append(
                {
                    "name": f"band {len(layers)}",
                    "data": grid,
                    "transform": steps,
                    "mark": {"type": "area", "aria": False, "color": look.color, "opacity": 0.2, "line": False},
                    "encoding": enc,
                }
            )
        steps = [{"calculate": at(r["slope"]), "as": "y"}]
        tips = _tips(m="month", y=(y_axis.title, ",.3~r"))
        layers.append(
            {
                "name": f"line {len(layers)}",
                "data": grid,
                "transform": steps,
                "mark": {"type": "line", "aria": False, "color": look.color, "strokeWidth": look.width},
                "encoding": {"x": _on(x, "m"), "y": _on(y, "y"), "tooltip": tips},
            }
        )
    end = {r["name"]: f"(({r['start']}) + ({r['slope']}) * {months})" for r in (stay, move)}
    even = f"(({move['start']}) - ({stay['start']})) / (({stay['slope']}) - ({move['slope']}))"
    cross = f"({even}) >= 0 && ({even}) <= {months} && (({stay['slope']}) != ({move['slope']}))"
    one = {"values": [{"o": 1}]}
    spot = [
        {"calculate": even, "as": "m"},
        {"calculate": f"({stay['start']}) + ({stay['slope']}) * datum.m", "as": "y"},
        {"filter": cross},
    ]
    text_mark = {"type": "text", "aria": False, "baseline": "middle", "align": "left", "fontWeight": 600}
    drop = {"type": "rule", "aria": False, "strokeDash": [2, 3], "color": C["ink2"], "strokeWidth": 1.25}
    layers += [
        {
            "name": "drop",
            "data": one,
            "transform": spot,
            "mark": drop,
            "encoding": {"x": _on(x, "m"), "y": _on(y, "y"), "y2": {"datum": 0}},
        },
        {
            "name": "break-even",
            "data": one,
            "transform": spot,
            "mark": {"type": "point", "filled": True, "shape": "circle", "size": 90, "color": C["ink"]},
            "encoding": {"x": _on(x, "m"), "y": _on(y, "y")},
        },
        {
            "data": one,
            "transform": [*spot, {"calculate": "'Break-even: month ' + format(datum.m, '.1f')", "as": "t"}],
            "mark": text_mark | {"dx": 8, "dy": 16},
            "encoding": {"x": _on(x, "m"), "y": _on(y, "y"), "text": {"field": "t"}},
        },
        {
            "data": one,
            "transform": [{"filter": f"!({cross})"}],
            "mark": text_mark,
            "encoding": {
                "x": {"value": 12},
                "y": {"value": 14},
                "text": {"value": f"No break-even within {months} months"},
            },
        },
    ]
    for name, other in ((stay["name"], move["name"]), (move["name"], stay["name"])):
        above = f"{end[name]} >= {end[other]}"
        steps = [
            {"calculate": end[name], "as": "y"},
            {"calculate": f"'{_quote(name)} ' + format(datum.y, ',.3~r')", "as": "t"},
        ]
        near = f"abs({end[name]} - {end[other]}) < 0.05 * max({end[name]}, {end[other]})"
        layers.append(
            {
                "data": one,
                "transform": steps,
                "mark": text_mark
                | {"dx": 7, "dy": {"expr": f"({near}) ? (({above}) ? -8 : 8) : 0"}, "color": style(name).text},
                "encoding": {"x": {"datum": months, "type": "quantitative"}, "y": _on(y, "y"), "text": {"field": "t"}},
            }
        )
    key = [("line", r["name"], style(r["name"]).token) for r in (stay, move)] + [("dot", "Break-even", "ink")]
    return _chart(
        layers,
        340,
        {"key": key, "numbers": _numbers(frame)},
        8,
        [s.param() for s in sliders],
    )


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
    text = {"type": "text", "align": "left", "baseline": "middle"}
    layer = {
        "data": {"values": [{"t": sentence}]},
        "mark": text,
        "encoding": {"text": {"field": "t"}, "x": {"value": 12}},
    }
    return _chart([layer], 48, {"empty": sentence, "numbers": _numbers(numbers) if numbers is not None else None})


def finish(
    chart: Chart | Any,
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
        line, dashed, band, dashband, tick or whisker; colour is a name in `TOKENS` or a subject. The form's own without it.
    description : str
        What a screen reader says: finding and main numbers; title and subtitle without it.
    numbers : pandas.DataFrame, optional
        The table under the chart, one row per mark; the plotted columns without it.

    Returns
    -------
    Chart
        Shows itself when it ends a cell.
    """
    made = chart if isinstance(chart, Chart) else Chart(chart.to_dict(), {})
    entries = key if key is not None else made.meta.get("key", [])
    key_rows = [[m, t, c if c in TOKENS else style(c).token] for m, t, c in entries]
    meta = {**made.meta, "title": title, "subtitle": subtitle, "source": source, "key": key_rows}
    if numbers is not None:
        meta["numbers"] = _numbers(numbers)
    spec = {k: v for k, v in made.spec.items() if k != "config"}
    spec |= {"description": description or f"{title}. {subtitle}.", "usermeta": {"trn3": meta}}
    return Chart(_for_notebook(spec, meta), meta)


_GLYPHS = {
    "dot": "●",
    "hollow": "○",
    "square": "■",
    "faint": "▪",
    "triangle": "▲",
    "diamond": "◆",
    "bar": "■",
    "line": "━",
    "dashed": "╍",
    "band": "▬",
    "dashband": "╍",
    "tick": "┃",
    "whisker": "├┤",
}


def _for_notebook(spec: Spec, meta: Spec) -> Spec:
    """Title, key and source inside the chart, on white: what JupyterLab and a static picture show."""
    notes = [
        {"px": 0, "py": spec.get("height", 300) + 44 + 15 * i, "t": t, "c": C["ink3"]}
        for i, t in enumerate(textwrap.wrap(meta["source"], 118))
    ]
    px = py = 0.0
    for mark, label, token in meta["key"]:
        need = 7.0 * len(label) + 34
        px, py = (0.0, py + 17) if px and px + need > 700 else (px, py)
        notes += [
            {"px": px, "py": py, "t": _GLYPHS.get(mark, "●"), "c": C[token]},
            {"px": px + 17, "py": py, "t": label, "c": C["ink2"]},
        ]
        px += need
    rows_above = py + 17 if meta["key"] else 0
    notes = [n if n["c"] == C["ink3"] else {**n, "py": n["py"] - 30 - rows_above + 17} for n in notes]
    text = {"type": "text", "align": "left", "baseline": "middle", "aria": False}
    place = {
        "x": {"value": {"expr": "datum.px"}},
        "y": {"value": {"expr": "datum.py"}},
        "text": {"field": "t"},
        "color": _raw("c"),
    }
    layer = {"name": "notes", "data": {"values": notes}, "mark": text, "encoding": place}
    title = {
        "text": textwrap.wrap(meta["title"], 70),
        "subtitle": textwrap.wrap(meta["subtitle"], 96),
        "offset": 12,
    }
    foot = 30 + 15 * len(textwrap.wrap(meta["source"], 118))
    padding = {**spec.get("padding", {"left": 2, "right": 8, "top": 8}), "top": 8, "bottom": foot - 20}
    layers = [*spec.get("layer", [{k: spec.pop(k) for k in ("mark", "encoding", "data") if k in spec}]), layer]
    return {**spec, "title": title, "padding": padding, "config": NOTEBOOK, "layer": layers}


def _config() -> Spec:
    axis = {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelColor": C["ink2"],
        "titleColor": C["ink2"],
    }
    axis |= {"gridColor": C["grid"], "gridWidth": 1, "domainColor": C["axis"], "tickColor": C["axis"], "tickSize": 4}
    axis |= {"labelPadding": 5, "titlePadding": 8, "labelLimit": 220, "labelOverlap": "greedy", "labelSeparation": 8}
    up = {
        "domain": False,
        "ticks": False,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleX": 0,
        "titleY": -14,
    }
    return {
        "background": "transparent",
        "font": FONT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 2, "right": 8, "top": 14, "bottom": 4},
        "view": {"stroke": None},
        "legend": {"disable": True},
        "numberFormat": ",.3~r",
        "axis": axis,
        "axisY": {**up, "titleBaseline": "bottom"},
        "axisX": {"grid": False, "titleAnchor": "end", "titleAlign": "right"},
        "line": {"strokeWidth": 2.25, "strokeCap": "round", "strokeJoin": "round"},
        "point": {"size": 64, "strokeWidth": 1.75, "opacity": 1},
        "area": {"fillOpacity": 0.16},
        "text": {"fontSize": 12, "color": C["ink"]},
        "rule": {"color": C["axis"]},
        "range": {"category": [C[t] for t in ("trn3", "nvidia", "tpu", "amd", "other")]},
    }


CONFIG = _config()
"""Vega-Lite config of the exported page; once per page."""
_TITLE = {
    "anchor": "start",
    "frame": "bounds",
    "fontSize": 15,
    "fontWeight": 700,
    "color": C["ink"],
    "subtitleFontSize": 12,
    "subtitleColor": C["ink2"],
    "subtitlePadding": 4,
}
NOTEBOOK: Spec = CONFIG | {"background": C["page"], "title": _TITLE}
"""The same on a white card with titles, for notebooks and pictures."""


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
