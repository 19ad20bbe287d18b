"""What a reader brings is checked before it is used: text that is safe to show, and bounds.

The bounds are the table ``data/bounds.csv``: a row says what a field of a config.json, or a column
of measured runs, may hold. A text is only ever text: it is escaped where it is shown, and never a
pattern.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from trn3 import data

SHOWN, HUGE = 60, 10**18
"""Longest text of a value in a message [characters]; whole numbers above are not written out."""
LONGEST = 200
"""Longest text of a cell or a field [characters]."""
LARGEST_BYTES = 4 * 2**20
"""Size of the largest file that is read, unless another is given [byte]."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FLAGS = {"true": 1, "yes": 1, "y": 1, "1": 1, "false": 0, "no": 0, "n": 0, "0": 0}


@dataclass(frozen=True)
class Bound:
    """What one field or column may hold.

    Attributes
    ----------
    field, kind, unit : str
        Name; ``whole``, ``number``, ``flag``, ``text``, ``choice``, and ``wholes`` or ``texts`` for
        lists; unit of a number.
    low, high : float
        Ends of a number, both allowed [`unit`].
    allowed : tuple of str
        Words of a choice.
    needed : bool
        Whether it cannot be left out.
    empty : str
        What an empty cell stands for.
    meaning : str
        What it is.
    """

    field: str
    kind: str
    unit: str
    low: float
    high: float
    allowed: tuple[str, ...]
    needed: bool
    empty: str
    meaning: str

    @property
    def wants(self) -> str:
        """What may be written, as the end of a message."""
        ends = f"{_plain(self.low)} to {_plain(self.high)} {self.unit}".strip()
        return {
            "whole": f"a whole number from {ends}",
            "number": f"a number from {ends}",
            "wholes": f"a list of whole numbers from {ends}",
            "texts": f"a list of texts, each printable and of at most {LONGEST} characters",
            "text": f"printable text of at most {LONGEST} characters",
            "flag": "true or false",
            "choice": f"one of {', '.join(self.allowed)}",
        }[self.kind]

    def read(self, value: Any) -> Any:
        """A value that was given, typed.

        Parameters
        ----------
        value : Any
            A value of a JSON or TOML file; a number that is text is no number.

        Returns
        -------
        Any
            int, float or str; for a list a list of them.

        Raises
        ------
        trn3.data.TrnError
            Field, value, and what is allowed.

        Examples
        --------
        >>> layers = bounds("config")["n_layers"]
        >>> layers.read(80.0)
        80
        >>> layers.read(1e300)
        Traceback (most recent call last):
        trn3.units.TrnError: n_layers = 1e+300: must be a whole number from 1 to 10,000 ...
        """
        if self.kind in ("wholes", "texts") and isinstance(value, list):
            return [self._one(self.kind[:-1], each, value) for each in value]
        return self._one(self.kind, value, value)

    def cell(self, text: str) -> Any:
        """A cell of a CSV file, typed.

        Parameters
        ----------
        text : str
            The cell; blanks around it do not count.

        Returns
        -------
        Any
            int, float or str.

        Raises
        ------
        trn3.data.TrnError
            Column, value, and what is allowed.

        Examples
        --------
        >>> bounds("config")["n_layers"].cell(" 80 ")
        80
        """
        value: Any = text.strip()
        if self.kind in ("whole", "number") and _NUMBER.fullmatch(value) and len(value) < SHOWN:
            value = float(value)
        return self._one(self.kind, value, text)

    def _one(self, kind: str, value: Any, given: Any) -> Any:
        found: Any = _word(self.allowed, value) if kind == "choice" else _TYPED[kind](value)
        if kind in ("whole", "number") and not (
            found is not None and self.low <= found <= self.high
        ):
            found = None
        if found is None:
            about = f" ({self.meaning})" if self.meaning else ""
            ask = self._other_unit(value)
            raise data.TrnError(f"{self.field} = {shown(given)}: must be {self.wants}{about}{ask}")
        return found

    def _other_unit(self, value: Any) -> str:
        """A question, where a time is too small or too large and a thousandth would fit."""
        number, other = _number(value), {"ms": ("s", 1e3), "s": ("ms", 1e-3)}.get(self.unit)
        if number is None or other is None or not self.low <= number * other[1] <= self.high:
            return ""
        return f"; is it in {other[0]}? then write {number * other[1]:g} {self.unit}"


def _plain(number: float) -> str:
    """A limit as a person writes it."""
    return f"{number:,.0f}" if number % 1 == 0 and abs(number) < 1e15 else f"{number:g}"


