"""The pages around the reports: the index by question, every chip and source, the glossary, a
search over all numbers.

Each chip and each source has a page of its own; ``chips.html`` and ``sources.html`` lead to them.
They share a style sheet and a script beside the reports. Codes and ids become words by
``data/labels.csv``; the template escapes all text, and the search writes its rows as text nodes.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import jinja2

from trn3 import data, hardware
from trn3.reporting import files, html, panel
from trn3.reporting.markup import markdown
from trn3.show import story, words
from trn3.study import claims

Row = Mapping[str, Any]
HERE = Path(__file__).parent
GLOSSARY = data.home() / "docs" / "glossary.md"
PAGES = {k: k.capitalize() for k in ("search", "chips", "sources", "glossary")}
KINDS = {
    "specs": "Spec",
    "systems": "Spec",
    "prices": "Price",
    "assumptions": "Assumption",
    "sites": "Site",
}
KINDS |= {"failures": "Fleet"}
GROUPS = {
    "Start": "00",
    "Trust": "01 10",
    "Performance": "02 03 04",
    "Savings": "07 08 09",
    "Energy": "05",
}
GROUPS |= {"Scaling": "06", "Explore": "11", "Others": ""}
UNITS = {
    "-": "",
    "count": "",
    "x": "×",
    "1": "",
    "share": "",
    "d": "days",
    "day": "days",
    "month": "months",
}
UNITS |= {"USD/h": "USD per chip-hour", "USD/chip-h": "USD per chip-hour", "1/s": "/s", "None": ""}
PEAKS, HARDWARE = (
    ("bf16", "fp8", "fp4"),
    {"chip": "Chips", "system": "Systems", "cluster": "Clusters"},
)
TITLES = {
    "search": "Search every number",
    "chips": "Chips and systems",
    "sources": "Sources",
    "glossary": "Glossary",
}
QUESTION = "Is Trainium3 faster, leaner and cheaper for your model?"
RUNS = {"training_runs": "source_key", "inference_runs": "source_id", "models": "source_id"}
POLICY = "default-src 'none'; style-src file: 'self'; script-src file: 'self'; base-uri 'none'; form-action 'none'"
CODES = r"""\d{4}-\d\d-\d\d|(\d+)/(\d+)\ tokens|\d+(?:\.\d+)?e[-+]?\d+|busy\ 0\.\d+|\d+\.\d(?=\ USD)|USD/(?:chip-)?h\b
|(?<![\w-])(?<!\d[.,])(?!20[123]\d\b)\d{4,}(?![\w-]|[.,]\d)|(?<=\d)\ x\ (?=\d)
|(?<![\w.-])[a-z][a-z0-9]*(?:_[a-z0-9]+|\d)\w*"""
WHOLE = r"""<(style|script|header|details|a|button|math|code|pre|svg|label|h[1-3]|title|dl|footer)\b.*?</\1>
|<span\ class="badge.*?</span>|<ul\ class="key".*?</ul>|<[^>]*>|[^<]+"""


# ------------------------------------------------------------------------------- words and numbers
def worded(text: str) -> str:
    """Conditions of a report as words: ids become names, and numbers follow the rules of the house.

    Parameters
    ----------
    text : str
        Parts divided by commas.

    Returns
    -------
    str
        The same for a reader.

    Examples
    --------
    >>> worded("2e+12 tokens, 2048 chips, bf16, batch 1024 x 8192, busy 0.6")
    '2.0 trillion tokens, 2,048 chips, BF16, batch 1,024 × 8,192, busy 60%'
    >>> worded("2048/512 tokens, us_east_2, 2026-07-22")
    '2,048 tokens in, 512 out, us-east-2 (Ohio), 22 Jul 2026'
    """

    def word(found: re.Match[str]) -> str:
        code = found[0]
        if found[1]:
            return f"{int(found[1]):,} tokens in, {int(found[2]):,} out"
        if re.fullmatch(r"[\d.]+e[-+]?\d+", code):
            return words.big(float(code)) if float(code) >= 1 else f"{float(code):.12f}".rstrip("0")
        if code.startswith("busy"):
            return f"busy {words.pct(float(code[5:]))}"
        if code.replace(".", "").isdigit():
            return f"{float(code):.2f}" if "." in code else f"{int(code):,}"
        return {" x ": " × "}.get(code) or UNITS.get(code) or words.day(data.named(code))

    return re.sub(CODES, word, ", ".join(map(data.named, text.split(", "))), flags=re.X)


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value or "")
    return "" if math.isnan(value) else f"{value:,.10g}".replace("-", "−")


