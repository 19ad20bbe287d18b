"""One serving load on several systems: what each gives at every speed, the fleet and its bill, and
the published runs beside it.

>>> from trn3 import workload
>>> load = ServingLoad(workload.model("llama3_3_70b"), 1024, 1024, weights_dtype="fp8")
>>> lines = frontiers(load, ["trn3_gen2", "hgx_h200"])
>>> sorted(lines["system"].unique())
['hgx_h200', 'trn3_gen2']
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, cost, data, hardware, inference, serving_step, ties
from trn3.fit import serving_fit, trust
from trn3.show import story, words
from trn3.study import compare, pricing, rents, stacks
from trn3.study.compare import Answers
from trn3.units import HOUR_S, MEGA
from trn3.workload import ServingLoad

LEAST_SHARE = 0.02
"""Points of a line below this share of its highest output are left out: nobody serves there [-]."""
N_POINTS = 8
"""Points of a line [-]."""
LINE = ["system", "name", "tokens_per_s_per_user", "output_tokens_per_s_per_chip", "low", "high"]
LINE += ["n_chips", "n_systems", "tp", "dp", "batch", "ttft_s"]
"""Columns of `frontiers`."""
BILL = ["system", "name", "usd_per_chip_h", "bought", "chips_low", "chips", "chips_high", "low"]
BILL += ["usd_a_month", "high", "usd_per_million", "ties_low", "ties_at", "ties_high"]
"""Columns of `bills`."""
LEVEL = ["level", *compare.ENDS, "ties_low", "ties_at", "ties_high", "text"]
"""Columns of `at_levels`."""


def nearest(load: ServingLoad, system: hardware.System, **how: Any) -> inference.ServingPoint:
    """The best point within the limits or, where none keeps them, the one that misses them by the
    smallest factor.

    Parameters
    ----------
    load : ServingLoad
        In a format that the chip has (`trn3.study.compare.load_on`).
    system : System
        Where it runs.
    **how : object
        Further arguments of `trn3.inference.best`.

    Returns
    -------
    ServingPoint
        Whose times say whether it keeps the limits.

    Raises
    ------
    NoLayoutMeets
        The model does not fit at all.

    Examples
    --------
    Nobody answers in a microsecond, but something comes nearest to it:

    >>> from trn3 import workload
    >>> load = ServingLoad(workload.model("llama3_8b"), 1024, 128, ttft_s=1e-6)
    >>> bool(nearest(load, hardware.system("hgx_h100")).ttft_s[1] > 1e-6)
    True
    """
    found = inference.frontier(load, system, **how).points
    missed_by = np.maximum(found["ttft_s"] / load.ttft_s, found["tpot_s"] / load.tpot_s)
    factor = max(float(missed_by.min()), 1.0)
    factor *= 1 + ties.TIE  # so that rounding does not shut it out
    loosest = replace(load, ttft_s=load.ttft_s * factor, tpot_s=load.tpot_s * factor)
    return inference.best(loosest, system, **how)


def frontiers(
    load: ServingLoad,
    systems: Sequence[str],
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
    **how: Any,
) -> pd.DataFrame:
    """Highest output per chip against the speed of each user, without limits of time.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths and the format that is asked for; each chip serves in one that it has.
    systems : sequence of str
        Ids of systems or chips, the one in question first; those that cannot hold the model are
        left out.
    software : str, Software or Stacks
        Level of the software on the first, or the levels of a page.
    **how : object
        Further arguments of `trn3.inference.frontier`.

    Returns
    -------
    pandas.DataFrame
        A few points a system, fastest user first: ``system`` (id), ``name``,
        ``tokens_per_s_per_user`` [token/s], ``output_tokens_per_s_per_chip`` with ``low`` and
        ``high`` [token/s], the layout, and ``ttft_s`` [s].
    """
    free = replace(load, ttft_s=np.inf, tpot_s=np.inf)
    level = stacks.by_system("serving", systems, software)
    asked = compare.ask(
        lambda system: inference.frontier(
            compare.load_on(free, system), system, software=level(system), **how
        ).frame(),
        systems,
    )
    lines = [_line(hardware.system(each), frame) for each, frame in asked.found.items()]
    return pd.concat([pd.DataFrame(columns=LINE), *lines], ignore_index=True)[LINE]


def _line(system: hardware.System, frame: pd.DataFrame) -> pd.DataFrame:
    rate = frame["output_tokens_per_s_per_chip"]
    frame = frame[rate >= LEAST_SHARE * rate.max()]
    spread = np.linspace(0, len(frame) - 1, N_POINTS).astype(int)
    ends = {f"output_tokens_per_s_per_chip_{end}": end for end in ("low", "high")}
    thinned = frame.iloc[np.unique(spread)].rename(columns=ends)
    return thinned.assign(system=system.id, name=system.chip.name)


def at_speed(lines: pd.DataFrame, system: str, speed: Any) -> np.ndarray:
    """What a line gives at these speeds per user, on a logarithmic scale between its points.

    Parameters
    ----------
    lines : pandas.DataFrame
        From `frontiers`.
    system : str
        Id of a system.
    speed : float or array
        Tokens per second that a user sees [1/s].

    Returns
    -------
    numpy.ndarray
        Low, middle, high of the output tokens per second and chip along the first axis; NaN beyond
        the ends of the line [1/s].

    Examples
    --------
    >>> ends = {"tokens_per_s_per_user": [10.0, 40.0], "low": [50.0, 25.0], "high": [200.0, 100.0]}
    >>> line = pd.DataFrame({"system": "x", "output_tokens_per_s_per_chip": [100.0, 50.0], **ends})
    >>> at_speed(line, "x", [20.0, 50.0]).round(1).tolist()
    [[35.4, nan], [70.7, nan], [141.4, nan]]
    """
    line = lines[lines["system"] == system]
    line = line.iloc[ties.order(line["tokens_per_s_per_user"].to_numpy(float))]
    asked = np.log(np.asarray(speed, float))
    if line.empty:
        return np.full((3, *asked.shape), np.nan)
    along = np.log(line["tokens_per_s_per_user"].to_numpy(float))
    rates = np.log(line[["low", "output_tokens_per_s_per_chip", "high"]].to_numpy(float)).T
    return np.exp([np.interp(asked, along, rate, left=np.nan, right=np.nan) for rate in rates])


def published(load: ServingLoad, lines: pd.DataFrame) -> pd.DataFrame:
    """Published runs of a model at about these lengths, beside what the lines say at their speed.

    Parameters
    ----------
    load : ServingLoad
        The model, the lengths and the format.
    lines : pandas.DataFrame
        From `frontiers`.

    Returns
    -------
    pandas.DataFrame
        ``system`` (id), ``name``, ``source_id``, ``batch``, ``tokens_per_s_per_user``,
        ``output_tokens_per_s_per_chip`` [token/s], ``beaten`` by another run of the system, and
        ``ratio`` of the line over the run, NaN where the line ends [-].
    """
    runs = serving_fit.published(
        load.model, load.input_tokens, load.output_tokens, load.weights_dtype
    )
    ids = {hardware.system(each).name: each for each in lines["system"].unique()}
    runs = runs[runs["system"].isin(list(ids))].reset_index(drop=True)
    runs["system"] = runs["system"].map(ids).astype(object)
    system = runs["system"].to_numpy()
    speed = runs["tokens_per_s_per_user"].to_numpy(float)
    rate = runs["output_tokens_per_s_per_chip"].to_numpy(float)
    modelled = np.full(len(runs), np.nan)
    for each in ids.values():
        mine = system == each
        modelled[mine] = at_speed(lines, each, speed[mine])[1]
    same = system[:, None] == system
    better = (speed > speed[:, None]) & (rate > rate[:, None])
    names = [hardware.system(each).chip.name for each in system]
    return runs.assign(name=names, beaten=(same & better).any(axis=1), ratio=modelled / rate)


def rented(purchase: pricing.Purchase, systems: Iterable[str]) -> Answers[rents.Rent]:
    """What a chip-hour of several systems costs a reader.

    Parameters
    ----------
    purchase : Purchase
        How all of them are bought.
    systems : iterable of str
        The one in question, the one that it is compared with, and others; one named twice counts
        once.

    Returns
    -------
    Answers
        A `trn3.study.rents.Rent` each; who is not sold so says it.

    Examples
    --------
    >>> found = rented(pricing.Purchase("capacity_block", "us_east_2"), ["trn3_gen2", "mi300x_8"])
    >>> list(found.found), list(found.missing.values())
    (['trn3_gen2'], ['no rent by Capacity Block is listed'])
    """
    found: dict[str, rents.Rent] = {}
    missing: dict[str, str] = {}
    ids = dict.fromkeys(hardware.system(each).id for each in systems)
    for place, each in enumerate(ids):
        try:
            found[each] = purchase.rent(hardware.system(each), place)
        except data.UnknownId:
            missing[each] = f"no rent {rents.bought(purchase.term)} is listed"
    return Answers(found, missing)


def bills(
    load: ServingLoad,
    answers: Answers[inference.ServingPoint],
    rent_of: Answers[rents.Rent],
    subject: str,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
    **how: Any,
) -> pd.DataFrame:
    """Fleet and monthly bill of a load that comes in at `requests_per_s`, the cheapest first.

    Parameters
    ----------
    load : ServingLoad
        With its rate of requests.
    answers : Answers
        Best points, from `trn3.study.compare.serving`.
    rent_of : Answers
        What a chip-hour costs, from `rented`; those without a rent come last.
    subject : str
        Id of the system in question.
    software : str, Software or Stacks
        Level of the software on it, or the levels of a page.
    **how : object
        Further arguments of `trn3.inference.fleet`.

    Returns
    -------
    pandas.DataFrame
        ``system`` (id), ``name``, ``bought`` (in words, or that it is not), ``usd_per_chip_h``
        [USD/h], ``chips`` with ``chips_low`` and ``chips_high``, ``usd_a_month`` with ``low`` and
        ``high`` [USD], ``usd_per_million`` output tokens, their prompts and the idle share of the
        fleet included [USD], and ``ties_at`` with ``ties_low`` and ``ties_high``, the rent at which
        a token costs as much on the system in question [USD/h].
    """
    level = stacks.by_system("serving", [subject], software)
    month_s = cost.MONTH_H * HOUR_S
    million_a_month = load.requests_per_s * load.output_tokens * month_s / MEGA
    rows = []
    for each in answers.found:
        system = hardware.system(each)
        row: dict[str, Any] = {"system": each, "name": system.chip.name}
        rows.append(row)
        if each not in rent_of.found:
            row["bought"] = rent_of.missing[each]
            continue
        rent = rent_of.found[each]
        here = compare.load_on(load, system)
        chips = inference.fleet(here, system, software=level(system), **how)
        usd = np.asarray(cost.monthly_usd(chips, rent.usd_per_chip_h))
        row |= {
            "usd_per_chip_h": rent.usd_per_chip_h,
            "bought": rents.terms_of(rent.term, rent.region),
        }
        row |= dict(zip(("chips_low", "chips", "chips_high"), chips))
        row |= dict(zip(("low", "usd_a_month", "high"), usd))
        row["usd_per_million"] = usd[1] / million_a_month
        if each != subject and subject in answers.found:
            ours, theirs = (answers.found[k].output_tokens_per_s_per_chip for k in (subject, each))
            even = rents.break_even(ours, theirs, rent.usd_per_chip_h)
            row |= {"ties_low": even.low, "ties_at": even.middle, "ties_high": even.high}
    table = pd.DataFrame(rows, columns=BILL)
    usd_a_month = table["usd_a_month"].astype(float).fillna(np.inf)
    return table.iloc[ties.order(usd_a_month.to_numpy())].reset_index(drop=True)


def bills_shown(table: pd.DataFrame, subject: str) -> pd.DataFrame:
    """The table of `bills` for a reader.

    Parameters
    ----------
    table : pandas.DataFrame
        From `bills`.
    subject : str
        Name of the chip in question.

    Returns
    -------
    pandas.DataFrame
        Texts.
    """
    rows = []
    for row in table.itertuples(index=False):
        cells = {"Chip": row.name}
        rows.append(cells)
        if np.isfinite(row.usd_per_chip_h):
            cells["USD per chip-hour"] = words.fixed(row.usd_per_chip_h, 2)
            cells["Chips"] = f"{row.chips:,.0f} ({row.chips_low:,.0f}–{row.chips_high:,.0f})"
            cells["USD a month"] = words.big(words.rounded(row.usd_a_month, 2))
            cells["USD per million tokens"] = words.fixed(row.usd_per_million, 2)
        if np.isfinite(row.ties_at):
            ends = words.rng(row.ties_low, row.ties_high)
            cells[f"{subject} ties at, USD"] = f"{words.fixed(row.ties_at, 2)} ({ends})"
        cells["Bought"] = row.bought
    heads = ["Chip", "USD per chip-hour", "Chips", "USD a month", "USD per million tokens"]
    heads += [f"{subject} ties at, USD", "Bought"]
    rows = rows or [{"Chip": "none", "Bought": "no system has an answer"}]
    return pd.DataFrame(rows, columns=heads, dtype=object).fillna("—")


def shown(speeds: pd.DataFrame) -> pd.DataFrame:
    """The table of `trn3.study.compare.serving_table` for a reader, the fastest chip first.

    Parameters
    ----------
    speeds : pandas.DataFrame
        One row a system.

    Returns
    -------
    pandas.DataFrame
        Texts; a system without an answer says why.
    """
    found = speeds[speeds["middle"].notna()]
    found = found.iloc[ties.order(-found["middle"].to_numpy(float))]
    rows = [
        {
            "System": row.name,
            "Format": row.dtype.upper(),
            "Output tokens/s per chip": f"{words.sig(row.middle)} ({words.rng(row.low, row.high)})",
            "Tokens/s per user": words.sig(row.tokens_per_s_per_user),
            "First token": words.duration(row.ttft_s),
            "One copy lies on": words.on_chips(int(row.n_chips), int(row.n_systems)),
            "Its users": f"{row.batch:,.0f}",
        }
        for row in found.itertuples(index=False)
    ]
    left = speeds[speeds["middle"].isna()]
    rows += [
        {"System": row.name, "Output tokens/s per chip": "no answer", "Why": row.why}
        for row in left.itertuples(index=False)
    ]
    return pd.DataFrame(rows).fillna("—")


def times(paper_s: Mapping[str, Any], model_s: Iterable[Any]) -> pd.DataFrame:
    """Times at the rates of the data sheet beside those with what software reaches.

    Parameters
    ----------
    paper_s : mapping of str to float
        Time by what happens [s].
    model_s : iterable of float
        The same as modelled, in that order [s].

    Returns
    -------
    pandas.DataFrame
        In milliseconds.

    Examples
    --------
    >>> times({"Read 10 GB": 0.0025}, [0.004]).to_dict("records")
    [{'Term': 'Read 10 GB', 'On paper, ms': 2.5, 'As software runs it, ms': 4.0}]
    """
    return pd.DataFrame(
        {
            "Term": list(paper_s),
            "On paper, ms": [1e3 * float(value) for value in paper_s.values()],
            "As software runs it, ms": [1e3 * float(value) for value in model_s],
        }
    )


def milliseconds(parts_s: Mapping[str, Any]) -> pd.DataFrame:
    """Parts of a step in milliseconds.

    Parameters
    ----------
    parts_s : mapping of str to float
        Time by part [s].

    Returns
    -------
    pandas.DataFrame
        Two columns.

    Examples
    --------
    >>> milliseconds({"Links": 0.0015}).to_dict("records")
    [{'Part': 'Links', 'ms': 1.5}]
    """
    values = [1e3 * float(value) for value in parts_s.values()]
    return pd.DataFrame({"Part": list(parts_s), "ms": values})


def users_that_fit(
    load: ServingLoad, systems: Iterable[str], contexts: Iterable[int]
) -> pd.DataFrame:
    """Most users per chip whose caches fit beside the weights, each with a full context.

    Parameters
    ----------
    load : ServingLoad
        Model and formats.
    systems : iterable of str
        Ids of systems.
    contexts : iterable of int
        Tokens of a user's text, prompt and answer [token].

    Returns
    -------
    pandas.DataFrame
        One row a system, one column a context; users per chip [-].

    Examples
    --------
    Half the context, twice the users:

    >>> from trn3 import workload
    >>> load = ServingLoad(workload.model("llama3_3_70b"), 1024, 1024, weights_dtype="fp8")
    >>> users = users_that_fit(load, ["hgx_h200"], [8192, 16384]).iloc[0]
    >>> bool(1.9 < users[8192] / users[16384] < 2.1)
    True
    """
    lengths = np.array(list(contexts), float)
    rows = {}
    for system in {each.id: each for each in map(hardware.system, systems)}.values():
        here = compare.load_on(load, system)
        some = inference.layouts(load.model, system)
        layout = inference.layout_of(np.asarray(some.tp)[:, None], np.asarray(some.dp)[:, None])
        formats = [serving_step.dtype_bytes(each) for each in (here.weights_dtype, load.kv_dtype)]
        work = serving_step.Work(1.0, lengths, 0.0, *formats)
        device = serving_step.device(system, here.weights_dtype)
        most = serving_step.max_batch(load.model, device, layout, work)
        rows[system.id] = np.max(most * layout.dp / layout.n_chips, axis=0)
    columns = [int(length) for length in lengths]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("system")


def by_context(
    load: ServingLoad, system: hardware.System, contexts: Iterable[int], **how: Any
) -> pd.DataFrame:
    """Highest output per chip without limits of time, by the length of a user's text.

    Parameters
    ----------
    load : ServingLoad
        Model, answer and formats.
    system : System
        Where it runs.
    contexts : iterable of int
        Tokens of prompt and answer; those that no layout holds are left out [token].
    **how : object
        Further arguments of `trn3.inference.best`.

    Returns
    -------
    pandas.DataFrame
        ``context`` [token], ``rate`` with ``low`` and ``high`` [token/s].
    """
    here = compare.load_on(replace(load, ttft_s=np.inf, tpot_s=np.inf), system)
    rows = []
    for context in contexts:
        longer = replace(here, input_tokens=int(context) - load.output_tokens)
        try:
            low, rate, high = inference.best(longer, system, **how).output_tokens_per_s_per_chip
        except inference.NoLayoutMeets:
            continue
        rows.append({"context": context, "rate": rate, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["context", "rate", "low", "high"])


def claimed(claims: pd.DataFrame, modelled: Mapping[str, np.ndarray]) -> list[story.Check]:
    """Claimed ratios beside what the formulas give.

    Parameters
    ----------
    claims : pandas.DataFrame
        Rows of ``data/claims.csv`` by id.
    modelled : mapping of str to array of three
        Low, middle and high of the same ratio, by the id of the claim; NaN where there is none [-].

    Returns
    -------
    list of Check
        One a claim.

    Examples
    --------
    >>> said = {"claimant": "AWS", "wording": "three times", "claimed": 3.0}
    >>> rows = pd.DataFrame(said, index=["a"])
    >>> claimed(rows, {"a": np.array([1.0, 2.0, 2.5])})[0].verdict
    'Outside band'
    """
    out = []
    for key, (low, middle, high) in modelled.items():
        row = claims.loc[key]
        says = f"{row['claimant']}: “{row['wording']}”"
        if not np.isfinite(middle):
            out.append(story.Check("Cannot be checked", f"{says}; the formulas give no answer."))
            continue
        verdict = trust.verdict(SimpleNamespace(published=row["claimed"], low=low, high=high))
        text = f"**{words.ratio(middle, digits=2)}** ({words.band(low, high)})"
        out.append(story.Check(verdict, f"{says}; the formulas give {text}."))
    return out


def credited(runs: pd.DataFrame) -> str:
    """Who published runs, for the source of a chart.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `published`.

    Returns
    -------
    str
        For the middle of a sentence.

    Examples
    --------
    >>> credited(pd.DataFrame({"source_id": []}))
    'no run is published at these lengths in this format'
    """
    if runs.empty:
        return "no run is published at these lengths in this format"
    whose = dict.fromkeys(data.sources(runs["source_id"])["publisher"])
    return (
        f"{words.counted(len(runs), 'published run')} at about these lengths, by {', '.join(whose)}"
    )


def beside(runs: pd.DataFrame) -> pd.DataFrame:
    """Lines over published runs, by system, for a reader.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `published`.

    Returns
    -------
    pandas.DataFrame
        Texts: how many runs, those that none beats, and their ratios.
    """
    rows = []
    for name, group in runs.groupby("name", sort=False):
        best = group[~group["beaten"] & group["ratio"].notna()]["ratio"]
        row = {"Chip": name, "Runs": f"{len(group):,}", "Best of them": f"{len(best):,}"}
        if len(best):
            row["Line over run, median"] = words.ratio(best.median(), digits=2)
            row["Least to most"] = words.rng(best.min(), best.max())
        rows.append(row)
    return pd.DataFrame(rows or [{"Chip": "none", "Runs": "no run is published"}]).fillna("—")


def later(scores: pd.DataFrame, refitted: pd.DataFrame | None = None) -> pd.DataFrame:
    """Misses on runs that came in later, and of the refit, for a reader.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `trn3.fit.trust.newer`.
    refitted : pandas.DataFrame, optional
        From `trn3.fit.trust.by_part`, with something left out of the fit; not told where None.

    Returns
    -------
    pandas.DataFrame
        Texts.
    """
    since = (scores.iloc[:0] if refitted is None else refitted).set_index("part")
    rows = []
    for row in scores.itertuples(index=False):
        cells = {
            "Runs": words.capital(row.part),
            "Groups": f"{row.n_groups:.0f}",
            "Off by": _off(row),
            "80% range held": _held(row),
        }
        if row.part in since.index:
            new = since.loc[row.part]
            cells |= {"Refitted, off by": _off(new), "its range held": _held(new)}
        rows.append(cells)
    return pd.DataFrame(rows).fillna("—")


def _off(row: Any) -> str:
    return words.missed(row.group_median_factor, row.factor_low, row.factor_high)


def _held(row: Any) -> str:
    ends = words.rng(100 * row.coverage_low, 100 * row.coverage_high)
    return f"{words.pct(row.band_coverage)} ({ends})"


def at_levels(
    load: ServingLoad,
    system: hardware.System,
    rival: inference.ServingPoint | None,
    rent_of: Answers[rents.Rent],
    software: stacks.Stacks,
    **how: Any,
) -> pd.DataFrame:
    """What a system gives at every level of software, and the rent at which it then ties.

    Parameters
    ----------
    load : ServingLoad
        What is asked.
    system : System
        The one in question.
    rival : ServingPoint, optional
        What it is compared with, at its own level; none where it has no answer [-].
    rent_of : Answers
        From `rented`; without a rent of the rival there is no tie.
    software : Stacks
        Levels of the page; the reader's own runs are one more level where they tell it.
    **how : object
        Further arguments of `trn3.inference.best`.

    Returns
    -------
    pandas.DataFrame
        ``level`` (in words), output tokens per second and chip as ``low``, ``middle``, ``high``
        [token/s], ``ties_low``, ``ties_at``, ``ties_high`` [USD/h], and ``text`` for a chart.
    """
    rows = []
    for name, levels in stacks.each(software, system):
        answers = compare.serving(load, [system.id], levels, **how)
        row: dict[str, Any] = {"level": words.capital(name), "text": "no layout in the limits"}
        rows.append(row)
        if system.id not in answers.found:
            continue
        speed = answers.found[system.id].output_tokens_per_s_per_chip
        row |= dict(zip(compare.ENDS, speed))
        row["text"] = f"{words.sig(speed[1])} ({words.rng(speed[0], speed[2])})"
        if rival is not None and rival.system.id in rent_of.found:
            usd = rent_of.found[rival.system.id].usd_per_chip_h
            even = rents.break_even(speed, rival.output_tokens_per_s_per_chip, usd)
            row |= {"ties_low": even.low, "ties_at": even.middle, "ties_high": even.high}
            row["text"] += f", ties at {words.money(even.middle)}"
    return pd.DataFrame(rows, columns=LEVEL)


LATER = {"trainium": "Inferentia2 and Trainium, time per token"}
"""Scores of later runs by family of the chip; the others have those of closed loops."""
CLOSED_LOOP = "time per token, closed loop"


def missed_later(chip: hardware.Chip) -> str:
    """What the constants missed on runs of a kind of chip that were added after they were fixed.

    Parameters
    ----------
    chip : Chip
        The chip in question.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> missed_later(hardware.chip("trainium3")).startswith("Runs of Inferentia2 and Trainium")
    True
    """
    part = LATER.get(chip.family, CLOSED_LOOP)
    score = trust.summary("inference", "prospective", part)
    since = trust.summary("inference", "publisher", part)
    factor = score["group_median_factor"], score["factor_low"], score["factor_high"]
    refitted = since["group_median_factor"], since["factor_low"], since["factor_high"]
    side = "slower" if score["bias"] < 0 else "faster"
    whose = "engines in service"
    if chip.family in LATER:
        whose = "Inferentia2 and Trainium"
    return (
        f"Runs of {whose} that came in later were missed by {words.missed(*factor)} in time per "
        f"token, most of them {side} than predicted (80% range held "
        f"{words.pct(score['band_coverage'])}); refitted, with their "
        f"publisher left out, by {words.missed(*refitted)} "
        f"({words.pct(since['band_coverage'])} held)."
    )


def ports_later(chip: hardware.Chip) -> str:
    """How slow first ports of new models were beside the slow tenth of published stacks.

    Parameters
    ----------
    chip : Chip
        The chip in question.

    Returns
    -------
    str
        A sentence; empty for chips of a family without later ports.

    Examples
    --------
    >>> ports_later(hardware.chip("h200"))
    ''
    """
    if chip.family not in LATER:
        return ""
    score = trust.summary("inference", "prospective", LATER[chip.family])
    slow = committed.software("serving", "first_port").time_factor
    factor = score["group_median_factor"], score["factor_low"], score["factor_high"]
    return (
        f"The slow tenth takes {words.sig(slow)} times the time of a typical stack; later first "
        f"ports of models to Inferentia2 and Trainium took {words.missed(*factor)} the time "
        "predicted before they were fitted."
    )


def flattered(
    load: ServingLoad,
    subject: hardware.System,
    rival: hardware.System,
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
    **how: Any,
) -> str:
    """Whether published runs of a rival all lie above its line, which flatters the chip beside it.

    Parameters
    ----------
    load : ServingLoad
        What is asked.
    subject, rival : System
        The one in question, and the one that it is compared with.
    software : str, Software or Stacks
        Level of the software on the first, or the levels of a page.
    **how : object
        Further arguments of `trn3.inference.frontier`.

    Returns
    -------
    str
        A sentence; empty where a run that none beats lies on the line or below it, or none is
        published.
    """
    runs = published(load, frontiers(load, [subject.id, rival.id], software, **how))
    best = runs.loc[(runs["system"] == rival.id) & ~runs["beaten"], "ratio"].dropna()
    if best.empty or best.max() >= 1:
        return ""
    above = words.sig(1 / best.median())
    return (
        f"Published runs of {rival.chip.name} reach {above} times the line of this page, so the "
        f"ratio may flatter {subject.chip.name}."
    )
