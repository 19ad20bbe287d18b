"""One chip beside a rival in a few ratios, and the first answer of every page of the collection.

Both systems are taken at their best: the fastest layout that fits in memory for training, the
highest throughput within the limits on latency for serving. A ratio of tokens per dollar needs both
rents bought in one way. The assumed rent of a chip that nobody lists rests on Capacity Blocks, so
it is held against a Capacity Block of the rival; the break-even rent needs no rent of the chip.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from trn3 import data, hardware, inference, serving_step, training, workload
from trn3.fit import trust
from trn3.show import story, words
from trn3.study import (
    claims,
    compare,
    explore,
    footprint,
    pricing,
    rents,
    runs,
    scaling,
    stacks,
    waiting,
)
from trn3.uncertainty import percentiles, ratio_range

BUSY = 0.6
"""Share of the time in which serving chips are busy, for their energy [-]."""
LARGE = (16384, 1_000_000)
"""Chips of one job and of the cluster of page 06 [-]."""
LARGE_JOB = ("llama3_1_405b", 15.6e12, 8192, 2048)
"""Model, tokens, sequence and batch of page 06."""


@dataclass(frozen=True)
class Question:
    """What is compared, and on which work.

    Attributes
    ----------
    system, rival : str
        The system in question, and the one that could be rented instead.
    load : ServingLoad
        What is served.
    job : TrainingJob
        What is trained, in BF16.
    n_chips : int
        Chips of that run [-].
    purchase : Purchase
        How both are bought.
    software : str, Software or Stacks
        Level of the software on the system in question; on its rival it is typical, or that of the
        reader's own runs.
    """

    system: str
    rival: str
    load: workload.ServingLoad
    job: workload.TrainingJob
    n_chips: int
    purchase: pricing.Purchase
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL

    def level(self, kind: str, system: hardware.System) -> stacks.Level:
        """Level of the software of a system.

        Parameters
        ----------
        kind : str
            ``serving`` or ``training``
        system : System
            Where it runs

        Returns
        -------
        str or Software
            For ``software=`` of the estimates
        """
        first = hardware.system(self.system).id
        return stacks.given(self.software).level(kind, system, system.id == first)


@dataclass(frozen=True, eq=False)
class Overview:
    """Both systems on that work.

    Attributes
    ----------
    question : Question
        What was asked.
    points : dict of str to ServingPoint
        Serving at its best, by the id of the system.
    prints : dict of str to Footprint
        Energy of that, by the id.
    trained : dict of str to dict
        Training runs by format, each by the id of the system.
    missing : tuple of str
        Why a run has no answer, a sentence each.
    rent, paid, alike : Rent
        Of the chip in question; of the rival as it is bought; and of the rival bought as the first
        rent is.
    """

    question: Question
    points: Mapping[str, inference.ServingPoint]
    prints: Mapping[str, footprint.Footprint]
    trained: Mapping[str, Mapping[str, training.TrainingEstimate]]
    missing: tuple[str, ...]
    rent: rents.Rent
    paid: rents.Rent
    alike: rents.Rent

    @property
    def systems(self) -> tuple[hardware.System, hardware.System]:
        """The system in question and its rival."""
        return hardware.system(self.question.system), hardware.system(self.question.rival)

    @property
    def names(self) -> tuple[str, str]:
        """Names of both chips, of the systems where the chip is the same."""
        new, old = self.systems
        if new.chip.name == old.chip.name:
            return new.name, old.name
        return _named(new.chip), _named(old.chip)

    @property
    def dtype(self) -> str:
        """Format of serving."""
        return self.question.load.weights_dtype

    @property
    def format(self) -> str:
        """That format with what a chip calls it that has another."""
        return self.called(self.dtype)

    def called(self, dtype: str) -> str:
        """A format with what a chip calls it that has another.

        Parameters
        ----------
        dtype : str
            Format

        Returns
        -------
        str
            Such as "FP8 (MXFP8 on Trainium3)"
        """
        return compare.named_format(dtype, [each.chip for each in self.systems])

    @property
    def speeds(self) -> tuple[np.ndarray, np.ndarray]:
        """Low, middle and high of the output tokens a second of a chip, of both [1/s]."""
        new, old = (self.points[each.id].output_tokens_per_s_per_chip for each in self.systems)
        return new, old

    @property
    def even(self) -> rents.BreakEven:
        """Rent at which a token costs the same as on the rival as it is bought."""
        return rents.break_even(*self.speeds, self.paid.usd_per_chip_h)

    @property
    def like(self) -> rents.BreakEven:
        """The same against the rival bought as the rent in question is."""
        return rents.break_even(*self.speeds, self.alike.usd_per_chip_h)

    @property
    def one_way(self) -> bool:
        """Whether both rents of the rival are one."""
        return self.alike == self.paid

    @property
    def at(self) -> str:
        """The rent of the chip in question: "at an assumed 3.50 USD"."""
        usd = words.money(self.rent.usd_per_chip_h)
        if self.rent.assumed:
            return f"at an assumed {usd}"
        return f"at your {usd}" if self.rent.term == "own" else f"at a listed {usd}"

    def training(self, dtype: str) -> np.ndarray:
        """Training speed over the rival's, chip for chip.

        Parameters
        ----------
        dtype : str
            Format

        Returns
        -------
        numpy.ndarray
            Low, middle, high; NaN where one of them cannot hold the run [-]
        """
        found = self.trained[dtype]
        if any(each.id not in found for each in self.systems):
            return np.full(3, np.nan)
        paces = [runs.per_chip(found[each.id]) for each in self.systems]
        return ratio_range(*paces)

    @property
    def trains(self) -> dict[str, np.ndarray]:
        """That of every format in which it is known, by its name."""
        found = {self.called(dtype): self.training(dtype) for dtype in self.trained}
        return {name: ends for name, ends in found.items() if np.isfinite(ends).all()}

    @property
    def joules(self) -> np.ndarray:
        """Tokens per joule over the rival's [-]."""
        new, old = (self.prints[each.id].total_j for each in self.systems)
        return np.array(percentiles(old / new))

    @property
    def ratios(self) -> dict[str, np.ndarray]:
        """Low, middle and high of every measure that is known, by its name."""
        like = np.array([self.like.low, self.like.middle, self.like.high])
        usd = self.rent.usd_per_chip_h
        found = {f"Training speed, {dtype.upper()}": self.training(dtype) for dtype in self.trained}
        found[f"Serving speed, {self.dtype.upper()}"] = ratio_range(*self.speeds)
        found["Tokens per joule"] = self.joules
        found[f"Tokens per dollar, if it rents for {usd:.2f} USD"] = like / usd
        return {name: ends for name, ends in found.items() if np.isfinite(ends).all()}


