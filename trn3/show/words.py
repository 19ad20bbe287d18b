"""Words: how numbers, ranges and verdicts read, on all pages.

One set of rules for numbers: two significant digits for predictions, three for specifications, an
en dash in ranges, a true minus sign. One grammar for comparisons, from the 80% range of a ratio and
the share of the cases that fall on the better side:

* **clear**: the whole range lies on one side ("Trainium3 is cheaper than B200");
* **likely**: 80% of the cases or more do ("likely cheaper: 84% of the cases");
* **open**: neither ("either may be cheaper: 57% of the cases say Trainium3").
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

DIGITS = 12
"""Significant digits that every shown number is rounded to first: processors differ in the last
four of the sixteen that a float has, and what is rounded from there is the same on all [-].
"""


def rounded(value: float, digits: int = DIGITS) -> float:
    """Round to significant digits, so that the last bits of a float decide nothing.

    Every number that leaves for a chart, a table, a results file or a sentence goes through here.

    Parameters
    ----------
    value : float
        The number; what is not finite stays [any].
    digits : int
        Significant digits, rounded from `DIGITS` [-].

    Returns
    -------
    float
        The number [the same unit].

    Examples
    --------
    >>> 0.1 + 0.2, rounded(0.1 + 0.2), rounded(26_350.0, 2)
    (0.30000000000000004, 0.3, 26000.0)
    >>> f"{0.575 * 100:.0f}", f"{rounded(0.575 * 100):.0f}"
    ('57', '58')
    """
    whole = float(f"{value:.{DIGITS}g}") + 0.0  # which makes −0 a plain 0
    return whole if digits >= DIGITS else float(f"{whole:.{digits}g}")


def sig(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Format a number to significant digits.

    Parameters
    ----------
    value : float or None
        The number; missing ones read "not published" [any].
    digits : int
        2 for predictions, 3 for published specifications [-].
    unit : str
        Appended after a space.

    Returns
    -------
    str
        With thousands commas and a true minus sign.

    Examples
    --------
    >>> sig(2.146), sig(671.3, 3), sig(131072, 6), sig(-0.94), sig(1, 2), sig(None)
    ('2.1', '671', '131,072', '−0.94', '1.0', 'not published')
    """
    if value is None or not math.isfinite(value):
        return "not published"
    if value == 0:
        return ("0 " + unit).strip()
    value = rounded(value, digits)
    return fixed(value, digits - 1 - math.floor(math.log10(abs(value)))) + (
        f" {unit}" if unit else ""
    )


def fixed(value: float, decimals: int) -> str:
    """Format with so many decimals, thousands commas and a true minus sign.

    Parameters
    ----------
    value : float
        The number [any].
    decimals : int
        Decimals, at least 0 [-].

    Returns
    -------
    str
        The number as text.
    """
    decimals = max(0, decimals)
    short = round(rounded(value), decimals) + 0.0  # no sign before a zero
    return f"{short:,.{decimals}f}".replace("-", "−")


def rng(low: float | None, high: float | None, unit: str = "", digits: int = 2) -> str:
    """Format a range: en dash, unit once; "to" where an end is negative.

    Parameters
    ----------
    low, high : float or None
        The ends; missing ones read "range unknown" [any].
    unit : str
        Appended after a space.
    digits : int
        Significant digits of the larger end [-].

    Returns
    -------
    str
        The range.

    Examples
    --------
    >>> rng(3.3, 5.6, "USD"), rng(-0.93, 2.81), rng(0.971, 1.384, digits=3), rng(4, 4), rng(None, 2)
    ('3.3–5.6 USD', '−0.9 to 2.8', '0.97–1.38', '4.0', 'range unknown')
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "range unknown"
    low, high = rounded(low), rounded(high)
    if low == high:
        return sig(low, digits, unit)
    decimals = digits - 1 - math.floor(math.log10(max(abs(low), abs(high))))
    ends = [fixed(round(v, decimals), decimals) for v in (low, high)]
    return (" to " if low < 0 else "–").join(ends) + (f" {unit}" if unit else "")


def ratio(value: float, of: str = "", digits: int = 3) -> str:
    """Format a ratio: with a multiplication sign from 1 on, as a share of the base below.

    Parameters
    ----------
    value : float
        The ratio [-].
    of : str
        Name of the base, for shares.
    digits : int
        Significant digits from 1 on; below it is two [-].

    Returns
    -------
    str
        For example "1.94×" or "0.55 of B200".

    Examples
    --------
    >>> ratio(1.938), ratio(0.5512, "B200"), ratio(1)
    ('1.94×', '0.55 of B200', '1.00×')
    """
    if not math.isfinite(value):
        return "not supported"
    if rounded(value) >= 0.995:
        return sig(value, digits) + "×"
    return f"{sig(value)} of {of}" if of else f"{sig(value)}×"


def big(value: float, digits: int = 2) -> str:
    """Format a count: commas from a thousand, words from a million.

    Parameters
    ----------
    value : float
        The count [any].
    digits : int
        Significant digits from a million on [-].

    Returns
    -------
    str
        For example "131,072" or "3.6 million".

    Examples
    --------
    >>> big(131072), big(3.61e6), big(15.6e12, 3), big(-2.5e6)
    ('131,072', '3.6 million', '15.6 trillion', '−2.5 million')
    """
    value = rounded(value)
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{sig(value / size, digits)} {word}"
    return fixed(value, 0) if abs(value) >= 100 or value == round(value) else sig(value, digits)


def counted(n: int, what: str) -> str:
    """A number of things, with an s where there are several.

    Parameters
    ----------
    n : int
        How many [-].
    what : str
        One of them.

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> counted(1, "user"), counted(1872, "user")
    ('1 user', '1,872 users')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


