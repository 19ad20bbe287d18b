"""One executed notebook as one HTML page: offline, interactive, printable, readable without a mouse and without colour.

The cells' tags say what goes where. Charts leave their title, key, source, numbers and sliders to HTML and draw only the
plot; every colour of a spec becomes a CSS variable, so that the theme switches without redrawing and paper is light.
A strict content-security policy lets run the page's two scripts and nothing else, whatever a text may contain.
"""

import base64
import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import trn3
from trn3 import charts, story

HERE = Path(__file__).parent
VEGA_LITE = "6.4"
MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace'
VARIABLES = {light: f"var(--{name})" for name, (light, _) in reversed(charts.TOKENS.items())}
HEADINGS = {
    "assumptions": "What we assumed",
    "flips": "What would change the answer",
    "checks": "Checked against",
    "sources": "Sources",
}
GROUPS = {
    "Start": ("00",),
    "Performance": ("02", "03", "04"),
    "Energy": ("05",),
    "Scaling": ("06",),
    "Savings": ("07", "08", "09"),
    "Trust": ("01", "10", "11"),
}
ALLOWED = set(
    "a b blockquote br caption code dd dl dt div em h2 h3 h4 hr i li ol p pre s small span strong sub sup table tbody td"
    " tfoot th thead tr ul math mrow mi mn mo ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover"
    " mtable mtr mtd mstyle mpadded menclose".split()
)
KEPT = {"class", "id", "href", "scope", "colspan", "rowspan", "data-v", "display", "stretchy", "fence", "form", "width"}
HIDDEN = {"script", "style", "iframe", "object", "template", "svg", "title"}


# ------------------------------------------------------------------------------------------------------- page parts
class _Cleaner(HTMLParser):
    """Writes markup anew from an allow-list of elements and attributes; everything else becomes nothing or text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.mute = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.mute += tag in HIDDEN
        if tag in ALLOWED and not self.mute:
            safe = [(k, v or "") for k, v in attrs if k in KEPT and not (k == "href" and not _harmless(v or ""))]
            written = "".join(f' {k}="{escape(v)}"' for k, v in safe)
            self.out.append(f"<{tag}{written}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in ALLOWED - {"br", "hr"} and not self.mute:
            self.out.append(f"</{tag}>")
        self.mute -= tag in HIDDEN and self.mute > 0

    def handle_data(self, data: str) -> None:
        self.out.append("" if self.mute else escape(data, quote=False))


def _harmless(link: str) -> bool:
    return bool(re.match(r"(https?://|#|[\w./-]+(#|$))", link)) and not link.startswith("//")


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


@functools.lru_cache
def _markdown() -> Any:
    import mistune

    return mistune.create_markdown(escape=True, plugins=["table", "math"], renderer=_renderer(mistune))


def _renderer(mistune: Any) -> Any:
    class Page(mistune.HTMLRenderer):
        """Headings one level down is not needed: authors write ## and ###; formulas become MathML."""

        def inline_math(self, text: str) -> str:
            return formula(text)

        def block_math(self, text: str) -> str:
            return formula(text, block=True)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return escape(text)

    return Page(escape=True)


