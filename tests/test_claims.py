"""Launch claims: what the tables say, verdict by verdict, against any chip."""

import numpy as np
import pytest

from trn3 import data, hardware
from trn3.study import claims


@pytest.fixture(scope="module")
def found():
    return claims.compared()


@pytest.mark.parametrize(
    ("dtype", "level", "ratio"),
    [  # AWS's data sheets: 2,517 over 1,299 TFLOP/s in FP8, 671 over 667 in BF16; 144 chips over 64
        ("fp8", "chip", 2517 / 1299),
        ("bf16", "chip", 671 / 667),
        ("fp8", "ultraserver", 144 * 2517 / (64 * 1299)),
        ("bf16", "ultraserver", 144 * 671 / (64 * 667)),
    ],
)
def test_ratios_follow_from_the_data_sheets(found, dtype, level, ratio):
    assert found.ratio(dtype, level) == pytest.approx(ratio, rel=5e-3)  # systems are rounded


def test_one_claim_by_hand_gives_the_systems_peaks(found):
    sheet = claims.data_sheet(found)
    chips = sheet["Trainium3"] / sheet["Trainium2"]
    by_hand = chips.to_numpy() * found.new.n_chips / found.old.n_chips
    assert by_hand == pytest.approx(claims.system_peaks(found), rel=5e-3)


def test_verdicts_by_hand_are_those_of_the_package():
    """Holds: every reading in whole; partly: the high end of one; else it does not hold."""
    ways = claims.counting()
    assert ways["claim_id"].nunique() >= 7
    for claim_id, rows in ways.groupby("claim_id"):
        whole, part = (rows["low"] >= rows["goal"]).all(), (rows["high"] >= rows["goal"]).any()
        by_hand = np.select([whole, part], ["Holds", "Partly"], "Does not hold")
        assert by_hand == data.verdict(claim_id), claim_id


def test_every_claim_stands_in_one_table_with_one_of_four_verdicts(found):
    judged, unsettled = claims.judged_in_words(found), claims.unsettled_in_words(found)
    assert len(judged) + len(unsettled) == len(found.told) == sum(found.counts.values())
    assert set(judged["Verdict"]) <= set(claims.VERDICTS) - {"Cannot be checked"}
    order = [list(claims.VERDICTS).index(verdict) for verdict in judged["Verdict"]]
    assert order == sorted(order)
    assert unsettled["What would settle it"].str.len().min() > 5
    assert {check.verdict for check in claims.checks()} <= set(claims.VERDICTS)


def test_the_answer_counts_them(found):
    counts = found.counts
    said = claims.lead(found)
    assert said.startswith("Only in part: ")
    assert f"{counts['Holds']} hold, {counts['Partly']} hold in part" in said
    assert f"{counts['Does not hold']} do not hold" in said


@pytest.mark.parametrize("chip", [c.id for c in hardware.chips()])
def test_every_chip_is_compared_or_refused_with_a_reason(chip):
    try:
        other = claims.compared(chip)
    except data.TrnError as reason:
        assert f"baseline = {chip!r}" in str(reason) and "try trainium2" in str(reason)
        return
    said = f"{claims.lead(other)} {claims.rest(other)} {claims.title(other)}"
    said += claims.others_title(other)
    assert "nan" not in said and "not supported" not in said
    assert other.named == (chip == "trainium2")
    assert len(claims.title(other).split()) <= 14
    assert claims.system_peaks(other) == pytest.approx(
        claims.data_sheet(other).iloc[:, 1].to_numpy()
        / claims.data_sheet(other).iloc[:, 2].to_numpy()
        * other.new.n_chips
        / other.old.n_chips,
        rel=1e-2,
    )


def test_a_right_number_is_written_with_its_unit():
    assert claims._right(500.0, 700.0, 1000.0, "W") == "500–1,000 W"
    assert claims._right(4.36, 4.36, 4.36, "x") == "4.36×"
    assert claims._right(float("nan"), float("nan"), float("nan"), "W") == ""
