"""Links of a page: to its sources, to other reports, to numbers, and to terms where they are met
first.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from trn3 import data

GLOSSARY = data.home() / "docs" / "glossary.md"
UNLINKED = re.compile(
    r"""<(a|button|code|details|dl|h[1-4]|label|math|pre|script|svg)\b.*?</\1>
    |<span\ class="badge.*?</span>
    |<ul\ class="key".*?</ul>
    |<[^>]*>""",
    re.DOTALL | re.VERBOSE,
)
"""Markup, and texts in which no term is explained."""

CITED = re.compile(r'<a class="cite" href="#source-([^"]+)">[^<]*</a>')
LISTED = re.compile(r'<li id="source-([^"]+)">(.*?)</li>', re.DOTALL)
NOTEBOOK = re.compile(r'<a href="(\w+)\.ipynb">(.*?)</a>')


@dataclass(frozen=True)
class Report:
    """A report of a collection.

    Attributes
    ----------
    notebook : str
        Name of the notebook.
    stem : str
        File name of its page without the ending.
    question : str
        Its title.
    """

    notebook: str
    stem: str
    question: str

    @property
    def number(self) -> str:
        """What the name starts with."""
        return self.notebook.partition("_")[0]


@dataclass(frozen=True)
class Collection:
    """Reports that stand beside each other, with the reference pages.

    Attributes
    ----------
    reports : tuple of Report
        In reading order.
    """

    reports: tuple[Report, ...]

    def of(self, notebook: str) -> Report | None:
        """The first report that was made of a notebook."""
        return next((one for one in self.reports if one.notebook == notebook), None)


def neighbours(collection: Collection | None, stem: str) -> dict[str, Any]:
    """Say what stands around a report.

    Parameters
    ----------
    collection : Collection or None
        The reports beside it.
    stem : str
        File name of its page without the ending.

    Returns
    -------
    dict
        ``collection``, ``before`` and ``after`` for a page's template.
    """
    if collection is None:
        return {}
    around = [None, *collection.reports, None]
    place = [one.stem for one in collection.reports].index(stem) + 1
    return {"collection": collection, "before": around[place - 1], "after": around[place + 1]}


@dataclass(frozen=True)
class Term:
    """An entry of the glossary.

    Attributes
    ----------
    term : str
        As it is written.
    names : tuple of str
        What code and data call it.
    meaning : str
        In plain text.
    """

    term: str
    names: tuple[str, ...]
    meaning: str

    @property
    def anchor(self) -> str:
        """Its place in the glossary."""
        return re.sub(r"\W+", "_", self.term.lower())


@functools.cache
def terms() -> tuple[Term, ...]:
    """Read the glossary.

    Returns
    -------
    tuple of Term
        In its order.
    """
    rows = re.findall(r"^\| (.*)", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    return tuple(_term(row) for row in rows[1:])  # without the heads


def _term(row: str) -> Term:
    term, names, meaning, *_ = row.split(" | ")
    return Term(term, tuple(re.findall(r"`([\w.]+)`", names)), meaning.replace("`", ""))


def linked(page: str, collection: Collection | None) -> str:
    """Number the citations of a page, and lead to other pages where they are there.

    Parameters
    ----------
    page : str
        The main part of a page.
    collection : Collection or None
        What stands beside it.

    Returns
    -------
    str
        The same text with links that end somewhere.
    """
    page = cited(page, collection)
    page = NOTEBOOK.sub(lambda found: _report(found, collection), page)
    return explained(page) if collection else page


def cited(page: str, collection: Collection | None) -> str:
    """Number citations as the page lists its sources, and name those that it does not list.

    Parameters
    ----------
    page : str
        The main part of a page.
    collection : Collection or None
        What stands beside it.

    Returns
    -------
    str
        The same with links that end somewhere.
    """
    numbers = {source: str(n) for n, (source, _) in enumerate(LISTED.findall(page), 1)}

    def citation(found: re.Match[str]) -> str:
        source = found[1]
        if source in numbers:
            return f'<a class="cite" href="#source-{source}">{numbers[source]}</a>'
        name = escape(publisher(source))
        return f'<a class="cite" href="{_entry(source)}">{name}</a>' if collection else name

    page = CITED.sub(citation, page)
    if collection:
        page = LISTED.sub(_with_numbers, page)
    return page


def _with_numbers(found: re.Match[str]) -> str:
    link = f'<a href="{_entry(found[1])}">Its numbers</a>'
    return f'<li id="source-{found[1]}">{found[2]} {link}</li>'


def _entry(source: str) -> str:
    return f"numbers.html#source-{source}"


def publisher(source: str) -> str:
    """Say who published a source.

    Parameters
    ----------
    source : str
        Its id.

    Returns
    -------
    str
        The publisher; the id itself where it is unknown.
    """
    return _publishers().get(source, source)


@data.kept
def _publishers() -> dict[str, str]:
    return dict(data.table("sources")[["id", "publisher"]].itertuples(index=False))


def _report(found: re.Match[str], collection: Collection | None) -> str:
    one = collection.of(found[1]) if collection else None
    return f'<a href="{one.stem}.html">{found[2]}</a>' if one else found[2]


def explained(page: str) -> str:
    """Lead from terms to the glossary where a reader meets them first.

    Parameters
    ----------
    page : str
        The main part of a page.

    Returns
    -------
    str
        The same words.
    """
    left = {one.term.lower(): one for one in terms()}
    return "".join(_explained(page, left))


def _explained(page: str, left: dict[str, Term]) -> Iterator[str]:
    """The page in pieces; terms that were met leave ``left``."""

    def first(found: re.Match[str]) -> str:
        one = left.pop(found[1].lower(), None)
        if one is None:
            return found[0]
        title = escape(one.meaning)
        return f'<a class="term" href="glossary.html#{one.anchor}" title="{title}">{found[0]}</a>'

    end = 0
    for markup in UNLINKED.finditer(page):
        yield _any_term().sub(first, page[end : markup.start()])
        yield markup[0]
        end = markup.end()
    yield _any_term().sub(first, page[end:])


@functools.cache
def _any_term() -> re.Pattern[str]:
    """Any term, the longest first, as a word of its own."""
    longest_first = sorted((one.term for one in terms()), key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})s?\b", re.IGNORECASE)
