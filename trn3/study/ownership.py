"""What a chip-hour costs its owner: purchase, building, power and capital; and published money to
check it by.

A rent is what a seller asks, an ownership cost what the hour costs the seller; both are USD per
chip-hour, and the gap between them is margin, risk and idle time. They are never compared with each
other as if they were alike.
"""

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from trn3 import cost, data, hardware, inference, serving_step, uncertainty, workload
from trn3.fit import trust
from trn3.show import story, words
from trn3.study import compare, footprint
from trn3.uncertainty import Input
from trn3.units import GIGA, HOUR_S, MEGA, YEAR_S

JUDGED = ("dealer_margin", "cluster_network_share")
"""Assumptions that were made with published costs of ownership in view."""


def owned(
    system: hardware.System, utilisation: float = 1.0, n: int = 4096, judged: bool = True
) -> dict[str, np.ndarray]:
    """Cost of a chip-hour to its owner, by part, from components: purchase, building, power,
    capital.

    Parameters
    ----------
    system : System
        The system
    utilisation : float
        Share of the hours that are sold; published costs count every hour [-]
    n : int
        Draws [-]
    judged : bool
        Whether the assumptions of `JUDGED` count, or nothing is taken off and added

    Returns
    -------
    dict of str to array
        Draws of server, facility, energy and operations [USD/h]

    Raises
    ------
    UnknownId
        When no purchase price of the chip, its server, its rack or its data centre is known

    Examples
    --------
    >>> sum(np.median(v) for v in owned(hardware.system("hgx_h100")).values()) > 1.0
    np.True_
    """
    names = (
        "server_life",
        "facility_life",
        "capital_rate",
        "operations_share",
        "nameplate_draw_share",
        "electricity_usd_per_kwh",
        "dealer_margin",
        "cluster_network_share",
    )
    given = {k: data.assumption(k) for k in names} | {
        "building": _bought("facility", "capex_usd_per_w")
    }
    retail, given["server"] = _purchase(system)
    inputs = {k: Input(f.low, f.value, f.high) for k, f in given.items()}
    inputs["power"] = Input(*(system.chip.power_w * footprint.nameplate_factor(system)))
    v = uncertainty.draws(inputs, n)
    if not judged:
        v |= dict.fromkeys(JUDGED, np.zeros(n))
    asset = cost.Asset(
        v["server"] * (1.0 - retail * v["dealer_margin"]) * (1.0 + v["cluster_network_share"]),
        v["server_life"] / YEAR_S,
        v["power"],
        v["nameplate_draw_share"],
        data.fact("us_east_2", "pue").value,
        v["electricity_usd_per_kwh"],
        v["building"],
        v["facility_life"] / YEAR_S,
        v["capital_rate"],
        v["operations_share"],
    )
    return {k: np.asarray(part) for k, part in cost.ownership(asset, utilisation).items()}


def _bought(subject: str, quantity: str = "capex_usd", basis: str = "", share: float = 1.0) -> Any:
    """A purchase price of the table, times a share."""
    wanted = {"subject": subject, "quantity": quantity, "basis": basis, "use": "yes"}
    rows = [r for r in data._rows(data.DATA, "prices") if wanted.items() <= r.items()]
    fact = data.to_fact(rows[0]) if rows else None
    return fact and replace(
        fact, value=fact.value * share, low=fact.low * share, high=fact.high * share
    )


def _purchase(system: hardware.System) -> tuple[bool, data.Fact]:
    """Whether the price is a dealer's, and the price per chip: from a rack, a server, a module
    or a whole site.
    """
    chip, rack, module = system.chip, _bought("gb200_nvl72", share=1 / 72), _bought("gb200")
    site = _bought("gb200_nvl72", "share_mech_elec")
    pue = data.fact("us_east_2", "pue").value
    facility_w = float(system.chip.power_w[1]) * footprint.nameplate_factor(system) * pue
    found = {
        "rack": _bought(system.id, share=1 / system.n_chips),
        "dealer": _bought(chip.id, basis="server"),
        "module": rack and module and _bought(chip.id, share=rack.value / module.value),
        "site": site and _bought(chip.id, "capex_usd_per_w", share=facility_w * (1.0 - site.value)),
    }
    for kind, fact in found.items():
        if fact:
            return kind == "dealer", fact
    raise data.UnknownId(f"{system.id}: no purchase price is known; see capex in data/prices.csv")


