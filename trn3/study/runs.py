"""Training runs side by side: several systems at one size, many sizes of each, levels of
software, and published runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trn3 import committed, data, hardware, layouts, ties, training, workload
from trn3.fit import training_fit, trust
from trn3.show import words
from trn3.study import pricing, rents, scaling, stacks
from trn3.study.compare import ask
from trn3.uncertainty import ratio_range
from trn3.units import DAY_S, GIB, HOUR_S, require

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


FAMILIES = {
    "trainium": "Trainium",
    "tpu": "TPU",
    "hopper": "H100",
    "blackwell": "Blackwell",
    "ampere": "A100",
}
"""Families of chips as a reader knows them, and as they stand among the stored scores."""

TELLING = 0.02
"""A miss in the mean below which nothing is said of it [-]."""

LARGEST_RUNS = "llama3_meta"
"""Source of the largest published runs of a dense model with their layout."""


COLUMNS = {
    "system": "System",
    "n_chips": "Chips",
    "days": "Days",
    "low": "low",
    "high": "high",
    "floor_days": "Bound: all at peak",
    "ceiling_days": "Bound: nothing hidden",
    "mfu": "MFU, %",
    "hbm_gib": "HBM, GiB",
    "split": "Split",
    "micro_batch": "Microbatch",
}
"""Columns of `table` that a reader wants, in words."""

IN_TIME_COLUMNS = {
    "system": "System",
    "n_chips": "Chips",
    "days": "Days",
    "days_high": "Days, slow end",
    "usd_per_chip_h": "USD per chip-hour",
    "rented": "Rented",
    "usd": "USD",
    "usd_low": "USD, low",
    "usd_high": "USD, high",
    "why": "Why not",
}
"""The same of `in_time`."""

LARGEST_COLUMNS = {
    "model": "Model",
    "n_chips": "H100",
    "measured": "Measured, %",
    "layout": "Layout",
    "predicted": "Predicted, %",
    "low": "low",
    "high": "high",
    "verdict": "Verdict",
}
"""The same of `largest`."""

LEFT_OUT_COLUMNS = {
    "run": "Run",
    "chip": "Chip",
    "source": "Published by",
    "measured": "Measured, s",
    "predicted": "Predicted, s",
    "low": "low",
    "high": "high",
    "ratio": "Ratio",
    "verdict": "Verdict",
}
"""The same of `left_out`."""


def levels_of(
    systems: Sequence[str], software: stacks.Level | stacks.Stacks
) -> Callable[[hardware.System], stacks.Level]:
    """Level of the training software of several systems.

    Parameters
    ----------
    systems : sequence of str
        Ids; the first is the one in question.
    software : str, Software or Stacks
        Level on the first, or the levels of a page.

    Returns
    -------
    callable
        From a system to its level.

    Examples
    --------
    >>> level = levels_of(["trn3_gen2", "hgx_h100"], "tuned")
    >>> level(hardware.system("trn3_gen2")), level(hardware.system("hgx_h100"))
    ('tuned', 'typical')
    """
    first, levels = hardware.system(systems[0]).id, stacks.given(software)
    return lambda system: levels.level("training", system, system.id == first)


def compare(
    job: workload.TrainingJob,
    systems: Sequence[str],
    n_chips: int,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> tuple[dict[str, training.TrainingEstimate], dict[str, str]]:
    """A run on several systems of one size, each with its fastest layout.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : sequence of str
        Ids of systems or chips [-].
    n_chips : int
        Chips that there are; up to a tenth may stay idle where the run does not divide among all of
        them [-].
    software : str, Software or Stacks
        Level of the software on the first system; on the others it is typical, or that of the
        reader's own runs.

    Returns
    -------
    tuple of dict
        Estimate by the name of the system, and why the others have none.

    Raises
    ------
    trn3.data.TrnError
        If no system runs the job.
    """
    level = levels_of(systems, software)
    answers = ask(lambda each: at_sizes(job, each, [n_chips], level(each))[0], systems)
    if answers.found:
        return answers.named()
    others = ""
    if len(answers.missing) > 1:
        others = "; none of the other systems named can run it either"
    raise data.TrnError(next(iter(answers.missing.values()), "systems: none is named") + others)


def at_sizes(
    job: workload.TrainingJob,
    system: hardware.System,
    sizes: Sequence[int],
    software: stacks.Level = stacks.TYPICAL,
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
    software : str or Software
        Level of the software.

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
        # says why, or finds a smaller one
        return [training.estimate(job, hardware.Cluster(system, max(sizes)), software=software)]
    return [
        training.estimate(job, hardware.Cluster(system, int(each.n_chips)), each, software)
        for each in found
    ]


def days(
    job: workload.TrainingJob,
    systems: Sequence[str],
    sizes: Sequence[int],
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> pd.DataFrame:
    """Days of a run against the number of chips.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : sequence of str
        Ids of systems or chips [-].
    sizes : sequence of int
        Chips that there are [-].
    software : str, Software or Stacks
        As in `compare`.

    Returns
    -------
    pandas.DataFrame
        ``system, n_chips, days, low, high``; the 80 % band.
    """
    level = levels_of(systems, software)
    answers = ask(lambda each: at_sizes(job, each, sizes, level(each)), systems)
    rows = [
        [hardware.system(each).name, estimate.cluster.n_chips, *estimate.days[[1, 0, 2]]]
        for each, estimates in answers.found.items()
        for estimate in estimates
    ]
    keys = ["system", "n_chips"]
    return pd.DataFrame(rows, columns=[*keys, "days", "low", "high"]).drop_duplicates(keys)


def in_formats(
    job: workload.TrainingJob,
    system: hardware.System,
    n_chips: int,
    software: stacks.Level = stacks.TYPICAL,
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
    software : str or Software
        Level of the software.

    Returns
    -------
    dict of str to TrainingEstimate
        By format; formats in which the run is not possible are left out.
    """
    found = {}
    for dtype in FORMATS:
        try:
            found[dtype] = at_sizes(replace(job, dtype=dtype), system, [n_chips], software)[0]
        except data.TrnError:
            continue
    return found


