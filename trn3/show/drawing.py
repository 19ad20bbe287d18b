"""What the forms of charts share: the chart that shows itself, sliders, clean data, labels,
thresholds, points.

Internal to the modules of the forms. Everything here returns or takes plain Altair. Channels are
given as ``alt.X("x:Q")`` rather than as ``x="x:Q"``, which takes Altair some milliseconds each.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from trn3.show.theme import Axis, Spec, clean, style
from trn3.show.tokens import NOTEBOOK, C
from trn3.show.words import rounded

MIME = "application/vnd.vegalite.v5+json"
"""What JupyterLab draws without a network, and nbformat stores."""
Rules = Iterable[tuple[str, float, str]]
PLAIN = Axis()
WIDTH = 720
"""Of a chart in a notebook [px]; on a page it is as wide as its place."""
NARROW = "containerSize()[0] > 0 && containerSize()[0] < 450"
"""Whether a chart is on a phone, as an expression of Vega; in a picture nothing contains it."""
LIMIT = "isFinite(containerSize()[0]) ? max(110, containerSize()[0] * 0.4) : 300"
"""Longest label at a line's end [px]; longer ones end in … on a phone."""

USUAL = {
    "dx": 0,
    "dy": 0,
    "align": "left",
    "weight": 400,
    "color": C["ink"],
}
"""A label where its row says nothing else."""

# Channels whose column holds the colour, dash or shape itself.
COLOR = alt.Color("color:N", scale=None)
STROKE = alt.Stroke("color:N", scale=None)
FILL = alt.Fill("fill:N", scale=None)
SHAPE = alt.Shape("shape:N", scale=None)
SIZE = alt.Size("size:Q", scale=None)
OPACITY = alt.Opacity("opacity:Q", scale=None)
DASH = alt.StrokeDash("dash:N", scale=None)


class Chart(alt.LayerChart):
    """A layered Altair chart that shows itself offline, the same in every run.

    Add to it as to any other: ``chart + altair.Chart(frame).mark_rule().encode(x="n:Q")``.
    """

    @property
    def spec(self) -> Any:
        """The Vega-Lite spec that is shown, in which no number hangs on the last bits of a float;
        tests hold it against the schema, which would cost each report a third of its time.
        """
        with (
            alt.data_transformers.enable("trn3", consolidate_datasets=False),
            alt.theme.enable("trn3"),
        ):
            spec = self.to_dict(validate=False)
        spec.pop("$schema")  # newer than what JupyterLab draws with, which it would warn of
        return steady(spec)

    @property
    def meta(self) -> Spec:
        """What a page shows beside the plot: title, subtitle, source, key, numbers."""
        told = self._get("usermeta")
        return dict(told["trn3"]) if isinstance(told, dict) else {}

    def _repr_mimebundle_(self, *args: object, **kwds: object) -> dict[str, Any]:
        return {MIME: self.spec, "text/plain": f"<chart: {self.meta.get('title', '')}>"}


