"""An executed notebook as a page, by nbconvert: ``jupyter nbconvert --to trn3 NOTEBOOK``.

The page is offline, interactive, printable, readable without a mouse and without colour. The cells'
tags say what goes where, and the templates beside this module hold the markup. A strict
content-security policy lets run the page's own scripts and nothing else, and text from notebooks
passes an allow-list, whatever it may contain.
"""

import ast
import functools
import html
import re
import tokenize
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from nbconvert.exporters.exporter import Exporter
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default

from trn3 import data
from trn3.reporting import figures, links, numbers, panel, parameters, results
from trn3.reporting.frame import TEMPLATES, frame
from trn3.reporting.markup import clean, markdown
from trn3.show import charts, story, words

NOT_OURS = (parameters.ParameterError, SyntaxError, tokenize.TokenError, ValueError)
"""What reading the parameters of somebody else's notebook may raise."""


@dataclass(frozen=True)
class About:
    """What a page says of itself beside the notebook.

    Attributes
    ----------
    report : str
        Name of the notebook, for example ``01_claims``.
    stem : str
        File name of the page without its ending.
    parameters, defaults : mapping
        Values used, and those where none is given, by name.
    command : str
        What reproduces the page.
    data_date : str
        Day of the newest number in the data.
    beside : bool
        Whether index and ``vega.js`` stand beside the page.
    collection : links.Collection, optional
        The reports that stand beside it, with reference pages.
    model_read : mapping
        What was read from the reader's own model, by what it is.
    """

    report: str
    stem: str
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    command: str
    data_date: str
    beside: bool = False
    collection: links.Collection | None = None
    model_read: Mapping[str, str] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Any]:
        """What the results file says first."""
        own = {"model_read": dict(self.model_read)} if self.model_read else {}
        return {
            "report": self.report,
            "parameters": dict(self.parameters),
            **own,
            "data_date": self.data_date,
        }


class PageExporter(TemplateExporter):
    """nbconvert's exporter ``trn3``."""

    export_from_notebook = "trn3 page"
    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension(self) -> str:
        return ".html"

    @default("template_name")
    def _template_name(self) -> str:
        return "trn3"

    @default("extra_template_basedirs")
    def _template_folders(self) -> list[str]:
        return [str(TEMPLATES)]

    @default("optimistic_validation")
    def _one_validation(self) -> bool:
        return True

    def default_filters(self) -> Iterable[tuple[str, Any]]:
        """nbconvert's filters and those of our templates."""
        yield from super().default_filters()
        yield "badge", lambda word: Markup(story.badge(word))
        yield "day", words.day
        yield "linked", lambda page, collection: Markup(links.linked(str(page), collection))
        yield "markdown2html", lambda text: Markup(markdown(text))
        yield "month", numbers.month
        yield "named", data.named
        yield "prose", prose
        yield "publisher", links.publisher
        yield "sentence", sentence
        yield "shown", figures.shown
        yield "tagged", results.tagged
        yield "text", lambda text: Markup(html.escape(str(text), quote=False))

    def _create_environment(self) -> Any:
        environment = super()._create_environment()
        environment.autoescape = True
        environment.trim_blocks = environment.lstrip_blocks = True
        environment.keep_trailing_newline = True
        environment.globals["most_rows"] = results.MOST_ROWS
        return environment

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Any = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Make the page; results file and tables come with it as ``outputs`` of the resources.

        Parameters
        ----------
        nb : nbformat.NotebookNode
            Executed, with tagged cells.
        resources : mapping, optional
            nbconvert's, with an `About` as ``trn3`` where a report is made of it.
        kw : Any
            nbconvert's.

        Returns
        -------
        tuple of str and dict
            The page and the resources.
        """
        nb, resources = Exporter.from_notebook_node(self, nb, resources, **kw)
        about = resources.get("trn3") or about_stored(nb, resources["metadata"]["name"])
        resources["outputs"] = results.files(nb, about.stem, about.results)
        figures.lay_out(nb, about.stem)
        return self.template.render(page_words(nb, about)), resources


@functools.cache
def exporter() -> PageExporter:
    """Give the exporter of this process, whose templates are compiled once.

    Returns
    -------
    PageExporter
        Ready.
    """
    return PageExporter()


def render(template: str, **told: Any) -> str:
    """Fill a template other than a notebook's.

    Parameters
    ----------
    template : str
        Its name.
    told : Any
        What it shows.

    Returns
    -------
    str
        A page.
    """
    return exporter().environment.get_template(f"{template}.html.j2").render(**told)


def report(notebook: Any, about: About) -> tuple[str, dict[str, bytes]]:
    """Make the page of an executed notebook, and what stands beside it.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.
    about : About
        What the page says of itself.

    Returns
    -------
    tuple of str and dict
        The page; results file and tables by name.
    """
    page, resources = exporter().from_notebook_node(notebook, {"trn3": about})
    return page, resources["outputs"]


def about_stored(notebook: Any, stem: str) -> About:
    """Read from a notebook alone what `About` holds.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Stored with its outputs, or executed by papermill.
    stem : str
        Its file name without the ending; a hash at its end belongs to a report's file.

    Returns
    -------
    About
        For a page that stands alone.
    """
    name = re.sub("-[0-9a-f]{8}$", "", stem)
    given = injected(notebook)
    try:
        defaults = parameters.validate(notebook, {})
        values = parameters.validate(notebook, given)
        own = panel.read_from(values)
    except NOT_OURS:
        defaults, values, own = {}, given, {}
    changed = {n: v for n, v in values.items() if n not in defaults or defaults[n] != v}
    command = panel.command(name, parameters.told(changed))
    told = parameters.told(values)
    return About(name, stem, told, defaults, command, str(data.data_date()), model_read=own)


def injected(notebook: Any) -> dict[str, Any]:
    """Read the values that papermill put into a notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed by papermill or not.

    Returns
    -------
    dict
        By name; what is no plain value is left out.
    """
    found = {}
    for cell in notebook["cells"]:
        if "injected-parameters" not in cell["metadata"].get("tags", []):
            continue
        for node in _statements(cell["source"]):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                with suppress(ValueError):
                    found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def _statements(source: str) -> list[ast.stmt]:
    """What a cell does; nothing where it is no plain Python."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


