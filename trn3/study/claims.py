"""Launch claims held against the published numbers: every reading of a claim, at its level and
in its format.
"""

import re

import numpy as np
import pandas as pd

from trn3 import data, hardware


def against(expression: str, baseline: str = "trainium2") -> np.ndarray:
    """Low, middle and high of a reading, with another chip in the place of Trainium2.

    Parameters
    ----------
    expression : str
        From ``data/claim_readings.csv``.
    baseline : str
        Chip id; its usual system stands for the Trainium2 UltraServer.

    Returns
    -------
    numpy.ndarray
        Low, value, high over the ranges of the facts; NaN where the baseline has no such number
        [-].

    Examples
    --------
    >>> peak = "trainium3.peak_flops_per_s[{}] / trainium2.peak_flops_per_s[{}]"
    >>> pairs = (("mxfp8", "fp8"), ("bf16", "bf16"))
    >>> [round(float(against(peak.format(new, old))[1]), 2) for new, old in pairs]
    [1.94, 1.01]
    >>> round(float(against(peak.format("mxfp8", "fp8"), "b200")[1]), 2)
    0.56
    """
    chip = hardware.chip(baseline)
    text = expression
    if chip.id != "trainium2":
        whole = rf"({chip.id}.\1 * {chip.usual_system}.n_chips)"
        text = re.sub(r"trn2_ultraserver\.((?:peak|hbm)\w+(?:\[\w+\])?)", whole, text)
        text = text.replace("trn2_ultraserver", chip.usual_system).replace("trainium2", chip.id)
    try:
        return data.compute_range(text)
    except data.UnknownId:
        return np.full(3, np.nan)


def readings(baseline: str = "trainium2") -> pd.DataFrame:
    """All computed readings of the claims.

    Parameters
    ----------
    baseline : str
        Chip id that Trainium3 is held against; the claims themselves mean Trainium2.

    Returns
    -------
    pandas.DataFrame
        Columns of ``claim_readings.csv`` and of its claim, ``short`` (a label for charts), ``low``,
        ``value``, ``high`` [-], ``met`` (the whole range reaches the claim) and ``hollow`` (an
        unpublished number is in it).
    """
    frame = data.table("claim_readings").rename(columns={"level": "reading_level"})
    frame = frame.merge(data.table("claims"), left_on="claim_id", right_on="id")
    numbers = np.array([against(text, baseline) for text in frame["compute"]])
    goal = np.where(frame["unit"] == "%", 1.0 + frame["claimed"] / 100.0, frame["claimed"])
    low, value, high = numbers.T
    met = low >= goal * (1.0 - frame["tolerance"])
    parts = (
        frame["label"]
        .str.extract(r"of an? (?P<thing>.*?)(?: of \d+ chips)?(?:, .*)?$")["thing"]
        .fillna("")
    )
    kind = (
        frame["dtype"].str.upper().where(frame["dtype"] != "", frame["metric"].str.split().str[-1])
    )
    kind = kind.where(frame["dtype"] != "", frame["label"].str.extract(r"(capacity|bandwidth)")[0])
    short = (parts.str[:1].str.upper() + parts.str[1:] + ", " + kind).where(
        parts != "", frame["label"]
    )
    more = {"short": short.fillna(frame["label"]), "claim": goal, "met": met, "hollow": high > low}
    return frame.assign(low=low, value=value, high=high, **more)


def verdicts() -> pd.DataFrame:
    """All claims with their verdicts.

    Returns
    -------
    pandas.DataFrame
        Columns of ``claims.csv`` with ``verdict`` computed where it can be, and ``computed``: the
        readings in one text.
    """
    frame = data.table("claims")
    found = readings()
    found = found[(found["role"] == "counts") & (found["rule"] == "at_least")]
    spans = found.groupby("claim_id")[["low", "high"]].agg({"low": "min", "high": "max"})
    verdict = [data.verdict(claim) for claim in frame["id"]]
    return frame.assign(verdict=verdict).merge(spans, left_on="id", right_index=True, how="left")


def wrong_numbers() -> pd.DataFrame:
    """Wrong numbers in circulation, each with the right one computed from the tables.

    Returns
    -------
    pandas.DataFrame
        ``statement``, ``right`` (words), ``low``, ``value``, ``high`` and ``unit`` (of the
        statement; NaN where the right answer is no number), ``why`` and ``source_id``.
    """
    frame = data.table("wrong_numbers")
    units = data.table("units").set_index("unit")["factor"]
    numbers = []
    for row in frame.to_dict("records"):
        if row["price"]:
            subject, term, region, basis = row["price"].split()
            chips = hardware.system(hardware.chip(subject).usual_system).n_chips
            numbers.append(data.price(subject, term, region, basis).range * chips)
        else:
            numbers.append(
                data.compute_range(row["compute"]) / units[row["unit"]]
                if row["compute"]
                else np.full(3, np.nan)
            )
    low, value, high = np.array(numbers).T
    return frame.assign(low=low, value=value, high=high)