def steady(value: Any) -> Any:
    """Round every number in a spec.

    Parameters
    ----------
    value : object
        A spec, or a part of one.

    Returns
    -------
    object
        The same, as every processor computes it.

    Examples
    --------
    >>> steady({"domain": [0.1 + 0.2, 1]})
    {'domain': [0.3, 1]}
    """
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, dict):
        return {key: steady(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [steady(one) for one in value]
    return value


def _values(frame: Any) -> Any:
    """A frame's rows for a spec; what is no frame goes Altair's own way."""
    if not isinstance(frame, pd.DataFrame):
        return alt.to_values(frame)
    names = [*map(str, frame)]
    cells = [map(_json, frame[name].tolist()) for name in frame]
    rows = zip(*cells, strict=True)
    return {"values": [dict(zip(names, row, strict=True)) for row in rows]}


def _json(value: Any) -> Any:
    """A cell for JSON: lists and known numbers stay, what is missing is null."""
    if isinstance(value, list) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return clean(value)


def _theme() -> alt.theme.ThemeConfig:
    return alt.theme.ThemeConfig(config=NOTEBOOK)  # type: ignore[typeddict-item]


alt.data_transformers.register("trn3", _values)
alt.theme.register("trn3", enable=False)(_theme)


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

    def param(self) -> alt.Parameter:
        """Give Altair's parameter.

        Returns
        -------
        altair.Parameter
            Bound to a range input.
        """
        bind = alt.binding_range(
            min=self.low,
            max=self.high,
            step=self.step,
            name=self.label,
        )
        return alt.param(name=self.name, value=self.value, bind=bind)


def shift_zoom() -> alt.Parameter:
    """Zoom that needs the Shift key, so that a wheel scrolls the page; for dense charts.

    Returns
    -------
    altair.Parameter
        For ``add_params`` of a named layer.
    """
    drag = "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!"
    return alt.selection_interval(
        name="zoom",
        bind="scales",
        zoom="wheel![event.shiftKey]",
        translate=drag,
        clear="dblclick",
    )


def tidy(frame: pd.DataFrame, *optional: str, **columns: str) -> pd.DataFrame:
    """Choose and rename columns, with values as a chart shows them.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of the caller.
    *optional : str
        Columns that keep their name; None throughout where the frame lacks one.
    **columns : str
        The caller's column by the name that it takes.

    Returns
    -------
    pandas.DataFrame
        Of None, bool, int, float and str.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [64.0], "days": [3.14159]})
    >>> tidy(frame, "low", x="n", y="days").iloc[0].tolist()
    [64, 3.142, None]
    """
    wanted = columns | {name: name for name in optional}
    cells: dict[str, list[Any]] = {}
    for new, old in wanted.items():
        given = frame[old] if old in frame else [None] * len(frame)
        cells[new] = [clean(value) for value in given]
    return pd.DataFrame(cells, dtype=object)


def numbers(frame: pd.DataFrame, names: Iterable[str] = ()) -> Spec:
    """Give the table that a page shows under a chart.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of the caller.
    names : iterable of str
        Columns, where the frame has them; all without any.

    Returns
    -------
    dict
        ``columns`` and ``rows``.
    """
    kept = [name for name in dict.fromkeys(names) if name in frame]
    table = frame[kept] if kept else frame
    rows = [[*map(clean, row)] for row in table.itertuples(index=False)]
    return {"columns": [*map(str, table)], "rows": rows}


def layered(
    layers: Sequence[alt.Chart | alt.LayerChart],
    height: float,
    meta: Spec,
    **more: Any,
) -> Chart:
    """Put layers together.

    Parameters
    ----------
    layers : sequence of altair.Chart
        From the back to the front; those without rows are left out.
    height : float
        Of the plot [px].
    meta : dict
        ``key`` and ``numbers`` of the form.
    **more : object
        For ``altair.LayerChart``.

    Returns
    -------
    Chart
        Not yet finished.
    """
    return Chart(
        layer=[layer for layer in layers if not _empty(layer)],
        width=WIDTH,
        height=height,
        usermeta={"trn3": meta},
        **more,
    )


def _empty(layer: alt.Chart | alt.LayerChart) -> bool:
    """Whether a layer has a frame without rows."""
    return isinstance(layer.data, pd.DataFrame) and layer.data.empty


def marks(
    data: pd.DataFrame,
    x: alt.X,
    y: alt.Y,
    tips: Sequence[alt.Tooltip],
) -> alt.Chart:
    """Draw a mark per row in the look of its subject; hollow ones are filled with the page.

    Parameters
    ----------
    data : pandas.DataFrame
        What `x`, `y` and `tips` show, ``subject``, ``hollow`` and, where some are, ``faint``.
    x, y : altair.X, altair.Y
        Where they stand.
    tips : sequence of altair.Tooltip
        What the pointer shows.

    Returns
    -------
    altair.Chart
        The layer ``points``.
    """
    looks = [style(subject) for subject in data["subject"]]
    hollow = data["hollow"].astype(bool)
    faint = hollow & False
    if "faint" in data:
        faint = data["faint"].astype(bool)
    dressed = data.assign(
        color=[look.color for look in looks],
        fill=[C["page"] if look.hollow else look.color for look in looks],
        shape=[look.shape for look in looks],
        size=[100 if look.token == "trn3" else 64 for look in looks],
        opacity=faint.map({True: 0.35, False: 1.0}),
    )
    dressed["fill"] = dressed["fill"].mask(hollow, C["page"])
    dressed["size"] = dressed["size"].mask(faint, 20)
    dressed = dressed.drop(columns=["subject", "hollow", "faint"], errors="ignore")
    fill, spare = FILL, []
    if (dressed["fill"] == dressed["color"]).all():  # the page is lighter by a column
        fill, spare = alt.Fill("color:N", scale=None), ["fill"]
    if not faint.any():
        spare.append("opacity")
    known = dressed.drop(columns=spare).dropna(axis="columns", how="all")
    drawn = (
        alt.Chart(known, name="points")
        .mark_point()
        .encode(
            x=x,
            y=y,
            stroke=STROKE,
            fill=fill,
            shape=SHAPE,
            size=SIZE,
            tooltip=[*tips],
        )
    )
    return drawn.encode(opacity=OPACITY) if faint.any() else drawn


def labels(data: Iterable[Spec], x: alt.X, y: alt.Y) -> alt.LayerChart:
    """Draw all labels of a chart, each on a halo of the page's colour.

    Parameters
    ----------
    data : iterable of dict
        Columns of `x` and `y`, ``text`` and, where not the usual, ``color``, ``weight``, ``dx``,
        ``dy``, ``align``.
    x, y : altair.X, altair.Y
        Where they stand.

    Returns
    -------
    altair.LayerChart
        The layer ``labels``.
    """
    frame = pd.DataFrame([USUAL | row for row in data], dtype=object)
    return haloed(
        alt.Chart(frame).encode(x=x, y=y, text=alt.Text("text:N")),
        "labels",
        align=alt.expr("datum.align"),
        dx=alt.expr("datum.dx"),
        dy=alt.expr("datum.dy"),
        limit=alt.expr(LIMIT),
        clip=False,  # which a zoom would turn on
    )


def haloed(base: alt.Chart, name: str, **how: Any) -> alt.LayerChart:
    """Write texts, each on a halo of the page's colour.

    Parameters
    ----------
    base : altair.Chart
        Data and places; columns ``color`` and ``weight``.
    name : str
        Of the layer.
    **how : object
        For ``mark_text``.

    Returns
    -------
    altair.LayerChart
        A layer.
    """
    weight = alt.expr("datum.weight")
    halo = base.mark_text(style="halo", fontWeight=weight, **how)
    text = base.mark_text(fontWeight=weight, **how).encode(COLOR)
    return alt.LayerChart(layer=[halo, text], name=name)


def across(axis: str, value: float, look: str) -> alt.Chart:
    """Draw a line across the plot.

    Parameters
    ----------
    axis : str
        "x" or "y".
    value : float
        Where [unit of the axis].
    look : str
        "threshold", or "unity" for a strong one.

    Returns
    -------
    altair.Chart
        A layer.
    """
    at = pd.DataFrame({axis: [clean(value)]})
    rule = alt.Chart(at, name=look).mark_rule(style=look)
    channel = alt.X("x:Q") if axis == "x" else alt.Y("y:Q")
    return rule.encode(channel)


def tips(**titles: str) -> list[alt.Tooltip]:
    """Say what the pointer shows.

    Parameters
    ----------
    **titles : str
        Its title by column; ``name``, ``row`` and ``part`` are texts.

    Returns
    -------
    list of altair.Tooltip
        In that order.
    """
    texts = ("name", "row", "part")
    return [
        alt.Tooltip(f"{column}:N", title=title)
        if column in texts
        else alt.Tooltip(f"{column}:Q", title=title, format=",.4~r")
        for column, title in titles.items()
    ]


def by_row(names: Sequence[str]) -> alt.Y:
    """Altair's vertical channel with one row per name, drawn from the top.

    Parameters
    ----------
    names : sequence of str
        Values of the column ``row``.

    Returns
    -------
    altair.Y
        Without an axis; names stand above their bars.
    """
    scale = alt.Scale(
        type="band",
        domain=[*names],
        paddingOuter=0.15,
        align=0.9,
    )
    return alt.Y("row:N", title=None, scale=scale, axis=None)


def distinct(names: Iterable[str]) -> list[str]:
    """Tell apart rows of one name, by blanks that nobody sees.

    Parameters
    ----------
    names : iterable of str
        Of rows.

    Returns
    -------
    list of str
        No two alike.

    Examples
    --------
    >>> distinct(["H100", "B200", "H100"])
    ['H100', 'B200', 'H100 ']
    """
    found: list[str] = []
    for name in names:
        while name in found:
            name += " "
        found.append(name)
    return found
