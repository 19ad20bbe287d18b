"""Forms of charts: parts of a whole, sensitivities, costs over time, predictions held against
runs.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from trn3.show.drawing import (
    PLAIN,
    Chart,
    Rules,
    Slider,
    _by_row,
    _draw,
    _layer,
    _numbers,
    _points,
    _quiet,
    _rules,
    _table,
    _tips,
    _zoomed,
)
from trn3.show.theme import PARTS, Axis, C, Spec, clean, style
from trn3.show.words import rounded, sig

SHARES, SCALE = Axis(domain=(0, 1), format=".0%"), Axis("Chips (log)", log=True, base=2)
MEASURED, COST = Axis("Measured (log)", log=True), Axis("Cumulative cost, million USD")


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
    given = {
        k: c for k, c in {"ratio": predicted, "low": "low", "high": "high"}.items() if c in frame
    }
    work = frame.assign(**{k: frame[c] / frame[measured] for k, c in given.items()})
    work = work.assign(label=frame[label]) if label in frame else work
    optional = ("subject", "hollow", "label", "low", "high")
    data = [r for r in _table(work, *optional, x=measured, y="ratio", s=group) if r["y"]]
    across = x_axis.channel([r["x"] for r in data])
    reach = 1.05 * max(1.5, *(max(r["y"], 1 / r["y"]) for r in data)) if data else 1.5
    marks = [v for v in (0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.25, 2, 3, 5, 10) if 1 / reach <= v <= reach]
    up = Axis("Predicted over measured (log)", True, domain=(1 / reach, reach)).channel(
        [], values=marks
    )
    bars = [
        r | {"c": style(r.get("subject") or r["s"]).color} for r in data if r.get("low") is not None
    ]
    bars = [{k: r[k] for k in ("x", "low", "high", "c")} for r in bars]
    labels = [{"x": r["x"], "y": r["y"], "t": r["label"]} for r in data if r.get("label")]
    left = [x_axis.place(r["x"], across["scale"]["domain"]) < 0.5 for r in labels]
    labels = [
        r | ({"dx": 9} if is_left else {"dx": -9, "a": "right"})
        for r, is_left in zip(labels, left, strict=True)
    ]
    tips = _tips(s="group", x=x_axis.title or measured, y="predicted over measured")
    meta = {"numbers": _numbers(work, [group, measured, predicted, "ratio", label])}
    behind: Any = {"shade": [{"y": band[0], "y2": band[1]}], "unity": [{"y": 1}]}
    return _zoomed(
        _draw(
            across,
            up,
            380,
            meta,
            tips,
            **behind,
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
    """
    names, parts = (
        list(dict.fromkeys(frame[row].astype(str))),
        list(dict.fromkeys(frame[part].astype(str))),
    )
    if len(parts) > len(PARTS):
        raise ValueError(
            f"parts: {len(parts)} given, {len(PARTS)} can be told apart; "
            "merge the smallest into overhead"
        )
    total, bars = dict.fromkeys(names, 0.0), []
    for r in _table(frame, s=row, p=part, v=value):
        start = total[r["s"]]
        total[r["s"]] += r["v"] or 0.0
        ends = {"x": clean(start), "x2": clean(total[r["s"]]), "y": names.index(r["s"])}
        bars += [{**r, **ends, "c": C[PARTS[parts.index(r["p"])]]}] if r["v"] else []
    spans = (
        [r for r in _table(totals, "low", "high", s=row) if r["low"] is not None]
        if totals is not None
        else []
    )
    spans = [
        {"low": r["low"], "high": r["high"], "y": names.index(r["s"]), "x": clean(total[r["s"]])}
        for r in spans
    ]
    most = max([*total.values(), *(r["high"] for r in spans)], default=1.0)
    x = _quiet(replace(axis, zero=True).channel([0, 1.08 * most]))
    y = _by_row(names) | {"axis": None}
    labels = [{"x": 0, "y": i, "t": n, "w": 600, "dy": -19} for i, n in enumerate(names)]
    labels += [
        {"x": clean(v), "y": names.index(n), "t": sig(v) + unit, "w": 600, "dx": 7}
        for n, v in total.items()
    ]
    key = [("bar", p, t) for p, t in zip(parts, PARTS, strict=False)]
    key += [("whisker", "80% range of the total", "ink")] if spans else []
    meta = {"key": key, "numbers": _numbers(frame, [row, part, value])}
    ends_ = [{"x": r[k], "y": r["y"]} for r in spans for k in ("low", "high")]
    tips = _tips(s="row", p="part", v=axis.title or value)
    tables = {"bars": bars, "whiskers": spans, "ends": ends_, "middles": spans, "labels": labels}
    return _draw(x, y, 58 * len(names) + 12, meta, tips, **tables)


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
    """Stacked shares against scale: the useful part at the foot in Trainium's colour, the losses
    above it.

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
    labels = [
        *tables.pop("labels"),
        {"x": first, "y": foot, "t": useful, "dx": 10, "dy": -40, "w": 600},
    ]
    if beyond is not None:
        spot = {"x": last, "y": foot, "a": "right", "dx": -6, "dy": -12}
        labels.append({**spot, "t": "nobody has measured this", "c": C["ink2"]})
    edge = [{"x": r["x"], "y": r["high"]} for r in stack if r["p"] == useful]
    key = [("bar", p, t) for p, t in zip(parts[1:], PARTS, strict=False)]
    meta = {"key": key, "numbers": _numbers(frame, [x, part, value])}
    tips = _tips(p="part", x=x_axis.title or x, v=y_axis.title or "share")
    veil = [{"x": beyond}] if beyond is not None else []
    return _draw(
        across, up, 360, meta, tips, areas=stack, veil=veil, useful=edge, **tables, labels=labels
    )


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
    data = _table(frame, "low_label", "high_label", s=name, low=low, high=high)
    live = isinstance(base, str) or any(
        isinstance(r[k], str) for r in data for k in ("low", "high")
    )
    data.sort(key=lambda r: 0 if live else -abs(r["high"] - r["low"]))
    ends = [] if live else [0, base, *(r[k] for r in data for k in ("low", "high"))]
    x, y = _quiet(axis.channel(ends)), _by_row([r["s"] for r in data]) | {"axis": None}
    values = [
        {"s": r["s"], "y": i, "tl": r.get("low_label"), "th": r.get("high_label")}
        for i, r in enumerate(data)
    ]
    cases = {
        end: [f"datum.y=={i} ? {r[end]}" for i, r in enumerate(data)] for end in ("low", "high")
    }
    steps = [{"calculate": " : ".join([*texts, "0"]), "as": end} for end, texts in cases.items()]
    steps.append({"calculate": base if isinstance(base, str) else str(rounded(base)), "as": "base"})
    tips = _tips(s="input", low="at the low end", high="at the high end")
    shown = [
        n
        for n, column in (("low text", "tl"), ("high text", "th"))
        if any(r[column] for r in values)
    ]
    layers = [_layer(n, x, y, tips, None) for n in ("low", "high")] + [
        _layer("reference", x, y, (), [{"x": 0}])
    ]
    layers += [_layer(n, x, y, (), None) for n in ("now", "heads", *shown)]
    key = [
        ("bar", "Low end of the input", "p3"),
        ("bar", "High end", "p2"),
        ("tick", "As assumed", "trn3"),
    ]
    meta = {
        "key": key,
        "numbers": _numbers(
            frame, [name, *([] if live else [low, high]), "low_label", "high_label"]
        ),
    }
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
    two = [
        {k: v if isinstance(v, str) else clean(v) for k, v in r.items()}
        for r in frame.to_dict("records")
    ]

    def either(pair: Sequence[str], name: str) -> Spec:
        return {"calculate": f"datum.i==0 ? {pair[0]} : {pair[1]}", "as": name}

    def end(column: str) -> list[str]:
        slopes = [r.get(column) if r.get(column) not in (None, "") else "" for r in two]
        return [
            f"({r['start']})+({s})*datum.x" if s else f"datum.{f}"
            for r, s, f in zip(two, slopes, "ab", strict=True)
        ]

    ways = [
        {"calculate": f"({r['start']})+({r['slope']})*datum.x", "as": f}
        for r, f in zip(two, "ab", strict=True)
    ]
    x = Axis("Months after the decision", domain=(0, months)).channel(
        [], values=[*range(0, months + 1, 1 if months < 12 else 6 if months <= 36 else 12)]
    )
    y: Spec = {"type": "quantitative", "title": y_axis.title}
    y |= {"scale": {"zero": True, "nice": 4}, "axis": {"tickCount": 5}}
    looks = [style(r["name"]) for r in two]
    by_month = path.to_dict("records") if path is not None else [{}] * (months + 1)
    values = [{"x": m, "i": i, **by_month[m]} for i in (0, 1) for m in range(months + 1)]
    fixed = {
        "s": [r["name"] for r in two],
        "c": [k.color for k in looks],
        "tc": [k.text for k in looks],
    }
    steps = [
        either(["'" + t.replace("'", "\\'") + "'" for t in texts], name)
        for name, texts in fixed.items()
    ]
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
        {
            "joinaggregate": [
                {"op": "valid", "field": "part", "as": "n"},
                {"op": "max", "field": "gap", "as": "most"},
            ]
        },
    ]
    # Where the lines never meet one faint row stays: Vega warns of a layer without extent.
    met = "isValid(datum.part)"
    meet = [
        *one,
        {"filter": f"{met} || datum.n==0 && datum.x==0"},
        {"calculate": f"{met} ? datum.y0+datum.part*(datum.y-datum.y0) : datum.y", "as": "y"},
        {"calculate": f"{met} ? datum.x-1+datum.part : datum.x", "as": "x"},
        {"calculate": f"{met} ? 1 : 0", "as": "shown"},
    ]
    gap = "(datum.y-datum.rival)"
    word = {"calculate": "datum.s+' '+format(datum.y,',.3~r')", "as": "t"}
    near = f"abs({gap})<0.05*datum.y ? ({gap}>0 ? -8 : 8) : 0"
    last = [
        {"filter": f"datum.x=={months}"},
        either(["datum.b", "datum.a"], "rival"),
        {"calculate": near, "as": "dy"},
        word,
    ]
    told = "'Break-even: month '+format(datum.x,'.1f')"
    month = [*meet, {"calculate": f"{met} ? {told} : ''", "as": "t"}]
    words = (
        f"datum.most>0 ? 'No break-even within {months} months'"
        " : 'Moving costs less from the first month'"
    )
    never = [*one, {"filter": "datum.n==0 && datum.x==0"}, {"calculate": words, "as": "t"}]
    after = {"drop": meet, "break-even": meet, "month": month, "never": never, "last": last}
    tips = _tips(s="way", x="month", y=y_axis.title)
    key = [("line", r["name"], look.token) for r, look in zip(two, looks, strict=True)] + [
        ("dot", "Break-even", "ink")
    ]
    chart = _draw(
        x, y, 340, {"key": key, "numbers": _numbers(frame)}, params=[s.param() for s in sliders]
    )
    layers = [_layer(n, x, y, tips, None) for n in ("bands", "lines")]
    layers += [_layer(n, x, y, (), None) | {"transform": t} for n, t in after.items()]
    chart.spec |= {"data": {"values": values}, "transform": steps, "layer": layers}
    return chart
