"""Layout search against trying every layout one by one."""

import dataclasses

import numpy as np
import pytest

from trn3 import data, hardware, layouts, memory, search, training_step, workload
from trn3.layouts import FIELDS, Layouts
from trn3.units import GIB
from trn3.workload import TrainingJob, model

SMALL = [
    ("llama2_7b", "hgx_a100", 16, 32),
    ("mixtral_8x7b", "hgx_h100", 32, 8),
    ("llama3_1_8b", "trainium3", 12, 24),
]


def every_layout(name, system, n_chips, batch, seq_len, hybrid=False):
    """All layouts of a space as flat arrays, with their time, memory and whether they can run:
    nothing shared.
    """
    shape, machine = model(name), hardware.system(system)
    rows = layouts.splits(shape, seq_len, batch, max(32, machine.n_chips))
    keep = rows.n_chips == n_chips
    rows = Layouts(*(getattr(rows, f)[keep] for f in FIELDS[:6]))
    columns = []
    for _, block in layouts.blocks(rows, shape, reach=machine.n_chips if hybrid else 1):
        *fields, fresh = np.broadcast_arrays(
            *(getattr(block, f) for f in FIELDS), layouts.fresh(block)
        )
        columns.append([field[fresh] for field in fields])
    flat = Layouts(*(np.concatenate(field) for field in zip(*columns)))
    machine = training_step.machine(hardware.Cluster(machine, n_chips))
    times = training_step.evaluate(
        training_step.Work(shape, seq_len, batch), machine, flat
    ).step_time_s
    held = memory.training_bytes(shape, seq_len, batch, flat).total
    rounds = batch // flat.dp // flat.micro_batch % flat.pp == 0
    return (
        flat,
        times,
        held,
        (held <= hardware.system(system).chip.hbm_bytes) & ((flat.interleave == 1) | rounds),
    )


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(("name", "system", "n_chips", "batch"), SMALL)
def test_it_finds_what_trying_all_finds(name, system, n_chips, batch, hybrid):
    flat, times, held, fits = every_layout(name, system, n_chips, batch, 4096, hybrid)
    found = search.search(name, system, n_chips, batch, top=20, hybrid=hybrid)
    assert (found.distinct, found.feasible) == (len(times), fits.sum())
    assert found.infeasible == (~fits).sum()
    assert found.enumerated >= found.distinct
    # The fastest switches of every other choice, then the twenty fastest.
    rest = np.stack([getattr(flat, f) for f in FIELDS if "overlap" not in f], axis=1)[fits]
    _, kind = np.unique(rest, axis=0, return_inverse=True)
    fastest = np.full(kind.max() + 1, np.inf)
    np.minimum.at(fastest, kind.ravel(), times[fits])
    assert found.step_time_s == pytest.approx(np.sort(fastest)[:20], rel=1e-9)
    for row, step, n_bytes in zip(found.best.rows(), found.step_time_s, found.memory_bytes):
        same = np.all([getattr(flat, f) == v for f, v in row.items()], axis=0)
        assert same.sum() == 1, "a layout of the space"
        assert (times[same], held[same]) == (
            pytest.approx([step], rel=1e-9),
            pytest.approx([n_bytes], rel=1e-9),
        )


@pytest.mark.parametrize(("name", "system", "n_chips", "batch"), SMALL)
def test_nothing_beats_the_front(name, system, n_chips, batch):
    _, times, held, fits = every_layout(name, system, n_chips, batch, 4096)
    front = search.search(name, system, n_chips, batch).front
    assert front["step_time_s"].is_monotonic_increasing
    assert (np.diff(front["memory_gib"].astype(int)) < 0).all(), "slower only with less memory"
    for step, gib in zip(front["step_time_s"], front["memory_gib"]):
        as_small = fits & (held < (int(gib) + 1) * GIB)
        assert times[as_small].min() == pytest.approx(step, rel=1e-6)


def test_the_front_trades_chips_too():
    front = search.search("llama2_7b", "hgx_h100", [8, 16, 32], 64).front
    cells = front[["n_chips", "step_time_s"]].assign(gib=front["memory_gib"].astype(int)).to_numpy()
    assert set(front["n_chips"]) == {8, 16, 32}
    for row in cells:
        as_good = (cells <= row).all(axis=1)
        assert as_good.sum() == 1, "only itself"


