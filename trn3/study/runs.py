"""Training runs side by side: several systems at one size, many sizes of each, and published
runs of the shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from trn3 import data, hardware, layouts, training, workload
from trn3.fit import training_fit, trust
from trn3.study import rents, scaling
from trn3.study.compare import ask
from trn3.units import DAY_S, HOUR_S, require

FORMATS = ("bf16", "fp8")
"""Formats of matrix products that runs are trained in."""

SIZES = sorted({2**k for k in range(18)} | {3 * 2**k for k in range(16)})
"""Numbers of chips that are tried for a run that must end in time [-]."""

CAUSES = {
    "matmul": "Matrix math",
    "experts": "Matrix math",
    "output head": "Matrix math",
    "attention": "Attention and vector work",
    "vector": "Attention and vector work",
    "pipeline bubble": "Pipeline bubble",
    "optimizer": "Optimizer and fixed costs",
    "latency and fixed": "Optimizer and fixed costs",
}
"""Parts of a step as a reader thinks of them; what is not named here is exchange between chips."""


def compare(
    job: workload.TrainingJob, systems: Iterable[str], n_chips: int
) -> tuple[dict[str, training.TrainingEstimate], dict[str, str]]:
    """A run on several systems of one size, each with its fastest layout.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : iterable of str
        Ids of systems or chips [-].
    n_chips : int
        Chips that there are; up to a tenth may stay idle where the run does not divide among all of
        them [-].

    Returns
    -------
    tuple of dict
        Estimate by the name of the system, and why the others have none.

    Raises
    ------
    trn3.data.TrnError
        If no system runs the job.
    """
    answers = ask(lambda system: at_sizes(job, system, [n_chips])[0], systems)
    if answers.found:
        return answers.named()
    others = ""
    if len(answers.missing) > 1:
        others = "; none of the other systems named can run it either"
    raise data.TrnError(next(iter(answers.missing.values()), "systems: none is named") + others)


def at_sizes(
    job: workload.TrainingJob, system: hardware.System, sizes: Sequence[int]
) -> list[training.TrainingEstimate]:
    """A run on one system at several sizes, each with its fastest layout; sizes on which it does
    not fit are left out.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    system : System
        Building block [-].
    sizes : sequence of int
        Chips that there are [-].

    Returns
    -------
    list of TrainingEstimate
        One for each size that holds the run.

    Raises
    ------
    trn3.data.TrnError
        If no size holds it, with what is largest and what would fit.
    """
    found = [layouts.Layouts(**each) for each in scaling.fastest(job, system, sizes) if each]
    if not found:
        return [
            training.estimate(job, hardware.Cluster(system, max(sizes)))
        ]  # says why, or finds a smaller one
    return [
        training.estimate(job, hardware.Cluster(system, int(each.n_chips)), each) for each in found
    ]


def days(job: workload.TrainingJob, systems: Iterable[str], sizes: Sequence[int]) -> pd.DataFrame:
    """Days of a run against the number of chips.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : iterable of str
        Ids of systems or chips [-].
    sizes : sequence of int
        Chips that there are [-].

    Returns
    -------
    pandas.DataFrame
        ``system, n_chips, days, low, high``; the 80 % band.
    """
    answers = ask(lambda system: at_sizes(job, system, sizes), systems)
    rows = [
        [hardware.system(each).name, estimate.cluster.n_chips, *estimate.days[[1, 0, 2]]]
        for each, estimates in answers.found.items()
        for estimate in estimates
    ]
    keys = ["system", "n_chips"]
    return pd.DataFrame(rows, columns=[*keys, "days", "low", "high"]).drop_duplicates(keys)


def in_formats(
    job: workload.TrainingJob, system: hardware.System, n_chips: int
) -> dict[str, training.TrainingEstimate]:
    """A run on one system in every format of matrix products that its chip has, BF16 first.

    Parameters
    ----------
    job : TrainingJob
        The run; its own format is not looked at [-].
    system : System
        Building block [-].
    n_chips : int
        Chips that there are [-].

    Returns
    -------
    dict of str to TrainingEstimate
        By format; formats in which the run is not possible are left out.
    """
    found = {}
    for dtype in FORMATS:
        try:
            found[dtype] = at_sizes(replace(job, dtype=dtype), system, [n_chips])[0]
        except data.TrnError:
            continue
    return found


def in_time(
    job: workload.TrainingJob, systems: Iterable[str], days: float, term: str, region: str
) -> pd.DataFrame:
    """What finishes a run in time on each system, and what that costs.

    Of the sizes that finish within the time the one with the fewest chip-days is taken.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : iterable of str
        Ids of systems or chips [-].
    days : float
        Time that the run may take, without failures [day].
    term, region : str
        How and where the chips are rented, as in `trn3.study.rents`.

    Returns
    -------
    pandas.DataFrame
        One row a system, cheapest first: system, chip, n_chips, days, days_high (slow end of the
        80 % range), usd_per_chip_h, assumed, usd with usd_low and usd_high, and why there is no
        answer or no price; missing numbers are NaN.

    Raises
    ------
    InputError
        If the time is not positive.
    """
    require("days", days, "d")

    def cheapest(system: hardware.System) -> training.TrainingEstimate:
        every = at_sizes(job, system, SIZES)
        soon = [each for each in every if each.days[1] <= days]
        if not soon:
            least = min(each.days[1] for each in every)
            most = max(each.cluster.n_chips for each in every)
            raise data.TrnError(
                f"{system.name} takes {least:.3g} days at the soonest, on up to {most:,} chips"
            )
        return min(soon, key=lambda each: each.cluster.n_chips * each.days[1])

    answers = ask(cheapest, systems)
    prices = ask(lambda system: rents.paid(system, term, region), answers.found)
    rows = []
    for each, run in answers.found.items():
        n_chips = run.cluster.n_chips
        row = {
            "system": run.cluster.system.name,
            "chip": run.cluster.chip.name,
            "n_chips": n_chips,
            "days": run.days[1],
            "days_high": run.days[2],
            "why": prices.missing.get(each, ""),
        }
        if each in prices.found:
            rent = prices.found[each]
            low, middle, high = run.days * n_chips * DAY_S / HOUR_S * rent.usd_per_chip_h
            row |= {
                "usd_per_chip_h": rent.usd_per_chip_h,
                "assumed": rent.assumed,
                "usd_low": low,
                "usd": middle,
                "usd_high": high,
            }
        rows.append(row)
    for each, why in answers.missing.items():
        system = hardware.system(each)
        rows.append({"system": system.name, "chip": system.chip.name, "why": why})
    columns = ["system", "chip", "n_chips", "days", "days_high", "usd_per_chip_h", "assumed"]
    columns += ["usd_low", "usd", "usd_high", "why"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["usd", "days"], kind="stable", ignore_index=True)


def published_mfu(family: str) -> pd.DataFrame:
    """Utilisation of the published BF16 runs of a family of chips whose step time is known.

    Parameters
    ----------
    family : str
        Family of chips, such as ``trainium`` [-].

    Returns
    -------
    pandas.DataFrame
        ``row_id, model, chip, n_chips, mfu, source_id``, best first: operations that the model
        needs with causal attention, over the step time and the dense peak of the chips.
    """
    columns = ["row_id", "model", "chip", "n_chips", "mfu", "source_id"]
    scored = trust.runs("training", "source")
    families = scored["chip"].map({chip.id: chip.family for chip in hardware.chips()})
    mine = scored[families == family].drop_duplicates("row_id").set_index("row_id")["measured"]
    rows = training_fit.rows_of(set(mine.index))
    rows = rows[rows["precision"] == "bf16"].reset_index(drop=True)
    if rows.empty:
        return pd.DataFrame(columns=columns)
    number = training_fit.numbers
    seq_len, n_chips = number(rows["seq_len"]), number(rows["n_accel"])
    flops_per_token = training_fit.shapes(rows).train_flops_per_token(seq_len, causal=True)
    flops = flops_per_token * number(rows["global_batch"]) * seq_len
    chips = [hardware.chip(name) for name in rows["accelerator"]]
    peak = np.array([chip.peak("bf16") for chip in chips])
    step_time_s = rows["row_id"].map(mine).to_numpy(float)
    found = pd.DataFrame(
        {
            "row_id": rows["row_id"],
            "model": rows["model"],
            "chip": [chip.name for chip in chips],
            "n_chips": n_chips.astype(int),
            "mfu": flops / step_time_s / n_chips / peak,
            "source_id": rows["source_key"],
        }
    )
    return found.sort_values("mfu", ascending=False, kind="stable", ignore_index=True)


def mfu_marks(found: Mapping[str, training.TrainingEstimate]) -> pd.DataFrame:
    """Utilisation of a chip as this page has it, beside what others project and have published.

    Parameters
    ----------
    found : Mapping
        Estimate by format, of one chip, from `in_formats`.

    Returns
    -------
    pandas.DataFrame
        ``label, kind`` (model, projection or published)``, mfu, low, high, source_id``; of a
        published run low and high are NaN.
    """
    rows = []
    for dtype, each in found.items():
        low, middle, high = each.mfu
        label = f"{each.cluster.chip.name} in {dtype.upper()}, this page"
        rows.append((label, "model", middle, low, high, ""))
    first = next(iter(found.values()))
    chip, routed = first.cluster.chip, first.job.model.n_experts
    kind = "moe_compiled" if routed else "dense_compiled"
    projected = data.maybe("assumption", f"{chip.id}_projected_mfu", "", kind)
    if projected:
        low, middle, high = projected.range
        label = f"{chip.name} in BF16, projected by an analyst"
        rows.append((label, "projection", middle, low, high, projected.source_id))
    public = published_mfu(chip.family)
    if len(public):
        best = public.iloc[0]
        label = f"Best published run: {best['model']} on {best['n_chips']:,} {best['chip']}"
        rows.append((label, "published", best["mfu"], np.nan, np.nan, best["source_id"]))
    columns = ["label", "kind", "mfu", "low", "high", "source_id"]
    return pd.DataFrame(rows, columns=columns)


def parts(found: dict[str, training.TrainingEstimate]) -> pd.DataFrame:
    """Where the step goes, by cause as a reader thinks of it.

    Parameters
    ----------
    found : dict
        Estimate by the name of the system [-].

    Returns
    -------
    pandas.DataFrame
        ``system, part, time_s``.
    """
    frames = [
        e.frame().assign(system=name, part=lambda f: f["part"].map(CAUSES).fillna("Exchange"))
        for name, e in found.items()
    ]
    order = pd.CategoricalDtype([*dict.fromkeys(CAUSES.values()), "Exchange"], ordered=True)
    frame = pd.concat(frames).astype(
        {"part": order, "system": pd.CategoricalDtype(list(found), ordered=True)}
    )
    frame = (
        frame.groupby(["system", "part"], sort=True, observed=True)["time_s"].sum().reset_index()
    )
    return frame.astype({"part": str, "system": str})


def table(found: dict[str, training.TrainingEstimate]) -> pd.DataFrame:
    """Layout, memory, utilisation and bounds of each estimate, one row a system.

    Parameters
    ----------
    found : dict
        Estimate by the name of the system [-].

    Returns
    -------
    pandas.DataFrame
        ``system, n_chips, days, low, high, floor_days, ceiling_days, mfu, hbm_gib`` and the fields
        of the layout.
    """
    rows = []
    for name, e in found.items():
        ends = e.bounds_s / e.step_time_s[1] * e.days[1]
        row = dict(
            zip(
                ("days", "low", "high", "floor_days", "ceiling_days"),
                (*e.days[[1, 0, 2]], *ends),
                strict=True,
            )
        )
        row |= {"mfu": e.mfu[1], "hbm_gib": e.memory_bytes / 2**30}
        rows.append({"system": name, "n_chips": e.cluster.n_chips} | row | vars(e.layout))
    return pd.DataFrame(rows)


def published(model: workload.ModelShape, tokens: float) -> pd.DataFrame:
    """Published training runs of a model's shape, as days for a number of tokens.

    Parameters
    ----------
    model : ModelShape
        The shape; width and number of layers must agree [-].
    tokens : float
        Tokens to which the runs are scaled [token].

    Returns
    -------
    pandas.DataFrame
        ``row_id, system, n_chips, days, precision, year, source_id``; empty where there is none.
    """
    rows = training_fit.read()
    number = {
        c: pd.to_numeric(rows[c], errors="coerce")
        for c in ("layers", "hidden", "tokens_per_s", "n_accel")
    }
    mine = (
        (number["layers"] == model.n_layers)
        & (number["hidden"] == model.d_model)
        & (rows["quality"] != "C")
    )
    system = rows["accelerator"].map(_chip)
    frame = pd.DataFrame({"row_id": rows["row_id"], "system": system, "n_chips": number["n_accel"]})
    frame = frame.assign(
        days=tokens / number["tokens_per_s"] / DAY_S, precision=rows["precision"], year=rows["year"]
    )
    frame = frame.assign(source_id=rows["source_key"])[
        mine & (frame["system"] != "") & np.isfinite(frame["days"])
    ]
    return frame.reset_index(drop=True)


def _chip(name: str) -> str:
    """Name of a chip as a source writes it; empty where it has no specs."""
    try:
        return hardware.chip(name).name
    except data.TrnError:
        return ""