def _shown(row: Row) -> dict[str, Any]:
    """Value, range and unit as a table shows them."""
    low, high = row.get("low"), row.get("high")
    ends = ["" if v == row["value"] == low == high else _number(v) for v in (low, high)]
    words, unit = (
        {"undisclosed": "not published", "unsupported": "not supported"},
        str(row["unit"] or ""),
    )
    value = words.get(str(row["status"]), _number(row["value"]) or "—")
    span = (" to " if "−" in ends[0] else "–").join(ends) if all(ends) else ""
    return {"value": value, "span": span, "unit": {"-": "", "count": "", "x": "×"}.get(unit, unit)}


def _amount(low: float, high: float, unit: str, digits: int) -> str:
    """A number, or a range where its ends differ, with its unit in words."""
    top, share = max(abs(low), abs(high)), unit in ("-", "1", "share")
    percent = share and top <= 1
    sizes = {1e12: " trillion", 1e9: " billion", 1e6: " million", 0.0: ""}
    size = next(s for s in sizes if top >= s)
    low, high = (v * 100 if percent else v / (size or 1.0) for v in (low, high))
    text = words.rng(low, high, digits=digits)
    if low == high and digits == 3 and low == round(low):
        text = words.big(low)
    elif low == high and unit.startswith("USD") and top < 100:
        text = words.money(low).partition(" ")[0]
    word = "%" if percent else UNITS.get(unit, unit)
    return f"{text}{sizes[size]}{'' if word in ('', '×', '%', '/s') else ' '}{word}"


# --------------------------------------------------------------------------------------- the index
def _headline(row: Row) -> dict[str, Any]:
    """What card and table show of a report: number, range, strip and badge."""
    number: Row = next(iter(row.get("headline") or []), {})
    value, low, high = (number.get(k) for k in ("value", "low", "high"))
    unit, name, done = (
        str(number.get("unit")),
        str(number.get("name") or ""),
        row["status"] == "done",
    )
    unit = "tokens/s" if unit == "1/s" and "tokens/s" in name else unit
    digits, conditions = 3 if low is high is None else 2, str(number.get("conditions") or "")
    real = isinstance(value, int | float)
    about = dict(row) | {
        "number": row["notebook"][:2],
        "done": done,
        "value": value if real else "",
        "strip": [],
    }
    text = str(value or "—")
    if isinstance(value, int | float):
        text = _amount(value, value, unit, digits)
    about |= {"text": text, "span": ""}
    if None not in (low, high) and low != high:
        about["span"] = _amount(low, high, unit if unit in ("-", "1", "share") else "", 2)  # type: ignore[arg-type]
        ends = [v for v in (low, high, value, number.get("baseline")) if isinstance(v, int | float)]
        width = (max(ends) - min(ends)) or 1.0
        about["strip"] = (
            [round(20 + 260 * (v - min(ends)) / width, 1) for v in ends] if len(ends) == 4 else []
        )
    elif high is not None and low is None:
        conditions = conditions.replace("high:", f"{_amount(high, high, unit, 2)} at the")
    about["group"] = next(
        g for g, numbers in GROUPS.items() if about["number"] in numbers.split() or not numbers
    )
    about["question"] = row.get("question") or row["notebook"][3:].replace("_", " ").capitalize()
    about |= {
        "conditions": worded(conditions[:1].upper() + conditions[1:]),
        "name": worded(name[:1].upper() + name[1:]),
    }
    badge = str(number.get("status") or "") if done else "Failed"
    return about | {"badge": story.badge(badge) if badge else ""}


