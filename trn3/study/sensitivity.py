"""What moves a result, read from the drawn cases alone: one middle, the median of all cases.

Each input splits the cases: the fifth in which it is lowest and the fifth in which it is highest.
The medians of the result in both, beside the median of all cases, say how much hangs on it. No case
with every input at its middle is needed, which would be a second middle.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from trn3 import ties
from trn3.uncertainty import Draws, Input, percentiles

SHARE = 0.2
"""Share of the cases at either end of an input [-]."""


def medians(inputs: Mapping[str, Input], samples: Draws, output: np.ndarray) -> pd.DataFrame:
    """The median of a result where one input is low and where it is high, widest apart first.

    Parameters
    ----------
    inputs : Mapping of str to Input
        The uncertain inputs
    samples : dict of str to array
        Draws of them [any]
    output : array
        The result of those draws [any]

    Returns
    -------
    pandas.DataFrame
        Columns ``input``, ``label``, ``unit``; ``low`` and ``high``, below and above which a fifth
        of the cases lies; ``at_low`` and ``at_high``, the medians of the result there; ``span``.
        Inputs that do not vary are left out

    Examples
    --------
    >>> from trn3.uncertainty import draws
    >>> given = {"a": Input(1.0, 2.0, 3.0), "b": Input(1.0, 1.1, 1.2)}
    >>> x = draws(given, 4096)
    >>> found = medians(given, x, x["a"] - x["b"])
    >>> found["input"].tolist(), bool(found["at_low"][0] < found["at_high"][0])
    (['a', 'b'], True)
    """
    output = np.asarray(output, dtype=float)
    rows = []
    for name, each in inputs.items():
        values = np.asarray(samples[name], dtype=float)
        low, high = np.quantile(values, [SHARE, 1.0 - SHARE])
        if each.low == each.high:
            continue
        at_low = float(np.median(output[values <= low]))
        at_high = float(np.median(output[values >= high]))
        rows.append(
            {
                "input": name,
                "label": each.label or name,
                "unit": each.unit,
                "low": low,
                "high": high,
                "at_low": at_low,
                "at_high": at_high,
                "span": abs(at_high - at_low),
            }
        )
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["input", "span"])
    middle = percentiles(output)
    size = max(abs(middle[0]), abs(middle[2]))
    return table.iloc[ties.order(-table["span"].to_numpy(), size)].reset_index(drop=True)
