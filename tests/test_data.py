"""The tables: typed, sourced, consistent, and loud when somebody breaks one."""

import ast
import csv
import datetime
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import data, workload

ROOT = Path(__file__).resolve().parent.parent

PACKAGE = json.loads((data.DATA / "datapackage.json").read_text(encoding="utf-8"))
RESOURCES = {r["name"]: r for r in PACKAGE["resources"]}
LONG = ["specs", "systems", "sites", "failures", "assumptions", "prices"]


def long_rows():
    return [(name, row) for name in LONG for row in data._rows(data.DATA, name)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the tables that a test may break."""
    target = tmp_path / "data"
    shutil.copytree(data.DATA, target)
    monkeypatch.setattr(data, "DATA", target)
    return target


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A copy of the tables in which one file is written again and again."""
    target = tmp_path_factory.mktemp("scratch") / "data"
    shutil.copytree(data.DATA, target)
    return target


def edit(folder, name, change):
    """Change the cells of a table: ``change`` gets the header and the rows as lists."""
    path = folder / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    change(header, rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def cell(column, value, **where):
    """An edit that sets one cell of the first row that matches."""

    def change(header, rows):
        for row in rows:
            if all(row[header.index(k)] == v for k, v in where.items()):
                row[header.index(column)] = value
                return
        raise AssertionError(f"no row with {where}")

    return change


# ---- what stands in the tables


def test_every_table_is_described_and_every_description_has_its_table():
    assert {p.stem for p in data.DATA.glob("*.csv")} == set(RESOURCES)


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_every_table_loads(name):
    assert len(data.table(name)) > 0


def test_frictionless_accepts_the_package():
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(data.DATA / "datapackage.json"))
    assert report.valid, report.flatten(["title", "rowNumber", "fieldName", "note"])[:5]


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_every_column_is_explained(name):
    bare = [
        f["name"]
        for f in RESOURCES[name]["schema"]["fields"]
        if not f.get("description", "").strip()
    ]
    assert not bare


def test_the_dictionary_explains_every_table_and_column():
    text = (data.DATA / "README.md").read_text(encoding="utf-8")
    missing = [
        f"{name}.{field['name']}"
        for name, resource in RESOURCES.items()
        for field in resource["schema"]["fields"]
        if f"`{name}.csv`" not in text or f"| `{field['name']}` |" not in text
    ]
    assert not missing, "add to data/README.md"


@pytest.mark.parametrize("name", LONG)
def test_long_tables_are_sorted(name):
    keys = [data._group(r)[:4] for r in data._rows(data.DATA, name)]
    assert keys == sorted(keys)


@pytest.mark.parametrize("name", ["subjects", "sources", "claims", "wrong_numbers"])
def test_tables_with_ids_are_sorted(name):
    key = ("kind", "id") if name == "subjects" else ("id",)
    keys = [tuple(r[k] for k in key) for r in data._rows(data.DATA, name)]
    assert keys == sorted(keys)


def test_ids_are_lower_snake():
    odd = [
        r["id"]
        for t in ("subjects", "sources", "claims")
        for r in data._rows(data.DATA, t)
        if r["id"] != r["id"].lower()
    ]
    assert not odd
    assert not [
        r["id"] for r in data._rows(data.DATA, "subjects") if not r["id"].replace("_", "").isalnum()
    ]


def test_derived_numbers_follow_from_their_arithmetic():
    n = 0
    for name, row in long_rows():
        if row["status"] != "derived":
            continue
        n, expression = n + 1, row["note"][2:].split(";")[0]
        found, fact = data.compute(expression), data.to_fact(row)
        expected = fact.value if data.references(expression) else row["value"]
        assert found == pytest.approx(expected, rel=2e-3), (
            f"data/{name}.csv line {row['_line']}: {row['note']}"
        )
    assert n > 100


def test_no_fact_stands_in_two_tables():
    seen = {}
    for name, row in long_rows():
        if name != "prices" and row["use"] == "yes":
            key = (
                row["subject"] if name != "assumptions" else "assumption",
                *data._group(row)[1:4],
            )
            assert seen.setdefault(key, name) == name, key
    assert len(data._facts(data.DATA)) == len(seen)


def test_conflicts_are_kept_and_one_of_them_is_in_use():
    rows = [f for f in data.facts("trainium3") if f.quantity == "hbm_bytes_per_s"]
    assert sorted(f.value / 1e12 for f in rows) == [4.7, 4.71, 4.9]
    assert [f.value / 1e12 for f in rows if f.use] == [4.9]
    assert all(f.note for f in rows if not f.use)


@pytest.mark.parametrize(
    ("subject", "quantity", "dtype", "value", "unit"),
    [  # vendors' pages, as the sources of these rows name them
        ("trainium3", "peak_flops_per_s", "mxfp8", 2517, 1e12),
        ("trainium3", "hbm_bytes", "", 144, 2**30),
        ("trainium2", "peak_flops_per_s", "fp8", 1299, 1e12),
        ("trainium1", "hbm_bytes_per_s", "", 820, 2**30),
        ("h100", "peak_flops_per_s", "fp8", 1979, 1e12),
        ("h200", "hbm_bytes", "", 141, 2**30),  # EC2 prints 144,384 MiB
        ("gb300", "peak_flops_per_s", "nvfp4", 15000, 1e12),
        ("tpu_v7", "peak_flops_per_s", "fp8", 4614, 1e12),
        ("mi355x", "hbm_bytes_per_s", "", 8, 1e12),
        ("us_east_2", "pue", "", 1.13, 1),
        ("trn3_gen2", "scale_out_bytes_per_s", "", 28800, 1e9 / 8),
    ],
)
def test_cited_values_in_si(subject, quantity, dtype, value, unit):
    found = data.fact(subject, quantity, dtype)
    assert found.value == pytest.approx(value * unit, rel=1e-12)
    assert found.source_id in set(data.table("sources")["id"])


SUFFIXES = [  # the last that fits
    ("_s", "s"),
    ("_bytes", "B"),
    ("_w", "W"),
    ("_hz", "Hz"),
    ("_j", "J"),
    ("_share", "-"),  # or a share a year
    ("_usd", "USD"),
    ("_bytes_per_s", "B/s"),
    ("_flops_per_s", "FLOP/s"),
    ("_per_chip_h", "1/h"),
    ("_usd_per_chip_h", "USD/h"),
    ("_usd_per_instance_h", "USD/h"),
    ("_usd_per_mtok", "USD/Mtok"),
    ("_usd_per_kwh", "USD/kWh"),
    ("_g_per_kwh", "gCO2e/kWh"),
    ("_l_per_kwh", "L/kWh"),
    ("_usd_per_w", "USD/W"),
    ("_efficiency", "-"),
]


def test_a_quantity_has_the_unit_that_its_name_says():
    n = 0
    for name, row in long_rows():
        fact = data.to_fact(row)
        named = [unit for suffix, unit in SUFFIXES if fact.quantity.endswith(suffix)]
        if fact.quantity.startswith("n_"):
            named = ["-", "token"]
        if fact.quantity.startswith("ratio_"):
            named = ["-"]
        if named:
            n += 1
            where = f"data/{name}.csv line {row['_line']}: {fact.quantity} in {fact.unit}"
            allowed = named if fact.quantity.startswith("n_") else named[-1:]
            assert fact.unit in allowed or (
                fact.quantity.endswith("_share") and fact.unit == "1/yr"
            ), where
    assert n > 1000


def test_units_convert():
    units = {r["unit"]: (r["factor"], r["si"]) for r in data._rows(data.DATA, "units")}
    assert (
        units["GiB"] == (2**30, "B")
        and units["Gbit/s"] == (1.25e8, "B/s")
        and units["yr"] == (365.25 * 86400, "s")
    )
    assert all(units[si][0] == 1 and units[si][1] == si for _, si in units.values() if si in units)


# ---- prices


def test_chip_price_times_chips_is_the_instance_price():
    rows = data.table("prices")
    rows = rows[rows["term"].isin(["on_demand", "capacity_block", "reserved_3y"])]
    keys = ["basis", "region", "term", "price_date", "use"]
    chip = rows[rows["quantity"] == "price_usd_per_chip_h"]
    both = rows[rows["quantity"] == "price_usd_per_instance_h"].merge(
        chip, on=keys, suffixes=("", "_chip")
    )
    n_chips = both["subject"].map(lambda s: data.fact(s, "n_chips").value)
    assert len(both) > 30
    np.testing.assert_allclose(both["value_chip"] * n_chips, both["value"], rtol=1e-3)


def test_every_price_has_a_day_that_can_be_reckoned():
    rows = data.table("prices")
    assert all(data.age_days(d) >= 0 for d in rows["price_date"])
    assert set(rows["currency"]) == {"USD"}


def test_the_newest_price_of_a_source_is_in_use_unless_the_note_says_why():
    rows = data.table("prices")
    keys = ["subject", "quantity", "basis", "region", "term"]
    for key, group in rows[rows["value"].notna()].groupby(keys):
        used = group[group["use"] == "yes"]["price_date"].iloc[0]
        later = group[(group["price_date"] > used)]
        assert (later["note"] != "").all(), key


def test_trainium3_has_no_public_price_and_its_range_spans_its_anchors():
    found = data.price("trainium3", "assumed")
    anchors = data.table("prices").query("quantity == 'price_anchor_usd_per_chip_h'")["value"]
    assert found.status == "assumed" and found.low < found.value < found.high
    assert len(anchors) >= 6 and found.low <= anchors.min() and anchors.max() <= found.high
    with pytest.raises(data.UnknownId, match="assumed"):
        data.price("trainium3", "on_demand")


def test_like_for_like_prices_exist_for_the_usual_rivals():
    for chip in ("h100", "h200", "b200", "b300"):
        listed, block = (
            data.price(chip, "on_demand", "us_east_1").value,
            data.price(chip, "capacity_block").value,
        )
        assert block < listed  # AWS sells blocks below its list price
    listed = data.price("h100", "on_demand", "us_east_1")
    assert listed.value == pytest.approx(55.04 / 8, rel=1e-3)
    assert (listed.region, listed.term, listed.price_date) == (
        "us_east_1",
        "on_demand",
        "2026-07-20",
    )
    assert not data.stale(listed.price_date) and data.stale(
        listed.price_date, datetime.date(2027, 1, 17)
    )  # 181 days


def test_the_newest_and_nearest_price_is_found():
    assert data.price("trainium1", "capacity_block").value == pytest.approx(
        9.532 / 16, rel=1e-3
    )  # not Melbourne's of 2024
    assert data.price("h100", "capacity_block").region == "us_east_2"
    assert (
        data.price("b200", "capacity_block", "us_east_2").region == "us"
    )  # one price all over the United States
    assert data.price("h200", "capacity_block", "us_east_2").basis == "p5en.48xlarge"
    assert data.price("h200", "capacity_block", basis="p5e.48xlarge").value == pytest.approx(
        47.76 / 8, rel=1e-3
    )
    assert data.price("tpu_v6e", "on_demand", "us_east").region == "us_east"
    with pytest.raises(data.UnknownId, match="us_east_1"):
        data.price("h100", "on_demand", "eu_south_2")


def test_ages():
    day = datetime.date(2026, 11, 22)
    assert data.age_days("2026-11-22", day) == 0
    assert data.age_days("2026-05", day) == (day - datetime.date(2026, 5, 1)).days
    assert data.age_days("2025", day) == (day - datetime.date(2025, 1, 1)).days
    assert data.stale("2026-05-25", day) and not data.stale("2026-05-26", day)  # 181 and 180 days
    assert data.age_days(data.data_date().isoformat()) == 0


# ---- claims


def reading_verdict(claim):
    """The verdict by hand, from the readings' ranges."""
    goal = claim["claimed"] * (1 - claim["tolerance"])
    sure, never = [], []
    for row in data._rows(data.DATA, "claim_readings"):
        if row["claim_id"] != claim["id"] or row["role"] != "counts":
            continue
        low, _, high = data.compute_range(row["compute"])
        if claim["rule"] == "at_least":
            sure.append(low >= goal), never.append(high < goal)
        elif claim["rule"] == "at_most":
            sure.append(high <= goal), never.append(low > goal)
        else:
            sure.append(low == high == goal), never.append(not low <= goal <= high)
    return "Holds" if all(sure) else "Does not hold" if all(never) else "Partly"


def test_computed_verdicts_follow_from_the_numbers():
    claims = [r for r in data._rows(data.DATA, "claims") if r["verdict_by"] == "computed"]
    assert len(claims) >= 9
    for claim in claims:
        assert claim["verdict"] == "", "a computed verdict is not also written down"
        assert data.verdict(claim["id"]) == reading_verdict(claim), claim["id"]


def test_judged_verdicts_are_written_and_reasoned():
    for claim in data._rows(data.DATA, "claims"):
        assert not re.search(r"[0-9]\.[0-9]", claim["reason"]), (
            "a figure that could drift from the tables"
        )
        if claim["verdict_by"] == "judged":
            assert data.verdict(claim["id"]) == claim["verdict"] != ""


@pytest.mark.parametrize(
    ("claim", "word"),
    [  # of the launch claims: only the UltraServer at FP8 is fourfold, no memory
        ("faster_4x", "Partly"),
        ("memory_4x", "Does not hold"),
        ("chips_144", "Holds"),
        ("energy_40", "Partly"),
        ("perf_watt_4x", "Does not hold"),
        ("million_chips", "Cannot be checked"),
        ("cost_50", "Cannot be checked"),
    ],
)
def test_verdicts_agree_with_the_audit(claim, word):
    assert data.verdict(claim) == word


def test_a_verdict_turns_with_the_data(folder):
    edit(
        folder,
        "systems",
        cell("value", "30000", subject="trn3_gen2", quantity="hbm_bytes", use="yes"),
    )
    assert data.verdict("memory_4x") == "Partly"  # 30,000 / 6,144 GiB


def test_both_efficiency_claims_cannot_be_the_same_measure():
    forty = (
        data.compute_range("trainium3.peak_flops_per_s[mxfp8] / trainium2.peak_flops_per_s[fp8]")[1]
        / 1.4
    )
    four = (
        data.compute("trn3_gen2.peak_flops_per_s[mxfp8] / trn2_ultraserver.peak_flops_per_s[fp8]")
        / 4
    )
    assert forty == pytest.approx(
        1.39, abs=0.01
    )  # chip power of 1.39 times Trainium2's: 693 W on 500 W
    assert four == pytest.approx(1.09, abs=0.01)  # system power of 1.09 times a Trn2 UltraServer's


@pytest.mark.parametrize("row", data._rows(data.DATA, "wrong_numbers"), ids=lambda r: r["id"])
def test_wrong_numbers_are_wrong(row):
    if row["compute"]:
        right = data.compute(row["compute"]) / data._units(data.DATA)[row["unit"]][0]
        assert abs(right / row["wrong_value"] - 1) > 0.05
    if row["price"]:
        per_chip = data.price(*row["price"].split())
        assert abs(per_chip.value * 8 / row["wrong_value"] - 1) > 0.3


def test_every_expression_of_the_claims_evaluates():
    for row in data._rows(data.DATA, "claim_readings"):
        assert (data.compute_range(row["compute"]) > 0).all()
    for row in data._rows(data.DATA, "claims"):
        assert not row["needs"] or (data.compute_range(row["needs"]) > 0).all()


# ---- looking things up


def test_what_people_type_is_understood():
    assert data.resolve("chip", "TRAINIUM3") == data.resolve("chip", "trainium-3") == "trainium3"
    assert data.resolve("system", "p5.48xlarge") == "hgx_h100"
    assert data.resolve("region", "us-east-2") == data.resolve("region", "Ohio") == "us_east_2"
    assert data.resolve("term", "on-demand") == "on_demand"
    assert data.resolve("dtype", "MXFP8") == "mxfp8"
    assert data.resolve("model", "Llama-3.3-70B") == "llama3_3_70b"
    assert data.resolve("model", "DeepSeek R1") == "deepseek_v3"  # an alias: the same shape


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        ("chip", "trainum3", "trainium3"),
        ("region", "us-est-1", "us_east_1"),
        ("system", "trn3_gen3", "trn3_gen2"),
    ],
)
def test_unknown_names_get_the_nearest(kind, text, hint):
    with pytest.raises(data.UnknownId, match=hint) as error:
        data.resolve(kind, text)
    assert "\n" not in str(error.value)


