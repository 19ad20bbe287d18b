"""Training: step time, days, utilisation and memory of a run on a cluster, with the 80 % band of
its chip.

The terms of a step stand in `trn3.training_step`, the choice of a layout in `trn3.search`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trn3 import committed, hardware, layouts, memory, search
from trn3.layouts import FULL, Layouts
from trn3.roofline import LINK, Part
from trn3.training_step import at_peak, evaluate, machine, work_of
from trn3.units import DAY_S
from trn3.workload import TrainingJob

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingEstimate:
    """What a run takes on a cluster; arrays of three are low, middle and high of the 80 % band.

    Attributes
    ----------
    job : TrainingJob
        The run [-].
    cluster : Cluster
        Where it runs [-].
    layout : Layouts
        How it is split [-].
    step_time_s : numpy.ndarray
        One optimizer step [s].
    bounds_s : numpy.ndarray
        Lower bound (every operation at peak, all else hidden) and upper bound (no exchange hidden)
        [s].
    parts : dict
        Step time by cause with its kind, what shows only; they add up to the middle [s].
    memory : Memory
        On the fullest chip, by cause [byte].
    """

    job: TrainingJob
    cluster: hardware.Cluster
    layout: Layouts
    step_time_s: np.ndarray
    bounds_s: np.ndarray
    parts: Mapping[str, Part]
    memory: memory.Memory

    @property
    def parts_s(self) -> dict[str, float]:
        """Step time by cause, what shows only; adds up to the middle [s]."""
        return {name: float(part.time_s) for name, part in self.parts.items()}

    def kind_s(self, kind: str) -> float:
        """Part of the step that one thing is busy.

        Parameters
        ----------
        kind : str
            One of the kinds of `trn3.roofline.Part` [-].

        Returns
        -------
        float
            Time [s].
        """
        return float(sum(part.time_s for part in self.parts.values() if part.kind == kind))

    @property
    def memory_bytes(self) -> float:
        """Memory of the fullest chip [byte]."""
        return float(np.max(self.memory.total))

    @property
    def tokens_per_s(self) -> np.ndarray:
        """Training speed of the cluster, low to high [token/s]."""
        return self.job.global_batch * self.job.seq_len / self.step_time_s[::-1]

    @property
    def days(self) -> np.ndarray:
        """Time of the whole run without failures, short to long [day]."""
        return (
            self.job.tokens / (self.job.global_batch * self.job.seq_len) * self.step_time_s / DAY_S
        )

    @property
    def mfu(self) -> np.ndarray:
        """Share of the dense peak of the job's format; operations that the job needs, with causal
        attention, no recompute [-].
        """
        return (
            self.job.flops_per_token()
            * self.tokens_per_s
            / self.cluster.n_chips
            / self.cluster.chip.peak(self.job.dtype)
        )

    @property
    def hfu(self) -> np.ndarray:
        """As `mfu`, with the forward pass counted again where full recompute repeats it [-]."""
        if self.layout.recompute != FULL:
            return self.mfu
        forward = self.job.model.forward_flops_per_token(self.job.seq_len, causal=True)
        return self.mfu * (1 + forward / self.job.flops_per_token())

    @property
    def borrowed(self) -> bool:
        """Whether no public run of this chip's generation was fitted."""
        return committed.borrowed("training", self.cluster.chip.id)

    @property
    def note(self) -> str:
        """How far to trust the numbers, and whether the layout fits the memory."""
        chip = self.cluster.chip
        if self.borrowed:
            kind = "generation"
            fitted = f"no public {chip.name} run was fitted; on chip generations"
        else:
            kind = "source"
            fitted = f"{chip.name}: on sources of runs"
        error = committed.constant("training", f"{kind}_error")
        n = committed.constant("training", f"{kind}_n_groups")
        text = f"{fitted} never fitted the median error was {100 * error:.0f} % ({n:.0f} groups)"
        band = ("band_moe", "routed") if self.job.model.n_experts else ("band", chip.family)
        text += f". {committed.band_origin('training', *band, chip.id, chip.family)}"
        if self.memory_bytes > chip.hbm_bytes:
            text += f"; does not fit: {self.memory.reason(chip.hbm_bytes)}"
        return text

    def frame(self) -> "pd.DataFrame":
        """Time by cause: columns ``part``, ``time_s`` and ``share``."""
        import pandas as pd

        frame = pd.DataFrame({"part": list(self.parts_s), "time_s": list(self.parts_s.values())})
        return frame.assign(share=frame["time_s"] / self.step_time_s[1])


