"""The command: help at once, one line for every mistake, and each command does what it says."""

import csv
import datetime
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import small

from trn3 import data
from trn3.reporting import cli, here


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    try:
        code = cli.main([str(a) for a in arguments])
    except SystemExit as error:
        code = error.code
    return code, *capsys.readouterr()


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    from trn3.reporting import parameters

    small.report(tmp_path / "notebooks")
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path / "notebooks"


def test_help_loads_nothing_heavy():
    code = "import sys; from trn3.reporting.cli import parser; "
    code += "parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "numpy",
        "pandas",
        "scipy",
        "pydantic",
        "papermill",
        "nbformat",
        "altair",
        "IPython",
        "tqdm",
    }
    assert not heavy & set(done.stdout.split())


def test_help_names_every_command(capsys):
    code, out, _ = run(capsys, "--help")
    names = (
        "report",
        "batch",
        "params",
        "search",
        "calibrate",
        "validate",
        "refresh",
        "compare",
        "doctor",
        "lab",
    )
    assert code == 0 and all(re.search(rf"^    {name}\b", out, re.M) for name in names)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["repor"], "did you mean report?"),
        (["report", "--enginge", "fork"], "report takes no --enginge"),
        (["report", "02", "--engine", "forkk"], "did you mean fork?"),
        (["report", "02", "--jobs", "many"], "invalid int value"),
        (["report", "02", "--jobs", "0"], "--jobs must be more than 0"),
        (["report", "02", "--timeout", "nan"], "--timeout must be more than 0"),
        (["report", "02", "--memory", "-1"], "--memory must be more than 0"),
        (["report", "03"], "no report named '03'"),
        (["report", "02_smal"], "did you mean 02_small?"),
        (["report", "02", "-p", "n"], "write KEY=VALUE"),
        (["report", "02", "-p", "n=1", "-p", "n=2"], "given twice"),
        (["report", "02", "-p", "m=1"], "no parameter named 'm'"),
        (["report", "02", "-p", "n=99"], "n: 99 is not a whole number from 1 to 10 [-]"),
        (["report", "02", "-p", "chip=trainium5"], "chip: "),
        (["report", "02", "--customer", "x.toml"], "no parameter named 'customer'"),
        (["params", "zz"], "no report named 'zz'"),
        (["batch", "none.toml"], "No such file"),
        (["compare", "trainium3", "b20"], "did you mean b200"),
        (
            ["compare", "trainium3", "none.json"],
            "none.json: cannot be read (No such file or directory)",
        ),
        (
            ["search", "--model", "llama2_7b", "--system", "trn3_gen2", "--chips", "10..5"],
            "the range is empty",
        ),
        (
            ["search", "--model", "llama2_7b", "--system", "trn3", "--chips", "x"],
            "--chips 'x': write a number",
        ),
        (["search", "--model", "llama2_7b", "--system", "trn9", "--chips", "8"], "trn9"),
        (["validate", "training", "none.csv"], "none.csv"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(notebooks, capsys, arguments, words):
    code, out, err = run(capsys, *arguments)
    assert (
        code == 2 and words in err and err.startswith("trn3") and err.count("\n") == 1 and not out
    )


ENDS = [
    (data.DataError("bad"), 2, "trn3: bad"),
    (data.TrnError("two\nlines"), 2, r"trn3: two\nlines"),
    (data.TrnError("\x1b[31mred\x07\u202e"), 2, r"trn3: \x1b[31mred\x07\u202e"),
    (OSError(28, "No space left on device", "out.html"), 2, "trn3: out.html: No space left"),
    (OSError(), 2, "trn3: OSError"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, "trn3: a text is not"),
    (MemoryError(), 2, "trn3: not enough memory"),
    (RecursionError("deep"), 2, "trn3: what was given is nested too deeply"),
    (KeyboardInterrupt(), 130, "trn3: interrupted"),
    (ModuleNotFoundError("No module named 'x'"), 1, "trn3: a package cannot be loaded"),
    (ZeroDivisionError("division by zero"), 1, "trn3: a fault of trn3, not of yours: ZeroDiv"),
    (KeyError(), 1, "trn3: a fault of trn3, not of yours: KeyError: no message"),
    (BrokenPipeError(), 0, ""),
]


@pytest.mark.parametrize(("error", "status", "line"), ENDS)
@pytest.mark.parametrize("debug", [False, True])
def test_whatever_ends_a_command_is_one_line(capsys, monkeypatch, error, status, line, debug):
    def ends(_):
        raise error

    monkeypatch.setattr(cli, "doctor", ends)
    code, out, err = run(capsys, *["--debug"] * debug, "doctor")
    last = err.splitlines()[-1] if line else ""
    assert code == status and not out and last.startswith(line)
    assert ("Traceback" in err) == debug and (debug or err.count("\n") == bool(line))


def test_every_problem_of_a_customer_file_has_a_line_of_its_own(tmp_path, capsys):
    text = (data.DATA / "customers" / "template.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(f'"odd\\nkey" = 1\nodd = 1\n{text}', encoding="utf-8")
    code, out, err = run(capsys, "report", "08", "--customer", path)
    lines = err.splitlines()
    assert code == 2 and not out and len(lines) == 2
    assert all(line.startswith("trn3: mine.toml: ") for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_takes_no_more_is_one_line():
    code = f"{sys.executable} -m trn3 compare trainium3 h100 > /dev/full"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "trn3: No space left on device\n"


def test_a_terminal_that_knows_few_characters_gets_escapes():
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "trn3", "compare", "café", "h100"]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 2 and r"caf\xe9" in done.stderr and "Traceback" not in done.stderr


def test_a_broken_data_file_is_named_with_row_and_column(tmp_path, notebooks):
    import shutil

    shutil.copytree(data.DATA, tmp_path / "data")
    path = tmp_path / "data" / "specs.csv"
    lines = path.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("trainium3,hbm_bytes,"))
    lines[row] = lines[row].replace("published", "publishedd", 1)
    path.write_text("\n".join(lines) + "\n")
    done = small.trn3(
        notebooks, "compare", "trainium3", "b200", env={"TRN3_DATA": str(tmp_path / "data")}
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "specs.csv" in done.stderr and str(row + 1) in done.stderr and "status" in done.stderr


def test_params_shows_what_a_report_takes(notebooks, capsys):
    code, out, _ = run(capsys, "params", "02")
    assert code == 0 and "n = 3\n    how many rows: a whole number from 1 to 10 [-]" in out
    code, out, _ = run(capsys, "params", "small", "--json")
    assert code == 0 and json.loads(out)["properties"]["n"]["maximum"] == 10


def test_report_makes_a_page_with_its_numbers(notebooks, tmp_path):
    done = small.trn3(
        notebooks, "report", "02", "-p", "n=4", "-p", "note=ä b", "--out", tmp_path / "out"
    )
    assert (
        done.returncode == 0
        and "trn3" not in done.stderr
        and done.stdout.startswith("1 of 1 reports made: ")
    )
    page = Path(done.stdout.strip().split(": ")[1])
    assert (
        page.is_file()
        and json.loads(page.with_suffix(".json").read_text())["headline"][0]["value"] == 4
    )
    assert "vega.js" not in os.listdir(tmp_path / "out")


def test_of_several_reports_each_takes_the_parameters_that_it_knows(notebooks, tmp_path):
    cells = (
        ("markdown", "# Why?\n\nA. B."),
        ("parameters", "k: int = 1  # k [-] {1..9}"),
        ("answer", "print(k)"),
    )
    small.write(notebooks, "03_other", *cells)
    done = small.trn3(
        notebooks, "report", "all", "-p", "k=7", "-p", "n=5", "--out", tmp_path / "out"
    )
    values = [
        json.loads(p.read_text())["parameters"] for p in sorted((tmp_path / "out").glob("*.json"))
    ]
    assert done.returncode == 0 and (values[0]["n"], values[1]) == (5, {"k": 7})
    assert {"index.html", "index.csv", "vega.js"} <= set(os.listdir(tmp_path / "out"))
    done = small.trn3(notebooks, "report", "02", "03", "-p", "kk=7", "--out", tmp_path / "out")
    assert done.returncode == 2 and "no parameter named 'kk'" in done.stderr


def test_refresh_stores_the_same_text_twice_and_refuses_what_changes(notebooks):
    path = notebooks / "02_small.ipynb"
    assert small.trn3(notebooks, "refresh", "02").returncode == 0
    first = path.read_text()
    stored = nbformat.reads(first, 4)
    assert [c.id for c in stored.cells] == ["cell-00", "cell-01", "cell-02", "cell-03", "cell-04"]
    assert stored.cells[3].outputs and "papermill" not in first and "start_time" not in first
    assert small.trn3(notebooks, "refresh", "02").returncode == 0 and path.read_text() == first
    clock = small.write(notebooks, "03_clock", ("", "import time\ntime.time()"))
    before = clock.read_text()
    done = small.trn3(notebooks, "refresh", "03")
    assert done.returncode == 2 and "a second run of cell-00 gave other output" in done.stderr
    assert clock.read_text() == before


def test_a_mistake_that_only_the_report_can_see_is_one_line_and_status_2(notebooks, tmp_path):
    look = "from trn3 import hardware\nhardware.chip(key)"
    cells = (
        ("markdown", "# Why?\n\nA. B."),
        ("parameters", 'key: str = "trainium3"  # k [-]'),
        ("answer", look),
    )
    small.write(notebooks, "03_other", *cells)
    done = small.trn3(notebooks, "report", "03", "-p", "key=b20", "--out", tmp_path / "out")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines()[-1].startswith("trn3: ") and "did you mean b200" in done.stderr
    assert "Traceback" not in done.stderr and "UnknownId" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "name"), [("training", "training_runs"), ("inference", "inference_runs")]
)
def test_validate_takes_one_row_and_names_a_row_with_a_field_too_many(tmp_path, capsys, kind, name):
    head, row = (data.DATA / f"{name}.csv").read_text().splitlines()[:2]
    path = tmp_path / "one.csv"
    path.write_text(f"{head}\n{row}\n")
    code, out, err = run(capsys, "validate", kind, path)
    assert code == 0 and "1 of 1 rows scored" in out and "Traceback" not in err
    code, _, err = run(capsys, "validate", kind, path, "--json", "/proc/x")
    assert code == 2 and "--json /proc/x: cannot be written" in err and "Errno" not in err
    path.write_text(f"{head}\n{row},x\n")
    code, out, err = run(capsys, "validate", kind, path)
    n = len(head.split(","))
    assert (
        code == 2
        and not out
        and err.count("\n") == 1
        and f"one.csv row 2: it has {n + 1} fields, the header {n}" in err
    )