def amount(value: float) -> str:
    """Format a count that was given, such as tokens of a run: as short as it can be said exactly.

    Parameters
    ----------
    value : float
        The count [any].

    Returns
    -------
    str
        For example "2 trillion".

    Examples
    --------
    >>> amount(2e12), amount(15.6e12), amount(512)
    ('2 trillion', '15.6 trillion', '512')
    """
    return re.sub(r"\.0+(?= |$)", "", big(value, 3))


def on_chips(n_chips: int, n_systems: int = 1) -> str:
    """Chips of one copy of a model, and whether several servers are joined for it.

    Parameters
    ----------
    n_chips, n_systems : int
        Chips, and the servers, racks or UltraServers that they lie in [-].

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> on_chips(1), on_chips(144), on_chips(256, 32)
    ('1 chip', '144 chips', '256 chips of 32 joined systems')
    """
    chips = f"{n_chips:,} chip{'s' * (n_chips > 1)}"
    return f"{chips} of {n_systems:,} joined systems" if n_systems > 1 else chips


def money(value: float, per: str = "", currency: str = "USD") -> str:
    """Format an amount: ISO code after it, two decimals below a hundred; a dash for none.

    Parameters
    ----------
    value : float
        The amount, NaN where there is none [USD].
    per : str
        Basis, for example "chip-hour".
    currency : str
        ISO code.

    Returns
    -------
    str
        For example "12.36 USD per chip-hour" or "3.6 million USD".

    Examples
    --------
    >>> money(12.357, "chip-hour"), money(3.6e6), money(1540), money(math.nan)
    ('12.36 USD per chip-hour', '3.6 million USD', '1,540 USD', '—')
    """
    if math.isnan(value):
        return "—"
    text = fixed(value, 2) if abs(rounded(value)) < 100 else big(value)
    return f"{text} {currency}" + (f" per {per}" if per else "")


def bill(usd: float, terms: str, per: str = "month") -> str:
    """A sum with its rent; the rent alone where there is no sum.

    Parameters
    ----------
    usd : float
        The sum; NaN for none [USD].
    terms : str
        The rent in words, or why there is none.
    per : str
        For how long.

    Returns
    -------
    str
        For the line under a number.

    Examples
    --------
    >>> bill(4.21e6, "3.50 USD per chip-hour"), bill(math.nan, "no price on demand")
    ('4.2 million USD a month at 3.50 USD per chip-hour', 'no price on demand')
    """
    if not math.isfinite(usd):
        return terms
    return f"{money(rounded(usd, 2))} a {per} at {terms}"


def pct(value: float, digits: int = 2) -> str:
    """Format a share as per cent.

    Parameters
    ----------
    value : float
        The share, 0 to 1 [-].
    digits : int
        Significant digits [-].

    Returns
    -------
    str
        For example "40%".

    Examples
    --------
    >>> pct(0.4), pct(0.0683), pct(1)
    ('40%', '6.8%', '100%')
    """
    return sig(100 * value, max(digits, 3 if abs(rounded(value)) >= 0.995 else digits)) + "%"


def share(value: float) -> str:
    """Format a share that may be nearly nothing or nearly all.

    Parameters
    ----------
    value : float
        The share, 0 to 1 [-].

    Returns
    -------
    str
        Per cent, or the bound that it keeps.

    Examples
    --------
    >>> share(0.0003), share(0.124), share(0.9999)
    ('under 0.1%', '12%', 'over 99.9%')
    """
    if value < 0.0005:
        return "under 0.1%"
    return "over 99.9%" if value > 0.9995 else pct(value)