@functools.lru_cache(maxsize=500)
def formula(text: str, block: bool = False) -> str:
    """Turn a LaTeX formula into MathML, which every browser draws offline; the source itself where that fails.

    Parameters
    ----------
    text : str
        LaTeX without dollar signs.
    block : bool
        On a line of its own.

    Returns
    -------
    str
        MathML or a ``code`` element.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        return f"<pre>{escape(text.strip())}</pre>" if block else f"<code>{escape(text)}</code>"
    try:
        return clean(convert(text.strip(), display="block" if block else "inline"))
    except Exception:  # an author's formula must not cost the reader the page
        return f"<pre>{escape(text.strip())}</pre>" if block else f"<code>{escape(text)}</code>"


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
    return str(_markdown()(text))


def _css() -> str:
    def block(index: int) -> str:
        return "".join(f"--{name}:{pair[index]};" for name, pair in charts.TOKENS.items())

    light, dark = block(0), block(1)
    themes = f":root{{color-scheme:light;{light}}}@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light])"
    themes += f"{{color-scheme:dark;{dark}}}}}@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}"
    sheet = (HERE / "page.css").read_text(encoding="utf-8").replace("FONT", charts.FONT).replace("MONO", MONO)
    return f"{themes}{sheet}@media print{{:root,:root[data-theme]{{color-scheme:light;{light}}}}}"


def _cache(name: str, make: Any) -> str:
    """Text kept between runs; made anew where no folder can be written."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trn3"
    path = folder / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        text = str(make())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, text)
    except OSError:
        pass
    return text


@functools.lru_cache
def script() -> str:
    """Vega, Vega-Lite and their embedding as one script, for inside a page or for ``vega.js`` beside several.

    Returns
    -------
    str
        JavaScript.
    """
    import vl_convert

    def make() -> str:
        bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
        return "(()=>{" + bundle.replace("</script", "<\\/script").replace("\r", "") + "})();\n"

    return _cache(f"vega-{vl_convert.__version__}-{VEGA_LITE}.js", make)


@functools.lru_cache
def _assets() -> tuple[str, str, str]:
    """Style sheet, page script and chart configuration; the same in all pages."""
    return _css(), (HERE / "page.js").read_text(encoding="utf-8"), _variables(json.dumps(charts.CONFIG))


@functools.lru_cache(maxsize=8)
def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _variables(text: str) -> str:
    return re.sub(r"#[0-9A-Fa-f]{6}\b", lambda m: VARIABLES.get(m[0].upper(), m[0]), text)