def _named(chip: hardware.Chip) -> str:
    return f"{chip.name} (announced)" if chip.announced else chip.name


def evaluate(question: Question) -> Overview:
    """Ask both systems for speed, energy and rent.

    Parameters
    ----------
    question : Question
        What is asked

    Returns
    -------
    Overview
        With a reason for each run that has no answer

    Raises
    ------
    TrnError
        Both are one, or one of them cannot serve the load or is not sold so
    """
    new, old = hardware.system(question.system), hardware.system(question.rival)
    if new.id == old.id:
        raise data.TrnError(
            f"baseline = {question.rival!r}: is the system in question itself; allowed: another "
            "system"
        )
    load, purchase = question.load, question.purchase
    answers = compare.ask(
        lambda each: inference.best(
            compare.load_on(load, each), each, software=question.level("serving", each)
        ),
        [new.id, old.id],
    )
    if answers.missing:
        asked = f"model = {load.model.id!r}, tpot_ms = {1000 * load.tpot_s:g}, "
        asked += f"input_tokens = {load.input_tokens}"
        raise data.TrnError(f"{asked}: {'; '.join(answers.missing.values())}")
    prints = {
        key: footprint.serving(
            point, compare.load_on(load, point.system).weights_dtype, purchase.region, BUSY
        )
        for key, point in answers.found.items()
    }
    trained = {dtype: _runs(question, dtype) for dtype in ("bf16", "fp8")}
    missing = [
        f"{hardware.system(key).name}, training in {dtype.upper()}: {reason}"
        for dtype, found in trained.items()
        for key, reason in found.missing.items()
    ]
    rent, paid = purchase.rent(new, 0), purchase.rent(old, 1)
    alike = _alike(question, rent, paid)
    found = {dtype: each.found for dtype, each in trained.items()}
    return Overview(question, answers.found, prints, found, tuple(missing), rent, paid, alike)