def estimate(
    job: TrainingJob,
    cluster: hardware.Cluster,
    layout: Layouts | None = None,
    software: str | committed.Software = "typical",
) -> TrainingEstimate:
    """Step time, days, utilisation and memory of a run, with the 80 % band of its chip.

    Parameters
    ----------
    job : TrainingJob
        Model, tokens, sequence, batch and format [-].
    cluster : Cluster
        Chips [-].
    layout : Layouts, optional
        How the run is split, on at most the chips of the cluster; the fastest that fits is searched
        without it [-].
    software : str or Software
        Level of the stack: one of `committed.LEVELS`, or a record of one's own [-].

    Returns
    -------
    TrainingEstimate
        Low, middle and high [-].

    Raises
    ------
    trn3.layouts.LayoutError
        The layout does not divide the model, the batch or the chips.
    trn3.data.UnknownId
        A level of software that there is not.

    Notes
    -----
    The band of a typical stack holds what differs between stacks; at a level that is given, that
    part is taken out, and with a record of one's own its spread comes in. No level is faster than
    measured matrix products without any other loss.
    Current software is assumed (compiled, flash attention). Failures are left out; see
    `trn3.study.scaling`.
    """
    if layout is not None:
        layouts.check(layout, job.model, job.seq_len, job.global_batch, cluster.n_chips)
    lay = search.best(job, cluster) if layout is None else layout
    work, device = work_of(job), machine(cluster, job.dtype)
    steps = evaluate(work, device, lay)
    open_steps = evaluate(work, device, replace(lay, tp_overlap=0, dp_overlap=0, pp_overlap=0))
    chip, level = cluster.chip, committed.level("training", software)
    best_s = _hardware_s(job, cluster, lay)
    middle = max(level.time_factor * float(steps.step_time_s), best_s)
    if level.level == "hardware":
        middle = best_s
    scale = middle / float(steps.step_time_s)
    routed = "_moe" if job.model.n_experts else ""
    ends = [
        committed.constant("training", f"band{routed}_{end}", chip.id, chip.family)
        for end in ("low", "high")
    ]
    if level.level != "typical":
        ends = _of_level(ends, level)
    flops = job.flops_per_token() * job.global_batch * job.seq_len
    ideal = float(flops / lay.n_chips / chip.peak(job.dtype))
    shown = float(steps.step_time_s - steps.pipeline_s - steps.fixed_s)
    parts = {**steps.parts, "data exchange": Part(LINK, shown)}
    return TrainingEstimate(
        job=job,
        cluster=cluster,
        layout=lay,
        step_time_s=np.maximum(middle * np.array([ends[0], 1.0, ends[1]]), ideal),
        bounds_s=np.array([ideal, float(open_steps.step_time_s)]),
        parts={
            name: Part(part.kind, scale * part.time_s)
            for name, part in parts.items()
            if part.time_s > 0
        },
        memory=memory.job_bytes(job, lay),
    )


def _hardware_s(job: TrainingJob, cluster: hardware.Cluster, lay: Layouts) -> float:
    """Step time of a stack that loses nothing but what measured matrix products do."""
    device = machine(cluster, job.dtype)
    ideal = at_peak(device.peak_flops_per_s, device.hbm_bytes_per_s, device.tiers)
    share = committed.prior("training", "measured_matmul").value
    constants = replace(
        ideal.constants, matmul=share, attention=share, tp_exposed=0.0, dp_exposed=0.0
    )
    constants = replace(constants, fsdp_exposed=0.0, imbalance=0.0, alltoall=0.0)
    formats = {name: getattr(device, name) for name in ("narrow_ratio", "fp8", "fp4")}
    best = replace(ideal, constants=constants, **formats)
    return float(evaluate(work_of(job), best, lay).step_time_s)


def _of_level(ends: list[float], level: committed.Software) -> list[float]:
    """Ends of a band as factors, without the variance between stacks; of a level that is no
    committed one with what it leaves open itself.
    """
    between = committed.Z_80 * committed.software("training").spread
    own = 0.0 if level.level in committed.LEVELS else committed.Z_80 * level.spread
    logs = np.log(ends)
    rest = np.sqrt(np.maximum(logs**2 - between**2, 0.0) + own**2)
    return [float(end) for end in np.exp(np.sign(logs) * rest)]