def index(
    rows: Sequence[Row],
    path: Path,
    *,
    data_date: str,
    title: str = "",
    lead: str = "",
    rest: str = "",
) -> None:
    """Write the page that leads to several reports, by question, and compares their headline
    numbers.

    Parameters
    ----------
    rows : sequence of mapping
        One per report: ``report`` (file name without suffix), ``notebook``, ``status`` ("done" or
        else), ``parameters``, ``headline`` (as in the results file), ``reason`` when failed,
        ``question`` (the title), and ``answer`` (that of the start page leads the collection).
    path : pathlib.Path
        The page.
    data_date : str
        Day of the newest number in the data.
    title : str
        The collection's question.
    lead, rest : str
        Its answer; how many reports were made without it.
    """
    shown = [_headline(r) for r in rows]
    failed = sum(not s["done"] for s in shown)
    own = next(
        (str(r["answer"]) for r in rows if r.get("answer") and str(r["notebook"]).startswith("00")),
        "",
    )
    if not lead:
        made = f"{len(rows) - failed} of {len(rows)} reports were made" + (
            f"; {failed} failed." if failed else "."
        )
        lead, _, rest = (own or made).partition(". ")
    stems = [r["notebook"] for r in rows]
    again = [
        r["parameters"] for r in rows if stems.count(r["notebook"]) > 1
    ]  # a collection has nothing to compare
    names = dict.fromkeys(n for p in again for n in p)
    varied = [n for n in names if len({str(p.get(n)) for p in again if n in p}) > 1]
    for s in shown:
        s["varied"] = [
            (s["parameters"].get(n), panel.value(s["parameters"].get(n, "—"))) for n in varied
        ]
    cards = {
        g: [s for s in shown if s["group"] == g and stems.count(s["notebook"]) == 1] for g in GROUPS
    }
    heads = [
        "Report",
        *(data.named(v).replace("_", " ").capitalize() for v in varied),
        "Headline",
        "80% range",
        "Status",
    ]
    title = title or (shown[0]["question"] if len(set(stems)) == 1 else QUESTION)
    about: dict[str, Any] = {
        "title": title,
        "lead": lead,
        "rest": rest,
        "results": "index.csv",
        "runs": shown,
    }
    about |= {
        "cards": cards,
        "heads": heads,
        "strips": any(s["strip"] for some in cards.values() for s in some),
    }
    about["sheet"] = (HERE / "index.css").read_text(encoding="utf-8")
    html._page(path, "index", "Reports", data_date=data_date, kicker="Report collection", **about)


# ----------------------------------------------------------------------------------- the reference
def _numbers() -> list[dict[str, Any]]:
    """Every row of the long tables, and every claim, in published units and in reading order."""
    found = list[dict[str, Any]]()
    labels = {
        r["name"]: r | {"rank": i} for i, r in enumerate(data.table("labels").to_dict("records"))
    }
    for table, kind in KINDS.items():
        for row in data.table(table).to_dict("records"):
            label = labels.get(
                row["quantity"], {"label": row["quantity"].replace("_", " "), "group": "Other"}
            )
            more = [data.named(str(row.get(k) or "")) for k in ("dtype", "basis")]
            term, region = (str(row.get(k) or "") for k in ("term", "region"))
            ranks = [
                labels.get(str(c), {}).get("rank", -1)
                for c in (row["quantity"], row["dtype"], term, row["basis"])
            ]
            row |= {
                "raw": row["value"],
                "kind": kind,
                "rank": ranks,
                "more": ", ".join(filter(None, more)),
            } | _shown(row)
            row |= {"name": data.named(row["subject"]), "place": data.named(region)}
            row |= {
                "offer": labels.get(term, {}).get("group", ""),
                "term": data.named(term),
                "region": region,
            }
            found.append(row | {"label": label["label"], "group": label["group"]})
    used = {data._group(n): n for n in found if n["use"] == "yes"}
    for n in found:
        n["taken"] = used.get(data._group(n), n)
        n["spare"] = n["taken"] is not n
    words = claims.verdicts().set_index("id")["verdict"]
    for row in data.table("claims").to_dict("records"):
        row |= {
            "value": row["claimed"],
            "status": words[row["id"]],
            "kind": "Claim",
            "name": f"“{row['wording']}”",
        }
        row |= {
            "quantity": "",
            "label": "",
            "more": row["claimant"],
            "note": row["reason"],
            "rank": [-1],
        }
        found.append(row | _shown(row) | {"spare": False})
    newest = sorted(found, key=lambda n: str(n.get("price_date")), reverse=True)
    return sorted(newest, key=lambda n: n["rank"])


