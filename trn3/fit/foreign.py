"""Result files of other tools: parsed into records of text, recognised, and put into our columns.

What a field of another tool means is the table ``data/run_columns.csv``; a form is recognised by
the fields that it always has. Nothing here decides whether a value is good: `trn3.fit.run_files`
checks every cell.

References
----------
vLLM, ``vllm bench serve --save-result``; SGLang, Bench Serving Guide; NVIDIA, GenAI-Perf and
AIPerf metrics; SemiAnalysis, InferenceX; NVIDIA, Megatron-LM and NeMo training logs.
"""

import csv
import io
import json
import re
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from trn3 import data

Record = dict[str, str]
PLAIN = "columns"
"""The form of a table whose columns have our names, or names that anybody may use for them."""
_LOG = re.compile(r"iteration\s+\d+\s*/\s*\d+.*?\|(.*)")
_ARGUMENT = re.compile(r"^\W*(?:\[\w+\]:\s*)?(\w+) \.{3,} (.*)$")
_PART = re.compile(r"^\s*(.+?)\s*:\s*(\S+)\s*$")
_GENAI = {
    "Time To First Token (ms)": "time_to_first_token.avg",
    "Inter Token Latency (ms)": "inter_token_latency.avg",
    "Output Sequence Length": "output_sequence_length.avg",
    "Input Sequence Length": "input_sequence_length.avg",
    "Output Token Throughput (per sec)": "output_token_throughput.avg",
}
"""Metrics of GenAI-Perf's CSV under the names that its JSON has."""


def records(text: str) -> list[tuple[int, Record]]:
    """The records of a file, whatever its form.

    Parameters
    ----------
    text : str
        A CSV table with commas, semicolons or tabs; JSON, one object or several; lines of JSON; a
        training log; or the CSV of GenAI-Perf.

    Returns
    -------
    list of tuple
        Line of the file, and the record; every value is text.

    Raises
    ------
    trn3.data.DataError
        The line at which it cannot be read.

    Examples
    --------
    >>> records("model;tp\\nllama2_7b;8\\n")
    [(2, {'model': 'llama2_7b', 'tp': '8'})]
    """
    if any(map(_LOG.search, text.splitlines())):
        return [_log(text.splitlines())]
    if text.lstrip()[:1] in ("{", "["):
        return _json(text)
    if text.startswith("Metric,"):
        return [(1, _genai(text))]
    return _table(text)


def _table(text: str) -> list[tuple[int, Record]]:
    """Rows of a table; the delimiter is the one that its header has most of."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise data.DataError(f"row {reader.line_num}: {error}") from None
    lines = [(number, cells) for number, cells in lines if any(cell.strip() for cell in cells)]
    if not lines:
        raise data.DataError("the file is empty")
    header = [name.strip() for name in lines[0][1]]
    for name in header:
        if header.count(name) > 1:
            raise data.DataError(f"row 1: column {name!r} stands more than once")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise data.DataError(
                f"row {number}: it has {len(cells)} fields, the header {len(header)}"
            )
    return [
        (number, dict(zip(header, (cell.strip() for cell in cells)))) for number, cells in lines[1:]
    ]


def _json(text: str) -> list[tuple[int, Record]]:
    """Objects of a JSON file, or of one that has an object in every line."""
    try:
        found = json.loads(text)
        several = found if isinstance(found, list) else [found]
        numbered = list(enumerate(several, 1))
    except RecursionError:
        raise data.DataError("nested too deeply") from None
    except ValueError as error:
        lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for _, line in lines):
            raise data.DataError(f"no JSON: {error}") from None
        numbered = [(i, _object(i, line)) for i, line in lines]
    out = []
    for number, item in numbered:
        if not isinstance(item, dict):
            raise data.DataError(f"record {number}: must be a JSON object")
        try:
            out.append((number, dict(_flat(item))))
        except RecursionError:
            raise data.DataError(f"record {number}: nested too deeply") from None
    return out


def _object(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise data.DataError(f"line {number}: no JSON: {error}") from None


def _flat(item: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """Fields as text; what is nested gets a name with dots, and long lists are left out."""
    for key, value in item.items():
        name = f"{before}{key}"
        if isinstance(value, list):
            value = {"0": value[0]} if len(value) == 1 else None
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, bool):
            yield name, str(value).lower()
        else:
            yield name, "" if value is None else str(value)


def _log(lines: list[str]) -> tuple[int, Record]:
    """One record of a training log: its arguments, and the median of what every step prints."""
    record: Record = {}
    steps: dict[str, list[str]] = {}
    first = 0
    for number, line in enumerate(lines, 1):
        if found := _ARGUMENT.match(line):
            record[found[1]] = found[2].strip().lower()
        elif step := _LOG.search(line):
            first = first or number
            for part in filter(None, map(_PART.match, step[1].split("|"))):
                steps.setdefault(part[1], []).append(part[2])
    for name, values in steps.items():
        record[name] = _median(values[1:] or values)  # the first step warms up
    return first, record


def _median(values: list[str]) -> str:
    try:
        return f"{statistics.median(map(float, values)):.12g}"
    except ValueError:
        return values[-1]


def _genai(text: str) -> Record:
    """Averages of GenAI-Perf's CSV, which writes thousands with commas."""
    found = {}
    for cells in csv.reader(io.StringIO(text, newline="")):
        name = cells[0].removesuffix(" (tokens)").strip() if len(cells) > 1 else ""
        if name in _GENAI:
            found[_GENAI[name]] = cells[1].replace(",", "")
    return found