def test_unknown_facts_and_kinds():
    with pytest.raises(data.UnknownId, match="hbm_bytes"):
        data.fact("trainium3", "hbm_byte")
    with pytest.raises(data.UnknownId, match="trainium3"):
        data.fact("trainium33", "hbm_bytes")
    with pytest.raises(data.UnknownId, match="restart_s"):
        data.assumption("restarts_s")
    with pytest.raises(data.UnknownId, match="chip"):
        data.ids("chips_and_fish")
    with pytest.raises(data.UnknownId, match="nvidia_h100"):
        data.sources(["nvidia_h1000"])
    with pytest.raises(data.UnknownId, match="faster_4x"):
        data.verdict("faster_5x")
    assert data.maybe("trainium3", "nothing") is None
    assert issubclass(data.UnknownId, data.TrnError) and issubclass(data.DataError, ValueError)


def test_tables_are_copies():
    frame = data.table("specs")
    frame.loc[:, "value"] = 0.0
    assert data.table("specs")["value"].max() > 0


def test_ranges():
    power = data.fact("trainium3", "power_w")
    assert power.range.tolist() == [700.0, 1000.0, 1100.0]
    plain = data.fact("trainium3", "hbm_bytes")
    assert (
        plain.low == plain.value == plain.high
        and plain.value / plain.scale == 144
        and plain.shown_unit == "GiB"
    )