def _data(text: str) -> str:
    """JSON that may stand in a script element."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def write(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it.

    Parameters
    ----------
    path : pathlib.Path
        Where.
    text : str
        What.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _page(title: str, name: str, body: str, foot: str, shared_js: bool = True, charted: bool = False) -> str:
    css, js, config = _assets()
    vega = ('<script src="vega.js"></script>' if shared_js else f"<script>{script()}</script>") if charted else ""
    allowed = [_hash(js)] + ([] if not charted else ["file:", "'self'"] if shared_js else [_hash(script())])
    policy = f"default-src 'none'; style-src {_hash(css)}; script-src {' '.join(allowed)}; base-uri 'none'; form-action 'none'"
    config = f'<script type="application/json" id="config">{_data(config)}</script>' if charted else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)} · trn3</title>\n'
        f"<style>{css}</style></head>\n<body>\n"
        f'<a class="skip" href="#answer">Skip to the answer</a>\n'
        f'<header class="bar"><div><a href="index.html">trn3</a><span>{escape(name)}</span>'
        f'<button type="button" id="theme">Dark</button></div></header>\n<main>\n{body}\n</main>\n'
        f"<footer>{foot}</footer>\n{config}{vega}<script>{js}</script>\n</body></html>\n"
    )


def _named(report: str) -> str:
    number, _, words = report.partition("_")
    return f"{number} {words.replace('_', ' ').capitalize()}" if number.isdigit() else report.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(v) for v in value) or "none"
    if isinstance(value, bool) or value in ("", None):
        return {True: "yes", False: "no"}.get(value, "none")
    return str(value) if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _run(
    values: Mapping[str, Any], defaults: Mapping[str, Any], units: Mapping[str, str], command: str, bad: str = ""
) -> str:
    cells = []
    for name, value in values.items():
        pill = '<span class="pill">changed</span>' if name in defaults and defaults[name] != value else ""
        pill = '<span class="pill off">not possible</span>' if name == bad else pill
        unit = f" {units[name]}" if units.get(name, "-") != "-" else ""
        label = name.replace("_", " ")
        cells.append(
            f"<div><dt>{escape(label[:1].upper() + label[1:])}</dt><dd>{escape(_shown(value) + unit)}{pill}</dd></div>"
        )
    copy = (
        f'<div><code>{escape(command)}</code><button type="button" class="copy">Copy</button></div>' if command else ""
    )
    return (
        f'<section class="run" aria-label="Run with"><h2>Run with</h2><dl>{"".join(cells)}</dl>{copy}</section>'
        if cells or copy
        else ""
    )


# --------------------------------------------------------------------------------------------------------- figures
_MARKS = {
    "dot": '<circle cx="11" cy="7" r="5" fill="{c}"/>',
    "hollow": '<circle cx="11" cy="7" r="4.5" fill="var(--page)" stroke="{c}" stroke-width="1.75"/>',
    "square": '<rect x="7" y="3" width="8" height="8" fill="{c}"/>',
    "faint": '<rect x="9" y="5" width="4" height="4" fill="{c}" opacity=".5"/>',
    "triangle": '<path d="M11 2l5.500 10h-11z" fill="{c}"/>',
    "diamond": '<path d="M11 1l6 6-6 6-6-6z" fill="{c}"/>',
    "bar": '<rect x="6" y="2" width="10" height="10" fill="{c}"/>',
    "tick": '<path d="M11 1v12" stroke="{c}" stroke-width="3"/>',
    "line": '<path d="M1 7h20" stroke="{c}" stroke-width="2.500"/>',
    "dashed": '<path d="M1 7h20" stroke="{c}" stroke-width="2.500" stroke-dasharray="6 3"/>',
    "band": '<rect x="1" y="1" width="20" height="12" fill="{c}" opacity=".25"/><path d="M1 7h20" stroke="{c}" stroke-width="2.500"/>',
    "dashband": '<rect x="1" y="1" width="20" height="12" fill="{c}" opacity=".25"/><path d="M1 7h20" stroke="{c}" '
    'stroke-width="2.500" stroke-dasharray="6 3"/>',
    "whisker": '<path d="M2 7h18M2 3v8M20 3v8" stroke="{c}" stroke-width="2"/>',
}


def _key(entries: Iterable[Sequence[str]]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 22 14" aria-hidden="true">{_MARKS.get(mark, _MARKS["dot"]).format(c=f"var(--{token})")}</svg>{escape(label)}</li>'
        for mark, label, token in entries
    )
    return f'<ul class="key">{items}</ul>' if items else ""


def _cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "<td>—</td>" if value is None else f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, (int, float)):
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        return f'<td class="n">{text.replace("-", "−")}</td>'
    return f"<td>{escape(str(value))}</td>"


def _numbers(table: Mapping[str, Any] | None) -> str:
    if not table or not table["rows"]:
        return ""
    sample = [next((r[i] for r in table["rows"] if r[i] is not None), "") for i in range(len(table["columns"]))]
    right = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in sample]
    heads = "".join(
        f'<th scope="col"{" class=n" if n else ""}>{escape(c.replace("_", " "))}</th>'
        for c, n in zip(table["columns"], right)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table["rows"])
    return (
        '<details class="numbers"><summary>Show the numbers</summary><div class="wide" tabindex="0" role="region" '
        f'aria-label="Numbers of the chart"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></details>'
    )


def _sliders(params: Sequence[Mapping[str, Any]], seen: set[str]) -> str:
    fresh = [p for p in params if p["name"] not in seen]
    seen.update(p["name"] for p in params)
    items = []
    for p in fresh:
        bind, label = p["bind"], escape(p["bind"].get("name", p["name"]))
        decimals = len(str(bind["step"]).partition(".")[2])
        items.append(
            f'<div><label for="s-{p["name"]}"><span>{label}</span><output>{p["value"]:.{decimals}f}</output></label><input type="range" '
            f'id="s-{p["name"]}" name="{p["name"]}" min="{bind["min"]}" max="{bind["max"]}" step="{bind["step"]}" value="{p["value"]}" aria-label="{label}"></div>'
        )
    return (
        f'<div class="sliders">{"".join(items)}<button type="button" class="reset">Reset</button><p role="status"></p></div>'
        if items
        else ""
    )


def figure(spec: Mapping[str, Any], number: int, seen: set[str], source: str = "") -> str:
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

    Returns
    -------
    str
        HTML.
    """
    meta = spec.get("usermeta", {}).get("trn3", {})
    dropped = {"title", "config", "usermeta", "padding", "params", "background"}
    plot = {k: v for k, v in spec.items() if k not in dropped} | (
        {"width": "container"} if "layer" in spec or "mark" in spec else {}
    )
    if "layer" in plot:
        plot["layer"] = [layer for layer in plot["layer"] if layer.get("name") != "notes"]
    params = [dict(p) for p in spec.get("params", [])]
    bound = [p for p in params if isinstance(p.get("bind"), dict) and p["bind"].get("input") == "range"]
    plot |= (
        {"params": [{k: v for k, v in p.items() if k != "bind" or p not in bound} for p in params]} if params else {}
    )
    text = _data(_variables(json.dumps(plot, ensure_ascii=False, separators=(",", ":"))))
    drawing = f'<div class="vl" data-n="{number}"></div><script type="application/json">{text}</script>'
    if '"bind":"scales"' in text:
        drawing = f'<p class="zoom">Shift and wheel zoom, Shift and drag move. <button type="button" class="whole">Reset view</button></p>{drawing}'
    if meta.get("empty"):
        drawing = f'<p class="nothing">{escape(meta["empty"])}</p>'
    follows = " Follows the sliders above." if bound and {p["name"] for p in bound} <= seen else ""
    title, sub, foot = (escape(str(meta.get(k, ""))) for k in ("title", "subtitle", "source"))
    code = (
        f'<details class="code"><summary>Code for this chart</summary><pre><code>{escape(source)}</code></pre></details>'
        if source
        else ""
    )
    return (
        f'<figure><h3>{title or escape(str(spec.get("description", "Chart")))}</h3><p class="sub">{sub}{follows}</p>{_key(meta.get("key", []))}'
        f'{_sliders(bound, seen)}{drawing}<p class="src">{foot}</p>{_numbers(meta.get("numbers"))}{code}</figure>'
    )


