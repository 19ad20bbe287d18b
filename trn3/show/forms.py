"""The forms of charts: each takes a tidy frame and the names of its columns, and returns a layered
Altair chart that `charts.finish` completes.

A form is written as ordinary Altair: data, layers from the back to the front, and what a page shows
beside the plot. A new one stands here and in the list of names of `trn3.show.charts`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from trn3.show.drawing import (
    COLOR,
    DASH,
    NARROW,
    PLAIN,
    STROKE,
    Chart,
    Rules,
    Slider,
    across,
    across_label,
    by_row,
    distinct,
    haloed,
    labels,
    layered,
    marks,
    numbers,
    shift_zoom,
    tidy,
    tips,
)
from trn3.show.theme import Axis, Spec, apart, clean, dashes, style
from trn3.show.tokens import DASHES, PARTS, C
from trn3.show.words import rounded, sig

SPEED = Axis("Tokens/s per user (log) →", log=True, base=2)
THROUGHPUT = Axis("↑ Tokens/s per chip (log)", log=True)
MEASURED = Axis("Measured (log)", log=True)
COST = Axis("Cumulative cost, million USD")
ROW = 31
"""Height of a row [px]."""


# ------------------------------------------------------------------------------------------- rows
def rows(
    frame: pd.DataFrame,
    value: str,
    label: str,
    *,
    axis: Axis = PLAIN,
    unit: str = "",
    reference: float | None = None,
) -> Chart:
    """Dots or ranges by row, with a reference line and, per group, the value that somebody claimed.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per dot, in drawing order. Columns used when present: ``low``, ``high`` (80% range),
        ``group`` (bold head), ``claim`` (claimed value, a thick bar across the group), ``subject``
        (for `style`; Trainium3 without), ``hollow`` (bool: computed with something unpublished),
        ``text`` (beside the row; shown alone where the number is missing).
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
        Not yet finished; the column ``row`` holds the names, after their group and a bar.

    Examples
    --------
    >>> frame = pd.DataFrame({"what": ["FP8", "BF16"], "ratio": [1.94, 1.01], "claim": 4.0})
    >>> axis = Axis("Trainium3 over Trainium2")
    >>> chart = rows(frame, "ratio", "what", axis=axis, unit="×", reference=1)
    >>> [layer.name for layer in chart.layer]
    ['unity', 'claims', 'points', 'claimed', 'values']
    >>> goal = alt.Chart(pd.DataFrame({"row": ["FP8"], "goal": [2.0]}))
    >>> chart += goal.mark_tick(color="black").encode(x="goal:Q", y="row:N")
    """
    optional = ("low", "high", "group", "claim", "subject", "hollow", "text")
    data = tidy(frame, *optional, x=value, name=label)
    data["subject"] = data["subject"].fillna("trainium3")
    data["group"] = data["group"].fillna("")
    heads = data["group"].where(data["group"] == "", data["group"] + "|")
    data["row"] = distinct(heads + data["name"])
    data["color"] = [style(subject).color for subject in data["subject"]]
    dots = data[data["x"].notna()]
    claims = data[data["claim"].notna()]

    names = list(dict.fromkeys(name for pair in zip(data["group"], data["row"]) for name in pair))
    names = [name for name in names if name]
    longest = max((len(name) for name in data["name"]), default=0)
    y = _named_rows(names, longest)
    shown = data[["x", "low", "high", "claim"]].stack()
    x = axis.x("x", [*shown, reference], grid=True, domain=False)
    ends = {name: name for name in ("low", "high", "claim") if name in frame}
    ranged = alt.Chart(dots[dots["low"].notna()][["low", "high", "row", "color"]], name="ranges")
    claimed = alt.Chart(claims[["claim", "row"]], name="claims")
    facts = ["name", "x", "low", "high", "claim", "row", "subject", "hollow"]
    layers: list[Any] = [
        claimed.mark_tick(color=C["ink"], thickness=3, size=ROW + 2).encode(x="claim:Q", y=y),
        ranged.mark_rule(style="range").encode(COLOR, x="low:Q", x2="high:Q", y=y),
        marks(dots[facts], x, y, tips(name="what", x=axis.title or value, **ends)),
        _claim_labels(claims, unit, y),
        _beside(data, unit, axis, y),
    ]
    if reference is not None:
        layers.insert(0, across("x", reference, "unity"))
    told = ["text"] if data["x"].isna().any() else []
    columns = ["group", label, value, "low", "high", "claim", *told]
    meta = {"numbers": numbers(frame, columns), "indent": _padding(longest) + 5}
    return layered(layers, ROW * (len(names) + 1), meta)


def _named_rows(names: Sequence[str], longest: int) -> alt.Y:
    """One row per name: a group's head is bold, its rows come after "group|"."""
    scale = alt.Scale(type="band", domain=[*names], paddingOuter=0.5, align=0.7)
    axis = alt.Axis(
        domain=False,
        ticks=False,
        grid=True,
        gridDash=[1, 4],
        gridColor=C["axis"],
        labelExpr="split(datum.value, '|')[1] || datum.value",
        labelAlign="left",
        labelPadding=_padding(longest),
        labelLimit=330,
        labelOverlap=False,
    )
    if any("|" in name for name in names):
        head = "indexof(datum.value, '|') < 0"
        axis.labelFontWeight = alt.condition(head, alt.value(600), alt.value(400))
        axis.gridOpacity = alt.condition(head, alt.value(0), alt.value(1))
    return alt.Y("row:N", title=None, scale=scale, axis=axis)


