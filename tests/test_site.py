"""The pages around the reports: whole, inert, offline, in words, searchable by keyboard; every
link ends somewhere.
"""

import html as escapes
import re
from collections import Counter

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_html import EVIL

from trn3 import data
from trn3.reporting import (
    batch,
    exporter,
    files,
    frame,
    headline,
    links,
    numbers,
    parameters,
    results,
    site,
)

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
        "sources": ["neuron_trn3"],
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
PAGE = """<h1>Goodput</h1><ul class="key">
<li>Goodput</li></ul><p class="lead">The goodput &amp; Goodput of <code>goodput</code>, its MFU and
<a href="#x">80% range</a>s of 80% ranges.</p>
<dl><dd>Trn3 Gen2 UltraServer, B200 HGX, goodput</dd></dl>
<ol><li id="source-neuron_trn3">Neuron</li></ol>"""
NAMES = ["numbers", "glossary", "index"]
READINGS = ("quantity", "dtype", "basis", "region", "term")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A built site whose data and results hold markup."""
    out, table = tmp_path_factory.mktemp("site"), data.table

    def evil(name):
        frame = table(name)
        for column in {"note", "title", "licence", "basis"} & set(frame):
            frame.loc[frame.index[:3], column] = EVIL
        return frame

    (out / "02_small.html").touch()
    (out / "07_cost.html").touch()
    (out / "index.csv").touch()
    files.write(out / "index.html", site.index(ROWS, linked=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers.data, "table", evil)
        site.write(ROWS, out)
    return out


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """All reports as stored in the notebooks, made into one collection."""
    out, rows = tmp_path_factory.mktemp("collection"), []
    todo = [batch.case(path.stem, {}) for path in parameters.notebooks()]
    options = batch.Options(shared_js=True, collection=site.collection(todo))
    for one in todo:
        notebook = nbformat.read(one.notebook, 4)
        page, beside = exporter.report(notebook, one.about(options))
        batch.write(out, {f"{one.stem}.html": page.encode()} | beside)
        rows.append(one.row | results.summary(notebook) | {"status": "done"})
    batch.write(out, batch.index(rows, linked=True))
    site.write(rows, out)
    return out


def text(folder, name: str) -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


def plain(markup: str) -> str:
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", markup, flags=re.S)
    return re.sub(r"\s+", " ", escapes.unescape(re.sub(r"<[^>]*>", " ", bare)))


def group(folder, subject: str) -> str:
    """The rows about a chip, a system or another subject."""
    return re.search(rf'<tbody id="{subject}">(.*?)</tbody>', text(folder, "numbers"), re.S)[1]


def entry(folder, source: str) -> str:
    """A source in the list of all."""
    return re.search(rf'<li id="source-{source}">(.*?)</li>', text(folder, "numbers"), re.S)[1]


# ------------------------------------------------------------------------ every number, its source
@pytest.mark.parametrize("name", ["trainium3", "b200", "trn3_gen2", "us_east_2"])
def test_every_row_of_a_subject_stands_with_its_status_and_source(folder, name):
    frames = [data.table(table) for table in numbers.TABLES]
    own = pd.concat([frame[frame["subject"] == name] for frame in frames], ignore_index=True)
    claims = data.table("claims").query("subject == @name")
    part = group(folder, name)
    assert part.count('<tr><th scope="row"') == len(own) + len(claims) > 1
    for status, n in own["status"].value_counts().items():
        assert part.count(f">{status.capitalize()}</span>") == n
    cited = Counter([*own["source_id"], *claims["source_id"]])
    assert Counter(re.findall(r'href="#source-([^"]+)"', part)) == cited


def test_every_number_and_every_source_is_there(folder):
    page = text(folder, "numbers")
    n_numbers = sum(len(data.table(table)) for table in [*numbers.TABLES, "claims"])
    n_results = sum(len(row["headline"]) for row in ROWS)
    assert page.count('<tr><th scope="row"') == n_numbers + n_results
    assert f"{n_numbers:,} numbers" in page
    assert set(re.findall(r'<li id="source-([^"]+)"', page)) == set(data.table("sources")["id"])


def test_another_reading_of_a_number_in_use_says_so(folder):
    specs = data.table("specs").query("subject == 'trainium3'")
    key = list(specs[["quantity", "dtype", "basis"]].itertuples(index=False, name=None))
    used = {k for k, use in zip(key, specs["use"], strict=True) if use == "yes"}
    spare = sum(use != "yes" and k in used for k, use in zip(key, specs["use"], strict=True))
    assert group(folder, "trainium3").count("not in use") >= spare > 0


def test_trainium3_as_its_maker_prints_it(folder):
    """AWS prints 144 GiB, 4.9 TB/s and 2,517 TFLOP/s in MXFP8."""
    words = plain(group(folder, "trainium3"))
    assert "Peak rate, MXFP8 peak_flops_per_s 2,517 TFLOP/s Published" in words
    assert "HBM capacity hbm_bytes 144 GiB Published" in words
    assert "HBM bandwidth, peak hbm_bytes_per_s 4.9 TB/s Published" in words


def test_a_price_has_term_place_and_day(folder):
    words = plain(group(folder, "h100"))
    assert re.search(r", Capacity Block, [^,]+, \d+ \w{3} \d{4} price_usd_per_chip_h", words)


def test_a_claim_stands_with_its_verdict_on_its_chip(folder):
    part = plain(group(folder, "trainium3"))
    for wording in data.table("claims").query("subject == 'trainium3'")["wording"]:
        assert f"“{wording}”" in part


def test_what_was_made_with_a_chip_or_lists_a_source_is_named(folder):
    used = '<a href="02_small.html" title="How fast?">02</a>'
    assert used in group(folder, "trn3_gen2"), "named by a parameter"
    assert used in group(folder, "trainium3"), "the chip of that system"
    assert used not in group(folder, "tpu_v4")
    assert used in entry(folder, "neuron_trn3") and used not in entry(folder, "acecloud")


def test_a_source_counts_its_numbers(folder):
    tables = [*numbers.TABLES, "claims"]
    n = sum((data.table(table)["source_id"] == "neuron_trn3").sum() for table in tables)
    assert f'href="#find=source:neuron_trn3;">{n} numbers</a>' in entry(folder, "neuron_trn3")


def test_every_quantity_format_and_term_has_words():
    labels = set(data.table("labels")["name"])
    for table in numbers.TABLES:
        frame = data.table(table)
        for column in {"quantity", "dtype", "term"} & set(frame):
            assert not set(frame[column]) - labels - {""}, (
                f"add to data/labels.csv: {table}.{column}"
            )


def test_the_page_prints_words_and_keeps_the_code_name_beside(folder):
    part = plain(group(folder, "trainium4"))
    assert "Months until broad availability months_to_broad_availability" in part
    heads = re.findall(r'<tr><th scope="row">([^<]*)', group(folder, "trainium3"))
    assert len(heads) > 30
    assert not [h for h in heads if "_" in h or not (h[0].isupper() or h[0] in "“&")]


# ---------------------------------------------------------------------------- the whole collection
def test_every_link_of_every_page_ends_somewhere(collection):
    pages = {
        p.relative_to(collection).as_posix(): p.read_text(encoding="utf-8")
        for p in collection.rglob("*.html")
    }
    ids = {name: set(re.findall(r'\sid="([^"]+)"', page)) for name, page in pages.items()}
    found = {
        (n, escapes.unescape(h))
        for n, p in pages.items()
        for h in re.findall(r'<(?:a|link) [^>]*href="([^"]*)"', p)
    }
    found |= {(n, s) for n, p in pages.items() for s in re.findall(r'<script src="([^"]*)"', p)}
    assert len(pages) == len(parameters.notebooks()) + len(NAMES) and len(found) > 1000
    for page, link in found:
        if re.match("https?://|#find=", link):
            continue
        path, _, anchor = link.partition("#")
        target = path or page
        assert (collection / target).is_file(), (page, link)
        assert not anchor or anchor in ids[target], (page, link)


def test_from_every_page_one_click_leads_everywhere(collection):
    stems = [p.stem for p in parameters.notebooks()]
    for page in collection.glob("*.html"):
        header = re.search(
            r'<header class="bar">.*?</header>', page.read_text(encoding="utf-8"), re.S
        )[0]
        for name in NAMES:
            assert f'href="{name}.html"' in header, (page, name)
    for i, stem in enumerate(stems):
        ways = dict(re.findall(r'<a rel="(\w+)" href="([^"]+)\.html"', text(collection, stem)))
        want = {
            "prev": stems[i - 1] if i else None,
            "next": stems[i + 1] if i + 1 < len(stems) else None,
        }
        assert ways == {k: v for k, v in want.items() if v}


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "batch"])
def test_a_report_without_the_site_has_no_dead_link(tmp_path, shared):
    options = batch.Options(shared_js=shared)
    for path in parameters.notebooks():
        one = batch.case(path.stem, {})
        page, beside = exporter.report(nbformat.read(path, 4), one.about(options))
        batch.write(tmp_path, {f"{one.stem}.html": page.encode()} | beside)
    failed = batch.failed(one, ValueError("no"), options)[1]
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
        and all(f'<a href="numbers.html#source-{name}">Its numbers</a>' in page for name in cited)
    )
    assert 'href="numbers.html#trn3_gen2">Trn3 Gen2 UltraServer</a>' in page
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


def test_a_batch_is_compared_in_words():
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
    page = site.index(runs)
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
    page = site.index(runs)
    assert "Llama 3.1 8B</td>" in page and "Llama 3.1 70B</td>" in page


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
    assert headline.amount(low, high, unit, digits) == words


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
    assert headline.worded(codes) == words


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_condition_can_be_worded_and_words_stay(text):
    once = headline.worded(text)
    assert headline.worded(once) == once or re.search(r"\d", text)


def test_a_prediction_has_two_digits_and_a_published_number_three():
    modelled = headline.card(ROWS[0])
    assert (modelled["text"], modelled["span"]) == ("1.9×", "1.5–2.5")
    peak = {"name": "peak", "value": 2.517, "unit": "PFLOP/s", "status": "published"}
    assert headline.card(ROWS[0] | {"headline": [peak]})["text"] == "2.52 PFLOP/s"


def test_a_prediction_without_number_says_so():
    row = ROWS[0] | {"headline": [NUMBER | {"value": None, "low": None, "high": None}]}
    assert headline.card(row)["text"] == "—" and headline.card(row)["span"] == ""


# ----------------------------------------------------------------------------- search and glossary
def test_glossary_is_whole_and_in_order(folder):
    lines = [
        line
        for line in links.GLOSSARY.read_text(encoding="utf-8").splitlines()
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


def test_a_term_is_explained_once_where_a_reader_meets_it():
    page = links.linked(PAGE, links.Collection(()))
    met = re.findall(r'class="term" href="glossary.html#(\w+)"', page)
    assert met == ["goodput", "mfu", "80_range"]
    title = 'title="share of the wall time that is useful work"'
    assert f"{title}>goodput</a> &amp; Goodput of <code>goodput</code>" in page
    assert '<a href="#x">80% range</a>' in page and "<h1>Goodput</h1>" in page
    assert ", goodput</dd>" in page
    again = plain(page).replace("Its numbers", "").replace(" ", "")
    assert again == plain(PAGE).replace(" ", ""), "the words stay"
    assert links.linked(PAGE, None) == PAGE, "a page alone leads to no other"


@pytest.mark.parametrize("name", NAMES)
def test_page_is_small_strict_and_inert(folder, name):
    page = text(folder, name)
    assert len(page.encode()) <= 1_000_000
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert (
        policy.startswith("default-src 'none'")
        and "unsafe" not in policy
        and "*" not in policy
        and "http" not in policy
    )
    for tag in ("script", "style"):
        allowed = re.search(rf"{tag}-src ([^;]*)", policy)[1].split()
        own = sorted(map(frame.hash_source, re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)))
        assert own == sorted(allowed), "nothing inline but what the policy knows"
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "<img" not in body and 'href="javascript' not in body
    assert not re.search(r"<[^>]*\s(on\w+|style)=", re.sub(r'"[^"]*"', '""', body))
    assert not re.search(r">\s*(nan|None|undefined)\b", body)


def test_markup_of_a_table_is_shown_as_text(folder):
    page = text(folder, "numbers")
    shown = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert shown.count("window.hit") > 4
    assert "<img" not in shown and "<script" not in shown


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
        assert [u.rpartition("/")[2] for u in page.asked] == [f"{name}.html"]
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.bar a')).display") == "flex"
        ), "styled"

    def test_cards_of_a_row_line_up(self, visit, collection):
        page = visit(collection / "index.html")
        tops = """[...document.querySelectorAll('.card strong')]
          .map(e => Math.round(e.getBoundingClientRect().top))"""
        assert len(set(page.evaluate(tops))) == 4, "twelve cards in four rows"

    def test_search_by_keyboard(self, visit, folder):
        page = visit(folder / "numbers.html")
        rows = page.locator("#found tr:not(.group) > th[scope=row]")
        everything = rows.count()
        assert page.text_content("#told") == f"{everything:,} rows."
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "find":
                break
        page.keyboard.type("TRAINIUM3 mxfp8 peak")
        found = page.locator("#found tbody tr:not(.group):visible").all_text_contents()
        assert 0 < len(found) < 20 and all("mxfp8" in text.lower() for text in found)
        assert page.text_content("#told") == f"{len(found)} rows."

    def test_search_finds_code_names_and_says_when_there_is_nothing(self, visit, folder):
        page = visit(folder / "numbers.html")
        page.fill("#find", "b200 hbm_bytes_per_s")
        assert "HBM bandwidth, peak" in page.inner_text("#found")
        page.fill("#find", "zzz <b>")
        assert page.text_content("#told").startswith("Nothing has all of: zzz <b>.")
        assert not page.is_visible("#found")
        page.fill("#find", "window.hit")
        assert page.locator("#found tr:not(.group):visible").count() > 1, "shown as text"
        assert page.locator("#found img, #found script").count() == 0
        assert page.evaluate("window.hit") is None and page.said == []

    def test_a_source_leads_to_its_numbers(self, visit, folder):
        page = visit(folder / "numbers.html")
        page.locator("#source-neuron_trn3 a[href^='#find=source:neuron_trn3;']").click()
        page.wait_for_function("document.getElementById('find').value === 'source:neuron_trn3;'")
        sources = """[...document.querySelectorAll('#found tbody tr:not(.group)')]
          .filter(row => row.checkVisibility())
          .map(row => row.lastElementChild.querySelector('a').hash)"""
        assert set(page.evaluate(sources)) == {"#source-neuron_trn3"}
