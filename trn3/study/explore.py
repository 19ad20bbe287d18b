"""Exploring: one model, two systems, one load; speed, energy, cost and scale answered at once.

`evaluate` answers a `State` in some tens of milliseconds, so that `panel` can follow every touch of
a control. In JupyterLab `panel` shows live controls (ipywidgets, where it is installed); everywhere
else, a report included, it shows the same answers as a table, computed from the state that the
parameters gave.
"""

import html
import importlib.util
import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, cost, data, hardware, inference, training, workload
from trn3.show import charts, story, words
from trn3.study import customers, footprint, runs, stacks
from trn3.uncertainty import percentiles, ratio_range
from trn3.units import KWH_J, MEGA

MORE = 2
"""The scale question: what so many times the replicas of a training run do, split as before."""
MEASURES = (
    "Output tokens/s per chip",
    "Tokens/s per user",
    "J per output token",
    "USD per million output tokens",
    "Output tokens/s of all chips",
    "Days of the run",
    "MWh of the run",
    "Million USD of the run",
    f"Speed-up by {MORE}× the replicas",
)
"""What is answered, five measures of serving and four of training."""
LABELS = {
    "n_chips": "chips",
    "dtype": "format",
    "input_tokens": "prompt, tokens",
    "output_tokens": "answer, tokens",
    "ttft_s": "first token within, s",
    "tpot_ms": "further tokens, ms each",
    "utilisation": "busy share of time",
    "price": "rent, USD/h (0: listed)",
    "rival_price": "rival's rent, USD/h",
    "tokens": "run, tokens",
    "seq_len": "sequence, tokens",
    "global_batch": "sequences in a step",
    "runs": "file of your own runs",
}
"""What stands beside a control, with its unit; the other controls have the name of their field."""
MONTH_DAYS = 30
"""Days in which a reader may want a run to end."""
Answers = list[tuple[str, str, str, float, np.ndarray]]


@dataclass(frozen=True)
class State:
    """What is asked: the parameters of the exploring page.

    Attributes
    ----------
    model, system, rival : str
        Ids of the model, of the system in question and of the one that it is held against.
    term, region : str
        How chips are rented, and where: prices and cooling are those of the region.
    n_chips : int
        Chips of either system [-].
    dtype : str
        Format of weights, cache and matrix multiplications.
    input_tokens, output_tokens : int
        Prompt and answer of a request [token].
    ttft_s, tpot_ms : float
        Longest time to the first token [s] and per further token [ms].
    utilisation : float
        Share of the paid time in which the serving chips work [-].
    price, rival_price : float
        Rent of a chip; 0 takes that of the term, see `rent` [USD/h].
    tokens : float
        Tokens of a training run [token].
    seq_len, global_batch : int
        Tokens of a sequence and sequences of a step [-].
    software : str
        Level of the software of the system in question; the rival's is typical.
    runs : str
        File of own runs, which move the level of the chips that they ran on; none where empty.
    """

    model: str = "llama3_3_70b"
    system: str = "trn3_gen2"
    rival: str = "hgx_b200"
    term: str = "capacity_block"
    region: str = "us_east_2"
    n_chips: int = 1024
    dtype: str = "fp8"
    input_tokens: int = 2048
    output_tokens: int = 512
    ttft_s: float = 3.0
    tpot_ms: float = 30.0
    utilisation: float = 0.6
    price: float = 0.0
    rival_price: float = 0.0
    tokens: float = 1e12
    seq_len: int = 8192
    global_batch: int = 1024
    software: str = stacks.TYPICAL
    runs: str = ""

    @property
    def load(self) -> workload.ServingLoad:
        """The serving half."""
        lengths = (self.input_tokens, self.output_tokens, self.ttft_s, self.tpot_ms / 1000)
        return workload.ServingLoad(workload.model(self.model), *lengths, self.dtype, self.dtype)

    def command(self) -> str:
        """Command that makes the report of this state; parameters at their default are left out.

        Returns
        -------
        str
            For a terminal.

        Examples
        --------
        >>> State(n_chips=4096, price=5.0).command()
        './run report 11_explore -p n_chips=4096 -p price=5'
        """
        changed = {k: v for k, v in asdict(self).items() if v != getattr(State, k)}
        values = (
            f" -p {k}={v:.12g}" if isinstance(v, float) else f" -p {k}={v}"
            for k, v in changed.items()
        )
        return "./run report 11_explore" + "".join(values)