def _point_usd(row: Any, rack: hardware.System) -> np.ndarray:
    """Cost that a published serving point should have: low, mid, high of the speed's band."""
    shape = workload.model(row.model)
    dtype, band = row.dtype, inference.band(rack.chip, "throughput")[::-1]
    if row.what == "point":
        load = workload.ServingLoad(
            shape, int(row.input_tokens), int(row.output_tokens), weights_dtype=dtype
        )
        points = pd.concat(
            [inference.frontier(load, rack, apart).points for apart in (False, True)]
        )
        fast = points.query("tokens_per_s_per_user >= @row.tokens_per_s_per_user")[
            "output_tokens_per_s_per_chip"
        ].max()
        rent = float(np.median(sum(owned(rack).values())))
        return (
            cost.usd_per_unit(rent, fast * (1.0 + row.input_tokens / row.output_tokens))
            * MEGA
            / band
        )
    device, k = serving_step.device(rack, dtype), serving_step.constants(rack.chip)
    batch = np.array([row.batch]) if row.what == "decode" else np.arange(1.0, 513.0)
    widths = serving_step.dtype_bytes(dtype), serving_step.dtype_bytes("fp8")
    step = serving_step.Work(batch, row.input_tokens, row.output_tokens, *widths)
    time_s = serving_step.decode_s(shape, device, serving_step.Layouts(1.0, row.ranks), k, step)
    if row.what == "decode":
        return cost.usd_per_unit(row.price, batch / time_s) * MEGA / band
    writes = np.max((batch / time_s)[time_s * row.tokens_per_s_per_user <= 1.0])
    prompt = serving_step.Work(
        1.0, row.input_tokens, 1.0, step.weight_bytes, step.kv_bytes, prompts=8.0
    )
    reads = (
        8.0
        * row.input_tokens
        / serving_step.prefill_s(shape, device, serving_step.Layouts(1.0, 32.0), k, prompt)
    )
    busy = row.output_per_day / writes + row.input_per_day * (1.0 - row.cached_share) / reads
    fleet = np.array(
        [1.0, 1.0, data.assumption("serving_fleet_utilisation").value]
    )  # it follows the load
    return busy / HOUR_S * row.price / band / fleet


def checks(judged: bool = True) -> pd.DataFrame:
    """Published money beside what this project computes.

    Parameters
    ----------
    judged : bool
        As for `owned`

    Returns
    -------
    DataFrame
        check, unit, published, predicted, low, high, ratio, kind, source_id, note, part, and
        constant, what the list price gives; `kind` is independent, left out or reproduces its
        input, and only the first two count. Those that no formula can predict are left out
    """
    return _checks(data.DATA, judged).copy()


@functools.cache
def _checks(folder: Path, judged: bool) -> pd.DataFrame:
    """The checks of a data folder; they depend on no report's parameters, so a batch computes
    them once.
    """
    rows = data.table("money_checks").query("unscored == ''")
    text = {"check", "what", "unit", "model", "system", "dtype", "kind", "source_id", "note"}
    text |= {"part", "list_price", "unscored"}
    for name in set(rows.columns) - text:
        rows[name] = pd.to_numeric(rows[name])
    out = []
    for row in rows.itertuples():
        rack = hardware.system(row.system)
        if row.what in ("tco", "gigawatt"):
            hour = sum(owned(rack, judged=judged).values())
            many = _chip_hours_per_gigawatt(rack) if row.what == "gigawatt" else 1.0
            low, mid, high = (p * many for p in uncertainty.percentiles(np.asarray(hour)))
        else:
            low, mid, high = np.ravel(_point_usd(row, rack))
        found = row.published, mid, low, high, mid / row.published
        about = (
            row.kind,
            row.source_id,
            row.note,
            row.part,
            f"{row.source_id} {row.system} {row.model}",
        )
        out.append((row.check, row.unit, *found, *about, _by_list_price(row, rack)))
    names = [
        "check",
        "unit",
        "published",
        "predicted",
        "low",
        "high",
        "ratio",
        "kind",
        "source_id",
        "note",
        "part",
        "group",
        "constant",
    ]
    return pd.DataFrame(out, columns=names)


def _by_list_price(row: Any, rack: hardware.System) -> float:
    """What anyone would have said to a published cost: the list price of the chip, or of the
    model's tokens, the middle of its sellers.
    """
    if row.what == "day":
        return float(row.list_price)
    if row.what in ("tco", "gigawatt"):
        rent = data.price(rack.chip.id, *row.list_price.split()).value
        return rent * (_chip_hours_per_gigawatt(rack) if row.what == "gigawatt" else 1.0)
    prices = data.table("prices").query("subject == @row.model and term == 'api_list'")
    ask = prices[prices["use"] == "yes"].groupby("quantity")["value"].median()
    written = float(ask["price_output_usd_per_mtok"])
    if row.what == "decode":
        return written
    read, tokens = float(ask["price_input_usd_per_mtok"]), row.input_tokens + row.output_tokens
    return (row.input_tokens * read + row.output_tokens * written) / tokens