def in_time(
    job: workload.TrainingJob,
    systems: Sequence[str],
    days: float,
    purchase: pricing.Purchase,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
) -> pd.DataFrame:
    """What finishes a run in time on each system, and what that costs.

    Of the sizes that finish within the time the one with the fewest chip-days is taken.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    systems : sequence of str
        Ids of systems or chips [-].
    days : float
        Time that the run may take, without failures [day].
    purchase : Purchase
        How and where the chips are rented, and what the reader pays.
    software : str, Software or Stacks
        As in `compare`.

    Returns
    -------
    pandas.DataFrame
        One row a system, cheapest first: system, chip, n_chips, days, days_high (slow end of the
        80 % range), usd_per_chip_h, rented (how, in words), usd with usd_low and usd_high, and why
        there is no answer or no price; missing numbers are NaN.

    Raises
    ------
    InputError
        If the time is not positive.
    """
    require("days", days, "d")
    level = levels_of(systems, software)

    def cheapest(system: hardware.System) -> training.TrainingEstimate:
        every = at_sizes(job, system, SIZES, level(system))
        soon = [each for each in every if each.days[1] <= days]
        if not soon:
            least = min(each.days[1] for each in every)
            most = max(each.cluster.n_chips for each in every)
            raise data.TrnError(
                f"{system.name} takes {least:.3g} days at the soonest, on up to {most:,} chips"
            )
        return min(soon, key=lambda each: each.cluster.n_chips * each.days[1])

    answers = ask(cheapest, systems)
    places = places_of(systems)
    prices = ask(lambda system: purchase.rent(system, places[system.id]), answers.found)
    rows = []
    for each, run in answers.found.items():
        n_chips = run.cluster.n_chips
        row = {
            "system": run.cluster.system.name,
            "chip": run.cluster.chip.name,
            "n_chips": n_chips,
            "days": run.days[1],
            "days_high": run.days[2],
        }
        if each in prices.found:
            rent = prices.found[each]
            low, middle, high = run.days * n_chips * DAY_S / HOUR_S * rent.usd_per_chip_h
            row |= {
                "usd_per_chip_h": rent.usd_per_chip_h,
                "rented": rents.bought(rent.term),
                "usd_low": low,
                "usd": middle,
                "usd_high": high,
                "why": "",
            }
        else:
            row["why"] = f"no rent listed {rents.bought(purchase.term)}"
        rows.append(row)
    for each, why in answers.missing.items():
        system = hardware.system(each)
        rows.append({"system": system.name, "chip": system.chip.name, "why": why.split(";")[0]})
    columns = ["system", "chip", "n_chips", "days", "days_high", "usd_per_chip_h", "rented"]
    columns += ["usd_low", "usd", "usd_high", "why"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["usd", "days"], kind="stable", ignore_index=True)