# ------------------------------------------------------------------------------------- its words
def page_words(notebook: Any, about: About) -> dict[str, Any]:
    """Gather what the template of a notebook shows.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells, and charts laid out.
    about : About
        What the page says of itself.

    Returns
    -------
    dict
        By name.
    """
    title, intro, cells = titled(notebook["cells"])
    values, defaults = about.parameters, about.defaults
    changed = [name for name in values if name in defaults and defaults[name] != values[name]]
    return {
        **named(about.report),
        **links.neighbours(about.collection, about.stem),
        "about": about,
        "cells": cells,
        "changed": changed,
        "data_date": about.data_date,
        "entries": panel.entries(values, declared(notebook), linked=about.collection is not None),
        "model_read": about.model_read,
        "frame": frame(bool(results.drawn(notebook)), about.beside),
        "intro": intro,
        "results_file": f"{about.stem}.json",
        "title": title,
    }


def titled(cells: list[Any]) -> tuple[str, str, list[Any]]:
    """Take the title, and what stands under it, from the cells of a notebook.

    Parameters
    ----------
    cells : list of nbformat.NotebookNode
        All of them.

    Returns
    -------
    tuple of str, str and list
        Title, introduction in Markdown, the other cells.
    """
    for place, cell in enumerate(cells):
        if cell["cell_type"] == "markdown" and cell["source"].startswith("# "):
            title, _, intro = cell["source"][2:].partition("\n")
            return title, intro, cells[:place] + cells[place + 1 :]
    return "", "", cells


def prose(output: Mapping[str, Any]) -> Markup:
    """Give an output of a code cell that is no chart as HTML.

    Parameters
    ----------
    output : mapping
        As nbformat has it.

    Returns
    -------
    markupsafe.Markup
        Harmless HTML; nothing for charts and results.
    """
    shown = output.get("data", {})
    if charts.MIME in shown or story.RESULTS in shown:
        return Markup()
    if "text/html" in shown:
        return Markup(scrolling(clean("".join(shown["text/html"]))))
    if "text/markdown" in shown:
        return Markup(markdown("".join(shown["text/markdown"])))
    text = "".join(output.get("text", "")) or "\n".join(output.get("traceback", []))
    return Markup("<pre>{}</pre>").format(text or "".join(shown.get("text/plain", "")))


def scrolling(markup: str) -> str:
    """Let tables that are wider than a screen scroll within it.

    Parameters
    ----------
    markup : str
        Harmless HTML.

    Returns
    -------
    str
        The same, each table in a region of its own.
    """
    region = '<div class="wide" tabindex="0" role="region" aria-label="Table">'
    tables = re.compile(r'<table(?! class="stats").*?</table>', re.DOTALL)
    return tables.sub(lambda found: f"{region}{found[0]}</div>", markup)


def declared(notebook: Any) -> list[parameters.Parameter]:
    """Read what a notebook says of its parameters.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Ours or somebody else's.

    Returns
    -------
    list of parameters.Parameter
        Nothing where they are not written as ours.
    """
    try:
        return parameters.read(notebook)
    except NOT_OURS:
        return []


def named(report: str) -> dict[str, str]:
    """Give the short names of a report.

    Parameters
    ----------
    report : str
        Name of its notebook.

    Returns
    -------
    dict
        ``kicker`` above the title, ``name`` in the bar.

    Examples
    --------
    >>> named("01_claims")
    {'kicker': '01 · Claims', 'name': '01 Claims'}
    """
    number, _, rest = report.partition("_")
    if not number.isdigit():
        return {"kicker": report, "name": report}
    topic = sentence(rest.replace("_", " "))
    return {"kicker": f"{number} · {topic}", "name": f"{number} {topic}"}


def sentence(text: str) -> str:
    """Start with a capital.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        The same otherwise.
    """
    return text[:1].upper() + text[1:]
