"""Text from notebooks as harmless HTML: an allow-list for markup, Markdown without raw HTML,
formulas as MathML.
"""

import functools
import re
from html import escape
from html.parser import HTMLParser

import mistune

_ALLOWED = """a b blockquote br caption code dd dl dt div em h2 h3 h4 hr i li ol p pre s small span strong sub sup table
tbody td tfoot th thead tr ul math mrow mi mn mo ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder
munderover mtable mtr mtd mstyle"""
ALLOWED = set(_ALLOWED.split())
KEPT = {
    "class",
    "id",
    "href",
    "scope",
    "colspan",
    "rowspan",
    "display",
    "stretchy",
    "fence",
    "form",
    "width",
}
HIDDEN = {"script", "style", "iframe", "object", "template", "svg", "title"}


class _Cleaner(HTMLParser):
    """Writes markup anew from an allow-list of elements and attributes; everything else becomes
    nothing or text.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.mute = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.mute += tag in HIDDEN
        if tag in ALLOWED and not self.mute:
            safe = [
                (k, v or "") for k, v in attrs if k in KEPT and (k != "href" or _harmless(v or ""))
            ]
            self.out.append(f"<{tag}" + "".join(f' {k}="{escape(v)}"' for k, v in safe) + ">")

    def handle_endtag(self, tag: str) -> None:
        if tag in ALLOWED - {"br", "hr"} and not self.mute:
            self.out.append(f"</{tag}>")
        self.mute -= tag in HIDDEN and self.mute > 0

    def handle_data(self, data: str) -> None:
        self.out.append("" if self.mute else escape(data, quote=False))


def _harmless(link: str) -> bool:
    return bool(re.match(r"https?://|#|[\w.-]+(/[\w.-]+)*(#|$)", link))


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
    >>> clean('<p onclick="x()">1 <b>2</b><script>alert(1)</script><a href="javascript:x">3</a></p>')
    '<p>1 <b>2</b><a>3</a></p>'
    """
    cleaner = _Cleaner()
    cleaner.feed(markup)
    cleaner.close()
    return "".join(cleaner.out)


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
        from latex2mathml.converter import convert

        return str(convert(text.strip(), display="block" if block else "inline"))
    except Exception:  # not installed, or an author's slip, which must not cost the reader the page
        return f"<pre>{escape(text.strip())}</pre>" if block else f"<code>{escape(text)}</code>"


class _Prose(mistune.HTMLRenderer):
    def inline_math(self, text: str) -> str:
        return formula(text)

    def block_math(self, text: str) -> str:
        return f'<div class="math">{formula(text, block=True)}</div>'


_MARKDOWN = mistune.create_markdown(
    escape=True, plugins=["table", "math"], renderer=_Prose(escape=True)
)


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
    return clean(str(_MARKDOWN(text)).replace('style="text-align:right"', 'class="n"'))
