"""Levels of software on a page: whose level counts where, and what own runs of a reader move."""

import numpy as np
import pandas as pd
import pytest

from trn3 import data, hardware, training, workload
from trn3.fit import own_runs
from trn3.study import pricing, stacks

TRN3, H100 = hardware.system("trn3_gen2"), hardware.system("hgx_h100")
JOB = workload.TrainingJob(workload.model("llama3_8b"), 1e11, 4096, 512, "bf16")


@pytest.fixture
def slow(tmp_path):
    """A file of three H100 runs that take half as long again as predicted."""
    runs = pd.read_csv(
        data.DATA / "templates" / "training_runs.csv", dtype=str, keep_default_na=False
    )
    runs = runs[runs["accelerator"] == "h100"]
    runs.to_csv(tmp_path / "one.csv", index=False)
    predicted = own_runs.read("training", tmp_path / "one.csv").runs["predicted"].iloc[0]
    runs = pd.concat([runs] * 3).assign(
        row_id=["a", "b", "c"], iter_time_s=f"{1.5 * predicted:.4f}"
    )
    runs.to_csv(tmp_path / "slow.csv", index=False)
    return str(tmp_path / "slow.csv")


def test_a_named_level_is_about_the_system_in_question_alone():
    levels = stacks.read("tuned")
    assert levels.level("serving", TRN3) == "tuned"
    assert levels.level("serving", TRN3, in_question=False) == "typical"
    assert stacks.given(levels) is levels and stacks.given("tuned") == levels


def test_own_runs_move_the_chips_that_they_ran_on(slow):
    levels = stacks.read("first_port", slow)
    record = levels.level("training", H100, in_question=False)
    assert record.level == "own" and 1 < record.time_factor < 1.5
    assert levels.level("training", TRN3) == "first_port"
    assert levels.level("serving", H100, in_question=False) == "typical"
    assert levels.knows(H100) and not levels.knows(TRN3)
    (said,) = levels.said
    assert "3 runs of slow.csv" in said and "Hopper" in said and "training steps" in said


def test_a_record_moves_the_step_and_keeps_the_band_at_most_as_wide(slow):
    record = stacks.read("typical", slow).level("training", H100)
    cluster = hardware.Cluster(H100, 64)
    typical, own = (training.estimate(JOB, cluster, software=s) for s in ("typical", record))
    assert own.step_time_s[1] == pytest.approx(record.time_factor * typical.step_time_s[1])
    widths = [np.log(e.step_time_s[2] / e.step_time_s[0]) for e in (typical, own)]
    assert widths[1] <= widths[0] * (1 + 1e-9)


def test_the_price_of_a_run_on_a_rival_follows_own_runs_there(slow):
    systems, blocks = ["trn3_gen2", "hgx_h100"], pricing.Purchase("capacity_block", "us_east_2")
    before = pricing.runs(JOB, systems, blocks, 64)
    after = pricing.runs(JOB, systems, blocks, 64, stacks.read("typical", slow))
    assert after.table.loc["hgx_h100", "usd"] > before.table.loc["hgx_h100", "usd"]
    assert after.own["usd"] == pytest.approx(before.own["usd"])
    assert after.cheapest["even"] > before.cheapest["even"]


def test_a_file_that_tells_nothing_is_refused_by_name(tmp_path):
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(data.TrnError, match=r"runs: no row tells a level.*as serving.*as training"):
        stacks.read("typical", str(tmp_path / "odd.csv"))