def _padding(longest: int) -> int:
    """Room for the names left of a plot [px]."""
    return min(270, round(6 * longest))


def _claim_labels(claims: pd.DataFrame, unit: str, y: alt.Y) -> alt.Chart:
    """What was claimed, once above each bar."""
    facts = claims[["group", "claim"]]
    first = claims[(facts != facts.shift()).any(axis="columns")]
    told = pd.DataFrame(
        {
            "claim": first["claim"],
            "row": first["group"].where(first["group"] != "", first["row"]),
            "dy": (first["group"] == "").map({True: -20, False: 4}),
            "text": [f"claim {claim:,.3g}{unit}" for claim in first["claim"]],
        }
    )
    marks = alt.Chart(told, name="claimed")
    quiet = marks.mark_text(align="center", color=C["ink2"], dy=alt.expr("datum.dy"))
    return quiet.encode(x="claim:Q", y=y, text="text:N")


def _beside(data: pd.DataFrame, unit: str, axis: Axis, y: alt.Y) -> alt.LayerChart:
    """Numbers in a column right of the plot; on a phone above their rows, where names are short."""
    known = data["x"].notna()
    said = pd.DataFrame(
        {
            "row": data["row"],
            "text": [_said(row, unit, axis) for row in data.to_dict("records")],
            "weight": known.map({True: 600, False: 400}),
            "color": known.map({True: C["ink"], False: C["ink2"]}),
        }
    )
    base = alt.Chart(said).encode(x=alt.value("width"), y=y, text="text:N")
    return haloed(
        base,
        "values",
        align=alt.expr(f"{NARROW} ? 'right' : 'left'"),
        dx=alt.expr(f"{NARROW} ? 0 : 12"),
        dy=alt.expr(f"{NARROW} ? -14 : 0"),
    )


def _said(row: Spec, unit: str, axis: Axis) -> str:
    """A row's number with its range, or why there is none."""
    if row["text"] or row["x"] is None:
        return str(row["text"] or "not published")
    if axis.format.endswith("%"):
        row, unit = {**row, **_in_per_cent(row)}, "%"
    if row["low"] is None or row["low"] == row["high"]:
        return sig(row["x"], 3) + unit
    to = " to " if row["low"] < 0 else "–"
    return f"{sig(row['x'])}{unit} ({sig(row['low'])}{to}{sig(row['high'])})"


def _in_per_cent(row: Spec) -> Spec:
    """The numbers of a row whose axis shows shares as per cent."""
    shares = {name: row[name] for name in ("x", "low", "high")}
    return {name: None if share is None else 100 * share for name, share in shares.items()}


