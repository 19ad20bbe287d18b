"""One executed notebook as one HTML page: offline, interactive, printable, readable without a mouse
and without colour.

The cells' tags say what goes where; ``page.html`` holds the markup. Charts leave their title, key,
source, numbers and sliders to HTML and draw only the plot; every colour of a spec becomes a CSS
variable, so that the theme switches without redrawing and paper is light. A strict content-security
policy lets run the page's own scripts and nothing else, and text from notebooks passes an
allow-list, whatever it may contain.
"""

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

import trn3
from trn3 import data
from trn3.reporting import files, packing, panel
from trn3.reporting.chart_script import script
from trn3.reporting.markup import clean, markdown
from trn3.show import charts, story, theme, words
from trn3.units import DAY_S

HERE, MOST_ROWS = Path(__file__).parent, 60
MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace'
VARIABLES = {light: f"var(--{name})" for name, (light, _) in reversed(theme.TOKENS.items())}
HEADINGS = {
    "assumptions": "What we assumed",
    "flips": "What would change the answer",
    "checks": "Checked against",
}
HEADINGS |= {"sources": "Sources"}


def shared() -> str:
    """What stands once in ``vega.js`` beside several pages: the charts' script and the page's own.

    Returns
    -------
    str
        JavaScript.
    """
    return script() + _assets()["js"]


@functools.lru_cache
def _assets() -> dict[str, str]:
    """Style sheet, page script and chart configuration; the same in all pages."""
    light, dark = (
        "".join(f"--{name}:{pair[i]};" for name, pair in theme.TOKENS.items()) for i in (0, 1)
    )
    dark = f"color-scheme:dark;{dark}"
    sheet = (
        (HERE / "page.css")
        .read_text(encoding="utf-8")
        .replace("FONT", charts.CONFIG["font"])
        .replace("MONO", MONO)
    )
    # dark only on screens: paper keeps the light of :root
    css = f":root{{color-scheme:light;{light}}}@media screen and (prefers-color-scheme:dark)"
    css += f"{{:root:not([data-theme=light]){{{dark}}}}}@media screen{{:root[data-theme=dark]{{{dark}}}}}{sheet}"
    js = (HERE / "page.js").read_text(encoding="utf-8").replace("CONFIG", _data(charts.CONFIG))
    js = re.sub(r"\n +", "\n", js).replace(
        "PRICE_DAYS", f"{data.assumption('price_age_limit_s').value / DAY_S:g}"
    )
    return {"css": css, "js": js, "version": trn3.__version__}


@functools.lru_cache(maxsize=8)
def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _data(value: Any) -> str:
    """JSON for a script element, its colours as CSS variables."""
    text = packing.text(value).replace("<", "\\u003c")
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return re.sub(r"#[0-9A-Fa-f]{6}\b", lambda m: VARIABLES.get(m[0].upper(), m[0]), text)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        str(value)
        if isinstance(value, str) and value
        else "none"
        if value in ("", None)
        else f"{value:,.15g}"
    )


@functools.lru_cache
def _template() -> jinja2.Template:
    env = jinja2.Environment(autoescape=True)
    env.filters |= {"shown": _shown, "day": words.day, "sentence": lambda t: t[:1].upper() + t[1:]}
    env.filters["text"] = lambda t: markupsafe.Markup(escape(str(t), quote=False))
    return env.from_string((HERE / "page.html").read_text(encoding="utf-8"))


def _page(
    path: Path, part: str, report: str, charted: bool = False, shared_js: bool = True, **words: Any
) -> None:
    number, _, rest = report.partition("_")
    name = f"{number} · {rest.replace('_', ' ').capitalize()}" if number.isdigit() else report
    own = [] if charted and shared_js else [*([script()] if charted else []), _assets()["js"]]
    sources = " ".join(map(_hash, own)) or "file: 'self'"
    css = _assets()["css"] + words.pop("sheet", "")
    policy = f"default-src 'none'; style-src {_hash(css)}; script-src {sources}; "
    policy += "base-uri 'none'; form-action 'none'"
    words = {
        "name": name.replace(" ·", ""),
        "kicker": name,
        "collection": shared_js,
        **_assets(),
        "css": css,
        **words,
    }
    page = _template().render(part=part, policy=policy, charted=charted, scripts=own, **words)
    files.write(
        path,
        re.sub(r'<a href="(\w+)\.ipynb">([^<]*)</a>', r'<span data-report="\1">\2</span>', page),
    )


