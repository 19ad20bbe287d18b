"""Energy: power of a chip from what it does, then node, building, carbon and water.

A busy chip draws a floor (leakage, clocks, sequencers) and a dynamic part that grows with FLOP,
bytes of HBM and bytes of links. The joules per event are bounded by the rated power, which a large
matrix multiplication draws. A chip without requests draws its idle power, which is less than the
floor. What a site must be able to feed, the provisioned power, is more than the mean draw: it is
the nameplate.

References
----------
Horowitz 2014, doi:10.1109/ISSCC.2014.6757323 (energy by event); Patterson et al. 2021,
arXiv:2104.10350 (energy and carbon of a run); Luccioni et al. 2022, arXiv:2211.02001 (idle and
embodied shares).
"""

import dataclasses

import numpy as np

from trn3.units import KWH_J, MEGA, Array, require


@dataclasses.dataclass(frozen=True)
class Joules:
    """What a chip's events cost.

    Attributes
    ----------
    floor_w : Array
        Steady part of a busy chip's power: leakage, clocks, control [W].
    per_flop : Array
        Energy of a floating-point operation in the format asked for [J].
    per_hbm_byte : Array
        Energy of a byte from or to HBM [J/B].
    per_link_byte : Array
        Energy of a byte sent to another chip [J/B].
    rated_w : Array
        Power that the chip does not exceed [W].
    """

    floor_w: Array
    per_flop: Array
    per_hbm_byte: Array
    per_link_byte: Array
    rated_w: Array


def coefficients(
    rated_w: Array,
    floor_share: Array,
    per_hbm_byte: Array,
    per_link_byte: Array,
    full_load: tuple[Array, Array, Array],
    least_arithmetic: Array = 0.0,
) -> Joules:
    r"""Joules per operation such that the chip draws its rated power at full load.

    .. math:: e_{FLOP} = (P_{rated} - P_{floor} - e_{HBM} r_{HBM} - e_{link} r_{link}) / r_{FLOP}

    for the rates r of the full load.

    Parameters
    ----------
    rated_w : Array
        Rated power of the chip [W].
    floor_share : Array
        Steady part of a busy chip's power, over the rated power; from 0 to below 1 [-].
    per_hbm_byte : Array
        Energy of a byte from or to HBM [J/B].
    per_link_byte : Array
        Energy of a byte sent to another chip [J/B].
    full_load : tuple of Array
        FLOP/s, HBM bytes/s and link bytes/s of the load that draws the rated power, a large matrix
        product [1/s].
    least_arithmetic : Array
        Share of the power above the floor that arithmetic takes at least, whatever memory and links
        are said to take [-].

    Returns
    -------
    Joules
        Floor and joules per FLOP, HBM byte and link byte.

    Raises
    ------
    InputError
        If a power or the FLOP/s are not positive, or the floor share is not below 1.

    Notes
    -----
    For a format that leaves most of the array unused the joules per FLOP are an upper bound: see
    `slow_format`.

    Examples
    --------
    >>> c = coefficients(1000.0, 0.4, 40e-12, 25e-12, (2e15, 2e12, 0.0))
    >>> round(float(c.per_flop) * 1e12, 2), c.floor_w
    (0.26, 400.0)
    """
    require("rated_w", rated_w, "W")
    require("floor_share", floor_share, "", closed=True)
    require("1 - floor_share", 1.0 - np.asarray(floor_share), "")
    flops_per_s, hbm_bytes_per_s, link_bytes_per_s = full_load
    require("flops_per_s", flops_per_s, "FLOP/s")
    dynamic_w = rated_w * (1.0 - floor_share)
    left_w = dynamic_w - per_hbm_byte * hbm_bytes_per_s - per_link_byte * link_bytes_per_s
    per_flop = np.maximum(left_w, least_arithmetic * dynamic_w) / flops_per_s
    return Joules(rated_w * floor_share, per_flop, per_hbm_byte, per_link_byte, rated_w)


def slow_format(
    joules: Joules, speed_ratio: Array, bits_ratio: Array, position: Array = 0.5
) -> Joules:
    """Coefficients for a wider number format, from those of the format that the chip runs fastest.

    Per FLOP between `bits_ratio` times (the array idles, the chip stays below its rating) and
    `speed_ratio` times (it draws the rating all the same), on a logarithmic scale.

    Parameters
    ----------
    joules : Joules
        Coefficients of the fastest format.
    speed_ratio : Array
        Peak of the fastest format over the peak of this one, at least `bits_ratio` [-].
    bits_ratio : Array
        Bits of this format over bits of the fastest [-].
    position : Array
        0 for the low end, 1 for the high end [-].

    Returns
    -------
    Joules
        The same chip with the joules per FLOP of this format.

    Examples
    --------
    A format of twice the bits at half the speed has nothing to choose from.

    >>> c = coefficients(1000.0, 0.4, 40e-12, 25e-12, (2e15, 4e12, 0.0))
    >>> round(float(slow_format(c, 2.0, 2.0).per_flop / c.per_flop), 9)
    2.0
    """
    low = np.minimum(bits_ratio, speed_ratio)
    return dataclasses.replace(
        joules, per_flop=joules.per_flop * low * (speed_ratio / low) ** position
    )


