"""Customer files and the decision they lead to: every problem listed, every field felt, and the
claims placed.
"""

import re
import tomllib

import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from trn3 import cost, data, hardware, uncertainty
from trn3.study import closing, customers, footprint, ownership, savings

NAMES = ["anthropic", "decart", "karakuri", "splashmusic"]
FOLDER = data.DATA / "customers"


@pytest.fixture(scope="module")
def cases():
    return {name: savings.evaluate(customers.load(name), n=1024) for name in [*NAMES, "template"]}


def written(tmp_path, text: str):
    path = tmp_path / "c.toml"
    path.write_text(text)
    return str(path)


def changed(tmp_path, name: str, *pairs: tuple[str, str]):
    text = (FOLDER / f"{name}.toml").read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return written(tmp_path, text)


# ---------------------------------------------------------------------------------------- the file
@pytest.mark.parametrize("name", [*NAMES, "template"])
def test_the_files_of_the_data_are_in_order(name):
    customer = customers.load(name)
    assert len(customer.baselines) >= 3 and customer.workloads
    for work in customer.workloads:
        for key, value in work:
            if isinstance(value, customers.Quantity) and value.status == "assumed":
                assert value.why, f"{key} is assumed without a reason"
    if name != "template":
        assert customer.claim.saving.status == "published"
        data.sources([customer.claim.source_id])


def test_every_key_of_the_table_is_used_or_optional():
    used = {
        k
        for n in [*NAMES, "template"]
        for k in re.findall(r"^(\w+) =", (FOLDER / f"{n}.toml").read_text(), re.M)
    }
    table = data.table("customer_fields")
    assert set(table[table["required"] == "yes"]["field"]) <= used
    assert not table.duplicated(["record", "field"]).any()


def test_every_number_has_a_floor_and_a_cap():
    table = data.table("customer_fields")
    numbers = table[table["kind"].isin(["quantity", "number", "whole"])]
    assert all(numbers["floor"] != "") and all(numbers["cap"] != "")


def test_the_template_shows_every_key_and_its_optional_lines_work(tmp_path):
    text = (FOLDER / "template.toml").read_text()
    assert set(data.table("customer_fields")["field"]) <= set(
        re.findall(r"^(?:#: )?(\w+) =", text, re.M)
    )
    whole = customers.load(written(tmp_path, re.sub(r"^#: ", "", text, flags=re.M)))
    assert (
        {w.kind for w in whole.workloads} == set(customers.KINDS)
        and whole.claim
        and len(whole.baselines) > 3
    )
    for base in whole.baselines:
        assert np.isfinite(savings.evaluate(whole, base.key, n=64).break_even).any()


def test_one_fault_is_one_line_in_plain_words(tmp_path):
    said = {
        (
            'now = "hgx_h100"',
            'now = "hgx_h1000"',
        ): "workloads[0].now = 'hgx_h1000': system 'hgx_h1000' is unknown",
        (
            'kind = "serve"',
            'kind = "serv"',
        ): "workloads[0].kind = 'serv'; allowed: serve, train, stream",
        ('kind = "serve"', ""): "workloads[0].kind is missing; allowed: serve, train, stream",
        ("as_of = 2026-11-22", 'as_of = "soon"'): "as_of = 'soon': write a day, such as 2026-11-22",
        (
            ', unit = "USD/h", why = "put',
            ', why = "put',
        ): "baselines[2].baseline_price.unit: is missing; allowed: USD/h",
        ('owner = "platform lead"', ""): "owner: is missing (who runs the pilot)",
        (
            "engineer_weeks = {",
            "# = {",
        ): "workloads[0].engineer_weeks: is missing (port, tune and check); allowed: weeks",
    }
    for change, words in said.items():
        with pytest.raises(customers.CustomerError) as caught:
            customers.load(changed(tmp_path, "template", change))
        (line,) = caught.value.lines
        assert line.startswith(f"c.toml: {words}"), line
    with pytest.raises(
        customers.CustomerError, match=r"none\.toml: cannot be read \(No such file or directory\)$"
    ):
        customers.load(str(tmp_path / "none.toml"))


