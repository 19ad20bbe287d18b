"""Parameters of a notebook: read from its ``parameters`` cell, and every given value checked before anything runs.

One parameter a line, typed and commented: ``tokens: int = 15_000  # training tokens [-] {1..1e9}``. The braces hold
what is allowed: a range ``low..high``, words ``a|b|c``, or a kind of id (``{chip} {system} {model} {region} {term}
{dtype} {customer}``). Nothing that a user types is ever evaluated; the annotation alone tells numbers from text.
"""

import ast
import difflib
import functools
import hashlib
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from trn3 import data

NOTEBOOKS = Path(os.environ.get("TRN3_NOTEBOOKS", Path(__file__).parents[2] / "notebooks"))
TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
KINDS = {"chip", "system", "model", "region", "term", "dtype", "customer"}
FILES = {"model": ".json", "customer": ".toml"}
TEXT_LENGTH, LIST_LENGTH, SHOWN = 200, 64, 60
COMMENT = re.compile(r"#\s*(?P<meaning>.*?)\s*(?:\[(?P<unit>[^]]*)\])?\s*(?:\{(?P<allowed>[^}]*)\})?\s*$")
BOOLS = {"true": True, "yes": True, "false": False, "no": False}


class ParameterError(data.TrnError):
    """A parameter that is unknown, of the wrong type or outside what is allowed: one line that says what to type."""


@dataclass(frozen=True)
class Parameter:
    """One line of a ``parameters`` cell.

    Attributes
    ----------
    name, type : str
        Name and annotation.
    default : Any
        Value where none is given.
    meaning, unit, allowed : str
        The comment: what it is, ``[unit]``, ``{allowed}``.
    """

    name: str
    type: str
    default: Any
    meaning: str
    unit: str
    allowed: str

    @property
    def item(self) -> str:
        """Type of one value: ``int`` also for ``list[int]``."""
        return self.type.removeprefix("list[").removesuffix("]")

    @property
    def wants(self) -> str:
        """What may be given, in words for an error message."""
        words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}[self.item]
        if ".." in self.allowed:
            words += " from {} to {}".format(*self.allowed.split(".."))
        elif self.allowed in KINDS:
            words = f"a {self.allowed} id" + (f" or a {FILES[self.allowed]} file" if self.allowed in FILES else "")
        elif self.allowed:
            words = "one of " + ", ".join(self.allowed.split("|"))
        many = " (several: separated by commas)" if self.type != self.item else ""
        return f"{words}{f' [{self.unit}]' if self.unit else ''}{many}"

    def field(self) -> tuple[Any, Any]:
        """The pydantic field that accepts this parameter."""
        kind, extra = TYPES[self.item], {"unit": self.unit, "allowed": self.allowed}
        if ".." in self.allowed:
            low, high = map(float, self.allowed.split(".."))
            kind = Annotated[kind, pydantic.Field(ge=low, le=high)]
        elif self.allowed and self.allowed not in KINDS:
            kind = Literal[tuple(map(kind, self.allowed.split("|")))]
        elif kind is str:
            kind = Annotated[str, pydantic.Field(max_length=TEXT_LENGTH)]
        if self.type == self.item:
            return kind, pydantic.Field(self.default, description=self.meaning, json_schema_extra=extra)
        few = min(len(self.default), 1)
        many = Annotated[list[kind], pydantic.Field(min_length=few, max_length=LIST_LENGTH)]
        return many, pydantic.Field(self.default, description=self.meaning, json_schema_extra=extra)

    def typed(self, value: Any) -> Any:
        """A value from the command line or a TOML file in this parameter's type, unchanged where it does not fit."""
        if self.type != self.item:
            parts = value.split(",") if isinstance(value, str) and value else value
            return [self.one(v.strip() if isinstance(v, str) else v) for v in parts] if isinstance(parts, list) else []
        return self.one(value)

    def one(self, value: Any) -> Any:
        try:
            if self.item == "int" and isinstance(value, str | float):
                exact = int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else float(value)
                return int(exact) if exact == int(exact) else value
            if self.item == "float" and not isinstance(value, bool):
                return float(value)
        except (ValueError, OverflowError):
            return value
        return BOOLS.get(value.lower(), value) if self.item == "bool" and isinstance(value, str) else value


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like a misspelt one, as the end of an error message."""
    match = difflib.get_close_matches(str(word).lower(), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {match[0]}?" if match else ""


def shown(value: Any) -> str:
    """A value for an error message: printable, one line, short."""
    text = ascii(value) if not isinstance(value, int) or abs(value) < 1e18 else f"{'-' * (value < 0)}a huge number"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def notebooks() -> list[Path]:
    """The collection in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def find(name: str) -> Path:
    """The notebook of a report, named in full or by its number alone."""
    known = {path.stem: path for path in notebooks()}
    for stem, path in known.items():
        if name.lower().replace("-", "_").removesuffix(".ipynb") in (stem, stem.split("_")[0], stem.partition("_")[2]):
            return path
    raise ParameterError(
        f"no report named {shown(name)}{nearest(name, known)} (there are: {', '.join(known) or 'none'})"
    )


