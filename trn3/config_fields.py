"""Fields of a Hugging Face ``config.json``: what each means, and what it may hold.

The fields and what they mean are the table ``data/config_fields.csv``, what each may hold is
``data/bounds.csv``. `trn3.model_config` reads a file by them, `trn3.config_layers` its layers by
kind.
"""

import dataclasses
import fnmatch
from typing import Any

from trn3 import data
from trn3.bounds import Bound, bounds, shown


@data.kept
def table(kind: str) -> dict[str, str]:
    """Rows of one kind.

    Parameters
    ----------
    kind : str
        As in the first column of ``data/config_fields.csv``.

    Returns
    -------
    dict
        Name to meaning.

    Examples
    --------
    >>> table("not_a_decoder")["whisper"]
    'a speech model'
    """
    return {r["name"]: r["meaning"] for r in data.rows("config_fields") if r["kind"] == kind}


@data.kept
def named(kind: str = "field") -> dict[str, list[str]]:
    """Fields by what they mean, in the order of preference.

    Parameters
    ----------
    kind : str
        ``field``, or ``mixer`` for those that count where layers of their kind are there.

    Returns
    -------
    dict
        Meaning to names.

    Examples
    --------
    >>> named()["n_kv_heads"][:2], named("mixer")["index_reach"]
    (['num_key_value_heads', 'num_kv_heads'], ['index_topk'])
    """
    rows = sorted(
        (r for r in data.rows("config_fields") if r["kind"] == kind), key=lambda r: int(r["rank"])
    )
    return {
        r["meaning"]: [other["name"] for other in rows if other["meaning"] == r["meaning"]]
        for r in rows
    }


@data.kept
def known() -> dict[str, Bound | None]:
    """What each field that is read may hold.

    Returns
    -------
    dict
        Bounds by name; None for a field that changes no count.
    """
    limits = bounds("config")
    found: dict[str, Bound | None] = {}
    for meaning, names in [*named().items(), *named("mixer").items()]:
        found |= {name: limits.get(meaning) or limits.get(name) for name in names}
    return found


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """The fields that count, typed and within their bounds; null is not there.

    Parameters
    ----------
    config : dict
        Fields of a file.

    Returns
    -------
    dict
        Values by name.

    Raises
    ------
    TrnError
        Field, value and what is allowed.
    """
    return {
        name: dataclasses.replace(bound, field=name).read(config[name])
        for name, bound in known().items()
        if bound and config.get(name) is not None
    }


def first(config: dict[str, Any], *names: str) -> Any:
    """The first of several fields that is there.

    Parameters
    ----------
    config : dict
        Fields of a file.
    *names : str
        In the order of preference.

    Returns
    -------
    Any
        Its value; None where none is there.
    """
    return next((config[name] for name in names if name in config), None)


def is_known(field: str) -> bool:
    """Whether a field is read, or is known to change no count.

    Parameters
    ----------
    field : str
        Its name.

    Returns
    -------
    bool
        True where it is.

    Examples
    --------
    >>> is_known("attention_dropout"), is_known("hyper_connections")
    (True, False)
    """
    return _among(field, (name for group in named().values() for name in group))


def _among(field: str, names: Any) -> bool:
    """Whether a field is one of several names, in which * stands for any letters."""
    return any(field == n or ("*" in n and fnmatch.fnmatchcase(field, n)) for n in names)


def is_one_of(field: str, meanings: set[str]) -> bool:
    """Whether a field of the layers by kind has one of several meanings.

    Parameters
    ----------
    field : str
        Its name.
    meanings : set of str
        Meanings of the rows ``mixer``.

    Returns
    -------
    bool
        True where it has.
    """
    return _among(field, (n for m in meanings for n in named("mixer").get(m, [])))


def said(field: str, value: Any, meaning: str) -> str:
    """A field, its value and what it means, in a line.

    Parameters
    ----------
    field : str
        Its name.
    value : Any
        Its value.
    meaning : str
        In words.

    Returns
    -------
    str
        The line.
    """
    return f"{shown(field)[1:-1]} = {shown(value)}: {meaning}"


def meaning(field: str) -> str:
    """What a field of a structure that is not modelled means.

    Parameters
    ----------
    field : str
        Its name.

    Returns
    -------
    str
        In words; empty where that is not known.

    Examples
    --------
    >>> meaning("moba_topk")
    'sparse attention'
    """
    rows = table("structure").items()
    return next((what for name, what in rows if fnmatch.fnmatchcase(field, name)), "")