def _chip_hours_per_gigawatt(rack: hardware.System) -> float:
    """Chip-hours a year on a site of a gigawatt, in billions."""
    pue = data.fact("us_east_2", "pue").value
    site_w = rack.chip.power_w[1] * footprint.nameplate_factor(rack) * pue
    return float(GIGA / site_w * YEAR_S / HOUR_S / GIGA)


class Hours(NamedTuple):
    """What an hour costs the owners of several systems.

    Attributes
    ----------
    parts : pandas.DataFrame
        Columns ``chip``, ``part`` and ``usd``, the median of each part [USD/h].
    whole : pandas.DataFrame
        Columns ``chip``, ``low``, ``usd`` and ``high`` [USD/h].
    note : str
        Whose purchase price nobody knows.
    """

    parts: pd.DataFrame
    whole: pd.DataFrame
    note: str


def hours(systems: Iterable[str]) -> Hours:
    """What an hour costs the owners of several systems, by part and in all.

    Parameters
    ----------
    systems : iterable of str
        Ids of systems or chips

    Returns
    -------
    Hours
        Parts, wholes, and who is left out

    Examples
    --------
    >>> found = hours(["hgx_h100", "hgx_v100"])
    >>> found.whole["chip"].tolist(), len(found.parts), found.note
    (['H100 SXM'], 4, 'No purchase price is known of V100 SXM2 32GB.')
    """
    answers = compare.ask(owned, systems)
    parts, whole = [], []
    for key, found in answers.found.items():
        chip = hardware.system(key).chip.name
        parts += [
            {"chip": chip, "part": part.capitalize(), "usd": float(np.median(usd))}
            for part, usd in found.items()
        ]
        low, middle, high = uncertainty.percentiles(np.asarray(sum(found.values())))
        whole.append({"chip": chip, "low": low, "usd": middle, "high": high})
    unknown = ", ".join(hardware.system(key).chip.name for key in answers.missing)
    return Hours(
        pd.DataFrame(parts, columns=["chip", "part", "usd"]),
        pd.DataFrame(whole, columns=["chip", "low", "usd", "high"]),
        f"No purchase price is known of {unknown}." if unknown else "",
    )


UNITS = {"BUSD/yr": "billion USD a year"}
"""Units of `checks` that a reader writes otherwise."""
HELD = "Within band"
MANY = "InferenceX"
"""Checks whose points are told together."""


def told(rows: pd.DataFrame) -> list[story.Check]:
    """`checks` as a page lists them: one line each, and one for the many points of a benchmark.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `checks`

    Returns
    -------
    list of Check
        For `trn3.show.story.checks`
    """
    inside = pd.Series({row.Index: trust.verdict(row) == HELD for row in rows.itertuples()})
    many = rows["check"].str.startswith(MANY)
    said = [_one(row, bool(inside[row.Index])) for row in rows[~many].itertuples()]
    points, n_inside = rows[many], int(inside[many].sum())
    if len(points):
        lowest, highest = points["ratio"].min(), points["ratio"].max()
        text = (
            f"**{MANY}, {len(points)} points of modelled cost.** {n_inside} of them within the "
            f"range; the computed costs are {words.sig(lowest)} to {words.sig(highest)} times the "
            "published ones. Its points may come from many servers joined, with several tokens "
            "predicted a step."
        )
        said.append(story.Check(_share_inside(n_inside, len(points)), text, points["kind"].iloc[0]))
    return said


def _share_inside(n_inside: int, n_points: int) -> str:
    if n_inside == n_points:
        return HELD
    return "Partly" if 2 * n_inside > n_points else "Outside band"


def _one(row: Any, inside: bool) -> story.Check:
    computed, published = _amount(row.predicted), _amount(row.published)
    text = (
        f"**{row.check}.** Computed {computed} {UNITS.get(row.unit, row.unit)} "
        f"({words.band(row.low, row.high)}), published {published}."
    )
    return story.Check(HELD if inside else "Outside band", text, row.kind)


def _amount(value: float) -> str:
    """Two decimals below a hundred, three digits above."""
    return words.fixed(value, 2) if value < 100 else words.fixed(words.rounded(value, 3), 0)
