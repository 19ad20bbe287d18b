"""The track record of page 10 against the stored scores."""

import numpy as np
import pytest

from trn3.fit import trust
from trn3.study import track_record


@pytest.fixture(scope="module")
def runs():
    return track_record.runs("source")


def test_the_median_of_groups_is_the_stored_score(runs):
    by_group = runs.groupby(["kind", "group"])["factor"].median()
    for kind in track_record.KINDS:
        stored = trust.summary(kind, "source")["group_median_factor"]
        assert by_group[kind].median() == pytest.approx(stored, rel=2e-3)  # rows have four digits


def test_rates_become_times_and_keep_their_ranges(runs):
    rates = runs[~runs["quantity"].isin(track_record.TIMES)]
    assert len(rates)
    assert (rates["low_s"] <= rates["predicted_s"]).all()
    assert (rates["predicted_s"] <= rates["high_s"]).all()
    inside = rates["measured_s"].between(rates["low_s"], rates["high_s"])
    assert (inside == rates["inside"]).all()


def test_half_and_double_are_the_same_miss(runs):
    miss = np.exp(np.abs(np.log(runs["measured"] / runs["predicted"])))
    assert np.allclose(runs["factor"], miss)


def test_groups_hold_every_run_once_worst_first(runs):
    groups = track_record.groups(runs)
    assert groups["n"].sum() == len(runs)
    for _, of_kind in groups.groupby("kind"):
        assert of_kind["factor"].is_monotonic_decreasing
    assert len(track_record.worst(groups, 2)) == 2 * len(track_record.KINDS)


def test_a_family_where_a_constant_wins_is_named():
    table = track_record.families("source")
    named = " ".join(track_record.outside("source"))
    for row in table[table["constant_wins"] & (table["part"] != "everything")].itertuples():
        assert f"{track_record.KINDS[row.kind]}, {row.part}: one constant" in named


def test_leaving_out_more_never_scores_other_rows():
    table = track_record.ways()
    assert list(table["Left out of the fit"].unique()) == list(track_record.WAYS.values())


def test_every_chip_is_either_scored_or_named(runs):
    named = track_record.unseen_chips(runs).set_index("Model")["No run of"]
    assert "Trainium3" in named["Serving"] and "H100" not in named["Training"]
