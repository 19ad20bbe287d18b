"""What an executed notebook hands out for programs: headline numbers, tables, and what it cites."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from trn3.reporting.files import csv
from trn3.show import charts, story

MOST_ROWS = 40
"""Rows of a chart's numbers that a page shows; more stand in a file beside it."""


def outputs(notebook: Any) -> list[Any]:
    """List what the cells of a notebook show.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    list of nbformat.NotebookNode
        Outputs with data, in order.
    """
    shown = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [output for output in shown if "data" in output]


def drawn(notebook: Any) -> list[Any]:
    """List the charts of a notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    list of nbformat.NotebookNode
        Outputs that hold a spec, in order.
    """
    return [output for output in outputs(notebook) if charts.MIME in output["data"]]


def told(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read what a finished chart says of itself.

    Parameters
    ----------
    spec : mapping
        Its spec.

    Returns
    -------
    mapping
        Title, subtitle, key, source and numbers; nothing for a chart of somebody else.
    """
    about: Mapping[str, Any] = spec.get("usermeta", {}).get("trn3", {})
    return about


def handed_out(notebook: Any) -> Mapping[str, Any]:
    """Read what the cell tagged ``results`` shows.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    mapping
        ``headline`` and ``tables``; empty without such a cell.
    """
    found = [output["data"].get(story.RESULTS) for output in outputs(notebook)]
    return next(filter(None, found), {})


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
    answers = outputs({"cells": tagged(notebook["cells"], "answer")})
    answer = answers[0]["data"].get("text/plain", "") if answers else ""
    pages = ["".join(output["data"].get("text/html", "")) for output in outputs(notebook)]
    return {
        "headline": handed_out(notebook).get("headline", []),
        "answer": str(answer).partition(" | ")[0],
        "sources": re.findall(r'<li id="source-([^"]+)"', "".join(pages)),
    }


def tagged(cells: Iterable[Any], tag: str) -> list[Any]:
    """Choose the cells with a tag.

    Parameters
    ----------
    cells : iterable of nbformat.NotebookNode
        Any.
    tag : str
        For example ``answer``.

    Returns
    -------
    list of nbformat.NotebookNode
        In order.
    """
    return [cell for cell in cells if tag in cell["metadata"].get("tags", [])]


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
    tables = {**handed.get("tables", {}), **long_tables(notebook)}
    names = {name: f"{stem}-{re.sub('[^a-z0-9_]+', '_', name.lower())}.csv" for name in tables}
    results = {**about, "headline": handed.get("headline", []), "tables": names}
    found = {f"{stem}.json": json.dumps(results, indent=1, ensure_ascii=False).encode()}
    for name, table in tables.items():
        found[names[name]] = csv(pd.DataFrame(**table, dtype=object))
    return found


def long_tables(notebook: Any) -> dict[str, dict[str, Any]]:
    """Find the numbers of charts that are too many for a page, which shows their beginning.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.

    Returns
    -------
    dict
        Columns and data by name.
    """
    found = {}
    for place, output in enumerate(drawn(notebook), 1):
        numbers = told(output["data"][charts.MIME]).get("numbers") or {"rows": []}
        if len(numbers["rows"]) > MOST_ROWS:
            found[f"figure_{place}"] = {"columns": numbers["columns"], "data": numbers["rows"]}
    return found