def chip_parts_j(
    joules: Joules, time_s: Array, flops: Array, hbm_bytes: Array, link_bytes: Array
) -> dict[str, Array]:
    """Energy of one chip over a time in which it did some work, by what it went to.

    floor x time + joules per event x events; if that exceeds the rating, the events share what the
    rating leaves.

    Parameters
    ----------
    joules : Joules
        Coefficients of the chip.
    time_s : Array
        Time, waiting included [s].
    flops : Array
        Operations done in it [FLOP].
    hbm_bytes : Array
        Bytes moved from and to HBM in it [B].
    link_bytes : Array
        Bytes sent to other chips in it [B].

    Returns
    -------
    dict of str to Array
        ``floor``, ``arithmetic``, ``memory``, ``links`` [J].

    Raises
    ------
    InputError
        If the time is not positive or a count is negative.

    Examples
    --------
    At full load the chip draws its rating.

    >>> c = coefficients(1000.0, 0.4, 40e-12, 25e-12, (2e15, 4e12, 0.0))
    >>> round(float(sum(chip_parts_j(c, 1.0, 2e15, 4e12, 0.0).values())), 6)
    1000.0
    """
    require("time_s", time_s, "s")
    for name, count in (("flops", flops), ("hbm_bytes", hbm_bytes), ("link_bytes", link_bytes)):
        require(name, count, "", closed=True)
    events = {
        "arithmetic": joules.per_flop * flops,
        "memory": joules.per_hbm_byte * hbm_bytes,
        "links": joules.per_link_byte * link_bytes,
    }
    room = (joules.rated_w - joules.floor_w) * time_s
    nothing = 1e-300  # joules, so that no event divides by zero
    scale = np.minimum(1.0, room / np.maximum(sum(events.values()), nothing))
    return {"floor": joules.floor_w * time_s} | {
        name: part * scale for name, part in events.items()
    }


def idle_j(rated_w: Array, idle_share: Array, time_s: Array) -> Array:
    r"""Energy of a chip over a time in which it has no requests.

    .. math:: E = d P_{rated} t

    Parameters
    ----------
    rated_w : Array
        Rated power of the chip [W].
    idle_share : Array
        Power without requests over the rated power; from 0 to 1 [-].
    time_s : Array
        Time without requests [s].

    Returns
    -------
    Array
        Energy of the chip [J].

    Raises
    ------
    InputError
        If a share or the time is negative, or the share above 1.

    Notes
    -----
    A server that keeps its clocks up while it waits draws the floor of `Joules` instead.

    Examples
    --------
    An H200 of 700 W drew about 74 W without work.

    >>> round(float(idle_j(700.0, 74 / 700, 10.0)))
    740
    """
    require("idle_share", idle_share, "", closed=True)
    require("1 - idle_share", 1.0 - np.asarray(idle_share), "", closed=True)
    require("time_s", time_s, "s", closed=True)
    return rated_w * idle_share * time_s


def host_w(rated_w: Array, nameplate_factor: Array, draw_share: Array) -> Array:
    """Power of hosts, switches, adapters and conversion per chip.

    .. math:: (k - 1) P_{rated} d

    Parameters
    ----------
    rated_w : Array
        Rated power of the chip [W].
    nameplate_factor : Array
        Nameplate of the node or rack over the sum of its chips' ratings, at least 1 [-].
    draw_share : Array
        Share of the nameplate of these parts that they draw while the job runs [-].

    Returns
    -------
    Array
        Power per chip beside the chip [W].

    Examples
    --------
    A DGX H100 is rated 10.2 kW for eight chips of 700 W.

    >>> round(float(host_w(700.0, 10200 / 5600, 1.0)))
    575
    """
    require("nameplate_factor", nameplate_factor, "", low=1.0, closed=True)
    return (nameplate_factor - 1.0) * rated_w * draw_share


def provisioned_w(rated_w: Array, nameplate_factor: Array, pue: Array) -> Array:
    r"""Power per chip that a site must be able to feed, at the meter of the building.

    .. math:: P = PUE \, k \, P_{rated}

    Parameters
    ----------
    rated_w : Array
        Rated power of the chip [W].
    nameplate_factor : Array
        Nameplate of the node or rack over the sum of its chips' ratings, at least 1 [-].
    pue : Array
        Power usage effectiveness of the building, at least 1 [-].

    Returns
    -------
    Array
        Provisioned power per chip; the mean draw is below it [W].

    Raises
    ------
    InputError
        If the factor or the PUE is below 1.

    Examples
    --------
    A DGX H100 is rated 10.2 kW for eight chips of 700 W: at PUE 1.2 a megawatt feeds 653 chips.

    >>> int(1e6 / provisioned_w(700.0, 10200 / 5600, 1.2))
    653
    """
    require("nameplate_factor", nameplate_factor, "", low=1.0, closed=True)
    require("pue", pue, "", low=1.0, closed=True)
    return rated_w * nameplate_factor * pue