def shares(low: float, high: float) -> str:
    """An 80% range of shares, in per cent.

    Parameters
    ----------
    low, high : float
        Its ends, 0 to 1 [-].

    Returns
    -------
    str
        The range with what it is.

    Examples
    --------
    >>> shares(0.83, 0.89), shares(0.0, 0.0001)
    ('80% range 83–89%', '80% range under 0.1%')
    """
    if high < 0.0005:
        return "80% range under 0.1%"
    return f"80% range {rng(100 * low, 100 * high)}%"


def run_time(days: float) -> str:
    """Format the time of a run; what takes a million days never ends.

    Parameters
    ----------
    days : float
        The time [d].

    Returns
    -------
    str
        In its natural unit.

    Examples
    --------
    >>> run_time(81), run_time(0.5), run_time(2e6)
    ('81 days', '12 hours', 'never')
    """
    return duration(86400 * days) if days < 1e6 else "never"


def si(value: float, unit: str, digits: int = 3) -> str:
    """Format with an SI prefix.

    Parameters
    ----------
    value : float
        The number in the bare unit [unit].
    unit : str
        Unit without prefix, for example "FLOP/s".
    digits : int
        Significant digits [-].

    Returns
    -------
    str
        For example "2.52 PFLOP/s".

    Examples
    --------
    >>> si(2.517e15, "FLOP/s"), si(4.9e12, "B/s", 2), si(0.0154, "s")
    ('2.52 PFLOP/s', '4.9 TB/s', '15.4 ms')
    """
    if not math.isfinite(value) or value == 0:
        return sig(value, digits, unit)
    power = min(6, max(-3, math.floor(math.log10(abs(rounded(value, digits))) / 3)))
    prefix = ("n", "µ", "m", "", "k", "M", "G", "T", "P", "E")[power + 3]
    return f"{sig(value / 1000.0**power, digits)} {prefix}{unit}"


def duration(seconds: float, digits: int = 2) -> str:
    """Format a time in its natural unit.

    Parameters
    ----------
    seconds : float
        The time [s].
    digits : int
        Significant digits [-].

    Returns
    -------
    str
        Milliseconds below one second, days below 400.

    Examples
    --------
    >>> duration(0.0154), duration(90), duration(41 * 86400), duration(3e8)
    ('15 ms', '1.5 minutes', '41 days', '9.5 years')
    """
    word, size = time_unit(seconds)
    return sig(seconds / size, digits, word)


YEAR_S = 365.25 * 86400.0
"""Seconds of a year."""

TIMES = (
    (1.0, "ms", 1e-3),
    (60.0, "s", 1.0),
    (3600.0, "minutes", 60.0),
    (2 * 86400.0, "hours", 3600.0),
    (400 * 86400.0, "days", 86400.0),
    (math.inf, "years", YEAR_S),
)
"""Below how many seconds a time is told in which unit, and the seconds of the unit."""


def time_unit(seconds: float) -> tuple[str, float]:
    """The natural unit of a time.

    Parameters
    ----------
    seconds : float
        The time [s].

    Returns
    -------
    tuple of str and float
        Name of the unit, and how long it is [s].

    Examples
    --------
    >>> time_unit(0.2), time_unit(41 * 86400)
    (('ms', 0.001), ('days', 86400.0))
    """
    return next((word, size) for limit, word, size in TIMES if rounded(seconds) < limit)


def lasting(low: float, middle: float, high: float) -> str:
    """A time with its 80% range, in the natural unit of its middle.

    Parameters
    ----------
    low, middle, high : float
        The time and its range [s].

    Returns
    -------
    str
        For the middle of a sentence.

    Examples
    --------
    >>> lasting(36000, 46800, 180000), lasting(9.8 * 86400, 12.6 * 86400, 16.1 * 86400)
    ('13 hours (80% range 10–50 hours)', '13 days (80% range 10–16 days)')
    """
    unit, size = time_unit(middle)
    return f"{duration(middle)} ({band(low / size, high / size, unit)})"


def beyond(n_chips: float, scored_chips: float) -> str:
    """Says that a size lies beyond the largest run that predictions were scored on.

    Parameters
    ----------
    n_chips : float
        Chips of a job [-].
    scored_chips : float
        Of the largest scored run [-].

    Returns
    -------
    str
        A clause with its comma, or nothing.

    Examples
    --------
    >>> beyond(16384, 8192), beyond(512, 8192)
    (', extrapolated', '')
    """
    return ", extrapolated" if n_chips > scored_chips else ""


