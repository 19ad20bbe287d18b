"""The panel of a page: every parameter in words, every value as a person would write it."""

import re

import pytest

from trn3 import data
from trn3.reporting import panel, parameters
from trn3.show import story, words

NOTEBOOKS = parameters.notebooks()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_parameter_of_the_collection_has_words(path):
    declared = parameters.read(path)
    for entry in panel.entries({p.name: p.default for p in declared}, declared):
        assert entry["label"] == data.named(entry["name"]), (
            f"no row in labels.csv for {entry['name']}"
        )
        text = ", ".join(word for word, _ in entry["words"])
        assert "_" not in text and not re.search(r"\de[-+]?\d", text), entry


def declared(meaning="what it is", unit="", allowed="0..10", kind="float"):
    return parameters.Parameter("x", kind, 0, meaning, unit, allowed)


def test_numbers_follow_the_rules_of_the_house():
    assert panel.value(15.6e12, declared(unit="tokens")) == "15.6 trillion tokens"
    assert panel.value(131072, declared(unit="chips")) == "131,072 chips"
    assert panel.value(1234567) == "1,234,567"  # words would lose digits
    assert panel.value(0.6, declared(allowed="0.01..1")) == "60%"
    assert panel.value(-0.5, declared(unit="share per year")) == "−50% per year"
    assert panel.value(50.0, declared(unit="1/s")) == "50 per second"


def test_a_zero_that_stands_for_something_says_for_what():
    assert (
        panel.value(0.0, declared("rent; 0 takes the assumed middle", "USD per chip-hour"))
        == "the assumed middle"
    )
    assert panel.value(0.0, declared("delay", "months")) == "0 months"


def test_a_file_is_named_by_its_path_from_here_and_never_from_the_root():
    assert panel.value("models/mine/config.json") == "models/mine/config.json"
    assert panel.value("/home/somebody/mine/config.json") == "mine/config.json"
    assert panel.value("../../mine/config.json") == "mine/config.json"


def test_undeclared_parameters_are_still_listed():
    assert panel.entries({"own_name": "own value"}) == [
        {"name": "own_name", "label": "own name", "meaning": "", "words": [("own value", "")]}
    ]


def test_chips_and_systems_lead_to_their_numbers_where_these_are():
    values = {"rivals": ["h100", "trn3_gen2"], "model": "llama3_3_70b"}
    rivals, model = (entry["words"] for entry in panel.entries(values, linked=True))
    assert [link for _, link in rivals] == ["numbers.html#h100", "numbers.html#trn3_gen2"]
    assert [link for _, link in model] == [""]
    assert not any(link for entry in panel.entries(values) for _, link in entry["words"])


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("700-750 elsewhere; 2.7-3.3", "700–750 elsewhere; 2.7–3.3"),
        ("read 2026-07-22 and 2026-07", "read 2026-07-22 and 2026-07"),
        ("GPT-3, p6-b200 and MT-NLG-530B", "GPT-3, p6-b200 and MT-NLG-530B"),
    ],
)
def test_ranges_in_notes_get_an_en_dash_and_dates_do_not(written, shown):
    assert words.neat(written) == shown


def test_arithmetic_names_other_subjects_and_keeps_its_remark():
    text = story.derivation("= gb200.scale_out_bytes_per_s / 2; one port", "gb200_nvl72")
    assert text.startswith("= ") and text.endswith(" of GB200 / 2; one port") and "_" not in text
    assert story.derivation("a remark") == "a remark"


def test_inputs_keep_their_digits():
    fact = data.assumption("measured_chips")
    assert f"{fact.value:,.0f}" in story.assumptions([fact]).bundle["text/plain"]
