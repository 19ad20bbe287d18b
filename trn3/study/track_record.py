"""The track record: published runs beside their predictions, run by run, group by group and family
by family.

A group is one source's runs of one model on one chip. Errors are factors, exp|ln(predicted /
measured)|, so that half and double count alike.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from trn3 import data, hardware, ties
from trn3.fit import serving_fit, training_fit, trust, validation
from trn3.show import charts, story, words

KINDS = {"training": "Training", "inference": "Serving"}
"""Kinds of runs, in words."""
TIMES = ("step_time_s", "ttft", "tpot_loop", "tpot_static")
"""Quantities that are times; the others are rates, turned into the time of a token."""
MEASURES = {
    "step_time_s": "step",
    "ttft": "first token",
    "tpot_loop": "time per token",
    "tpot_static": "time per token",
    "job_static": "whole job",
}
"""What was measured, in words; every other quantity is a throughput."""
WAYS = {
    "none": "nothing: every run fitted",
    "source": "each source",
    "generation": "each chip generation",
    "model": "each model",
    "publisher": "each publisher (training) or benchmark harness (serving)",
    "origin": "every run of a half-year and after it",
}
"""What is left out of the fit before it is scored, in words, from the mildest to the hardest."""
REASONS = {
    "quality C: context only": "a figure without the details of a run",
    "no layers": "number of layers not stated",
    "load is a rate: running batch not stated": "requests per second, running batch not stated",
    "expert-parallel fleet: not in the fit": "fleet that spreads experts over many nodes",
    "interpolated by the page, layout not given": "interpolated by its publisher, no layout",
}
"""Why a row has no score, in words."""


def fold(kind: str, left_out: str) -> str:
    """Fold of a kind of runs.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference``.
    left_out : str
        One of `trn3.fit.validation.FOLDS`.

    Returns
    -------
    str
        The fold; who published a serving run is the harness that made it, as one harness feeds
        several publications.

    Examples
    --------
    >>> fold("training", "publisher"), fold("inference", "publisher"), fold("inference", "model")
    ('publisher', 'harness', 'model')
    """
    return validation.HEADLINE[kind] if left_out == "publisher" else left_out


def runs(left_out: str) -> pd.DataFrame:
    """Every scored run, as the time that it took and was predicted to take.

    Parameters
    ----------
    left_out : str
        ``publisher``, ``source`` or ``generation``.

    Returns
    -------
    pandas.DataFrame
        As `trn3.fit.trust.runs`, with ``model`` and ``measure`` in words, ``measured_s,
        predicted_s, low_s, high_s`` [s], ``factor`` and ``inside`` [-].
    """
    frame = pd.concat([trust.runs(kind, fold(kind, left_out)) for kind in KINDS], ignore_index=True)
    is_time = frame["quantity"].isin(TIMES)
    pairs = {"measured": "measured", "predicted": "predicted", "low": "high", "high": "low"}
    for end, of_rate in pairs.items():
        frame[f"{end}_s"] = frame[end].where(is_time, 1.0 / frame[of_rate])
    frame["factor"] = np.exp(np.abs(np.log(frame["predicted_s"] / frame["measured_s"])))
    frame["inside"] = frame["measured"].between(frame["low"], frame["high"])
    frame["model"] = frame["group"].str.split("|").str[1].str.strip()
    frame["measure"] = frame["quantity"].map(MEASURES).fillna("throughput")
    return frame


def groups(scored: pd.DataFrame) -> pd.DataFrame:
    """Runs by group, each group as its median run.

    Parameters
    ----------
    scored : pandas.DataFrame
        From `runs`.

    Returns
    -------
    pandas.DataFrame
        One row a group, worst first within a kind: ``kind, group, chip, subject, source_id, model,
        measure, n, factor, ratio, inside, measured_s, predicted_s`` [s].
    """
    keys = ["kind", "group", "chip", "source", "model", "measure"]
    table = (
        scored.assign(ratio=scored["predicted_s"] / scored["measured_s"])
        .groupby(keys, sort=False)
        .agg(
            n=("factor", "size"),
            factor=("factor", "median"),
            ratio=("ratio", "median"),
            inside=("inside", "mean"),
            measured_s=("measured_s", "median"),
        )
        .reset_index()
    )
    table["predicted_s"] = table["measured_s"] * table["ratio"]
    table["subject"] = [hardware.chip(chip).name for chip in table["chip"]]
    table["source_id"] = table["source"].map(_publications()).fillna(table["source"])
    worst_first = table.iloc[ties.order(-table["factor"].to_numpy())]
    return worst_first.sort_values("kind", ascending=False, kind="stable").reset_index(drop=True)


def _publications() -> Mapping[str, str]:
    """Source id of every family of serving runs; training runs name theirs."""
    rows = data.table("inference_runs")[["family", "source_id"]].drop_duplicates("family")
    return dict(rows.itertuples(index=False))


KEY = (
    ("dot", "Trainium2", "trainium2"),
    ("dot", "Trainium1, Inferentia2", "trainium1"),
    ("square", "NVIDIA from 2022", "b200"),
    ("dot", "A100 and others", "other"),
    ("triangle", "Google TPU", "tpu_v7"),
    ("diamond", "AMD", "mi355x"),
)
"""Marks of the chart of groups."""


def chart(table: pd.DataFrame, kind: str, left_out: str, tolerance: float) -> charts.Chart:
    """Groups of a kind: predicted over measured time against the measured time.

    Parameters
    ----------
    table : pandas.DataFrame
        From `groups`.
    kind, left_out : str
        As for `fold`.
    tolerance : float
        Error that is shaded [-].

    Returns
    -------
    Chart
        Finished; the three largest misses are named.
    """
    shade = (1 / (1 + tolerance), 1 + tolerance)
    mine = table[table["kind"] == kind].reset_index(drop=True)
    runs_of = mine["model"] + ", " + mine["subject"]
    farthest = ties.order(-np.abs(np.log(mine["ratio"].to_numpy())))[:3]
    drawn = pd.DataFrame(
        {
            "runs": runs_of,
            "subject": mine["subject"],
            "label": runs_of.where(mine.index.isin(farthest)),
            "measured_s": [words.rounded(seconds, 3) for seconds in mine["measured_s"]],
            "predicted_s": [words.rounded(seconds, 3) for seconds in mine["predicted_s"]],
        }
    )
    drawing = charts.ratios(
        drawn,
        "predicted_s",
        "measured_s",
        "runs",
        x_axis=charts.Axis("Measured time, s (log)", log=True),
        band=shade,
    )
    within = words.pct(mine["ratio"].between(*shade).mean())
    name = KINDS[kind]
    return charts.finish(
        drawing,
        title=f"{name}: {within} of {len(mine)} groups are predicted within {tolerance:.0%}",
        subtitle="Predicted over measured time, medians of groups, each "
        f"{fold(kind, left_out)} left out in turn; shade: within {tolerance:.0%}; log",
        key=list(KEY),
        source=f"Source: {mine['source_id'].nunique()} publications, listed below; "
        "the three largest misses are named.",
    )


def worst(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """The groups that are missed by most, for a reader.

    Parameters
    ----------
    table : pandas.DataFrame
        From `groups`.
    n : int
        How many of each kind [-].

    Returns
    -------
    pandas.DataFrame
        Texts.
    """
    sources = data.table("sources").set_index("id")
    titles = sources["publisher"] + ", " + sources["title"]
    far = table.groupby("kind", sort=False).head(n)
    return pd.DataFrame(
        {
            "Kind": far["kind"].map(KINDS),
            "Source": far["source_id"].map(titles).fillna(far["source_id"]),
            "Model": far["model"],
            "Chip": far["subject"],
            "Measure": far["measure"],
            "Runs": far["n"],
            "Off by a factor of": far["factor"].map("{:.2f}".format),
            "Predicted over measured time": far["ratio"].map("{:.2f}".format),
            "Inside their ranges": far["inside"].map(words.pct),
        }
    )


def families(left_out: str) -> pd.DataFrame:
    """Stored scores by kind and family, largest first.

    Parameters
    ----------
    left_out : str
        As for `fold`.

    Returns
    -------
    pandas.DataFrame
        Rows of ``validation_summary.csv``, with ``constant_wins``: whether one constant share of
        the limit per chip misses by no more.
    """
    parts = [trust.by_part(kind, fold(kind, left_out)) for kind in KINDS]
    ordered = [part.iloc[np.argsort(-part["n_groups"], kind="stable")] for part in parts]
    return against_constant(pd.concat(ordered, ignore_index=True))


def against_constant(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with the question whether a constant does as well.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of ``validation_summary.csv``.

    Returns
    -------
    pandas.DataFrame
        With ``constant_wins``.
    """
    constant = scores["constant_group_median_factor"]
    return scores.assign(constant_wins=constant <= scores["group_median_factor"])


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Scores by family, for a reader.

    Parameters
    ----------
    table : pandas.DataFrame
        From `families`.

    Returns
    -------
    pandas.DataFrame
        Texts.
    """
    better = np.where(table["constant_wins"], "constant", "model")
    return pd.DataFrame(
        {
            "Family": table["kind"].map(KINDS) + ", " + table["part"],
            "Runs": table["n"].astype(int),
            "Groups": table["n_groups"].astype(int),
            "Publishers": table["n_publishers"].astype(int),
            "Models": table["n_models"].astype(int),
            "Off by a factor of": [
                f"{row.group_median_factor:.2f} ({row.factor_low:.2f}–{row.factor_high:.2f})"
                for row in table.itertuples()
            ],
            "80% range held": [
                f"{100 * row.band_coverage:.0f}% "
                f"({100 * row.coverage_low:.0f}–{100 * row.coverage_high:.0f})"
                for row in table.itertuples()
            ],
            "A constant per chip": table["constant_group_median_factor"].map("{:.2f}".format),
            "Better": better,
        }
    )


def ways() -> pd.DataFrame:
    """The same runs judged after leaving out more and more, for a reader.

    Returns
    -------
    pandas.DataFrame
        Texts, one row a kind and fold.
    """
    rows = []
    for kind, name in KINDS.items():
        for left_out, what in WAYS.items():
            row = trust.summary(kind, fold(kind, left_out))
            held = words.pct(row["band_coverage"])
            rows.append(
                {
                    "Model": name,
                    "Left out of the fit": what,
                    "Runs": int(row["n"]),
                    "Off by a factor of": f"{row['group_median_factor']:.2f}",
                    "80% range held": "—" if left_out == "none" else held,
                    "A constant per chip": f"{row['constant_group_median_factor']:.2f}",
                }
            )
    return pd.DataFrame(rows)


def earlier_rules() -> pd.DataFrame:
    """The rules of version 0.1 refitted to the same runs, beside those of today, for a reader.

    Returns
    -------
    pandas.DataFrame
        Texts, one row a kind and fold.
    """
    table = data.table("rules_0_1_scores")
    rows = []
    for kind, name in KINDS.items():
        mine = table[(table["kind"] == kind) & (table["part"] == "everything")]
        for left_out in ("publisher", "generation", "source"):
            for row in mine[mine["fold"] == fold(kind, left_out)].itertuples():
                rows.append(
                    {
                        "Model": name,
                        "Left out of the fit": WAYS[left_out],
                        "Groups": int(row.n_groups),
                        "0.1: factor": f"{row.before_group_median_factor:.2f}",
                        "Now: factor": f"{row.now_group_median_factor:.2f}",
                        "0.1: range held": words.pct(row.before_band_coverage),
                        "Now: range held": words.pct(row.now_band_coverage),
                        "0.1: interval score": f"{row.before_interval_score:.2f}",
                        "Now: interval score": f"{row.now_interval_score:.2f}",
                    }
                )
    return pd.DataFrame(rows)


def not_scored() -> pd.DataFrame:
    """Rows of the run tables that have no score, with their reasons.

    Returns
    -------
    pandas.DataFrame
        ``Model, Reason, Rows``, most rows first within a model.
    """
    problems = {"Training": training_fit.problem(None, 1), "Serving": serving_fit.problem(None, 1)}
    reasons = [
        (name, REASONS.get(reason, reason.removeprefix("quality C: ")))
        for name, problem in problems.items()
        for reason in problem.skipped.values()
    ]
    table = pd.DataFrame(reasons, columns=["Model", "Reason"])
    counts = table.groupby(["Model", "Reason"], sort=False).size().reset_index(name="Rows")
    return counts.sort_values(["Model", "Rows"], ascending=False, kind="stable")


def unseen_chips(scored: pd.DataFrame) -> pd.DataFrame:
    """Chips of whose generation no run was scored, by kind.

    Parameters
    ----------
    scored : pandas.DataFrame
        From `runs`.

    Returns
    -------
    pandas.DataFrame
        Texts, one row a kind.
    """
    chips = [hardware.chip(chip) for chip in data.ids("chip")]
    rows = []
    for kind, name in KINDS.items():
        used = scored.loc[scored["kind"] == kind, "chip"].unique()
        known = {hardware.chip(chip).generation for chip in used}
        missing = [chip.name for chip in chips if chip.generation not in known]
        rows.append({"Model": name, "No run of": ", ".join(missing)})
    return pd.DataFrame(rows)


def outside(left_out: str) -> list[str]:
    """Families whose ranges hold too little, or where a constant does better, in sentences.

    Parameters
    ----------
    left_out : str
        As for `fold`.

    Returns
    -------
    list of str
        What a reader should not rely on.
    """
    table = families(left_out)
    table = table[table["part"] != "everything"]
    out = []
    for row in table[table["coverage_high"] < 0.8].itertuples():
        out.append(
            f"{KINDS[row.kind]}, {row.part}: the 80% range held "
            f"**{words.pct(row.band_coverage)}** of {row.n_groups:.0f} groups; it is too narrow."
        )
    for row in table[table["constant_wins"]].itertuples():
        out.append(
            f"{KINDS[row.kind]}, {row.part}: one constant share per chip is off by "
            f"**{row.constant_group_median_factor:.2f}×**, the model by "
            f"{row.group_median_factor:.2f}×; take the constant."
        )
    return out


UNITS = {"share": "%", "count": "", "h": "hours", "BUSD/yr": "billion USD a year"}
"""Units of published checks in words; the others are shown as they are."""


def beside(checks: pd.DataFrame) -> pd.DataFrame:
    """Single published numbers beside what the formulas give, for a reader.

    Parameters
    ----------
    checks : pandas.DataFrame
        ``check, note, unit, published, predicted, low, high, kind``, as
        `trn3.study.scaling.checks` gives.

    Returns
    -------
    pandas.DataFrame
        Texts, with the verdict.
    """
    rows = []
    repeated = checks["check"].duplicated(keep=False)
    for row, again in zip(checks.itertuples(), repeated):
        times = 100.0 if row.unit == "share" else 1.0
        unit = UNITS.get(row.unit, row.unit)
        published = f"{words.sig(times * row.published, 3)} {unit}".strip()
        what = row.check
        if again:
            what += "; " + row.note.split("compared with ")[-1]
        rows.append(
            {
                "Check": what,
                "Published": published.replace(" %", "%"),
                "Predicted": words.sig(times * row.predicted),
                "Range": words.rng(times * row.low, times * row.high),
                "Counts as": row.kind,
                "Verdict": trust.verdict(row),
            }
        )
    return pd.DataFrame(rows)


def tally(checks: pd.DataFrame) -> list[story.Check]:
    """How many published numbers lie in their range, by what they are worth as evidence.

    Parameters
    ----------
    checks : pandas.DataFrame
        As for `beside`.

    Returns
    -------
    list of Check
        For `trn3.show.story.checks`.
    """
    worth = {
        "independent": "predictions that rest on nothing fitted",
        "left out": "predictions with their own source left out",
        "reproduces its input": "comparisons with an input of the model, which prove little,",
    }
    verdicts = beside(checks)[["Counts as", "Verdict"]]
    out = []
    for kind, of_kind in verdicts.groupby("Counts as", sort=False):
        within = int((of_kind["Verdict"] == "Within band").sum())
        word = "Within band" if within == len(of_kind) else "Partly"
        text = f"**{within}** of {len(of_kind)} {worth[kind]} have the published number in range."
        out.append(story.Check(word, text, kind))
    return out