def test_compare_puts_chips_systems_and_results_side_by_side(tmp_path, capsys):
    code, out, _ = run(capsys, "compare", "trainium3", "trainium2")
    line = next(line for line in out.splitlines() if line.startswith("hbm_bytes_per_s"))
    ratio = (
        data.fact("trainium2", "hbm_bytes_per_s").value
        / data.fact("trainium3", "hbm_bytes_per_s").value
    )
    assert code == 0 and float(line.split()[-1]) == pytest.approx(ratio, rel=1e-3)
    for name, value in (("a", 2.0), ("b", 5.0)):
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"headline": [{"name": "x", "unit": "s", "value": value}]})
        )
    code, out, _ = run(capsys, "compare", tmp_path / "a.json", tmp_path / "b.json")
    assert code == 0 and re.search(r"x\s+s\s+2\s+5\s+2.5", out)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "these are no results of a report"),
        ('{"headline": 3}', "these are no results of a report"),
        ('{"headline": [3]}', "headline = 3: must be a number with a name"),
        ('{"headline": [{"name": ["x"]}]}', "must be a number with a name"),
        ("{", "cannot be read as JSON"),
        ('{"headline": ' + "[" * 10**5, "nested too deeply"),
        ("", "cannot be read as JSON"),
    ],
)
def test_a_file_that_is_no_results_file_is_one_line(tmp_path, capsys, text, says):
    (tmp_path / "a.json").write_text(text)
    code, out, err = run(capsys, "compare", tmp_path / "a.json", "h100")
    assert code == 2 and not out and err.count("\n") == 1 and says in err