def _runs(question: Question, dtype: str) -> compare.Answers[training.TrainingEstimate]:
    """The training run in a format on both systems."""
    job, n_chips = replace(question.job, dtype=dtype), question.n_chips
    return compare.ask(
        lambda each: runs.at_sizes(job, each, [n_chips], question.level("training", each))[0],
        [question.system, question.rival],
    )


def _alike(question: Question, rent: rents.Rent, paid: rents.Rent) -> rents.Rent:
    """Rent of the rival bought as the chip in question is: an assumed rent rests on blocks."""
    old, purchase = hardware.system(question.rival), question.purchase
    way = rent.term if rent.term in rents.WAYS else purchase.term
    if rent.assumed:
        way = pricing.BASIS
    if way == purchase.term:
        return paid
    sold = rents.offers([old], (way,), purchase.region, purchase.discount, purchase.own(1))
    return replace(purchase, term=way).rent(old, 1) if len(sold) else paid


# ----------------------------------------------------------------------------------- for the reader
def lead(found: Overview) -> str:
    """The answer in a sentence.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    str
        The rent below which the chip in question is the cheaper one
    """
    name, rival = found.names
    even, like = found.even, found.like
    said = words.below(name, "is cheaper per token", rival, even.low, even.middle, even.high)
    said = f"For serving {rents.bought(found.question.purchase.term)} {said}"
    if not found.one_way:
        span = words.rng(like.low, like.high)
        said += f", {rents.bought(found.alike.term)} below {words.money(like.middle)} ({span})"
    return f"{said}."


def rest(found: Overview) -> str:
    """What its rent says, and the speeds.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    str
        Two sentences
    """
    name, rival = found.names
    like, rent = found.like, found.rent.usd_per_chip_h
    said = words.priced(like.verdict(rent), name, rival, found.at, words.money(like.middle))
    if not found.one_way:
        said += f", {rents.bought(found.alike.term)}"
    serves = f"{words.ratio(ratio_range(*found.speeds)[1])} the serving speed"
    trains = [f"{words.ratio(ends[1])} in {dtype}" for dtype, ends in found.trains.items()]
    if not trains:
        return f"{said}. Per chip it has {serves}."
    return f"{said}. Per chip it has {serves} and in training {', '.join(trains)}."


def figures(found: Overview) -> list[story.Figure]:
    """The numbers under the answer.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    list of Figure
        Rent, both speeds and energy
    """
    rival, even, paid = found.names[1], found.even, found.paid
    serve, train, joule = ratio_range(*found.speeds), found.training("bf16"), found.joules
    terms = f"{rival} {rents.bought(paid.term)} at {rents.dated(paid.usd_per_chip_h, paid.date)}"
    chips = f"{found.question.n_chips:,} chips"
    trains = story.Figure("Training speed", "not known", f"not held on {chips}")
    if np.isfinite(train).all():
        trains = _over("Training speed", train, rival, f"BF16, {chips}{_also(found)}")
    power = "assumed"
    if found.systems[0].chip.fact("power_w").status != "assumed":
        power = "at its rating"
    tpot = f"{1000 * found.question.load.tpot_s:g} ms per token"
    return [
        story.Figure(
            "Break-even rent",
            words.money(even.middle),
            f"per chip-hour, {words.rng(even.low, even.high)}; {terms}",
        ),
        _over("Serving speed", serve, rival, f"{found.dtype.upper()}, {tpot}"),
        trains,
        _over("Tokens per joule", joule, rival, f"chip power is {power}"),
    ]


def _also(found: Overview) -> str:
    """Training speed in FP8, for the line under that in BF16."""
    middle = found.training("fp8")[1]
    return f"; {words.ratio(middle)} in {found.called('fp8')}" if np.isfinite(middle) else ""


def _over(label: str, ends: np.ndarray, rival: str, terms: str) -> story.Figure:
    low, middle, high = ends
    return story.Figure(label, words.ratio(middle), f"of {rival}, {words.rng(low, high)}; {terms}")