# ------------------------------------------------------------------------------------------------------- the report
def _outputs(cell: Mapping[str, Any], seen: set[str], count: list[int], source: str) -> list[tuple[str, str]]:
    """Outputs of a code cell as (kind, HTML)."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = "".join(output.get("text", "")) or "\n".join(output.get("traceback", []))
        if charts.MIME in data:
            found.append(("figure", figure(data[charts.MIME], count[0], seen, source)))
            count[0] += 1
        elif story.RESULTS in data:
            continue
        elif "text/html" in data:
            markup = clean("".join(data["text/html"]))
            markup = re.sub(
                r"<table(?! class=\"stats)",
                '<div class="wide" tabindex="0" role="region" aria-label="Table"><table',
                markup,
            )
            found.append(
                (
                    "html",
                    re.sub(r"(?<!</tr>)</table>|(?<=</tbody>)</table>|(?<=</thead>)</table>", "</table></div>", markup),
                )
            )
        elif "text/markdown" in data:
            found.append(("html", markdown("".join(data["text/markdown"]))))
        else:
            found.append(("text", f"<pre>{escape(text or ''.join(data.get('text/plain', '')))}</pre>"))
    return found


def _blocks(notebook: Any) -> tuple[str, str, str, list[tuple[str, str]], bool]:
    """Question, introduction, answer, and the other blocks as (region, HTML) in reading order."""
    title, intro, answer, blocks, seen, count = "", "", "", [], set(), [0]  # type: ignore[var-annotated]
    for cell in notebook["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if not title and source.lstrip().startswith("# "):
                title, _, rest = source.lstrip()[2:].partition("\n")
                intro = markdown(rest)
            else:
                blocks.append(("prose", markdown(source)))
            continue
        if cell["cell_type"] != "code":
            continue
        made = _outputs(cell, seen, count, source)
        region = next((t for t in tags if t in HEADINGS), "")
        body = "".join(markup for _, markup in made)
        if "answer" in tags:
            answer += body
        elif region and body:
            if not (blocks and blocks[-1][0] == "prose" and re.fullmatch(r"<h2>[^<]*</h2>\s*", blocks[-1][1])):
                blocks.append(("prose", f"<h2>{HEADINGS[region]}</h2>"))
            blocks.append((region, f'{blocks.pop()[1]}<div class="prose">{body}</div>'))
        elif body:
            half = "half" if "half" in tags else "figure"
            blocks += (
                [(half, "".join(m for k, m in made if k == "figure"))] if any(k == "figure" for k, _ in made) else []
            )
            rest = "".join(m for k, m in made if k != "figure")
            blocks += [("prose", rest)] if rest else []
        if "worked" in tags:
            blocks.append(("prose", _code("The lines that compute it", source)))
    return title.strip(), intro, answer, blocks, count[0] > 0


def _code(summary: str, *sources: str) -> str:
    text = "".join(f"<pre><code>{escape(s)}</code></pre>" for s in sources)
    return f'<details class="code"><summary>{summary}</summary><div>{text}</div></details>'


def _arranged(blocks: Sequence[tuple[str, str]]) -> str:
    """Blocks in order; halves side by side, and what would change the answer beside what it was checked against."""
    out, i = [], 0
    while i < len(blocks):
        kind, markup = blocks[i]
        partner = {"half": "half", "flips": "checks", "checks": "flips"}.get(kind)
        if partner and i + 1 < len(blocks) and blocks[i + 1][0] == partner:
            tag = "div" if kind == "half" else "section"
            out.append(f'<div class="pair"><{tag}>{markup}</{tag}><{tag}>{blocks[i + 1][1]}</{tag}></div>')
            i += 2
            continue
        out.append(markup if kind in ("figure", "half") else f'<section class="prose">{markup}</section>')
        i += 1
    return "\n".join(out)


def _cited(body: str) -> str:
    """Source links numbered by the list of sources."""
    number = {name: i for i, name in enumerate(re.findall(r'<li id="source-([^"]+)"', body), 1)}
    pattern = r'(<a class="cite" href="#source-([^"]+)">)[^<]*'
    return re.sub(pattern, lambda m: m[1] + str(number.get(m[2], m[2])), body)


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

    title, intro, answer, blocks, charted = _blocks(notebook)
    units = {p.name: p.unit for p in declared.read(notebook)}
    name = _named(report)
    number, _, words = name.partition(" ")
    sources = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    body = (
        f'<p class="kicker">{escape(number)} · {escape(words)}</p>\n<h1>{escape(title)}</h1>\n<section id="answer">{answer}</section>\n'
        f'{_run(parameters, defaults, units, command)}\n<section class="prose intro">{intro}</section>\n{_arranged(blocks)}\n'
        f'<section class="prose"><h2>Code</h2>{_code("All code of this page, in order", *sources)}</section>'
    )
    foot = f"<span>trn3 {trn3.__version__} · data of {escape(story.day(data_date))} · results file "
    foot += f'<a href="{escape(path.stem)}.json">{escape(path.stem)}.json</a></span>'
    write(path, _page(title, name, _cited(body), foot, shared_js, charted))


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
    """
    name = _named(report)
    number, _, words = name.partition(" ")
    kind, _, reason = message.partition("\n")[0].rpartition("Error: ")
    reason = reason or message.partition("\n")[0] or "The report stopped without a message"
    bad = next((p for p in parameters if re.search(rf"\b{re.escape(p)}\b", reason)), "")
    lines = [
        ("Cell", "" if cell is None else str(cell)),
        ("Reason", message.partition("\n")[0]),
        ("Parameter", f"{bad} = {parameters[bad]!r}" if bad else ""),
    ]
    table = "".join(f'<tr><th scope="row">{k}</th><td>{escape(v)}</td></tr>' for k, v in lines if v)
    full = "\n\n".join(t for t in (source, traceback or message) if t)
    body = (
        f'<p class="kicker">{escape(number)} · {escape(words)}</p>\n<h1>This report could not be made</h1>\n<section id="answer">'
        f'<p class="lead"><strong>{escape(reason.rstrip("."))}.</strong> Change the parameter named here, or run the command below to see it again.</p></section>\n'
        f'{_run(parameters, {}, {}, command, bad)}\n<section class="prose"><h2>What went wrong</h2><table><tbody>{table}</tbody></table>'
        f"{_code('Full message for a bug report', full)}</section>"
    )
    write(path, _page("This report could not be made", name, body, f"<span>trn3 {trn3.__version__}</span>"))


