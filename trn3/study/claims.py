"""Launch claims held against the published numbers: every reading of a claim, at its level and
in its format.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trn3 import data, hardware
from trn3.show import story, words
from trn3.study import compare
from trn3.units import TERA

VERDICTS = {
    "Holds": "hold",
    "Partly": "hold in part",
    "Does not hold": "do not hold",
    "Cannot be checked": "cannot be checked",
}
"""The four verdicts, and how several claims of one are told."""
MEANING = {
    "Holds": "every way to read it reaches the claimed value",
    "Partly": "some ways do, or the range of one contains the value",
    "Does not hold": "no way reaches it",
    "Cannot be checked": "its conditions are not published; this is no word for or against it",
}
"""What each verdict says of a claim."""
SUBJECT = "trn3_gen2"
"""System that the launch was about."""


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


# ------------------------------------------------------------------------------- for the whole page
@dataclass(frozen=True, eq=False)
class Comparison:
    """Trainium3 held against one chip, and the launch claims.

    Attributes
    ----------
    new, old : System
        The UltraServer, and the usual system of the chip that it is compared with.
    readings : pandas.DataFrame
        From `readings`, against that chip.
    told : pandas.DataFrame
        From `verdicts`, against the chips that the claims name.
    """

    new: hardware.System
    old: hardware.System
    readings: pd.DataFrame
    told: pd.DataFrame

    @property
    def base(self) -> hardware.Chip:
        """The chip that it is compared with."""
        return self.old.chip

    @property
    def name(self) -> str:
        """Its name, and whether it is only announced."""
        return f"{self.base.name} (announced)" if self.base.announced else self.base.name

    @property
    def named(self) -> bool:
        """Whether it is the chip that the launch claims mean."""
        return self.base.id == "trainium2"

    @property
    def dtype(self) -> str:
        """Format of the comparison: ``fp8``, or ``bf16`` where the other chip has no FP8."""
        return "fp8" if self.ratio("fp8") > 0 else "bf16"

    @property
    def format(self) -> str:
        """That format with what Trainium3 calls it."""
        return compare.named_format(self.dtype, [self.new.chip, self.base])

    @property
    def counts(self) -> dict[str, int]:
        """How many claims there are of each verdict."""
        found = self.told["verdict"].value_counts()
        return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}

    def ratio(self, dtype: str, level: str = "chip") -> float:
        """Peak of Trainium3 over that of the other chip, or of the systems.

        Parameters
        ----------
        dtype : str
            Format
        level : str
            ``chip`` or ``ultraserver``

        Returns
        -------
        float
            NaN where the other has no such format [-]
        """
        rows = self.readings[self.readings["claim_id"] == "faster_4x"]
        rows = rows[(rows["dtype"] == dtype) & (rows["reading_level"] == level)]
        return float(rows["value"].iloc[0])

    @property
    def bandwidth(self) -> float:
        """Memory bandwidth of Trainium3 over that of the other chip [-]."""
        rows = self.readings.set_index(["claim_id", "label"])["value"]
        return float(rows["memory_4x", "memory bandwidth of a chip"])


def compared(baseline: str = "trainium2") -> Comparison:
    """Hold Trainium3 and the launch claims against a chip.

    Parameters
    ----------
    baseline : str
        Chip id

    Returns
    -------
    Comparison
        Ratios and verdicts

    Raises
    ------
    TrnError
        It is Trainium3 itself, or has no BF16 peak

    Examples
    --------
    >>> against_trainium2 = compared()
    >>> round(against_trainium2.ratio("fp8", "ultraserver"), 2), against_trainium2.format
    (4.36, 'FP8 (MXFP8 on Trainium3)')
    """
    base = hardware.chip(baseline)
    other = "try trainium2, h100 or b200"
    if base.id == "trainium3":
        raise data.TrnError(f"baseline = {baseline!r}: {base.name} is the chip itself; {other}")
    if "bf16" not in base.peak_flops_per_s:
        raise data.TrnError(
            f"baseline = {baseline!r}: {base.name} has no BF16 peak to compare; {other}"
        )
    old = hardware.system(base.usual_system)
    return Comparison(hardware.system(SUBJECT), old, readings(base.id), verdicts())


def claimed(claim_id: str) -> float:
    """Value of a claim.

    Parameters
    ----------
    claim_id : str
        Id of ``data/claims.csv``

    Returns
    -------
    float
        As claimed [its unit]
    """
    return float(data.table("claims").set_index("id").loc[claim_id, "claimed"])


def lead(found: Comparison) -> str:
    """The answer in a sentence.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    str
        The count of verdicts, or the ratio to another chip
    """
    if not found.named:
        return (
            f"The claims compare with Trainium2; one Trainium3 chip has "
            f"{words.ratio(found.ratio(found.dtype))} the {found.dtype.upper()} peak of "
            f"{found.name}."
        )
    n, counts = len(found.told), found.counts
    said = [f"{counts[verdict]} {does}" for verdict, does in VERDICTS.items()]
    start = "Yes" if counts["Holds"] == n else "Only in part"
    return f"{start}: of {n} claims {', '.join(said[:-1])}, and {said[-1]}."


def rest(found: Comparison) -> str:
    """The number behind the answer.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    str
        A sentence or two
    """
    dtype, bf16 = found.dtype, words.ratio(found.ratio("bf16"))
    ultra, fmt = words.ratio(found.ratio(dtype, "ultraserver")), dtype.upper()
    if found.named:
        goal = words.ratio(claimed("faster_4x"), digits=1)
        return (
            f"The {goal} speed-up is the {fmt} peak of a whole UltraServer ({ultra}); one chip has "
            f"{words.ratio(found.ratio(dtype))} the {fmt} peak of {found.name} and {bf16} its BF16 "
            "peak."
        )
    first = f"{found.base.name} has no FP8." if dtype == "bf16" else f"In BF16 it has {bf16}."
    return (
        f"{first} An UltraServer of {found.new.n_chips} chips has {ultra} the {fmt} peak of one "
        f"{found.old.name}."
    )


def figures(found: Comparison) -> list[story.Figure]:
    """The numbers under the answer.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    list of Figure
        Of a system, of a chip in two formats, and the count
    """
    fmt, of = found.dtype.upper(), f"of {found.base.name}"
    known = [
        (f"UltraServer, {fmt} peak", found.ratio(found.dtype, "ultraserver"), found.old.name),
        (f"One chip, {fmt} peak", found.ratio(found.dtype), of),
        ("One chip, BF16 peak", found.ratio("bf16"), of),
    ]
    if fmt == "BF16":
        known[2] = ("One chip, memory bandwidth", found.bandwidth, of)
    known[0] = (*known[0][:2], f"of one {known[0][2]}")
    shown = [story.Figure(label, words.ratio(value), what) for label, value, what in known]
    counts = found.counts
    condition = f"{counts['Cannot be checked']} cannot be checked"
    if not found.named:
        condition = f"against Trainium2; {condition}"
    whole = f"{counts['Holds']} of {len(found.told)}"
    return [*shown, story.Figure("Claims that hold", whole, condition)]


def counted(found: Comparison) -> pd.DataFrame:
    """How many claims there are of each verdict, and what it says.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    pandas.DataFrame
        Columns ``Verdict``, ``Claims``, ``What it says``
    """
    meaning = list(map(words.started, MEANING.values()))
    columns = {"Verdict": list(VERDICTS), "Claims": list(found.counts.values())}
    return pd.DataFrame(columns | {"What it says": meaning})


def limits(told: pd.DataFrame) -> pd.Series:
    """What would have to be true, or known, for each claim.

    Parameters
    ----------
    told : pandas.DataFrame
        From `verdicts`

    Returns
    -------
    pandas.Series
        Texts, with the power at which a claim on energy holds
    """
    texts = []
    for need, text in zip(told["needs"], told["needs_text"], strict=True):
        watts = words.si(data.compute(need), "W", 2) if need else ""
        texts.append(text.format(watts))
    return pd.Series(texts, index=told.index)


def _said(told: pd.DataFrame) -> pd.DataFrame:
    """Claim, who said it when, and what it speaks of."""
    days = [words.day(str(day)) for day in told["date"]]
    level = told["level"].str.replace("ultraserver", "UltraServer")
    against_what = (" against " + told["base"]).where(told["base"] != "", "")
    return pd.DataFrame(
        {
            "Claim": told["wording"].map(words.started),
            "Said by": told["claimant"].map(words.started) + ", " + days,
            "Level": (level + against_what).map(words.started),
        }
    )


def judged_in_words(found: Comparison) -> pd.DataFrame:
    """The claims that published numbers can settle.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    pandas.DataFrame
        Texts, those that hold first
    """
    told, order = found.told, list(VERDICTS)
    told = told[told["verdict"] != "Cannot be checked"]
    told = told.sort_values("verdict", key=lambda v: v.map(order.index), kind="stable")
    shown, spans, why = _said(told), [], []
    for row, limit in zip(told.itertuples(), limits(told), strict=True):
        known = np.isfinite(row.low)
        spans.append(f"{words.rng(row.low, row.high, digits=3)}×" if known else "—")
        provided = f" It holds if {limit}." if limit else ""
        why.append(f"{words.started(row.reason)}.{provided}")
    return shown.assign(Computed=spans, Verdict=told["verdict"], Why=why)


def unsettled_in_words(found: Comparison) -> pd.DataFrame:
    """The claims that nobody outside can check.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    pandas.DataFrame
        Texts, with what would settle each
    """
    told = found.told[found.told["verdict"] == "Cannot be checked"]
    shown = _said(told)
    shown["Why it cannot be checked"] = told["reason"].map(words.started) + "."
    shown["What would settle it"] = limits(told).map(words.started)
    return shown


def wrong_in_words() -> pd.DataFrame:
    """Wrong numbers in circulation, for a table.

    Returns
    -------
    pandas.DataFrame
        Columns ``What is said``, ``What is right``, ``Why it is wrong``
    """
    rent = data.price("trainium3", "assumed")
    rows = []
    for row in wrong_numbers().itertuples():
        text = row.right.replace("{rent}", words.rng(rent.low, rent.high))
        number = _right(row.low, row.value, row.high, row.unit)
        right = f"**{number}**: {text}" if number else text
        rows.append([row.statement, words.started(right), words.started(row.why)])
    return pd.DataFrame(rows, columns=["What is said", "What is right", "Why it is wrong"])


def _right(low: float, value: float, high: float, unit: str) -> str:
    """A right number with its unit; nothing where the right answer is no number."""
    if not np.isfinite(value):
        return ""
    if unit == "x":
        return words.ratio(value)
    ends = dict.fromkeys(f"{end:,.4g}" for end in (low, high))
    return f"{'–'.join(ends)} {unit}"


# ----------------------------------------------------------------------------------- one by hand
def data_sheet(found: Comparison) -> pd.DataFrame:
    """Dense peaks of both chips as their makers print them.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    pandas.DataFrame
        Columns ``Format``, and one by the name of each chip [TFLOP/s]; only formats of both
    """
    rows = []
    for dtype in dict.fromkeys((found.dtype, "bf16")):
        peaks = [chip.peak(chip.native(dtype)) / TERA for chip in (found.new.chip, found.base)]
        rows.append([compare.named_format(dtype, [found.new.chip, found.base]), *peaks])
    return pd.DataFrame(rows, columns=["Format", found.new.chip.name, found.base.name])


def system_peaks(found: Comparison) -> np.ndarray:
    """Peaks of the systems as the tables have them, over one another.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    numpy.ndarray
        One a row of `data_sheet` [-]
    """
    dtypes = dict.fromkeys((found.dtype, "bf16"))
    return np.array([found.ratio(dtype, "ultraserver") for dtype in dtypes])


def claimed_ratios() -> dict[str, float]:
    """Ratio that each claim of `counting` names, without what rounding explains.

    Returns
    -------
    dict of str to float
        By claim; 40% more is 1.4 [-]

    Examples
    --------
    >>> claimed_ratios()["energy_40"], claimed_ratios()["compute_4_4x"]
    (1.4, 4.4)
    """
    found = readings()
    return {claim: float(ratio) for claim, ratio in zip(found["claim_id"], found["claim"])}


def counting(claim_id: str = "") -> pd.DataFrame:
    """Readings of claims of the form "at least so many times".

    Parameters
    ----------
    claim_id : str
        One claim; all of them without it

    Returns
    -------
    pandas.DataFrame
        Columns ``claim_id``, ``wording``, ``label``, ``low``, ``high`` and ``goal``, the claimed
        ratio less what rounding explains [-]

    Examples
    --------
    >>> [(row.label, float(row.goal)) for row in counting("faster_4x").itertuples()][0]
    ('peak rate of an UltraServer, MXFP8 over FP8', 4.0)
    """
    found = readings()
    found = found[(found["role"] == "counts") & (found["rule"] == "at_least")]
    found = found[found["verdict_by"] == "computed"]
    found = found.assign(goal=found["claim"] * (1.0 - found["tolerance"]))
    if claim_id:
        found = found[found["claim_id"] == claim_id]
    return found[["claim_id", "wording", "label", "low", "high", "goal"]].reset_index(drop=True)


# --------------------------------------------------------------------------------------- pictures
HEADS = {
    "faster_4x": "Faster",
    "memory_4x": "More memory",
    "energy_40": "More energy efficient",
    "perf_watt_4x": "Performance per watt",
}
OTHERS = {
    "gpt_oss_3x": "GPT-OSS, tokens per chip",
    "gpt_oss_4x": "GPT-OSS, responses",
    "days_not_weeks": "Days instead of weeks",
}
"""Claims of the two charts, with their heads."""


def marks(found: Comparison, heads: dict[str, str], role: str = "") -> pd.DataFrame:
    """Readings of some claims as `trn3.show.charts.rows` draws them.

    Parameters
    ----------
    found : Comparison
        From `compared`
    heads : dict of str to str
        Claims with their heads, in their order
    role : str
        Only readings of that role

    Returns
    -------
    pandas.DataFrame
        Of `readings`, with ``group`` and ``text``; the claimed value only against the chip that the
        claims mean
    """
    shown = found.readings[found.readings["claim_id"].isin(heads)]
    if role:
        shown = shown[shown["role"] == role]
    shown = shown.sort_values("claim_id", key=lambda c: c.map(list(heads).index), kind="stable")
    missing = shown["value"].isna().map({True: "not supported", False: None})
    shown = shown.assign(group=shown["claim_id"].map(heads), text=missing)
    shown["short"] = shown["short"].str.replace(
        "MXFP8 against BF16 on Trainium2", "MXFP8 over BF16"
    )
    return shown if found.named else shown.drop(columns="claim")


def title(found: Comparison) -> str:
    """Title of the chart of the four claims.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    str
        The finding
    """
    one = words.ratio(found.ratio(found.dtype))
    if not found.named:
        return f"One Trainium3 chip has {one} the {found.dtype.upper()} peak of {found.base.name}"
    rows = found.readings[found.readings["claim_id"] == "faster_4x"]
    reach = [short.replace(", ", " in ") for short in rows[rows["met"]]["short"]]
    goal = words.ratio(claimed("faster_4x"), digits=1)
    if not reach:
        return f"Nothing reaches the claimed {goal}; one chip gives {one}"
    only, verb = ("Only the", "reaches") if len(reach) == 1 else ("The", "reach")
    return f"{only} {' and the '.join(reach)} {verb} the claimed {goal}; one chip gives {one}"


def others_title(found: Comparison) -> str:
    """Title of the chart of the claims whose setting nobody knows.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    str
        The finding
    """
    rows = found.readings
    rows = rows[(rows["claim_id"] == "gpt_oss_3x") & (rows["dtype"] != "mixed")]
    most = float(rows["value"].max())
    if not found.named:
        return f"Against {found.base.name}, the same format gives at most {words.ratio(most)}"
    goal = claimed("gpt_oss_3x")
    stands = "exceeds" if most < goal else "is within"
    times = words.ratio(goal, digits=1)
    return f"AWS's {times} on GPT-OSS {stands} the {words.ratio(most)} that one format gives"


def key(found: Comparison, *others: tuple[str, str, str]) -> Sequence[tuple[str, str, str]]:
    """Key of those charts.

    Parameters
    ----------
    found : Comparison
        From `compared`
    *others : tuple of str
        Entries besides the claimed value

    Returns
    -------
    sequence of tuple
        For `trn3.show.charts.finish`
    """
    return [("tick", "Claimed", "ink"), *others] if found.named else list(others)


def factors(found: Comparison) -> pd.DataFrame:
    """What the gain of a whole system is made of.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    pandas.DataFrame
        Columns ``factor``, ``ratio``
    """
    fmt = found.dtype.upper()
    parts = {
        "Chips per system": found.new.n_chips / found.old.n_chips,
        f"{fmt} per chip": found.ratio(found.dtype),
        f"{fmt} per system": found.ratio(found.dtype, "ultraserver"),
        "BF16 per chip": found.ratio("bf16"),
    }
    return pd.DataFrame({"factor": parts.keys(), "ratio": parts.values()})


# -------------------------------------------------------------------------------- what it rests on
def assumptions(found: Comparison) -> list[tuple[str, data.Fact]]:
    """The makers' numbers, and the power that nobody publishes.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    list of tuple
        Label and fact
    """
    facts = []
    for chip in (found.new.chip, found.base):
        for dtype in dict.fromkeys((found.dtype, "bf16")):
            native = chip.native(dtype)
            label = f"{chip.name} {native.upper()} peak"
            facts.append((label, chip.fact("peak_flops_per_s", native)))
        for label, quantity in (
            ("memory", "hbm_bytes"),
            ("memory bandwidth", "hbm_bytes_per_s"),
            ("power at full load", "power_w"),
        ):
            facts.append((f"{chip.name} {label}", chip.fact(quantity)))
    racks = (found.new, found.old)
    return facts + [(f"Chips of a {rack.name}", data.fact(rack.id, "n_chips")) for rack in racks]


def flips(found: Comparison) -> list[str]:
    """At which power the claims on energy would hold.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    list of str
        A sentence each
    """
    told = found.told[found.told["needs"] != ""]
    pairs = zip(told["wording"], limits(told), strict=True)
    return [f"“{words.started(wording)}” holds if {limit}." for wording, limit in pairs]


def checks() -> list[story.Check]:
    """AWS's own statements on its UltraServer beside its own tables.

    Returns
    -------
    list of Check
        In the grammar of the verdicts
    """
    rows = readings().set_index("claim_id")
    named = {"compute_4_4x": "peak compute", "bandwidth_3_9x": "memory bandwidth"}
    said = []
    for claim, word in named.items():
        row = rows.loc[claim]
        off = row["value"] / row["claim"] - 1.0
        side = "less" if off < 0 else "more"
        by = f"{words.pct(abs(off))} {side}"
        said.append(
            story.Check(
                data.verdict(claim),
                f"AWS states {words.ratio(row['claim'], digits=2)} the {word} for the UltraServer; "
                f"its own tables give **{words.ratio(row['value'])}**, {by} "
                f"(rounding explains {words.pct(row['tolerance'], 1)}).",
                "reproduces its input",
            )
        )
    return said


def sources(found: Comparison) -> list[str]:
    """Ids of the sources.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    list of str
        As cited
    """
    facts = [fact.source_id for _, fact in assumptions(found)]
    return [*facts, *found.told["source_id"], *wrong_numbers()["source_id"]]


def headline(found: Comparison) -> list[dict[str, Any]]:
    """The numbers that leave the page.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    list of dict
        For `trn3.show.story.results`
    """
    chip, over = found.ratio(found.dtype), f"over {found.base.name}"
    fmt, n_claims = found.dtype.upper(), len(found.told)
    conditions = f"over {found.old.name}, {fmt}; one chip {words.ratio(chip)}"
    ultra = story.number(
        f"UltraServer {fmt} peak ratio",
        [found.ratio(found.dtype, "ultraserver")],
        "×",
        conditions,
        baseline=1,
        status=data.verdict("faster_4x"),
    )
    derived = {"status": "derived"}
    one = story.number(f"Chip {fmt} peak ratio", [chip], "×", over, **derived)
    bf16 = story.number("Chip BF16 peak ratio", [found.ratio("bf16")], "×", over, **derived)
    held = [found.counts["Holds"]]
    count = story.number("Claims that hold", held, f"of {n_claims}", "as read here", **derived)
    return list({row["name"]: row for row in (ultra, one, bf16, count)}.values())


KEPT = [
    "id",
    "wording",
    "claimant",
    "date",
    "level",
    "base",
    "metric",
    "claimed",
    "unit",
    "verdict",
]
KEPT += ["reason"]
READ = ["claim_id", "label", "reading_level", "dtype", "low", "value", "high", "claim", "met"]
RIGHT = ["statement", "right", "low", "value", "high", "unit", "why"]


def tables(found: Comparison) -> dict[str, pd.DataFrame]:
    """Tables that leave the page.

    Parameters
    ----------
    found : Comparison
        From `compared`

    Returns
    -------
    dict of str to pandas.DataFrame
        Readings, verdicts and wrong numbers
    """
    return {
        "readings": found.readings[READ],
        "verdicts": found.told[KEPT],
        "wrong_numbers": wrong_numbers()[RIGHT],
    }