def figure(
    spec: Mapping[str, Any], number: int, seen: set[str], source: str = "", stem: str = ""
) -> str:
    """Lay out one chart: title, subtitle, key, sliders, plot, source line, numbers and code.

    Parameters
    ----------
    spec : mapping
        A finished chart's spec.
    number : int
        Its place among the page's charts [-].
    seen : set of str
        Names of the sliders that the page already shows; extended.
    source : str
        Code of the cell, shown folded.
    stem : str
        File name of the page without its ending; a table of all numbers stands beside it where they
        are many.

    Returns
    -------
    str
        HTML.
    """
    meta = dict(spec.get("usermeta", {}).get("trn3", {"title": spec.get("description", "Chart")}))
    plot = {
        k: v
        for k, v in spec.items()
        if k not in ("title", "config", "usermeta", "background", "$schema")
    }
    plot |= {
        "width": "container",
        "layer": [v for v in spec.get("layer", []) if v.get("name") != "notes"],
    }
    plot = plot if plot["layer"] else {k: v for k, v in plot.items() if k != "layer"}
    bound = [p for p in spec.get("params", []) if "input" in (p.get("bind") or {})]
    if bound:
        plot["params"] = [
            {k: v for k, v in p.items() if p not in bound or k != "bind"} for p in spec["params"]
        ]
    digits = {p["name"]: len(str(p["bind"]["step"]).partition(".")[2]) for p in bound}
    fresh = [
        dict(p, shown=f"{p['value']:.{digits[p['name']]}f}") for p in bound if p["name"] not in seen
    ]
    seen.update(digits)
    numbers = meta.pop("numbers", None) or {"columns": [], "rows": []}
    right = [
        any(isinstance(row[i], int | float) for row in numbers["rows"])
        for i in range(len(numbers["columns"]))
    ]
    columns = [
        {"name": c.replace("_", " "), "right": r}
        for c, r in zip(numbers["columns"], right, strict=True)
    ]
    words = [["—" if v is None else _shown(v) for v in row] for row in numbers["rows"][:MOST_ROWS]]
    rows = [[w.replace("-", "−") if r else w for w, r in zip(row, right)] for row in words]
    about = meta | {
        "number": number,
        "sliders": fresh,
        "follows": bound and not fresh,
        "code": source,
    }
    about |= {"file": f"{stem}-figure_{number + 1}.csv", "n_rows": len(numbers["rows"])}
    about |= {"rows": rows, "columns": columns}
    about |= {"spec": _data(packing.packed(plot)), "zoom": '"bind":"scales"' in packing.text(plot)}
    return _template().render(part="figure", f=about)


