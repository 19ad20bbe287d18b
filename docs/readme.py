"""Write the figures of README.md and its picture from the stored notebooks and scores: python
docs/readme.py.
"""

import base64
import json
import re
from pathlib import Path

from trn3.fit import trust, validation

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = {
    "Claims": "01_claims",
    "Training": "03_training_time",
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

FOLDS = ("origin", "headline", "generation", "model", "source")
"""What the second table leaves out; the headline fold is that of `trn3.fit.validation`."""
LABELS = {
    "origin": "the half-years before",
    "headline": "publisher (training) or harness left out",
    "generation": "chip generation left out",
    "model": "model left out",
    "source": "source left out",
}
PARTS = {
    "training": ("everything", "A100", "H100", "Blackwell", "TPU", "Trainium", "MoE"),
    "inference": (
        "everything",
        "time per token, static batch",
        "time per token, closed loop",
        "first token, low load",
        "first token, higher load",
        "maximum throughput, layout stated",
        "Inferentia2 and Trainium, time per token",
        "Inferentia2 and Trainium, first token",
    ),
}
"""Families of the two tables, as `validate` names them."""


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


def table(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    rows = [head, ["---", *["--:"] * (len(head) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def label(kind: str, part: str) -> str:
    name = f"{kind.replace('inference', 'serving').capitalize()}, {part}"
    return f"**{name}**" if part == "everything" else name


def newer() -> str:
    """How far predictions missed on runs that came in after the constants were fixed."""
    head = ["runs that came in after the constants were fixed", "groups", "publishers", "models"]
    head += ["off by a factor of", "80% range holds", "one constant per chip"]
    lines = []
    for kind, parts in PARTS.items():
        found = trust.newer(kind).set_index("part")
        for part in (p for p in parts if p in found.index):
            row = found.loc[part]
            held = [100 * row[c] for c in ("band_coverage", "coverage_low", "coverage_high")]
            ends = f"{row['factor_low']:.2f}–{row['factor_high']:.2f}"
            line = [label(kind, part)]
            line += [f"{row[f'n_{n}']:.0f}" for n in ("groups", "publishers", "models")]
            line += [f"{row['group_median_factor']:.2f} ({ends})"]
            line += ["{:.0f}% ({:.0f}–{:.0f})".format(*held)]
            lines.append([*line, f"{row['constant_group_median_factor']:.2f}"])
    return table(head, lines)


def refitted() -> str:
    """The same constants, fitted without what is scored."""
    head = ["factor, fitted on", *LABELS.values(), "one constant per chip"]
    lines = []
    for kind, parts in PARTS.items():
        folds = [validation.HEADLINE[kind] if f == "headline" else f for f in FOLDS]
        found = {f: trust.by_part(kind, f).set_index("part") for f in folds}
        for part in parts:
            cells = [
                f"{found[f].at[part, 'group_median_factor']:.2f}" if part in found[f].index else "–"
                for f in folds
            ]
            constant = found[folds[1]].at[part, "constant_group_median_factor"]
            lines.append([label(kind, part), *cells, f"{constant:.2f}"])
    return table(head, lines)


def _span(values: list[float], form: str) -> str:
    """Smallest and largest, once where they print alike."""
    ends = [form.format(end) for end in (min(values), max(values))]
    return "–".join(dict.fromkeys(ends))


def expect() -> str:
    """What a reader may expect of a stack that nobody fitted, in one sentence."""
    factors, held = {}, {}
    for kind in PARTS:
        folds = ("prospective", "origin", validation.HEADLINE[kind])
        rows = [trust.by_part(kind, fold).set_index("part").loc["everything"] for fold in folds]
        factors[kind] = _span([row["group_median_factor"] for row in rows], "{:.2f}")
        held[kind] = _span([100 * row["band_coverage"] for row in rows], "{:.0f}")
    ports = trust.newer("inference").set_index("part")["group_median_factor"]
    token = ports["Inferentia2 and Trainium, time per token"]
    first = ports["Inferentia2 and Trainium, first token"]
    return (
        "**Of a stack that nobody fitted** expect half of the training steps within a factor of "
        f"{factors['training']} of the prediction and half of the serving figures within "
        f"{factors['inference']}, and 80% ranges that hold {held['training']}% and "
        f"{held['inference']}% of such runs (added later, or of half-years, publishers "
        "and harnesses that the fit had not seen). New ports of models to Trainium mostly took "
        "longer than predicted: "
        f"the factor was {token:.1f} in time per token and {first:.1f} in first tokens."
    )


def scores() -> str:
    """What readers may expect, runs that came in later first."""
    lead = (
        "Predictions stored before any refit, each beside its measurement "
        "(`./run validate training --folds prospective`): the median over groups of the factor "
        "between the two, in brackets "
        "where 80% of bootstrap samples of groups lie."
    )
    again = (
        "The runs that the constants were fitted on, predicted by fits to the others (the constant "
        "with publisher or harness left out):"
    )
    tables = ("Korthikanti table 5", "Narayanan table 2, PTD")
    held = [(t, trust.summary("training", "source", t)) for t in tables]
    ends = [f"{t}: mean {100 * r['mape']:.1f}%, worst {100 * r['worst']:.1f}%" for t, r in held]
    papers = f"With every Megatron paper left out of the fit, {'; '.join(ends)}."
    return "\n\n".join([expect(), lead, newer(), again, refitted(), papers, KEPT_BACK])


def held() -> str:
    """How many later runs the ranges held, as the head of the findings says it."""
    shares = [
        trust.newer(kind).set_index("part").at["everything", "band_coverage"] for kind in PARTS
    ]
    return f"they held {100 * shares[0]:.0f}% in training and {100 * shares[1]:.0f}% in serving"


def render(text: str) -> str:
    """README.md with today's figures."""
    text = re.sub(r"they held \d+% in training and \d+% in serving", held(), text)
    text = re.sub(
        r"(<!-- findings:.*?-->\n).*?(\n<!-- end -->)",
        lambda m: m[1] + findings() + m[2],
        text,
        flags=re.S,
    )
    return re.sub(
        r"(<!-- trust:.*?-->\n).*?(\n?<!-- end trust -->)",
        lambda m: f"{m[1]}{scores()}\n<!-- end trust -->",
        text,
        flags=re.S,
    )


def picture() -> bytes:
    """The stored headline chart of the start page."""
    return base64.b64decode("".join(outputs("00_start_here", "headline")["image/png"]))


if __name__ == "__main__":
    (ROOT / "README.md").write_text(render((ROOT / "README.md").read_text()))
    (ROOT / "docs" / "headline.png").write_bytes(picture())
