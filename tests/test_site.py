"""The reference pages: whole, inert, offline, searchable by keyboard, and every link ends somewhere."""

import html as escapes
import json
import re

import pandas as pd
import pytest
from test_html import EVIL, browser, visit  # noqa: F401 - fixtures

from trn3 import data
from trn3.reporting import html, site

NUMBER = {"name": "speed " + EVIL, "value": 1.94, "low": 1.5, "high": 2.5, "unit": "×", "status": "modelled"}
ROWS = [
    {"report": "02_small", "notebook": "02_small", "question": "How fast?", "status": "done", "headline": [NUMBER],
     "parameters": {"system": "trn3_gen2", "rivals": ["b200", "h100"], "n": 4}},
    {"report": "07_cost", "notebook": "07_cost", "question": "How dear?", "status": "failed", "reason": "no price",
     "headline": [], "parameters": {}},
]  # fmt: skip
NAMES = [*site.PAGES, "index"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A built site whose data and results hold markup."""
    out, table = tmp_path_factory.mktemp("site"), data.table

    def evil(name):
        frame = table(name)
        for column in {"note", "title", "licence", "basis"} & set(frame):
            frame.loc[frame.index[:3], column] = EVIL
        return frame

    (out / "02_small.html").write_text('<ol><li id="source-neuron_trn3">x</li></ol>', encoding="utf-8")
    (out / "07_cost.html").write_text("failed", encoding="utf-8")
    html.index(ROWS, out / "index.html", data_date="2026-11-22")
    (out / "index.csv").touch()
    (out / "vega.js").write_text(html._assets()["js"], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.data, "table", evil)
        site.write(ROWS, out)
    return out


def text(folder, name: str) -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


def rows(folder) -> list[list[str]]:
    return json.loads(re.search(r'id="rows">(.*?)</script>', text(folder, "search"), re.S)[1])["rows"]


def section(folder, page: str, name: str) -> str:
    return re.search(rf'<(?:h2|section)[^>]* id="{name}">.*?</section>', text(folder, page), re.S)[0]


def test_every_chip_and_source_has_its_place(folder):
    chips = set(re.findall(r' id="([^"]+)"', text(folder, "chips")))
    assert set(data.ids("chip")) | set(data.ids("system")) <= chips
    assert set(data.ids("source")) <= set(re.findall(r' id="([^"]+)"', text(folder, "sources")))


@pytest.mark.parametrize("name", ["trainium3", "b200", "trn3_gen2"])
def test_a_chip_has_every_row(folder, name):
    part = section(folder, "chips", name)
    own = pd.concat([f[f["subject"] == name] for f in map(data.table, ("specs", "systems", "prices"))])
    assert part.count('<tr><th scope="row"') == len(own)
    assert part.count("not in use</small>") == (own["use"].ne("yes") & own["value"].notna()).sum()
    for status, n in own["status"].value_counts().items():
        assert part.count(f">{status.capitalize()}</span>") == n
    assert 'href="02_small.html"' in part, "named by a parameter"


def test_trainium3_as_its_page_prints_it(folder):
    """AWS prints 144 GiB, 4.9 TB/s and 2,517 TFLOP/s in MXFP8."""
    cells = re.sub(r"<[^>]*>", " ", section(folder, "chips", "trainium3"))
    for words in ("hbm_bytes 144 GiB", "hbm_bytes_per_s 4.9 TB/s", "peak_flops_per_s mxfp8 2,517 TFLOP/s"):
        assert words in re.sub(r"\s+", " ", cells)


def test_the_chip_of_a_system_knows_the_report(folder):
    assert "Reports made with it" in section(folder, "chips", "trainium3")
    assert "Reports made with it" not in section(folder, "chips", "tpu_v4")


def test_a_source_lists_its_numbers_and_its_reports(folder):
    part = section(folder, "sources", "neuron_trn3")
    count = sum((data.table(t)["source_id"] == "neuron_trn3").sum() for t in [*site.KINDS, "claims"])
    assert part.count("<li>") == count > 0
    assert 'Cited by: <a href="02_small.html"' in re.sub(r"\s+", " ", part).replace(": <a", ": <a")
    assert "Cited by" not in section(folder, "sources", "acecloud")


def test_every_link_ends_somewhere(folder):
    ids = {n: set(re.findall(r' id="([^"]+)"', text(folder, n))) for n in NAMES}
    links = [(n, escapes.unescape(h)) for n in NAMES for h in re.findall(r'<a [^>]*href="([^"]*)"', text(folder, n))]
    links += [("search", r[6]) for r in rows(folder)] + [
        ("search", f"sources.html#{r[7]}") for r in rows(folder) if r[7]
    ]
    for page, link in set(links):
        if re.match("https?://", link):
            continue
        path, _, anchor = link.partition("#")
        assert not path or (folder / path).is_file(), (page, link)
        assert not anchor or anchor in ids[path.removesuffix(".html") or page], (page, link)


def test_index_leads_to_all(folder):
    assert all(f'href="{page}.html"' in text(folder, "index") for page in site.PAGES)


def test_search_covers_every_kind(folder):
    kinds = pd.Series([r[0] for r in rows(folder)]).value_counts()
    assert kinds["Result"] == 1 and kinds["Assumption"] == len(data.table("assumptions"))
    assert kinds["Claim"] == len(data.table("claims")) and kinds["Price"] == len(data.table("prices"))
    assert kinds["Spec"] == len(data.table("specs")) + len(data.table("systems"))


def test_glossary_is_whole(folder):
    names = re.findall(r"^\| `(\w+)` ", site.GLOSSARY.read_text(encoding="utf-8"), re.M)
    assert len(names) > 20 and all(f'<code id="{n}">{n}</code>' in text(folder, "glossary") for n in names)


@pytest.mark.parametrize("name", site.PAGES)
def test_page_is_small_strict_and_inert(folder, name):
    page = text(folder, name)
    assert len(page.encode()) <= 1_000_000
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "*" not in policy
    for tag in ("script", "style"):
        allowed = re.search(rf"{tag}-src ([^;]*)", policy)[1].split()
        assert sorted(map(html._hash, re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S))) == sorted(allowed)
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "<img" not in body and not re.search(r"<[^>]*\s(on\w+|style)=", body) and 'href="javascript' not in body
    assert not re.search(r">\s*(nan|None|undefined)\b", body)
    assert name not in ("chips", "sources") or "window.hit" in body, "markup of a table is shown as text"


@pytest.mark.browser
class TestBrowser:
    @pytest.mark.parametrize("name", NAMES)
    def test_opens_offline_in_silence_and_fits(self, visit, folder, name):  # noqa: F811
        page = visit(folder / f"{name}.html")
        for width, scheme in ((1280, "light"), (320, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.said == [] and page.evaluate("window.hit") is None
        assert {u.rpartition("/")[2] for u in page.asked} <= {f"{name}.html", "vega.js"}

    def test_search_by_keyboard(self, visit, folder):  # noqa: F811
        page, count = visit(folder / "search.html"), "document.querySelectorAll('#found tbody tr').length"
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "find":
                break
        assert page.evaluate(count) == 100 and page.text_content("#told").endswith("the first 100 are shown.")
        page.keyboard.type("TRAINIUM3 mxfp8 peak")
        found = page.locator("#found tbody tr").all_text_contents()
        assert 0 < len(found) < 20 and all("mxfp8" in t.lower() for t in found)
        assert any("peak_flops_per_s · mxfp8 Spec2,517TFLOP/s" in t for t in found)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "chips.html#trainium3"
        page.keyboard.press("Enter")
        page.wait_for_url("**/chips.html#trainium3")

    def test_search_finds_by_meaning_and_says_when_there_is_nothing(self, visit, folder):  # noqa: F811
        page = visit(folder / "search.html")
        page.fill("#find", "b200 bandwidth")
        assert "hbm_bytes_per_s" in page.inner_text("#found")
        page.fill("#find", "zzz <b>")
        assert page.text_content("#told").startswith("Nothing has all of: zzz <b>.")
        assert not page.is_visible("#found")
        page.fill("#find", "window.hit")
        assert page.locator("#found tbody tr").count() > 1, "shown as text"
        assert page.locator("#found img, #found script").count() == 0 and page.evaluate("window.hit") is None
        page.fill("#find", "")
        assert page.locator("#found tbody tr").count() == 100 and page.said == []
