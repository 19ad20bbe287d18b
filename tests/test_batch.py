"""Batches: what a grid means, what is remembered, what is redone, and the same on a Dask
cluster.
"""

import json
import os
import shlex
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest
import small

from trn3.reporting import batch, parameters
from trn3.reporting.batch import BatchError

GRID = """report = "02_small"
[common]
share = 0.25
[grid]
n = [1, 2, 3]
chip = ["trainium3", "b200"]
[[case]]
n = 9
rivals = ["h100", "h200"]
[[case]]
n = 1
chip = "Trainium-3"
"""


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    small.report(tmp_path / "notebooks")
    small.report(tmp_path / "notebooks", "08_other")
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path / "notebooks"


def grid(notebooks: Path, text: str) -> Path:
    path = notebooks.parent / "grid.toml"
    path.write_text(text)
    return path


def test_a_grid_is_crossed_and_each_report_is_made_once(notebooks):
    cases = batch.cases(grid(notebooks, GRID))
    assert len(cases) == 7  # 3 x 2 and one case; the other case is the first combination again
    assert [(c.values["n"], c.values["chip"]) for c in cases[:2]] == [(1, "trainium3"), (1, "b200")]
    assert cases[-1].values["rivals"] == ["h100", "h200"] and all(
        c.values["share"] == 0.25 for c in cases
    )
    assert len({c.stem for c in cases}) == 7 and all(c.stem.startswith("02_small-") for c in cases)


def test_defaults_in_full_make_the_plain_report(notebooks):
    assert batch.case("02", {"n": "3", "share": 0.5}).stem == "02_small"
    assert batch.case("02", {"n": "4"}).stem == batch.case("small", {"n": 4}).stem != "02_small"


def test_a_case_may_name_another_report(notebooks):
    text = 'report = "02"\n[[case]]\n[[case]]\nreport = "other"\nn = 2\n'
    assert [c.notebook.stem for c in batch.cases(grid(notebooks, text))] == ["02_small", "08_other"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'report = "02"\n[grid]\nn = [1, 2, 99]\nchip = ["b200", "b20"]',
            "case 2: chip: .*3 more cases",
        ),
        ('report = "02"\n[grid]\nn = []', "grid.n: "),
        ('report = "02"\n[grids]\nn = [1]', "grids: "),
        ('report = "02"\ncase = 3', "case: "),
        ('report = "02"\ncase = [3]', "case.0: "),
        ('report = "02"\ngrid = 3', "grid: "),
        ('report = "02"', "names no case"),
        ("[[case]]\nn = 1", "no report named ''"),
        ('[[case]]\nreport = "../../02"', "no report named"),
        ('report = "02"\n[[case]]\nn = nan', "n: nan is not"),
        ('report = "02"\n[[case]]\nn = 2026-11-22', "n: .* is not"),
        ('report = "02"\n[[case]]\n"n = 1; import os" = 1', "no parameter named"),
        ("report = ", "grid.toml: "),
        ("report: 02\ngrid:\n  n: [1, 2]\n", "looks like YAML; write TOML"),
        ('{"report": "02", "grid": {"n": [1]}}', "this is JSON; write TOML"),
        (f"report = {'[' * 10**4}", "nested too deeply|no TOML"),
        ('report = "02"\n["a\\nb"]\nn = 1', r"grid.toml: 'a\\nb': "),
        (
            f'report = "02"\n[grid]\nn = {list(range(400))}\n'
            f"share = {[i / 999 for i in range(999)]}",
            "more than 100,000",
        ),
    ],
)
def test_a_wrong_grid_is_refused_in_one_line_before_anything_is_made(notebooks, text, words):
    with pytest.raises(BatchError, match=words) as error:
        batch.cases(grid(notebooks, text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "kind"), [("grid.yaml", "YAML"), ("grid.json", "JSON")])
def test_a_grid_in_another_language_is_named(tmp_path, name, kind):
    (tmp_path / name).write_text("anything")
    with pytest.raises(BatchError, match=f"this is {kind}; write TOML"):
        batch.cases(tmp_path / name)