def long_tables(outputs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tables under charts that are too long for a page, which shows their beginning.

    Parameters
    ----------
    outputs : iterable of mapping
        Outputs of all cells.

    Returns
    -------
    dict
        Columns and data by name.
    """
    specs = [o["data"][charts.MIME] for o in outputs if charts.MIME in o.get("data", {})]
    numbers = [s.get("usermeta", {}).get("trn3", {}).get("numbers") or {"rows": []} for s in specs]
    long = {f"figure_{i}": n for i, n in enumerate(numbers, 1) if len(n["rows"]) > MOST_ROWS}
    return {name: {"columns": n["columns"], "data": n["rows"]} for name, n in long.items()}


def _output(
    output: Mapping[str, Any], seen: set[str], count: list[int], source: str, stem: str
) -> tuple[str, str]:
    """One output of a code cell as (kind, HTML)."""
    data = output.get("data", {})
    if charts.MIME in data:
        count[0] += 1
        return "figure", figure(data[charts.MIME], count[0] - 1, seen, source, stem)
    if story.RESULTS in data:
        return "none", ""
    if "text/html" in data:
        wide = '<div class="wide" tabindex="0" role="region" aria-label="Table">{}</div>'
        found, text = r"<table(?! class=\"stats\").*?</table>", clean("".join(data["text/html"]))
        return "prose", re.sub(found, lambda m: wide.format(packing.table(m[0])), text, flags=re.S)
    if "text/markdown" in data:
        return "prose", markdown("".join(data["text/markdown"]))
    text = (
        "".join(output.get("text", ""))
        or "\n".join(output.get("traceback", []))
        or "".join(data.get("text/plain", ""))
    )
    return "prose", f"<pre>{escape(text)}</pre>"


def _blocks(notebook: Any, stem: str) -> tuple[dict[str, str], list[tuple[str, str]], bool]:
    """Title, introduction and answer; then the other blocks as (region, HTML) in reading order."""
    head = dict.fromkeys(("title", "intro", "answer", "headline"), "")
    blocks: list[tuple[str, str]] = []
    seen: set[str] = set()
    count = [0]
    for cell in notebook["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if head["title"] or not source.startswith("# "):
                blocks.append(("prose", markdown(source)))
            else:
                head["title"], _, rest = source[2:].partition("\n")
                head["intro"] = markdown(rest)
            continue
        made = [_output(o, seen, count, source, stem) for o in cell.get("outputs", [])]
        region = next((t for t in tags if t in HEADINGS), "")
        words = "".join(markup for kind, markup in made if kind == "prose")
        if "answer" in tags:
            head["answer"] += words
        elif region and words:
            own = blocks and blocks[-1][0] == "prose" and blocks[-1][1].startswith("<h2>")
            blocks.append(
                (region, (blocks.pop()[1] if own else f"<h2>{HEADINGS[region]}</h2>") + words)
            )
        else:
            drawn = [m for kind, m in made if kind == "figure"]
            if "headline" in tags:
                head["headline"] += "".join(
                    drawn
                )  # stands on the first screen, before any explanation
            else:
                blocks += [("half" if "half" in tags else "figure", m) for m in drawn]
            blocks += [("prose", words)] if words else []
        if "worked" in tags:
            blocks.append(
                (
                    "prose",
                    _template().render(
                        part="code", summary="The lines that compute it", sources=[source]
                    ),
                )
            )
    return head, blocks, count[0] > 0


def told(notebook: Any) -> str:
    """Give the answer of an executed notebook as plain text, for the index.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.

    Returns
    -------
    str
        The sentences; empty without an answer.
    """
    cells = (c for c in notebook["cells"] if "answer" in c["metadata"].get("tags", []))
    texts = (
        o["data"].get("text/plain", "") for c in cells for o in c.get("outputs", []) if "data" in o
    )
    return str(next(texts, "")).partition(" | ")[0]


def _arranged(blocks: list[tuple[str, str]]) -> str:
    """Blocks in order; halves side by side, and what would change the answer beside what it was
    checked against.
    """
    out: list[str] = []
    partner = {"half": "half", "flips": "checks", "checks": "flips"}
    while blocks:
        (kind, markup), *blocks = blocks
        if (
            blocks
            and blocks[0][0] == partner.get(kind)
            and (markup + blocks[0][1]).count("<li>") < 12
        ):
            word = "" if kind == "half" else ' class="prose"'
            both = "".join(f"<div{word}>{m}</div>" for m in (markup, blocks.pop(0)[1]))
            kind, markup = "half", f'<div class="pair">{both}</div>'
        out.append(
            markup if kind in ("figure", "half") else f'<section class="prose">{markup}</section>'
        )
    body = "\n".join(out)
    number = {
        name: str(i) for i, name in enumerate(re.findall(r'<li id="source-([^"]+)"', body), 1)
    }
    return re.sub(
        r'(<a class="cite" href="#source-([^"]+)">)[^<]*',
        lambda m: m[1] + number.get(m[2], m[2]),
        body,
    )


def export(
    notebook: Any,
    path: Path,
    *,
    report: str,
    parameters: Mapping[str, Any],
    defaults: Mapping[str, Any],
    command: str,
    data_date: str,
    shared_js: bool = False,
) -> None:
    """Write an executed notebook as a page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed, with tagged cells.
    path : pathlib.Path
        The page; appears whole or not at all.
    report : str
        Name, for example ``01_claims``.
    parameters : mapping
        Values used, by name.
    defaults : mapping
        Values where none is given; others are marked "changed".
    command : str
        What reproduces the page.
    data_date : str
        Day of the newest number in the data.
    shared_js : bool
        Load ``vega.js`` from beside the page instead of carrying it inside.
    """
    from trn3.reporting import parameters as declared

    head, blocks, charted = _blocks(notebook, path.stem)
    changed = [n for n, v in parameters.items() if n in defaults and defaults[n] != v]
    about = {
        "entries": panel.entries(parameters, declared.read(notebook)),
        "changed": changed,
        **head,
    }
    body = _arranged(blocks)  # a page alone leads to no other
    body = body if shared_js else re.sub(r'<a href="\w+\.ipynb">(.*?)</a>', r"\1", body)
    about |= {"command": command, "data_date": data_date, "blocks": body}
    cells = [
        c for c in notebook["cells"] if c["cell_type"] == "code" and not c["metadata"].get("tags")
    ]
    about |= {"sources": ["".join(c["source"]) for c in cells]}
    _page(path, "report", report, charted, shared_js, results=f"{path.stem}.json", **about)


def error_page(
    path: Path,
    *,
    report: str,
    parameters: Mapping[str, Any],
    command: str,
    message: str,
    cell: int | None = None,
    source: str = "",
    traceback: str = "",
    shared_js: bool = False,
) -> None:
    """Write the page that stands where a report could not be made.

    Parameters
    ----------
    path : pathlib.Path
        The page.
    report : str
        Name, for example ``07_cost``.
    parameters : mapping
        Values used, by name.
    command : str
        What reproduces the failure.
    message : str
        The error, its first line for everybody.
    cell : int, optional
        Number of the cell.
    source : str
        Its code.
    traceback : str
        The full message, folded.
    shared_js : bool
        Whether it stands in a collection, to whose index it leads.
    """
    first = message.partition("\n")[0] or "The report stopped without a message"
    reason = re.sub(r"^(?:\w*Error|(?:[A-Z][a-z]+){2,}): ", "", first).rstrip(".") + "."
    bad = next((p for p in parameters if re.search(rf"\b{re.escape(p)}\b", reason)), "")
    facts = [
        ("Cell", "" if cell is None else str(cell)),
        ("Message", first),
        ("Parameter", f"{bad} = {parameters[bad]!r}" if bad else ""),
    ]
    about: dict[str, Any] = {
        "title": "This report could not be made",
        "lead": reason,
        "bad": bad,
        "facts": facts,
        "entries": panel.entries(parameters),
    }
    about |= {
        "rest": "Change the parameter that it names, or run the command below to see the message again."
    }
    about |= {"command": command, "full": [t for t in (source, traceback or message) if t]}
    _page(path, "error", report, shared_js=shared_js, **about)