# ---- expressions


@given(
    st.lists(st.floats(0.1, 100), min_size=4, max_size=4),
    st.sampled_from(["{} + {} * {} - {}", "({} + {}) / {} * {}"]),
)
@settings(max_examples=40, deadline=None)
def test_arithmetic_is_arithmetic(numbers, form):
    text = form.format(*numbers)
    a, b, c, d = numbers
    assert data.compute(text) == pytest.approx(
        a + b * c - d if "-" in form else (a + b) / c * d, rel=1e-12
    )


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "2 ** 9",
        "open",
        "[1, 2]",
        "1 if 2 else 3",
        "'a'",
        "True and 3",
        "lambda: 1",
        "1; 2",
        "",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(text):
    with pytest.raises(data.TrnError):
        data.compute(text)


def test_a_range_tries_every_corner():
    a, b = data.fact("trainium2", "power_w"), data.fact("trainium3", "power_w")
    found = data.compute_range("trainium2.power_w / trainium3.power_w")
    assert found.tolist() == pytest.approx([a.low / b.high, a.value / b.value, a.high / b.low])
    assert data.compute_range("trainium3.power_w - trainium3.power_w").tolist() == [
        0,
        0,
        0,
    ]  # one input, one value


def test_references_are_found_once_each():
    found = data.references(
        "h100.hbm_bytes * h100.hbm_bytes / trn3_gen2.tier_bytes_per_s[_, board] + assumption.pue"
    )
    assert [(f.subject, f.quantity, f.basis) for f in found] == [
        ("h100", "hbm_bytes", ""),
        ("trn3_gen2", "tier_bytes_per_s", "board"),
        ("energy", "pue", ""),
    ]


