"""Energy, useful time and money beside published figures: what is scored, against what, and how."""

import json

import numpy as np
import pandas as pd
import pytest

from trn3 import data
from trn3.reporting import cli
from trn3.study import outcomes

TABLES = {"energy": "checks", "goodput": "checks", "money": "money_checks"}


@pytest.fixture(scope="module", params=outcomes.KINDS)
def kind(request):
    return request.param


def test_every_published_figure_is_scored_or_named_with_its_reason(kind):
    table = data.table(TABLES[kind])
    mine = table if kind == "money" else table[table["area"] == kind]
    found = outcomes.rows(kind)
    again = [outcomes.LOST, outcomes.PLAIN]  # the same figures, told or computed in another way
    found = found[~found["part"].isin(again)]
    assert len(found) + len(outcomes.unscored(kind)) == len(mine)
    assert (outcomes.unscored(kind)["reason"] != "").all()
    data.sources([*found["source_id"], *outcomes.unscored(kind)["source_id"]])


def test_rows_that_reproduce_their_input_stand_apart(kind):
    found = outcomes.rows(kind)
    for part, of in found.groupby("part"):
        assert of["kind"].isin(outcomes.EVIDENCE).nunique() == 1, part
    scores = outcomes.scores(kind)
    assert scores["n_rows"].sum() == len(found)
    evidence = scores["kind"].isin(outcomes.EVIDENCE)
    assert evidence[0] and evidence.is_monotonic_decreasing


def test_logged_power_beside_rated_power():
    found = outcomes.rows("energy").set_index("check")
    of = found.loc["4 of 8 B200 serve gpt-oss-120b in FP4 to 64 users: energy per output token"]
    # eight GPUs logged at 316.8 W, four of them in use, rated 1,000 W; 8,295.85 tokens/s
    assert of["published"] == pytest.approx(8 * 316.8 / 8295.85)
    assert of["constant"] == pytest.approx(4 * 1000 / 8295.85)
    assert of["low"] < of["predicted"] < of["high"]


def test_a_fleet_is_held_against_the_median_of_the_others():
    found = outcomes.rows("goodput")
    useful = found[found["part"] == outcomes.USEFUL].set_index("source_id")
    assert useful.loc["llama3", "constant"] == pytest.approx((0.97 + 0.875) / 2)
    lost = found[found["part"] == outcomes.LOST].set_index("source_id")
    assert lost.loc["gemini_ckpt", "published"] == pytest.approx(
        178_000 / (992 * 60 * 24), rel=0.01
    )
    assert (lost["low"] <= lost["high"]).all()
    np.testing.assert_allclose(lost["published"] + useful["published"], 1.0)


def test_list_prices_are_what_sellers_ask():
    found = outcomes.rows("money").query("part != @outcomes.PLAIN").set_index("check")
    assert found.loc["Ownership cost of H100, SemiAnalysis", "constant"] == pytest.approx(55.04 / 8)
    # DeepSeek's own revenue at its list price, for the same day
    assert found.loc["DeepSeek, a day of its fleet", "constant"] == 562_027
    point = found.loc["InferenceX, gpt-oss-120b on B200 at 72 tokens/s/user"]
    assert point["constant"] == pytest.approx((0.15 + 0.6) / 2)  # as much read as written


def test_two_judgements_lie_between_the_costs_of_ownership():
    """Without a dealer's margin and a share for the network, costs of racks come out lower."""
    found = outcomes.rows("money")
    with_both, without = (found[found["part"] == p] for p in (outcomes.OWNED, outcomes.PLAIN))
    assert with_both["check"].tolist() == without["check"].tolist()
    rack = with_both["check"].str.contains("GB200")
    lower = without["predicted"].to_numpy() < with_both["predicted"].to_numpy()
    assert lower[rack].all()


def test_scores_follow_from_the_rows(monkeypatch):
    """Two groups: one off by 2 and by 8, so by 4; one exact: the median of both is 2."""
    base = {"publisher": "p", "kind": "independent", "published": 1.0, "part": "x"}
    rows = [
        base | {"group": "a", "predicted": 2.0, "low": 0.5, "high": 3.0, "constant": 3.0},
        base | {"group": "a", "predicted": 0.125, "low": 0.1, "high": 0.2, "constant": 3.0},
        base | {"group": "b", "predicted": 1.0, "low": 0.9, "high": 1.1, "constant": 3.0},
    ]
    monkeypatch.setattr(outcomes, "rows", lambda kind: pd.DataFrame(rows))
    (line,) = outcomes.scores("energy").to_dict("records")
    assert (line["n_rows"], line["n_groups"], line["n_publishers"]) == (3, 2, 1)
    assert line["factor"] == pytest.approx(2.0)
    assert (line["factor_low"], line["factor_high"]) == pytest.approx((1.0, 4.0))
    assert line["coverage"] == pytest.approx((0.5 + 1.0) / 2)
    assert line["constant_factor"] == pytest.approx(3.0)


def test_the_command_prints_and_writes_them(kind, tmp_path, capsys):
    out = tmp_path / "scores.json"
    assert cli.main(["validate", kind, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    found = outcomes.scores(kind)
    assert all(part in printed for part in found["part"])
    written = json.loads(out.read_text())
    assert [line["part"] for line in written["scores"]] == found["part"].tolist()
    assert len(written["rows"]) == found["n_rows"].sum()


def test_a_file_or_a_fold_is_refused(capsys):
    assert cli.main(["validate", "energy", "--folds", "none"]) == 2
    assert "validate energy takes no file" in capsys.readouterr().err
    with pytest.raises(data.TrnError, match="must be one of energy, goodput, money"):
        outcomes.rows("speed")