def parameters_cell(notebook: Any) -> str:
    """Source of the cell tagged ``parameters``, of a notebook or the path of one."""
    if isinstance(notebook, str | Path):
        notebook = json.loads(Path(notebook).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            return "".join(cell["source"])
    return ""


def read(notebook: Any) -> list[Parameter]:
    """Parameters that a notebook declares, in order."""
    return list(_declared(parameters_cell(notebook)).values())


@functools.lru_cache
def _declared(source: str) -> dict[str, Parameter]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    found = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            raise ParameterError(f"parameters cell, line {node.lineno}: write `name: type = default  # meaning [unit]`")
        about = COMMENT.match(comments.get(node.end_lineno or 0, "#"))
        default = ast.literal_eval(node.value)
        found[node.target.id] = p = Parameter(
            node.target.id,
            ast.unparse(node.annotation),
            default,
            *(x or "" for x in about.groups()),  # type: ignore[union-attr]
        )
        if p.item not in TYPES or (p.item in ("int", "float") and not p.allowed) or not p.meaning:
            raise ParameterError(f"parameters cell: {p.name} needs a known type, a meaning and, if a number, a range")
    return found


@functools.lru_cache
def _model(source: str) -> Any:
    fields = {p.name: p.field() for p in _declared(source).values()}
    config = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return pydantic.create_model("Parameters", __config__=config, **fields)  # type: ignore[call-overload]


def schema(notebook: Any) -> dict[str, Any]:
    """JSON schema of a notebook's parameters, for other programs."""
    return dict(_model(parameters_cell(notebook)).model_json_schema())


def validate(notebook: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook with the given values in place of defaults, typed, in range and resolved.

    Parameters
    ----------
    notebook : path or notebook
        What declares them.
    given : mapping
        Values by name: text as typed after ``-p``, or typed values from a TOML file.

    Returns
    -------
    dict
        Every parameter by name; ids in their one spelling, files as absolute paths.

    Raises
    ------
    ParameterError
        With one line that names the parameter, its unit and what is allowed.
    """
    source = parameters_cell(notebook)
    declared = _declared(source)
    for name in given:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise ParameterError(f"no parameter named {shown(name)}{nearest(name, declared)} (there are: {known})")
    values = {name: p.typed(given[name]) if name in given else p.default for name, p in declared.items()}
    try:
        values = _model(source)(**values).model_dump()
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        p, value = declared[str(first["loc"][0])], first["input"]
        words = p.allowed.split("|") if "|" in p.allowed else []
        raise ParameterError(f"{p.name}: {shown(value)} is not {p.wants}{nearest(value, words)}") from None
    return {name: _resolved(declared[name], value) for name, value in values.items()}


def _resolved(p: Parameter, value: Any) -> Any:
    """Ids in their one spelling; text must be printable, and a list names nothing twice."""
    if isinstance(value, list):
        found = [_resolved(p, v) for v in value]
        if len({str(v) for v in found}) < len(found):
            raise ParameterError(f"{p.name}: {shown(value)} names something twice")
        return found
    if not isinstance(value, str) or value == p.default == "":
        return value
    if not value.isprintable():
        raise ParameterError(f"{p.name}: {shown(value)} holds characters that cannot be printed")
    if p.allowed not in KINDS:
        return value
    if value.endswith(FILES.get(p.allowed, "\0")):
        if not Path(value).is_file():
            raise ParameterError(f"{p.name}: there is no file {shown(value)}")
        return str(Path(value).resolve())
    try:
        return _customer(value) if p.allowed == "customer" else data.resolve(p.allowed, value)
    except data.TrnError as error:
        raise ParameterError(f"{p.name}: {error}") from None


def _customer(text: str) -> str:
    known = {path.stem for path in (data.DATA / "customers").glob("*.toml")} - {"template"}
    if (name := text.lower().replace("-", "_")) in known:
        return name
    raise data.UnknownId(
        f"customer {shown(text)} is unknown{nearest(text, known)} (there are: {', '.join(sorted(known))})"
    )


def key(values: Mapping[str, Any]) -> str:
    """Hash of parameter values, with the contents of the files that they name."""
    files = [
        v for v in values.values() if isinstance(v, str) and v.endswith(tuple(FILES.values())) and os.path.isfile(v)
    ]
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()