def day(text: str) -> str:
    """Format a date for prose.

    Parameters
    ----------
    text : str
        ISO date or month; anything else is given back.

    Returns
    -------
    str
        For example "22 Nov 2026".

    Examples
    --------
    >>> day("2026-11-22"), day("2026-01"), day("2026")
    ('22 Nov 2026', 'Jan 2026', '2026')
    """
    is_month = bool(re.fullmatch(r"\d{4}-\d{2}", text))
    try:
        when = date.fromisoformat(f"{text}-01" if is_month else text)
    except ValueError:
        return text
    return f"{when:%b %Y}" if is_month else f"{when.day} {when:%b %Y}"


def neat(text: str) -> str:
    """The house's typography in texts from tables; a month such as 2026-07 stays a date.

    Parameters
    ----------
    text : str
        As it stands in a table.

    Returns
    -------
    str
        With en dashes in ranges and no space before a per cent sign.

    Examples
    --------
    >>> neat("12-18 months, 40 %, 2026-07")
    '12–18 months, 40%, 2026-07'
    """
    ends = r"(?<![\w.,-])(?!20\d\d-[01]\d\b)(\d[\d.,]*)-(\d[\d.,]*)(?![\w-])"
    return re.sub(r"(?<=\d) %", "%", re.sub(ends, r"\1–\2", text))


Word = Literal["clear", "likely", "open"]

LIKELY = 0.8
"""Share of the cases from which on a comparison is called likely [-]."""

Z80 = 1.2815515655446004
"""Standard deviations from the middle of a normal distribution to the ends of its 80% range [-]."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison says, and how surely.

    Attributes
    ----------
    word : str
        ``clear``, ``likely`` or ``open``.
    share : float
        Share of the cases in which the subject is the better one, 0 to 1 [-].
    """

    word: Word
    share: float

    @property
    def better(self) -> bool:
        """Whether more cases than not speak for the subject."""
        return self.share >= 0.5


def share_above(low: float, middle: float, high: float, threshold: float = 1.0) -> float:
    """Share of the cases above a threshold, when only an 80% range of a ratio is known.

    The logarithm is taken as normal on either side of the middle, with the deviation that the end
    on that side gives: P = Phi(Z80 ln(middle / threshold) / ln(middle / end)).

    Parameters
    ----------
    low, middle, high : float
        Ends and middle of the 80% range, positive [-].
    threshold : float
        The value that is held against [-].

    Returns
    -------
    float
        Share, 0 to 1 [-].

    Examples
    --------
    The ends of an 80% range leave 10% outside on either side.

    >>> [round(share_above(0.5, 1.0, 2.0, t), 3) for t in (0.5, 1.0, 2.0)]
    [0.9, 0.5, 0.1]
    """
    distance = math.log(middle / threshold)
    end = low if distance > 0 else high
    deviation = abs(math.log(middle / end)) / Z80
    if deviation == 0:
        return 0.5 if distance == 0 else float(distance > 0)
    return 0.5 * math.erfc(-distance / deviation / math.sqrt(2))


def verdict(low: float, middle: float, high: float, share: float | None = None) -> Verdict:
    """The verdict on a ratio of which more than one is better.

    Parameters
    ----------
    low, middle, high : float
        Ends and middle of the 80% range of the ratio [-].
    share : float, optional
        Share of the drawn cases above one; estimated from the range without it [-].

    Returns
    -------
    Verdict
        The word and the share [-].

    Examples
    --------
    >>> verdict(1.2, 1.5, 1.9).word, verdict(0.95, 1.3, 1.8).word, verdict(0.7, 1.1, 1.6).word
    ('clear', 'likely', 'open')
    """
    share = share_above(low, middle, high) if share is None else share
    if low > 1 or high < 1:
        return Verdict("clear", share)
    if max(share, 1 - share) >= LIKELY:
        return Verdict("likely", share)
    return Verdict("open", share)


CLEAR = 0.9
"""Share of the cases from which on the whole 80% range lies on one side: its ends are the 10th and
the 90th percentile [-].
"""


def of_share(share: float) -> Verdict:
    """The verdict when only the share of the drawn cases is known.

    Parameters
    ----------
    share : float
        Share of the cases in which the subject is the better one, 0 to 1 [-].

    Returns
    -------
    Verdict
        ``clear`` from nine cases in ten on one side, ``likely`` from eight, else ``open``.

    Examples
    --------
    >>> [of_share(share).word for share in (0.95, 0.82, 0.57, 0.2, 0.04)]
    ['clear', 'likely', 'open', 'likely', 'clear']
    """
    most = max(share, 1 - share)
    if most >= CLEAR:
        return Verdict("clear", share)
    return Verdict("likely" if most >= LIKELY else "open", share)


