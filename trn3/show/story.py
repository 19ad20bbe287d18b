"""Words and tables around the charts: the answer, what was assumed, what would change it, checks,
sources, results.

Everything returned shows itself at the end of a cell, in JupyterLab and in the exported page;
numbers follow one set of rules (two significant digits for predictions, three for specifications,
en dash in ranges, a true minus sign).
"""

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trn3 import data
from trn3.show.words import big, day, neat, rounded, sig

RESULTS = "application/vnd.trn3.results+json"
BADGES = {
    "published": ("good", "disc"),
    "measured": ("good", "square"),
    "derived": ("info", "half"),
    "modelled": ("info", "half"),
    "computed": ("info", "half"),
    "reported": ("info", "half"),
    "assumed": ("warn", "ring"),
    "undisclosed": ("none", "dashed"),
    "unsupported": ("none", "cross"),
    "holds": ("good", "tick"),
    "within band": ("good", "tick"),
    "clear": ("good", "tick"),
    "move": ("good", "tick"),
    "buy": ("good", "tick"),
    "partly": ("warn", "half"),
    "likely": ("warn", "half"),
    "pilot": ("warn", "half"),
    "extrapolated": ("warn", "half"),
    "out of date": ("warn", "half"),
    "does not hold": ("bad", "cross"),
    "failed": ("bad", "cross"),
    "outside band": ("bad", "cross"),
    "wrong": ("bad", "cross"),
    "cannot be checked": ("none", "dash"),
    "open": ("none", "dash"),
    "stay": ("none", "dash"),
    "wait": ("none", "dash"),
}
"""Status and verdict words: (state, glyph). A longer text takes the badge of the word it starts
with.
"""


LEFT = ' style="text-align:left"'
"""For JupyterLab, which would set every cell to the right; a page drops it and has a sheet."""

UNITS = {"-": "", "count": "", "x": "", "us": "µs", "gCO2e/kWh": "g CO₂e/kWh", "kgCO2e": "kg CO₂e"}
"""Units that the tables write otherwise than a page does."""


@dataclass(frozen=True)
class Shown:
    """Something that shows itself at the end of a cell.

    Attributes
    ----------
    bundle : dict
        Representation by media type.
    """

    bundle: dict[str, Any]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.bundle


@dataclass(frozen=True)
class Figure:
    """One of the key figures under the answer.

    Attributes
    ----------
    label : str
        What it is.
    value : str
        The formatted number with its unit.
    condition : str
        Range or condition.
    """

    label: str
    value: str
    condition: str = ""


@dataclass(frozen=True)
class Check:
    """One prediction held against a published number.

    Attributes
    ----------
    verdict : str
        A word of `BADGES`, for example "Within band".
    text : str
        What was predicted and measured, with the ratio; ``**bold**`` allowed.
    kind : str
        "independent", "left out" or "reproduces its input"; only the first two count as evidence.
    """

    verdict: str
    text: str
    kind: str = "independent"


def derivation(note: str, subject: str = "") -> str:
    """The arithmetic of a derived number in words.

    Parameters
    ----------
    note : str
        As in the tables: ``= subject.quantity[dtype, basis] / 2``; anything else is given back.
    subject : str
        Whose number it is; only others are named.

    Returns
    -------
    str
        For a reader.

    Examples
    --------
    >>> derivation("= trainium3.n_dma_engines * trainium3.dma_engine_bytes_per_s", "trainium3")
    '= DMA engines × DMA rate of one engine'
    """

    def words(found: re.Match[str]) -> str:
        owner, quantity, rest = found.groups("")
        details = [data.named(r) for r in rest.split(", ") if r not in ("", "_")]
        text = data.named(quantity) + (f" ({', '.join(details)})" if details else "")
        return text + (f" of {data.named(owner)}" if owner != subject else "")

    if not note.startswith("="):
        return note
    sum_, mark, rest = note.partition(";")
    return (
        re.sub(r"\b([a-z]\w*)\.([a-z]\w*)(?:\[([^]]*)\])?", words, sum_).replace(" * ", " × ")
        + mark
        + rest
    )