# ---- broken tables


def drop_column(header, rows):
    at = header.index("status")
    for line in (header, *rows):
        del line[at]


def second_use(header, rows):
    row = next(r for r in rows if r[:2] == ["h100", "hbm_bytes"])
    rows.insert(rows.index(row), list(row))


def longer_row(header, rows):
    rows[4].append("surplus")


BREAKS = [
    (
        "specs",
        cell("value", "lots", subject="h100", quantity="hbm_bytes"),
        "value: 'lots' is not a finite number",
    ),
    (
        "specs",
        cell("value", "inf", subject="h100", quantity="hbm_bytes"),
        "value: 'inf' is not a finite number",
    ),
    (
        "specs",
        cell("value", "nan", subject="h100", quantity="hbm_bytes"),
        "value: 'nan' is not a finite number",
    ),
    (
        "specs",
        cell("value", "-80", subject="h100", quantity="hbm_bytes"),
        "column value: -80 is below 0",
    ),
    (
        "specs",
        cell("value", "", subject="h100", quantity="hbm_bytes"),
        "column value: nan does not go with measured",
    ),
    (
        "specs",
        cell("unit", "GiBs", subject="h100", quantity="hbm_bytes"),
        "unit: 'GiBs' is not in data/units.csv",
    ),
    ("specs", cell("unit", "", subject="h100", quantity="hbm_bytes"), "column unit: is empty"),
    (
        "specs",
        cell("source_id", "a_friend", subject="h100"),
        "source_id: 'a_friend' is not in data/sources.csv",
    ),
    (
        "specs",
        cell("subject", "h1000", subject="h100"),
        "subject: 'h1000' is not in data/subjects.csv",
    ),
    (
        "specs",
        cell("status", "heard", subject="h100"),
        "status: 'heard' is none of published, measured",
    ),
    ("specs", cell("use", "maybe", subject="h100"), "use: 'maybe' is none of yes, no"),
    (
        "specs",
        cell("use", "no", subject="h100", quantity="hbm_bytes"),
        "column use: 0 rows of this quantity have use=yes",
    ),
    ("specs", second_use, "column use: 2 rows of this quantity have use=yes"),
    (
        "specs",
        cell("low", "1101", subject="trainium3", quantity="power_w", use="yes"),
        "are not in order",
    ),
    (
        "specs",
        cell("high", "", subject="trainium3", quantity="power_w", use="yes"),
        "low and high go together",
    ),
    (
        "specs",
        cell("note", "twice", subject="h100", status="derived"),
        "a derived number gives '= arithmetic'",
    ),
    ("specs", drop_column, "line 1, column status"),
    ("specs", longer_row, "line 6, column note: 16 cells, not 15"),
    (
        "assumptions",
        cell("status", "assumed", quantity="small_all_reduce_s"),
        "an assumed number needs low and high",
    ),
    ("subjects", cell("id", "h100", id="h200"), "column id: repeats line"),
    ("sources", cell("licence", "", id="nvidia_h100"), "column licence: is empty"),
    ("prices", cell("term", "on-demand", subject="h100"), "column term: 'on-demand' is none of"),
    ("claims", cell("level", "galaxy", id="faster_4x"), "column level: 'galaxy' is none of"),
    (
        "claim_readings",
        cell("claim_id", "nine_lives", claim_id="faster_4x"),
        "'nine_lives' is not in data/claims.csv",
    ),
]


