"""The software of a page: a level that is named for one system, and what a reader's runs tell.

Runs of a reader move the level of their own stack, by family of chips; the committed constants
stay. What no run of theirs is about keeps the level that is named, on the system in question, or
the typical one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trn3 import committed, data, hardware
from trn3.fit import own_runs
from trn3.show import words

Level = str | committed.Software
"""A level of software by its name, or a record of a reader's own."""
TYPICAL = "typical"
KINDS = ("serving", "training")
GAIN = {
    "serving": "times per token and rates move with it, the first token does not",
    "training": "training steps move with it",
}
"""What a level moves, by kind."""


@dataclass(frozen=True)
class Stacks:
    """Levels of software on one page.

    Attributes
    ----------
    named : str or Software
        Level of the system in question.
    own : tuple
        Kind, family of chips and record of every level that the reader's runs tell.
    said : tuple of str
        What they tell, a sentence each.
    """

    named: Level = TYPICAL
    own: tuple[tuple[str, str, committed.Software], ...] = ()
    said: tuple[str, ...] = ()

    def level(self, kind: str, system: hardware.System, in_question: bool = True) -> Level:
        """Level of the software of a system.

        Parameters
        ----------
        kind : str
            ``serving`` or ``training``
        system : System
            Where it runs
        in_question : bool
            Whether the named level is about it

        Returns
        -------
        str or Software
            For ``software=`` of the estimates
        """
        told = {(k, family): record for k, family, record in self.own}
        named = self.named if in_question else TYPICAL
        return told.get((kind, system.chip.family), named)

    def knows(self, system: hardware.System) -> bool:
        """Whether the reader's runs tell a level of a system.

        Parameters
        ----------
        system : System
            Where they may have run

        Returns
        -------
        bool
            For serving or for training
        """
        return system.chip.family in {family for _, family, _ in self.own}


def read(software: str = TYPICAL, runs: str = "") -> Stacks:
    """The levels of a page.

    Parameters
    ----------
    software : str
        Level of the system in question
    runs : str
        File of a reader's measured runs, of serving or of training; empty for none

    Returns
    -------
    Stacks
        With sentences on what the runs moved

    Raises
    ------
    TrnError
        The file tells no level

    Examples
    --------
    >>> read("tuned").level("serving", hardware.system("trn3_gen2"))
    'tuned'
    >>> read("tuned").level("serving", hardware.system("hgx_h200"), in_question=False)
    'typical'
    """
    if not runs:
        return Stacks(software)
    own, said, reasons = [], [], []
    for kind in KINDS:
        try:
            found = own_runs.read(kind, runs)
        except data.TrnError as reason:
            reasons.append(f"as {kind} runs: {reason}")
            continue
        for family, record in found.levels.items():
            own.append((kind, family, record))
            said.append(_sentence(kind, family, record, found))
    if not own:
        raise data.TrnError(f"runs: no row tells a level of software; {'; '.join(reasons)}")
    return Stacks(software, tuple(own), tuple(said))


def told(of: Stacks) -> str:
    """The level of a page, and what a reader's runs moved.

    Parameters
    ----------
    of : Stacks
        From `read`

    Returns
    -------
    str
        Sentences in Markdown

    Examples
    --------
    >>> told(read("first_port"))
    'This page takes the level “first port”; no runs of your own are given.'
    """
    level = of.named if isinstance(of.named, str) else of.named.level
    taken = f"This page takes the level “{level.replace('_', ' ')}”"
    if not of.said:
        return f"{taken}; no runs of your own are given."
    return " ".join([f"{taken} where no runs of yours tell another.", *of.said])


def _sentence(kind: str, family: str, record: committed.Software, found: own_runs.OwnRuns) -> str:
    n_used = int((found.runs["family"] == family).sum())
    runs = "1 run" if n_used == 1 else f"{n_used} runs"
    factor = words.sig(record.time_factor, 3)
    left = f"; not used: {'; '.join(found.not_used)}" if found.not_used else ""
    return (
        f"**Your runs.** By {runs} of {found.file} the {kind} software of {named(family)} takes "
        f"{factor} times the time of a typical stack; {GAIN[kind]}{left}."
    )


def named(family: str) -> str:
    """A family of chips in a sentence.

    Parameters
    ----------
    family : str
        As in the tables

    Returns
    -------
    str
        In words

    Examples
    --------
    >>> named("trainium"), named("tpu")
    ('Trainium', 'TPU')
    """
    return family.upper() if family == "tpu" else family.capitalize()


def given(software: "Level | Stacks") -> Stacks:
    """Levels of a page from whatever a function was given.

    Parameters
    ----------
    software : str, Software or Stacks
        A level of the system in question, or all levels

    Returns
    -------
    Stacks
        The same
    """
    if isinstance(software, Stacks):
        return software
    return Stacks(software)


def by_system(
    kind: str, systems: Sequence[str], software: "Level | Stacks"
) -> Callable[[hardware.System], Level]:
    """Level of the software of several systems.

    Parameters
    ----------
    kind : str
        ``serving`` or ``training``
    systems : sequence of str
        Ids; the first is the one in question
    software : str, Software or Stacks
        Level on the first, or the levels of a page

    Returns
    -------
    callable
        From a system to its level

    Examples
    --------
    >>> level = by_system("serving", ["trn3_gen2", "hgx_h100"], "tuned")
    >>> level(hardware.system("trn3_gen2")), level(hardware.system("hgx_h100"))
    ('tuned', 'typical')
    """
    first = [hardware.system(name).id for name in systems[:1]]
    levels = given(software)
    return lambda system: levels.level(kind, system, system.id in first)


def each(of: Stacks, system: hardware.System) -> list[tuple[str, Stacks]]:
    """The named levels one by one, and the reader's own where there is one.

    Parameters
    ----------
    of : Stacks
        Levels of a page
    system : System
        The one in question

    Returns
    -------
    list of tuple
        Name of the level in words, and the levels
    """
    rows = [(level.replace("_", " "), Stacks(level)) for level in committed.LEVELS]
    return [*rows, ("your runs", of)] if of.knows(system) else rows


LEVEL_NAMES = {
    "first_port": "software of a first port",
    "typical": "typical software",
    "tuned": "tuned software",
    "hardware": "software that loses nothing",
    "own": "software as in your runs",
}
"""Levels of software in words; `trn3.committed.LEVELS` says what they are made of."""


def level_name(level: Level) -> str:
    """A level of software in words.

    Parameters
    ----------
    level : str or Software
        Its name, or a record

    Returns
    -------
    str
        For the middle of a sentence

    Examples
    --------
    >>> level_name("tuned"), level_name(committed.software("training", "first_port"))
    ('tuned software', 'software of a first port')
    """
    return LEVEL_NAMES[level if isinstance(level, str) else level.level]


def with_level(level: Level) -> str:
    """A level of software as a clause with its comma; nothing where it is the typical one.

    Parameters
    ----------
    level : str or Software
        Its name, or a record

    Returns
    -------
    str
        For the middle of a sentence

    Examples
    --------
    >>> with_level("tuned"), with_level("typical")
    (', with tuned software', '')
    """
    return "" if level == TYPICAL else f", with {level_name(level)}"
