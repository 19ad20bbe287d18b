"""What surrounds every page: its look, its scripts, and the policy that lets only these run."""

import base64
import functools
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

import trn3
from trn3 import data
from trn3.reporting import chart_script
from trn3.show import charts, tokens
from trn3.units import DAY_S

TEMPLATES = Path(__file__).parent / "templates"
STATIC = TEMPLATES / "trn3" / "static"
MONO = (
    "ui-monospace, SFMono-Regular, Menlo, Consolas, "
    '"Liberation Mono", "DejaVu Sans Mono", monospace'
)
VARIABLES = {light: f"var(--{name})" for name, (light, _) in reversed(tokens.TOKENS.items())}
"""The CSS variable of each colour of a chart; of two with one colour, the first."""


@dataclass(frozen=True)
class Frame:
    """What the skeleton of a page needs.

    Attributes
    ----------
    css, js : str
        Style sheet and script of the page.
    policy : str
        Content-security policy: nothing runs or styles but what its hashes name.
    packed : str
        The charts' script as gzip in base64, for a page that stands alone.
    shared : bool
        Whether the scripts stand in ``vega.js`` beside the page.
    home : bool
        Whether an index stands beside the page.
    version : str
        Of this package.
    price_days : int
        Age from which a price is old [d].
    """

    css: Markup
    js: Markup
    policy: Markup
    packed: str
    shared: bool
    home: bool
    version: str
    price_days: int


@functools.cache
def frame(charted: bool = False, beside: bool = True) -> Frame:
    """Give what surrounds a page.

    Parameters
    ----------
    charted : bool
        Whether it has charts.
    beside : bool
        Whether index and ``vega.js`` stand beside it.

    Returns
    -------
    Frame
        The same for all pages of a kind.
    """
    shared = charted and beside
    alone = charted and not beside
    scripts = [page_script(), *([chart_script.script()] if alone else [])]
    allowed = "file: 'self'" if shared else " ".join(map(hash_source, scripts))
    policy = (
        f"default-src 'none'; style-src {hash_source(sheet())}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
    packed = base64.b64encode(chart_script.compressed()).decode() if alone else ""
    days = round(data.assumption("price_age_limit_s").value / DAY_S)
    return Frame(
        css=Markup(sheet()),
        js=Markup(page_script()),
        policy=Markup(policy),
        packed=packed,
        shared=shared,
        home=beside,
        version=trn3.__version__,
        price_days=days,
    )


def shared_script() -> str:
    """Give what stands once in ``vega.js`` beside several pages.

    Returns
    -------
    str
        JavaScript of the charts and of the page.
    """
    return chart_script.script() + page_script()


@functools.cache
def sheet() -> str:
    """Give the style sheet of all pages.

    Returns
    -------
    str
        CSS; dark holds on screens alone, so that paper keeps the light of ``:root``.
    """
    light, dark = (
        "".join(f"--{name}:{pair[i]};" for name, pair in tokens.TOKENS.items()) for i in (0, 1)
    )
    wish = "@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light])"
    button = "@media screen{:root[data-theme=dark]"
    colors = f":root{{color-scheme:light;{light}}}"
    colors += "".join(f"{where}{{color-scheme:dark;{dark}}}}}" for where in (wish, button))
    text = (STATIC / "page.css").read_text(encoding="utf-8")
    rules = re.sub(r"/\*.*?\*/|\s*\n\s*|(?<=[{};,]) |(?<=\w:) ", "", text)
    return colors + rules.replace("FONT", charts.CONFIG["font"]).replace("MONO", MONO)


@functools.cache
def page_script() -> str:
    """Give the script of all pages.

    Returns
    -------
    str
        JavaScript with the look of the charts in it.
    """
    text = (STATIC / "page.js").read_text(encoding="utf-8")
    return text.replace("CONFIG", chart_json(charts.CONFIG))


def hash_source(text: str) -> str:
    """Name an inline script or style for a policy.

    Parameters
    ----------
    text : str
        Its text.

    Returns
    -------
    str
        Its hash, quoted.
    """
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def chart_json(value: Any) -> Markup:
    """Write JSON for a script element, with its colours as CSS variables.

    The theme then switches without drawing anew, and paper is light.

    Parameters
    ----------
    value : object
        A chart's spec or a part of one.

    Returns
    -------
    markupsafe.Markup
        JSON that ends no script element.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    text = text.replace("<", "\\u003c")  # keys sorted as nbformat stores them
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    coloured = re.sub(
        "#[0-9A-Fa-f]{6}\\b", lambda found: VARIABLES.get(found[0].upper(), found[0]), text
    )
    return Markup(coloured)
