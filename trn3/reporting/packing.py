"""Specs and tables in few bytes: a column's properties once and not per cell, and what stands
several times once.

``page.js`` unpacks specs. A packed spec is a list: the spec, then the parts that it names as
``{"$": number}``. A table of four rows or more is ``{"#": rows, "c": {name: column}}``, and a
column is one of: the values, as many as come round again; values ``v`` with their run lengths
``n``; words ``w`` with the places ``i`` of each row's, which ``, `` joins.
"""

import itertools
import json
import re
from collections import Counter
from typing import Any

LEAST_ROWS, LEAST_CHARACTERS, EXACT, JOINED = 4, 24, 1e15, ", "
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def text(value: Any) -> str:
    """JSON without spaces.

    Parameters
    ----------
    value : object
        Plain data.

    Returns
    -------
    str
        One line.
    """
    return _ENCODER.encode(value)


def packed(spec: Any) -> list[Any]:
    """Pack a spec.

    Parameters
    ----------
    spec : dict
        Plain data.

    Returns
    -------
    list
        The spec and its parts.

    Examples
    --------
    >>> axis = {"type": "quantitative", "title": "Days"}
    >>> packed({"x": axis, "y": axis})
    [{'x': {'$': 1}, 'y': {'$': 1}}, {'type': 'quantitative', 'title': 'Days'}]
    """
    spec = _by_column(spec)
    seen: Counter[str] = Counter()
    _count(spec, seen)
    parts: dict[str, Any] = {}
    return [_named(spec, seen, parts), *parts.values()]


def _by_column(node: Any) -> Any:
    if isinstance(node, list):
        return [_by_column(v) for v in node]
    if not isinstance(node, dict):
        return (
            int(node)
            if isinstance(node, float) and node.is_integer() and abs(node) < EXACT
            else node
        )
    rows = node.get("values")
    rows = rows if isinstance(rows, list) and all(isinstance(r, dict) for r in rows) else []
    if len(rows) < LEAST_ROWS or len({tuple(r) for r in rows}) > 1:
        return {k: _by_column(v) for k, v in node.items()}
    return node | {
        "values": {
            "#": len(rows),
            "c": {k: _column([_by_column(r[k]) for r in rows]) for k in rows[0]},
        }
    }


def _column(cells: list[Any]) -> Any:
    """The shortest of the ways to write a column."""
    keys = [repr(c) for c in cells]
    round_ = next(
        n
        for n in range(1, len(cells) + 1)
        if len(cells) % n == 0 and keys[n:] == keys[: len(keys) - n]
    )
    runs = [list(group) for _, group in itertools.groupby(cells, key=repr)]
    words = sorted({word for c in cells if isinstance(c, str) for word in c.split(JOINED)})
    ways = [cells[:round_], {"v": [run[0] for run in runs], "n": [len(run) for run in runs]}]
    if words and all(c is None or isinstance(c, str) for c in cells):
        places = [
            -1 if c is None else [words.index(word) for word in c.split(JOINED)] for c in cells
        ]
        ways.append(
            {"w": words, "i": [p[0] if isinstance(p, list) and len(p) == 1 else p for p in places]}
        )
    return min(ways, key=lambda way: len(text(way)))


def _count(node: Any, seen: Counter[str]) -> None:
    """Count what is worth a name; parts of what stands again are not counted again."""
    key = repr(node) if isinstance(node, dict | list) else ""
    seen[key] += len(key) >= LEAST_CHARACTERS
    if key and seen[key] <= 1:
        for child in node.values() if isinstance(node, dict) else node:
            _count(child, seen)


def _named(node: Any, seen: Counter[str], parts: dict[str, Any]) -> Any:
    """The node with all that stands several times replaced by its number among the parts, which
    grow.
    """
    key = repr(node) if isinstance(node, dict | list) else ""
    again = seen[key] > 1
    if key not in parts:
        if again:
            parts[key] = None  # takes its place before its own parts
        if isinstance(node, dict):
            node = {k: _named(v, seen, parts) for k, v in node.items()}
        elif isinstance(node, list):
            node = [_named(v, seen, parts) for v in node]
        if again:
            parts[key] = node
    return {"$": list(parts).index(key) + 1} if again else node


def table(markup: str) -> str:
    """Write an HTML table without the end tags that HTML implies; one class per column of numbers,
    not per cell.

    Parameters
    ----------
    markup : str
        A table whose head says with ``class="n"`` which columns hold numbers.

    Returns
    -------
    str
        The same table.

    Examples
    --------
    >>> table('<table class="grid"><tr><th scope="col">a</th><th scope="col" class="n">b</th></tr></table>')
    '<table class="grid n2"><tr><th scope="col">a<th scope="col">b</table>'
    """
    heads = re.findall(r'<th scope="col"([^>]*)>', markup)
    right = "".join(f" n{i}" for i, attributes in enumerate(heads, 1) if 'class="n"' in attributes)
    markup = re.sub("</(?:td|th|tr|thead|tbody)>", "", markup)
    if not right or not re.match(r'<table class="(grid|assumed)"', markup):
        return markup
    return re.sub(
        r'class="(\w+)"', rf'class="\1{right}"', markup.replace(' class="n"', ""), count=1
    )