def places_of(systems: Iterable[str]) -> dict[str, int]:
    """Place of each system in the list that was asked for.

    Parameters
    ----------
    systems : iterable of str
        Ids of systems or chips.

    Returns
    -------
    dict of str to int
        From 0, by the id of the system [-].

    Examples
    --------
    >>> places_of(["trainium3", "trn3_gen2", "hgx_h100"])
    {'trn3_gen2': 0, 'hgx_h100': 1}
    """
    named = dict.fromkeys(hardware.system(each).id for each in systems)
    return {name: place for place, name in enumerate(named)}


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


def projected_mfu(chip: hardware.Chip, routed: bool) -> data.Fact | None:
    """What an analyst projects a chip to use of its peak in BF16, with compiled code.

    Parameters
    ----------
    chip : Chip
        The chip.
    routed : bool
        Whether the model has experts.

    Returns
    -------
    Fact or None
        With its range; for comparison, never an input.
    """
    kind = "moe_compiled" if routed else "dense_compiled"
    return data.maybe("assumption", f"{chip.id}_projected_mfu", "", kind)


def marks(
    job: workload.TrainingJob,
    subject: training.TrainingEstimate,
    levels: stacks.Stacks | None = None,
) -> pd.DataFrame:
    """Days of a run and share of the peak: at every level of software and at that of the reader's
    own runs, as an analyst projects it, and at the share that the best published run of the family
    used.

    Parameters
    ----------
    job : TrainingJob
        The run [-].
    subject : TrainingEstimate
        Where it runs, and with which layout [-].
    levels : Stacks, optional
        Those of the page.

    Returns
    -------
    pandas.DataFrame
        ``label, kind`` (a level of software, ``own``, ``projection``, ``published``)``, dtype, mfu,
        mfu_low, mfu_high, days, days_low, days_high, source_id``; of a published run the ends are
        NaN.
    """
    cluster, chip = subject.cluster, subject.cluster.chip
    # days in BF16 at a share of the peak that others give
    in_bf16 = job.flops_per_token() * job.tokens / cluster.n_chips / chip.peak("bf16") / DAY_S
    rows = []
    public = published_mfu(chip.family)
    if len(public):
        best = public.iloc[0]
        label = f"Best published, {best['model']}"
        shares = (np.nan, best["mfu"], np.nan)
        ends = (np.nan, in_bf16 / best["mfu"], np.nan)
        rows.append((label, "published", "bf16", *shares, *ends, best["source_id"]))
    projected = projected_mfu(chip, bool(job.model.n_experts))
    if projected:
        low, middle, high = projected.range
        ends = tuple(in_bf16 / np.array([high, middle, low]))
        label, source = "An analyst projects", projected.source_id
        rows.append((label, "projection", "bf16", low, middle, high, *ends, source))
    tried: list[stacks.Level] = list(committed.LEVELS)
    if levels and levels.knows(cluster.system):
        tried.append(levels.level("training", cluster.system))
    for level in tried:
        found = training.estimate(job, cluster, subject.layout, level)
        rows.append(
            (
                words.capital(stacks.level_name(level)),
                level if isinstance(level, str) else level.level,
                chip.native(job.dtype),
                *found.mfu,
                *found.days,
                "",
            )
        )
    columns = ["label", "kind", "dtype", "mfu_low", "mfu", "mfu_high"]
    columns += ["days_low", "days", "days_high", "source_id"]
    return pd.DataFrame(rows, columns=columns)