def _inline(text: str) -> str:
    """Escaped text in which only ``**bold**``, `` `code` `` and links to a notebook of the
    collection are marked.
    """
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(neat(text), quote=False))
    bold = re.sub(r"\[([^][]+)\]\((\w+\.ipynb)\)", r'<a href="\2">\1</a>', bold)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)


def badge(word: str) -> str:
    """Coloured word with its glyph.

    Parameters
    ----------
    word : str
        A status or verdict; unknown words get a dash.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> badge("published")
    '<span class="badge good disc">Published</span>'
    """
    state, glyph = next(
        (v for k, v in BADGES.items() if word.lower().startswith(k)), ("none", "dash")
    )
    return f'<span class="badge {state} {glyph}">{html.escape(word[:1].upper() + word[1:])}</span>'


def _show(markup: str, plain: str) -> Shown:
    return Shown({"text/html": markup, "text/plain": plain})


def answer(lead: str, rest: str = "", figures: Sequence[Figure] = ()) -> Shown:
    """Answer the report's question in two sentences and four numbers.

    Parameters
    ----------
    lead : str
        The verdict with the threshold that flips it, one sentence.
    rest : str
        The number with unit, range and horizon; 45 words with the lead.
    figures : sequence of Figure
        Four at most.

    Returns
    -------
    Shown
        For the end of the cell tagged `answer`.

    Examples
    --------
    >>> shown = answer("Yes, below 6 USD.", "At 4 USD it saves.", [Figure("Break-even", "6 USD")])
    >>> shown.bundle["text/plain"]
    'Yes, below 6 USD. At 4 USD it saves. | Break-even: 6 USD'
    """
    cells = "".join(
        f"<td>{_inline(f.label)}<br><strong>{_inline(f.value)}</strong><br><small>{_inline(f.condition)}</small></td>"
        for f in figures
    )
    stats = f'<table class="stats"><tr>{cells}</tr></table>' if figures else ""
    plain = " | ".join(
        [
            f"{lead} {rest}".strip(),
            *(f"{f.label}: {f.value} {f.condition}".strip() for f in figures),
        ]
    )
    return _show(
        f'<p class="lead"><strong>{_inline(lead)}</strong> {_inline(rest)}</p>{stats}', plain
    )


def say(text: str) -> Shown:
    """Show computed prose.

    Parameters
    ----------
    text : str
        Markdown, with every number formatted from the computation.

    Returns
    -------
    Shown
        Prose.
    """
    return Shown({"text/markdown": neat(text), "text/plain": text})


def table(
    frame: pd.DataFrame, caption: str = "", badges: Iterable[str] = (), digits: int = 3
) -> Shown:
    """Show a table: numbers to the right, text to the left, badges for status and verdict columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Already rounded texts or plain numbers; the index is left out; ``**bold**`` allowed in
        texts.
    caption : str
        One line above it.
    badges : iterable of str
        Columns shown as badges.
    digits : int
        Significant digits of plain numbers [-].

    Returns
    -------
    Shown
        The table.
    """
    marked, columns, right = set(badges), [], []
    for name in frame.columns:
        values = [_number(v, digits) for v in frame[name].tolist()]
        numeric = all(
            re.match(r"[\d−—]|not (supported|published)", v) and len(v) < 24 for v in values
        )
        right.append(numeric and name not in marked)
        columns.append([badge(v) if name in marked else _inline(v) for v in values])
    markup = _grid(
        [str(c) for c in frame.columns], list(zip(*columns, strict=True)), right, caption
    )
    plain = frame.map(lambda v: rounded(v) if isinstance(v, float) else v)
    return _show(markup, plain.to_string(index=False))


def _number(value: Any, digits: int) -> str:
    if value is None or value is pd.NA or value != value:
        return "—"
    if isinstance(value, str | bool) or not isinstance(value, int | float | np.number):
        return str(value)
    number = rounded(float(value))
    return big(number, digits) if number == round(number) else sig(number, digits)