# -------------------------------------------------------------------------------------------------------- the index
def _strip(number: Mapping[str, Any]) -> str:
    """Range, value and baseline on one line, only where a baseline is known."""
    ends = [number.get(k) for k in ("low", "high", "value", "baseline")]
    if any(not isinstance(v, (int, float)) for v in ends):
        return ""
    low, high = min(ends), max(ends)
    pad = 0.08 * ((high - low) or 1)
    a, b, v, base = (round(300 * (e - low + pad) / (high - low + 2 * pad), 1) for e in ends)
    return (
        '<svg viewBox="0 0 300 16" preserveAspectRatio="none" aria-hidden="true"><path d="M0 8h300" stroke="var(--line)"/>'
        f'<path d="M{a} 8H{b}" stroke="var(--trn3)" stroke-width="5" opacity=".4"/><path d="M{base} 2v12" stroke="var(--ink)" stroke-width="2"/>'
        f'<circle cx="{v}" cy="8" r="4" fill="var(--trn3)"/></svg>'
    )


def _number(number: Mapping[str, Any]) -> tuple[str, str]:
    """A headline number and its range as text."""
    value, unit = number.get("value"), str(number.get("unit") or "")
    joint = "" if unit in ("×", "%", "x") else " "
    text = story.sig(value, 3) if isinstance(value, (int, float)) else str(value if value is not None else "not known")
    text = story.big(value) if isinstance(value, (int, float)) and abs(value) >= 1000 else text
    low, high = number.get("low"), number.get("high")
    ranged = isinstance(low, (int, float)) and isinstance(high, (int, float)) and low != high
    return f"{text}{joint}{unit.replace('x', '×') if joint == '' else unit}".strip(), story.rng(
        low, high, digits=3
    ) if ranged else ""