def drawn_marks(marked: pd.DataFrame, unit: str, size_days: float) -> pd.DataFrame:
    """Rows of `marks` for a chart of times.

    Parameters
    ----------
    marked : pandas.DataFrame
        From `marks`.
    unit : str
        Unit of the axis.
    size_days : float
        Its length [day].

    Returns
    -------
    pandas.DataFrame
        ``group, label, time, low, high, hollow`` (not published)``, text`` beside the mark.
    """
    times = marked[["days_low", "days", "days_high"]] / size_days
    texts = []
    for row, time in zip(marked.itertuples(), times.to_numpy(), strict=True):
        said = words.sig(time[1])
        if row.kind != "published":
            said += f" ({words.rng(time[0], time[2])})"
        texts.append(f"{said} {unit}, {words.pct(row.mfu)}")
    others = marked["kind"].isin(["published", "projection"])
    ours = f"This page, share of the {marked['dtype'].iloc[-1].upper()} peak"
    return pd.DataFrame(
        {
            "group": np.where(others, "Others, share of the BF16 peak", ours),
            "label": marked["label"],
            "time": times["days"],
            "low": times["days_low"],
            "high": times["days_high"],
            "hollow": marked["kind"] != "published",
            "text": texts,
        }
    )


def trusted(subject: training.TrainingEstimate) -> str:
    """What the published runs of a family used of their peak, and how far a prediction goes beyond.

    Parameters
    ----------
    subject : TrainingEstimate
        The prediction, in any format [-].

    Returns
    -------
    str
        One to three sentences, what was measured first.
    """
    chip = subject.cluster.chip
    public, family = published_mfu(chip.family), FAMILIES.get(chip.family, chip.family)
    if public.empty:
        return f"No published {family} run in BF16 has a step time that could be scored."
    best = public.iloc[0]
    spread = words.rng(100 * public["mfu"].min(), 100 * public["mfu"].max())
    text = (
        f"The {len(public)} scored {family} runs in BF16 used {spread}% of the peak; the best is "
        f"{best['model']} on {best['n_chips']:,} {best['chip']}."
    )
    if subject.job.dtype != "bf16":
        return text + " None of them shows what an 8-bit format gives."
    low, middle, high = 100 * subject.mfu
    text += f" This page has {words.sig(middle)}% for {chip.name} ({words.band(low, high)}%)"
    if middle <= 100 * best["mfu"]:
        return text + ", within what has been published."
    gain = words.sig(middle / 100 / best["mfu"])
    return text + f", {gain} times that best run: it supposes what no published run has shown."