def facility_parts_j(
    parts: dict[str, Array], time_s: Array, host_w: Array, pue: Array
) -> dict[str, Array]:
    """Energy at the meter of the building: chip parts, hosts and network, cooling and conversion.

    Parameters
    ----------
    parts : dict of str to Array
        Result of `chip_parts_j` [J].
    time_s : Array
        The same time [s].
    host_w : Array
        Power per chip beside the chip [W].
    pue : Array
        Power usage effectiveness, energy at the meter over energy of the IT equipment; at least 1
        [-].

    Returns
    -------
    dict of str to Array
        The parts given, ``host`` and ``cooling`` [J].

    Raises
    ------
    InputError
        If the PUE is below 1.

    Examples
    --------
    >>> facility_parts_j({"floor": 400.0, "arithmetic": 400.0}, 1.0, 200.0, 1.25)["cooling"].item()
    250.0
    """
    require("pue", pue, "", low=1.0, closed=True)
    it_parts = parts | {"host": host_w * np.asarray(time_s)[()]}
    return it_parts | {"cooling": (pue - 1.0) * sum(it_parts.values())}


def carbon_kg(energy_j: Array, grid_g_per_kwh: Array) -> Array:
    """Emissions of an amount of electricity.

    Parameters
    ----------
    energy_j : Array
        Energy at the meter of the building [J].
    grid_g_per_kwh : Array
        Carbon intensity of the grid, average or marginal, location-based or market-based [g/kWh].

    Returns
    -------
    Array
        Emissions, CO2 equivalent [kg].

    Examples
    --------
    Patterson et al. 2021: GPT-3 took 1,287 MWh at 429 g/kWh, 552 t.

    >>> round(float(carbon_kg(1287 * 3.6e9, 429.0)) / 1000)
    552
    """
    require("grid_g_per_kwh", grid_g_per_kwh, "g/kWh", closed=True)
    return energy_j / KWH_J * grid_g_per_kwh / 1000.0


def embodied_kg(
    chip_seconds: Array, kg_per_chip: Array, life_s: Array, utilisation: Array
) -> Array:
    """Share of the manufacturing emissions that a job carries.

    m t / (life u).

    Parameters
    ----------
    chip_seconds : Array
        Chip time of the job [s].
    kg_per_chip : Array
        Emissions of making a chip with its part of the server [kg].
    life_s : Array
        Time in service [s].
    utilisation : Array
        Share of the life in which the chip is rented or works [-].

    Returns
    -------
    Array
        Emissions, CO2 equivalent [kg].

    Examples
    --------
    >>> embodied_kg(1e6, 500.0, 1e8, 0.5)
    10.0
    """
    require("life_s", life_s, "s")
    require("utilisation", utilisation, "")
    return chip_seconds * kg_per_chip / (life_s * utilisation)


def per_megawatt(rate_per_chip_s: Array, facility_w_per_chip: Array) -> Array:
    """Output of a megawatt of building, all of it in chips; times 3600 it is output per MWh.

    Parameters
    ----------
    rate_per_chip_s : Array
        Output of one chip, such as tokens per second [1/s].
    facility_w_per_chip : Array
        Power per chip at the meter of the building [W].

    Returns
    -------
    Array
        Output per second and megawatt [1/(s MW)].

    Examples
    --------
    >>> per_megawatt(1000.0, 1250.0)
    800000.0
    """
    require("facility_w_per_chip", facility_w_per_chip, "W")
    return rate_per_chip_s * MEGA / facility_w_per_chip


def bill_share(facility_w: Array, usd_per_kwh: Array, usd_per_chip_h: Array) -> Array:
    """Electricity over the rental price of a chip-hour.

    Parameters
    ----------
    facility_w : Array
        Power per chip at the meter of the building [W].
    usd_per_kwh : Array
        Price of electricity [USD/kWh].
    usd_per_chip_h : Array
        Rental price of the chip [USD/h].

    Returns
    -------
    Array
        Share [-].

    Examples
    --------
    1 kW at PUE 1.14 and 0.08 USD/kWh costs 0.09 USD, under 3 % of a chip-hour of 3.5 USD.

    >>> round(float(bill_share(1140.0, 0.08, 3.5)), 3)
    0.026
    """
    require("usd_per_chip_h", usd_per_chip_h, "USD/h")
    return facility_w / 1000.0 * usd_per_kwh / usd_per_chip_h


def implied_w(base_w: Array, speed_ratio: Array, efficiency_ratio: Array) -> Array:
    """Power that a claim of work per watt leaves to the new system.

    P_new = P_old x speed ratio / efficiency ratio.

    Parameters
    ----------
    base_w : Array
        Power of the old chip or system [W].
    speed_ratio : Array
        Work per second, new over old [-].
    efficiency_ratio : Array
        Work per joule, new over old, as claimed [-].

    Returns
    -------
    Array
        Power of the new chip or system [W].

    Examples
    --------
    Twice the compute at 40 % more per watt from a 500 W chip.

    >>> round(float(implied_w(500.0, 2.0, 1.4)))
    714
    """
    require("efficiency_ratio", efficiency_ratio, "")
    return base_w * speed_ratio / efficiency_ratio