@pytest.mark.parametrize(
    ("name", "change", "text"), BREAKS, ids=[f"{b[0]}-{i}" for i, b in enumerate(BREAKS)]
)
def test_a_broken_table_names_file_line_and_column(folder, name, change, text):
    edit(folder, name, change)
    with pytest.raises(data.DataError) as error:
        data.table(name)
    assert text in str(error.value)
    assert str(error.value).startswith(f"data/{name}.csv line ") and "\n" not in str(error.value)


def test_the_named_line_is_the_line_in_the_file(folder):
    edit(folder, "specs", cell("value", "x", subject="h100", quantity="hbm_bytes"))
    lines = (folder / "specs.csv").read_text(encoding="utf-8").splitlines()
    line = next(i for i, text in enumerate(lines, 1) if text.startswith("h100,hbm_bytes,x"))
    with pytest.raises(data.DataError, match=f"line {line},"):
        data.table("specs")


@given(at=st.floats(0, 1, exclude_max=True), cut=st.integers(0, 3), put=st.binary(max_size=3))
@settings(max_examples=60, deadline=None)
def test_whatever_a_file_holds_it_is_read_or_refused(scratch, at, cut, put):
    raw = (data.DATA / "specs.csv").read_bytes()
    place = int(at * len(raw))
    (scratch / "specs.csv").write_bytes(raw[:place] + put + raw[place + cut :])
    try:
        rows = data._rows.__wrapped__(scratch, "specs")
        assert all(math.isfinite(r["value"]) or r["status"].startswith("un") for r in rows)
    except data.DataError as error:
        assert str(error).startswith("data/specs.csv") and "\n" not in str(error)


