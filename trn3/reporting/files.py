"""Files that appear whole or not at all, and tables that a spreadsheet runs nothing of."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"[=+\-@\t\r]")
"""How a text starts that a spreadsheet takes for a formula (OWASP, "CSV Injection")."""
_NUMBER = re.compile(r"-|[+-]?\d[\d.,]*([eE][+-]?\d+)?\s?%?")


def write(path: Path, content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    The text is put into a new file with a name that nobody can guess, which follows no link, and
    takes its place at once.

    Parameters
    ----------
    path : pathlib.Path
        Where.
    content : str or bytes
        What.
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def inert(value: Any) -> Any:
    """A cell that a spreadsheet shows and does not run.

    Parameters
    ----------
    value : Any
        A cell; only text is changed, and no text that is a number.

    Returns
    -------
    Any
        The same, with an apostrophe before text that starts as a formula does.

    Examples
    --------
    >>> inert("=1+1"), inert("-3.5"), inert(-3.5), inert("H100")
    ("'=1+1", '-3.5', -3.5, 'H100')
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv(table: pd.DataFrame) -> bytes:
    """A table as a CSV file of inert cells, in UTF-8.

    Parameters
    ----------
    table : pandas.DataFrame
        Any; its index is left out.

    Returns
    -------
    bytes
        The file.
    """
    safe = table.astype(object).map(inert).rename(columns=inert)
    return bytes(safe.to_csv(index=False, lineterminator="\n").encode())