# ------------------------------------------------------------------------------------------ lines
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
        The same columns for single points, and optionally ``label``, ``subject``, ``hollow`` and
        ``faint``.
    dashed : collection of str
        Series that are computed with something unpublished or only announced.
    beyond : float, optional
        From here on the lines are extrapolated: dashed, with a lighter band [unit of x].
    rules : iterable of (axis, value, label)
        Thresholds, for example ``("x", 144, "one UltraServer")``; ``("y", 1, "")`` is a strong
        line.
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
    >>> frame = pd.DataFrame({"n": [64, 128], "days": [20, 11], "low": [17, 9], "high": [25, 14]})
    >>> axes = {"x_axis": Axis("Chips (log)", True, 2), "y_axis": Axis("Days (log)", True)}
    >>> chart = lines(frame.assign(chip="trainium3"), "n", "days", "chip", **axes)
    >>> [layer.name for layer in chart.layer]
    ['bands', 'lines', 'labels']
    """
    data = tidy(frame, "low", "high", x=x, y=y, name=series).dropna(subset=["x", "y"])
    optional = ("label", "subject", "hollow", "faint")
    given = frame.iloc[:0] if points is None else points
    dots = tidy(given, *optional, x=x, y=y, name=series).dropna(subset=["x", "y"])
    dots["subject"] = dots["subject"].fillna(dots["name"])
    order = list(dict.fromkeys(data["name"]))

    margin = 1.0 if len(data) else 1.15
    widths = [*data["x"], *dots["x"]]
    heights = [*data["y"], *data["low"], *data["high"], *dots["y"]]
    ends = {"x": x_axis.ends(widths, margin), "y": y_axis.ends(heights)}
    across_x, up = x_axis.x("x", widths, margin), y_axis.y("y", heights)
    rules = list(rules)
    crowded = [v for a, v, _ in rules if a == "x" and _above(data, v, y_axis, ends["y"])]
    texts = [across_label(*rule, ends, crowded) for rule in rules if rule[2]]
    texts += [
        {"x": dot.x, "y": dot.y, "text": dot.label, "dx": 8, "dy": 12}
        for dot in dots.itertuples()
        if dot.label
    ]
    texts += _ends(data, order, names or {}, y_axis, ends["y"], height)
    texts += [] if beyond is None else [_extrapolated(data, beyond, ends["y"])]

    shown = _in_parts(_dressed(data, order, dashed), beyond)
    bands = shown.dropna(subset=["low"])[["x", "low", "high", "color", "part", "opacity"]]
    strokes = shown[["name", "x", "y", "color", "width", "dash", "part"]]
    tip = tips(name="series", x=x_axis.title or x, y=y_axis.title or y)
    layers: list[Any] = [
        *(across(a, v, "threshold" if text or a == "x" else "unity") for a, v, text in rules),
        _bands(bands, across_x),
        _strokes(strokes, across_x, up, tip),
        marks(dots.drop(columns="label"), across_x, up, tip),
        labels(texts, across_x, up),
    ]
    meta = {"numbers": numbers(frame, [series, x, y, "low", "high"])}
    return layered(_zoomed(layers) if zoom else layers, height, meta)


def _dressed(data: pd.DataFrame, order: Sequence[str], dashed: Collection[str]) -> pd.DataFrame:
    """Lines in the look of their series; those of one colour differ by dash."""
    plain = dashes([name for name in order if name not in dashed])
    dash = {name: plain.get(name, DASHES[1]) for name in order}
    looks = {name: style(name) for name in order}
    return data.assign(
        color=[looks[name].color for name in data["name"]],
        width=[looks[name].width for name in data["name"]],
        dash=[dash[name] for name in data["name"]],
        part=data["name"],
        opacity=0.2,
    )


def _in_parts(data: pd.DataFrame, beyond: float | None) -> pd.DataFrame:
    """Lines cut where they are extrapolated, and dashed and lighter from there on."""
    if beyond is None:
        return data
    near, far = data[data["x"] <= beyond], data[data["x"] >= beyond]
    looser = {"dash": [DASHES[1]] * len(far), "opacity": 0.09}
    return pd.concat([near, far.assign(part=far["name"] + ", extrapolated", **looser)])


def _bands(data: pd.DataFrame, x: alt.X) -> alt.Chart:
    """The 80% range of each line."""
    fill, opacity = alt.Fill("color:N", scale=None), alt.FillOpacity("opacity:Q", scale=None)
    area = alt.Chart(data, name="bands").mark_area(clip=True)
    return area.encode(x, fill, opacity, y="low:Q", y2="high:Q", detail="part:N")


def _strokes(data: pd.DataFrame, x: alt.X, y: alt.Y, tip: Sequence[alt.Tooltip]) -> alt.Chart:
    """The lines themselves."""
    width = alt.Size("width:Q", scale=None)
    line = alt.Chart(data, name="lines").mark_line(clip=True)
    return line.encode(x, y, STROKE, DASH, width, detail="part:N", tooltip=[*tip])


def _zoomed(layers: Sequence[Any]) -> list[Any]:
    """The same layers, of which the last with data can be zoomed."""
    last = [one.name for one in layers if one.name in ("points", "lines") and len(one.data)][-1]
    return [one.add_params(shift_zoom()) if one.name == last else one for one in layers]


def _above(data: pd.DataFrame, x: float, axis: Axis, ends: Sequence[float]) -> bool:
    """Whether the lines run through the upper half at x, so that a label there belongs at the
    foot.
    """
    places = []
    for _, line in data.groupby("name", sort=False):
        near = min(line.itertuples(), key=lambda row: abs(row.x - x))
        places.append(axis.place(near.y, ends))
    return bool(places) and max(places) > 1 - min(places)


def _extrapolated(data: pd.DataFrame, beyond: float, ends: Sequence[float]) -> Spec:
    """A label on the side that the lines leave."""
    falls = int(data["y"].iloc[0] > data["y"].iloc[-1])
    spot = {"x": beyond, "y": ends[falls], "dx": 5, "dy": 10 if falls else -10}
    return spot | {"text": "extrapolated →", "color": C["ink2"]}


def _ends(
    data: pd.DataFrame,
    order: Sequence[str],
    names: Mapping[str, str],
    axis: Axis,
    ends: Sequence[float],
    height: float,
) -> list[Spec]:
    """One label per line at its last point inside the plot, pushed apart where several end
    together.
    """
    inside = data[data["y"].between(*ends)]
    last = inside.sort_values("x", kind="stable").groupby("name", sort=False).last()
    named = [name for name in order if name in last.index and names.get(name, name)]
    natural = [height * (1 - axis.place(last["y"][name], ends)) for name in named]
    placed = apart(natural, foot=height - 4)
    return [
        {
            "x": last["x"][name],
            "y": last["y"][name],
            "dx": 9,
            "dy": clean(pixel - at),
            "text": names.get(name, name),
            "color": style(name).text,
            "weight": 600 if style(name).token == "trn3" else 400,
        }
        for name, pixel, at in zip(named, placed, natural, strict=True)
    ]


# ----------------------------------------------------------------------------------------- ratios
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
        One line per run; ``low`` and ``high`` (80% range of the prediction), ``subject`` and
        ``hollow`` are used when present.
    predicted, measured, group : str
        Columns: two numbers in one unit, and the source's group (coloured by the vendor that it
        names).
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
    parts = {"ratio": predicted, "low": "low", "high": "high"}
    shares = {new: frame[old] / frame[measured] for new, old in parts.items() if old in frame}
    work = frame.assign(**shares)
    optional = ("low", "high", "subject", "hollow")
    data = tidy(work, *optional, x=measured, y="ratio", name=group, label=label)
    data = data[data["y"].fillna(0) > 0]
    data["subject"] = data["subject"].fillna(data["name"])
    data["color"] = [style(subject).color for subject in data["subject"]]

    farthest = max([1.5, *data["y"], *(1 / data["y"])])
    reach = 1.05 * farthest
    round_ones = (0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.25, 2, 3, 5, 10)
    values = [one for one in round_ones if 1 / reach <= one <= reach]
    x = x_axis.x("x", data["x"])
    y_axis = Axis("Predicted over measured (log)", log=True, domain=(1 / reach, reach))
    y = y_axis.y("y", [], values=values)
    shade = alt.Chart(pd.DataFrame({"low": band[:1], "high": band[1:]}), name="shade")
    ranged = data.dropna(subset=["low"])[["x", "low", "high", "color"]]
    bars = alt.Chart(ranged, name="ranges").mark_rule(style="thin", clip=True)
    facts = ["name", "x", "y", "subject", "hollow"]
    tip = tips(name="group", x=x_axis.title or measured, y="predicted over measured")
    layers: list[Any] = [
        shade.mark_rect(style="shade").encode(y="low:Q", y2="high:Q"),
        across("y", 1, "unity"),
        bars.encode(x, COLOR, y="low:Q", y2="high:Q"),
        marks(data[facts], x, y, tip),
        labels(_toward_the_middle(data, x_axis), x, y),
    ]
    meta = {"numbers": numbers(work, [group, measured, predicted, "ratio", label])}
    return layered(_zoomed(layers), 380, meta)


def _toward_the_middle(data: pd.DataFrame, axis: Axis) -> list[Spec]:
    """Labels of single points, on the side where there is more room."""
    ends = axis.ends(data["x"])
    texts = []
    for row in data[data["label"].fillna("") != ""].itertuples():
        left = axis.place(row.x, ends) < 0.5
        side = {"dx": 9, "align": "left"} if left else {"dx": -9, "align": "right"}
        texts.append({"x": row.x, "y": row.y, "text": row.label} | side)
    return texts


# ----------------------------------------------------------------------------------------- stacks
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
        One line per row and part, parts in the order math, memory, network, idle or waiting,
        overhead (five at most).
    row, part, value : str
        Columns.
    axis : Axis
        The value axis; it starts at 0.
    unit : str
        Unit behind the total.
    totals : pandas.DataFrame, optional
        Columns `row`, ``low``, ``high``: the 80% range of the total, drawn as a whisker below the
        bar.

    Returns
    -------
    Chart
        Not yet finished.

    Raises
    ------
    ValueError
        With more parts than can be told apart.

    Examples
    --------
    >>> frame = pd.DataFrame({"chip": "B200", "part": ["Math", "HBM"], "joules": [0.6, 0.5]})
    >>> [layer.name for layer in stacks(frame, "chip", "part", "joules", unit=" J").layer]
    ['bars', 'names', 'totals']
    """
    data = tidy(frame, row=row, part=part, value=value)
    names, parts = data["row"].unique().tolist(), data["part"].unique().tolist()
    if len(parts) > len(PARTS):
        raise ValueError(
            f"parts: {len(parts)} given, {len(PARTS)} can be told apart; "
            "merge the smallest into overhead"
        )
    data["order"] = data["part"].map(parts.index)
    whole = data.groupby("row", sort=False)["value"].sum().reset_index()
    whole["text"] = [sig(total) + unit for total in whole["value"]]
    given = frame.iloc[:0] if totals is None else totals
    spans = tidy(given, "low", "high", row=row).dropna(subset=["low"]).merge(whole, on="row")

    y = by_row(names)
    most = max([*whole["value"], *spans["high"]], default=1.0)
    x = replace(axis, zero=True).x("value", [0, 1.08 * most], grid=True, domain=False)
    fill = alt.Fill("part:N", scale=alt.Scale(domain=parts, range=[C[p] for p in PARTS]))
    tip = tips(row="row", part="part", value=axis.title or value)
    bars = alt.Chart(data[data["value"].fillna(0) > 0], name="bars").mark_bar(style="part", size=20)
    named = alt.Chart(whole, name="names").mark_text(style="strong", dy=-19)
    total = alt.Chart(whole, name="totals").mark_text(style="strong", dx=7)
    layers: list[Any] = [
        bars.encode(x, y, fill, order="order:Q", tooltip=tip),
        *(_whiskers(spans, y) if len(spans) else []),
        named.encode(x=alt.value(0), y=y, text="row:N"),
        total.encode(x="value:Q", y=y, text="text:N"),
    ]
    key = [("bar", name, token) for name, token in zip(parts, PARTS, strict=False)]
    key += [("whisker", "80% range of the total", "ink")] if len(spans) else []
    meta = {"key": key, "numbers": numbers(frame, [row, part, value])}
    return layered(layers, 58 * len(names) + 12, meta)