def _card(row: Mapping[str, Any]) -> str:
    name = _named(str(row["notebook"]))
    link = (
        f'<a href="{escape(str(row["report"]))}.html">{escape(str(row.get("question") or name.partition(" ")[2]))}</a>'
    )
    head = f"<b>{escape(name.partition(' ')[0])}</b>{link}"
    if row["status"] != "done":
        return f'<div class="card failed">{head}<strong>Failed</strong><small>{escape(str(row.get("reason", "")))}</small><div>{story.badge("Failed")}</div></div>'
    number = next(iter(row.get("headline") or []), {})
    text, span = _number(number)
    conditions = escape(str(number.get("conditions") or number.get("name") or "")) + (f" ({span})" if span else "")
    mark = f"<div>{story.badge(str(number['status']))}</div>" if number.get("status") else ""
    return f'<div class="card">{head}<strong>{escape(text)}</strong><small>{conditions}</small>{_strip(number)}{mark}</div>'


def _runs(rows: Sequence[Mapping[str, Any]]) -> str:
    """The runs of a batch: what varies, the headline number, its range and its verdict; sorts by a click."""
    names = sorted({n for r in rows for n in r["parameters"]})
    varied = [n for n in names if len({str(r["parameters"].get(n)) for r in rows if n in r["parameters"]}) > 1]
    heads = ["Report", *(v.replace("_", " ").capitalize() for v in varied), "Headline", "80% range", "Verdict"]
    lines = []
    for r in rows:
        number = next(iter(r.get("headline") or []), {})
        text, span = _number(number) if number else ("—", "")
        cells = "".join(f"<td>{escape(_shown(r['parameters'].get(v)))}</td>" for v in varied)
        verdict = story.badge("Failed" if r["status"] != "done" else str(number.get("status") or "done"))
        order = number.get("value") if isinstance(number.get("value"), (int, float)) else ""
        lines.append(
            f'<tr><th scope="row"><a href="{escape(str(r["report"]))}.html">{escape(str(r["report"]))}</a></th>{cells}'
            f'<td class="n" data-v="{order}">{escape(text)}</td><td class="n">{span or "—"}</td><td>{verdict}</td></tr>'
        )
    head = "".join(f'<th scope="col"><button type="button">{escape(h)}</button></th>' for h in heads)
    return (
        '<section><h2>All runs</h2><div class="wide" tabindex="0" role="region" aria-label="All runs"><table class="sort">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


def index(
    rows: Sequence[Mapping[str, Any]], path: Path, *, data_date: str, question: str = "", lead: str = "", rest: str = ""
) -> None:
    """Write the page that leads to several reports, by question, and compares their headline numbers.

    Parameters
    ----------
    rows : sequence of mapping
        One per report: ``report`` (file name without suffix), ``notebook``, ``status`` ("done" or else), ``parameters``,
        ``headline`` (as in the results file), ``reason`` when failed, ``question`` (the notebook's title).
    path : pathlib.Path
        The page.
    data_date : str
        Day of the newest number in the data.
    question : str
        The collection's question.
    lead, rest : str
        Its answer; how many reports were made without it.
    """
    done = sum(r["status"] == "done" for r in rows)
    failed = len(rows) - done
    lead = lead or f"{done} of {len(rows)} reports were made{f'; {failed} failed' if failed else ''}."
    single = [r for r in rows if sum(o["notebook"] == r["notebook"] for o in rows) == 1]
    sections = []
    for group, numbers in GROUPS.items():
        cards = "".join(_card(r) for r in single if str(r["notebook"])[:2] in numbers)
        sections.append(f'<section><h2>{group}</h2><div class="cards">{cards}</div></section>' if cards else "")
    others = "".join(_card(r) for r in single if str(r["notebook"])[:2] not in {n for g in GROUPS.values() for n in g})
    sections.append(f'<section><h2>Others</h2><div class="cards">{others}</div></section>' if others else "")
    key = '<ul class="key"><li><svg viewBox="0 0 22 14" aria-hidden="true"><path d="M1 7h20" stroke="var(--trn3)" stroke-width="5" opacity=".4"/>'
    key += '</svg>80% range</li><li><svg viewBox="0 0 22 14" aria-hidden="true"><path d="M11 1v12" stroke="var(--ink)" stroke-width="2"/></svg>baseline</li></ul>'
    body = (
        f'<p class="kicker">Report collection · data of {escape(story.day(data_date))}</p>\n'
        f"<h1>{escape(question or 'Is Trainium3 faster, leaner and cheaper for your model?')}</h1>\n"
        f'<section id="answer"><p class="lead"><strong>{escape(lead)}</strong> {escape(rest)}</p></section>\n'
        f"{key if any('svg' in s for s in sections) else ''}{''.join(sections)}\n{_runs(rows)}"
    )
    foot = f'<span>trn3 {trn3.__version__} · data of {escape(story.day(data_date))} · all headline numbers <a href="index.csv">index.csv</a></span>'
    write(path, _page("Reports", "Reports", body, foot))
