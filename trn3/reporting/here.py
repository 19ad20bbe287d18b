"""What this machine offers: safe forks, a browser, the packages, and how old the data are by its
clock.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from trn3 import data
from trn3.reporting import parameters

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("numpy", "pandas", "altair", "papermill")


@dataclass(frozen=True)
class Finding:
    """One line of ``trn3 doctor``.

    Attributes
    ----------
    good : bool
        Whether everything works with it.
    what, text : str
        What was looked at, and what was found.
    """

    good: bool
    what: str
    text: str


def fork_is_safe() -> bool:
    """Whether this process may fork: Linux, one Python thread, and no native threads but those of
    the BLAS.
    """
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return False
    tasks = Path("/proc/self/task")
    names = {(tasks / task / "comm").read_text() for task in os.listdir(tasks)}
    return len(names) == 1


def browser() -> str:
    """Path of a Chromium; empty where there is none."""
    found = map(shutil.which, BROWSERS)
    return next(filter(None, found), "")


def age(today: date) -> Finding:
    """How old the data are by the clock of this machine, or that the clock cannot be right."""
    day = data.data_date().isoformat()
    days = data.age_days(day, today)
    if days < 0:
        text = f"says {today}, {-days} days before the data were surveyed ({day}): set it"
        return Finding(False, "clock", text)
    return Finding(not data.stale(day, today), "data", f"surveyed {day}, {days} days ago")


def findings(today: date | None = None) -> Iterator[Finding]:
    """What ``trn3 doctor`` says, line by line.

    Parameters
    ----------
    today : datetime.date, optional
        The day by the clock; the clock's own without it.

    Yields
    ------
    Finding
        From the interpreter to the browser.
    """
    yield Finding(True, "python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        yield Finding(True, name, importlib.metadata.version(name))
    if fork_is_safe():
        yield Finding(True, "fast engine", "forked children")
    else:
        yield Finding(False, "fast engine", "no safe fork here: ordinary kernels are used")
    books = parameters.notebooks()
    yield Finding(bool(books), "notebooks", f"{len(books)} in {parameters.NOTEBOOKS}")
    for name in data.names():
        data.rows(name)  # a broken table ends the command with its file, line and column
    yield Finding(True, "tables", f"{len(data.names())} checked, cell by cell")
    yield age(today or date.today())
    if browser():
        yield Finding(True, "browser", browser())
    else:
        text = "no Chromium: reports are made, browser tests are skipped"
        yield Finding(False, "browser", text)
