"""The reference pages beside the reports: every chip, every source, the glossary, and a search over all numbers.

Chips and sources share one page each, with an anchor per entry, so that the browser's own search finds them. The words
of the tables stay text: the template escapes them, and the search writes its rows as text nodes.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from trn3 import claims, data, story
from trn3.reporting import html
from trn3.reporting.markup import markdown

Row = Mapping[str, Any]
HERE = Path(__file__).parent
GLOSSARY = HERE.parents[1] / "docs" / "glossary.md"
PAGES = {"search": "Search every number", "chips": "Chips and systems", "sources": "Sources", "glossary": "Glossary"}
KINDS = {"specs": "Spec", "systems": "Spec", "prices": "Price", "assumptions": "Assumption", "sites": "Site"}
KINDS |= {"failures": "Fleet"}
HARDWARE = {"chip": "Chips", "system": "Systems", "cluster": "Clusters"}
RUNS = {"training_runs": "source_key", "inference_runs": "source_id"}


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value or "")
    return "" if math.isnan(value) else f"{value:,.10g}".replace("-", "−")


def _shown(row: Row) -> dict[str, Any]:
    """Value, range and unit as the page shows them."""
    low, high = row.get("low"), row.get("high")
    ends = ["" if v == row["value"] == low == high else _number(v) for v in (low, high)]
    words = {"undisclosed": "not published", "unsupported": "not supported"}
    unit = {"-": "", "count": "", "x": "×"}.get(str(row["unit"] or ""), str(row["unit"] or ""))
    value = words.get(str(row["status"]), _number(row["value"]) or "—")
    return {"value": value, "span": (" to " if "−" in ends[0] else "–").join(ends) if all(ends) else "", "unit": unit}


def _numbers() -> list[dict[str, Any]]:
    """Every row of the long tables, and every claim, in published units."""
    names, found = dict(data.table("subjects")[["id", "name"]].itertuples(index=False)), []
    for table, kind in KINDS.items():
        for row in data.table(table).to_dict("records"):
            more = [str(row.get(k) or "") for k in ("dtype", "basis", "region", "term", "price_date")]
            more += [f"per {row['per']}"] if row["per"] else []
            row |= _shown(row) | {"spare": row["use"] != "yes" and not math.isnan(row["value"]), "kind": kind}
            found.append(
                row | {"name": names.get(row["subject"], row["subject"]), "more": ", ".join(filter(None, more))}
            )
    for row in (
        data.table("claims").drop(columns="verdict").merge(claims.verdicts()[["id", "verdict"]]).to_dict("records")
    ):
        row |= {"value": row["claimed"], "status": row["verdict"], "kind": "Claim", "name": f"“{row['wording']}”"}
        found.append(
            row | _shown(row) | {"quantity": "", "more": row["claimant"], "note": row["reason"], "spare": False}
        )
    return found


def glossary() -> tuple[str, dict[str, str]]:
    """Read the glossary.

    Returns
    -------
    tuple of str and dict
        Its HTML, with an anchor per name, and the meaning of each name.
    """
    text = GLOSSARY.read_text(encoding="utf-8").partition("\n")[2]
    meanings: dict[str, str] = {}
    for line in (line.split(" | ") for line in text.splitlines() if line.startswith("| ")):
        meanings |= dict.fromkeys(re.findall(r"`([\w.]+)`", line[0]), line[1].replace("`", ""))
    page = markdown(text)
    for name in meanings:
        page = page.replace(f"<code>{name}</code>", f'<code id="{name}">{name}</code>', 1)
    return page, meanings


def _found(reports: Sequence[Row], numbers: list[dict[str, Any]], meanings: Mapping[str, str], ids: list[str]) -> Row:
    """What the search looks through: rows, class of each badge, and meanings to be found by."""
    rows = []
    for one, number in ((r, {"unit": "", "status": "", "value": ""} | n) for r in reports for n in r["headline"]):
        name, note = (
            f"{number.get('name', '')} · {one.get('question') or one['report']}",
            number.get("conditions") or "",
        )
        tail = [number["status"] or "", f"{one['report']}.html", "", note, ""]
        rows.append(["Result", name, *_shown(number).values(), *tail])
    for n in numbers:
        name, shown = (
            " · ".join(filter(None, (n["name"], n["quantity"], n["more"]))),
            [n["value"], n["span"], n["unit"]],
        )
        link = f"chips.html#{n['subject']}" if n["subject"] in ids else f"sources.html#{n['source_id']}"
        note = f"{n['note']} (not in use)".strip() if n["spare"] else n["note"]
        rows.append([n["kind"], name, *shown, n["status"], link, n["source_id"], note, n["quantity"]])
    rows += [["Term", name, "", "", "", "", f"glossary.html#{name}", "", text, ""] for name, text in meanings.items()]
    return {"rows": rows, "badges": {r[5]: story.badge(r[5]).split('"')[1] for r in rows if r[5]}, "meanings": meanings}


def _cited(reports: Sequence[Row], out: Path) -> dict[str, list[str]]:
    """Reports that were made with a chip or system, or that list a source, by its id."""
    cited: dict[str, list[str]] = {}
    chips = dict(data.table("subjects").query("chip != ''")[["id", "chip"]].itertuples(index=False))
    for one in reports:
        text = (out / f"{one['report']}.html").read_text(encoding="utf-8")
        used = [str(v) for p in one["parameters"].values() for v in (p if isinstance(p, list) else [p])]
        used += [chips[v] for v in used if v in chips] + re.findall(r'<li id="source-([^"]+)"', text)
        for name in dict.fromkeys(used):
            cited.setdefault(name, []).append(str(one["report"]))
    return cited


def write(reports: Sequence[Row], out: Path) -> None:
    """Write the reference pages beside reports, and lead to them from the index.

    Parameters
    ----------
    reports : sequence of mapping
        Manifest line of each report: ``report``, ``question``, ``parameters``, ``headline``.
    out : pathlib.Path
        Folder with their pages and ``index.html``.
    """
    table, numbers, (glossed, meanings) = data.table("subjects"), _numbers(), glossary()
    table = table[table["kind"].isin(HARDWARE)].sort_values("since", ascending=False, kind="stable")
    subjects = sorted(table.to_dict("records"), key=lambda s: (s["vendor"] != "AWS", s["vendor"]))
    ids = [s["id"] for s in subjects]
    env = jinja2.Environment(autoescape=True, trim_blocks=True)
    env.filters |= {"badge": story.badge, "day": story.day}
    template = env.from_string((HERE / "site.html").read_text(encoding="utf-8"))
    about = {"pages": PAGES, "hardware": HARDWARE, "subjects": subjects, "ids": ids, "numbers": numbers}
    about |= {"runs": {t: data.table(t)[column].value_counts().to_dict() for t, column in RUNS.items()}}
    about |= {"sources": data.table("sources").to_dict("records"), "meanings": meanings, "glossary": glossed}
    about |= {"cited": _cited(reports, out), "found": html._data(_found(reports, numbers, meanings, ids))}
    own, search = ((HERE / name).read_text(encoding="utf-8") for name in ("site.css", "search.js"))
    css, js = html._assets()["css"] + own, html._assets()["js"]
    for part, title in PAGES.items():
        scripts = [js, search] if part == "search" else [js]
        policy = f"default-src 'none'; style-src {html._hash(css)}; script-src {' '.join(map(html._hash, scripts))}; "
        policy += "base-uri 'none'; form-action 'none'"
        lead, _, rest = template.render(part=part, lead=True, **about).strip().partition(". ")
        words = html._assets() | {"title": title, "name": title, "kicker": "Reference", "lead": lead, "rest": rest}
        words |= {"part": "site", "policy": policy, "css": css, "data_date": str(data.data_date())}
        body = template.render(part=part, lead=False, **about)
        html.write(out / f"{part}.html", html._template().render(words, scripts=scripts, body=body))
    index, links = out / "index.html", template.render(part="links", **about)
    html.write(index, index.read_text(encoding="utf-8").replace("</section>", f"</section>\n{links}", 1))