def measures(found: Overview) -> pd.DataFrame:
    """The ratios as `trn3.show.charts.rows` draws them.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    pandas.DataFrame
        Columns ``measure``, ``low``, ``ratio``, ``high`` [-], ``hollow``, ``subject``
    """
    rows = [[name, *ends] for name, ends in found.ratios.items()]
    frame = pd.DataFrame(rows, columns=["measure", "low", "ratio", "high"])
    return frame.assign(hollow=found.rent.assumed, subject=found.systems[0].chip.name)


def measures_in_words(found: Overview) -> pd.DataFrame:
    """The same ratios with what each says.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    pandas.DataFrame
        Texts, a row a measure
    """
    name, rival = found.names
    rows = []
    for measure, (low, middle, high) in found.ratios.items():
        verdict = words.verdict(low, middle, high)
        better, worse = _comparatives(measure)
        said = words.against(verdict, name, rival, better, worse)
        ratio = f"{words.ratio(middle)} ({words.rng(low, high)})"
        rows.append([measure, ratio, words.started(said)])
    heads = ["Measure", f"{name} over {rival} (80% range)", "What it says"]
    return pd.DataFrame(rows, columns=heads)


def _comparatives(measure: str) -> tuple[str, str]:
    """What more and less than one says."""
    if "speed" in measure:
        return "faster", "slower"
    return ("cheaper", "dearer") if "dollar" in measure else ("more efficient", "less efficient")


def title(found: Overview) -> str:
    """Title of the chart of the ratios.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    str
        In how many measures it leads or trails
    """
    ends = np.array(list(found.ratios.values()))
    ahead, behind = int((ends[:, 0] > 1).sum()), int((ends[:, 2] < 1).sum())
    return explore.lead(*found.names, ahead, behind, len(ends))


def source(found: Overview) -> str:
    """Source line of that chart.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    str
        With the rent that tokens per dollar are counted at
    """
    alike = found.alike
    terms = f"{rents.terms_of(alike.term, alike.region)}, "
    terms += rents.dated(alike.usd_per_chip_h, alike.date)
    said = f"Source: trn3 models; {found.names[1]} {terms}"
    if found.rent.assumed:
        said += "; hollow: no step or token time was fitted; rent and power are assumed"
    return f"{said}."


def bought(term: str) -> str:
    """A way of buying, to start a row.

    Parameters
    ----------
    term : str
        A term of a rent

    Returns
    -------
    str
        In words
    """
    return words.started(rents.bought(term))


# ------------------------------------------------------------------------------- the other pages
PAGES = {
    "01_claims": ("Claims", "Do the launch claims hold?"),
    "02_chip_on_paper": ("Chip on paper", "What do the specifications say?"),
    "03_training_time": ("Training time", "How fast does it train?"),
    "04_serving": ("Serving", "How fast does it serve?"),
    "05_energy": ("Energy", "How many joules per token?"),
    "06_scaling": ("Scaling", "How much of a bigger cluster do you get?"),
    "07_cost": ("Cost", "What does a token cost?"),
    "08_customer_savings": ("Customer savings", "What would you save?"),
    "09_trainium4": ("Trainium4", "Buy now, or wait?"),
    "10_validation": ("Validation", "Why trust this?"),
    "11_explore": ("Explore", "What about my own case?"),
}
"""Name and question of every other page."""


def pages(found: Overview) -> pd.DataFrame:
    """The first answer of every other page, with this page's load where it applies.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    pandas.DataFrame
        Columns ``Page`` (a link), ``Question``, ``First answer``
    """
    answers = {
        "01_claims": claims.lead(claims.compared()),
        "02_chip_on_paper": _on_paper(found),
        "03_training_time": _training(found),
        "04_serving": _serving(found),
        "05_energy": _energy(found),
        "06_scaling": _scaling(found),
        "07_cost": _cost(found),
        "08_customer_savings": "That depends on your load, prices and port: write a customer file.",
        "09_trainium4": _trainium4(found),
        "10_validation": _validation(),
        "11_explore": "Choose model, systems, load and rent there.",
    }
    rows = []
    for stem, (name, question) in PAGES.items():
        rows.append([f"[{stem[:2]} {name}]({stem}.ipynb)", question, answers[stem]])
    return pd.DataFrame(rows, columns=["Page", "Question", "First answer"])


