"""The panel "Run with" of a page: parameters by the words a person uses, values as the page
itself would print them.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trn3 import data, layers, model_config, workload
from trn3.reporting.parameters import FILES, Parameter
from trn3.show import words

ZERO = re.compile(r"\b(?:0|empty)(?: takes|:) (.+)$")
"""How a parameter's meaning says what stands in where nothing is given."""

UNITS = {"-": "", "1/s": "per second", "1/h": "per hour"}
PLAIN = Parameter("", "str", "", "", "", "")
LINKED = ("chip", "system", "cluster")


def value(given: Any, about: Parameter = PLAIN) -> str:
    """A parameter's value in words, with its unit.

    Parameters
    ----------
    given : Any
        Text, number, truth value or a list of them.
    about : Parameter
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
    if isinstance(given, list | tuple):
        return ", ".join(value(one, about) for one in given) or "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if given in (0, "", None) and (instead := ZERO.search(about.meaning)):
        return instead[1]
    if isinstance(given, int | float):
        return _number(given, about)
    text = str(given or "none")
    return _file(text) if text.endswith(FILES) else data.named(text)


def _file(text: str) -> str:
    """A file by its path from here or, where that leads upwards, by its folder and name."""
    parts = Path(text).parts
    return str(Path(*parts[-2:])) if Path(text).is_absolute() or ".." in parts else text


def _number(given: float, about: Parameter) -> str:
    """A number with its unit, in per cent where it is a share."""
    unit = UNITS.get(about.unit, about.unit)
    if unit.startswith("share") or (not unit and about.allowed.endswith("..1")):
        unit = unit.removeprefix("share").strip()
        number = f"{100 * given:.4g}%"
    elif abs(given) >= 1e6 and float(f"{given:.3g}") == given:
        number = re.sub(r"\.0+(?= )|(?<=\.\d)0+(?= )", "", words.big(given, 3))
    elif abs(given) >= 1e-4 or given == 0:
        number = f"{given:,.15g}"
    else:
        number = f"{given:.15f}".rstrip("0")
    return f"{number.replace('-', '−')} {unit}".strip()


def entries(
    values: Mapping[str, Any], declared: Iterable[Parameter] = (), linked: bool = False
) -> list[dict[str, Any]]:
    """What the panel lists.

    Parameters
    ----------
    values : mapping
        Parameters of the report by name.
    declared : iterable of Parameter
        What the notebook says of them; without it names and plain values are listed.
    linked : bool
        Whether chips and systems lead to their numbers.

    Returns
    -------
    list of dict
        Per parameter its ``name``, its ``label``, its ``meaning`` and the ``words`` of its value,
        each with the address that it leads to.
    """
    about = {one.name: one for one in declared}
    return [
        {
            "name": name,
            "label": data.named(name) if data.named(name) != name else name.replace("_", " "),
            "meaning": about.get(name, PLAIN).meaning,
            "words": _linked(given, about.get(name, PLAIN), linked),
        }
        for name, given in values.items()
    ]


def read_from(values: Mapping[str, Any]) -> dict[str, str]:
    """What was read from the reader's own model, where a report is about one; of a known model
    what no fitted run has.

    Parameters
    ----------
    values : mapping
        Parameters by name, files by paths that can be opened.

    Returns
    -------
    dict
        By what it is; empty where the model is a known one of plain layers.
    """
    path = values.get("model")
    if not isinstance(path, str):
        return {}
    if not path.endswith(".json"):
        return _counted_alone(path)
    config = model_config.read(path)
    shape, unplaced = workload.from_config(config, allow_unknown=model_config.unknown_allowed())
    kinds = workload.by_kind(shape) | {"with experts": int(shape.n_moe_layers)}
    state = f"{shape.state_bytes / 1e6:,.1f} MB, whatever its length" if shape.state_bytes else ""
    near = shape.n_window_layers or any(group.window for group in shape.others)
    windows = ", no window full" if near else ""
    stored = model_config.stored_format(config)
    found = {
        "file": _file(path),
        "parameters": f"{shape.n_params / 1e9:,.4g} billion",
        "active parameters": f"{shape.n_active_params / 1e9:,.4g} billion",
        "cache per token": f"{shape.kv_bytes_per_token():,.0f} bytes in BF16{windows}",
        "state per sequence": state,
        "layers": ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n),
        "stored format": _stored(stored, values),
        **_not_fitted(shape),
        "not modelled": ", ".join(unplaced),
    }
    return {what: text for what, text in found.items() if text}


def _counted_alone(name: str) -> dict[str, str]:
    """What is to be said of a known model: layers that no fitted run has."""
    try:
        shape = workload.model(name)
    except data.TrnError:
        return {}
    kinds = ", ".join(f"{n} {kind}" for kind, n in workload.by_kind(shape).items())
    return {"layers": kinds, **_not_fitted(shape)} if _not_fitted(shape) else {}


def _not_fitted(shape: workload.ModelShape) -> dict[str, str]:
    """Kinds of layers that are counted, and that no run behind the constants has."""
    kinds = dict.fromkeys(layers.KINDS[g.kind] for g in shape.others if g.kind not in FITTED)
    return {"counted, not fitted": ", ".join(kinds)} if kinds else {}


FITTED = ("full", "window", "latent", "none")
"""Kinds of layers of the runs behind the constants; the last has none of its own."""


def _stored(stored: str, values: Mapping[str, Any]) -> str:
    """The format of a file, what computes with it, and in which a page serves it if another."""
    arithmetic = ", arithmetic in 16 bits" if stored == "int4" else ""
    served = values.get("dtype", stored) if "output_tokens" in values else stored
    other = f"; this page serves it in {served}" if served != stored else ""
    return f"{stored}{arithmetic}{other}" if stored else ""


def _linked(given: Any, about: Parameter, linked: bool) -> list[tuple[str, str]]:
    """A value, or each of a list, with the place of its numbers where it has any."""
    several = given if isinstance(given, list | tuple) and given else [given]
    hardware = {name for kind in LINKED for name in data.ids(kind)} if linked else set()
    return [
        (value(one, about), f"numbers.html#{one}" if str(one) in hardware else "")
        for one in several
    ]


def command(report: str, given: Mapping[str, Any]) -> str:
    """What a person types to make a report.

    Parameters
    ----------
    report : str
        Name of the notebook.
    given : mapping
        Parameters that differ from the defaults.

    Returns
    -------
    str
        A line for a shell.

    Examples
    --------
    >>> command("02_chip_on_paper", {"rivals": ["h100", "b200"]})
    './run report 02_chip_on_paper -p rivals=h100,b200'
    """
    parts = ["./run report", report]
    if model_config.unknown_allowed():
        parts.append("--allow-unknown")
    for name, one in given.items():
        text = ",".join(map(str, one)) if isinstance(one, list) else str(one)
        parts.append(f"-p {name}={shlex.quote(text)}")
    return " ".join(parts)
