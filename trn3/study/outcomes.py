"""Energy, useful time and money beside what others published, scored as the speeds are.

`trn3.fit.validation` scores speeds on runs. What follows from speeds, and from power, failures and
prices, is scored here on power meters, on the useful time that fleets report and on published
costs. Nothing is fitted to these figures. A part of the table is scored on its own: energies whose
source multiplied rated power by time are no measurement and stand apart, as do costs whose source
also gave an input.
"""

import textwrap

import numpy as np
import pandas as pd

from trn3 import data
from trn3.fit.scores import LEVEL, bootstrap, coverage
from trn3.study import ownership, scaling

KINDS = ("energy", "goodput", "money")
CONSTANTS = {
    "energy": "rated power times time",
    "goodput": "the median of the other fleets",
    "money": "the list price",
}
"""What the predictions are held against: what anyone could have said without a model."""
EVIDENCE = ("independent", "left out")
"""Kinds of rows that test a formula; the others reproduce its input."""
OWNED = "cost of ownership of a chip-hour or a site"
PLAIN = f"{OWNED}, without two judgements"
"""A dealer's margin and the network's share were judged with these very costs in view; the second
part leaves both out."""
USEFUL, LOST = "useful time of fleets", "lost time of fleets"
"""The useful share is near 1 for every fleet, so that no prediction of it can be far off; the lost
share is what is predicted."""


def rows(kind: str) -> pd.DataFrame:
    """Published figures beside predictions, and beside what a constant gives.

    Parameters
    ----------
    kind : str
        ``energy`` (joules per token, power), ``goodput`` (useful time, failures) or ``money``
        (cost of ownership, of a token).

    Returns
    -------
    pandas.DataFrame
        check, part, group, publisher, kind, published, predicted, low, high, constant (in the
        published unit, NaN where there is none), unit, source_id, note.

    Raises
    ------
    TrnError
        An unknown kind.

    Examples
    --------
    Eight B200 drew 571.7 W each and wrote 4,789.45 tokens/s: 0.955 J a token.

    >>> found = rows("energy").set_index("check")
    >>> here = "8 B200 serve DeepSeek-R1 in FP4 to 128 users: energy per output token"
    >>> round(float(found.loc[here, "published"]), 3), round(8 * 571.7 / 4789.45, 3)
    (0.955, 0.955)
    """
    if kind not in KINDS:
        raise data.TrnError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
    found = ownership.checks() if kind == "money" else scaling.checks().query("area == @kind")
    found = found.reset_index(drop=True)
    fleets = found["part"] == USEFUL
    found.loc[fleets, "constant"] = _median_of_others(found.loc[fleets, "published"])
    more = _lost(found[fleets])
    if kind == "money":
        plain = ownership.checks(judged=False)
        more = plain[plain["part"] == OWNED].assign(part=PLAIN)
    who = data.table("sources").set_index("id")["publisher"]
    whole = pd.concat([found, more], ignore_index=True)
    columns = ["check", "part", "group", "publisher", "kind", "published", "predicted"]
    columns += ["low", "high", "constant", "unit", "source_id", "note"]
    return whole.assign(publisher=whole["source_id"].map(who))[columns]


def _median_of_others(values: pd.Series) -> list[float]:
    """Median of the values without each in turn."""
    return [float(values.drop(label).median()) for label in values.index]


def _lost(useful: pd.DataFrame) -> pd.DataFrame:
    """Shares of useful time, told as what is lost."""
    lost = {name: 1.0 - useful[name] for name in ("published", "predicted", "constant")}
    return useful.assign(**lost, low=1.0 - useful["high"], high=1.0 - useful["low"], part=LOST)


def unscored(kind: str) -> pd.DataFrame:
    """Published figures that no formula here can predict.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    pandas.DataFrame
        check, reason, source_id.
    """
    table = "money_checks" if kind == "money" else "checks"
    found = data.table(table).query("unscored != ''")
    if kind != "money":
        found = found[found["area"] == kind].rename(columns={"what": "check"})
    found = found.rename(columns={"unscored": "reason"})
    return found[["check", "reason", "source_id"]].reset_index(drop=True)


