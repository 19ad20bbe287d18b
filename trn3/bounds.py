"""What a reader brings is checked before it is used: text that is safe to show, and bounds.

Bounds are tables in ``data/``: ``run_fields`` for measured runs, ``config_fields`` for a model's
config.json. A text is only ever text: it is escaped where it is shown, and never a pattern.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

SHOWN, HUGE = 60, 10**18
"""Longest text of a value in a message [characters]; whole numbers above are not written out."""


def printable(text: str) -> str:
    r"""Text in which every character that a terminal would act on is written as its escape.

    Parameters
    ----------
    text : str
        Any text; line breaks stay.

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
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
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


def nearest(word: Any, known: Iterable[str]) -> str:
    """The known word most like a misspelt one, as the end of a message.

    Parameters
    ----------
    word : Any
        What was typed.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        A question, or nothing where no word is near.

    Examples
    --------
    >>> nearest("trainum3", ["trainium3", "h100"])
    '; did you mean trainium3?'
    """
    match = get_close_matches(str(word).lower()[:SHOWN], list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""