@dataclass(frozen=True)
class Rival:
    """The first of several systems beside the fastest of the others, per chip.

    Attributes
    ----------
    subject, best : TrainingEstimate
        The two; the same where only one system was asked.
    """

    subject: training.TrainingEstimate
    best: training.TrainingEstimate

    @property
    def alone(self) -> bool:
        """Whether there is no other system."""
        return self.best is self.subject

    @property
    def ratio(self) -> np.ndarray:
        """Speed per chip, subject over the other: low, middle, high [-]."""
        if self.alone:
            return np.ones(3)
        return ratio_range(per_chip(self.subject), per_chip(self.best))

    @property
    def verdict(self) -> words.Verdict:
        """What the ratio says."""
        return words.verdict(*map(float, self.ratio))

    @property
    def sentence(self) -> str:
        """The comparison with its ratio; nothing where there is no other system."""
        if self.alone:
            return "Failures add to the time."
        low, middle, high = self.ratio
        pair = (self.subject.cluster.chip.name, self.best.cluster.chip.name)
        said = words.against(self.verdict, *pair, "faster", "slower")
        ratio = f"{words.ratio(middle, digits=2)}, {words.band(low, high)}"
        return f"Per chip, {said} ({ratio}); failures add to the time."

    @property
    def turns(self) -> list[str]:
        """At which share of the peak the two are equally fast, as a sentence or none."""
        if self.alone:
            return []
        name, other = self.subject.cluster.chip.name, self.best.cluster.chip.name
        equal = self.subject.mfu[1] / self.ratio[1]
        reached = f"{words.pct(self.subject.mfu[1])} is predicted"
        if equal > 1:
            return [f"No share of its peak would make {name} as fast as {other}; {reached}."]
        return [f"{name} equals {other} at **{words.pct(equal)}** of its peak; {reached}."]

    def closing(self, purchase: pricing.Purchase, systems: Sequence[str]) -> list[str]:
        """The cheapest measurement that would close an open comparison.

        Parameters
        ----------
        purchase : Purchase
            How chips are rented.
        systems : sequence of str
            Ids of all systems, in the order asked.

        Returns
        -------
        list of str
            A sentence; none where the comparison is not open or nothing can be rented.
        """
        if self.alone or self.verdict.word != "open":
            return []
        hours = data.assumption("measurement_s").value / HOUR_S
        for each in (self.best, self.subject):
            system = each.cluster.system
            if rents.unlisted(system.chip.id):
                continue
            usd = hours * system.n_chips * _rent(purchase, system, systems)
            speeds = [per_chip(self.subject), per_chip(self.best)]
            known = 1 if each is self.best else 0
            speeds[known] = np.full(3, speeds[known][1])
            after = ratio_range(*speeds)
            low, _, high = self.ratio
            closes = words.verdict(*map(float, after)).word != "open"
            what, where = "some steps of this model", f"one {system.name}"
            ends = (float(after[0]), float(after[2]))
            return [
                words.closing(what, where, hours, usd, (low, high), ends, "times the speed", closes)
            ]
        return []


def _rent(purchase: pricing.Purchase, system: hardware.System, systems: Iterable[str]) -> float:
    """What a chip costs a reader; NaN where it has no rent [USD/h]."""
    try:
        return purchase.rent(system, places_of(systems)[system.id]).usd_per_chip_h
    except data.TrnError:
        return np.nan


def per_chip(found: training.TrainingEstimate) -> np.ndarray:
    """Training speed of a chip.

    Parameters
    ----------
    found : TrainingEstimate
        A run [-].

    Returns
    -------
    numpy.ndarray
        Low, middle and high [token/s].
    """
    return np.asarray(found.tokens_per_s / found.cluster.n_chips)


def rival(found: Mapping[str, training.TrainingEstimate]) -> Rival:
    """The first system of several, and the fastest of the others.

    Parameters
    ----------
    found : Mapping
        Estimates by the name of the system, from `compare`.

    Returns
    -------
    Rival
        Both.
    """
    subject, *others = found.values()
    speeds = {each.cluster.system.name: -per_chip(each)[1] for each in others}
    if not speeds:
        return Rival(subject, subject)
    return Rival(subject, found[ties.by_value(speeds)[0]])


VERBS = {"": "train", "full": "fine-tune", "lora": "fine-tune (adapters alone)"}
"""What is done to a model, by what is tuned."""


def lead(
    asked: str,
    formats: Mapping[str, training.TrainingEstimate],
    dtype: str,
    software: stacks.Level = stacks.TYPICAL,
) -> str:
    """The time of a run in one sentence, with its range and the other format.

    Parameters
    ----------
    asked : str
        Id of the system that was asked for; another one answers where it cannot hold the run.
    formats : Mapping
        Estimates by format, from `in_formats`.
    dtype : str
        Format that was asked for.
    software : str or Software
        Level of the software, which is said where it is not the typical one.

    Returns
    -------
    str
        One or two sentences.
    """
    found = formats[dtype]
    job, cluster, chip = found.job, found.cluster, found.cluster.chip
    kind = chip.name + " (announced)" * chip.announced
    time = words.lasting(*found.days * DAY_S)
    text = (
        f"About {time} to {VERBS[job.finetune]} {job.model.name} on {words.amount(job.tokens)} "
        f"tokens with {words.counted(cluster.n_chips, kind + ' chip')} in "
        f"{chip.native(dtype).upper()}"
    )
    text += stacks.with_level(software)
    for other, each in formats.items():
        if other != dtype:
            text += f"; in {chip.native(other).upper()} {words.duration(each.days[1] * DAY_S)}"
    text += words.beyond(cluster.n_chips, scaling.scored_chips()) + "."
    wanted = hardware.system(asked)
    if wanted.id != cluster.system.id:
        return f"{wanted.name} cannot hold this run. {text}"
    return text


