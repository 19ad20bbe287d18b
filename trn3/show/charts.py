"""Charts: eight forms, one renderer and one look, drawn by Vega-Lite (the only module that knows
Altair).

A form takes a tidy frame and the names of its columns and returns a `Chart`; `finish` adds what a
reader needs:

>>> import pandas as pd
>>> frame = pd.DataFrame({"what": ["Chip, FP8", "Chip, BF16"], "ratio": [1.94, 1.01], "claim": 4.0})
>>> axis = Axis("Trainium3 over Trainium2")
>>> chart = rows(frame, "ratio", "what", axis=axis, unit="×", reference=1)
>>> about = {"title": "One chip gains 1.9×", "subtitle": "Published dense peaks, ratio"}
>>> chart = finish(chart, **about, source="Source: AWS.")
>>> chart.meta["numbers"]["columns"]
['what', 'ratio', 'claim']

Specs carry the light colours; the HTML exporter turns each into a CSS variable, so that one spec
serves the light page, the dark page and paper. Specs are plain dictionaries (ten times faster to
build than through Altair's classes, which a batch of hundreds of reports feels); `Chart.altair`
gives the Altair object to whoever wants to go on from there.
"""

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from trn3.show.drawing import (
    MIME,
    PLAIN,
    Chart,
    Rules,
    Slider,
    _above,
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
from trn3.show.forms import area, cumulative, ratios, stacks, tornado
from trn3.show.theme import BOOK, TOKENS, Axis, C, Spec, apart, clean, dashes, style
from trn3.show.words import rounded, sig

__all__ = [
    "MIME",
    "Axis",
    "Chart",
    "Slider",
    "area",
    "cumulative",
    "empty",
    "enable",
    "finish",
    "frontier",
    "lines",
    "png",
    "ratios",
    "rows",
    "stacks",
    "style",
    "tornado",
]
CONFIG: Spec = BOOK["config"] | {"font": BOOK["font"]}
"""Vega-Lite configuration of the exported page; once per page."""
NOTEBOOK: Spec = CONFIG | {"background": C["page"], "title": BOOK["title"]}
"""The same on a white card with titles, for notebooks and pictures."""
SPEED, THROUGHPUT = (
    Axis("Tokens/s per user (log) →", log=True, base=2),
    Axis("↑ Tokens/s per chip (log)", log=True),
)


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
        ``text`` (beside the dot; shown alone where the number is missing).
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
    >>> frame = pd.DataFrame({"what": ["FP8", "BF16"], "ratio": [1.94, 1.01], "claim": 4.0})
    >>> frame = frame.assign(group="“4× faster”")
    >>> axis = Axis("Trainium3 over Trainium2")
    >>> chart = rows(frame, "ratio", "what", axis=axis, unit="×", reference=1)
    >>> [layer["name"] for layer in chart.spec["layer"]]
    ['reference', 'claims', 'gaps', 'points', 'values halo', 'values', 'labels']
    """
    data = _table(
        frame, "low", "high", "group", "claim", "subject", "hollow", "text", x=value, s=label
    )
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
    ranged = [r for r in dots if r.get("low") is not None]
    ranged = [
        {k: r[k] for k in ("low", "high", "y")} | {"c": style(r["subject"]).color} for r in ranged
    ]
    gaps = [{k: r[k] for k in ("x", "claim", "y")} for r in dots if r.get("claim") is not None]
    ends = x["scale"]["domain"]
    values = [_beside(row, unit, axis, ends, reference) for row in dots]
    missing, quiet = [r for r in data if r["x"] is None], {"c": C["ink2"]}
    labels = [
        {"x": ends[0], "y": r["y"], "t": r.get("text") or "not published", **quiet, "dx": 4}
        for r in missing
    ]
    said = [
        {"x": b["x"], "y": b["y"] - 0.42, "t": f"claim {b['x']:,.3g}{unit}", **quiet}
        for b in bars.values()
    ]
    labels += [label | {"a": "center"} for label in said]
    extra = {k: k for k in ("low", "high", "claim") if k in frame}
    tips = _tips(s="what", x=axis.title or value, **extra)
    lines_ = {
        "reference": [{"x": reference}] if reference is not None else [],
        "claims": list(bars.values()),
    }
    columns = ["group", label, value, "low", "high", "claim", *(["text"] if missing else [])]
    meta = {"numbers": _numbers(frame, columns)}
    tables = lines_ | {
        "gaps": gaps,
        "ranges": ranged,
        "points": _points(dots),
        "values halo": values,
        "values": values,
    }
    return _draw(x, y, 31 * len(names) + 24, meta, tips, **tables, labels=labels)


def _beside(
    row: Spec, unit: str, axis: Axis, ends: Sequence[float], reference: float | None
) -> Spec:
    """The number beside a dot or its range, and its side on a wide plot (p) and on a narrow one
    (q).
    """
    low, high = (float(row["x"] if row.get(k) is None else row[k]) for k in ("low", "high"))
    span = f" ({sig(low, 2)}–{sig(high, 2)})" if high > low else ""
    text = row.get("text") or sig(row["x"], 2 if span else 3) + unit + span
    label = {"x": clean(high), "l": clean(low), "m": row.get("claim"), "y": row["y"], "t": text}
    long = round(7.4 * len(text)) + 4
    spots = [
        axis.place(v, ends) if v is not None else math.nan
        for v in (low, high, row.get("claim"), reference)
    ]
    wide, narrow = (_side(width, long, *(width * s for s in spots)) for width in (560, 320))
    return label | {"n": long, "p": wide, "q": narrow}


def _side(
    width: float, long: float, low: float, high: float, claim: float, reference: float
) -> int:
    """Where a label has room and crosses no bar: 0 right of its dot, 1 left of it, 2 right of
    the claim, 3 above.
    """
    sides = [(high + 10, 0), (low - 10 - long, 1), *([(claim + 10, 2)] if claim > high else [])]
    inside = [(start, side) for start, side in sides if 0 <= start <= width + 20 - long]
    clear = [(start, side) for start, side in inside if not start - 4 < claim < start + long]
    free = (side for start, side in clear if side < 2 and not start - 4 < reference < start + long)
    return next(free, clear[0][1] if clear else 3)


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
    >>> [layer["name"] for layer in chart.spec["layer"]]
    ['bands', 'lines', 'labels']
    """
    data = [
        r for r in _table(frame, "low", "high", x=x, y=y, s=series) if None not in (r["x"], r["y"])
    ]
    optional = ("label", "subject", "hollow", "faint")
    dots = _table(points, *optional, x=x, y=y, s=series) if points is not None else []
    dots = [d for d in dots if None not in (d["x"], d["y"])]
    across = x_axis.channel([r["x"] for r in [*data, *dots]], 1.0 if data else 1.15)
    up = y_axis.channel([r.get(k) for r in [*data, *dots] for k in ("y", "low", "high")])
    order = list(dict.fromkeys(r["s"] for r in data))
    dash = dashes([n for n in order if n not in dashed]) | {n: [6, 3] for n in dashed}
    crowded = {
        v for axis, v, _ in rules if axis == "x" and _above(data, v, y_axis, up["scale"]["domain"])
    }
    tables = _rules(rules, across, up, crowded)
    labels = tables.pop("labels")
    bands, strokes = [], []
    for far in (False, True) if beyond is not None else (False,):
        for name in order:
            look, key = style(name), f"{name}{far}"
            part = [r for r in data if r["s"] == name]
            if beyond is not None:
                part = [r for r in part if (r["x"] >= beyond if far else r["x"] <= beyond)]
            shade = {"c": look.color, "k": key, "o": 0.09 if far else 0.2}
            bands += [{**r, **shade} for r in part if r.get("low") is not None]
            more = {"d": [6, 3] if far else dash[name], "w": look.width, "c": look.color, "k": key}
            strokes += [{"x": r["x"], "y": r["y"], "s": name, **more} for r in part]
    bands = [{k: v for k, v in r.items() if k not in ("y", "s")} for r in bands]
    labels += [
        {"x": d["x"], "y": d["y"], "t": d["label"], "dx": 8, "dy": 12}
        for d in dots
        if d.get("label")
    ]
    labels += _ends(data, order, names or {}, y_axis, up["scale"]["domain"], height)
    if beyond is not None:
        falls = int(
            strokes[0]["y"] > strokes[-1]["y"]
        )  # the label stands on the side that the lines leave
        spot = {"x": beyond, "y": up["scale"]["domain"][falls], "dx": 5, "dy": 10 if falls else -10}
        labels.append({**spot, "t": "extrapolated →", "c": C["ink2"]})
    tips = _tips(s="series", x=x_axis.title or x, y=y_axis.title or y)
    meta = {"numbers": _numbers(frame, [series, x, y, "low", "high"])}
    tables |= {"bands": bands, "lines": strokes, "points": _points(dots), "labels": labels}
    chart = _draw(across, up, height, meta, tips, **tables)
    return _zoomed(chart) if zoom else chart


def _ends(
    data: list[Spec],
    order: list[str],
    names: Mapping[str, str],
    axis: Axis,
    ends: Sequence[float],
    height: float,
) -> list[Spec]:
    """One label per line at its last point inside the plot, pushed apart where several end
    together.
    """
    inside = {
        n: [r for r in data if r["s"] == n and ends[0] <= r["y"] <= ends[1]]
        for n in order
        if names.get(n, n)
    }
    last = {n: max(rows_, key=lambda r: r["x"]) for n, rows_ in inside.items() if rows_}
    natural = [height * (1 - axis.place(r["y"], ends)) for r in last.values()]
    out = []
    for (name, row), p, q in zip(
        last.items(), apart(natural, foot=height - 4), natural, strict=True
    ):
        look, spot = style(name), {"x": row["x"], "y": row["y"], "dx": 9, "dy": clean(p - q)}
        out.append(
            {
                **spot,
                "t": names.get(name, name),
                "c": look.text,
                "w": 600 if look.token == "trn3" else 400,
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
    """Throughput per chip against speed per user: predicted lines with bands, measured hulls as
    joined squares.

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
        joined = pd.concat(
            [frame, best.assign(**{series: best[series].astype(str) + " measured"})],
            ignore_index=True,
        )
        key += [
            ("square", "Measured, best of the runs", "ink2"),
            ("faint", "Measured, other runs", "ink2"),
        ]
    shown = set(frame[series]) if dashed is None else dashed
    rules: Rules = [("x", *limit)] if limit else ()
    chart = lines(
        joined,
        x,
        y,
        series,
        x_axis=x_axis,
        y_axis=y_axis,
        points=dots,
        rules=rules,
        dashed=shown,
        height=400,
    )
    chart.meta |= {"key": key}
    if measured is not None and dots is not None:
        everything = pd.concat([frame.assign(kind="predicted"), measured.assign(kind="measured")])
        chart.meta |= {"numbers": _numbers(everything, [series, "kind", x, y, "low", "high"])}
    return chart


def _hull(frame: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Rows that no other row beats in both columns, from slow to fast."""
    ordered = frame.sort_values([x, y], ascending=[False, False], kind="stable")
    best = ordered[y].astype(float).cummax().shift(fill_value=-math.inf)
    return ordered[ordered[y] > best].sort_values(x, kind="stable")


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
    """Give a chart what its reader needs: a finding, the measure, the key, the source and the
    numbers.

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
        Entries above the plot where marks are not named: mark is dot, hollow, square, faint,
        triangle, diamond, bar, line, dashed, band, dashband, tick or whisker; colour is a name in
        `TOKENS` or a subject. The form's own without it.
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
    spec = {
        **made.spec,
        "description": description or f"{title}. {subtitle}.",
        "usermeta": {"trn3": meta},
    }
    return Chart(_rounded(_for_notebook(spec, meta)), meta)


def _rounded(value: Any) -> Any:
    """A spec in which no number hangs on the last bits of a float."""
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value


def _once(layers: Sequence[Spec]) -> None:
    """Leave scale and axis in the first layer that has them; Vega-Lite shares them, and specs
    lose a third.
    """
    seen = set()
    for layer in layers:
        for name, channel in layer.get("encoding", {}).items():
            if (
                name in seen
                and "scale" in channel
                and "labelExpr" not in (channel.get("axis") or {})
            ):
                layer["encoding"][name] = {k: channel[k] for k in ("field", "type") if k in channel}
            elif name in ("x", "y") and "axis" in channel:
                seen.add(name)


def _for_notebook(spec: Spec, meta: Spec) -> Spec:
    """Title, key and source inside the chart, on white: what JupyterLab and a static picture
    show.
    """
    indent = -max([0, *(_indent(layer) for layer in spec.get("layer", []))])
    px, py, notes = indent, -40, []
    for mark, label, token in meta["key"]:
        need = 7 * len(label) + 34
        px, py = (indent, py - 17) if px > indent and px + need > indent + 700 else (px, py)
        glyph, words = (
            {"t": BOOK["glyphs"].get(mark, "●"), "c": C[token]},
            {"t": label, "c": C["ink2"]},
        )
        notes += [{"px": px, "py": py, **glyph}, {"px": px + 17, "py": py, **words}]
        px += need
    source = textwrap.wrap(meta["source"], 112)
    foot = spec.get("height", 300) + 52
    notes += [
        {"px": indent, "py": foot + 15 * i, "t": t, "c": C["ink3"]} for i, t in enumerate(source)
    ]
    title = {
        "text": textwrap.wrap(meta["title"], 70),
        "subtitle": textwrap.wrap(meta["subtitle"], 100),
    }
    layers = spec.get("layer") or [
        {k: spec.pop(k) for k in ("mark", "encoding", "data") if k in spec}
    ]
    return {
        **spec,
        "title": title,
        "config": NOTEBOOK,
        "layer": [*layers, _layer("notes", {}, {}, (), notes)],
    }


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

    Charts of this module need no call; it serves charts that a reader adds. Altair's own renderer
    writes a type that nbformat refuses and JupyterLab does not draw, hence ours.
    """
    import altair

    altair.renderers.register("trn3", lambda spec, **_: ({MIME: spec, "text/plain": "<chart>"}, {}))
    altair.renderers.enable("trn3")
    altair.theme.register("trn3", enable=True)(lambda: altair.theme.ThemeConfig(config=NOTEBOOK))  # type: ignore[typeddict-item]
