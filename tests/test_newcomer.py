"""What a stranger does on the first day, with no code: an own chip, an own model, an own file of
each kind.
"""

import datetime
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from trn3 import data, workload
from trn3.fit import training_fit, validation

ROOT = Path(__file__).resolve().parent.parent

# A made-up chip and a made-up dense model. All that is said of them stands here; the tables take it
# as rows.
PEAK = {"bf16": 1.5e15, "fp8": 3e15}
HBM_BYTES, HBM_BYTES_PER_S, POWER_W, PRICE = 200e9, 6e12, 900.0, 2.5
LAYERS, WIDTH, HEADS, KV_HEADS, HEAD, FFN, VOCAB = 40, 6144, 48, 8, 128, 20480, 64000
N_PARAMS = (
    LAYERS * (2 * WIDTH * HEAD * (HEADS + KV_HEADS) + 3 * WIDTH * FFN + 2 * WIDTH)
    + 2 * VOCAB * WIDTH
    + WIDTH
)

SPECS = [
    *(("peak_flops_per_s", v / 1e12, "TFLOP/s", d) for d, v in PEAK.items()),
    ("hbm_bytes", HBM_BYTES / 1e9, "GB", ""),
    ("hbm_bytes_per_s", HBM_BYTES_PER_S / 1e12, "TB/s", ""),
    ("power_w", POWER_W, "W", ""),
    *((f"tile_{axis}", 128, "count", "") for axis in "mnk"),
]
TIERS = [("n_chips", 8, "count", ""), ("tier_chips", 8, "count", "ring")]
TIERS += [("tier_bytes_per_s", 400, "GB/s", "ring"), ("tier_bytes_per_s", 50, "GB/s", "scale_out")]
TIERS += [("tier_latency_s", 2, "us", "ring"), ("tier_latency_s", 10, "us", "scale_out")]


