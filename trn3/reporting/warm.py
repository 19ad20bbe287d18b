"""What a batch does once, before it forks, so that no report does it again: imports, tables,
templates, shared results.

Everything here only fills caches: a report comes out the same without it, later.
"""

import gc
import importlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import nbformat

from trn3 import committed, data, hardware, workload
from trn3.reporting import engine, exporter, frame, markup
from trn3.show import charts
from trn3.study import ownership, savings


def parent(todo: Sequence[Any]) -> None:
    """Warm this process for the reports that it will fork.

    Parameters
    ----------
    todo : sequence of trn3.reporting.batch.Case
        What will be made.
    """
    cells = [
        cell for path in {one.notebook for one in todo} for cell in nbformat.read(path, 4).cells
    ]
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    engine.shell()
    _page()
    _imported(source)
    hardware.systems(), hardware.chips(), workload.models()
    for cell in cells:
        if cell.cell_type == "markdown":
            markup.markdown(cell.source)  # its formulas are kept
    if "charts.enable(" in source:
        charts.enable()
    if "ownership" in source or "savings" in source:
        ownership.checks()
    if len(todo) > 2:
        _many(todo)
    gc.collect()
    gc.freeze()  # so that children do not copy the parent's memory just by counting references


def _page() -> None:
    """Templates, look and script, by a page of nothing."""
    empty = nbformat.v4.new_notebook()
    about = exporter.about_stored(empty, "warm")
    exporter.report(empty, replace(about, beside=True))
    frame.frame(charted=True)


def _imported(source: str) -> None:
    for module, names in re.findall(r"^(?:import|from) ([\w.]+)(?: import (.*))?", source, re.M):
        for name in ("", *(f".{n.strip()}" for n in names.split(","))):
            with suppress(ImportError):
                importlib.import_module(module + name)


def _many(todo: Sequence[Any]) -> None:
    """What pays only for several reports: tables, constants and names, and what reports on one
    customer share.
    """
    for name in data.names():
        data.table(name)
    for kind in ("training", "serving"):
        committed._table(data.DATA, kind)
    data.named("")
    asked = Counter(
        (one.values["customer"], one.values["draws"]) for one in todo if "draws" in one.values
    )
    for about in (about for about, times in asked.items() if times > 1):
        with suppress(Exception):  # what is wrong with a customer, its report says
            savings.prepare(*about)