def test_missing_and_unreadable_files(folder):
    (folder / "sites.csv").unlink()
    with pytest.raises(data.DataError, match=r"data/sites\.csv"):
        data.table("sites")
    (folder / "systems.csv").write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(data.DataError, match=r"data/systems\.csv"):
        data.table("systems")
    (folder / "datapackage.json").write_text("{", encoding="utf-8")
    data._package.cache_clear()
    with pytest.raises(data.DataError, match=r"datapackage\.json"):
        data.table("failures")
    data._package.cache_clear()


def test_another_folder_by_the_environment(tmp_path):
    target = tmp_path / "elsewhere"
    shutil.copytree(data.DATA, target)
    edit(target, "specs", cell("value", "81", subject="h100", quantity="hbm_bytes_per_s"))
    code = "from trn3 import data; print(data.fact('h100', 'hbm_bytes_per_s').value)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"TRN3_DATA": str(target), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(run.stdout) == 81e12


def test_facts_need_no_pandas():
    code = "import sys; from trn3 import data, hardware; "
    code += "hardware.system('trn3'); print('pandas' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_nan_where_nothing_is_published():
    rows = [f for f in data.facts("tpu_v7") if f.status == "undisclosed"]
    assert rows and all(math.isnan(f.value) and math.isnan(f.low) and not f.use for f in rows)


