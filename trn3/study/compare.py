"""One question, asked of several systems at once; who cannot answer says why.

>>> from trn3 import workload
>>> model = workload.model("llama3_1_405b")
>>> load = workload.ServingLoad(model, 1024, 1024, 3.0, 0.05, "bf16", "bf16")
>>> compared = serving(load, ["trn3_gen2", "inf2_48xl"])
>>> compared.found["trn3_gen2"].n_chips > 1, "inf2_48xl" in compared.missing
(True, True)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import pandas as pd

from trn3 import data, hardware, inference, serving_step, workload
from trn3.study import stacks
from trn3.units import GIB

Answer = TypeVar("Answer")

ENDS = ["low", "middle", "high"]
"""Columns of an 80% range and its middle."""
COLUMNS = ["name", "chip", "dtype", *ENDS, "tokens_per_s_per_user", "ttft_s", "n_chips"]
COLUMNS += ["n_systems", "tp", "dp", "batch", "hbm_gib", "why"]
"""Of `serving_table`."""


@dataclass(frozen=True)
class Answers(Generic[Answer]):
    """What several systems answered to one question.

    Attributes
    ----------
    found : dict
        Answer by the id of the system, in the order asked.
    missing : dict
        Why the others have none, by the id of the system.
    """

    found: Mapping[str, Answer]
    missing: Mapping[str, str]

    def named(self) -> tuple[dict[str, Answer], dict[str, str]]:
        """The same by the names of the systems.

        Returns
        -------
        tuple of dict
            Answers and reasons.
        """
        found = {hardware.system(each).name: answer for each, answer in self.found.items()}
        missing = {hardware.system(each).name: why for each, why in self.missing.items()}
        return found, missing

    def some(self, what: str = "none of these systems can do it") -> "Answers[Answer]":
        """Itself, if any system has an answer.

        Parameters
        ----------
        what : str
            What to say when no system was named.

        Returns
        -------
        Answers
            Unchanged.

        Raises
        ------
        trn3.data.TrnError
            No system has an answer; the message holds every reason.
        """
        if not self.found:
            raise data.TrnError("; ".join(dict.fromkeys(self.missing.values())) or what)
        return self


def ask(question: Callable[[hardware.System], Answer], systems: Iterable[str]) -> Answers[Answer]:
    """Ask every system the same question.

    Parameters
    ----------
    question : callable
        From a system to its answer; raises a `trn3.data.TrnError` where there is none.
    systems : iterable of str
        Ids of systems or chips; one named twice is asked once.

    Returns
    -------
    Answers
        What they said, and why the others could not.
    """
    found: dict[str, Answer] = {}
    missing: dict[str, str] = {}
    for system in {each.id: each for each in map(hardware.system, systems)}.values():
        try:
            found[system.id] = question(system)
        except data.TrnError as reason:
            missing[system.id] = str(reason)
    return Answers(found, missing)


def named_format(dtype: str, chips: Iterable[hardware.Chip]) -> str:
    """A format as several chips call the one that they compute it in.

    Parameters
    ----------
    dtype : str
        Format that is asked for.
    chips : iterable of Chip
        The chips.

    Returns
    -------
    str
        Its name, and the chips that have another.

    Examples
    --------
    >>> named_format("fp8", [hardware.chip("trainium3"), hardware.chip("h100")])
    'FP8 (MXFP8 on Trainium3)'

    What a chip lacks and its engines do not widen, it serves in BF16.

    >>> named_format("int4", [hardware.chip("trainium2"), hardware.chip("h100")])
    'INT4 (BF16 on Trainium2)'
    """
    served = {chip.name: _served_in(chip, dtype) for chip in chips}
    others = {name: native for name, native in served.items() if native != dtype}
    if not others:
        return dtype.upper()
    said = ", ".join(f"{native.upper()} on {name}" for name, native in others.items())
    return f"{dtype.upper()} ({said})"


def _served_in(chip: hardware.Chip, dtype: str) -> str:
    """The format of a chip for weights that are published in another one."""
    if serving_step.has(chip, dtype):
        return chip.native(dtype)
    return serving_step.format_for(chip, dtype)


def load_on(load: workload.ServingLoad, system: hardware.System) -> workload.ServingLoad:
    """A load in the format in which a chip serves it.

    Parameters
    ----------
    load : ServingLoad
        With the format that is asked for.
    system : System
        Where it runs.

    Returns
    -------
    ServingLoad
        In that format, or in bf16 where the chip has none.
    """
    dtype = serving_step.format_for(system.chip, load.weights_dtype)
    return replace(load, weights_dtype=dtype)


def serving(
    load: workload.ServingLoad,
    systems: Sequence[str],
    software: stacks.Level | stacks.Stacks = stacks.TYPICAL,
    **how: Any,
) -> Answers[inference.ServingPoint]:
    """The best point of a load on several systems, each in its own format.

    Parameters
    ----------
    load : ServingLoad
        Model, lengths, limits and the format that is asked for.
    systems : sequence of str
        Ids of systems or chips; the first is the one in question.
    software : str, Software or Stacks
        Level of the software on the first, or the levels of a page.
    **how : object
        Further arguments of `trn3.inference.best`.

    Returns
    -------
    Answers
        A `trn3.inference.ServingPoint` each.
    """
    level = stacks.by_system("serving", systems, software)
    return ask(
        lambda system: inference.best(load_on(load, system), system, software=level(system), **how),
        systems,
    )


def serving_table(
    load: workload.ServingLoad, answers: Answers[inference.ServingPoint]
) -> pd.DataFrame:
    """The answers of `serving`, one row a system, also for those that cannot serve the load.

    Parameters
    ----------
    load : ServingLoad
        What was asked.
    answers : Answers
        What came out.

    Returns
    -------
    pandas.DataFrame
        Index ``system`` (id); ``name``, ``chip`` (id), ``dtype``; output tokens per second and chip
        as ``low``, ``middle``, ``high`` [token/s]; ``tokens_per_s_per_user``, ``ttft_s``,
        ``n_chips`` of a copy on ``n_systems``, ``tp``, ``dp``, ``batch``, ``hbm_gib`` and ``why``
        there is no answer.
    """
    rows = {}
    for each, point in answers.found.items():
        low, middle, high = point.output_tokens_per_s_per_chip
        rows[each] = {
            "name": point.system.name,
            "chip": point.system.chip.id,
            "dtype": load_on(load, point.system).weights_dtype,
            "low": low,
            "middle": middle,
            "high": high,
            "tokens_per_s_per_user": point.tokens_per_s_per_user[1],
            "ttft_s": point.ttft_s[1],
            "n_chips": point.n_chips,
            "n_systems": point.n_systems,
            "tp": point.tp,
            "dp": point.dp,
            "batch": point.batch,
            "hbm_gib": point.memory_bytes / GIB,
            "why": "",
        }
    for each, why in answers.missing.items():
        system = hardware.system(each)
        rows[each] = {"name": system.name, "chip": system.chip.id, "why": why}
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=COLUMNS)
    return table.rename_axis("system")