def test_a_grid_may_start_with_a_byte_order_mark_and_hold_one_value(notebooks):
    path = notebooks / "grid.toml"
    path.write_text('report = "02"\n[grid]\nn = 3\n', encoding="utf-8-sig")
    assert [c.values["n"] for c in batch.cases(path)] == [3]


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(BatchError, match="No such file"):
        batch.cases(tmp_path / "none.toml")


def test_the_key_follows_notebook_parameters_data_and_code_but_not_stored_outputs(
    notebooks, monkeypatch
):
    key = batch.case("02", {"n": 2}).key
    assert key != batch.case("02", {"n": 4}).key and key != batch.case("08", {"n": 2}).key
    path = notebooks / "02_small.ipynb"
    stored = json.loads(path.read_text())
    stored["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "new"}]
    path.write_text(json.dumps(stored))
    assert batch.case("02", {"n": 2}).key == key
    path.write_text(json.dumps(stored).replace("how many", "How many"))
    assert batch.case("02", {"n": 2}).key != key
    monkeypatch.setattr(batch, "fingerprint", lambda: "other data, code or packages")
    assert batch.case("08", {"n": 2}).key != key


def test_the_fingerprint_sees_data_code_and_packages(tmp_path, monkeypatch):
    first = batch.fingerprint.__wrapped__()
    assert first == batch.fingerprint.__wrapped__()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "specs.csv").write_text("changed")
    monkeypatch.setattr(batch.data, "DATA", tmp_path / "data")
    assert batch.fingerprint.__wrapped__() != first