MAKERS = {"AWS": {"AWS", "Amazon"}, "Google": {"Google", "Google DeepMind"}}
"""Publishers that speak for a vendor; every other vendor speaks under its own name."""


def test_a_published_specification_is_the_makers_own():
    """What somebody else says of a chip is reported, however often it is repeated."""
    publisher = {row["id"]: row["publisher"] for row in data.rows("sources")}
    vendor = {row["id"]: row["vendor"] for row in data.rows("subjects")}
    for name in ("specs", "systems"):
        for row in data.rows(name):
            if row["status"] == "published":
                maker = vendor[row["subject"]]
                said_by = publisher[row["source_id"]]
                allowed = MAKERS.get(maker, {maker})
                assert said_by in allowed, f"{name}.csv line {row['_line']}: {said_by} on {maker}"


COPIES = {"Karpenter", "koyakimu", "SkyPilot", "Epoch AI", "models.dev", "third party"}
"""Who collects the prices of others."""


def test_a_published_price_or_fleet_was_read_where_it_was_published():
    """A price that was copied from its seller's page by somebody else is reported."""
    sources = {row["id"]: row for row in data.rows("sources")}
    vendor = {row["id"]: row["vendor"] for row in data.rows("subjects")}
    n = 0
    for name in ("prices", "sites", "failures"):
        for row in data.rows(name):
            source, where = sources[row["source_id"]], f"{name}.csv line {row['_line']}"
            if row["status"] != "published":
                continue
            n += 1
            assert source["publisher"] not in COPIES, where
            assert "transcription" not in source["title"], where
            if row["quantity"] in ("pue", "water_l_per_kwh"):
                assert source["publisher"] in MAKERS["AWS"], where
            if vendor.get(row["subject"]) in ("OpenAI", "NVIDIA") and name == "failures":
                assert source["publisher"] == vendor[row["subject"]], where
    assert n > 50