def _grid(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[bool],
    caption: str = "",
    kind: str = "grid",
) -> str:
    """An HTML table; cells are HTML already, the first of a row is its head."""
    css = [' class="n"' if number else LEFT for number in right]
    top = "".join(f'<th scope="col"{c}>{_inline(h)}</th>' for h, c in zip(heads, css, strict=True))
    cells = (
        "".join(f"<td{c}>{v}</td>" for c, v in zip(css[1:], row[1:], strict=True)) for row in rows
    )
    body = "".join(
        f'<tr><th scope="row"{css[0]}>{row[0]}</th>{rest}</tr>' for row, rest in zip(rows, cells)
    )
    words = (
        f"<caption>{_inline(caption)}</caption>" if caption else ""
    ) + f"<thead><tr>{top}</tr></thead>"
    return f'<table class="{kind}">{words}<tbody>{body}</tbody></table>'


def cite(source_id: str) -> str:
    """Link to a source of this page; the exporter turns it into its number.

    Parameters
    ----------
    source_id : str
        Id in ``data/sources.csv``.

    Returns
    -------
    str
        HTML.
    """
    return (
        f'<a class="cite" href="#source-{html.escape(source_id)}">{html.escape(source_id)}</a>'
        if source_id
        else ""
    )


def assumptions(facts: Iterable[data.Fact | tuple[str, data.Fact]]) -> Shown:
    """Show what the report took as given: value, range, unit, status and source of each input.

    Parameters
    ----------
    facts : iterable of Fact or (label, Fact)
        In order of weight; without a label the subject and the quantity name it.

    Returns
    -------
    Shown
        For the end of the cell tagged `assumptions`.
    """
    rows, plain = [], []
    for entry in facts:
        label, fact = entry if isinstance(entry, tuple) else (_label(entry), entry)
        value, low, high = (v / fact.scale for v in (fact.value, fact.low, fact.high))
        ranged = math.isfinite(low) and low != high
        digits = (
            3 if ranged and fact.status in ("derived", "modelled") else 6
        )  # what was computed is not exact
        number, *ends = (_exact(v, digits) for v in (value, low, high))
        span = (" to " if low < 0 else "–").join(ends) if ranged else "—"
        unit = UNITS.get(fact.shown_unit, fact.shown_unit)
        origin = f"{_inline(derivation(fact.note, fact.subject))} {cite(fact.source_id)}".strip()
        rows.append([_inline(label), number, span, html.escape(unit), badge(fact.status), origin])
        plain.append(f"{label}: {number} {unit} ({span}) {fact.status} {fact.source_id}")
    heads = ["Input", "Value", "Range", "Unit", "Status", "From"]
    return _show(
        _grid(heads, rows, [False, True, True, False, False, False], kind="assumed"),
        "\n".join(plain),
    )


def _label(fact: data.Fact) -> str:
    words = " ".join(data.named(w) for w in (fact.subject, fact.quantity, fact.dtype) if w).replace(
        "_", " "
    )
    return words[:1].upper() + words[1:]


def _exact(value: float, digits: int) -> str:
    """A number as it was given: whole ones in full, others to four digits, no exponent."""
    if not math.isfinite(value):
        return "—"
    value = rounded(value)
    short = rounded(value, digits if value == round(value) else min(digits, 4))
    return (
        f"{short:,.10f}".rstrip("0").rstrip(".") if abs(short) < 1e15 else sig(value, digits)
    ).replace("-", "−")


def flips(items: Iterable[str]) -> Shown:
    """List the thresholds at which the answer changes.

    Parameters
    ----------
    items : iterable of str
        One computed sentence each; ``**bold**`` allowed.

    Returns
    -------
    Shown
        For the end of the cell tagged `flips`.
    """
    lines = list(items)
    return _show(
        "<ul>" + "".join(f"<li>{_inline(t)}</li>" for t in lines) + "</ul>", "\n".join(lines)
    )


def checks(items: Iterable[Check]) -> Shown:
    """List predictions beside published numbers, each with a verdict.

    Parameters
    ----------
    items : iterable of Check
        One comparison each.

    Returns
    -------
    Shown
        For the end of the cell tagged `checks`.
    """
    lines = list(items)
    shown = [
        f"{badge(c.verdict)} {_inline(c.text)} <small>({html.escape(c.kind)})</small>"
        for c in lines
    ]
    markup = "".join(f"<li>{text}</li>" for text in shown)
    return _show(
        f'<ul class="checks">{markup}</ul>',
        "\n".join(f"{c.verdict}: {c.text} ({c.kind})" for c in lines),
    )


