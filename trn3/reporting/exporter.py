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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape
from nbconvert.exporters.exporter import Exporter
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default

from trn3 import data
from trn3.reporting import figures, links, panel, parameters, results
from trn3.reporting.frame import TEMPLATES, frame
from trn3.reporting.markup import clean, markdown
from trn3.show import charts, story, words

HEADINGS = {
    "assumptions": "What we assumed",
    "flips": "What would change the answer",
    "checks": "Checked against",
    "sources": "Sources",
}
"""Tags of regions, and the heads that they get where the notebook gives none."""

BESIDE = {"half": "half", "flips": "checks", "checks": "flips"}
"""What stands beside what, where both are short."""

NOTHING = Markup()
MOST_ITEMS = 11
"""List items of two regions side by side; more would be a narrow column beside a gap."""


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
    """

    report: str
    stem: str
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    command: str
    data_date: str
    beside: bool = False
    collection: links.Collection | None = None

    @property
    def results(self) -> dict[str, Any]:
        """What the results file says first."""
        return {
            "report": self.report,
            "parameters": dict(self.parameters),
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
        yield "sentence", sentence
        yield "text", lambda text: Markup(html.escape(str(text), quote=False))

    def _create_environment(self) -> Any:
        environment = super()._create_environment()
        environment.autoescape = True
        environment.trim_blocks = environment.lstrip_blocks = True
        environment.keep_trailing_newline = True
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
        return self.template.render(report_words(nb, about)), resources


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
    except parameters.ParameterError:  # a notebook of somebody else
        defaults, values = {}, given
    changed = {n: v for n, v in values.items() if n not in defaults or defaults[n] != v}
    command = panel.command(name, changed)
    return About(name, stem, values, defaults, command, str(data.data_date()))


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
        for node in ast.parse(cell["source"]).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


# ------------------------------------------------------------------------------ what goes where
@dataclass(frozen=True)
class Block:
    """A part of a page.

    Attributes
    ----------
    kind : str
        ``prose``, ``figure``, ``half``, ``code`` or a region of `HEADINGS`.
    text : markupsafe.Markup
        Its HTML.
    figure : dict, optional
        A chart in place of it.
    code : str
        Lines in place of it.
    """

    kind: str
    text: Markup = NOTHING
    figure: dict[str, Any] | None = None
    code: str = ""

    @property
    def is_head(self) -> bool:
        """Whether it starts with a head of the notebook's own."""
        return self.kind == "prose" and self.text.startswith("<h2>")


@dataclass
class Arrangement:
    """The parts of a page, filled cell by cell in reading order.

    Attributes
    ----------
    stem : str
        File name of the page without its ending.
    title, intro, answer : str
        What comes first.
    headline : list of dict
        Charts of the first screen.
    blocks : list of Block
        The rest.
    sources : list of str
        Code without a tag, which stands at the end.
    """

    stem: str
    title: str = ""
    intro: Markup = NOTHING
    answer: Markup = NOTHING
    headline: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    sliders: set[str] = field(default_factory=set)
    n_figures: int = 0

    def prose(self, source: str) -> None:
        """Place a Markdown cell; the first head is the title."""
        if self.title or not source.startswith("# "):
            self.blocks.append(Block("prose", Markup(markdown(source))))
        else:
            self.title, _, rest = source[2:].partition("\n")
            self.intro = Markup(markdown(rest))

    def code(self, cell: Mapping[str, Any]) -> None:
        """Place the outputs of a code cell, and its lines where a tag or a chart asks for them."""
        tags, source = cell["metadata"].get("tags", []), cell["source"]
        if not tags:
            self.sources.append(source)
        drawn = [self.draw(output, source) for output in cell["outputs"]]
        charted = [one for one in drawn if one is not None]
        text = Markup("").join(Markup(prose_of(output)) for output in cell["outputs"])
        region = next((tag for tag in tags if tag in HEADINGS), "")
        if "answer" in tags:
            self.answer += text
        elif region and text:
            self.blocks.append(Block(region, self.head(region) + text))
        else:
            self.place(charted, tags)
            if text:
                self.blocks.append(Block("prose", text))
        if "worked" in tags:
            self.blocks.append(Block("code", code=source))

    def draw(self, output: Mapping[str, Any], source: str) -> dict[str, Any] | None:
        """Lay out an output that is a chart."""
        spec = output.get("data", {}).get(charts.MIME)
        if spec is None:
            return None
        self.n_figures += 1
        return figures.figure(spec, self.n_figures - 1, self.sliders, source, self.stem)

    def place(self, charted: list[dict[str, Any]], tags: list[str]) -> None:
        """Put charts on the first screen or among the blocks."""
        if "headline" in tags:
            self.headline += charted
        else:
            kind = "half" if "half" in tags else "figure"
            self.blocks += [Block(kind, figure=one) for one in charted]

    def head(self, region: str) -> Markup:
        """Take the notebook's own head for a region where it stands just before."""
        if self.blocks and self.blocks[-1].is_head:
            return self.blocks.pop().text
        return Markup(f"<h2>{HEADINGS[region]}</h2>")

    def rows(self) -> list[list[Block]]:
        """Blocks in order, those that belong side by side in one row."""
        rows: list[list[Block]] = []
        for block in self.blocks:
            if rows and len(rows[-1]) == 1 and _beside(rows[-1][0], block):
                rows[-1].append(block)
            else:
                rows.append([block])
        return rows


def _beside(left: Block, right: Block) -> bool:
    items = (left.text + right.text).count("<li>")
    return right.kind == BESIDE.get(left.kind) and items <= MOST_ITEMS


def prose_of(output: Mapping[str, Any]) -> str:
    """Give an output that is no chart as HTML.

    Parameters
    ----------
    output : mapping
        Of a code cell.

    Returns
    -------
    str
        Harmless HTML; nothing for charts and results.
    """
    shown = output.get("data", {})
    if charts.MIME in shown or story.RESULTS in shown:
        return ""
    if "text/html" in shown:
        return scrolling(clean("".join(shown["text/html"])))
    if "text/markdown" in shown:
        return markdown("".join(shown["text/markdown"]))
    text = "".join(output.get("text", "")) or "\n".join(output.get("traceback", []))
    return f"<pre>{escape(text or ''.join(shown.get('text/plain', '')))}</pre>"


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


def arranged(notebook: Any, stem: str) -> Arrangement:
    """Put the cells of a notebook where they stand on a page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.
    stem : str
        File name of the page without its ending.

    Returns
    -------
    Arrangement
        Its parts.
    """
    page = Arrangement(stem)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            page.prose(cell["source"])
        elif cell["cell_type"] == "code":
            page.code(cell)
    return page


def report_words(notebook: Any, about: About) -> dict[str, Any]:
    """Gather what the template of a notebook shows.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.
    about : About
        What the page says of itself.

    Returns
    -------
    dict
        By name.
    """
    page = arranged(notebook, about.stem)
    before, after = about.collection.neighbours(about.stem) if about.collection else (None, None)
    values, defaults = about.parameters, about.defaults
    return {
        **named(about.report),
        "about": about,
        "after": after,
        "answer": page.answer,
        "before": before,
        "changed": [name for name in values if name in defaults and defaults[name] != values[name]],
        "collection": about.collection,
        "data_date": about.data_date,
        "entries": panel.entries(values, declared(notebook), linked=about.collection is not None),
        "frame": frame(page.n_figures > 0, about.beside),
        "headline": page.headline,
        "intro": page.intro,
        "results_file": f"{about.stem}.json",
        "rows": page.rows(),
        "sources": page.sources,
        "title": page.title,
    }


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
    except parameters.ParameterError:
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
