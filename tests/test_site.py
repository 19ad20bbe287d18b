"""The pages around the reports: whole, inert, offline, in words, searchable by keyboard; every
link ends somewhere.
"""

import html as escapes
import json
import re
from collections import Counter

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_html import EVIL

from trn3 import data
from trn3.reporting import batch, html, parameters, site

NUMBER = {
    "name": "speed " + EVIL,
    "value": 1.94,
    "low": 1.5,
    "high": 2.5,
    "unit": "×",
    "status": "modelled",
}
ROWS = [
    {
        "report": "02_small",
        "notebook": "02_small",
        "question": "How fast?",
        "status": "done",
        "headline": [NUMBER],
        "parameters": {"system": "trn3_gen2", "rivals": ["b200", "h100"], "n": 4},
    },
    {
        "report": "07_cost",
        "notebook": "07_cost",
        "question": "How dear?",
        "status": "failed",
        "reason": "no price",
        "headline": [],
        "parameters": {},
    },
]
PAGE = """<h1>Goodput</h1><header><button type="button" id="theme">Dark</button></header><main><ul class="key">
<li>Goodput</li></ul><p class="lead">The goodput &amp; Goodput of <code>goodput</code>, its MFU and
<a href="#x">80% range</a>s of 80% ranges.</p><dl><dd>Trn3 Gen2 UltraServer, B200 HGX, goodput</dd></dl>
<ol><li id="source-neuron_trn3">Neuron</li></ol>{}</main>"""
DEEP = [
    "chips/trainium3",
    "chips/b200",
    "chips/trn3_gen2",
    "chips/project_rainier",
    "sources/neuron_trn3",
]
NAMES = [*site.PAGES, "index", *DEEP]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A built site whose data and results hold markup."""
    out, table = tmp_path_factory.mktemp("site"), data.table

    def evil(name):
        frame = table(name)
        for column in {"note", "title", "licence", "basis"} & set(frame):
            frame.loc[frame.index[:3], column] = EVIL
        return frame

    (out / "02_small.html").write_text(PAGE.format(""), encoding="utf-8")
    (out / "07_cost.html").write_text(PAGE.format("failed"), encoding="utf-8")
    site.index(ROWS, out / "index.html", data_date="2026-11-22")
    (out / "index.csv").touch()
    (out / "vega.js").write_text(html._assets()["js"], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.data, "table", evil)
        site.write(ROWS, out)
    return out


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """All reports as stored in the notebooks, made into one collection."""
    out, rows = tmp_path_factory.mktemp("collection"), []
    for path in parameters.notebooks():
        notebook, one = nbformat.read(path, 4), batch.case(path.stem, {})
        row, files = batch.results(notebook, one)
        about = one.about | {"command": one.command, "defaults": one.values, "shared_js": True}
        batch.write(out, files | batch.page(one.stem, html.export, notebook, **about))
        rows.append(row | {"status": "done"})
    batch.write(out, batch.index(rows))
    site.write(rows, out)
    return out


def text(folder, name: str) -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


def plain(markup: str) -> str:
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", markup, flags=re.S)
    return re.sub(r"\s+", " ", escapes.unescape(re.sub(r"<[^>]*>", " ", bare)))


def rows(folder) -> list[list[str]]:
    return json.loads(re.search(r'id="rows">(.*?)</script>', text(folder, "search"), re.S)[1])[
        "rows"
    ]


def section(folder, page: str, head: str) -> str:
    return next((s for s in text(folder, page).split("<h2>") if s.startswith(head)), "")


# ------------------------------------------------------------------------------- chips and sources
def test_every_chip_and_source_has_its_page_and_its_place(folder):
    for page, kinds in (("chips", ("chip", "system")), ("sources", ("source",))):
        ids = {name for kind in kinds for name in data.ids(kind)}
        assert ids <= {p.stem for p in (folder / page).glob("*.html")}
        assert ids <= set(re.findall(r' id="([^"]+)"', text(folder, page)))
        assert all(f'href="{page}/{name}.html"' in text(folder, page) for name in ids)


@pytest.mark.parametrize("name", ["trainium3", "b200", "trn3_gen2"])
def test_a_chip_has_every_row_in_its_place(folder, name):
    page = f"chips/{name}"
    own = pd.concat(
        [f[f["subject"] == name] for f in map(data.table, ("specs", "systems", "prices"))],
        ignore_index=True,
    )
    key = ["quantity", "dtype", "basis", "region", "term"]
    own[[*key, "price_date"]] = (
        own[[*key, "price_date"]].astype(object).where(own[[*key, "price_date"]].notna(), "")
    )
    keys = list(own[key].itertuples(index=False, name=None))
    known = {k for k, use in zip(keys, own["use"], strict=True) if use == "yes"}
    spare = own["use"].ne("yes") & pd.Series([k in known for k in keys])
    priced = own["price_date"] != ""
    heads = {
        "Numbers": own[~spare & ~priced],
        "Prices": own[priced],
        "Other readings": own[spare & ~priced],
    }
    for head, frame in heads.items():
        part = section(folder, page, head)
        assert part.count('<tr><th scope="row"') == len(frame), head
        for status, n in frame["status"].value_counts().items():
            assert part.count(f">{status.capitalize()}</span>") == n
    assert sum(map(len, heads.values())) == len(own) > 10
    assert '../02_small.html">How fast?' in section(folder, page, "Reports made with it"), (
        "named by a parameter"
    )


def test_trainium3_as_its_maker_prints_it(folder):
    """AWS prints 144 GiB, 4.9 TB/s and 2,517 TFLOP/s in MXFP8."""
    words = plain(text(folder, "chips/trainium3"))
    assert "Peak rate, MXFP8 peak_flops_per_s 2,517 TFLOP/s Published" in words.replace("— ", "")
    assert (
        "FP8 peak 2,517 TFLOP/s" in words
        and "HBM 144 GiB" in words
        and "Bandwidth 4.9 TB/s" in words
    )
    row = re.search(r'<tr id="trainium3">.*?</tr>', text(folder, "chips"), re.S)[0]
    for label, value in (("FP8 peak", "2,517"), ("HBM", "144"), ("Bandwidth", "4.9")):
        assert f'data-l="{label}">{value}</td>' in row
    assert re.search(r'data-l="Power">[\d,]+ <small>[\d,–]+</small> <small>assumed</small>', row)
    assert 'data-l="Lowest rent">—<' in row, "no rent of it is public"


def test_the_lowest_rent_is_one_that_can_be_had_and_has_a_day(folder):
    prices = data.table("prices").query(
        "subject == 'h100' and use == 'yes' and quantity == 'price_usd_per_chip_h'"
    )
    rents = prices[
        ~prices["term"].str.contains("spot|index|typical|assumed|anchor|estimate|tco|slide")
    ]
    best = rents.loc[rents["value"].idxmin()]
    row = re.search(r'<tr id="h100">.*?</tr>', text(folder, "chips"), re.S)[0]
    assert re.search(
        rf'data-l="Lowest rent">{best["value"]:.2f} <small>[^<]+, [^<]*\d{{4}}</small>', row
    )
    assert prices["value"].min() < best["value"], "spot is lower and left out"


def test_a_claim_stands_with_its_verdict_on_its_chip(folder):
    part = section(folder, "chips/trainium3", "Claims about it")
    assert part.count("<li>") == (data.table("claims")["subject"] == "trainium3").sum() > 0
    assert section(folder, "chips/tpu_v4", "Claims about it") == ""


def test_the_chip_of_a_system_knows_the_report(folder):
    assert section(folder, "chips/trainium3", "Reports made with it")
    assert not section(folder, "chips/tpu_v4", "Reports made with it")


def test_a_source_lists_its_numbers_and_its_reports(folder):
    count = sum(
        (data.table(t)["source_id"] == "neuron_trn3").sum() for t in [*site.KINDS, "claims"]
    )
    assert (
        section(folder, "sources/neuron_trn3", f"{count} numbers from it").count(
            '<tr><th scope="row"'
        )
        == count
        > 0
    )
    assert '../02_small.html">How fast?' in section(
        folder, "sources/neuron_trn3", "Reports that cite it"
    )
    assert not section(folder, "sources/acecloud", "Reports that cite it")


def test_every_quantity_format_and_term_has_words():
    labels = set(data.table("labels")["name"])
    for table in site.KINDS:
        frame = data.table(table)
        for column in {"quantity", "dtype", "term"} & set(frame):
            assert not set(frame[column]) - labels - {""}, (
                f"add to data/labels.csv: {table}.{column}"
            )


def test_pages_print_words_and_keep_the_code_name_beside(folder):
    part = plain(section(folder, "chips/trainium4", "Numbers"))
    assert "Months until broad availability months_to_broad_availability" in part
    heads = re.findall(r'<th scope="row"><span>([^<]*)</span>', text(folder, "chips/trainium3"))
    assert len(heads) > 30 and not [
        h for h in heads if "_" in h or (not h[0].isupper() and not h.startswith("<"))
    ]


# ---------------------------------------------------------------------------- the whole collection
def test_every_link_of_every_page_ends_somewhere(collection):
    pages = {
        p.relative_to(collection).as_posix(): p.read_text(encoding="utf-8")
        for p in collection.rglob("*.html")
    }
    ids = {name: set(re.findall(r'\sid="([^"]+)"', page)) for name, page in pages.items()}
    links = {
        (n, escapes.unescape(h))
        for n, p in pages.items()
        for h in re.findall(r'<(?:a|link) [^>]*href="([^"]*)"', p)
    }
    links |= {(n, s) for n, p in pages.items() for s in re.findall(r'<script src="([^"]*)"', p)}
    found = [("search.html", r[6]) for r in rows(collection)]
    links |= {*found, *(("search.html", f"sources/{r[7]}.html") for r in rows(collection) if r[7])}
    assert len(pages) > 250 and len(links) > 5000
    for page, link in links:
        if re.match("https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (collection / page).parent / path if path else collection / page
        assert target.is_file(), (page, link)
        assert (
            not anchor
            or anchor in ids[target.resolve().relative_to(collection.resolve()).as_posix()]
        ), (page, link)


def test_from_every_page_one_click_leads_everywhere(collection):
    stems = [p.stem for p in parameters.notebooks()]
    for page in collection.rglob("*.html"):
        root = "../" * (len(page.relative_to(collection).parts) - 1)
        header = re.search(
            r'<header class="bar">.*?</header>', page.read_text(encoding="utf-8"), re.S
        )[0]
        for name in ("index", *site.PAGES):
            assert f'href="{root}{name}.html"' in header, (page, name)
    for i, stem in enumerate(stems):
        ways = dict(re.findall(r'<a rel="(\w+)" href="([^"]+)\.html"', text(collection, stem)))
        want = {
            "prev": stems[i - 1] if i else None,
            "next": stems[i + 1] if i + 1 < len(stems) else None,
        }
        assert ways == {k: v for k, v in want.items() if v}


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "batch"])
def test_a_report_without_the_site_has_no_dead_link(tmp_path, shared):
    for path in parameters.notebooks():
        notebook, one = nbformat.read(path, 4), batch.case(path.stem, {})
        about = one.about | {"command": one.command, "defaults": one.values, "shared_js": shared}
        batch.write(
            tmp_path,
            batch.results(notebook, one)[1] | batch.page(one.stem, html.export, notebook, **about),
        )
    failed = batch.failed(one, ValueError("no"), batch.Options(shared_js=shared))[1]
    batch.write(tmp_path, {f"failed-{name}": content for name, content in failed.items()})
    for page in tmp_path.glob("*.html"):
        for link in re.findall(r'href="([^"#][^"]*)"', page.read_text(encoding="utf-8")):
            assert (
                link.startswith("http")
                or (tmp_path / link).is_file()
                or (shared and link == "index.html")
            ), link


def test_reports_lead_to_each_other(collection):
    assert '<a href="01_claims.html">' in text(collection, "00_start_here")
    assert not [
        p
        for p in collection.glob("*.html")
        if re.search(r'href="[^"]*\.ipynb', p.read_text("utf-8"))
    ]


def test_reports_lead_to_their_chips_sources_and_terms(collection):
    page = text(collection, "04_serving")
    cited = set(re.findall(r'<li id="source-([^"]+)"', page))
    unlisted = set(re.findall(r'class="cite" href="#source-([^"]+)"', page)) - cited
    assert (
        cited
        and not unlisted
        and all(f'<a href="sources/{name}.html">Its numbers</a>' in page for name in cited)
    )
    assert 'href="chips/trn3_gen2.html">Trn3 Gen2 UltraServer</a>' in page
    terms = Counter(re.findall(r'class="term" href="glossary.html#([^"]+)"', page))
    assert len(terms) > 3 and set(terms.values()) == {1}


def test_cards_are_in_words(collection):
    page = text(collection, "index")
    cards = [
        plain(c)
        for c in re.findall(r'<div class="card.*?(?=<div class="card|</section>)', page, re.S)
    ]
    assert len(cards) == len(parameters.notebooks())
    for card in cards:
        assert not re.search(r"\w_\w|\de[+-]\d|\bbf16|\bfp8|\d/\d|%–|\d-\d", card), card
        assert not re.search(r"(?<![\d,.])(?!20[123]\d)\d{4,}", card), card
    assert [c for c in cards if "80% range" in c]


def test_a_batch_is_compared_in_words(tmp_path):
    one = {
        "notebook": "03_training_time",
        "question": "How long?",
        "status": "done",
        "headline": [NUMBER],
    }
    runs = [
        one
        | {
            "report": f"r{n}",
            "parameters": {"model": "llama3_1_8b", "n_chips": n, "system": "trn3_gen2"},
        }
        for n in (512, 2048)
    ]
    site.index(runs, tmp_path / "index.html", data_date="2026-11-22")
    page = text(tmp_path, "index")
    assert "<h1>How long?</h1>" in page and 'class="card' not in page
    assert re.findall(r'<button type="button">([^<]*)', page) == [
        "Report",
        "Chips",
        "Headline",
        "80% range",
        "Status",
    ]
    assert '<td data-v="2048">2,048</td>' in page and "llama3_1_8b" not in page, "the same in all"
    runs[0]["parameters"]["model"] = "llama3_1_70b"
    site.index(runs, tmp_path / "index.html", data_date="2026-11-22")
    assert "Llama 3.1 8B</td>" in text(tmp_path, "index") and "Llama 3.1 70B</td>" in text(
        tmp_path, "index"
    )


def test_cards_stand_under_their_question(collection):
    heads = re.findall(
        r'<section class="cards of(\d)"><h2>(\w+)</h2>(.*?)</section>',
        text(collection, "index"),
        re.S,
    )
    found = {head: re.findall(r"<b>(\d\d)</b>", cards) for _, head, cards in heads}
    assert [int(n) for n, _, _ in heads] == [len(found[head]) for _, head, _ in heads]
    assert found["Performance"] == ["02", "03", "04"] and found["Savings"] == ["07", "08", "09"]
    assert found["Trust"] == ["01", "10"] and found["Explore"] == ["11"] and "Others" not in found


# ------------------------------------------------------------------------------- words and numbers
@pytest.mark.parametrize(
    ("low", "high", "unit", "digits", "words"),
    [
        (13.9331, 13.9331, "day", 2, "14 days"),
        (11.1479, 20.5792, "", 2, "11–21"),
        (0.0014, 0.0808, "-", 2, "0.1–8.1%"),
        (0.0169, 0.0169, "-", 2, "1.7%"),
        (4.0733, 4.0733, "USD/chip-h", 2, "4.07 USD per chip-hour"),
        (2.517, 2.517, "PFLOP/s", 3, "2.52 PFLOP/s"),
        (-1404850.0, -1404850.0, "USD", 2, "−1.4 million USD"),
        (-7.2e6, 1.48e6, "", 2, "−7.2 to 1.5 million"),
        (1040.2, 1040.2, "tokens/s", 2, "1,000 tokens/s"),
        (131072, 131072, "chips", 3, "131,072 chips"),
        (4.356, 4.356, "×", 3, "4.36×"),
        (4, 4, "of 32", 3, "4 of 32"),
        (702.3, 1341.8, "", 2, "700–1,300"),
    ],
)
def test_amounts_follow_the_rules_of_numbers(low, high, unit, digits, words):
    """The rules of the visual language: two digits of a prediction, one unit after a range,
    words from a million.
    """
    assert site._amount(low, high, unit, digits) == words


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (
            "Llama 3.1 70B, 2e+12 tokens, 2048 chips",
            "Llama 3.1 70B, 2.0 trillion tokens, 2,048 chips",
        ),
        ("2e-05 failures per chip-hour", "0.00002 failures per chip-hour"),
        (
            "8x B200 (p6-b200) by capacity_block, 2026-07-22",
            "8x B200 (p6-b200) by Capacity Block, 22 Jul 2026",
        ),
        (
            "bf16, memory, high-bandwidth memory",
            "BF16, restart from copies in memory, high-bandwidth memory",
        ),
        ("a 4096, 12.34567 and 1,024 x 8192.", "a 4,096, 12.34567 and 1,024 × 8,192."),
        ("if it rents for 3.5 USD/h", "if it rents for 3.50 USD per chip-hour"),
        (
            "since 2026, llama3_3_70b on trn3_gen2",
            "since 2026, Llama 3.3 70B on Trn3 Gen2 UltraServer",
        ),
    ],
)
def test_conditions_become_words(codes, words):
    assert site.worded(codes) == words


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_condition_can_be_worded_and_words_stay(text):
    once = site.worded(text)
    assert site.worded(once) == once or re.search(r"\d", text)


def test_a_prediction_has_two_digits_and_a_published_number_three():
    modelled = site._headline(ROWS[0])
    assert (modelled["text"], modelled["span"]) == ("1.9×", "1.5–2.5")
    peak = {"name": "peak", "value": 2.517, "unit": "PFLOP/s", "status": "published"}
    assert site._headline(ROWS[0] | {"headline": [peak]})["text"] == "2.52 PFLOP/s"


def test_a_prediction_without_number_says_so():
    row = ROWS[0] | {"headline": [NUMBER | {"value": None, "low": None, "high": None}]}
    assert site._headline(row)["text"] == "—" and site._headline(row)["span"] == ""


# ----------------------------------------------------------------------------- search and glossary
def test_search_covers_every_kind(folder):
    kinds = pd.Series([r[0] for r in rows(folder)]).value_counts()
    assert kinds["Result"] == 1 and kinds["Assumption"] == len(data.table("assumptions"))
    assert kinds["Claim"] == len(data.table("claims")) and kinds["Price"] == len(
        data.table("prices")
    )
    assert kinds["Spec"] == len(data.table("specs")) + len(data.table("systems"))
    assert kinds["Term"] == len(site.glossary()[1])


def test_glossary_is_whole_and_in_order(folder):
    lines = [
        line
        for line in site.GLOSSARY.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ][1:]
    terms, ids = (
        [line.split(" | ")[0][2:] for line in lines],
        re.findall(r' id="([^"]+)"', text(folder, "glossary")),
    )
    assert all(line.count("|") == 5 for line in lines), "term, names, meaning, unit"
    assert terms == sorted(terms, key=str.lower) and len(terms) > 50
    names = [name for line in lines for name in re.findall(r"`([\w.]+)`", line.split(" | ")[1])]
    assert len(names) == len(set(names)) and set(names) <= set(ids) and len(ids) == len(set(ids))
    assert {re.sub(r"\W+", "_", t.lower()) for t in terms} <= set(ids)


def test_a_term_is_explained_once_where_a_reader_meets_it(folder):
    page, entries = text(folder, "02_small"), site.glossary()[1]
    assert re.findall(r'class="term" href="glossary.html#(\w+)"', page) == [
        "goodput",
        "mfu",
        "80_range",
    ]
    assert (
        'title="share of the wall time that is useful work">goodput</a> &amp; Goodput of <code>goodput</code>'
        in page
    )
    assert (
        '<a href="#x">80% range</a>' in page
        and "<h1>Goodput</h1>" in page
        and ", goodput</dd>" in page
    )
    again = plain(
        site._explained(PAGE, {"entries": entries, "subjects": {}, "sources": {}, "made": []})
    )
    assert again.replace("Its numbers", "").replace(" ", "") == plain(PAGE).replace(" ", ""), (
        "the words stay"
    )
    assert "Goodput" in text(folder, "07_cost") and 'class="term"' not in text(folder, "07_cost"), (
        "an error page"
    )


@pytest.mark.parametrize("name", NAMES)
def test_page_is_small_strict_and_inert(folder, name):
    page = text(folder, name)
    assert len(page.encode()) <= (60_000 if "/" in name else 1_000_000)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert (
        policy.startswith("default-src 'none'")
        and "unsafe" not in policy
        and "*" not in policy
        and "http" not in policy
    )
    for tag in ("script", "style"):
        allowed = re.search(rf"{tag}-src ([^;]*)", policy)[1].split()
        own = sorted(map(html._hash, re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)))
        assert own == (sorted(allowed) if name == "index" else []), (
            "nothing inline but what the policy knows"
        )
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "<img" not in body and 'href="javascript' not in body
    assert not re.search(r"<[^>]*\s(on\w+|style)=", re.sub(r'"[^"]*"', '""', body))
    assert not re.search(r">\s*(nan|None|undefined)\b", body)


def test_markup_of_a_table_is_shown_as_text(folder):
    shown = [p for p in folder.rglob("*.html") if "window.hit" in p.read_text(encoding="utf-8")]
    assert len(shown) > 4
    for path in shown:
        assert "<img" not in re.sub(
            r"<(script|style).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.S
        ), path


@pytest.mark.browser
class TestBrowser:
    @pytest.mark.parametrize("name", NAMES)
    def test_opens_offline_in_silence_and_fits(self, visit, folder, name):
        page = visit(folder / f"{name}.html")
        for width, scheme in ((1280, "light"), (900, "light"), (620, "dark"), (320, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.said == [] and page.evaluate("window.hit") is None
        stem = name.rpartition("/")[2]
        assert {u.rpartition("/")[2] for u in page.asked} <= {
            f"{stem}.html",
            "site.css",
            "site.js",
            "search.js",
        }
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.bar a')).display") == "flex"
        ), "styled"

    def test_cards_of_a_row_line_up(self, visit, collection):
        page = visit(collection / "index.html")
        tops = "[...document.querySelectorAll('.card strong')].map(e => Math.round(e.getBoundingClientRect().top))"
        assert len(set(page.evaluate(tops))) == 4, "twelve cards in four rows"

    def test_search_by_keyboard(self, visit, folder):
        page, count = (
            visit(folder / "search.html"),
            "document.querySelectorAll('#found tbody tr').length",
        )
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "find":
                break
        assert page.evaluate(count) == 100 and page.text_content("#told").endswith(
            "the first 100 are shown."
        )
        page.keyboard.type("TRAINIUM3 mxfp8 peak")
        found = page.locator("#found tbody tr").all_text_contents()
        assert 0 < len(found) < 20 and all("mxfp8" in t.lower() for t in found)
        assert any("peak rate · MXFP8 Spec2,517TFLOP/s" in t for t in found)
        page.keyboard.press("Tab")
        assert (
            page.evaluate("document.activeElement.getAttribute('href')") == "chips/trainium3.html"
        )
        page.keyboard.press("Enter")
        page.wait_for_url("**/chips/trainium3.html")

    def test_search_finds_by_meaning_and_says_when_there_is_nothing(self, visit, folder):
        page = visit(folder / "search.html")
        page.fill("#find", "b200 hbm_bytes_per_s")
        assert "HBM bandwidth, peak" in page.inner_text("#found")
        page.fill("#find", "zzz <b>")
        assert page.text_content("#told").startswith("Nothing has all of: zzz <b>.")
        assert not page.is_visible("#found")
        page.fill("#find", "window.hit")
        assert page.locator("#found tbody tr").count() > 1, "shown as text"
        assert (
            page.locator("#found img, #found script").count() == 0
            and page.evaluate("window.hit") is None
        )
        page.fill("#find", "")
        assert page.locator("#found tbody tr").count() == 100 and page.said == []