def sources(ids: Iterable[str]) -> Shown:
    """List the sources that this report used, numbered in the order given.

    Parameters
    ----------
    ids : iterable of str
        Ids in ``data/sources.csv``; repeated and empty ones are dropped.

    Returns
    -------
    Shown
        For the end of the cell tagged `sources`.
    """
    wanted = list(dict.fromkeys(i for i in ids if i))
    found = data.sources(wanted).set_index("id").loc[wanted].reset_index()
    rows, plain = [], []
    for row in found.to_dict("records"):
        link, url = html.escape(row["title"]), str(row["url"])
        link = f'<a href="{html.escape(url)}">{link}</a>' if url.startswith("http") else link
        read = f", read {day(str(row['accessed']))}" if str(row["accessed"]) else ""
        rows.append(
            f'<li id="source-{html.escape(row["id"])}">'
            f"{html.escape(row['publisher'])}, {link}{read}.</li>"
        )
        plain.append(f"{row['publisher']}, {row['title']}{read}.")
    return _show(f'<ol class="sources">{"".join(rows)}</ol>', "\n".join(plain))


def number(
    name: str, ends: Sequence[float], unit: str, conditions: str, **more: Any
) -> dict[str, Any]:
    """A headline number for `results`.

    Parameters
    ----------
    name : str
        What it is.
    ends : sequence of float
        Low, middle and high of its 80% range, or the number alone [unit].
    unit : str
        Its unit.
    conditions : str
        Under which it holds.
    **more : Any
        Another ``status`` than modelled, a ``baseline``.

    Returns
    -------
    dict
        For `results`.

    Examples
    --------
    >>> row = number("time", [9.8, 12.6, 16.1], "day", "Llama 3.1 70B")
    >>> row["low"], row["value"], row["high"], row["status"]
    (9.8, 12.6, 16.1, 'modelled')
    >>> "low" in number("jobs", [61], "-", "a million chips")
    False
    """
    row: dict[str, Any] = {"name": name, "value": ends[len(ends) // 2]}
    if len(ends) > 1:
        row |= {"low": ends[0], "high": ends[-1]}
    return {**row, "unit": unit, "status": "modelled", "conditions": conditions, **more}


def results(
    headline: Sequence[Mapping[str, Any]], tables: Mapping[str, pd.DataFrame] | None = None
) -> Shown:
    """Give the machine-readable results.

    Parameters
    ----------
    headline : sequence of mapping
        Numbers with ``name, value, low, high, unit, status, conditions``; `baseline` optionally,
        for the index page.
    tables : mapping of str to DataFrame, optional
        Tables behind the charts, units in the column names.

    Returns
    -------
    Shown
        For the end of the cell tagged `results`.

    Examples
    --------
    >>> shown = results([{"name": "speed", "value": 1.94, "unit": "x"}])
    >>> shown.bundle[RESULTS]["headline"][0]["low"] is None
    True
    """
    keys = ("name", "value", "low", "high", "unit", "status", "conditions")
    numbers = [
        {k: _plain(row.get(k)) for k in (*keys, *(x for x in row if x not in keys))}
        for row in headline
    ]
    cells = {
        n: [[_plain(v) for v in row] for row in f.itertuples(index=False)]
        for n, f in (tables or {}).items()
    }
    records = {
        n: {"columns": list(map(str, f.columns)), "data": cells[n]}
        for n, f in (tables or {}).items()
    }
    plain = "\n".join(f"{n['name']}: {n['value']} {n['unit'] or ''}".strip() for n in numbers)
    return Shown({RESULTS: {"headline": numbers, "tables": records}, "text/plain": plain})


def _plain(value: Any) -> Any:
    """JSON value; missing is None, floats keep six digits."""
    if value is None or isinstance(value, str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return rounded(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, (bool, int)) else str(value)