def _on_paper(found: Overview) -> str:
    new, old = (each.chip for each in found.systems)
    peaks = [_peak(each, found.dtype) for each in found.systems]
    peak = peaks[0] / peaks[1]
    memory = new.hbm_bytes_per_s / old.hbm_bytes_per_s
    return (
        f"{words.ratio(peak)} the peak of {old.name} in {found.format}, {words.ratio(memory)} its "
        "memory bandwidth."
    )


def _peak(system: hardware.System, dtype: str) -> float:
    """Peak of the products with weights of a format, as the chip serves them [FLOP/s]."""
    served = serving_step.format_for(system.chip, dtype)
    return float(serving_step.device(system, served).peak_flops_per_s)


def _training(found: Overview) -> str:
    said = [
        f"in {dtype} {words.ratio(middle)} ({words.rng(low, high)})"
        for dtype, (low, middle, high) in found.trains.items()
    ]
    if not said:
        return f"Not on {found.question.n_chips:,} chips."
    return f"The speed of a chip over {found.names[1]}: {', '.join(said)}."


def _serving(found: Overview) -> str:
    low, middle, high = found.speeds[0]
    load = found.question.load
    return (
        f"{words.sig(middle)} tokens/s per chip ({words.rng(low, high)}) with "
        f"{load.input_tokens:,} tokens in, {load.output_tokens:,} out, {1000 * load.tpot_s:g} ms "
        "per token."
    )


def _energy(found: Overview) -> str:
    low, middle, high = percentiles(found.prints[found.systems[0].id].total_j)
    return (
        f"{words.sig(middle)} J per output token at the building's meter ({words.rng(low, high)}), "
        f"chips busy {BUSY:.0%} of the time."
    )


def _scaling(found: Overview) -> str:
    shape, n_tokens, seq_len, batch = LARGE_JOB
    job = workload.TrainingJob(workload.model(shape), n_tokens, seq_len, batch)
    try:
        sizes, block = scaling.sizes(*LARGE), found.systems[0]
        level = found.question.level("training", block)
        curve = scaling.curve(job, block, sizes, "memory", software=level)
    except data.TrnError as reason:
        return f"{words.started(str(reason))}."
    return scaling.lead(curve)


def _cost(found: Overview) -> str:
    even, rival = found.even, found.names[1]
    return (
        f"As much as on {rival} {rents.bought(found.paid.term)} at "
        f"{words.money(even.middle, 'chip-hour')} ({words.rng(even.low, even.high)})."
    )


def _trainium4(found: Overview) -> str:
    new, old = (each.chip.id for each in found.systems)
    if new != "trainium3" or old in ("trainium3", "trainium4"):
        return "That depends on when Trainium4 comes, at what rent, and on how your load grows."
    question = found.question
    try:
        plan = waiting.Plan(question.load, question.rival, question.purchase)
        plan = replace(plan, software=question.software)
        return waiting.lead(waiting.decide(plan))
    except data.TrnError as reason:
        return f"{words.started(str(reason))}."


def _validation() -> str:
    kinds = {"training": "training", "inference": "serving"}
    missed = [
        f"{words.pct(trust.summary(kind, 'generation')['group_median_abs_error'])} in {name}"
        for kind, name in kinds.items()
    ]
    return (
        "Chip generations left out of the fit are predicted with a median error of "
        f"{' and '.join(missed)}."
    )


# -------------------------------------------------------------------------------- what it rests on
def assumptions(found: Overview) -> list[tuple[str, data.Fact]]:
    """Rents, power, peaks and memory.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    list of tuple
        Label and fact
    """
    (new, old), paid, rent = found.systems, found.paid, found.rent
    facts = [
        (f"{old.chip.name}: rent {rents.terms_of(paid.term, paid.region)}", paid.fact),
        (f"{new.chip.name}: rent", rent.fact),
    ]
    if not found.one_way:
        terms = rents.terms_of(found.alike.term, found.alike.region)
        facts.insert(1, (f"{old.chip.name}: rent {terms}", found.alike.fact))
    for each in (new, old):
        power = data.maybe(each.chip.id, "power_w")
        if power:
            facts.append((f"{each.chip.name}: rated power", power))
    asked = dict.fromkeys(("bf16", found.dtype))
    for dtype in [each for each in asked if serving_step.has(new.chip, each)]:
        native = new.chip.native(dtype)
        peak = data.maybe(new.chip.id, "peak_flops_per_s", native)
        if peak:
            facts.append((f"{new.chip.name}: dense {native.upper()} peak", peak))
    bandwidth = data.fact(new.chip.id, "hbm_bytes_per_s")
    return [*facts, (f"{new.chip.name}: HBM bandwidth", bandwidth)]