def glossary() -> tuple[str, list[dict[str, Any]]]:
    """Read the glossary.

    Returns
    -------
    tuple of str and list of dict
        Its HTML, with an anchor per term and per name in code; its entries: ``term``, ``anchor``,
        ``names``, ``meaning``.
    """
    text, entries = (
        "| " + GLOSSARY.read_text(encoding="utf-8").partition("\n| ")[2],
        list[dict[str, Any]](),
    )
    page = markdown(text)
    for term, names, meaning, *_ in (
        line[2:].split(" | ") for line in re.findall(r"^\| .*", text, re.M)[1:]
    ):
        codes, anchor = re.findall(r"`([\w.]+)`", names), re.sub(r"\W+", "_", term.lower())
        entries.append(
            {"term": term, "anchor": anchor, "names": codes, "meaning": meaning.replace("`", "")}
        )
        page = page.replace(f"<td>{term}</td>", f'<th scope="row" id="{anchor}">{term}</th>', 1)
        for name in set(codes) - {anchor}:
            page = page.replace(f"<code>{name}</code>", f'<code id="{name}">{name}</code>', 1)
    return page, entries


def _found(reports: Sequence[Row], numbers: list[dict[str, Any]], about: Row) -> Row:
    """What the search looks through: rows, class of each badge, and meanings to be found by."""
    rows = []
    for one, number in ((r, n) for r in reports for n in r["headline"]):
        told = _headline(dict(one) | {"headline": [number]})
        value, _, unit = told["text"].partition(" ")
        shown = [
            f"{told['name']} · {told['question']}",
            value,
            told["span"],
            unit,
            number["status"] or "",
        ]
        rows.append(["Result", *shown, f"{one['report']}.html", "", told["conditions"], ""])
    for n in numbers:
        name = " · ".join(
            filter(None, (n["name"], n["label"], n["more"], n.get("term"), n.get("place")))
        )
        link = (
            f"chips/{n['subject']}.html"
            if n["subject"] in about["subjects"]
            else f"sources/{n['source_id']}.html"
        )
        note = f"{n['note']} (not in use)".strip() if n["spare"] else n["note"]
        shown = [n["value"], n["span"], n["unit"], n["status"]]
        rows.append([n["kind"], name, *shown, link, n["source_id"], note, n["quantity"]])
    for e in about["entries"]:
        link = f"glossary.html#{e['anchor']}"
        rows.append(
            ["Term", e["term"], "", "", "", "", link, "", e["meaning"], " ".join(e["names"])]
        )
    badges = {r[5]: story.badge(r[5]).split('"')[1] for r in rows if r[5]}
    publishers = {name: s["publisher"] for name, s in about["sources"].items()}
    return {"rows": rows, "badges": badges, "meanings": about["meanings"], "publishers": publishers}


