"""The headline number of a report for cards and tables: number, range, conditions in words."""

import re
from collections.abc import Mapping
from typing import Any

from trn3 import data
from trn3.show import words

Row = Mapping[str, Any]
UNITS = {
    "-": "",
    "1": "",
    "1/s": "/s",
    "None": "",
    "USD/chip-h": "USD per chip-hour",
    "USD/h": "USD per chip-hour",
    "count": "",
    "d": "days",
    "day": "days",
    "month": "months",
    "share": "",
    "x": "×",
}
"""Units of results as a reader writes them."""

SHARES = ("-", "1", "share")
CLOSE = ("", "×", "%", "/s")
"""Units that follow their number without a space."""

SIZES = {1e12: " trillion", 1e9: " billion", 1e6: " million", 0.0: ""}

CODE = re.compile(
    r"""(?P<day>\d{4}-\d\d-\d\d)
    |(?P<lengths>\d+/\d+)\ tokens
    |(?P<exponent>\d+(?:\.\d+)?e[-+]?\d+)
    |busy\ (?P<busy>0\.\d+)
    |(?P<amount>\d+\.\d)(?=\ USD)
    |(?P<rent>USD/(?:chip-)?h\b)
    |(?<![\w-])(?<!\d[.,])(?!20[123]\d\b)(?P<count>\d{4,})(?![\w-]|[.,]\d)
    |(?<=\d)(?P<times>\ x\ )(?=\d)
    |(?<![\w.-])(?P<id>[a-z][a-z0-9]*(?:_[a-z0-9]+|\d)\w*)""",
    re.VERBOSE,
)
"""What conditions hold that a reader would write otherwise; a year is no count."""


def _lengths(text: str) -> str:
    prompt, answer = map(int, text.split("/"))
    return f"{prompt:,} tokens in, {answer:,} out"


def _exponent(text: str) -> str:
    number = float(text)
    return words.big(number) if number >= 1 else f"{number:.12f}".rstrip("0")


WORDS = {
    "day": words.day,
    "lengths": _lengths,
    "exponent": _exponent,
    "busy": lambda text: f"busy {words.pct(float(text))}",
    "amount": lambda text: f"{float(text):.2f}",
    "rent": lambda text: UNITS[text],
    "count": lambda text: f"{int(text):,}",
    "times": lambda text: " × ",
    "id": data.named,
}


def worded(text: str) -> str:
    """Conditions of a report as words: ids become names, and numbers follow the rules of the house.

    Parameters
    ----------
    text : str
        Parts divided by commas.

    Returns
    -------
    str
        The same for a reader.

    Examples
    --------
    >>> worded("2e+12 tokens, 2048 chips, bf16, batch 1024 x 8192, busy 0.6")
    '2.0 trillion tokens, 2,048 chips, BF16, batch 1,024 × 8,192, busy 60%'
    >>> worded("2048/512 tokens, us_east_2, 2026-07-22")
    '2,048 tokens in, 512 out, us-east-2 (Ohio), 22 Jul 2026'
    """
    named = ", ".join(data.named(part) for part in text.split(", "))
    return CODE.sub(_word, named)


def _word(found: re.Match[str]) -> str:
    kind = str(found.lastgroup)
    return WORDS[kind](found[kind])


def amount(low: float, high: float, unit: str, digits: int) -> str:
    """Write a number, or a range where its ends differ, with its unit in words.

    Parameters
    ----------
    low, high : float
        The ends [unit].
    unit : str
        As in the results file.
    digits : int
        Significant digits [-].

    Returns
    -------
    str
        For a card.

    Examples
    --------
    >>> amount(13.9, 13.9, "day", 2), amount(0.0014, 0.0808, "-", 2)
    ('14 days', '0.1–8.1%')
    """
    top = max(abs(low), abs(high))
    percent = unit in SHARES and top <= 1
    size = next(size for size in SIZES if top >= size)
    factor = 100.0 if percent else 1.0 / (size or 1.0)
    low, high = low * factor, high * factor
    word = "%" if percent else UNITS.get(unit, unit)
    space = "" if word in CLOSE else " "
    return f"{_number(low, high, unit, digits, top)}{SIZES[size]}{space}{word}"


def _number(low: float, high: float, unit: str, digits: int, top: float) -> str:
    if low == high and digits == 3 and low == round(low):
        return words.big(low)
    if low == high and unit.startswith("USD") and top < 100:
        return words.money(low).partition(" ")[0]
    return words.rng(low, high, digits=digits)


def card(row: Row) -> dict[str, Any]:
    """Say what an index shows of a report.

    Parameters
    ----------
    row : mapping
        Its line of the manifest.

    Returns
    -------
    dict
        The line, and for its first headline number ``text``, ``span``, ``name``, ``conditions``,
        ``badge`` and ``strip``.
    """
    first: Row = next(iter(row.get("headline") or []), {})
    return {**row, "number": row["notebook"][:2], "question": question(row), **told(first)}


def question(row: Row) -> str:
    """Give the title of a report.

    Parameters
    ----------
    row : mapping
        Its line of the manifest.

    Returns
    -------
    str
        Its question; the topic where it has none.
    """
    topic = row["notebook"][3:].replace("_", " ")
    return str(row.get("question") or _sentence(topic))


def told(number: Row) -> dict[str, Any]:
    """Put a headline number into words.

    Parameters
    ----------
    number : mapping
        As in the results file.

    Returns
    -------
    dict
        ``value`` to sort by, ``text``, ``span``, ``name``, ``conditions``, ``badge``, ``strip``.
    """
    value, low, high = (_real(number.get(key)) for key in ("value", "low", "high"))
    name, unit = str(number.get("name") or ""), str(number.get("unit"))
    if unit == "1/s" and "tokens/s" in name:
        unit = "tokens/s"
    digits = 3 if low is None and high is None else 2  # a prediction has a range
    conditions = str(number.get("conditions") or "")
    if high is not None and low is None:
        conditions = conditions.replace("high:", f"{amount(high, high, unit, 2)} at the")
    text, span = str(number.get("value") or "—"), ""
    if value is not None:
        text = amount(value, value, unit, digits)
    if low is not None and high is not None and low != high:
        span = amount(low, high, unit if unit in SHARES else "", 2)
    return {
        "value": "" if value is None else value,
        "text": text,
        "span": span,
        "name": worded(_sentence(name)),
        "conditions": worded(_sentence(conditions)),
        "badge": str(number.get("status") or ""),
        "strip": strip(number) if span else [],
    }


def _real(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def strip(number: Row) -> list[float]:
    """Place a number, its range and its baseline on a strip of 300 points.

    Parameters
    ----------
    number : mapping
        As in the results file.

    Returns
    -------
    list of float
        Low, high, value and baseline; nothing without all four.
    """
    several = [_real(number.get(key)) for key in ("low", "high", "value", "baseline")]
    ends = [end for end in several if end is not None]
    if len(ends) < len(several):
        return []
    width = (max(ends) - min(ends)) or 1.0
    return [round(20 + 260 * (end - min(ends)) / width, 1) for end in ends]
