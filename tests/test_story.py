"""Story: number formats by one set of rules, escaped text, badges that always carry their word."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data
from trn3.show import story, words

STATUSES = ["published", "measured", "derived", "reported", "assumed", "undisclosed", "unsupported"]
VERDICTS = [
    "Holds",
    "Within band",
    "Move",
    "Partly",
    "Likely",
    "Does not hold",
    "Failed",
    "Cannot be checked",
    "Stay",
]


class Balance(HTMLParser):
    """Fails on markup that does not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags(shown: story.Shown) -> list[str]:
    parser = Balance()
    parser.feed(shown.bundle["text/html"])
    assert not parser.open
    return parser.seen


@given(st.floats(-1e12, 1e12), st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_sig_keeps_its_digits(value, digits):
    text = words.sig(value, digits)
    back = float(text.replace(",", "").replace("−", "-"))
    assert back == pytest.approx(value, rel=0.51 * 10 ** (1 - digits), abs=1e-300)
    assert "-" not in text and "e" not in text


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6))
@settings(max_examples=60, deadline=None)
def test_a_range_uses_an_en_dash_and_one_unit(a, b):
    low, high = sorted((a, b))
    text = words.rng(low, high, "USD")
    assert text.count("USD") == 1 and "-" not in text
    assert ("–" in text) or low == high


def test_numbers_by_the_house_rules():
    assert (
        words.ratio(4.358) == "4.36×"
        and words.ratio(0.5512) == "0.55×"
        and words.ratio(float("nan")) == "not supported"
    )
    assert words.rng(-0.9, 2.8) == "−0.9 to 2.8" and words.rng(0.0, 0.0) == "0"
    assert words.sig(float("nan")) == "not published" and words.sig(0.0) == "0"
    assert words.pct(0.004) == "0.40%" and words.pct(-0.12) == "−12%"
    assert words.big(999_999) == "999,999" and words.big(1e6) == "1.0 million"
    assert (
        words.money(3.5e9) == "3.5 billion USD"
        and words.money(0.5, "token") == "0.50 USD per token"
    )
    assert words.si(0.0, "B") == "0 B" and words.duration(86400 * 399) == "400 days"
    assert words.day("27 Sep") == "27 Sep"


@pytest.mark.parametrize("word", STATUSES + VERDICTS)
def test_a_badge_has_its_word_its_state_and_its_glyph(word):
    markup = story.badge(word)
    state, glyph = re.search(r'class="badge (\w+) (\w+)"', markup).groups()
    assert f">{word[:1].upper() + word[1:]}</span>" in markup
    assert state in {"good", "warn", "bad", "none", "info"}
    assert glyph in {"disc", "square", "half", "ring", "dashed", "cross", "tick", "dash"}


def test_statuses_of_the_tables_have_badges():
    used = {f.status for subject in data.ids("chip") for f in data.facts(subject)}
    assert used <= set(story.BADGES)


def test_what_is_not_published_never_looks_published():
    assert story.BADGES["published"][1] == "disc"
    assert {story.BADGES[s][1] for s in ("assumed", "undisclosed")} == {"ring", "dashed"}


def test_text_is_escaped():
    evil = "<script>alert(1)</script>**b** `c`"
    for shown in (
        story.answer(evil, evil, [story.Figure(evil, evil, evil)]),
        story.flips([evil]),
        story.checks([story.Check("Holds", evil)]),
        story.table(pd.DataFrame({evil: [evil]}), caption=evil),
    ):
        assert "script" not in tags(shown)
        assert "<strong>b</strong>" in shown.bundle["text/html"]


def test_the_answer_has_its_parts():
    shown = story.answer(
        "Yes, below 6 USD.", "At 4 USD it saves.", [story.Figure("Price", "6 USD", "a–b")] * 4
    )
    assert tags(shown).count("td") == 4
    assert shown.bundle["text/plain"].startswith(
        "Yes, below 6 USD. At 4 USD it saves. | Price: 6 USD a–b"
    )


def test_tables_put_numbers_right_and_verdicts_in_badges():
    frame = pd.DataFrame(
        {
            "Name": ["a", "b"],
            "Value": [1.5, None],
            "Range": ["1–2", "not supported"],
            "Verdict": ["Holds", "Failed"],
        }
    )
    markup = story.table(frame, badges=["Verdict"]).bundle["text/html"]
    assert markup.count('class="n"') == 2 + 4  # two heads, two cells each
    assert markup.count("badge") == 2 and "<td" in markup and "—" in markup
    assert not re.search(r"nan|None", markup)


def test_typography_of_texts_from_tables():
    assert (
        story._inline("12-18 months, 30-40 % less, 2026-11-22, p5-48")
        == "12–18 months, 30–40% less, 2026-11-22, p5-48"
    )


def test_assumptions_show_value_range_status_and_source():
    power, memory = data.fact("trainium3", "power_w"), data.fact("trainium3", "hbm_bytes")
    shown = story.assumptions([("Chip power", power), memory])
    markup = shown.bundle["text/html"]
    assert tags(shown).count("tr") == 3
    assert words.rng(power.low, power.high, digits=3) in markup and "Assumed" in markup
    assert "144" in markup and "GiB" in markup and f'href="#source-{memory.source_id}"' in markup


def test_sources_are_listed_once_in_the_order_given():
    ids = ["neuron_trn3", "aws_trn3_whatsnew", "neuron_trn3", ""]
    markup = story.sources(ids).bundle["text/html"]
    assert re.findall(r'<li id="source-([^"]+)"', markup) == ids[:2]
    assert markup.count("<a href=") == 2


def test_results_are_json_with_every_key():
    frame = pd.DataFrame({"chips": [64, 128], "days": [1.23456789, float("nan")]})
    head = {"name": "speed", "value": 1.94, "unit": "×", "status": "derived", "baseline": 1}
    bundle = story.results([head], {"run": frame}).bundle
    again = json.loads(json.dumps(bundle[story.RESULTS], allow_nan=False))
    assert again["headline"][0] == head | {"low": None, "high": None, "conditions": None}
    assert again["tables"]["run"] == {
        "columns": ["chips", "days"],
        "data": [[64, 1.23457], [128, None]],
    }
    assert bundle["text/plain"] == "speed: 1.94 ×"


def test_outputs_hold_no_address():
    assert "0x" not in json.dumps(story.say("a").bundle) + json.dumps(story.flips(["b"]).bundle)