def beside(marked: pd.DataFrame) -> str:
    """What others project and have shown of the peak, for the line under a number.

    Parameters
    ----------
    marked : pandas.DataFrame
        From `marks`.

    Returns
    -------
    str
        In words.
    """
    names = {"projection": "an analyst has", "published": "best published run"}
    others = marked[marked["kind"].isin(list(names))]
    if others.empty:
        return "no published run to hold it against"
    said = [f"{names[row.kind]} {words.pct(row.mfu)}" for row in others.itertuples()]
    return "; ".join(said) + " in BF16"


def at_best_published(subject: training.TrainingEstimate) -> str:
    """How long a run would take at the share of the peak of the best published run.

    Parameters
    ----------
    subject : TrainingEstimate
        The prediction [-].

    Returns
    -------
    str
        A sentence; empty where there is no such run or the format is not its.
    """
    chip = subject.cluster.chip
    public = published_mfu(chip.family)
    if public.empty or subject.job.dtype != "bf16":
        return ""
    share = public["mfu"].max()
    longer = words.run_time(subject.days[1] * subject.mfu[1] / share)
    return (
        f"At the best published share of a {FAMILIES.get(chip.family, chip.family)} run "
        f"({words.pct(share)}) it would take {longer}."
    )


def if_missed(subject: training.TrainingEstimate) -> list[str]:
    """How long a run would take if the prediction misses as it did on older chips of the family.

    Parameters
    ----------
    subject : TrainingEstimate
        The prediction [-].

    Returns
    -------
    list of str
        A sentence each; none where there is nothing to hold it against.
    """
    chip, days_ = subject.cluster.chip, subject.days[1]
    family = FAMILIES.get(chip.family, "")
    lines = []
    past = trust.summary("training", "generation", family or "everything")
    if subject.borrowed and family and abs(past["bias"]) > TELLING:
        side = "fast" if past["bias"] < 0 else "slow"
        longer = words.run_time(days_ / (1 + past["bias"]))
        lines.append(
            f"{family} chips, left out of the fit, were predicted "
            f"**{words.pct(abs(past['bias']))}** too {side} ({past['n_groups']:.0f} groups of "
            f"runs). The same miss would make this run **{longer}** long."
        )
    return lines


def facts(chip: hardware.Chip, dtype: str) -> list[tuple[str, data.Fact]]:
    """What the time of a step rests on, of the chip's own data.

    Parameters
    ----------
    chip : Chip
        The chip.
    dtype : str
        Format of the matrix products.

    Returns
    -------
    list of tuple
        Label and fact.
    """
    native = chip.native(dtype)
    labels = {
        "peak_flops_per_s": f"Dense {native.upper()} peak",
        "hbm_bytes": "HBM capacity",
        "hbm_bytes_per_s": "HBM bandwidth",
        "scale_up_bytes_per_s": "Links in the system, one way",
        "scale_out_bytes_per_s": "Network beyond it, one way",
    }
    dtypes = {"peak_flops_per_s": native}
    known = {name: data.maybe(chip.id, name, dtypes.get(name, "")) for name in labels}
    return [
        (f"{chip.name}: {labels[name]}", fact) for name, fact in known.items() if fact is not None
    ]