def least(choice: str, wins: float) -> str:
    """Which of several choices costs least, in the grammar of all pages.

    Parameters
    ----------
    choice : str
        The one that costs least most often.
    wins : float
        Share of the cases in which it does, 0 to 1 [-].

    Returns
    -------
    str
        A clause without its stop.

    Examples
    --------
    >>> [least("staying on H200", wins).split(":")[0] for wins in (0.95, 0.84)]
    ['staying on H200 costs least', 'staying on H200 likely costs least']
    >>> least("staying on H200", 0.68)
    'the choice is open: staying on H200 costs least most often, in 68% of the cases'
    >>> least("waiting", 0.04)
    'the choice is open: waiting costs least most often, in 4.0% of the cases'
    """
    cases = f"{share(wins)} of the cases"
    if wins >= CLEAR:
        return f"{choice} costs least: {cases}"
    if wins >= LIKELY:
        return f"{choice} likely costs least: {cases}"
    return f"the choice is open: {choice} costs least most often, in {cases}"


def against(
    found: Verdict, subject: str, rival: str, better: str, worse: str, given: str = ""
) -> str:
    """A comparison as a clause without its stop, in the one grammar of all pages.

    Parameters
    ----------
    found : Verdict
        What the ratio says.
    subject, rival : str
        The two that are compared.
    better, worse : str
        Comparatives, such as "cheaper" and "dearer".
    given : str
        What an open answer is conditional on, such as "at an assumed 3.50 USD".

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> pair = ("Trainium3", "B200", "cheaper", "dearer")
    >>> against(verdict(1.2, 1.5, 1.9), *pair)
    'Trainium3 is cheaper than B200'
    >>> against(verdict(0.5, 0.7, 1.02), *pair)
    'Trainium3 is likely dearer than B200: 89% of the cases'
    >>> against(Verdict("open", 0.57), *pair, given="at an assumed 3.50 USD")
    'either may be cheaper, Trainium3 or B200: at an assumed 3.50 USD, 57% of the cases say
    Trainium3'
    """
    word = better if found.better else worse
    if found.word == "clear":
        return f"{subject} is {word} than {rival}"
    if found.word == "likely":
        cases = max(found.share, 1 - found.share)
        return f"{subject} is likely {word} than {rival}: {pct(cases)} of the cases"
    said = f"{pct(found.share)} of the cases say {subject}"
    if given:
        said = f"{given}, {said}"
    return f"either may be {better}, {subject} or {rival}: {said}"


def titled(found: Verdict, subject: str, rival: str, better: str, worse: str) -> str:
    """A comparison as the title of a chart: the same grammar in fewer words.

    Parameters
    ----------
    found : Verdict
        What the ratio says.
    subject, rival : str
        The two that are compared.
    better, worse : str
        Comparatives, such as "cheaper" and "dearer".

    Returns
    -------
    str
        The title.

    Examples
    --------
    >>> titled(Verdict("open", 0.57), "Trainium3", "B200", "cheaper", "dearer")
    'Open: either may be cheaper, Trainium3 or B200'
    >>> titled(Verdict("likely", 0.84), "Trainium3", "B200", "cheaper", "dearer")
    'Trainium3 is likely cheaper than B200'
    """
    if found.word == "open":
        return f"Open: either may be {better}, {subject} or {rival}"
    said = against(found, subject, rival, better, worse).partition(":")[0]
    return f"{said[:1].upper()}{said[1:]}"


def band(low: float, high: float, unit: str = "", digits: int = 2) -> str:
    """An 80% range in brackets' words.

    Parameters
    ----------
    low, high : float
        Its ends [unit].
    unit : str
        Appended after a space.
    digits : int
        Significant digits of the larger end [-].

    Returns
    -------
    str
        The range with what it is.

    Examples
    --------
    >>> band(1.9, 5.3)
    '80% range 1.9–5.3'
    """
    return f"80% range {rng(low, high, unit, digits)}"


