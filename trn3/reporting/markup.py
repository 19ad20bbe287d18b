"""Text from notebooks as harmless HTML: an allow-list for markup, Markdown without raw HTML,
formulas as MathML.
"""

import functools
import re
from html import escape

import nh3
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

PROSE = {
    *("a", "b", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "h2", "h3", "h4"),
    *("hr", "i", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "ul"),
}
TABLES = {"caption", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
FORMULAS = {
    *("math", "mfrac", "mi", "mn", "mo", "mover", "mroot", "mrow", "ms", "mspace", "msqrt"),
    *("mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder"),
    "munderover",
}
DROPPED_WHOLE = {"iframe", "object", "script", "style", "svg", "template", "title"}
ATTRIBUTES = {
    "*": {"class", "id"},
    "a": {"href"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"fence", "form", "maxsize", "minsize", "stretchy"},
    "mspace": {"width"},
}
ANCHOR = "source-"
"""Only anchors of sources keep their name, so that no text poses as a part of the page."""


def _plain(_: str, attribute: str, value: str) -> str | None:
    """A value of an attribute without markup; the links of a page are found as text."""
    if re.search('[<>"]', value) or (attribute == "id" and not value.startswith(ANCHOR)):
        return None
    return value


def _beside(link: str) -> str | None:
    """An address within the page or beside it; what starts at a root or a host is none."""
    return link if re.match(r"#|[\w.-]+(/[\w.-]+)*(#|$)", link) else None


_CLEANER = nh3.Cleaner(
    tags=PROSE | TABLES | FORMULAS,
    clean_content_tags=DROPPED_WHOLE,
    attributes=ATTRIBUTES,
    attribute_filter=_plain,
    url_schemes={"http", "https"},
    url_relative=_beside,
    link_rel=None,
)


def clean(markup: str) -> str:
    """Drop from HTML whatever could run, load or restyle something.

    Parameters
    ----------
    markup : str
        HTML of a cell's output.

    Returns
    -------
    str
        The same text with harmless elements only.

    Examples
    --------
    >>> clean('<p onclick="x()">1 <b>2</b><script>x()</script><a href="javascript:x">3</a></p>')
    '<p>1 <b>2</b><a>3</a></p>'
    """
    return _CLEANER.clean(markup)


@functools.lru_cache(maxsize=500)
def formula(text: str, block: bool = False) -> str:
    """Turn a LaTeX formula into MathML, which every browser draws offline; the source itself where
    that fails.

    Parameters
    ----------
    text : str
        LaTeX without dollar signs.
    block : bool
        On a line of its own.

    Returns
    -------
    str
        MathML or a ``pre`` or ``code`` element.
    """
    try:
        return str(convert(text.strip(), display="block" if block else "inline"))
    except Exception:  # an author's slip, in many forms, must not cost the reader the page
        element = "pre" if block else "code"
        return f"<{element}>{escape(text.strip())}</{element}>"


class Prose(IPythonRenderer):
    """nbconvert's Markdown with formulas as MathML; markup in it is shown as text."""

    def __init__(self) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)

    def inline_math(self, body: str) -> str:
        """Draw a formula within a line."""
        return formula(body)

    def block_math(self, body: str) -> str:
        """Draw a formula on a line of its own."""
        return f'<span class="math">{formula(body, block=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        """Draw a formula that LaTeX names."""
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")


_MARKDOWN = MarkdownWithMath(renderer=Prose())


def markdown(text: str) -> str:
    """Turn Markdown into HTML; markup inside it is shown as text.

    Parameters
    ----------
    text : str
        Markdown with ``$``-formulas.

    Returns
    -------
    str
        HTML.
    """
    made = _MARKDOWN.render(text).replace('style="text-align:right"', 'class="n"')
    return clean(made)
