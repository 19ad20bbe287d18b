"""The page that stands where a report could not be made."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trn3.reporting import panel
from trn3.reporting.exporter import named, render
from trn3.reporting.frame import frame
from trn3.reporting.parameters import Parameter


def page(
    *,
    report: str,
    parameters: Mapping[str, Any],
    command: str,
    message: str,
    cell: int | None = None,
    source: str = "",
    traceback: str = "",
    declared: Iterable[Parameter] = (),
    beside: bool = False,
    **neighbours: Any,
) -> str:
    """Make an error page.

    Parameters
    ----------
    report : str
        Name of the notebook, for example ``07_cost``.
    parameters : mapping
        Values used, by name.
    command : str
        What reproduces the failure.
    message : str
        The error, its first line for everybody.
    cell : int, optional
        Number of the cell.
    source : str
        Its code.
    traceback : str
        The full message, folded.
    declared : iterable of Parameter
        What the notebook says of its parameters.
    beside : bool
        Whether an index stands beside it.
    neighbours : Any
        ``collection``, ``before`` and ``after`` of a collection.

    Returns
    -------
    str
        The page.
    """
    first = message.partition("\n")[0] or "The report stopped without a message"
    reason = re.sub(r"^(?:\w*Error|(?:[A-Z][a-z]+){2,}): ", "", first).rstrip(".") + "."
    bad = next((name for name in parameters if _names(reason, name)), "")
    facts = {
        "Cell": "" if cell is None else str(cell),
        "Message": first,
        "Parameter": f"{bad} = {parameters[bad]!r}" if bad else "",
    }
    return render(
        "error",
        **named(report),
        **neighbours,
        bad=bad,
        command=command,
        entries=panel.entries(parameters, declared),
        facts=facts.items(),
        frame=frame(beside=beside),
        full=[text for text in (source, traceback or message) if text],
        lead=reason,
        title="This report could not be made",
    )


def _names(reason: str, parameter: str) -> bool:
    return re.search(rf"\b{re.escape(parameter)}\b", reason) is not None