def compared(
    low: float, middle: float, high: float, subject: str, rival: str, better: str, worse: str
) -> str:
    """A comparison with its ratio and range, as a clause without its stop.

    Parameters
    ----------
    low, middle, high : float
        Ends and middle of the 80% range of the ratio of the two, more being better; NaN where one
        of them has no answer [-].
    subject, rival : str
        The two that are compared.
    better, worse : str
        Comparatives, such as "faster" and "slower".

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> compared(0.32, 0.52, 0.88, "Trainium3", "H200", "faster", "slower")
    'Trainium3 is slower than H200 (0.52×, 80% range 0.32–0.88)'
    >>> compared(math.nan, math.nan, math.nan, "Trainium3", "H200", "faster", "slower")
    'Trainium3 and H200 cannot be compared, as one of them has no answer'
    >>> compared(1.0, 1.0, 1.0, "Trainium3", "Trainium3", "faster", "slower")
    'there is nothing to compare Trainium3 with'
    """
    if subject == rival:
        return f"there is nothing to compare {subject} with"
    if not math.isfinite(middle):
        return f"{subject} and {rival} cannot be compared, as one of them has no answer"
    said = against(verdict(low, middle, high), subject, rival, better, worse)
    return f"{said} ({ratio(middle, digits=2)}, {band(low, high)})"


def finding(
    low: float,
    middle: float,
    high: float,
    subject: str,
    rival: str,
    better: str,
    worse: str,
    drawn: str,
) -> str:
    """The title of a chart that compares two: the finding, else what is drawn.

    Parameters
    ----------
    low, middle, high : float
        As for `compared` [-].
    subject, rival : str
        The two that are compared.
    better, worse : str
        Comparatives, such as "faster" and "slower".
    drawn : str
        What the chart shows, for where there is nothing to compare.

    Returns
    -------
    str
        The title.

    Examples
    --------
    >>> pair = ("Trainium3", "H200", "faster", "slower", "Output per chip")
    >>> finding(0.32, 0.52, 0.88, *pair), finding(math.nan, math.nan, math.nan, *pair)
    ('Trainium3 is slower than H200', 'Output per chip')
    """
    if subject == rival or not math.isfinite(middle):
        return drawn
    return titled(verdict(low, middle, high), subject, rival, better, worse)


def out_of_reach(system: str, what: str, ttft_s: float, tpot_s: float) -> str:
    """That a system cannot keep limits of time, with the nearest that it reaches.

    Parameters
    ----------
    system, what : str
        Who, and what it would serve.
    ttft_s, tpot_s : float
        Time to the first token and per further token at its nearest point [s].

    Returns
    -------
    str
        A sentence without its stop.

    Examples
    --------
    >>> out_of_reach("One server", "Llama", 0.21, 0.012)
    'One server cannot serve Llama within these limits; its nearest point sends the first token
    after 210 ms and each further one after 12 ms'
    """
    return (
        f"{system} cannot serve {what} within these limits; its nearest point sends the first "
        f"token after {duration(ttft_s)} and each further one after {duration(tpot_s)}"
    )


def missed(middle: float, low: float, high: float) -> str:
    """By what factor predictions were off, with the range of that factor where it is known.

    Parameters
    ----------
    middle, low, high : float
        Factor, and the 80% range of its own uncertainty [-].

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> missed(2.23, 1.24, 2.62), missed(1.1, math.nan, math.nan)
    ('2.2× (1.2–2.6)', '1.1×')
    """
    span = f" ({rng(low, high)})" if math.isfinite(low) and low < high else ""
    return f"{sig(middle)}×{span}"


def capital(text: str) -> str:
    """Start with a capital, and leave the rest as it is.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        The same otherwise.

    Examples
    --------
    >>> capital("speculative decoding with EAGLE3"), capital("")
    ('Speculative decoding with EAGLE3', '')
    """
    return f"{text[:1].upper()}{text[1:]}"


def case(what: str, values: Mapping[str, float], unit: str) -> str:
    """What comes out in another case for each of several, or that nothing does.

    Parameters
    ----------
    what : str
        The case.
    values : mapping of str to float
        What comes out, by name; NaN where there is no answer [unit].
    unit : str
        Unit of the values.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> case("Half the time", {"Trainium3": 307.0, "H200": math.nan}, "tokens/s")
    'Half the time: Trainium3 **310 tokens/s**, H200 **no answer**.'
    """
    parts = []
    for name, value in values.items():
        said = sig(value, unit=unit) if math.isfinite(value) else "no answer"
        parts.append(f"{name} **{said}**")
    return f"{what}: {', '.join(parts)}."