def in_unit(frame: pd.DataFrame, unit_s: float) -> pd.DataFrame:
    """The same times in another unit than days.

    Parameters
    ----------
    frame : pandas.DataFrame
        With ``days``, and ``low`` and ``high`` where there is a range [day].
    unit_s : float
        The unit [s].

    Returns
    -------
    pandas.DataFrame
        In the unit, under the same names.
    """
    columns = [name for name in ("days", "low", "high") if name in frame]
    return frame.assign(**{name: frame[name] * DAY_S / unit_s for name in columns})


def step_ranges(found: Mapping[str, training.TrainingEstimate]) -> pd.DataFrame:
    """Ranges of the steps of several systems.

    Parameters
    ----------
    found : Mapping
        Estimate by the name of the system [-].

    Returns
    -------
    pandas.DataFrame
        ``system, low, high`` [s].
    """
    rows = [(name, each.step_time_s[0], each.step_time_s[2]) for name, each in found.items()]
    return pd.DataFrame(rows, columns=["system", "low", "high"])


def least_cost(in_time_: pd.DataFrame) -> tuple[str, str]:
    """What finishes in time for the least money.

    Parameters
    ----------
    in_time_ : pandas.DataFrame
        From `in_time`.

    Returns
    -------
    tuple of str
        The chips, and what they cost and how they are rented.
    """
    if in_time_["n_chips"].isna().all():
        return "none", "no system ends in time"
    priced = in_time_[in_time_["usd"].notna()]
    if priced.empty:
        return "not known", "no rent listed of those that end in time"
    return needed(priced.iloc[0])


def needed(row: pd.Series) -> tuple[str, str]:
    """Chips and bill of a row of `in_time`.

    Parameters
    ----------
    row : pandas.Series
        One system.

    Returns
    -------
    tuple of str
        The chips, and what they cost; or that it is not possible, and why.
    """
    if not row["n_chips"] > 0:
        return "not possible", str(row["why"])
    chips = f"{row['n_chips']:,.0f} {row['chip']}"
    if not row["usd"] > 0:
        return chips, str(row["why"])
    return chips, f"{words.money(words.rounded(row['usd'], 2))} {row['rented']}"


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
        ``system, n_chips, days, low, high, floor_days, ceiling_days, mfu, hbm_gib, split`` (tensor,
        pipeline, data, context and expert parallelism) and the fields of the layout.
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
        row |= {"mfu": e.mfu[1], "hbm_gib": e.memory_bytes / GIB}
        lay = e.layout
        row["split"] = f"{lay.tp}·{lay.pp}·{lay.dp}·{lay.cp}·{lay.ep}"
        rows.append({"system": name, "n_chips": e.cluster.n_chips} | row | vars(lay))
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


def published_beside(
    found: Mapping[str, training.TrainingEstimate], lines: pd.DataFrame
) -> pd.DataFrame:
    """Published runs of a job's shape and format that stand in a chart of its days.

    Parameters
    ----------
    found : Mapping
        Estimates from `compare`; published runs train every weight, so none stands beside a job
        that does not [-].
    lines : pandas.DataFrame
        From `days`.

    Returns
    -------
    pandas.DataFrame
        Rows of `published`, on the chips of the lines and within their sizes.
    """
    job = next(iter(found.values())).job
    known = published(job.model, job.tokens)
    chips = [each.cluster.chip.name for each in found.values()]
    inside = known["n_chips"].between(lines["n_chips"].min(), lines["n_chips"].max())
    alike = known["precision"].str.contains(job.dtype, regex=False)
    return known[inside & alike & known["system"].isin(chips) & (not job.frozen)]


def unseen(found: Mapping[str, training.TrainingEstimate]) -> str:
    """Chips on which no public run was fitted.

    Parameters
    ----------
    found : Mapping
        Estimates from `compare`.

    Returns
    -------
    str
        A clause.
    """
    names = dict.fromkeys(each.cluster.chip.name for each in found.values() if each.borrowed)
    if not names:
        return "fitted on public runs of all these chips"
    return f"fitted on no public run of {' or '.join(names)}"