def plain(result):
    skip = ("seconds", "process_s", "layouts_per_s")
    return {k: v for k, v in result.json().items() if k not in skip}, result.front.to_dict("list")


@pytest.mark.parametrize(
    "how", [{"block": 5000}, {"block": 1 << 22}, {"workers": 3}, {"workers": 2, "block": 20000}]
)
def test_blocks_and_workers_change_nothing(how):
    asked = ("gpt3_175b", "hgx_a100", [256, 384], 768)
    assert plain(search.search(*asked, **how)) == plain(search.search(*asked))


def test_the_switches_are_worth_an_axis_only_for_the_count():
    asked = ("gpt3_175b", "hgx_a100", 512, 1536)
    on, off = (search.search(*asked, switches=s) for s in (False, True))
    assert (on.step_time_s == off.step_time_s).all()
    assert off.distinct > 4 * on.distinct
    assert on.axes["tp_overlap"] == on.axes["dp_overlap"] == on.axes["pp_overlap"] == [0, 1]


def test_less_room_is_never_faster():
    asked = ("llama3_1_70b", "hgx_h100", 64, 128, 1)
    steps = [search.search(*asked, usable_share=share).step_time_s[0] for share in (0.4, 0.7, 1.0)]
    assert steps == sorted(steps, reverse=True)
    assert (
        search.search(*asked, usable_share=0.4).memory_bytes[0]
        <= 0.4 * hardware.chip("h100").hbm_bytes
    )


def test_sharding_inside_a_node_is_one_choice_more():
    asked = ("llama3_1_8b", "hgx_h100", 64, 128)
    plain, hybrid = (search.search(*asked, hybrid=way) for way in (False, True))
    assert plain.axes["replicas"] == [1] and max(hybrid.axes["replicas"]) == 64 / 8
    assert hybrid.distinct > plain.distinct and hybrid.feasible > plain.feasible
    assert hybrid.step_time_s[0] <= plain.step_time_s[0]


def test_adapters_fit_where_all_weights_do_not():
    asked = ("llama3_1_70b", "hgx_h100", 8, 8)
    with pytest.raises(memory.DoesNotFit):
        search.search(*asked)
    assert search.search(*asked, finetune="lora").feasible > 0


def test_overlap_never_costs():
    flat, times, _, _ = every_layout("llama2_7b", "hgx_a100", 16, 32, 4096)
    table = dict(zip(zip(*(getattr(flat, f).tolist() for f in FIELDS)), times))
    for row, t in table.items():
        for i in range(-3, 0):
            other = list(row)
            other[i] = 1
            assert table.get(tuple(other), t) <= t * (1 + 1e-12)


def published_layouts():
    """Layouts of published runs on at least 128 A100 or H100, of models of the table, as they
    were run.
    """
    rows = (
        data.table("training_runs")
        .query("accelerator in ['A100-80GB', 'H100'] and readiness == 'full'")
        .astype(str)
    )
    for row in rows[rows["n_accel"].astype(float) >= 128].to_dict("records"):
        try:
            shape, numbers = (
                model(row["model"]),
                {k: int(float(row[k])) for k in (*COLUMNS, "n_accel")},
            )
        except ValueError:  # a model outside of the table, or a layout with an unstated number
            continue
        interleave = int(row["vpp"]) if row["vpp"].isdigit() else 1
        zero = int(row["zero_fsdp"][0]) if row["zero_fsdp"][:1].isdigit() else 0
        recompute = (
            2
            if row["recompute"].startswith("full")
            else 1
            if row["recompute"].startswith("selective")
            else 0
        )
        layout = Layouts(
            **{k: numbers[k] for k in ("tp", "pp", "dp", "cp", "micro_batch")},
            interleave=interleave,
            zero=zero,
        )
        layout = dataclasses.replace(
            layout,
            recompute=recompute,
            tp_overlap=1,
            dp_overlap=1,
            pp_overlap=1,
            sequence_parallel=1,
        )
        if (
            numbers["n_accel"] == layout.n_chips
            and float(row["layers"]) == shape.n_layers
            and not shape.n_experts
        ):
            yield shape, row["accelerator"], numbers["seq_len"], numbers["global_batch"], layout


COLUMNS = ("tp", "pp", "dp", "cp", "micro_batch", "seq_len", "global_batch")


