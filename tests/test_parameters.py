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
    cell = 'model: str = "llama2_7b"  # the model {model}\ncustomer: str = "karakuri"  # who {customer}'
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
    "name", ["22", "", "*", "..", "../02_small", "/etc/passwd", "02_small.ipynb", "\0", "02_smal"]
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