@dataclass(frozen=True)
class Answer:
    """What a state gives.

    Attributes
    ----------
    state : State
        What was asked.
    frame : pandas.DataFrame
        One row a measure: ``use, question, measure, unit``, both systems' ``_low``, middle and
        ``_high``, and ``ratio, low, high``: how many times better the system is than its rival.
    names : tuple of str
        The two chips, or the two systems where they have the same chip.
    rents : tuple of Fact
        What a chip of either costs [USD/h].
    missing : dict of str
        Why a part has no answer.
    """

    state: State
    frame: pd.DataFrame
    names: tuple[str, str]
    rents: tuple[data.Fact, data.Fact]
    missing: dict[str, str]

    def row(self, measure: str) -> pd.Series:
        """Both systems' numbers and their ratio for one measure.

        Parameters
        ----------
        measure : str
            One of `MEASURES`.

        Returns
        -------
        pandas.Series
            Row of the frame; NaN where neither system has an answer [as the measure].
        """
        return self.frame.set_index("measure").reindex(MEASURES).loc[measure]

    @property
    def even(self) -> float:
        """Rent at which a token costs the same on both [USD/h]."""
        return self.rents[1].value * self.row(MEASURES[0]).ratio


@data.kept
def _rent(system: str, term: str, region: str) -> data.Fact:
    base, chip = {"term": term, "region": region}, hardware.system(system).chip.id
    try:
        return data.to_fact(customers.price_row(base, "now", system))
    except data.UnknownId:
        pass
    try:
        note = f"no price by {term} in {region}: typical of all terms and sellers".replace("_", " ")
        return replace(data.price(chip, "typical"), note=note)
    except data.UnknownId:
        return data.price(chip, "assumed")


def rent(
    system: hardware.System, given: float = 0.0, term: str = State.term, region: str = State.region
) -> data.Fact:
    """Rent of a chip: as given, or by the term and region, or typical of all terms, or assumed
    where none is public.

    Parameters
    ----------
    system : System
        What is rented [-].
    given : float
        Your own rent; 0 for none [USD/h].
    term : str
        How it is rented.
    region : str
        Where.

    Returns
    -------
    Fact
        With its range [USD/h].
    """
    found = _rent(system.id, term, region)
    return (
        replace(found, value=given, low=given, high=given, note="as you gave it", source_id="")
        if given
        else found
    )


@data.kept
def _run(
    system: str, n_chips: int, level: stacks.Level, model: str, *job: Any
) -> training.TrainingEstimate:
    asked = workload.TrainingJob(workload.model(model), *job)
    return runs.at_sizes(asked, hardware.system(system), [n_chips], level)[0]


def _level(state: State, stack: stacks.Stacks, kind: str, system: hardware.System) -> stacks.Level:
    """The named level is that of the system in question; its rival's is typical."""
    return stack.level(kind, system, system.id == hardware.system(state.system).id)


def _serving(state: State, stack: stacks.Stacks, system: hardware.System, usd: float) -> Answers:
    point = inference.best(state.load, system, software=_level(state, stack, "serving", system))
    rate, copies = point.output_tokens_per_s_per_chip, state.n_chips // point.n_chips
    joules = footprint.serving(point, state.dtype, state.region, state.utilisation).total_j
    bill = cost.usd_per_unit(usd, rate[::-1], state.utilisation) * MEGA
    whole = copies * point.n_chips * rate * state.utilisation
    return [
        ("Speed", MEASURES[0], "tokens/s", 1, rate),
        ("Speed", MEASURES[1], "tokens/s", 1, point.tokens_per_s_per_user),
        ("Energy", MEASURES[2], "J", -1, joules),
        ("Cost", MEASURES[3], "USD", -1, np.asarray(bill)),
        ("Scale", MEASURES[4], "tokens/s", 1, whole if copies else np.full(3, np.nan)),
    ]


