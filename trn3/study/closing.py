"""Which measurement closes an open answer, what it costs, and how far it narrows the range.

The break-even rent of two chips is uncertain because both speeds are predictions. A run of one's
own on one of them replaces the range of that speed by the scatter of a measurement
(``measured_speed_spread``). Only systems with a listed rent can be measured by anybody; for the
others an offer in writing, held against the ends of the range, is all there is.
"""

import math
from dataclasses import dataclass

import numpy as np

from trn3 import cost, data, hardware
from trn3.show import words
from trn3.study import rents
from trn3.units import HOUR_S

WORTH = 0.1
"""Share of its range that a run must take away, or it is not worth its price [-]."""
TINY = 1e-3
"""Rent below which all rents are alike: nothing is rented for less [USD/h]."""


@dataclass(frozen=True)
class Candidate:
    """A system on which the load may be measured.

    Attributes
    ----------
    system : System
        Where it runs.
    speed : numpy.ndarray
        Low, middle, high of the predicted work per chip [1/s].
    n_chips : int
        Chips of one copy [-].
    rent : Rent
        What a chip-hour costs.
    """

    system: hardware.System
    speed: np.ndarray
    n_chips: int
    rent: rents.Rent

    @property
    def can_be_had(self) -> bool:
        """Whether anybody lists it."""
        return not rents.unlisted(self.system.chip.id)

    @property
    def measured(self) -> np.ndarray:
        """The speed after a run that came out in the middle of its range [1/s]."""
        spread = data.assumption("measured_speed_spread").value
        middle = float(self.speed[1])
        low, high = (max(self.speed[0], middle / spread), min(self.speed[2], middle * spread))
        return np.array([low, middle, high])

    @property
    def n_rented(self) -> int:
        """Chips that must be rented: whole servers [-]."""
        whole = self.system.n_chips
        return math.ceil(self.n_chips / whole) * whole


@dataclass(frozen=True)
class Measurement:
    """A run that narrows a break-even rent.

    Attributes
    ----------
    on : Candidate
        Where.
    hours, usd : float
        How long, and what the chips cost [h], [USD].
    before, after : BreakEven
        The break-even rent now, and with the speed known.
    closes : bool
        Whether the verdict at the rent in question is then no longer open.
    """

    on: Candidate
    hours: float
    usd: float
    before: rents.BreakEven
    after: rents.BreakEven
    closes: bool

    @property
    def narrows(self) -> float:
        """Share of the range, on a logarithmic scale, that the run takes away [-]."""
        before = np.log(max(self.before.high, TINY) / max(self.before.low, TINY))
        after = np.log(max(self.after.high, TINY) / max(self.after.low, TINY))
        return float(1.0 - after / before) if before > 0 else 0.0

    def sentence(self, what: str = "your load") -> str:
        """What to run, where, for how long, and what it gives.

        Parameters
        ----------
        what : str
            The load

        Returns
        -------
        str
            In words
        """
        chip, n = self.on.system.chip.name, self.on.n_rented
        return words.closing(
            what,
            f"{n:,} rented {chip}",
            self.hours,
            self.usd,
            (self.before.low, self.before.high),
            (self.after.low, self.after.high),
            "USD per chip-hour",
            self.closes,
        )


def measurements(own: Candidate, rival: Candidate, rent_usd_per_chip_h: float) -> list[Measurement]:
    """Runs that anybody can make, the one to make first leading.

    Parameters
    ----------
    own, rival : Candidate
        The two chips that are compared
    rent_usd_per_chip_h : float
        Rent of the first, at which the answer is open [USD/h]

    Returns
    -------
    list of Measurement
        Those that would close it, by cost, and then those that would not, by what they leave open

    Examples
    --------
    >>> from trn3 import hardware
    >>> h100, h200 = hardware.system("hgx_h100"), hardware.system("hgx_h200")
    >>> wide = np.array([1.0, 2.0, 4.0])
    >>> a = Candidate(h100, wide, 8, rents.given("h100", 4.0))
    >>> b = Candidate(h200, wide, 8, rents.given("h200", 5.0))
    >>> [m.on.system.id for m in measurements(a, b, 4.5)]
    ['hgx_h100', 'hgx_h200']
    """
    hours = data.assumption("measurement_s").value / HOUR_S
    rival_usd = rival.rent.usd_per_chip_h
    before = rents.break_even(own.speed, rival.speed, rival_usd)
    found = []
    for on in (own, rival):
        if not on.can_be_had:
            continue
        speeds = (on.measured, rival.speed) if on is own else (own.speed, on.measured)
        after = rents.break_even(*speeds, rival_usd)
        closes = after.verdict(rent_usd_per_chip_h).word != "open"
        usd = float(cost.run_usd(on.n_rented, hours * HOUR_S, on.rent.usd_per_chip_h))
        found.append(Measurement(on, hours, usd, before, after, closes))
    return sorted(found, key=lambda m: (not m.closes, m.usd if m.closes else m.after.high))


def worthwhile(found: list[Measurement]) -> list[Measurement]:
    """The runs that close an answer or narrow its range by a tenth or more.

    Parameters
    ----------
    found : list of Measurement
        From `measurements`

    Returns
    -------
    list of Measurement
        In the same order

    Examples
    --------
    >>> h100 = Candidate(hardware.system("hgx_h100"), np.ones(3), 8, rents.given("h100", 4.0))
    >>> wide, narrow = rents.BreakEven(1.0, 2.0, 4.0), rents.BreakEven(1.01, 2.0, 3.99)
    >>> worthwhile([Measurement(h100, 24.0, 1.0, wide, narrow, closes=False)])
    []
    """
    return [run for run in found if run.closes or run.narrows >= WORTH]


def offer_in_writing(
    even: rents.BreakEven, subject: str, rival: str, better: str = "cheaper"
) -> str:
    """The rents at which an offer alone would settle the answer.

    Parameters
    ----------
    even : BreakEven
        The break-even rent
    subject, rival : str
        The two that are compared
    better : str
        What the subject is below the range

    Returns
    -------
    str
        In words
    """
    return (
        f"An offer in writing settles it without a measurement if {subject} rents below "
        f"{words.money(even.low)} ({better} than {rival} over the whole range) or above "
        f"{words.money(even.high)}."
    )