def test_a_sum_of_assumed_tiers_carries_their_range():
    tiers = [data.fact("trn3_gen2", "tier_bytes_per_s", "", place) for place in TIERS_OF_GEN2]
    total = data.fact("trainium3", "scale_up_bytes_per_s")
    assert total.value == pytest.approx(sum(t.value for t in tiers))
    assert total.low == pytest.approx(sum(t.low for t in tiers))
    assert total.high == pytest.approx(sum(t.high for t in tiers))


TIERS_OF_GEN2 = ("board", "rack", "cross_rack")


def test_nothing_that_was_kept_survives_a_change_of_the_folder(tmp_path, monkeypatch):
    """Every function that remembers what it made of the tables sees another folder at once."""
    shutil.copytree(data.DATA, tmp_path / "data")
    table = tmp_path / "data" / "models.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("llama3_1_8b,")]
    table.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert "llama3_1_8b" in workload.models()
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    assert "llama3_1_8b" not in workload.models()
    with pytest.raises(data.UnknownId):
        workload.model("llama3_1_8b")
    monkeypatch.undo()
    assert workload.model("llama3_1_8b").n_layers == 32


def test_no_module_keeps_what_it_read_without_the_folder():
    """A cache over tables is `data.kept`, or takes the folder as its first argument."""
    for path in sorted((ROOT / "trn3").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            decorated = [ast.unparse(d) for d in node.decorator_list]
            if not any("lru_cache" in d or d.endswith("functools.cache") for d in decorated):
                continue
            names = [argument.arg.strip("_") for argument in node.args.args]
            inner = [ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
            reads = [
                call for call in inner if re.match(r"data\.(rows|table|fact|facts|ids|named)", call)
            ]
            assert not reads or "folder" in names, f"{path.name}: {node.name} keeps {reads}"


def test_prompts_of_a_benchmark_are_those_of_its_table():
    """The result files give no lengths of prompts; corrections fill in what the table says."""
    table = data.table("benchmarks").set_index("model")
    runs = data.table("inference_runs").query("family == 'mlperf'").set_index("row_id")
    filled = data.table("corrections").query("column == 'input_tokens'").set_index("row_id")
    filled = filled[filled.index.isin(runs.index)]
    expected = table.loc[runs.loc[filled.index, "model"], "input_tokens"]
    assert len(filled) > 300
    assert filled["new"].astype(float).tolist() == expected.tolist()


def test_lengths_of_benchmarks_lie_in_their_ranges_and_answers_near_those_of_the_runs():
    table = data.table("benchmarks")
    assert (table["input_low"] <= table["input_tokens"]).all()
    assert (table["input_tokens"] <= table["input_high"]).all()
    assert not (table["input_high"] > table["max_input_tokens"]).any()
    runs = data.table("inference_runs").query("family == 'mlperf'")
    answers = runs[runs["output_tokens"].notna()].groupby("model")["output_tokens"].median()
    reference = table.set_index("model")["output_tokens"]
    shared = reference.index.intersection(answers.index)
    assert len(shared) == len(reference)  # the rules allow 10 % to either side
    np.testing.assert_allclose(answers[shared], reference[shared], rtol=0.1)
