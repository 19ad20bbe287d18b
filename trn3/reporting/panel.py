"""The panel "Run with" of a page: parameters by the words a person uses, values as the page
itself would print them.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trn3 import data
from trn3.reporting.parameters import FILES, Parameter
from trn3.show import words

ZERO = re.compile(r"\b(?:0|empty)(?: takes|:) (.+)$")


def value(given: Any, about: Parameter | None = None) -> str:
    """A parameter's value in words, with its unit.

    Parameters
    ----------
    given : Any
        Text, number, truth value or a list of them.
    about : Parameter, optional
        What the notebook declares.

    Returns
    -------
    str
        For example "2 trillion tokens".

    Examples
    --------
    >>> value(["h100", "b200"]), value(2e12), value(2e-5), value(True), value("")
    ('H100 SXM, B200 HGX', '2 trillion', '0.00002', 'yes', 'none')
    """
    unit, meaning, allowed = (about.unit, about.meaning, about.allowed) if about else ("", "", "")
    unit = {"-": "", "1/s": "per second", "1/h": "per hour"}.get(unit, unit)
    if isinstance(given, list | tuple):
        return ", ".join(value(v, about) for v in given) or "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if given in (0, "", None) and (instead := ZERO.search(meaning)):
        return instead[1]
    if not isinstance(given, int | float):
        text = str(given or "none")
        return Path(text).name if text.endswith(FILES) else data.named(text)
    if unit.startswith("share") or (not unit and allowed.endswith("..1")):
        number, unit = f"{100 * given:.4g}%", unit.removeprefix("share").strip()
    elif abs(given) >= 1e6 and float(f"{given:.3g}") == given:
        number = re.sub(r"\.0+(?= )|(?<=\.\d)0+(?= )", "", words.big(given, 3))
    else:
        number = (
            f"{given:,.15g}" if abs(given) >= 1e-4 or given == 0 else f"{given:.15f}".rstrip("0")
        )
    return f"{number.replace('-', '−')} {unit}".strip()


def entries(values: Mapping[str, Any], declared: Iterable[Parameter] = ()) -> list[dict[str, str]]:
    """What the panel lists.

    Parameters
    ----------
    values : mapping
        Parameters of the report by name.
    declared : iterable of Parameter
        What the notebook says of them; without it names and plain values are listed.

    Returns
    -------
    list of dict
        Per parameter its ``name``, its ``label``, its ``meaning`` and the ``text`` of its value.
    """
    about = {p.name: p for p in declared}
    return [
        {
            "name": name,
            "label": data.named(name) if data.named(name) != name else name.replace("_", " "),
            "meaning": about[name].meaning if name in about else "",
            "text": value(given, about.get(name)),
        }
        for name, given in values.items()
    ]