def test_never_worse_than_a_published_layout():
    compared, best = 0, {}
    for shape, accelerator, seq_len, batch, layout in published_layouts():
        system, key = (
            hardware.system(accelerator),
            (shape.id, accelerator, seq_len, batch, layout.n_chips),
        )
        if memory.training_bytes(shape, seq_len, batch, layout).total > system.chip.hbm_bytes:
            continue  # its software holds less than mixed-precision Adam and what a layer keeps
        if key not in best:
            found = search.search(
                shape, system, layout.n_chips, batch, top=1, seq_len=seq_len, switches=False
            )
            best[key] = found.step_time_s[0]
        machine = training_step.machine(hardware.Cluster(system, layout.n_chips))
        taken = training_step.evaluate(
            training_step.Work(shape, seq_len, batch), machine, layout
        ).step_time_s
        assert best[key] <= taken * (1 + 1e-9), f"{key} {layout}"
        compared += 1
    assert compared >= 50


# Narayanan et al. 2021, table 2: GPT-3 175B, batch 1536, tp 8, pp 12, microbatch 1, here also on
# Trainium3.
@pytest.mark.parametrize("dp", [4, 8, 16, 32])
def test_never_worse_on_trainium3_either(dp):
    system, shape = hardware.system("trainium3"), model("gpt3_175b")
    machine = training_step.machine(hardware.Cluster(system, 96 * dp))
    found = search.search(shape, system, 96 * dp, 1536, seq_len=2048, top=1)
    for recompute in (0, 1, 2):
        taken = Layouts(8, 12, dp, recompute=recompute, sequence_parallel=1)
        taken = dataclasses.replace(taken, tp_overlap=1, dp_overlap=1, pp_overlap=1)
        assert (
            found.step_time_s[0]
            <= training_step.evaluate(
                training_step.Work(shape, 2048, 1536), machine, taken
            ).step_time_s
        )


def test_an_interrupt_leaves_what_was_found(monkeypatch):
    blocks = layouts.blocks

    def interrupted(*args):
        for i, block in enumerate(blocks(*args)):
            if i == 6:
                raise KeyboardInterrupt
            yield block

    whole = search.search("gpt3_175b", "hgx_a100", 512, 1536, block=5000)
    monkeypatch.setattr(layouts, "blocks", interrupted)
    part = search.search("gpt3_175b", "hgx_a100", 512, 1536, block=5000)
    assert (part.complete, whole.complete) == (False, True)
    assert 0 < part.distinct < whole.distinct
    assert part.step_time_s[0] >= whole.step_time_s[0]
    assert part.json()["complete"] is False


def test_more_bandwidth_or_rate_is_never_slower():
    system = hardware.system("hgx_h100")
    base = search.search("llama3_1_70b", system, 64, 128, top=1).step_time_s[0]
    chip = system.chip
    twice = {k: 2 * v for k, v in chip.peak_flops_per_s.items()}
    for new in ({"hbm_bytes_per_s": 2 * chip.hbm_bytes_per_s}, {"peak_flops_per_s": twice}):
        faster = dataclasses.replace(system, chip=dataclasses.replace(chip, **new))
        assert search.search("llama3_1_70b", faster, 64, 128, top=1).step_time_s[0] <= base
    tiers = tuple(dataclasses.replace(t, bytes_per_s=2 * t.bytes_per_s) for t in system.tiers)
    assert (
        search.search(
            "llama3_1_70b", dataclasses.replace(system, tiers=tiers), 64, 128, top=1
        ).step_time_s[0]
        <= base
    )


@pytest.mark.parametrize("n_chips", [1, 7, 100, 4097])
def test_best_uses_at_most_the_chips_there_are(n_chips):
    job = TrainingJob(model("llama3_2_1b"), 1e12, 4096, 512)
    found = search.best(job, hardware.Cluster(hardware.system("trainium3"), n_chips))
    assert n_chips / 2 < found.n_chips <= n_chips
    layouts.check(found, job.model, 4096, 512)


