"""What an executed notebook hands out for programs: headline numbers, tables, and what it cites."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from trn3.reporting import figures
from trn3.reporting.files import csv
from trn3.show import story


def handed_out(notebook: Any) -> dict[str, Any]:
    """Read what the cell tagged ``results`` shows.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    dict
        ``headline`` and ``tables``; empty without such a cell.
    """
    for output in outputs(notebook):
        if story.RESULTS in output.get("data", {}):
            return dict(output["data"][story.RESULTS])
    return {}


def outputs(notebook: Any) -> list[Mapping[str, Any]]:
    """List the outputs of all cells.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    list of mapping
        In order.
    """
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def summary(notebook: Any) -> dict[str, Any]:
    """Say what an index needs to know of a report.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.

    Returns
    -------
    dict
        ``headline`` numbers, the ``answer`` as plain text, ids of the listed ``sources``.
    """
    html = "".join("".join(o["data"].get("text/html", "")) for o in _shown(notebook))
    return {
        "headline": handed_out(notebook).get("headline", []),
        "answer": _answer(notebook),
        "sources": re.findall(r'<li id="source-([^"]+)"', html),
    }


def _shown(notebook: Any) -> list[Mapping[str, Any]]:
    return [output for output in outputs(notebook) if "data" in output]


def _answer(notebook: Any) -> str:
    tagged = [c for c in notebook["cells"] if "answer" in c["metadata"].get("tags", [])]
    texts = [o["data"].get("text/plain", "") for o in _shown({"cells": tagged})]
    return str(texts[0]).partition(" | ")[0] if texts else ""


def files(notebook: Any, stem: str, about: Mapping[str, Any]) -> dict[str, bytes]:
    """Make the results file and the tables that stand beside a page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.
    stem : str
        File name of the page without its ending.
    about : mapping
        What the results file says first: report, parameters, day of the data.

    Returns
    -------
    dict
        Contents by file name.
    """
    handed = handed_out(notebook)
    tables = {**handed.get("tables", {}), **figures.long_tables(outputs(notebook))}
    names = {name: f"{stem}-{_file_name(name)}.csv" for name in tables}
    results = {**about, "headline": handed.get("headline", []), "tables": names}
    found = {f"{stem}.json": json.dumps(results, indent=1, ensure_ascii=False).encode()}
    for name, table in tables.items():
        frame = pd.DataFrame(table["data"], columns=table["columns"], dtype=object)
        found[names[name]] = csv(frame)
    return found


def _file_name(text: str) -> str:
    """A name that leads to no other folder."""
    return re.sub("[^a-z0-9_]+", "_", text.lower())
