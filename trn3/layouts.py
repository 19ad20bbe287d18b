"""Parallel layouts: how a model is split over chips, as records of arrays, with checks and enumeration."""

import dataclasses
from typing import Any

import numpy as np

from trn3 import data
from trn3.units import Array


class LayoutError(data.TrnError):
    """A layout that cannot be: names the two numbers that do not fit."""


@dataclasses.dataclass(frozen=True)
class Layouts:
    """One layout, or many: every field a scalar or an array that broadcasts with the others.

    Attributes
    ----------
    tp, pp, dp, cp, ep : int or ndarray
        Ranks that share a matrix (tensor), stages (pipeline), replicas (data), ranks that share a sequence (context),
        and ranks over which experts are spread, a part of `dp` times `cp` [-].
    micro_batch : int or ndarray
        Sequences that a stage computes at a time [-].
    interleave : int or ndarray
        Model chunks per stage [-].
    recompute : int or ndarray
        0 none, 1 selective (attention scores), 2 full [-].
    zero : int or ndarray
        Sharded over `dp` times `cp`: 0 nothing, 1 optimizer, 2 gradients too, 3 weights too (FSDP) [-].
    sequence_parallel : int or ndarray
        1 where normalisation and dropout are split over `tp` too [-].
    tp_overlap, dp_overlap, pp_overlap : int or ndarray
        1 where that exchange runs beside compute [-].
    """

    tp: Any = 1
    pp: Any = 1
    dp: Any = 1
    cp: Any = 1
    ep: Any = 1
    micro_batch: Any = 1
    interleave: Any = 1
    recompute: Any = 0
    zero: Any = 0
    sequence_parallel: Any = 0
    tp_overlap: Any = 0
    dp_overlap: Any = 0
    pp_overlap: Any = 0

    @property
    def n_chips(self) -> Array:
        """Chips that the layout takes [-]."""
        return self.tp * self.pp * self.dp * self.cp

    def rows(self) -> list[dict[str, int]]:
        """One dictionary of whole numbers per layout.

        Returns
        -------
        list of dict
            Field to value, in order.

        Examples
        --------
        >>> Layouts(tp=np.array([1, 2]), pp=4).rows()[1]["tp"]
        2
        """
        columns = np.broadcast_arrays(*(np.atleast_1d(getattr(self, name)) for name in FIELDS))
        return [{k: int(c) for k, c in zip(FIELDS, row)} for row in zip(*(column.ravel() for column in columns))]


FIELDS = tuple(f.name for f in dataclasses.fields(Layouts))
"""The axes of a layout."""
