"""Write the figures of README.md and its picture from the stored notebooks and scores: python
docs/readme.py.
"""

import base64
import json
import re
from pathlib import Path

from trn3.fit import trust

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = {
    "Claims": "01_claims",
    "Serving": "04_serving",
    "Energy": "05_energy",
    "Scaling": "06_scaling",
    "Cost": "07_cost",
    "Trainium4": "09_trainium4",
}
KEPT_BACK = (
    "Runs kept from every fit (maintainers' check, November 2026): "
    "training 13.0%, range held 71%; serving 23.5%, 68%."
)
"""What maintainers measured on runs that are in no table here."""

SCORES = [
    ("Training step time", "training", "everything"),
    ("Time per output token, static batch", "inference", "time per token, static batch"),
    ("Time per output token, closed loop", "inference", "time per token, closed loop"),
    ("Time to first token, low load", "inference", "first token, low load"),
    ("Maximum throughput, layout stated", "inference", "maximum throughput, layout stated"),
]


def outputs(stem: str, tag: str) -> dict:
    """Data of the first output of the cell with a tag."""
    cells = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text())["cells"]
    return next(c for c in cells if tag in c["metadata"].get("tags", []))["outputs"][0]["data"]


def findings() -> str:
    """One line per page: its stored answer."""
    lines = []
    for name, stem in FINDINGS.items():
        text = "".join(outputs(stem, "answer")["text/plain"]).split(" | ")[0]
        lines.append(f"- **{name}.** {text} ([{stem[:2]}](notebooks/{stem}.ipynb))")
    return "\n".join(lines)


NEWER = {
    "training": ("everything", "H100", "Blackwell", "A100", "MoE"),
    "inference": (
        "everything",
        "time per token, closed loop",
        "first token, low load",
        "first token, higher load",
        "maximum throughput, layout stated",
        "Inferentia2 and Trainium, time per token",
    ),
}
"""Lines of the table of runs that came in later, as `validate --folds prospective` names them."""


def newer() -> str:
    """How far predictions missed on runs that came in after the constants were fixed."""
    lines = [
        "| runs that came in after the constants were fixed | groups | publishers | models "
        "| off by a factor of | 80% range holds | one constant per chip |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, parts in NEWER.items():
        found = trust.newer(kind).set_index("part")
        for part, row in found.loc[list(parts)].iterrows():
            label = f"{kind.capitalize()}, {part}"
            cells = [
                f"**{label}**" if part == "everything" else label,
                *(f"{row[f'n_{n}']:.0f}" for n in ("groups", "publishers", "models")),
                f"{row['factor']:.2f} ({row['factor_low']:.2f}–{row['factor_high']:.2f})",
                f"{100 * row['held']:.0f}% "
                f"({100 * row['held_low']:.0f}–{100 * row['held_high']:.0f})",
                f"{row['constant']:.2f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def scores() -> str:
    """Median errors on runs that the fit had not seen, beside the two baselines."""
    names = (
        "source left out",
        "chip generation left out",
        "groups",
        "without data",
        "one constant per chip",
    )
    lines = [
        f"| median error over groups of runs | {' | '.join(names)} |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for label, kind, part in SCORES:
        old, new = trust.summary(kind, "source", part), trust.summary(kind, "generation", part)
        cells = [f"{100 * row['group_median_abs_error']:.1f}%" for row in (old, new)] + [
            f"{old['n_groups']:.0f}"
        ]
        cells += [f"{100 * old[f'{b}_group_median_abs_error']:.0f}%" for b in ("rule", "constant")]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    tables = ("Korthikanti table 5", "Narayanan table 2, PTD")
    held = [(t, trust.summary("training", "source", t)) for t in tables]
    ends = [f"{t}: mean {100 * r['mape']:.1f}%, worst {100 * r['worst']:.1f}%" for t, r in held]
    note = "Baselines with each source left out: half of peak (training) or a roofline (serving), and one constant per "
    note += "chip. "
    lead = (
        "Predictions stored before any refit, each beside its measurement (`./run validate training "
        "--folds prospective`); the median over groups, in brackets where 80% of bootstrap samples "
        "of groups lie:"
    )
    return (
        f"{lead}\n\n{newer()}\n\nThe same constants, refitted with a part of their rows left out:\n\n"
        + "\n".join(lines)
        + f"\n\n{note}With every Megatron paper left out of the fit, {'; '.join(ends)}."
    )


def render(text: str) -> str:
    """README.md with today's figures."""
    text = re.sub(
        r"(<!-- findings:.*?-->\n).*?(\n<!-- end -->)",
        lambda m: m[1] + findings() + m[2],
        text,
        flags=re.S,
    )
    return re.sub(
        r"(<!-- trust:.*?-->\n).*?(\n?<!-- end trust -->)",
        lambda m: f"{m[1]}{scores()}\n\n{KEPT_BACK}\n<!-- end trust -->",
        text,
        flags=re.S,
    )


def picture() -> bytes:
    """The stored headline chart of the start page."""
    return base64.b64decode("".join(outputs("00_start_here", "headline")["image/png"]))


if __name__ == "__main__":
    (ROOT / "README.md").write_text(render((ROOT / "README.md").read_text()))
    (ROOT / "docs" / "headline.png").write_bytes(picture())
