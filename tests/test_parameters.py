"""Parameters: what a cell declares, what is taken, what is refused and how the refusal reads."""

import json
import tomllib

import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data
from trn3.reporting import parameters
from trn3.reporting.parameters import ParameterError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return small.report(tmp_path_factory.mktemp("notebooks"))


def one(cell: str, tmp_path, **given):
    return parameters.validate(small.write(tmp_path, "01_x", ("parameters", cell)), given)


def test_reads_name_type_default_meaning_unit_and_what_is_allowed(path):
    first, second, *_ = parameters.read(path)
    assert (first.name, first.type, first.default) == ("n", "int", 3)
    assert (first.meaning, first.unit, first.allowed) == ("how many rows", "-", "1..10")
    assert second.wants == "a number from 0 to 1 [-]"
    assert [p.name for p in parameters.read(path)] == [
        "n",
        "share",
        "chip",
        "rivals",
        "sizes",
        "mode",
        "note",
        "flag",
    ]


def test_hash_sign_brackets_and_braces_in_a_default_are_not_a_comment(tmp_path):
    path = small.write(
        tmp_path, "01_x", ("parameters", 'a: str = "x # [y] {z}"  # meaning of a [m] {}')
    )
    assert parameters.read(path)[0].default == "x # [y] {z}"
    assert parameters.read(path)[0].unit == "m"


def test_a_line_that_a_formatter_put_into_brackets_keeps_its_comment(tmp_path):
    cell = "a: int = (\n    3  # how many rows [rows] {1..10}\n)\nb: bool = True  # a switch"
    first, second = parameters.read(small.write(tmp_path, "01_x", ("parameters", cell)))
    assert (first.meaning, first.unit, first.allowed) == ("how many rows", "rows", "1..10")
    assert second.meaning == "a switch"


@pytest.mark.parametrize("path", parameters.notebooks(), ids=lambda p: p.stem)
def test_every_parameter_of_the_collection_says_what_it_means(path):
    assert all(parameter.meaning for parameter in parameters.read(path))


@pytest.mark.parametrize(
    "cell",
    [
        "a = 1  # no annotation",
        "a: int  # no default",
        "a: int = 1  # a number without a range [-]",
        "a: dict = {}  # a type that is not known",
        "a: str = 'x'",
        "import os",
    ],
)
def test_a_cell_outside_the_grammar_is_an_error(tmp_path, cell):
    with pytest.raises(ParameterError, match="parameters cell"):
        one(cell, tmp_path)