def _whiskers(spans: pd.DataFrame, y: alt.Y) -> list[alt.Chart]:
    """The range of each total, with its middle, below the bar."""
    below = alt.Chart(spans).encode(y=y, yOffset=alt.value(46))
    rule = below.mark_rule(style="mark", strokeWidth=2).encode(x="low:Q", x2="high:Q")
    tick = below.mark_tick(style="mark", size=9)
    middle = below.mark_point(style="mark", size=30).encode(x="value:Q")
    return [rule, tick.encode(x="low:Q"), tick.encode(x="high:Q"), middle]


# ---------------------------------------------------------------------------------------- tornado
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
        One line per input; ``low_label`` and ``high_label`` are written at the two ends when
        present.
    name, low, high : str
        Columns: the input, and the answer at its low and at its high end: numbers, or Vega
        expressions over sliders (then give them sorted).
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
    data = tidy(frame, "low_label", "high_label", name=name, low=low, high=high)
    cells = [base, *data["low"], *data["high"]]
    live = any(isinstance(cell, str) for cell in cells)
    if not live:
        span = (data["high"] - data["low"]).abs()
        data = data.loc[(-span).sort_values(kind="stable").index]
    data["row"] = distinct(data["name"])
    data["number"] = range(len(data))
    ends = axis.ends([] if live else cells)
    x, y = axis.x("base", ends, grid=True, domain=False), by_row(data["row"].tolist())
    steps = {"base": str(base if isinstance(base, str) else rounded(base))}
    if live:
        for end in ("low", "high"):
            steps[end] = f"[{', '.join(map(str, data[end]))}][datum.number]"

    tip = tips(name="input", low="at the low end", high="at the high end")
    bars = alt.Chart().mark_bar(clip=True, size=18)
    heads = alt.Chart(name="heads").mark_text(dy=-19, color=C["ink2"], limit=alt.expr("width"))
    layers: list[Any] = [
        bars.encode(x, y, x2="low:Q", color=alt.value(C["p3"]), tooltip=tip),
        bars.encode(x, y, x2="high:Q", color=alt.value(C["p2"]), tooltip=tip),
        alt.Chart(name="now").mark_rule(color=C["trn3"], strokeWidth=2).encode(x="base:Q"),
        heads.encode(x=alt.value(0), y=y, text="name:N"),
    ]
    for end, other in (("low", "high"), ("high", "low")):
        if data[f"{end}_label"].notna().any():
            layers.append(_at_the_end(y, end, other))
    if ends[0] <= 0 <= ends[1]:
        layers.insert(2, across("x", 0, "unity"))
    key = [("bar", "Low end of the input", "p3"), ("bar", "High end", "p2")]
    key += [("tick", "As assumed", "trn3")]
    told = [name, *([] if live else [low, high]), "low_label", "high_label"]
    meta = {"key": key, "numbers": numbers(frame, told)}
    kept = data.drop(columns=["low", "high"] if live else []).dropna(axis="columns", how="all")
    chart = layered(layers, 54 * len(data) + 10, meta, data=kept).transform_calculate(**steps)
    return chart.add_params(*(slider.param() for slider in sliders))