def place(value: float, others: Mapping[str, float], tolerance: float = 0.005) -> str:
    """Where a number stands among others.

    Parameters
    ----------
    value : float
        The number in question [unit].
    others : mapping of str to float
        Those of the rivals, by name; missing ones are NaN [unit].
    tolerance : float
        Share within which two are level [-].

    Returns
    -------
    str
        For the middle of a sentence, after "stands".

    Examples
    --------
    >>> rivals = {"A": 1.0, "B": 2.0, "C": 4.0}
    >>> place(3.0, rivals), place(2.0, rivals), place(9.0, rivals)
    ('between B and C', 'level with B', 'above all rivals named here')
    >>> place(3.0, {}), place(3.0, {"A": 1.0})
    ('alone', 'above A')
    """
    known = {name: number for name, number in others.items() if math.isfinite(number)}
    if not known:
        return "alone"
    level = [name for name, number in known.items() if abs(number / value - 1) <= tolerance]
    if level:
        return f"level with {' and '.join(level[:2])}"
    below = {name: number for name, number in known.items() if number < value}
    above = {name: number for name, number in known.items() if number > value}
    if below and above:
        return (
            f"between {max(below, key=lambda n: below[n])} and {min(above, key=lambda n: above[n])}"
        )
    side = "above" if below else "below"
    return f"{side} all rivals named here" if len(known) > 1 else f"{side} {next(iter(known))}"


def turning(what: str, users: Sequence[float], limited: Sequence[bool]) -> str:
    """From how many users on arithmetic is the limit, and not memory.

    Parameters
    ----------
    what : str
        The work.
    users : sequence of float
        Numbers of users that were tried, rising [-].
    limited : sequence of bool
        Whether arithmetic is the limit there.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> turning("Decoding", [1, 2, 4], [False, True, True])
    'Decoding is limited by arithmetic from about **2** users on, and by memory below.'
    >>> turning("Decoding", [1, 2, 4], [False, False, False])
    'Decoding is limited by memory at **every** number of users up to 4, the most that were tried.'
    """
    first = next((n for n, is_limited in zip(users, limited) if is_limited), None)
    if first is None:
        most = f"up to {big(users[-1])}, the most that were tried"
        return f"{what} is limited by memory at **every** number of users {most}."
    if first == users[0]:
        return f"{what} is limited by arithmetic at **every** number of users."
    from_there = f"from about **{big(first)}** users on"
    return f"{what} is limited by arithmetic {from_there}, and by memory below."


def waits(low: float, high: float) -> str:
    """An 80% range of a time, each end in its natural unit.

    Parameters
    ----------
    low, high : float
        Its ends [s].

    Returns
    -------
    str
        The range with what it is.

    Examples
    --------
    >>> waits(0.3, 1.6), waits(60, 160)
    ('80% range 300 ms to 1.6 s', '80% range 1.0 minutes to 2.7 minutes')
    """
    return f"80% range {duration(low)} to {duration(high)}"


def priced(found: Verdict, subject: str, rival: str, at: str, turns: str) -> str:
    """A verdict that hangs on a rent, with the rent and where the answer turns.

    Parameters
    ----------
    found : Verdict
        What the ratio of the break-even rent to the rent says.
    subject, rival : str
        The two that are compared.
    at : str
        The rent, such as "at an assumed 3.50 USD".
    turns : str
        The rent at which both cost the same.

    Returns
    -------
    str
        A sentence without its stop.

    Examples
    --------
    >>> priced(Verdict("clear", 0.03), "Trainium3", "B200", "at an assumed 3.50 USD", "1.29 USD")
    'At an assumed 3.50 USD Trainium3 is dearer than B200; the answer turns at 1.29 USD'
    """
    said = against(found, subject, rival, "cheaper", "dearer")
    return f"{at[:1].upper()}{at[1:]} {said}; the answer turns at {turns}"


def below(subject: str, does: str, rival: str, low: float, middle: float, high: float) -> str:
    """A break-even rent as a clause without its stop: what holds below it in the middle case.

    Parameters
    ----------
    subject : str
        What is rented.
    does : str
        What it does below that rent, a verb with its object and a comparative.
    rival : str
        What it is compared with, and how that is bought.
    low, middle, high : float
        The break-even rent and its 80% range [USD/h].

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> below("Trainium3", "costs less per token", "H200 on demand", 1.84, 3.04, 5.1)
    'Trainium3 costs less per token than H200 on demand below 3.04 USD per chip-hour in the middle
    case (80% range 1.8–5.1)'
    >>> below("moving", "costs less", "staying", -2.0, -1.0, 1.0)
    'moving costs less than staying at no rent, in the median of the cases'
    """
    if middle <= 0:
        return f"{subject} {does} than {rival} at no rent, in the median of the cases"
    turns = f"{money(middle, 'chip-hour')} in the middle case ({band(low, high)})"
    return f"{subject} {does} than {rival} below {turns}"