def add(folder: Path, table: str, *rows: dict[str, object]) -> None:
    """Rows as a person would add them: the columns that are known, the others empty."""
    path = folder / f"{table}.csv"
    columns = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            assert set(row) <= set(columns)
            file.write(",".join(str(row.get(c, "")) for c in columns) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the tables with the chip and the model in it, as data/README.md tells to do it."""
    folder = tmp_path_factory.mktemp("own") / "data"
    shutil.copytree(data.DATA, folder)
    read = {"source_id": "this_survey", "accessed": "2026-11-22"}
    told = read | {"status": "published", "use": "yes"}
    about = {
        "vendor": "Acme",
        "family": "anvil",
        "generation": 1,
        "availability": "available",
        "since": "2026-01",
    }
    about |= {"source_id": "this_survey"}
    add(
        folder,
        "subjects",
        about | {"id": "anvil1", "kind": "chip", "name": "Anvil 1", "usual_system": "anvil_8"},
        about | {"id": "anvil_8", "kind": "system", "name": "8x Anvil 1", "chip": "anvil1"},
    )
    add(
        folder,
        "specs",
        *(
            told | dict(zip(("quantity", "value", "unit", "dtype"), s), subject="anvil1")
            for s in SPECS
        ),
    )
    add(
        folder,
        "systems",
        *(
            told | dict(zip(("quantity", "value", "unit", "basis"), t), subject="anvil_8")
            for t in TIERS
        ),
    )
    rent = {
        "subject": "anvil1",
        "quantity": "price_usd_per_chip_h",
        "value": PRICE,
        "unit": "USD/h",
        "currency": "USD",
    }
    rent |= {"region": "us_east_2", "term": "capacity_block", "price_date": "2026-11-22"}
    add(folder, "prices", told | rent)
    shape = {
        "id": "own_14b",
        "name": "Own 14B",
        "n_layers": LAYERS,
        "d_model": WIDTH,
        "n_heads": HEADS,
        "d_ff": FFN,
    }
    shape |= {
        "n_kv_heads": KV_HEADS,
        "head_dim": HEAD,
        "gated": 1,
        "vocab": VOCAB,
        "tied": 0,
        "context": 32768,
    }
    zero = (
        "n_experts top_k n_shared_experts d_ff_expert n_dense_layers kv_lora_rank q_lora_rank "
        "rope_dim v_head_dim window n_window_layers n_positions"
    )
    add(folder, "models", read | shape | dict.fromkeys(zero.split(), 0) | {"attention": "gqa"})
    return folder


def python(folder: Path, *arguments: object) -> str:
    env = os.environ | {
        "TRN3_DATA": str(folder),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=env, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
import datetime
import io
import json
from trn3 import cost, data, hardware, inference, training, workload
from trn3.study import customers, footprint
from trn3.uncertainty import percentiles
chip, system, model = hardware.chip("Anvil-1"), hardware.system("anvil1"), workload.model("Own 14B")
run = training.estimate(workload.TrainingJob(model, 1e11, 4096, 256), hardware.Cluster(system, 64))
load = workload.ServingLoad(model, 2048, 512, 3.0, 0.03, "fp8", "fp8")
point = inference.best(load, system)
prints = footprint.serving(point, "fp8", "us_east_2", 1.0)
base = {"term": "capacity_block", "region": "us_east_2"}
rent = customers.price_row(base, "now", system.id)["value"]
usd = cost.usd_per_unit(rent, point.output_tokens_per_s_per_chip, 1.0)
bands = [inference.band(each, "throughput").tolist() for each in (chip, *hardware.chips())]
odd = int(inference.frontier(load, system).points.isna().sum().sum())
print(json.dumps({"bands": bands, "odd": odd, "note": run.note, "n_params": model.n_params,
    "system": system.id, "days": list(run.days), "mfu": list(run.mfu),
    "memory": float(run.memory_bytes), "chips": int(point.n_chips),
    "rate": list(point.output_tokens_per_s_per_chip), "tpot_s": list(point.tpot_s),
    "joule": list(percentiles(prints.total_j)), "usd": list(usd)}, default=float))
"""


@pytest.fixture(scope="module")
def answers(folder):
    return json.loads(python(folder, "-c", ASK))


def test_a_model_of_rows_is_counted(answers):
    assert (
        answers["n_params"] == pytest.approx(N_PARAMS, rel=1e-3) and answers["system"] == "anvil_8"
    )


def test_training_on_a_chip_of_rows_keeps_to_arithmetic(answers):
    low, middle, high = answers["days"]
    least = (
        6 * N_PARAMS * 1e11 / (64 * PEAK["bf16"]) / 86400
    )  # two FLOPs per parameter forward, four backward, at peak
    assert least < low < middle < high and answers["memory"] < HBM_BYTES
    assert 0 < answers["mfu"][0] < answers["mfu"][1] < 1
    assert middle * answers["mfu"][1] == pytest.approx(
        least, rel=0.25
    )  # attention and the embedding make the rest


def test_serving_on_a_chip_of_rows_keeps_to_arithmetic(answers):
    weights_s = (N_PARAMS - VOCAB * WIDTH) / (
        answers["chips"] * HBM_BYTES_PER_S
    )  # one byte per weight, read every step
    assert weights_s < min(answers["tpot_s"]) and answers["tpot_s"][1] <= 0.03 * 1.001
    low, middle, high = answers["rate"]
    assert 0 < low < middle < high < PEAK["fp8"] / (2 * N_PARAMS)


def test_no_layout_is_lost_for_want_of_a_row(answers):
    assert (
        answers["odd"] == 0
    )  # the links between chips are in the system's tiers, if not among the chip's specs


def test_a_chip_that_the_fit_did_not_know_has_the_widest_range(answers):
    (low, _, high), *others = answers["bands"]
    assert low <= min(b[0] for b in others) and high >= max(b[2] for b in others)
    assert "did not know" in answers["note"]


def test_energy_and_cost_of_a_chip_of_rows_follow_from_its_watts_and_rent(answers):
    low, middle, high = answers["joule"]
    assert (
        0 < low < middle < high and middle * answers["rate"][1] < 2.5 * POWER_W
    )  # host, network and building included
    assert answers["usd"][1] * answers["rate"][1] * 3600 == pytest.approx(PRICE)


@pytest.fixture(scope="module")
def pages(folder, tmp_path_factory):
    """Whole reports of the chip, with a model of the reader's own config.json."""
    home = tmp_path_factory.mktemp("pages")
    config = {
        "num_hidden_layers": LAYERS,
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "head_dim": HEAD,
    }
    config |= {
        "num_key_value_heads": KV_HEADS,
        "intermediate_size": FFN,
        "vocab_size": VOCAB,
        "model_type": "llama",
    }
    (home / "mine").mkdir()
    (home / "mine" / "config.json").write_text(
        json.dumps(config | {"max_position_embeddings": 32768})
    )
    given = [
        "-p",
        "systems=anvil_8,hgx_h100",
        "-p",
        "baseline=hgx_h100",
        "-p",
        f"model={home / 'mine' / 'config.json'}",
    ]
    told = python(
        folder, "-m", "trn3", "report", "03", "04", "05", "07", *given, "--out", home / "out"
    )
    assert "4 of 4 reports made" in told
    return home / "out"


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("name", ["03_training_time", "04_serving", "05_energy", "07_cost"])
def test_whole_reports_are_made_of_rows(pages, name):
    page = next(pages.glob(f"{name}-*.html")).read_text(encoding="utf-8")
    results = json.loads(next(pages.glob(f"{name}-*.json")).read_text(encoding="utf-8"))
    assert not [f.name for f in pages.iterdir() if f.is_file() and str(pages.parent) in read(f)]
    assert (
        results["parameters"]["model"].endswith("mine/config.json") and "mine/config.json" in page
    )
    assert "Anvil 1" in page and all(
        n["value"] is None or n["value"] > 0 for n in results["headline"]
    )
    assert "Your own file" in page if name == "03_training_time" else True


# ------------------------------------------------------------------------------- own measured runs
@pytest.mark.parametrize(("kind", "n"), [("training", 2), ("inference", 4)])
def test_the_templates_of_measured_runs_are_scored_row_by_row_and_change_nothing(kind, n, capsys):
    from trn3.reporting import cli

    before = {p.name: p.read_bytes() for p in data.DATA.glob("*.csv")}
    file = data.DATA / "templates" / f"{kind}_runs.csv"
    assert cli.main(["validate", kind, str(file)]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("example")]
    assert len(lines) == n and not re.search(r"^skipped", out, re.M) and "as they were" in out
    for line in lines:
        measured, predicted, ends = line.rsplit(maxsplit=3)[1:]
        low, high = map(float, ends.split("-"))
        assert low < float(predicted) < high and float(measured) > 0
    assert before == {p.name: p.read_bytes() for p in data.DATA.glob("*.csv")}


def test_a_run_on_a_known_model_needs_eight_columns(tmp_path):
    columns = "model,accelerator,n_accel,precision,tp,seq_len,global_batch,iter_time_s"
    rows = [
        "llama3_1_70b,h100,512,bf16,8,8192,1024,16",
        "DeepSeek-V3,H100,1024,bf16,8,4096,2048,70",
    ]
    (tmp_path / "few.csv").write_text("\n".join([columns, *rows]) + "\n")
    read = training_fit.read(tmp_path / "few.csv")
    assert list(read["dp"].astype(float)) == [64, 128] and list(read["row_id"]) == [
        "row 2",
        "row 3",
    ]
    assert validation.validate("training", tmp_path / "few.csv", "none")["scored"] == 2
    for name in columns.split(","):
        (tmp_path / "less.csv").write_text(
            columns.replace(name, "notes", 1) + "\n" + rows[0] + "\n"
        )
        with pytest.raises(
            data.TrnError, match=rf"less.csv: it does not say {name} \(.*-p {name}="
        ):
            training_fit.read(tmp_path / "less.csv")
    (tmp_path / "odd.csv").write_text(columns.replace("tp,", "tpp,") + "\n" + rows[0] + "\n")
    with pytest.raises(data.TrnError, match=r"column .tpp. is unknown; did you mean tp\?"):
        training_fit.read(tmp_path / "odd.csv")


def test_a_known_shape_survives_the_columns_of_a_run():
    models = list(workload.models().values())
    rows = [training_fit._written(m) | {"model": m.id} for m in models]
    read = training_fit.shapes(pd.DataFrame(rows))
    for i, m in enumerate(models):
        assert read.n_params[i] == pytest.approx(m.n_params, rel=0.02), (
            m.id
        )  # learned positions have no column
        assert read.n_active_params[i] == pytest.approx(m.n_active_params, rel=0.02), m.id


# ---------------------------------------------------------------------------------- in the browser
@pytest.mark.browser
def test_every_chart_of_a_page_is_saved_as_png_and_csv(visit, pages):
    page = visit(next(pages.glob("04_serving-*.html")))
    buttons = page.locator("figure .take button")
    assert buttons.count() == 2 * page.locator("figure .vl").count() > 0
    for i in range(buttons.count()):
        with page.expect_download() as got:
            buttons.nth(i).click()
        name, content = got.value.suggested_filename, Path(got.value.path()).read_bytes()
        assert re.fullmatch(rf"04_serving-\w+-chart-{i // 2 + 1}\.(png|csv)", name)
        if name.endswith("png"):
            wide, high = struct.unpack(">II", content[16:24])
            assert (
                content.startswith(b"\x89PNG") and wide >= 1600 and high > 600
            )  # twice the size, with title
        else:
            table, shown = (
                pd.read_csv(io.BytesIO(content)),
                page.locator("figure").nth(i // 2).locator(".numbers tr"),
            )
            assert len(table) == shown.count() - 1
            assert any(
                pd.api.types.is_numeric_dtype(table[c]) for c in table
            )  # no thousands commas


@pytest.fixture(scope="module")
def later(opened):
    """A page whose clock can be set."""
    return opened()


@pytest.mark.browser
@pytest.mark.parametrize(("days", "warned"), [(0, False), (180, False), (181, True), (900, True)])
@pytest.mark.parametrize("name", ["index", "03_training_time-*", "numbers"])
def test_a_page_that_is_opened_late_says_how_old_its_data_are(later, pages, name, days, warned):
    page = later
    day = datetime.datetime.combine(data.data_date(), datetime.time(12), datetime.UTC)
    page.clock.set_fixed_time(day + datetime.timedelta(days=days))
    page.goto(next(pages.glob(f"{name}.html")).as_uri())
    note = page.locator(".aged")
    assert note.count() == warned
    assert not warned or f"of {data.data_date()}, {days} days old" in note.inner_text()
