"""The pages around the reports: the index by question, the glossary, every number with its source.

Codes and ids become words by ``data/labels.csv``; the templates escape all text.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trn3 import data
from trn3.reporting import files, headline, links, numbers, panel
from trn3.reporting.exporter import render
from trn3.reporting.frame import frame
from trn3.reporting.markup import markdown

Row = Mapping[str, Any]
GROUPS = {
    "Start": ["00"],
    "Trust": ["01", "10"],
    "Performance": ["02", "03", "04"],
    "Savings": ["07", "08", "09"],
    "Energy": ["05"],
    "Scaling": ["06"],
    "Explore": ["11"],
    "Others": [],
}
"""Questions of the index, and the numbers of their reports; the last takes what is left."""

QUESTION = "Is Trainium3 faster, leaner and cheaper for your model?"


def collection(reports: Sequence[Any]) -> links.Collection:
    """Describe reports that will stand beside each other.

    Parameters
    ----------
    reports : sequence of batch.Case
        In reading order.

    Returns
    -------
    links.Collection
        For the pages' links.
    """
    return links.Collection(
        tuple(links.Report(one.notebook.stem, one.stem, one.question) for one in reports)
    )


# ------------------------------------------------------------------------------------------ index
def index(reports: Sequence[Row], *, title: str = "", linked: bool = False) -> str:
    """Make the page that leads to several reports, by question, and compares their headline
    numbers.

    Parameters
    ----------
    reports : sequence of mapping
        One per report: ``report`` (file name without suffix), ``notebook``, ``status`` ("done" or
        else), ``parameters``, ``headline`` (as in the results file), ``reason`` when failed,
        ``question`` (the title), and ``answer`` (that of the start page leads the collection).
    title : str
        The collection's question.
    linked : bool
        Whether the reference pages stand beside it.

    Returns
    -------
    str
        The page.
    """
    cards = [headline.card(one) | {"done": one["status"] == "done"} for one in reports]
    repeated = _repeated(reports)
    varied = _varied([one["parameters"] for one in reports if one["notebook"] in repeated])
    for one in cards:
        values = [one["parameters"].get(name, "—") for name in varied]
        one["varied"] = [(value, panel.value(value)) for value in values]
        one["badge"] = one["badge"] if one["done"] else "Failed"
    notebooks = {one["notebook"] for one in reports}
    alike = cards[0]["question"] if len(notebooks) == 1 else QUESTION
    lead, rest = _lead(reports)
    return render(
        "collection",
        collection=links.Collection(()) if linked else None,
        data_date=str(data.data_date()),
        frame=frame(),
        groups=_groups([one for one in cards if one["notebook"] not in repeated]),
        here="index",
        kicker="Report collection",
        lead=lead,
        name="Reports",
        rest=rest,
        results_file="index.csv",
        runs=cards,
        strips=any(one["strip"] for one in cards),
        title=title or alike,
        varied=[headline.worded(name).replace("_", " ") for name in varied],
    )


def _repeated(reports: Sequence[Row]) -> set[str]:
    """Notebooks of which several reports were made, which a table compares; others get a card."""
    names = [one["notebook"] for one in reports]
    return {name for name in names if names.count(name) > 1}


def _varied(parameters: Sequence[Row]) -> list[str]:
    """Names of the parameters in which reports differ."""
    names = dict.fromkeys(name for given in parameters for name in given)
    return [
        name
        for name in names
        if len({str(given[name]) for given in parameters if name in given}) > 1
    ]


def _lead(reports: Sequence[Row]) -> tuple[str, str]:
    """What the index says first: the answer of the start page, else how many were made."""
    for one in reports:
        if one.get("answer") and one["notebook"].startswith("00"):
            first, stop, rest = str(one["answer"]).partition(". ")
            return first + stop.strip(), rest
    failed = sum(one["status"] != "done" for one in reports)
    made = f"{len(reports) - failed} of {len(reports)} reports were made"
    return f"{made}; {failed} failed." if failed else f"{made}.", ""


def _groups(cards: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Cards under their questions."""
    where = {number: group for group, numbers_ in GROUPS.items() for number in numbers_}
    found: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for one in cards:
        found[where.get(one["number"], "Others")].append(one)
    return {group: some for group, some in found.items() if some}


# -------------------------------------------------------------------------------------- reference
def glossary() -> str:
    """Make the page of the terms, with an anchor per term and per name in code.

    Returns
    -------
    str
        The page.
    """
    text = links.GLOSSARY.read_text(encoding="utf-8")
    table = markdown(text[text.index("\n| ") :])
    for one in links.terms():
        head = f'<th scope="row" id="{one.anchor}">{one.term}</th>'
        table = table.replace(f"<td>{one.term}</td>", head, 1)
        for name in set(one.names) - {one.anchor}:
            table = table.replace(f"<code>{name}</code>", f'<code id="{name}">{name}</code>', 1)
    return _reference("glossary", "Glossary", glossary=Markup(table))


def every_number(reports: Sequence[Row]) -> str:
    """Make the page of every number with its source, which can be searched.

    Parameters
    ----------
    reports : sequence of mapping
        Manifest line of each report.

    Returns
    -------
    str
        The page.
    """
    subjects = numbers.subjects()
    told = [(one, number) for one in reports for number in one["headline"]]
    sources = data.table("sources").to_dict("records")
    return _reference(
        "numbers",
        "Every number and its source",
        cited=Counter(row["source_id"] for subject in subjects for row in subject["numbers"]),
        counts=numbers.counts(),
        explained={name for one in links.terms() for name in one.names},
        hardware=numbers.HARDWARE,
        results=[headline.card({**one, "headline": [number]}) for one, number in told],
        sources=sorted(sources, key=lambda source: source["publisher"].lower()),
        subjects=subjects,
        uses=numbers.uses(reports),
    )


def _reference(page: str, title: str, **told: Any) -> str:
    return render(
        page,
        collection=links.Collection(()),
        data_date=str(data.data_date()),
        frame=frame(),
        here=page,
        kicker="Reference",
        name="Reference",
        title=title,
        **told,
    )


def write(reports: Sequence[Row], out: Path) -> None:
    """Write the reference pages beside reports.

    Parameters
    ----------
    reports : sequence of mapping
        Manifest line of each report: ``report``, ``notebook``, ``question``, ``parameters``,
        ``headline``, ``sources``.
    out : pathlib.Path
        Their folder.
    """
    files.write(out / "glossary.html", glossary())
    files.write(out / "numbers.html", every_number(reports))