def test_odd_numbers_of_a_results_file_are_shown_as_none(tmp_path, capsys):
    odd = ["text", True, None, [1], 10**400, float("nan"), float("inf"), {"a": 1}]
    rows = [{"name": f"n{i}", "unit": i, "value": value} for i, value in enumerate(odd)]
    rows += [{"name": "\x1b[31mred\n", "unit": "s", "value": 2}]
    (tmp_path / "a.json").write_text(json.dumps({"headline": rows}))
    code, out, _ = run(capsys, "compare", tmp_path / "a.json", tmp_path / "a.json")
    assert code == 0 and "\x1b" not in out and r"\x1b[31mred" in out
    lines = [line.split() for line in out.splitlines() if line.lstrip().startswith("n")]
    assert len(lines) == len(odd) and all(line[-2:] == ["-", "-"] for line in lines)


def test_compare_says_what_a_number_is_worth_and_what_there_is_not(capsys):
    code, out, _ = run(capsys, "compare", "h100", "h100")
    assert code == 0 and all(line.split()[-1] == "1" for line in out.splitlines()[1:])
    code, out, _ = run(capsys, "compare", "trainium3", "h100")
    lines = {line[:37].strip(): line for line in out.splitlines()}
    watts = data.fact("trainium3", "power_w")  # AWS publishes none, so the assumed one is in use
    assert watts.status == "assumed" and f"{watts.value:.4g} (assumed)" in lines["power_w"]
    assert (
        lines["peak_flops_per_s mxfp8"].rstrip().endswith(" -")
    )  # no ratio where one has no such number
    blank = [not line[-6:].strip() for line in out.splitlines()[1:]]
    assert blank == sorted(blank) and 5 < sum(blank) < len(blank)  # what both have comes first