def test_all_problems_are_listed_at_once(tmp_path):
    path = changed(
        tmp_path,
        "template",
        (
            'unit = "weeks", why = "port, tune, check"',
            'why = "port, tune, check"',
        ),  # a missing unit
        ("input_tokens =", "input_tokns ="),  # a misspelt key
        ("load = { mid = 30e6, low = 15e6", "load = { mid = 30e6, low = -15e6"),  # a negative load
        ('model = "llama3_3_70b"', 'model = "llama_3_3_7b"'),  # an unknown model
        (
            'term = "on_demand"\nregion = "us_east_2"',
            'term = "on_demand"\nregion = "eu_west_9"',
        ),  # no price there
        (
            "busy = { mid = 0.4, low = 0.25, high = 0.6",
            "busy = { mid = 0.4, low = 0.25, high = 1.6",
        ),  # out of bounds
        ("tpot_s = { mid = 0.05, low = 0.03", "tpot_s = { mid = 0.05, low = -0.03"),
        (
            "port_back_share = { mid = 0.3, low = 0.1, high = 0.6",
            "port_back_share = { mid = 0.3",
        ),  # no range
        ("discount_rate = {", "discount_rate = 0.08 # {"),  # a bare number
        ('family = "llama"', 'family = "lama"'),
        ('access = "public"  ', 'access = "open"  '),
    )
    with pytest.raises(customers.CustomerError) as caught:
        customers.load(path)
    lines = caught.value.lines
    assert len(lines) >= 12 and all(line.startswith("c.toml: ") for line in lines)
    for words in (
        ["engineer_weeks.unit", "missing", "weeks"],
        ["input_tokns", "unknown key", "input_tokens"],
        ["workloads[0].input_tokens", "missing"],
        ["workloads[0].load", "-1.5e+07", "requests/month"],
        ["workloads[0].model", "llama_3_3_7b", "llama3_3_70b"],
        ["baselines[1]", "eu_west_9", "us_east_2"],
        ["workloads[0].busy", "1.6", "share", "0.001 to 1"],
        ["workloads[0].tpot_s", "-0.03", "1e-05"],
        ["port_back_share", "low and high are missing"],
        ["discount_rate", "0.08", "no unit"],
        ["family", "lama", "llama"],
        ["access", "open", "public", "contract"],
    ):
        assert any(all(w in line for w in words) for line in lines), (words, lines)


@pytest.mark.parametrize(
    "text", ["", "name = 3", "= 1", "workloads = 3\nbaselines = [1]", "[models]\na = 1"]
)
def test_no_file_ends_in_a_traceback(tmp_path, text):
    with pytest.raises(customers.CustomerError):
        customers.load(written(tmp_path, text))