def _number(value: Any) -> float | None:
    """A finite number; true and false are none."""
    fine = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE**2
    return value if fine else None


def _whole(value: Any) -> int | None:
    """A whole number, also where it is written as 4096.0."""
    number = _number(value)
    return int(number) if number is not None and number % 1 == 0 else None


def _text(value: Any) -> str | None:
    """Text that can be printed in a line."""
    fine = isinstance(value, str) and value.isprintable() and len(value) <= LONGEST
    return value if fine else None


def _flag(value: Any) -> int | None:
    """1 or 0 of a yes or no."""
    return _FLAGS.get(str(value).lower()) if isinstance(value, bool | int | str) else None


_TYPED: dict[str, Any] = {
    "whole": _whole,
    "number": _number,
    "text": _text,
    "flag": _flag,
    "wholes": lambda _: None,
    "texts": lambda _: None,
}


def _word(allowed: tuple[str, ...], value: Any) -> str | None:
    """The word that is meant, in any case."""
    return next((w for w in allowed if w.lower() == str(value).lower()), None)


def text_of(path: str | Path, largest_bytes: int = LARGEST_BYTES) -> str:
    """The text of a file that a reader names, with or without a byte order mark.

    Parameters
    ----------
    path : str or Path
        The file.
    largest_bytes : int
        Size above which it is not read [byte].

    Returns
    -------
    str
        Its text.

    Raises
    ------
    trn3.data.TrnError
        Why it cannot be read, in brackets.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise data.TrnError("cannot be read (not a file)")
        with open(path, "rb") as file:
            content = file.read(largest_bytes + 1)
    except OSError as error:
        raise data.TrnError(f"cannot be read ({error.strerror})") from None
    except data.TrnError:
        raise
    except ValueError:  # a path with a null character
        raise data.TrnError("cannot be read (no such path)") from None
    if len(content) > largest_bytes:
        raise data.TrnError(f"cannot be read (larger than {largest_bytes >> 20} MiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise data.TrnError("cannot be read (not UTF-8 text)") from None


def bounds(record: str) -> dict[str, Bound]:
    """The bounds of a kind of file.

    Parameters
    ----------
    record : str
        ``config``, ``training`` or ``inference``.

    Returns
    -------
    dict
        By field, in the order of ``data/bounds.csv``.

    Examples
    --------
    >>> bounds("config")["vocab"].wants
    'a whole number from 1 to 100,000,000'
    """
    return _bounds(data.DATA, record)


@lru_cache(8)
def _bounds(_folder: Path, record: str) -> dict[str, Bound]:
    rows = [r for r in data.rows("bounds") if r["record"] == record]
    return {
        r["field"]: Bound(
            r["field"],
            r["kind"],
            r["unit"],
            -math.inf if math.isnan(r["low"]) else r["low"],
            math.inf if math.isnan(r["high"]) else r["high"],
            tuple(r["allowed"].split()),
            r["needed"] == "yes",
            r["empty"],
            r["meaning"],
        )
        for r in rows
    }


def printable(text: str, keep: str = "") -> str:
    r"""Text in which every character that a terminal would act on is written as its escape.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Characters that stay as they are, such as line breaks.

    Returns
    -------
    str
        The same without control characters, escape sequences and marks that change the direction
        of writing.

    Examples
    --------
    >>> print(printable("\x1b[31mred, café"))
    \x1b[31mred, café
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def shown(value: Any) -> str:
    """A value for a message: printable, one line, short.

    Parameters
    ----------
    value : Any
        What was given.

    Returns
    -------
    str
        As Python would write it, at most `SHOWN` characters.

    Examples
    --------
    >>> shown("two\\nlines"), shown(10**30)
    ("'two\\\\nlines'", 'a huge number')
    """
    if isinstance(value, int) and abs(value) > HUGE:
        return "a huge number"
    text = ascii(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def nearest(word: Any, known: Iterable[str], cutoff: float = 0.5) -> str:
    """The known word most like a misspelt one, as the end of a message.

    Parameters
    ----------
    word : Any
        What was typed.
    known : iterable of str
        What there is.
    cutoff : float
        Share of letters that must agree [-].

    Returns
    -------
    str
        A question, or nothing where no word is near.

    Examples
    --------
    >>> nearest("trainum3", ["trainium3", "h100"])
    '; did you mean trainium3?'
    """
    match = get_close_matches(str(word).lower()[:SHOWN], list(known), n=1, cutoff=cutoff)
    return f"; did you mean {match[0]}?" if match else ""