def form(kind: str, names: Iterable[str]) -> tuple[str, str]:
    """The form of a file, by the fields that it has.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference``.
    names : iterable of str
        Fields of its records.

    Returns
    -------
    tuple of str
        Form in ``data/run_columns.csv``, and what it is called.

    Examples
    --------
    >>> form("inference", ["hw", "conc", "isl", "osl", "tput_per_gpu"])
    ('inferencex', 'InferenceX')
    """
    rows, known = [r for r in data.rows("run_columns") if r["kind"] == kind], set(names)
    for each in dict.fromkeys(r["form"] for r in rows):
        marks = {r["name"] for r in rows if r["form"] == each and r["mark"] == "yes"}
        if marks and marks <= known:
            title = next(r["title"] for r in rows if r["form"] == each)
            return each, title
    return PLAIN, "a table"


def mapped(kind: str, form: str, record: Record, columns: Iterable[str]) -> tuple[Record, set[str]]:
    """A record in our columns.

    Parameters
    ----------
    kind, form : str
        Of ``data/run_columns.csv``.
    record : dict
        Fields of the other tool.
    columns : iterable of str
        Our columns; a field that has such a name is taken as it is, where nothing else gives it.

    Returns
    -------
    tuple of dict and set of str
        Cells by our columns, and the fields that were read.

    Examples
    --------
    >>> row = {"output_throughput": "100", "request_throughput": "4", "mean_tpot_ms": "20"}
    >>> found, used = mapped("inference", "bench_serving", row, [])
    >>> found["output_tokens"], found["tpot_ms"], found["mode"]
    ('25', '20', 'online-agg')
    """
    rows = [r for r in data.rows("run_columns") if r["kind"] == kind]
    rows = [r for f in dict.fromkeys((form, PLAIN)) for r in rows if r["form"] == f]
    found: Record = {}
    used: set[str] = set()
    for r in rows:
        fields = {f for f in (r["name"], r["minus"], r["per"]) if f}
        if fields <= set(record):
            used |= fields
            value = _value(r, record)
            if value and r["column"] and r["column"] not in found:
                found[r["column"]] = value
    for name in set(columns) & set(record):
        found.setdefault(name, record[name])
        used.add(name)
    if form == "inferencex" and "dp_attention" in record:
        used.add("dp_attention")
        if record["dp_attention"].lower() == "true" and found.get("tp"):
            found["dp"], found["tp"] = found["tp"], "1"  # each chip serves requests of its own
    return found, used


def _value(rule: Mapping[str, Any], record: Record) -> str:
    """The cell that a rule of ``data/run_columns.csv`` makes of a record; empty where none."""
    if not rule["name"]:
        return str(rule["words"])
    given = record[rule["name"]]
    pairs = (pair.partition("=") for pair in str(rule["words"]).split())
    words = {word: meaning for word, _, meaning in pairs}
    if words:
        return words.get(given.lower(), words.get("*", given) if given else "")
    if not rule["minus"] and not rule["per"] and rule["times"] == 1:
        return given
    try:
        number = float(given) - float(record[rule["minus"]] if rule["minus"] else 0)
        number *= rule["times"] / float(record[rule["per"]] if rule["per"] else 1)
    except (ValueError, ZeroDivisionError):
        return given
    return f"{number:.12g}"