def _training(state: State, stack: stacks.Stacks, system: hardware.System, usd: float) -> Answers:
    job = (state.model, state.tokens, state.seq_len, state.global_batch, state.dtype)
    level = _level(state, stack, "training", system)
    run = _run(system.id, state.n_chips, level, *job)
    joules = footprint.training_run(run, state.region).total_j * state.tokens
    bill = cost.run_usd(run.cluster.n_chips, run.days * 86400.0, usd)
    try:
        wider = replace(run.layout, dp=MORE * run.layout.dp)
        cluster = hardware.Cluster(system, int(wider.n_chips))
        gain = run.days[1] / training.estimate(run.job, cluster, wider, level).days[1]
    except data.TrnError:
        gain = np.nan
    return [
        ("Speed", MEASURES[5], "days", -1, run.days),
        ("Energy", MEASURES[6], "MWh", -1, joules / KWH_J / 1000.0),
        ("Cost", MEASURES[7], "million USD", -1, np.asarray(bill) / MEGA),
        ("Scale", MEASURES[8], "×", 1, np.full(3, gain)),
    ]


def _better(sign: float, ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """How many times better: of draws the percentiles; ranges are taken as independent and
    combined in logarithms.
    """
    if len(ours) > 3 and len(ours) == len(theirs):
        low, mid, high = percentiles((ours / theirs) ** sign)
        return [mid, low, high]
    pair = (_ends(ours), _ends(theirs))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, mid, high = ratio_range(*(pair if sign > 0 else pair[::-1]))
    return [float(v) for v in (mid, low, high)]


def _ends(values: np.ndarray) -> np.ndarray:
    """Low, middle and high, also of draws."""
    return values if len(values) == 3 else np.array(percentiles(values))


def evaluate(state: State) -> Answer:
    """Answer a state: serving and training, on the system and on its rival.

    Parameters
    ----------
    state : State
        What is asked [-].

    Returns
    -------
    Answer
        A part that cannot be answered is named in `missing` and absent from the table.

    Raises
    ------
    trn3.data.TrnError
        If an id is unknown, a number is impossible, or nothing can be answered on either system.

    Examples
    --------
    >>> found = evaluate(State())
    >>> sorted(set(found.frame["question"]))
    ['Cost', 'Energy', 'Scale', 'Speed']
    """
    sides = [hardware.system(s) for s in (state.system, state.rival)]
    names = [s.chip.name if sides[0].chip.id != sides[1].chip.id else s.name for s in sides]
    names[1] += ", rival" * (names[0] == names[1])
    given = (state.price, state.rival_price)
    rents = tuple(rent(s, usd, state.term, state.region) for s, usd in zip(sides, given))
    stack = stacks.read(state.software, state.runs)
    rows: list[list[Any]] = []
    missing: dict[str, str] = {}
    for use, ask in (("Serving", _serving), ("Training", _training)):
        found: list[Answers] = []
        for side, name, paid in zip(sides, names, rents):
            try:
                found.append(ask(state, stack, side, paid.value))
            except data.TrnError as reason:
                missing[f"{use}, {name}"] = str(reason)
                found.append([])
        blank = [(*row[:4], np.full(3, np.nan)) for row in found[0] or found[1]]
        for ours, theirs in zip(found[0] or blank, found[1] or blank):
            rows.append(
                [
                    use,
                    *ours[:3],
                    *_ends(ours[4]),
                    *_ends(theirs[4]),
                    *_better(ours[3], ours[4], theirs[4]),
                ]
            )
    if not rows:
        raise data.TrnError("; ".join(missing.values()))
    ends = [f"{side}{end}" for side in ("system", "rival") for end in ("_low", "", "_high")]
    frame = pd.DataFrame(
        rows, columns=["use", "question", "measure", "unit", *ends, "ratio", "low", "high"]
    )
    return Answer(state, frame, (names[0], names[1]), (rents[0], rents[1]), missing)


def data_sheet(state: State) -> list[tuple[str, data.Fact]]:
    """What the data sheets of both chips say that the answers stand on.

    Parameters
    ----------
    state : State
        What is asked [-].

    Returns
    -------
    list of tuple
        Label and fact; what is not published is left out.
    """
    out = []
    for system in (state.system, state.rival):
        chip = hardware.system(system).chip
        has_it = any(state.dtype in known for known in chip.peak_flops_per_s)  # mxfp8 for fp8
        dtype = chip.native(state.dtype) if has_it else state.dtype
        wanted = {
            "peak": ("peak_flops_per_s", dtype),
            "memory": ("hbm_bytes", ""),
            "memory bandwidth": ("hbm_bytes_per_s", ""),
            "power": ("power_w", ""),
        }
        facts = {label: data.maybe(chip.id, *what) for label, what in wanted.items()}
        out += [(f"{chip.name}, {label}", fact) for label, fact in facts.items() if fact]
    return out


def basis(rented: data.Fact) -> str:
    """Where a rent comes from, in one word.

    Parameters
    ----------
    rented : Fact
        From `rent` [USD/h].

    Returns
    -------
    str
        yours, typical, assumed or listed.

    Examples
    --------
    >>> trn3 = hardware.system("trn3_gen2")
    >>> basis(rent(trn3)), basis(rent(trn3, 5.0))
    ('assumed', 'yours')
    """
    if rented.note == "as you gave it":
        return "yours"
    if rented.note.startswith("no price by"):
        return "typical"
    return "assumed" if rented.status == "assumed" else "listed"


def at_rents(found: Answer) -> str:
    """The rents that an answer stands on.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    str
        Part of a sentence.
    """
    each = [f"{words.money(paid.value)} ({basis(paid)})" for paid in found.rents]
    return f"at {each[0]} against {each[1]} per chip-hour"


def answered(found: Answer) -> tuple[str, str]:
    """The answer in two sentences: which one is cheaper per token, and how the rest compares.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    tuple of str
        In the one grammar of all pages.
    """
    name, rival = found.names
    if found.state.system == found.state.rival:
        return (
            "The system and its rival are the same, so there is nothing to compare.",
            "Its own speed, energy and cost stand below; choose another rival to compare.",
        )
    ratios = [
        (what, found.row(MEASURES[i]).ratio)
        for what, i in (("serving speed", 0), ("tokens per joule", 2), ("training speed", 5))
    ]
    told = [f"{what} {words.ratio(ratio, digits=2)}" for what, ratio in ratios if ratio > 0]
    rest = f"{name} over {rival}, per chip in {found.state.dtype.upper()}: {', '.join(told)}."
    if not told:
        rest = f"Without an answer: {'; '.join(found.missing)}. The reasons stand below."
    bill = found.row(MEASURES[3])
    if not bill.ratio > 0:
        return f"Per token, {name} and {rival} cannot be compared here.", rest
    at, turns = at_rents(found), words.money(found.even)
    said = words.priced(words.verdict(bill.low, bill.ratio, bill.high), name, rival, at, turns)
    return f"Per token: {said[:1].lower()}{said[1:]}.", rest


def figures(found: Answer) -> list[story.Figure]:
    """Four numbers of the system in question.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    list of Figure
        For `story.answer`; what has no answer says so.
    """
    asked = found.state
    run = f"{words.big(asked.tokens)} tokens, {asked.n_chips:,} chips"
    told = [
        ("Serving speed", MEASURES[0], "tokens/s", "per chip, output"),
        ("Energy", MEASURES[2], "J", "per output token"),
        ("Cost", MEASURES[3], "USD", "per million output tokens"),
        ("Training run", MEASURES[5], "days", run),
    ]
    out = []
    for label, measure, unit, per in told:
        row = found.row(measure)
        value, small = "no answer", "see below for the reason"
        if np.isfinite(row.system):
            value = words.sig(row.system, 2, unit)
            small = f"{per}, {words.rng(row.system_low, row.system_high)}"
        out.append(story.Figure(f"{label}, {found.names[0]}", value, small))
    return out


def changed(found: Answer) -> list[str]:
    """What would change the answer, and what has none.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    list of str
        Sentences.
    """
    asked, (name, rival) = found.state, found.names
    bill, run = found.row(MEASURES[3]), found.row(MEASURES[5])
    out = []
    if found.even > 0 and asked.system != asked.rival:
        busy = asked.utilisation / bill.ratio
        out.append(
            f"Per token, {name} costs the same as {rival} at a rent of "
            f"**{words.money(found.even, 'chip-hour')}**."
        )
        told = f"busy **{words.pct(busy)}** of the time costs what {rival} costs"
        if busy > 1:
            told = f"costs more even if it is always busy than {rival}"
        out.append(f"{name} {told} busy {words.pct(asked.utilisation)} of the time.")
    if run.system > 0:
        n_chips = words.big(round(asked.n_chips * run.system / MONTH_DAYS))
        out.append(
            f"To end the run within {MONTH_DAYS} days takes about **{n_chips}** chips of {name}, "
            "at the same speed per chip."
        )
    return out + [f"{part}: {why}" for part, why in found.missing.items()]


def verdict(row: Any) -> str:
    """Word for a ratio with its range, in the one grammar of all pages.

    Parameters
    ----------
    row : record
        With ``ratio, low, high`` [-].

    Returns
    -------
    str
        ahead or behind, likely so, open, the same (1, or a range that is shown as 1.0), or not
        known.
    """
    if not np.isfinite(row.ratio):
        return "not known"
    shown_as_one = words.rounded(row.low, 2) == words.rounded(row.high, 2) == 1.0
    if shown_as_one or abs(row.ratio - 1) < 1e-3:
        return "the same"
    found = words.verdict(words.rounded(row.low), row.ratio, words.rounded(row.high))
    side = "ahead" if found.better else "behind"
    return {"clear": side, "likely": f"likely {side}", "open": "open"}[found.word]


def lead(name: str, rival: str, ahead: int, behind: int, of: int) -> str:
    """Sentence on who leads in how many measures.

    Parameters
    ----------
    name, rival : str
        The two that are compared.
    ahead, behind, of : int
        Measures in which the first leads, those in which it trails, and all [-].

    Returns
    -------
    str
        For the title of a chart.

    Examples
    --------
    >>> lead("A", "B", 1, 3, 5), lead("A", "B", 0, 0, 4)
    ('A trails B in 3 of 5 measures, leads in 1; 1 open', 'No measure separates A and B')
    """
    (first, most), (second, least) = sorted(
        {"leads": ahead, "trails": behind}.items(), key=lambda side: -side[1]
    )
    open_ = of - ahead - behind
    rest = f", {second} in {least}" * (least > 0) + f"; {open_} open" * (open_ > 0)
    none = f"No measure separates {name} and {rival}"
    return f"{name} {first} {rival} in {most} of {of} measures{rest}" if most else none


def shown(found: Answer) -> pd.DataFrame:
    """The answers as a reader sees them, one row a measure.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    pandas.DataFrame
        Texts.
    """
    f, text = found.frame, {}
    for side, name in zip(("system", "rival"), found.names):
        ends = zip(f[f"{side}_low"], f[side], f[f"{side}_high"])
        text[name] = [_range(*each) if np.isfinite(each[1]) else "—" for each in ends]
    better = [
        f"{verdict(r)}, {words.ratio(r.ratio, digits=2)}" if r.ratio > 0 else "—"
        for r in f.itertuples()
    ]
    first = {"Question": f["use"] + ": " + f["question"].str.lower(), "Measure": f["measure"]}
    return pd.DataFrame(first | text | {"Times better": better})


def _range(low: float, mid: float, high: float) -> str:
    return words.sig(mid) + (
        f" ({words.rng(low, high)})" if words.rounded(low) < words.rounded(high) else ""
    )


def chart(found: Answer) -> charts.Chart:
    """How many times better the system is than its rival, measure by measure.

    Parameters
    ----------
    found : Answer
        From `evaluate` [-].

    Returns
    -------
    Chart
        Finished, or a sentence where nothing can be compared.
    """
    both, (name, rival), s = found.frame.assign(group=found.frame["use"]), found.names, found.state
    unpriced = set(data.table("prices").query("term == 'assumed'")["subject"])
    both = both.assign(hollow=hardware.system(s.system).chip.id in unpriced, subject=name)
    both = both[np.isfinite(both["ratio"])].assign(
        text=lambda f: [words.ratio(v, digits=2) for v in f["ratio"]]
    )
    said = [verdict(r) for r in both.itertuples()]
    title = lead(name, rival, said.count("ahead"), said.count("behind"), len(said))
    title = f"{name} stands on both sides: nothing to compare" if s.system == s.rival else title
    terms = f"{workload.model(s.model).name}, {s.dtype.upper()}, {s.n_chips:,} chips"
    axis = charts.Axis(f"{name} over {rival} (log)", log=True)
    made = charts.rows(both, "ratio", "measure", axis=axis, unit="×", reference=1)
    if both.empty:
        made = charts.empty("Nothing to compare: " + "; ".join(found.missing.values()))
    return charts.finish(
        made,
        title=title if len(both) else f"{name} and {rival} cannot be compared here",
        subtitle=f"Times better, more than 1 favours {name}, 80% range of both; {terms}; log",
        source="Source: trn3 models; rents as in the table of inputs; "
        "hollow: no run fitted, no public rent or no public power.",
    )


def live() -> bool:
    """Whether live controls can be shown: a session of JupyterLab in which ipywidgets is installed.

    Returns
    -------
    bool
        False in reports and tests, whose outputs must not change from run to run.
    """
    return (
        bool(os.environ.get("JPY_SESSION_NAME"))
        and importlib.util.find_spec("ipywidgets") is not None
    )


def _controls(state: State) -> dict[str, Any]:
    """A control for every field of a state: lists for ids and words, numbers to type for the
    rest.
    """
    import ipywidgets

    systems = [(r.name, r.id) for r in hardware.systems()]
    lists = {
        "model": [(r.name, k) for k, r in workload.models().items()],
        "system": systems,
        "rival": systems,
    }
    lists |= {"software": [(level.replace("_", " "), level) for level in committed.LEVELS]}
    lists |= {"dtype": [(d.upper(), d) for d in ("bf16", "fp8")]}
    terms = sorted(set(data.table("prices").query("quantity == 'price_usd_per_chip_h'")["term"]))
    lists |= {"term": [(t.replace("_", " "), t) for t in terms]}
    lists |= {"region": [(r.replace("_", "-"), r) for r in data.ids("region")]}
    kinds = {int: ipywidgets.IntText, float: ipywidgets.FloatText, str: ipywidgets.Text}
    out = {}
    for name, value in asdict(state).items():
        look = {
            "description": LABELS.get(name, name),
            "style": {"description_width": "12em"},
            "value": value,
        }
        if name in lists:
            known = value in [i for _, i in lists[name]]
            out[name] = ipywidgets.Dropdown(
                options=lists[name] + [(value, value)] * (not known), **look
            )
        elif name in ("utilisation", "price", "rival_price"):
            top = 1.0 if name == "utilisation" else max(20.0, 2 * value)
            out[name] = ipywidgets.FloatSlider(min=0.05 * (top == 1), max=top, step=0.05, **look)
        else:
            out[name] = kinds[type(value)](**look)
    return out


def panel(state: State) -> Any:
    """Live controls with the answers below them in JupyterLab; elsewhere the answers as a table.

    Parameters
    ----------
    state : State
        Where the controls start [-].

    Returns
    -------
    object
        Shows itself at the end of a cell.
    """
    if not live():
        return story.table(shown(evaluate(state)), "The answers with their 80% ranges")
    import ipywidgets

    controls, picture = _controls(state), ipywidgets.Output()
    sentence, table = ipywidgets.HTML(), ipywidgets.HTML()

    def answer(_: Any = None) -> None:
        asked = State(**{name: control.value for name, control in controls.items()})
        try:
            found = evaluate(asked)
        except (data.TrnError, ValueError) as reason:
            table.value = f"<p>{story.badge('failed')} {html.escape(str(reason))}</p>"
            sentence.value, picture.outputs = "", ()
            return
        sentence.value = f"<p><b>{html.escape(' '.join(answered(found)))}</b></p>"
        why = "".join(f"<p>{html.escape(f'{k}: {v}')}</p>" for k, v in found.missing.items())
        again = f"<p>These settings as a report: <code>{html.escape(asked.command())}</code></p>"
        table.value = story.table(shown(found)).bundle["text/html"] + why + again
        picture.outputs = (
            {
                "output_type": "display_data",
                "data": chart(found)._repr_mimebundle_(),
                "metadata": {},
            },
        )

    for control in controls.values():
        control.observe(answer, "value")
    answer()
    grid = ipywidgets.Layout(grid_template_columns="repeat(auto-fill, minmax(25em, 1fr))")
    return ipywidgets.VBox(
        [ipywidgets.GridBox(list(controls.values()), layout=grid), sentence, table, picture]
    )