def flips(found: Overview) -> list[str]:
    """What would change the answer, and the break-even rents of the pages told apart.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    list of str
        Sentences in Markdown
    """
    name, rival = found.names
    paid, alike, serve = found.paid, found.alike, ratio_range(*found.speeds)[1]
    watts = found.systems[0].chip.power_w[1]
    on_page_11 = ", as on page 11" if found.systems[1].id == pricing.ONE_RIVAL else ""
    rents_apart = f"**{words.money(found.even.middle)}** is against {rival} "
    rents_apart += rents.bought(paid.term)
    if not found.one_way:
        rents_apart += f"; **{words.money(found.like.middle)}** against it "
        rents_apart += f"{rents.bought(alike.term)}{on_page_11}"
    rents_apart += ". Page 07 asks it of every rival and way of buying and leads with the lowest, "
    rents_apart += "page 04 of its own load, page 08 of a customer's with the port."
    share = words.ratio(found.rent.usd_per_chip_h / alike.usd_per_chip_h)
    return [
        rents_apart,
        f"{words.started(found.at)} {name} is the cheaper one if it serves at more than "
        f"**{share}** the speed of {rival} {rents.bought(alike.term)} (estimated: "
        f"{words.ratio(serve)}).",
        f"{name} takes fewer joules per token if a chip draws less than about "
        f"**{words.si(watts * found.joules[1], 'W', 2)}** (taken here: "
        f"{words.si(watts, 'W', 2)}).",
        *(f"{reason}." for reason in found.missing),
    ]


FAMILIES = {
    "Step time of training": ("training", "everything"),
    "Time per token": ("inference", "time per token, closed loop"),
    "Time to the first token": ("inference", "first token, low load"),
}
"""Families of published runs that the speeds are checked on."""


def checks() -> list[story.Check]:
    """Whether the model predicts a chip generation that it has not seen better than a simple rule.

    Returns
    -------
    list of Check
        One a family
    """
    said = []
    for label, (kind, part) in FAMILIES.items():
        seen = trust.summary(kind, "generation", part)
        error, rule, constant = (
            seen[f"{which}group_median_abs_error"] for which in ("", "rule_", "constant_")
        )
        holds = error < min(rule, constant)
        text = (
            f"{label}, with the chip generation left out of the fit: median error "
            f"**{words.pct(error)}** over {seen['n_groups']:.0f} groups of runs; a rule of thumb "
            f"misses by {words.pct(rule)}, one constant per chip by {words.pct(constant)}."
        )
        said.append(story.Check("Holds" if holds else "Does not hold", text, "left out"))
    return said


def sources(found: Overview) -> list[str]:
    """Ids of the sources.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    list of str
        As cited
    """
    facts = [fact.source_id for _, fact in assumptions(found)]
    judged = claims.verdicts()["source_id"]
    return [each for each in (*facts, found.question.load.model.source_id, *judged) if each]


def headline(found: Overview) -> list[dict[str, Any]]:
    """The numbers that leave the page.

    Parameters
    ----------
    found : Overview
        From `evaluate`

    Returns
    -------
    list of dict
        For `trn3.show.story.results`
    """
    load, even, paid = found.question.load, found.even, found.paid
    terms = f"{load.model.name}, {found.dtype}, {load.input_tokens}/{load.output_tokens} tokens, "
    terms += f"{1000 * load.tpot_s:g} ms, against {found.systems[1].name} "
    terms += f"{rents.bought(paid.term)}, {paid.date or 'own rent'}"
    usd = [even.low, even.middle, even.high]
    rows = [story.number("break-even rent", usd, "USD/chip-h", terms, baseline=paid.usd_per_chip_h)]
    for name, ends in found.ratios.items():
        rows.append(story.number(name, list(map(float, ends)), "×", terms, baseline=1.0))
    return rows
