"""Write docs/configurations.md, published against computed counts."""

import csv
import json
from pathlib import Path
from typing import Any

from trn3 import data, workload
from trn3.model_config import LANGUAGE_PARTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configurations.md"
CONFIGS = ROOT / "tests" / "configs"
HEAD = """# Configurations: published against computed counts

Parameters in 1e9, all and active per token. Written by `python docs/configurations.py`.

## Models of data/models.csv

Towers for pictures are left out of the computed counts; makers differ in whether the embeddings
are active.

"""
COLUMNS = "| model | published | computed | published active | computed active |\n"
RULE = "|---|--:|--:|--:|--:|\n"
FILES = """
## Files of other architectures

Small files of `tests/configs/`, {n_files} of {n_kinds} classes of models: all parameters agree with
the published count within {worst:.1f} %, where that has three digits. Some makers leave the
embeddings out of the active parameters; so does the computed count there, as the row says. The
cache is that of one token at 2 bytes a number, the state that of one sequence.

"""
KINDS = (
    "| model | layers | published | computed | published active | computed active | cache, bytes"
    " | state, MB | published by |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n"
)
REFUSED = """
## Refused

| model | is |
|---|---|
"""


def line(cells: list[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |\n"


def stated(number: float | str) -> str:
    """A published number; nothing where none is published."""
    return f"{float(number):g}" if float(number or 0) > 0 else ""  # an empty cell is NaN


def counts(shape: workload.ModelShape, total: float | str, active: float | str) -> list[str]:
    """Published and computed, all and active."""
    all_b, active_b = f"{shape.n_params / 1e9:.4g}", f"{shape.n_active_params / 1e9:.4g}"
    return [stated(total), all_b, stated(active), active_b]


def file_line(row: dict[str, str]) -> str:
    """The row of one file that is read."""
    shape = workload.model(str(CONFIGS / f"{row['name']}.json"))
    kinds = ", ".join(f"{n} {kind}" for kind, n in workload.by_kind(shape).items())
    left_out = int(row["left_out"] or 0)
    active_b = (shape.n_active_params - left_out * shape.n_head_params) / 1e9
    without = f" without {left_out} of 2 embeddings" if left_out else ""
    cells = [row["name"], kinds, row["total_b"], f"{shape.n_params / 1e9:.4g}", row["active_b"]]
    cells += [f"{active_b:.4g}{without}", f"{shape.kv_bytes_per_token():,.0f}"]
    state = f"{shape.state_bytes / 1e6:,.1f}" if shape.state_bytes else ""
    return line([*cells, state, row["source"]])


def summary(rows: list[dict[str, str]]) -> dict[str, Any]:
    """How many files of how many classes, and the largest difference of a count of three digits."""
    kinds, apart = set(), [0.0]
    for row in rows:
        path = CONFIGS / f"{row['name']}.json"
        config = json.loads(path.read_text(encoding="utf-8-sig"))
        inner = next((config[part] for part in LANGUAGE_PARTS if part in config), config)
        kinds.add(inner.get("model_type", row["name"]))
        written = row["total_b"].replace(".", "")
        if len(written.rstrip("0") if "." not in row["total_b"] else written) > 2:
            ours = workload.model(str(path)).n_params / 1e9
            apart.append(100 * abs(ours / float(row["total_b"]) - 1))
    return {"n_files": len(rows), "n_kinds": len(kinds), "worst": max(apart)}


def render() -> str:
    """The page."""
    models = [
        line([r["name"], *counts(workload.model(r["id"]), *published(r))])
        for r in data.rows("models")
    ]
    with (CONFIGS / "published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = [row for row in rows if not row["refused"]]
    files = [file_line(row) for row in read]
    refused = [line([row["name"], row["refused"]]) for row in rows if row["refused"]]
    known = HEAD + COLUMNS + RULE + "".join(models)
    told = FILES.format(**summary(read))
    return known + told + KINDS + "".join(files) + REFUSED + "".join(refused)


def published(row: dict[str, Any]) -> tuple[float, float]:
    """All and active parameters as they are published."""
    return row["published_params_b"], row["published_active_b"]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