def test_a_reader_that_has_seen_enough_is_no_error():
    code = f"{sys.executable} -m trn3 compare trainium3 h100 | head -n 1"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert not done.stderr


def test_search_prints_layouts_and_json(capsys):
    arguments = (
        "search",
        "--model",
        "llama2_7b",
        "--system",
        "trainium3",
        "--chips",
        "16",
        "--batch",
        "256",
        "--top",
        "2",
    )
    code, out, _ = run(capsys, *arguments, "--json")
    found = json.loads(out)
    assert code == 0 and {"distinct", "axes", "process_s", "layouts_per_s", "best"} <= set(found)
    assert len(found["best"]) == 2 and found["best"][0]["n_chips"] == 16
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "step_time_s" in out


def test_doctor_says_what_there_is(notebooks, capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and "1 in" in out and "surveyed" in out and "browser" in out


def test_doctor_reckons_the_age_of_the_data_from_today():
    late = here.age(data.data_date() + datetime.timedelta(days=400))
    assert not late.good and late.text.endswith("400 days ago")
    assert here.age(data.data_date() + datetime.timedelta(days=10)).good


def test_a_clock_before_the_survey_is_told():
    early = here.age(data.data_date() - datetime.timedelta(days=3))
    assert not early.good and early.what == "clock" and "3 days before" in early.text


def test_doctor_names_the_cell_of_a_broken_table(notebooks, capsys, tmp_path, monkeypatch):
    shutil.copytree(data.DATA, tmp_path / "data")
    path = tmp_path / "data" / "specs.csv"
    header, first, *rest = path.read_text().splitlines()
    cells = next(csv.reader([first]))
    cells[header.split(",").index("value")] = "much"
    row = io.StringIO()
    csv.writer(row).writerow(cells)
    path.write_text("\n".join([header, row.getvalue().strip(), *rest]) + "\n")
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    code, _, err = run(capsys, "doctor")
    assert code == 2 and "specs.csv line 2, column value: 'much' is not a finite number" in err


def test_lab_opens_the_first_notebook_without_news(notebooks):
    assert cli.parser().parse_known_args(["lab", "--no-browser", "--port", "8890"])[1] == [
        "--no-browser",
        "--port",
        "8890",
    ]
    command = cli.lab_command(notebooks.parent, python="py", extra=["--no-browser"])
    assert command[:4] == ["py", "-P", "-m", "jupyterlab"] and command[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab/tree/notebooks/02_small.ipynb" in command
    assert (
        "--LabApp.news_url=None" in command
        and f"--ServerApp.root_dir={notebooks.parent}" in command
    )


def test_the_module_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "trn3", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("trn3 ")
