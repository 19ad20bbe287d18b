"""Training runs side by side: several systems at one size, many sizes of each, and published
runs of the shape.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from trn3 import data, hardware, layouts, training, workload
from trn3.fit import training_fit
from trn3.study import scaling
from trn3.study.compare import ask
from trn3.units import DAY_S

CAUSES = {
    "matmul": "Matrix math",
    "experts": "Matrix math",
    "output head": "Matrix math",
    "attention": "Attention and vector work",
    "vector": "Attention and vector work",
    "pipeline bubble": "Pipeline bubble",
    "optimizer and fixed": "Optimizer and fixed costs",
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