def test_best_is_the_best_of_the_coarse_space():
    job = TrainingJob(model("llama3_1_70b"), 1e12, 4096, 256)
    found = search.best(job, hardware.Cluster(hardware.system("hgx_h100"), 64))
    room = data.assumption("training_usable_hbm_share").value
    options = {"seq_len": 4096, "coarse": True, "usable_share": room}
    exact = search.search("llama3_1_70b", "hgx_h100", range(33, 65), 256, 1, **options)
    assert found.rows() == exact.best.rows()


BAD = [
    ({"global_batch": 0}, "global_batch = 0 sequences"),
    ({"global_batch": -4}, "global_batch = -4 sequences"),
    ({"global_batch": 1.5}, "whole number"),
    ({"n_chips": 0}, "n_chips = 0 chips"),
    ({"n_chips": []}, "n_chips"),
    ({"n_chips": "many"}, "n_chips"),
    ({"n_chips": float("nan")}, "n_chips = nan chips"),
    ({"n_chips": 7}, "nearest that fit: "),
    ({"n_chips": 10**10}, "nearest that fit: 37,748,736"),
    ({"seq_len": 0}, "seq_len = 0 tokens"),
    ({"top": 0}, "top = 0"),
    ({"usable_share": 0}, "usable_share = 0"),
    ({"top": 10**9}, "top = 1,000,000,000 layouts: must be at most"),
    ({"n_chips": range(1, 10**15)}, "n_chips = 1 to 999,999,999,999,999 chips: a range may hold"),
    ({"n_chips": 10**30}, "n_chips = "),
    ({"n_chips": [8, 0]}, "n_chips = [8, 0]"),
    ({"global_batch": 963761198400}, "global_batch = 963,761,198,400 has 6,720 divisors"),
    ({"global_batch": 36_756_720}, "choose another global_batch, with fewer divisors"),
    ({"model": "gpt3_175"}, "gpt3_175b"),
    ({"system": "hgx_a10"}, "hgx_a100"),
    ({"dtype": "fp8"}, "fp8"),
]


@pytest.mark.parametrize(("changed", "says"), BAD)
def test_bad_input_is_one_clear_line(changed, says):
    asked = {
        "model": "gpt3_175b",
        "system": "hgx_a100",
        "n_chips": 512,
        "global_batch": 1536,
    } | changed
    with pytest.raises(data.TrnError) as error:
        search.search(**asked)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "n_chips"), [("gpt3_175b", 7), ("gpt3_175b", 101), ("llama3_1_8b", 7)]
)
def test_the_chips_that_a_message_suggests_work(model, n_chips):
    with pytest.raises(layouts.LayoutError) as error:
        search.search(model, "hgx_a100", n_chips, 1536)
    near = [int(n.replace(",", "")) for n in str(error.value).rsplit(": ", 1)[1].split(" or ")]
    assert near and n_chips not in near
    for n in near:
        assert search.search(model, "hgx_a100", n, 1536, top=1).feasible > 0


def test_what_cannot_fit_says_what_would():
    with pytest.raises(memory.DoesNotFit) as error:
        search.search("gpt3_175b", "hgx_a100", 8, 1536)
    text = str(error.value)
    # 18 bytes for each of 175 billion parameters are 2,927 GiB, so 40 chips of 74.5 GiB at least;
    # 12 are optimizer.
    assert "does not fit on 8" in text
    assert "optimizer 244" in text
    fewest = int(text.split("fewest chips that hold it: ")[1].split(";")[0])
    assert fewest >= 40
    assert search.search("gpt3_175b", "hgx_a100", fewest, 1536, top=1).feasible > 0
    fits = text.rsplit(": ", 1)[1]
    assert search.search(fits, "hgx_a100", 8, 1536, seq_len=2048, top=1).feasible > 0
    job = TrainingJob(workload.model("gpt3_175b"), 1e9, 2048, 1536)
    with pytest.raises(memory.DoesNotFit):
        search.best(job, hardware.Cluster(hardware.system("hgx_a100"), 8))


def test_the_result_reads_as_json():
    found = search.search("llama2_7b", "trn2_48xl", 16, 64, top=3).json()
    assert {
        "enumerated",
        "distinct",
        "feasible",
        "infeasible",
        "axes",
        "seconds",
        "process_s",
        "layouts_per_s",
    } < set(found)
    assert len(found["best"]) == 3
    assert {"step_time_s", "memory_gib", "n_chips", *FIELDS} == set(found["best"][0])
    assert found["axes"]["recompute"] == [0, 1, 2]