SHAPE = """
[models.mine]
n_layers = 32
d_model = 4096
n_heads = 32
n_kv_heads = 8
head_dim = 128
d_ff = 14336
vocab = 128256
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'name = "Your company"',
            r'name = "Your\ncompany"',
            "name = 'Your\\\\ncompany': must be one line",
        ),
        ('name = "Your company"', r'name = "\u001b[31mred"', "name = .*: must be one line"),
        ('name = "Your company"', r'name = "a\u202eb"', "name = .*: must be one line"),
        ('name = "Your company"', f'name = "{"x" * 300}"', "name = .*: must be one line"),
        ('label = "H100 on demand"', r'label = "a\tb"', r"baselines\[1\].label = .*: must be one"),
        ('why = "your own logs"', r'why = "a\r\nb"', "why = .*: must be one line"),
        ("tpot_s = { mid = 0.05,", "tpot_s = { mid = inf,", "tpot_s.mid = inf"),
        ("tpot_s = { mid = 0.05,", "tpot_s = { mid = nan,", "tpot_s.mid = nan"),
        ("high = 0.1, unit", "high = 1e300, unit", "tpot_s: 0.03 to 1e\\+300 s: allowed"),
        ("tpot_s = { mid = 0.05,", 'tpot_s = { mid = "0.05",', "tpot_s.mid = '0.05'"),
        ("tpot_s = { mid = 0.05,", "tpot_s = { mid = true,", "tpot_s.mid = True"),
        ("tpot_s = {", "tpot_s = 0.05 # {", "tpot_s = 0.05: has no unit"),
        ('volumes = "own"  ', 'volumes = "mine"  ', "volumes = 'mine'"),
        ("{ mid = 6000, low", "{ mid = nan, low", "usd_per_engineer_week.mid = nan"),
        ("high = 9000", "high = inf", "usd_per_engineer_week.high = inf"),
        (
            "high = 9000",
            "high = 1e300",
            "usd_per_engineer_week: 4000 to 1e\\+300 USD/week: allowed",
        ),
        ("{ mid = 6000, low", '{ mid = "6000", low', "usd_per_engineer_week.mid = '6000'"),
        ("horizon_months = 36", "horizon_months = 36.5", "horizon_months = 36.5"),
        ("horizon_months = 36", "horizon_months = true", "horizon_months = True"),
        ("load = { mid = 30e6, low", "load = { low", r"workloads\[0\].load.mid: is missing$"),
        ('key = "list"', 'key = "block"', "baselines: key = 'block' stands more than once"),
    ],
)
def test_text_is_one_line_and_numbers_are_finite(tmp_path, old, new, says):
    with pytest.raises(customers.CustomerError, match=says) as caught:
        customers.load(changed(tmp_path, "template", (old, new)))
    assert all(line.isprintable() for line in caught.value.lines)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("n_layers = 32", "n_layers = 1e300", "n_layers = 1e.300: must be a whole number from 1"),
        ("n_layers = 32", 'n_layers = "32"', "n_layers = '32': must be a whole number"),
        ("n_layers = 32", "n_layers = [32]", r"n_layers = \[32\]: must be a whole number"),
        ("n_layers = 32", "n_layers = inf", "n_layers = inf: must be a whole number"),
        ("n_layers = 32", "n_layers = 1979-05-27", "n_layers = .*: must be a whole number"),
        ("n_layers = 32", "layers = 32", "unknown key; did you mean n_layers?"),
        ("n_layers = 32", "", r"models.mine.n_layers: is missing \(transformer layers"),
        (
            "n_layers = 32",
            r'n_layers = 32\nname = "a\nb"'.replace(r"32\n", "32\n"),
            "name: must be",
        ),
        ("[models.mine]", "[models]\nmine = 3\n[models.other]", "models.mine: must be a table"),
        ("[models.mine]", r'[models."a\nb"]', "models"),
    ],
)
def test_a_shape_of_the_file_is_typed(tmp_path, old, new, says):
    good = (FOLDER / "template.toml").read_text() + SHAPE
    assert customers.load(written(tmp_path, good.replace('"llama3_3_70b"', '"mine"')))
    assert old in good
    with pytest.raises(customers.CustomerError, match=says) as caught:
        customers.load(written(tmp_path, good.replace(old, new)))
    assert all(line.isprintable() for line in caught.value.lines)


def test_a_customer_file_may_start_with_a_byte_order_mark_and_must_not_be_endless(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "template.toml").read_text(), encoding="utf-8-sig")
    assert customers.load(str(path)).name == "Your company"
    path.write_text("a = " + "[" * 10**5)
    with pytest.raises(customers.CustomerError, match=r"nested too deeply|as TOML"):
        customers.load(str(path))
    path.write_text("#" * (5 * 2**20))
    with pytest.raises(customers.CustomerError, match="larger than 4 MiB"):
        customers.load(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(customers.CustomerError, match="not UTF-8"):
        customers.load(str(path))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(customers.CustomerError, match="not a file"):
        customers.load(str(tmp_path / "folder.toml"))


KEYS = ["kind", "now", "new", "model", "term", "region", "date", "baseline_price", "family", "mid"]
LEAVES = st.none() | st.integers() | st.text(max_size=5)
JUNK = st.recursive(
    LEAVES,
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(KEYS), each, max_size=4)
    ),
    max_leaves=8,
)


@given(JUNK)
@settings(max_examples=60, deadline=None)
def test_the_cross_checks_take_anything(junk):
    for raw in (
        {"workloads": junk, "baselines": junk},
        {"workloads": [junk], "baselines": [junk], "models": junk},
    ):
        assert isinstance(list(customers._unresolved(raw)), list)


def test_an_unknown_customer_names_the_known_ones():
    with pytest.raises(data.UnknownId, match=r"anthropic.*karakuri"):
        customers.load("karakury")
    assert customers.load("Splash-Music").name == "Splash Music"


def test_a_price_comes_from_the_asked_date_term_and_region():
    # AWS, before the cut of June 2025: p5.48xlarge at 98.32 USD/h for eight H100
    base = {"term": "on_demand", "region": "us_east_1", "date": "2025-05"}
    assert customers.price(base, "now", "hgx_h100").mid == pytest.approx(98.32 / 8)
    assert customers.price(
        {"term": "on_demand", "region": "us_east_1"}, "now", "hgx_h100"
    ).mid == pytest.approx(6.88)
    assert (
        customers.price({"term": "capacity_block", "region": "us_east_2"}, "now", "hgx_h100").mid
        < 6.0
    )
    # of two H200 servers that are sold in blocks there, the cheaper one: p5e at 47.76 USD/h
    block = customers.price({"term": "capacity_block", "region": "us_east_2"}, "now", "hgx_h200")
    assert block.mid == pytest.approx(47.76 / 8)
    with pytest.raises(data.UnknownId, match="us_east_1_dfw"):  # sold in one Local Zone alone
        customers.price({"term": "capacity_block", "region": "us_east_2"}, "now", "gb200_nvl72")
    assumed = customers.price({"region": "us_east_2"}, "new", "trn3_gen2")
    assert assumed.status == "assumed" and assumed.low < assumed.mid < assumed.high
    with pytest.raises(data.UnknownId, match="trainium3 has no price for term = on_demand"):
        customers.price({"new_term": "on_demand"}, "new", "trn3_gen2")


# ------------------------------------------------------------------------------------ the decision
def test_probability_falls_with_the_rent_and_agrees_with_the_saving(cases):
    for case in cases.values():
        rents = np.geomspace(0.1, 50.0, 12)
        chances = [case.probability(y) for y in rents]
        assert chances == sorted(chances, reverse=True) and chances[-1] < 0.5
        for y in rents:
            assert case.probability(y) == pytest.approx(np.mean(case.saving(y) > 0))


def test_doubling_the_rival_moves_the_saving_and_not_what_the_break_even_rests_on(tmp_path):
    old = '{ mid = 3.25, low = 2.1, high = 4.5, unit = "USD/h"'
    new = '{ mid = 6.5, low = 4.2, high = 9.0, unit = "USD/h"'
    one = savings.evaluate(customers.load("template"), "contract", n=512)
    two = savings.evaluate(
        customers.load(changed(tmp_path, "template", (old, new))), "contract", n=512
    )
    a, b = one.results[0].drawn, two.results[0].drawn
    own = (
        "now_chip_h",
        "new_chip_h",
        "labour_usd",
        "extra_chip_h",
        "delay_months",
        "dual_months",
        "growth",
        "rate",
    )
    assert all(np.array_equal(getattr(a, f), getattr(b, f)) for f in own)
    assert np.array_equal(
        one.results[0].balance[1], two.results[0].balance[1]
    )  # hours of the new chip
    assert np.all(two.saving(3.5) > one.saving(3.5))
    assert two.stay_usd == pytest.approx(2 * one.stay_usd)
    labour = one.results[0].drawn.labour_usd
    assert two.balance[0] + labour == pytest.approx(2 * (one.balance[0] + labour))


NUMBERS = re.findall(r"^(\w+) = \{", (FOLDER / "template.toml").read_text(), re.M)


@pytest.mark.parametrize(
    "key", sorted(set(NUMBERS) - {"baseline_price", "port_back_share", "ttft_s"})
)
@pytest.mark.parametrize("end", ["low", "mid", "high"])
def test_every_number_of_the_file_moves_the_result(tmp_path, cases, key, end):
    raw = tomllib.loads((FOLDER / "template.toml").read_text())
    home = raw if key in raw else raw["workloads"][0]
    low, mid, high = (home[key][e] for e in ("low", "mid", "high"))
    step = {
        "low": 0.9 * low + 0.1 * mid if low < mid else 0.95 * low,
        "mid": 0.96 * mid + 0.04 * high,
        "high": 0.98 * high + 0.02 * mid if high > mid else 1.05 * high,
    }
    if end == "mid" and low == high:
        pytest.skip("a fixed number moves with its ends")
    line = re.search(rf"^{key} = .*$", (FOLDER / "template.toml").read_text(), re.M).group()
    new = re.sub(rf"\b{end} = [-\d.e]+", f"{end} = {step[end]:.9g}", line)
    if low == high:
        new = re.sub(r"\b(low|mid|high) = [-\d.e]+", lambda m: f"{m[1]} = {mid * 30:.9g}", line)
    case = savings.evaluate(customers.load(changed(tmp_path, "template", (line, new))), n=1024)
    assert not np.array_equal(case.saving(3.5), cases["template"].saving(3.5))


@pytest.mark.parametrize(
    "old, new",
    [
        ('now = "hgx_h100"', 'now = "hgx_h200"'),
        ('dtype_now = "fp8"', 'dtype_now = "bf16"'),
        ('dtype_new = "mxfp8"', 'dtype_new = "bf16"'),
        ('model = "llama3_3_70b"', 'model = "llama3_1_8b"'),
        ("tpot_s = { mid = 0.05, low = 0.03", "tpot_s = { mid = 0.03, low = 0.03"),
        ("horizon_months = 36", "horizon_months = 24"),
        ('term = "capacity_block"', 'term = "on_demand"'),
    ],
)
def test_every_choice_of_the_file_moves_the_result(tmp_path, cases, old, new):
    case = savings.evaluate(customers.load(changed(tmp_path, "template", (old, new))), n=1024)
    assert not np.array_equal(case.saving(3.5), cases["template"].saving(3.5))


def test_total_is_the_sum_and_the_tornado_uses_it(cases):
    case = cases["karakuri"]
    assert case.saving(3.0) == pytest.approx(
        sum(r.balance[0] - 3.0 * r.balance[1] for r in case.results)
    )
    v = {n: x[:7] for n, x in case.samples.items()} | {"rent": np.array(3.0)}
    assert case.total(v) == pytest.approx(case.saving(3.0)[:7])


def test_thresholds_are_where_the_saving_changes_sign(cases):
    for case in cases.values():
        at = float(np.median(case.break_even))
        for row in case.thresholds(at).itertuples():
            mids = {n: np.array(i.mid) for n, i in case.at_median.items()} | {"rent": np.array(at)}
            there = case.total(mids | {row.input: np.array(row.flips_at)})
            assert abs(there) < 1e-6 * float(np.median(case.stay_usd))
            more = case.total(mids | {row.input: np.array(row.flips_at * 1.02)})
            assert (more > 0) == (row.saves == "above")


def test_one_middle_the_case_that_stands_for_all_has_the_median_break_even(cases):
    for case in cases.values():
        own = case.break_even[case.median]
        share = float(np.mean(case.break_even <= own))
        assert 0.48 < share < 0.52
        move_sums = [
            r.move({k: v[j] for k, j in r.keys.items()})
            for r in case.results
            for v in [{n: np.array(i.mid) for n, i in case.at_median.items()}]
        ]
        spared, hours = (sum(side) for side in zip(*map(cost.balance, move_sums)))
        assert float(spared / hours) == pytest.approx(float(own))


@pytest.mark.parametrize("name", NAMES)
def test_a_company_without_published_volumes_gets_no_sums(cases, name):
    assert cases[name].customer.volumes == "assumed" and not cases[name].shows_sums
    _, stay, _ = savings.path(cases[name])
    row = savings.path(cases[name])[0].iloc[-1]
    end = in_page(
        stay, price=3.5, busy=1.0, discount=0.0, **{f"datum_{k}": v for k, v in row.items()}
    )
    assert end == pytest.approx(100.0)  # a share of the cost of staying


def test_a_file_of_the_reader_s_own_shows_sums_and_one_that_does_not_say_so_none(tmp_path, cases):
    assert cases["template"].shows_sums
    line = re.search(r"^volumes = .*$", (FOLDER / "template.toml").read_text(), re.M).group()
    silent = customers.load(changed(tmp_path, "template", (line, "")))
    assert not savings.evaluate(silent, n=64).shows_sums


@given(st.floats(0.03, 0.1), st.floats(0.03, 0.1))
@settings(max_examples=20, deadline=None)
def test_a_tighter_limit_never_makes_a_side_faster(a, b):
    case = savings.evaluate(customers.load("template"), n=64)
    side = case.results[0].new
    tight, loose = sorted((a, b))
    assert side.under({"tpot_s": tight}) <= side.under({"tpot_s": loose}) * (1 + 1e-9)


def test_a_discount_lowers_the_listed_rent_and_what_the_new_chip_may_cost(cases):
    who = customers.load("template")
    none = savings.evaluate(customers.with_rents(who, "", 0.0, 0.0), n=256)
    half = savings.evaluate(customers.with_rents(who, "", 0.0, 0.5), n=256)
    assert np.array_equal(none.break_even, savings.evaluate(who, n=256).break_even)
    assert half.stay_usd == pytest.approx(0.5 * none.stay_usd)
    assert np.all(half.break_even < none.break_even)
    own = savings.evaluate(customers.with_rents(who, "", 5.0, 0.5), n=64)
    assert own.inputs["rent hgx_h100"].mid == 5.0  # a rent of one's own takes no discount


def test_a_commitment_counts_before_an_offer(tmp_path):
    line = 'label = "H100 by Capacity Block"\n'
    ends = 'low = 1.0, high = 4.0, unit = "USD/h", why = "x" }\n'
    more = f"price = {{ mid = 2.9, {ends}commitment_price = {{ mid = 1.5, {ends}"
    case = savings.evaluate(
        customers.load(changed(tmp_path, "template", (line, line + more))), n=64
    )
    assert case.rent.mid == 1.5


def test_a_file_whose_numbers_describe_something_else_is_stopped_with_the_reason(tmp_path):
    # 2 x 50e9 parameters x 8,200 tokens x 4 passes x 30 frames: 98 PFLOP/s for one stream
    path = changed(
        tmp_path,
        "decart",
        ("mid = 5e9, low = 2e9, high = 14e9", "mid = 50e9, low = 2e9, high = 90e9"),
        ("mid = 3600, low = 2000, high = 8200", "mid = 8200, low = 2000, high = 8200"),
        ("mid = 3, low = 1, high = 4, unit", "mid = 4, low = 1, high = 4, unit"),
    )
    with pytest.raises(data.TrnError, match=r"a stream keep .* busy; allowed: up to 8"):
        savings.evaluate(customers.load(path), n=64)
    path = changed(
        tmp_path,
        "template",
        ("busy = { mid = 0.4, low = 0.25", "busy = { mid = 0.001, low = 0.001"),
    )
    with pytest.raises(data.TrnError, match="list price of any model"):
        savings.evaluate(customers.load(path), n=64)


def test_chips_of_a_stream_by_hand():
    case = savings.evaluate(customers.load("decart"), n=64)
    (result,) = case.results
    found = savings.sane(result.work, result.now, 6.0)
    # 2 FLOP x 5e9 x 3,600 tokens x 3 passes x 30 frames/s over half of 989 TFLOP/s, busy 45%
    chips = 2 * 5e9 * 3600 * 3 * 30 / (0.5 * 989e12) / 0.45
    assert found.chips_per_stream == pytest.approx(chips, rel=0.01)
    assert found.usd == pytest.approx(6.0 * found.chips_per_stream) and found.list_usd == (180, 180)


def test_only_what_can_be_rented_is_measured_and_what_is_told_narrows_the_range(cases):
    for name in NAMES:
        case = cases[name]
        runs = savings.measurements(case, 3.5)
        for run in runs:
            assert not run.on.system.chip.id.startswith("trainium3")
            assert run.narrows > -0.05  # a floor under a fleet may bend what a known speed leaves
        for run in closing.worthwhile(runs):
            narrow = np.log(run.after.high / run.after.low)
            assert narrow < np.log(run.before.high / run.before.low)


def test_caveats_are_known_and_only_those_triggered(cases):
    known = set(data.table("caveats")["trigger"])
    assert {"no offer", "mxfp8", "serve", "public"} <= savings.triggers(
        cases["template"].results[0]
    ) & known
    assert "moe" in savings.triggers(cases["anthropic"].results[0])
    assert "moe" not in savings.triggers(cases["template"].results[0])
    assert {"train", "port"} <= savings.triggers(cases["karakuri"].results[0])
    data.sources(data.table("caveats")["source_id"])


def test_the_gate_names_what_stops_a_workload(tmp_path):
    work = customers.load("template").workloads[0]
    assert savings.gate(work, None, "does not fit")["status"].tolist() == [
        "no",
        "works",
        "no offer",
    ]
    path = changed(
        tmp_path, "template", ("low = 0.03, high = 0.1, unit", "low = 0.0001, high = 0.1, unit")
    )
    with pytest.raises(data.TrnError, match=r"no workload can run.*tpot_s"):
        savings.evaluate(customers.load(path))


def test_a_case_takes_a_hundred_thousand_draws():
    case = savings.evaluate(customers.load("karakuri"), n=100_000)
    low, middle, high = uncertainty.percentiles(case.saving(3.5))
    assert len(case.break_even) == 100_000 and low < middle < high


# ------------------------------------------------------------------------------------- in the page
def in_page(expression: str, **names: float) -> float:
    """A Vega expression of sums, products and max, read by Python."""
    row = {k[6:]: v for k, v in names.items() if k.startswith("datum_")}
    text = re.sub(r"datum\.(\w+)", lambda m: repr(float(row[m[1]])), expression)
    assert re.fullmatch(r"[-+*/().,\w\s]+", text)
    return float(
        eval(
            text,
            {"__builtins__": {}},
            {"max": max, **{k: v for k, v in names.items() if "datum" not in k}},
        )
    )


def in_vega(expression: str, row: dict[str, float], **names: float) -> float:
    """The same expression, read by Vega itself: drawn as text, and the text read back."""
    text = {
        "mark": "text",
        "encoding": {"text": {"field": "t"}},
        "data": {"values": [row]},
        "width": 400,
    }
    steps = [
        {"calculate": expression, "as": "y"},
        {"calculate": "'y='+format(datum.y,'.9e')", "as": "t"},
    ]
    params = [{"name": k, "value": v} for k, v in names.items()]
    svg = vl_convert.vegalite_to_svg(
        text | {"transform": steps, "params": params}, vl_version="6.4"
    )
    return float(re.search(r">y=([^<]+)<", svg).group(1).replace("−", "-"))


@pytest.mark.parametrize("name", NAMES)
def test_vega_computes_what_python_computes(cases, name):
    case = cases[name]
    frame, stay, go = savings.path(case)
    row = {k: float(v) for k, v in frame.iloc[-1].items()}
    for price, busy, discount in ((3.5, 1.0, 0.0), (2.25, 0.75, 0.2)):
        names = {"price": price, "busy": busy, "discount": discount}
        for expression in (stay, go):
            exact = in_page(expression, **names, **{f"datum_{k}": v for k, v in row.items()})
            assert in_vega(expression, row, **names) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("name", [*NAMES, "template"])
@pytest.mark.parametrize(
    "price, busy, discount", [(3.5, 1.0, 0.0), (2.0, 0.8, 0.3), (6.0, 1.2, 0.1)]
)
def test_live_costs_agree_with_python(cases, name, price, busy, discount):
    case = cases[name]
    frame, stay, go = savings.path(case)
    for month in (1, 7, case.customer.horizon_months):
        values = {f"datum_{k}": v for k, v in frame.iloc[month].items()}
        names = {"price": price, "busy": busy, "discount": discount} | values
        both = np.zeros(2)
        for r in case.results:
            v = {k: np.array(case.at_median[j].mid) for k, j in r.keys.items()}
            v |= {"busy": v["busy"] * busy, "now_price": v["now_price"] * (1 - discount)}
            if float(v["busy"] * v["busy_ratio"]) > 1.0:
                pytest.skip("a chip is busy for at most all of the time")
            costs = cost.cumulative_usd(r.move(v), price)
            both += [line[month] / savings.path_scale(case) for line in costs]
        assert [in_page(stay, **names), in_page(go, **names)] == pytest.approx(both, rel=1e-6)


# --------------------------------------------------------------------------------- published money
def test_ownership_costs_of_others_within_15_percent():
    rows = ownership.checks()
    rows = rows[rows["kind"] == "independent"]
    assert len(rows) >= 6
    # SemiAnalysis (April 2026) and Epoch AI (May 2026), from purchase prices that are not theirs
    assert ((rows["ratio"] - 1).abs() < 0.15).all(), rows[["check", "ratio"]]


def test_money_checks_are_labelled_and_sourced():
    rows = ownership.checks()
    assert set(rows["kind"]) <= {"independent", "left out", "reproduces its input"}
    data.sources(rows["source_id"])
    assert (rows["low"] <= rows["predicted"]).all() and (rows["predicted"] <= rows["high"]).all()
    deepseek = rows[rows["check"].str.contains("DeepSeek, a day")].iloc[0]
    assert deepseek["published"] == 87_072


def test_parts_of_the_ownership_cost_add_up_and_follow_use():
    parts = ownership.owned(hardware.system("hgx_h100"))
    half = ownership.owned(hardware.system("hgx_h100"), 0.5)
    assert set(parts) == {"server", "facility", "energy", "operations"}
    assert sum(half.values()) == pytest.approx(2 * sum(parts.values()))
    with pytest.raises(data.UnknownId, match="no purchase price"):
        ownership.owned(hardware.system("hgx_v100"))


def test_the_claims_are_placed_in_the_distribution():
    rows = savings.checks()
    splash = rows[rows["check"].str.startswith("Splash")]
    assert len(splash) == 2 and (splash["published"] == 0.54).all()
    assert splash["note"].str.contains("reach the claim").all()
    assert len(rows[rows["check"].str.contains("up to 50%")]) == 2


def test_live_token_cost_agrees_with_the_formula():
    speed, rent = uncertainty.Input(500.0, 700.0, 900.0, "band"), uncertainty.Input(2.6, 3.5, 5.2)
    bars = savings.token_bars(speed, rent).set_index("input")
    for price, busy, discount in ((3.5, 0.6, 0.0), (2.0, 0.3, 0.25)):
        names = {"price": price, "busy": busy, "discount": discount}
        exact = cost.usd_per_unit(price * (1 - discount), 700.0, busy) * 1e6
        assert in_page(bars.loc["as set", "low"], **names) == pytest.approx(exact, rel=1e-8)
        slow = bars[bars.index.str.startswith("speed")]["low"].iloc[0]
        assert in_page(slow, **names) == pytest.approx(exact * 700.0 / 500.0, rel=1e-8)
        idle = bars[bars.index.str.startswith("busy")]["low"].iloc[0]
        assert in_page(idle, **names) == pytest.approx(exact * busy / 0.3, rel=1e-8)


def test_a_baseline_with_its_own_new_chip_is_gated_on_that_chip():
    case = savings.evaluate(
        customers.load("karakuri"), "meant", 256
    )  # asks about Trainium1, sold on demand
    gates = pd.concat([savings.gate(r.work, r.new) for r in case.results])
    assert {r.work.new for r in case.results} == {"trn1_32xl"}
    assert gates[gates["gate"] == "Offer"]["finding"].str.contains("on demand in us-east-1").all()
    assert gates[gates["gate"] == "Format and memory"]["finding"].str.startswith("BF16").all()


def test_energy_of_a_month_lies_between_an_idle_and_a_busy_fleet():
    """Paid chips without requests draw their idle power and hosts draw all the time: power grows
    in a line with the busy share, and half as busy takes more than half the power per hour.
    """
    who = customers.load("template")
    rates = []
    for busy in (0.2, 0.4, 0.8):
        share = customers.Quantity(mid=busy, low=busy, high=busy, unit="share")
        work = who.workloads[0].model_copy(update={"busy": share})
        case = savings.evaluate(who.model_copy(update={"workloads": (work,)}), "", 256)
        use = savings.energy(case).set_index("side").loc["now"]
        rates.append(use["mwh"] / float(np.median(case.results[0].drawn.now_chip_h)))
        assert use["mwh_low"] <= use["mwh"] <= use["mwh_high"]
    assert (rates[1] - rates[0]) / 0.2 == pytest.approx((rates[2] - rates[1]) / 0.4)
    system = case.results[0].now.system
    rated = system.chip.power_w[1]
    hosts = (footprint.nameplate_factor(system) - 1) * rated
    hosts *= data.assumption("host_draw_share").value
    idle = hosts + rated * data.fact(system.chip.id, "idle_share").value
    pue = data.fact(who.region, "pue").value
    at_rest = rates[0] - (rates[1] - rates[0])  # carried on to no requests at all
    assert at_rest == pytest.approx(idle * pue / 1e6)
    assert rates[0] < rates[1] < rates[2] and rates[0] > 0.5 * rates[1]