def line_key(points: pd.DataFrame, chip: hardware.Chip) -> list[tuple[str, str, str]]:
    """Key of a chart of lines with published runs.

    Parameters
    ----------
    points : pandas.DataFrame
        The published runs.
    chip : Chip
        Whose colour the band has.

    Returns
    -------
    list of tuple
        Mark, label and colour.
    """
    key = [("band", "80% range", chip.id)]
    if len(points):
        key.append(("dot", "Published run, in the shape of its chip’s maker", "ink2"))
    return key


def left_out(chip: hardware.Chip, published_runs: pd.DataFrame, most: int = 4) -> pd.DataFrame:
    """Published runs predicted with their generation left out, one a group: of the model's shape
    where there are any, else of the chip, else of any.

    Parameters
    ----------
    chip : Chip
        The chip that the page speaks of.
    published_runs : pandas.DataFrame
        From `published`.
    most : int
        Rows at most [-].

    Returns
    -------
    pandas.DataFrame
        ``verdict, run, chip, source, predicted, low, high, measured`` [s] and ``ratio``.
    """
    scored = trust.runs("training", "generation")
    alike = scored[scored["row_id"].isin(published_runs["row_id"])]
    if alike.empty:
        alike = scored[scored["chip"] == chip.id]
    if alike.empty:
        alike = scored
    slowest_first = alike.iloc[ties.order(-alike["measured"])]
    shown = slowest_first.drop_duplicates("group").head(most)
    known = data.sources(shown["source"]).set_index("id")
    shown = shown.assign(published=shown["measured"])
    return pd.DataFrame(
        {
            "verdict": [trust.verdict(row) for row in shown.itertuples()],
            "run": [group.split("|")[1].strip() for group in shown["group"]],
            "chip": [hardware.chip(each).name for each in shown["chip"]],
            "source": [known["publisher"][each] for each in shown["source"]],
            "predicted": shown["predicted"].to_numpy(),
            "low": shown["low"].to_numpy(),
            "high": shown["high"].to_numpy(),
            "measured": shown["measured"].to_numpy(),
            "ratio": shown["ratio"].to_numpy(),
        }
    )


def largest() -> pd.DataFrame:
    """The largest published runs of a dense model, Llama 3 405B on 8,192 and 16,384 H100: what they
    used of the peak, and what the page predicts with their layout and with the best one.

    Returns
    -------
    pandas.DataFrame
        ``model, chip, n_chips, layout`` (as published or searched)``, measured, low, predicted,
        high``, all as MFU [-], and ``verdict``; for the published layout the source was left out of
        the fit.
    """
    rows = training_fit.read(part="all")
    rows = rows[(rows["source_key"] == LARGEST_RUNS) & (rows["iter_time_s"] != "")]
    scored = trust.runs("training", "source").set_index("row_id")
    found = []
    for row in rows.itertuples():
        chip, n_chips = hardware.chip(row.accelerator), int(row.n_accel)
        seq_len, batch = int(row.seq_len), int(row.global_batch)
        one_step = float(seq_len * batch)
        job = workload.TrainingJob(workload.model(row.model), one_step, seq_len, batch)
        measured = float(row.mfu_pct) / 100
        what = (job.model.name, chip.name, n_chips)
        left = scored.loc[row.row_id]
        ends = left["measured"] / left[["high", "predicted", "low"]].to_numpy(float)
        found.append((*what, "as published, source left out", measured, *measured * ends))
        system = hardware.system(chip.usual_system)
        best = training.estimate(job, hardware.Cluster(system, n_chips))
        found.append((*what, "fastest found", measured, *best.mfu))
    columns = ["model", "chip", "n_chips", "layout", "measured", "low", "predicted", "high"]
    table = pd.DataFrame(found, columns=columns)
    told = table.assign(published=table["measured"]).itertuples()
    return table.assign(verdict=[trust.verdict(row) for row in told])


def _chip(name: str) -> str:
    """Name of a chip as a source writes it; empty where it has no specs."""
    try:
        return hardware.chip(name).name
    except data.TrnError:
        return ""
