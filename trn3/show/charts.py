"""Charts: the forms, one call that completes a chart, one renderer and one look, all of Altair.

A form takes a tidy frame and the names of its columns and returns a layered Altair chart; `finish`
adds what a reader needs:

>>> import altair as alt
>>> import pandas as pd
>>> frame = pd.DataFrame({"what": ["Chip, FP8", "Chip, BF16"], "ratio": [1.94, 1.01]})
>>> axis = Axis("Trainium3 over Trainium2", zero=True)
>>> chart = rows(frame, "ratio", "what", axis=axis, unit="×", reference=1)
>>> about = {"title": "One chip gains 1.9×", "subtitle": "Published dense peaks, ratio"}
>>> chart = finish(chart, **about, source="Source: AWS.")
>>> chart.meta["numbers"]["columns"]
['what', 'ratio']

Before or after that, a layer is added as in Altair anywhere:

>>> hoped = pd.DataFrame({"ratio": [1.5], "why": ["what we need"]})
>>> line = alt.Chart(hoped).mark_rule(strokeDash=[4, 4]).encode(x="ratio:Q", tooltip="why:N")
>>> len((chart + line).layer) - len(chart.layer)
1

and a plain Altair chart is finished too:

>>> own = alt.Chart(frame).mark_bar().encode(x="ratio:Q", y="what:N")
>>> finish(own, **about, source="Source: mine.").to_dict()["description"]
'One chip gains 1.9×. Published dense peaks, ratio.'

Charts carry the light colours; the HTML exporter turns each into a CSS variable, so that one chart
serves the light page, the dark page and paper.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from trn3.show.bars import stacks, tornado
from trn3.show.cumulative import cumulative
from trn3.show.drawing import COLOR, MIME, WIDTH, Chart, Slider, layered, steady
from trn3.show.drawing import numbers as table
from trn3.show.lines import SPEED, THROUGHPUT, lines, ratios
from trn3.show.picture import small
from trn3.show.rows import rows
from trn3.show.theme import Axis, Spec, style
from trn3.show.tokens import CONFIG, GLYPHS, NOTEBOOK, TOKENS, C

__all__ = [
    "CONFIG",
    "MIME",
    "NOTEBOOK",
    "SPEED",
    "THROUGHPUT",
    "Axis",
    "Chart",
    "Slider",
    "cumulative",
    "empty",
    "enable",
    "finish",
    "lines",
    "png",
    "ratios",
    "rows",
    "stacks",
    "style",
    "tornado",
]


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
    said = pd.DataFrame({"text": [sentence]})
    text = alt.Chart(said, name="sentence").mark_text()
    placed = text.encode(
        x=alt.XValue(12),
        y=alt.YValue(20),
        text=alt.Text("text:N"),
    )
    known = None if numbers is None else table(numbers)
    return layered([placed], 40, {"empty": sentence, "numbers": known})


def finish(
    chart: alt.Chart | alt.LayerChart,
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
    chart : altair.Chart or altair.LayerChart
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
    made = chart if isinstance(chart, Chart) else _layered(chart)
    meta = made.meta | {"title": title, "subtitle": subtitle, "source": source}
    entries = meta.get("key", []) if key is None else key
    meta["key"] = [
        [mark, text, color if color in TOKENS else style(color).token]
        for mark, text, color in entries
    ]
    if numbers is not None:
        meta["numbers"] = table(numbers)
    done = made.copy(deep=False)
    drawn = [layer for layer in made.layer if layer.name != "notes"]
    done.layer = [*drawn, _notes(meta)]
    done.title = alt.TitleParams(
        text=textwrap.wrap(title, 80), subtitle=textwrap.wrap(subtitle, 100)
    )
    done.description = description or f"{title}. {subtitle}."
    done.usermeta = {"trn3": meta}
    return done


def _layered(chart: alt.Chart | alt.LayerChart) -> Chart:
    """Somebody's chart as one of ours, as wide as ours where it has no width of its own."""
    width = WIDTH if alt.utils.is_undefined(chart.width) else chart.width
    shown = chart.data if isinstance(chart.data, pd.DataFrame) else None
    known = None if shown is None else table(shown)
    meta: Spec = {"key": [], "numbers": known}
    return Chart(layer=[chart], width=width, usermeta={"trn3": meta})


def _notes(meta: Spec) -> alt.Chart:
    """Key and source inside the chart, for JupyterLab and pictures; a page writes its own."""
    start = -meta.get("indent", 0)
    left, down = start, -40
    notes = []
    for mark, text, token in meta["key"]:
        width = 7 * len(text) + 34
        if left > start and left + width > start + 700:
            left, down = start, down - 17
        notes.append((left, 0, down, GLYPHS.get(mark, "●"), C[token]))
        notes.append((left + 17, 0, down, text, C["ink2"]))
        left += width
    for number, text in enumerate(textwrap.wrap(meta["source"], 112)):
        notes.append((start, 1, 52 + 15 * number, text, C["ink3"]))
    told = pd.DataFrame(notes, columns=["left", "foot", "down", "text", "color"])
    place = {
        "x": alt.XValue(alt.expr("datum.left")),
        "y": alt.YValue(alt.expr("datum.foot * height + datum.down")),
    }
    marks = alt.Chart(told, name="notes").mark_text()
    return marks.encode(text=alt.Text("text:N"), color=COLOR, **place)


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

    return small(vl_convert.vegalite_to_png(spec, vl_version="6.4", scale=scale))


def enable() -> None:
    """Make Altair charts of a notebook use this theme and a renderer that works offline.

    Finished charts need no call; it serves the charts that a reader draws beside them. Altair's own
    renderer writes a type that nbformat refuses and JupyterLab does not draw, hence ours.
    """
    alt.renderers.register("trn3", _bundle)
    alt.renderers.enable("trn3")
    alt.theme.enable("trn3")
    alt.data_transformers.enable("trn3", consolidate_datasets=False)


def _bundle(spec: Spec, **_: Any) -> tuple[Spec, Spec]:
    plain = {key: part for key, part in spec.items() if key != "$schema"}
    return {MIME: steady(plain), "text/plain": "<chart>"}, {}