def times(low: float, middle: float, high: float) -> str:
    """A ratio to today's amount with its range, for the middle of a sentence.

    Parameters
    ----------
    low, middle, high : float
        The ratio and its 80% range [-].

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> times(0.61, 0.998, 1.62), times(1.1, 1.62, 2.4)
    ('1.0 (0.6–1.6) times', '1.6 (1.1–2.4) times')
    """
    return f"{sig(middle)} ({rng(low, high)}) times"


def saving(share: float) -> str:
    """A share of a bill that is saved, as a verb with its object.

    Parameters
    ----------
    share : float
        Of the bill; negative where it costs more [-].

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> saving(0.12), saving(-0.22)
    ('save 12% of the bill', 'cost 22% more than staying')
    """
    return (
        f"save {pct(share)} of the bill" if share >= 0 else f"cost {pct(-share)} more than staying"
    )


def a(word: str) -> str:
    """A word with its article.

    Parameters
    ----------
    word : str
        Lower case.

    Returns
    -------
    str
        With "a" or "an".

    Examples
    --------
    >>> a("assumed"), a("published")
    ('an assumed', 'a published')
    """
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"


def started(clause: str) -> str:
    """A clause with a capital.

    Parameters
    ----------
    clause : str
        Any.

    Returns
    -------
    str
        The same otherwise.

    Examples
    --------
    >>> started("at an assumed 3.50 USD"), started("")
    ('At an assumed 3.50 USD', '')
    """
    return clause[:1].upper() + clause[1:]


def tally(found: Iterable[Verdict], better: str, worse: str, rivals: str) -> str:
    """Count the verdicts of one subject against several rivals, the open ones last.

    Parameters
    ----------
    found : iterable of Verdict
        One for each rival.
    better, worse : str
        Comparatives, such as "cheaper" and "dearer".
    rivals : str
        What it is compared with, in the plural.

    Returns
    -------
    str
        For the middle of a sentence.

    Examples
    --------
    >>> tally([Verdict("open", 0.5), Verdict("likely", 0.85)], "cheaper", "dearer", "rivals")
    'likely cheaper than 1 of 2 rivals, open against 1 (either may be cheaper)'
    """
    verdicts = list(found)
    sides: Counter[tuple[Word, bool]] = Counter(
        (v.word, v.better) for v in verdicts if v.word != "open"
    )
    parts = []
    order: tuple[tuple[Word, bool], ...] = (
        ("clear", True),
        ("likely", True),
        ("likely", False),
        ("clear", False),
    )
    for word, is_better in order:
        n = sides[word, is_better]
        if n:
            side = better if is_better else worse
            parts.append((f"likely {side} than" if word == "likely" else f"{side} than", n))
    n_open = len(verdicts) - sides.total()
    if n_open:
        parts.append(("open against", n_open))
    said = [f"{link} {n}" for link, n in parts]
    if len(verdicts) == 1:
        said = [f"{parts[0][0]} the {rivals.removesuffix('s')}"]
    elif said:
        said[0] += f" of {len(verdicts)} {rivals}"
    return ", ".join(said) + (f" (either may be {better})" if n_open else "")


def closing(
    what: str,
    where: str,
    hours: float,
    usd: float,
    before: tuple[float, float],
    after: tuple[float, float],
    unit: str = "",
    closes: bool = True,
) -> str:
    """The cheapest measurement that would close an open answer, as a sentence.

    Parameters
    ----------
    what : str
        What to run.
    where : str
        The system, one that can be had.
    hours : float
        For how long [h].
    usd : float
        What the chips cost for that time; NaN where they have no price [USD].
    before, after : tuple of float
        The 80% range now, and when the run comes out in the middle of it [unit].
    unit : str
        Unit of the range.
    closes : bool
        Whether the narrowed range would settle the answer.

    Returns
    -------
    str
        The sentence.

    Examples
    --------
    >>> closing("X", "one H200", 24, 1146, (1.5, 4.0), (2.0, 3.0), "USD")  # doctest: +ELLIPSIS
    'What closes it: run X on one H200 for 24 hours (about 1,100 USD); the 80% range ... USD.'
    """
    lead = "What closes it" if closes else "What narrows it most, without closing it by itself"
    price = f" (about {money(rounded(usd, 2))})" if math.isfinite(usd) else ""
    spans = f"{rng(*before)} to {rng(*after, unit)}"
    if min(before) < 0:  # whose ends are joined by "to" as well
        widths = [sig(high - low) for low, high in (before, after)]
        spans = f"a width of {widths[0]} to {widths[1]} {unit}"
    return (
        f"{lead}: run {what} on {where} for {duration(hours * 3600.0)}{price}; the 80% range "
        f"would narrow from {spans}."
    )