def scores(kind: str) -> pd.DataFrame:
    """How far predictions are off, part by part, beside the constant.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    pandas.DataFrame
        One line a part: part, kind (independent, left out, reproduces its input), n_rows, n_groups,
        n_publishers; factor, the median over groups of exp abs ln(predicted/published), with
        factor_low and factor_high; coverage, the share of rows inside their 80 % range, with
        coverage_low and coverage_high; the factor of the constant, constant_factor with its ends,
        NaN where nobody could have named one.

    Notes
    -----
    Ends hold 80 % of bootstrap samples of groups, drawn whole; of one group both ends are the
    middle, and of two or three they say little.

    References
    ----------
    Efron and Tibshirani 1993, An introduction to the bootstrap, section 13.3.
    """
    found = rows(kind)
    parts = dict.fromkeys(found["part"])
    lines = [_line(part, found[found["part"] == part]) for part in parts]
    table = pd.DataFrame(lines)
    evidence = table["kind"].isin(EVIDENCE)
    order = [~evidence, -table["n_groups"], -table["n_rows"]]
    return table.iloc[np.lexsort(order[::-1])].reset_index(drop=True)


def _line(part: str, of: pd.DataFrame) -> dict[str, object]:
    """Score of one part."""
    group = of["group"].to_numpy(str)
    error = np.log(of["predicted"] / of["published"]).to_numpy()
    band = np.array([np.log(of["predicted"] / of[end]) for end in ("high", "low")])
    ends = bootstrap(error, band, group)
    low, high = ends["group_median_factor"]
    held_low, held_high = ends["band_coverage"]
    line = {
        "part": part,
        "kind": of["kind"].mode()[0],
        "n_rows": len(of),
        "n_groups": len(set(group)),
        "n_publishers": of["publisher"].nunique(),
        "factor": _factor(error, group),
        "factor_low": low,
        "factor_high": high,
        "coverage": coverage(error, band, group),
        "coverage_low": held_low,
        "coverage_high": held_high,
    }
    guess = np.log(of["constant"] / of["published"]).to_numpy()
    names = ("constant_factor", "constant_factor_low", "constant_factor_high")
    if np.isnan(guess).any():
        return line | dict.fromkeys(names, np.nan)
    guessed = bootstrap(guess, np.full_like(band, np.nan), group)["group_median_factor"]
    return line | dict(zip(names, (_factor(guess, group), *guessed)))


def _factor(error: np.ndarray, group: np.ndarray) -> float:
    """Median over groups of the median factor between two figures."""
    return float(np.exp(pd.Series(np.abs(error)).groupby(group).median().median()))


SEEN = {
    OWNED: "margin and network share of the cost of ownership were judged with these costs in view",
    "node under heavy load, logged power": "floor and full load of the power model were changed "
    "once after the node and the training runs had first been compared",
}
"""What was not blind, by the part that it touches."""
TABLES = (("scores", scores), ("rows", rows), ("unscored", unscored))
"""What `trn3 validate energy --json` writes."""


def text(kind: str) -> str:
    """The scores as a table for the terminal.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    str
        Lines.
    """
    found, lacking = scores(kind), unscored(kind)
    constant = CONSTANTS[kind]
    share = f"{100 * LEVEL:.0f} %"
    out = [
        f"{kind}: published figures beside predictions",
        "",
        f"factor: median over groups of exp|ln(predicted/published)|; in brackets where {share} of",
        f"bootstrap samples of groups lie; holds: % of rows inside their {share} range;",
        f"constant: the factor of {constant}",
        "",
    ]
    width = max(map(len, found["part"])) + 2
    out += [
        f"{'':{width}}{'rows':>5}{'groups':>7}{'publ.':>6}{'factor':>20}{'holds':>15}{'constant':>20}"
    ]
    for row in found.itertuples():
        counts = f"{row.n_rows:5}{row.n_groups:7}{row.n_publishers:6}"
        held = _told(row.coverage, row.coverage_low, row.coverage_high, 0, 100)
        off = _told(row.factor, row.factor_low, row.factor_high, 2)
        guess = _told(row.constant_factor, row.constant_factor_low, row.constant_factor_high, 2)
        out.append(f"{row.part:{width}}{counts}{off:>20}{held:>15}{guess:>20}")
        if row.kind not in EVIDENCE:
            out.append(f"{'':{width}}  ({row.kind}: no evidence)")
    out += [note for part, note in SEEN.items() if part in set(found["part"])]
    for reason, names in lacking.groupby("reason", sort=False)["check"]:
        out += textwrap.wrap(f"not scored, {reason}: {'; '.join(names)}", 100)
    return "\n".join(out)


def _told(middle: float, low: float, high: float, digits: int, times: float = 1.0) -> str:
    """A figure with its ends."""
    if np.isnan(middle):
        return "-"
    middle, low, high = times * middle, times * low, times * high
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