def _cells(chip: str, numbers: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What the table of chips shows of one: peaks, memory, power and the lowest rent."""

    def cell(label: str, unit: str, scale: float, *name: str) -> dict[str, str]:
        fact = data.maybe(chip, *name)
        low, middle, high = fact.range / scale if fact else (math.nan,) * 3
        text, span = (
            _number(float(f"{middle:.4g}")),
            words.rng(low, high, digits=3) if low < high else "",
        )
        word = fact.status if fact and fact.status != "published" else ""
        return {"label": label, "unit": unit, "text": text or "—", "span": span, "word": word}

    formats = dict.fromkeys(PEAKS, "none")
    for width in PEAKS:
        with suppress(hardware.UnsupportedDtype):
            formats[width] = hardware.chip(chip).native(width)
    cells = [
        cell(f"{w.upper()} peak", "TFLOP/s", 1e12, "peak_flops_per_s", f)
        for w, f in formats.items()
    ]
    cells += [
        cell("HBM", "GiB", 2.0**30, "hbm_bytes"),
        cell("Bandwidth", "TB/s", 1e12, "hbm_bytes_per_s"),
    ]
    cells += [
        cell("Power", "W", 1.0, "power_w"),
        cell("Lowest rent", "USD per chip-hour", 1.0, "none"),
    ]
    rents = [n for n in numbers if n.get("offer") == "rent" and not n["spare"] and n["raw"] > 0]
    for n in sorted(
        (n for n in rents if n["quantity"] == "price_usd_per_chip_h"), key=lambda n: n["raw"]
    )[:1]:
        cells[-1] |= {"text": f"{n['raw']:.2f}", "word": f"{n['term']}, {_month(n['price_date'])}"}
    return cells


# ------------------------------------------------------------------------------- joining the pages
def _explained(page: str, about: Row) -> str:
    """A report whose terms, chips, sources and notebooks lead to their pages, terms where they
    are met first.
    """
    made = {str(one["notebook"]): one["report"] for one in reversed(about["made"])}
    left = {e["term"].lower(): e for e in about["entries"]}
    chip = {escape(s["name"]): name for name, s in about["subjects"].items()}
    terms = re.compile(
        rf"\b({'|'.join(map(re.escape, sorted(left, key=len, reverse=True)))})s?\b", re.I
    )

    def term(found: re.Match[str]) -> str:
        e = left.pop(found[1].lower(), None)
        link = (
            f'<a class="term" href="glossary.html#{e["anchor"]}" title="{escape(e["meaning"])}">'
            if e
            else ""
        )
        return f"{link}{found[0]}</a>" if e else found[0]

    def chips(found: re.Match[str]) -> str:
        parts = ((part, chip.get(part)) for part in found[0].split(", "))
        return ", ".join(
            f'<a href="chips/{name}.html">{part}</a>' if name else part for part, name in parts
        )

    def cite(found: re.Match[str]) -> str:
        source = {} if f'id="source-{found[1]}"' in page else about["sources"].get(found[1], {})
        return (
            f'href="sources/{found[1]}.html">{escape(source["publisher"])}' if source else found[0]
        )

    def report(found: re.Match[str]) -> str:
        return f'<a href="{made[found[1]]}.html">{found[2]}</a>' if found[1] in made else found[0]

    page = re.sub(r'<span data-report="(\w+)">([^<]*)</span>', report, page)
    page = re.sub(
        WHOLE, lambda m: m[0] if m[0][0] == "<" else terms.sub(term, m[0]), page, flags=re.S | re.X
    )
    page = re.sub(r"(?<=<dd>)[^<]*", chips, page)
    page = re.sub(r'href="#source-([^"]+)">[^<]*', cite, page)
    numbers = r'\1 <a href="sources/\2.html">Its numbers</a></li>'
    return re.sub(r'(<li id="source-([^"]+)">(?:(?!</li>).)*)</li>', numbers, page)


def _uses(reports: Sequence[Row], texts: Mapping[str, str]) -> dict[str, list[Row]]:
    """Reports that were made with a chip or system, or that list a source, by its id."""
    uses = defaultdict[str, list[Row]](list)
    chips = dict(data.table("subjects").query("chip != ''")[["id", "chip"]].itertuples(index=False))
    for one in reports:
        used = [
            str(v) for p in one["parameters"].values() for v in (p if isinstance(p, list) else [p])
        ]
        used += [chips[v] for v in used if v in chips] + re.findall(
            r'<li id="source-([^"]+)"', texts[one["report"]]
        )
        for name in dict.fromkeys(used):
            uses[name].append(one)
    return uses


def _month(text: str) -> str:
    """A day, or a month where no day is known, for prose."""
    return words.day(f"{text}-01").partition(" ")[2] if len(text) == 7 else words.day(text)


def _about(reports: Sequence[Row], texts: Mapping[str, str]) -> dict[str, Any]:
    """What the reference pages show: subjects, sources, terms, and what was made, said and
    measured of them.
    """
    numbers, (glossed, entries), table = _numbers(), glossary(), data.table("subjects")
    table = table[table["kind"].isin(HARDWARE)].sort_values("since", ascending=False, kind="stable")
    ordered = sorted(table.to_dict("records"), key=lambda s: (s["vendor"] != "AWS", s["vendor"]))
    owned, cited = (
        defaultdict[str, list[dict[str, Any]]](list),
        defaultdict[str, list[dict[str, Any]]](list),
    )
    for n in numbers:
        owned[n["subject"]].append(n)
        cited[n["source_id"]].append(n)
    for s in ordered:
        s["cells"] = _cells(s["id"], owned[s["id"]]) if s["kind"] == "chip" else []
        s["n_chips"] = next(
            (n["value"] for n in owned[s["id"]] if n["quantity"] == "n_chips" and not n["spare"]),
            "",
        )
    checked = data.table("validation").drop_duplicates("row_id").groupby(["chip", "kind"]).size()
    about: dict[str, Any] = {
        "pages": PAGES,
        "hardware": HARDWARE,
        "subjects": {s["id"]: s for s in ordered},
    }
    about |= {
        "owned": owned,
        "cited": cited,
        "entries": entries,
        "glossary": glossed,
        "made": reports,
    }
    about |= {
        "uses": _uses(reports, texts),
        "sources": {s["id"]: s for s in data.table("sources").to_dict("records")},
    }
    about |= {
        "runs": {t: data.table(t)[column].value_counts().to_dict() for t, column in RUNS.items()}
    }
    about |= {"meanings": {name: e["meaning"] for e in entries for name in e["names"]}}
    about |= {"measured": {c: checked[c].to_dict() for c in checked.index.unique(0)}}
    return about | {"found": html._data(_found(reports, numbers, about))}


def write(reports: Sequence[Row], out: Path) -> None:
    """Write the reference pages beside reports, and join all pages with each other.

    Parameters
    ----------
    reports : sequence of mapping
        Manifest line of each report: ``report``, ``notebook``, ``question``, ``parameters``,
        ``headline``.
    out : pathlib.Path
        Folder with their pages and ``index.html``.
    """
    texts = {
        str(r["report"]): (out / f"{r['report']}.html").read_text(encoding="utf-8") for r in reports
    }
    about, env = _about(reports, texts), jinja2.Environment(autoescape=True, trim_blocks=True)
    env.filters |= {"badge": story.badge, "day": words.day, "month": _month, "neat": words.neat}
    env.filters["sentence"] = lambda t: t[:1].upper() + t[1:]
    template = env.from_string((HERE / "site.html").read_text(encoding="utf-8"), about)
    common = {
        "part": "site",
        "policy": POLICY,
        "data_date": str(data.data_date()),
        "version": html.trn3.__version__,
    }

    def joined(text: str, **words: Any) -> str:
        turn = template.render(part="turn", **words) + "</main>"
        nav = (
            template.render(part="nav", **{"root": "", "here": ""} | words)
            + '<button type="button" id="theme">'
        )
        return text.replace('<button type="button" id="theme">', nav, 1).replace("</main>", turn, 1)

    def put(name: str, part: str, title: str, kicker: str = "Reference", **words: Any) -> None:
        root, here = "../" if "/" in name else "", name.partition("/")[0]
        text = template.render(part=part, root=root, here=here, **words)
        intro, body = re.split(r"(?=<section|<table|\Z)", text, maxsplit=1)
        words = {
            "title": title,
            "name": "Reference",
            "kicker": kicker,
            "intro": intro,
            "body": body,
            "root": root,
        }
        words["files"] = ["site.js", "search.js"][: 1 + (part == "search")]
        files.write(
            out / f"{name}.html",
            joined(html._template().render(common | words), root=root, here=here),
        )

    for folder in ("chips", "sources"):
        (out / folder).mkdir(exist_ok=True)
    files.write(
        out / "site.css", html._assets()["css"] + (HERE / "site.css").read_text(encoding="utf-8")
    )
    files.write(out / "site.js", html._assets()["js"])
    files.write(out / "search.js", (HERE / "search.js").read_text(encoding="utf-8"))
    for part, title in TITLES.items():
        put(part, part, title)
    for name, s in about["subjects"].items():
        put(f"chips/{name}", "chip", s["name"], TITLES["chips"], id=name)
    for name, s in about["sources"].items():
        put(f"sources/{name}", "source", s["title"], TITLES["sources"], id=name)
    for before, one, after in zip([None, *reports], reports, [*reports[1:], None], strict=False):
        page = (
            _explained(texts[one["report"]], about)
            if one["status"] == "done"
            else texts[one["report"]]
        )
        files.write(out / f"{one['report']}.html", joined(page, before=before, after=after))
    files.write(out / "index.html", joined((out / "index.html").read_text(encoding="utf-8")))
