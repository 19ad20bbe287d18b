"""A customer's decision as a page tells it: what no sentence may say, and what never stops it."""

import re

import numpy as np
import pytest

from trn3 import data
from trn3.study import customers, decisions, savings
from trn3.uncertainty import Input

FOLDER = data.DATA / "customers"
NAMES = ("anthropic", "karakuri", "splashmusic", "decart")


@pytest.fixture(scope="module")
def decided():
    return {name: decisions.decide(customers.load(name), draws=1024) for name in NAMES}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A file whose only workload asks for a time per token that nothing reaches."""
    text = (FOLDER / "template.toml").read_text()
    path = tmp_path_factory.mktemp("file") / "never.toml"
    path.write_text(
        text.replace("tpot_s = { mid = 0.05, low = 0.03", "tpot_s = { mid = 0.05, low = 1e-4")
    )
    return decisions.decide(customers.load(str(path)), draws=256)


def test_a_case_by_hand(decided):
    for decision in decided.values():
        case, package = decisions.one_case(decision), decisions.by_package(decision)
        hours = case["units"] * case["work_now"] / (3600 * case["speed_now"] * case["busy_now"])
        hours = np.maximum(hours, case["floor_now"] * 730.5)
        assert hours.to_numpy() == pytest.approx(package["now_chip_h"].to_numpy())
        even = package["spared"].sum() / package["hours"].sum()
        assert even == pytest.approx(decision.known.break_even[decision.known.median])


def test_no_sum_is_told_of_a_company_without_published_volumes(decided):
    for decision in decided.values():
        page = " ".join(decisions.page(decision).iloc[:, 1])
        figures = " ".join(figure.value for figure in decisions.figures(decision))
        text = " ".join((decisions.lead(decision), decisions.rest(decision), figures, page))
        text = text.replace(decisions._offer(decision), "")
        for amount in re.findall(r"([\d.,]+(?: million| billion)?) USD", text):
            assert float(amount.replace(",", "")) < 50, f"{amount} USD is no rent"


def test_verdicts_never_deny_the_range(decided):
    for decision in decided.values():
        even, text = decision.even, decisions.rest(decision)
        if even.low < decision.rent < even.high and decision.verdict.word == "open":
            assert "either may be cheaper" in text
        if " is cheaper than" in text:
            assert even.low >= decision.rent * 0.98


def test_thresholds_lie_within_what_the_file_allows(decided):
    for decision in decided.values():
        for row in decision.known.thresholds(decision.rent).itertuples():
            given = decision.known.inputs[row.input]
            assert given.low <= row.flips_at <= given.high


def test_a_ratio_to_today_has_its_range_and_no_third_digit(decided):
    for decision in decided.values():
        page = decisions.page(decision).set_index("Block").iloc[:, 0]
        assert re.match(r"[\d.]+ \([\d.]+–[\d.]+\) times today's bill", page["Bill of a month"])
        assert "99.9%" not in " ".join(page)


def test_a_run_that_hardly_narrows_the_range_is_not_told(decided):
    for decision in decided.values():
        told = decisions.next_step(decision)
        runs = savings.measurements(decision.known, decision.rent)
        worth = [run for run in runs if run.closes or run.narrows >= 0.1]
        if decision.verdict.word == "open":
            assert ("rented" in told) == bool(worth)


def test_a_customer_that_cannot_run_is_an_answer(stopped):
    assert stopped.case is None and decisions.figures(stopped) == []
    assert "both chips" in decisions.lead(stopped) and "tpot_s" in decisions.rest(stopped)
    assert decisions.gates(stopped)["Status"].tolist() == ["no"]
    compared = decisions.compare(stopped)
    assert not compared.decisions and len(decisions.baselines_in_words(compared)) == 3
    for table in (decisions.one_case(stopped), decisions.by_package(stopped)):
        assert table.empty and set(table.dtypes.astype(str)) == {"float64"}
    for chart in (
        decisions.bills(stopped),
        decisions.drivers(stopped),
        decisions.claims(compared, stopped),
    ):
        assert chart.meta["empty"] == stopped.nothing
    assert decisions.flips(stopped)[0].startswith("Chat assistant cannot move")
    assert decisions.headline(stopped) == [] and decisions.assumptions(stopped) == []


def test_one_workload_of_two_that_cannot_run_is_shown_as_such(tmp_path):
    text = (FOLDER / "karakuri.toml").read_text()
    line = re.search(r"^tpot_s = .*$", text, re.M).group()
    never = 'tpot_s = { mid = 1e-4, low = 1e-4, high = 1e-4, unit = "s", why = "x" }'
    (tmp_path / "half.toml").write_text(text.replace(line, never))
    decision = decisions.decide(customers.load(str(tmp_path / "half.toml")), draws=256)
    assert len(decision.results) == 1 and len(decision.stopped) == 1
    assert "cannot move" in decisions.flips(decision)[-1]
    assert "Cannot run" in decisions.gates(decision)["Gate"].tolist()


def test_a_claim_of_a_customer_that_cannot_run_stops_no_other_page(monkeypatch):
    savings._claimed.cache_clear()

    def refuse(customer, *_):
        raise savings.CannotRun(customer.name, {"x": "y"})

    monkeypatch.setattr(savings, "evaluate", refuse)
    try:
        rows = savings.checks()
        mine = rows[rows["check"].str.startswith("Karakuri")]
        assert mine["predicted"].isna().all()
        told = decisions.told(mine)
        assert all(check.verdict == "Cannot be checked" for check in told)
    finally:
        savings._claimed.cache_clear()


def test_the_reader_s_rent_counts_where_the_new_chip_is_the_same():
    who = customers.load("karakuri")
    compared = decisions.compare(decisions.decide(who, rent=2.0, draws=256))
    assert compared.decisions["list"].rent == 2.0
    assert compared.decisions["meant"].rent != 2.0  # that one is about Trainium1
    assert compared.decisions["block"].at == "at your 2.00 USD"


def test_list_prices_beside_a_workload_include_the_prompt():
    (result,) = decisions.decide(customers.load("template"), draws=256).results
    found = savings.sane(result.work, result.now, 5.0)
    low, high = min(found.list_usd), max(found.list_usd)
    lengths = result.work.input_tokens.mid / result.work.output_tokens.mid
    # DeepInfra and Together AI, 2 Jul 2026: 0.10 and 0.32, 0.88 and 0.88 USD per million
    assert low == pytest.approx(0.10 * lengths + 0.32)
    assert high == pytest.approx(0.88 * lengths + 0.88)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"discount": 0.95}, "No offer makes moving clearly cheaper"),
        ({"baseline_price": 0.01}, "No rent makes moving cheaper"),
        ({"baseline_price": 9.0}, "An offer in writing below"),
    ],
)
def test_an_offer_that_could_not_help_is_not_asked_for(given, says):
    who = customers.with_rents(customers.load("karakuri"), "", **given)
    decision = decisions.decide(who, draws=512)
    assert says in decisions.next_step(decision)
    assert "above nothing" not in decisions.rest(decision)
    if "baseline_price" in given:
        assert f"your own {given['baseline_price']:.2f} USD" in decisions.rest(decision)


def test_who_has_an_offer_is_not_told_that_there_is_none():
    who = customers.load("karakuri")
    assert "Nobody can rent" in decisions.next_step(decisions.decide(who, draws=256))
    assert "Nobody can rent" not in decisions.next_step(decisions.decide(who, rent=2.0, draws=256))


def test_a_range_above_the_claim_reaches_it(decided):
    decision = decisions.decide(customers.load("karakuri"), rent=0.01, draws=256)
    compared = decisions.compare(decision)
    above = (decisions.claim_marks(compared)["high"] >= 50).sum()
    assert f"{above} of 6 ranges" in decisions.claims_title(compared, decision)


def test_chips_of_a_smallest_fleet_are_whole():
    floor = Input(1, 4, 8, unit="chips", label="smallest fleet")
    assert decisions._turn(floor, "above", 4.2) == "of 5 chips or more"
    assert decisions._turn(floor, "below", 4.2) == "of 4 chips or fewer"


@pytest.mark.parametrize(("name", "beyond"), [("template", False), ("karakuri", True)])
def test_what_the_axis_cuts_is_not_quoted_as_a_result(name, beyond):
    decision = decisions.decide(customers.load(name), draws=256)
    compared = decisions.compare(decision)
    worst = decisions.claim_marks(compared)["saving"].min()
    title = decisions.claims_title(compared, decision)
    assert (worst == decisions.LEAST_SHOWN) == beyond
    assert (title.startswith("Over 150%") or "150% or more" in title) == beyond


def test_better_software_on_the_new_chips_raises_the_break_even_rent():
    decision = decisions.decide(customers.load("template"), draws=1024)
    levels = decisions.levels(decision).set_index("level")
    assert list(levels.index) == ["first port", "typical", "tuned", "hardware"]
    assert levels["even"].is_monotonic_increasing
    assert levels.loc["typical", "even"] == pytest.approx(decision.even.middle)
    speeds = [
        savings.evaluate(customers.load("template"), n=64, software=level).results[0]
        for level in ("first_port", "hardware")
    ]
    assert speeds[0].now.speed == speeds[1].now.speed  # the present chips stay typical
    assert speeds[0].new.speed.mid < speeds[1].new.speed.mid


def test_a_level_that_is_not_typical_stands_in_the_answer():
    who = customers.load("template")
    port = decisions.decide(who, draws=256, software="first_port")
    assert decisions.lead(port).endswith("with software of a first port.")
    assert "software" not in decisions.lead(decisions.decide(who, draws=256))
    stream = decisions.decide(customers.load("decart"), draws=256, software="tuned")
    assert "software" not in decisions.lead(stream)  # its file gives the share of the peak


def test_no_level_applies_to_a_file_that_gives_the_share_of_the_peak(decided):
    assert decisions.levels(decided["decart"]).empty
    assert "no level applies" in decisions.by_level(decided["decart"]).meta["empty"]