def test_the_command_reproduces_the_report(notebooks):
    one = batch.case("02", {"note": "it's <b> $HOME `x`", "rivals": "h100,h200", "flag": "no"})
    words = shlex.split(one.command)
    assert words[:3] == ["./run", "report", "02_small"]
    given = dict(word.split("=", 1) for word in words[4::2])
    assert batch.case("02", given) == one


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A batch of four of which one fails."""
    home = tmp_path_factory.mktemp("made")
    small.report(home / "notebooks")
    path = home / "grid.toml"
    path.write_text(
        'report = "02"\n[grid]\nn = [2, 3]\nmode = ["fine"]\n'
        '[[case]]\nn = 5\n[[case]]\nmode = "raise"\nnote = "q"\n'
    )
    done = small.trn3(home / "notebooks", "batch", path, "--out", home / "out")
    return home, done


def test_a_batch_makes_what_it_can_and_says_what_failed(made):
    home, done = made
    assert done.returncode == 1, done.stderr
    assert "3 of 4 reports made" in done.stdout
    assert "failed: " in done.stderr and "ValueError: no luck with <b>q</b>" in done.stderr
    names = {p.name for p in (home / "out").iterdir()}
    assert {"index.html", "index.csv", "vega.js", "manifest.jsonl", "02_small.html"} <= names
    assert {n for n in names if n.startswith(".")} <= {".lock"}, "no part is left"


def test_results_and_tables_are_beside_the_page(made):
    results = json.loads((made[0] / "out" / "02_small.json").read_text())
    assert set(results) == {"report", "parameters", "data_date", "headline", "tables"}
    assert results["headline"][0]["value"] == 3 and results["tables"] == {
        "rows": "02_small-rows.csv"
    }
    table = pd.read_csv(made[0] / "out" / "02_small-rows.csv")
    assert table.to_dict("list") == {"row": [0, 1, 2], "double": [0, 2, 4]}


def test_the_index_compares_headline_numbers(made):
    table = pd.read_csv(made[0] / "out" / "index.csv")
    assert sorted(table["state"]) == ["done", "done", "done", "failed"]
    assert sorted(table["value"].dropna()) == [2, 3, 5] and sorted(table["low"].dropna()) == [
        1,
        2,
        4,
    ]
    page = (made[0] / "out" / "index.html").read_text()
    assert page.count("02_small-") >= 3


def test_the_error_page_tells_cell_message_parameters_and_command(made):
    rows = batch.remembered(made[0] / "out").values()
    failed = next(row for row in rows if row["status"] == "failed")
    page = (made[0] / "out" / f"{failed['report']}.html").read_text()
    for text in (
        "no luck with &lt;b&gt;q&lt;/b&gt;",
        "./run report 02_small",
        "mode=raise",
        "ValueError",
    ):
        assert text in page, text
    assert "<b>q</b>" not in page


def times(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in out.glob("02_small*.html")}


def test_resume_redoes_what_failed_is_missing_or_stale_and_nothing_else(made):
    home, _ = made
    out, before = home / "out", times(home / "out")
    plain = [name for name, row in batch.remembered(out).items() if row["status"] == "done"]
    cut, edited, kept = plain
    (out / f"{cut}-rows.csv").unlink()
    page = out / f"{edited}.html"
    page.write_text(page.read_text()[:1000])
    with open(out / "manifest.jsonl", "a") as manifest:
        manifest.write('\n{"report": "02_small", "status": "do')  # a crash in mid-line
    done = small.trn3(home / "notebooks", "batch", home / "grid.toml", "--out", out, "--resume")
    assert done.returncode == 1  # one still fails
    after = times(out)
    failed = next(name for name, row in batch.remembered(out).items() if row["status"] == "failed")
    assert {name.removesuffix(".html") for name in after if after[name] != before[name]} == {
        cut,
        edited,
        failed,
    }
    assert after[f"{kept}.html"] == before[f"{kept}.html"] and "</html>" in page.read_text()
    path = home / "notebooks" / "02_small.ipynb"
    path.write_text(path.read_text().replace("how many rows", "how many lines"))
    small.trn3(home / "notebooks", "batch", home / "grid.toml", "--out", out, "--resume")
    assert all(times(out)[name] != after[name] for name in after)


def test_kernels_make_the_same_again_without_resume(made):
    home, _ = made
    grid, before = (
        home / "two.toml",
        {p.name: p.read_text() for p in (home / "out").glob("02_small*")},
    )
    grid.write_text('report = "02"\n[grid]\nn = [2, 3]\n')
    done = small.trn3(
        home / "notebooks", "batch", grid, "--out", home / "kernels", "--engine", "kernel"
    )
    assert done.returncode == 0, done.stderr
    after = {p.name: p.read_text() for p in (home / "kernels").glob("02_small*")}
    assert len(after) == 6 and all(before[name] == text for name, text in after.items())


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_an_error(notebooks, tmp_path, address):
    arguments = ("batch", grid(notebooks, GRID), "--out", tmp_path, "--scheduler", address)
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}  # nobody will ever answer
    done = small.trn3(notebooks, *arguments, env=soon)
    assert (
        done.returncode == 2
        and done.stderr.startswith("trn3: scheduler ")
        and done.stderr.count("\n") == 1
    )


def test_a_dask_cluster_makes_all_reports_though_a_worker_is_killed(
    notebooks, tmp_path, monkeypatch
):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("TRN3_NOTEBOOKS", str(notebooks))
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": None,
        "memory_limit": 0,
    }
    path = grid(notebooks, 'report = "02"\n[grid]\nn = [1, 2, 3, 4]\n')
    with distributed.LocalCluster(**options) as cluster:
        process = small.start(
            notebooks,
            "batch",
            path,
            "--out",
            tmp_path / "out",
            "--scheduler",
            cluster.scheduler_address,
        )
        with distributed.Client(cluster) as client:
            busy = small.until(
                lambda: [w for w, tasks in client.processing().items() if tasks], process
            )
            os.kill(client.run(os.getpid, workers=busy[:1])[busy[0]], signal.SIGKILL)
            out, err = process.communicate()
    assert process.returncode == 0, err
    assert "4 of 4 reports made" in out
    assert sorted(pd.read_csv(tmp_path / "out" / "index.csv")["value"]) == [1, 2, 3, 4]


def test_workers_with_other_data_are_refused(notebooks, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        monkeypatch.setattr(
            batch, "fingerprint", lambda: threading.current_thread() is threading.main_thread()
        )
        with pytest.raises(BatchError, match="a worker has other data or code"):
            batch.cluster(cluster.scheduler_address)


def test_the_command_on_a_page_does_not_tell_the_folders_around(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    one = batch.Case(parameters.find("08"), {}, {"customer": f"{tmp_path}/mine.toml"}, "08", "", "")
    assert one.command == "./run report 08_customer_savings -p customer=mine.toml"