def _at_the_end(y: alt.Y, end: str, other: str) -> alt.Chart:
    """What an input is at one end, beyond the bar."""
    before = f"datum.{end} < datum.{other}"
    text = alt.Chart(name=f"{end} text").mark_text(
        dx=alt.expr(f"{before} ? -6 : 6"), align=alt.expr(f"{before} ? 'right' : 'left'")
    )
    return text.encode(x=f"{end}:Q", y=y, text=f"{end}_label:N")


# ------------------------------------------------------------------------------------- cumulative
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
        Two lines: first staying, then moving. Columns ``name``, ``start`` (one-off cost), ``slope``
        (cost per month), optionally ``slope_low`` and ``slope_high``: numbers, or Vega expressions
        over the sliders' names [unit of the axis].
    sliders : sequence of Slider
        Controls named in the expressions, four at most.
    months : int
        Horizon [month].
    y_axis : Axis
        Axis of the cost.
    path : pandas.DataFrame, optional
        One line per month from 0, for costs that are no straight line: expressions take a column as
        ``datum.column``.

    Returns
    -------
    Chart
        Not yet finished.
    """
    stay, move = frame.to_dict("records")
    costs = _costs("stay", stay) | _costs("move", move)
    data = pd.DataFrame({"month": range(months + 1)})
    data = data if path is None else data.join(path.reset_index(drop=True))
    step = 1 if months < 12 else 6 if months <= 36 else 12
    horizon = Axis("Months after the decision", domain=(0, months), step=step)
    x = horizon.x("month", [])
    scale, ticks = alt.Scale(zero=True, nice=4), alt.Axis(tickCount=5)
    y = alt.Y("cost:Q", title=y_axis.title, scale=scale, axis=ticks)

    layers: list[alt.Chart] = []
    for way, told in (("stay", stay), ("move", move)):
        look = style(told["name"])
        here = alt.Chart().transform_calculate(cost=f"datum.{way}")
        if f"{way}_low" in costs:
            band = alt.Chart().mark_area(clip=True, color=look.color, opacity=0.2)
            layers.append(band.encode(x, y=f"{way}_low:Q", y2=f"{way}_high:Q"))
        line = here.mark_line(clip=True, color=look.color, strokeWidth=look.width)
        layers.append(line.encode(x, y, tooltip=_tip_of_month(stay["name"], move["name"])))
        layers.append(_last(here, way, told["name"], months).encode(x, y, text="label:N"))
    layers += _break_even(x, y, months)
    key = [("line", told["name"], style(told["name"]).token) for told in (stay, move)]
    meta = {"key": [*key, ("dot", "Break-even", "ink")], "numbers": numbers(frame)}
    chart = layered(layers, 340, meta, data=data).transform_calculate(**costs)
    return chart.add_params(*(slider.param() for slider in sliders))


def _costs(way: str, told: Mapping[str, Any]) -> dict[str, str]:
    """Cost of a way by month as expressions, with the ends of its range where it has one."""
    given = {f"slope{end}": clean(told.get(f"slope{end}")) for end in ("", "_low", "_high")}
    return {
        slope.replace("slope", way): f"({clean(told['start'])})+({each})*datum.month"
        for slope, each in given.items()
        if each not in (None, "")
    }


def _tip_of_month(stay: str, move: str) -> list[alt.Tooltip]:
    """Both costs of a month."""
    return [
        alt.Tooltip("month:Q", title="month"),
        alt.Tooltip("stay:Q", title=stay, format=",.4~r"),
        alt.Tooltip("move:Q", title=move, format=",.4~r"),
    ]


def _last(here: alt.Chart, way: str, name: str, months: int) -> alt.Chart:
    """Name and cost at the end of a line, away from the other where both end close together."""
    label = f"{json.dumps(name, ensure_ascii=False)} + ' ' + format(datum.cost, ',.3~r')"
    gap = "(datum.stay + datum.move - 2 * datum.cost)"
    apart_px = f"abs({gap}) < 0.05 * datum.cost ? ({gap} < 0 ? -8 : 8) : 0"
    end = here.transform_filter(f"datum.month == {months}").transform_calculate(label=label)
    return end.mark_text(style="strong", color=style(name).text, dx=7, dy=alt.expr(apart_px))


def _break_even(x: alt.X, y: alt.Y, months: int) -> list[alt.Chart]:
    """Where moving has cost as much as staying, or a sentence where it never does."""
    share = "datum.gap_0 > 0 && datum.gap <= 0 ? datum.gap_0 / (datum.gap_0 - datum.gap) : null"
    gaps = (
        alt.Chart()
        .transform_calculate(gap="datum.move - datum.stay")
        .transform_window(gap_0="lag(gap)", stay_0="lag(stay)", sort=[{"field": "month"}])
        .transform_calculate(share=share)
        .transform_joinaggregate(n="valid(share)", most="max(gap)")
    )
    # Where the lines never meet one faint row stays: Vega warns of a layer without extent.
    meeting = gaps.transform_filter(
        "isValid(datum.share) || datum.n == 0 && datum.month == 0"
    ).transform_calculate(
        shown="isValid(datum.share) ? 1 : 0",
        cost="datum.shown ? datum.stay_0 + datum.share * (datum.stay - datum.stay_0) : datum.stay",
        month="datum.shown ? datum.month - 1 + datum.share : datum.month",
        label="datum.shown ? 'Break-even: month ' + format(datum.month, '.1f') : ''",
    )
    words = (
        f"datum.most > 0 ? 'No break-even within {months} months'"
        " : 'Moving costs less from the first month'"
    )
    never = gaps.transform_filter("datum.n == 0 && datum.month == 0").transform_calculate(
        label=words
    )
    shown = alt.Opacity("shown:Q", scale=None)
    text = {"x": alt.value(12), "y": alt.value(14), "text": "label:N"}
    return [
        meeting.mark_rule(style="threshold").encode(x, y, shown, y2=alt.datum(0)),
        meeting.mark_point(style="mark", size=90).encode(x, y, shown),
        meeting.mark_text(style="strong", dx=8, dy=16).encode(x, y, shown, text="label:N"),
        never.mark_text(style="strong").encode(**text),
    ]