def test_a_default_is_never_evaluated(tmp_path):
    with pytest.raises(ValueError):
        one("a: str = __import__('os').getcwd()  # a call", tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", "7", 7),
        ("n", " 7 ", 7),
        ("n", "1e1", 10),
        ("n", 7.0, 7),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("chip", "Trainium-2", "trainium2"),
        ("rivals", "B200, h100", ["b200", "h100"]),
        ("rivals", ["H100"], ["h100"]),
        ("sizes", "1e3,2", [1000, 2]),
        ("mode", "raise", "raise"),
        ("note", "日本 <b>", "日本 <b>"),
        ("flag", "no", False),
        ("flag", True, True),
    ],
)
def test_values_are_typed_by_the_annotation(path, name, text, value):
    assert parameters.validate(path, {name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("n", "0", "n: 0 is not a whole number from 1 to 10"),
        ("n", "11", "from 1 to 10 [-]"),
        ("n", "2.5", "whole number"),
        ("n", "nan", "whole number"),
        ("n", "inf", "whole number"),
        ("n", "", "whole number"),
        ("n", True, "whole number"),
        ("n", [1], "whole number"),
        ("n", None, "whole number"),
        ("n", "9" * 5000, "whole number"),
        ("n", 10**4000, "a huge number"),
        ("n", "__import__('os').system('x')", "whole number"),
        ("share", "nan", "from 0 to 1"),
        ("share", float("inf"), "from 0 to 1"),
        ("share", "-0.1", "from 0 to 1"),
        ("share", "1e400", "from 0 to 1"),
        ("share", False, "a number"),
        ("chip", "trainium33", "did you mean trainium3"),
        ("chip", "", "chip"),
        ("rivals", "", "rivals: [] is not a chip id"),
        ("rivals", "b200,b200", "twice"),
        ("rivals", "b200,,h100", "chip"),
        ("rivals", 3, "rivals: 3 is not"),
        ("sizes", "1,0", "sizes: 0 is not a whole number from 1 to 1e6 [GiB]"),
        ("sizes", list(range(1, 99)), "sizes"),
        ("mode", "rais", "did you mean raise?"),
        ("note", "a\nb", "cannot be printed"),
        ("note", "\u2028", "cannot be printed"),
        ("note", "\ud800", "is not text"),
        ("note", "x" * 1000, "note"),
        ("flag", "maybe", "true or false"),
        ("flag", 1, "true or false"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_parameter(path, name, text, words):
    with pytest.raises(ParameterError) as error:
        parameters.validate(path, {name: text})
    line = str(error.value)
    assert words in line and line.startswith(f"{name}: ") and "\n" not in line and len(line) < 400


def test_unknown_names_get_the_nearest_and_cannot_hold_code(path):
    with pytest.raises(ParameterError, match="'chips'; did you mean chip"):
        parameters.validate(path, {"chips": "b200"})
    with pytest.raises(ParameterError, match="no parameter named"):
        parameters.validate(path, {'n = __import__("os").system("x") or 1\nn': 1})


def test_models_and_customers_are_checked_before_anything_runs(tmp_path):
    cell = 'model: str = "llama2_7b"  # the model {model}\n'
    cell += 'customer: str = "karakuri"  # who {customer}'
    assert one(cell, tmp_path, model="Llama-3.3-70B")["model"] == "llama3_3_70b"
    assert one(cell, tmp_path, customer="Karakuri")["customer"] == "karakuri"
    for bad in (
        {"model": "llamma2_7b"},
        {"model": "../../etc/passwd"},
        {"model": str(tmp_path / "no.json")},
    ):
        with pytest.raises(ParameterError, match="model: "):
            one(cell, tmp_path, **bad)
    for bad in ("../karakuri", "karakury", str(tmp_path / "no.toml")):
        with pytest.raises(ParameterError, match="customer: "):
            one(cell, tmp_path, customer=bad)


def test_a_customer_file_counts_by_its_content(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text((data.DATA / "customers" / "karakuri.toml").read_text())
    cell = 'customer: str = "karakuri"  # who {customer}'
    values = one(cell, tmp_path, customer=str(file))
    before = parameters.key(values)
    file.write_text(file.read_text() + "# changed\n")
    assert values["customer"] == str(file) and parameters.key(values) != before


def test_a_file_of_own_runs_is_there_and_counts_by_its_content(tmp_path):
    cell = 'runs: str = ""  # your own measured runs; empty: none {runs}'
    assert one(cell, tmp_path)["runs"] == ""
    file = tmp_path / "mine.csv"
    for bad, says in ((str(file), "no such file"), ("runs", "ends in .csv"), ("x.toml", "ends in")):
        with pytest.raises(ParameterError, match=f"runs = .*{says}"):
            one(cell, tmp_path, runs=bad)
    file.write_text("a,b\n1,2\n")
    values = one(cell, tmp_path, runs=str(file))
    before = parameters.key(values)
    file.write_text("a,b\n1,3\n")
    assert values["runs"] == str(file) and parameters.key(values) != before
    assert parameters.told(values)["runs"].endswith("mine.csv")


def test_schema_is_json_schema_with_units(path):
    schema = json.loads(json.dumps(parameters.schema(path)))
    assert schema["additionalProperties"] is False
    n = schema["properties"]["n"]
    assert (n["type"], n["minimum"], n["maximum"], n["unit"], n["default"]) == (
        "integer",
        1,
        10,
        "-",
        3,
    )
    assert schema["properties"]["mode"]["enum"][:2] == ["fine", "raise"]
    assert schema["properties"]["rivals"]["items"]["type"] == "string"


@pytest.mark.parametrize("name", ["02", "2", "02_small", "small", "02-SMALL"])
def test_a_report_is_found_by_name_or_number(path, monkeypatch, name):
    monkeypatch.setattr(parameters, "NOTEBOOKS", path.parent)
    assert parameters.find(name) == path


@pytest.mark.parametrize(
    "name", ["22", "", "*", "..", "../02_small", "/etc/passwd", "\0", "02_smal"]
)
def test_a_report_name_is_a_name_and_no_path(path, monkeypatch, name):
    monkeypatch.setattr(parameters, "NOTEBOOKS", path.parent)
    with pytest.raises(ParameterError, match="no report named"):
        parameters.find(name)


NAMES = st.sampled_from(["n", "share", "chip", "rivals", "sizes", "mode", "note"])
anything = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.one_of(st.text(), st.integers())),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.one_of(NAMES, st.text()), anything))
def test_whatever_is_given_ends_in_good_values_or_a_clean_error(path, given):
    try:
        values = parameters.validate(path, given)
    except data.TrnError as error:
        assert "\n" not in str(error)
        return
    assert set(values) == {p.name for p in parameters.read(path)}
    assert values == parameters.validate(path, values)  # a valid set is its own fixed point
    assert tomllib.loads(f"n = {values['n']}")["n"] in range(1, 11) and 0 <= values["share"] <= 1


def test_500_generated_sets_over_all_notebooks_give_parameters_or_a_clean_line():
    from benchmarks import fuzz

    states = []
    for notebook in parameters.notebooks():
        for values in fuzz.sets(notebook, -(-500 // len(parameters.notebooks())), seed=0):
            state, what = fuzz.check(notebook, values)
            assert state != "broken", (notebook.stem, values, what)
            states.append(state)
    assert len(states) >= 500 and states.count("accepted") > 100 and states.count("refused") > 100


# ------------------------------------------------------------ the same checks however it is run
@pytest.fixture
def collection(path, monkeypatch):
    monkeypatch.setattr(parameters, "NOTEBOOKS", path.parent)
    return path.parent


def defaults(path):
    return {p.name: p.default for p in parameters.read(path)}


def test_values_as_typed_become_those_of_the_command(collection, path, capsys):
    here = defaults(path) | {"n": "4", "share": 1, "rivals": "H200", "sizes": 8, "other": object}
    parameters.check(here, "02_small")
    assert (here["n"], here["share"], here["rivals"], here["sizes"]) == (4, 1.0, ["h200"], [8])
    assert isinstance(here["share"], float) and here["other"] is object
    assert capsys.readouterr().out.splitlines() == ["n = 4", "rivals = ['h200']", "sizes = [8]"]


def test_values_in_order_are_silent(collection, path, capsys):
    here = defaults(path)
    parameters.check(here, "02_small")
    assert here == defaults(path) and not capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n": 99}, "n: 99 is not a whole number from 1 to 10"),
        ({"n": "many"}, "n: 'many' is not a whole number"),
        ({"share": float("nan")}, "share: nan is not"),
        ({"chip": "trainium5"}, "chip: .*did you mean"),
        ({"rivals": "b20"}, "rivals: "),
    ],
)
def test_a_wrong_value_is_one_line_in_jupyter_too(collection, path, given, says):
    with pytest.raises(ParameterError, match=says) as error:
        parameters.check(defaults(path) | given, "02_small")
    (line,) = error.value._render_traceback_()
    assert line.startswith("ParameterError: ") and "\n" not in line


def test_without_the_collection_nothing_is_declared(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path)
    parameters.check({"n": 99}, "02_small")


@pytest.mark.parametrize("notebook", parameters.notebooks(), ids=lambda p: p.stem)
def test_every_notebook_checks_its_parameters_before_it_uses_them(notebook):
    sources = [text for kind, text, _ in parameters.code(notebook) if kind == "code"]
    call = f'parameters.check(globals(), "{notebook.stem}")'
    assert call in sources[1] and all(call not in text for text in sources[2:])
    before = sources[1].partition(call)[0].splitlines()
    assert all(line.startswith(("import ", "from ")) or not line.strip() for line in before)


@pytest.mark.parametrize(
    "name", ["04_serving.ipynb", "notebooks/04_serving.ipynb", "04", "Serving"]
)
def test_a_notebook_is_found_as_a_shell_completes_it(name):
    assert parameters.find(name).stem == "04_serving"


def test_a_chip_means_its_usual_system():
    notebook = parameters.find("04")
    assert parameters.validate(notebook, {"systems": "H200"})["systems"] == ["hgx_h200"]
    assert parameters.validate(notebook, {"model": "Qwen/Qwen3-32B"})["model"] == "qwen3_32b"


def test_a_page_shows_a_file_by_its_path_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"model": str(tmp_path / "mine" / "config.json"), "n": 3, "note": "/a/b"}
    assert parameters.told(values) == {"model": "mine/config.json", "n": 3, "note": "/a/b"}
