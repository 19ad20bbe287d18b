"""Parameters of a notebook: read from its ``parameters`` cell, and every given value checked before
anything runs.

One parameter a line, typed and commented: ``tokens: int = 15_000  # training tokens [-] {1..1e9}``.
The braces hold what is allowed: a range ``low..high``, words ``a|b|c``, or a kind of id (``{chip}
{system} {model} {region} {term} {dtype} {customer}``). Nothing that a user types is ever evaluated;
the annotation alone tells numbers from text.
"""

import ast
import functools
import hashlib
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from trn3 import data, hardware, model_config, workload
from trn3.bounds import nearest, printable, shown
from trn3.study import customers

NOTEBOOKS = Path(os.environ.get("TRN3_NOTEBOOKS") or data.home() / "notebooks").resolve()
TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
WORDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
KINDS = {"chip", "system", "model", "region", "term", "dtype", "customer", "runs"}
RUN_FILES = (".csv", ".json", ".jsonl", ".log", ".tsv", ".txt")
"""Endings of files of measured runs, as `trn3 validate` reads them."""
FILES = (".toml", *RUN_FILES)
WEIGHTS_ONLY = ("int4",)
"""Formats that weights are stored in and no chip computes in."""
TEXT_LENGTH, LIST_LENGTH = 200, 64
COMMENT = re.compile(
    r"#\s*(?P<meaning>.*?)\s*(?:\[(?P<unit>[^]]*)\])?\s*(?:\{(?P<allowed>[^}]*)\})?\s*$"
)
BOOLS = {"true": True, "yes": True, "false": False, "no": False}


class ParameterError(data.TrnError):
    """A parameter that is unknown, of the wrong type or outside what is allowed: one line that
    says what to type.
    """

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows of it: the line alone, as the command prints it."""
        return [f"{type(self).__name__}: {printable(str(self))}"]


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
    def many(self) -> bool:
        """Whether it takes several values."""
        return self.type != self.item

    @property
    def wants(self) -> str:
        """What may be given, in words for an error message."""
        words = WORDS[self.item]
        if self.allowed:
            words = f"one of {', '.join(self.allowed.split('|'))}"
        if ".." in self.allowed:
            words = f"{WORDS[self.item]} from {self.allowed.replace('..', ' to ')}"
        if self.allowed in KINDS:
            words = f"a {self.allowed} id" + " or file" * (self.allowed in ("model", "customer"))
        if self.allowed == "runs":
            words = "the file of your measured runs"
        pure = self.unit == "-" and self.item in ("str", "bool")  # an id has no unit
        if self.unit and not pure:
            words += f" [{self.unit}]"
        if self.many:
            words += " (several: with commas)"
        return words

    @property
    def shown(self) -> str:
        """The default as one would type it."""
        several = self.default if self.many else [self.default]
        return ",".join(
            f"{v:.12g}".replace("e+", "e") if isinstance(v, float) else str(v) for v in several
        )

    def field(self) -> tuple[Any, Any]:
        """The pydantic field that accepts this parameter."""
        kind: Any = TYPES[self.item]
        if ".." in self.allowed:
            low, high = map(float, self.allowed.split(".."))
            kind = Annotated[kind, pydantic.Field(ge=low, le=high)]
        elif self.allowed and self.allowed not in KINDS:
            kind = Literal[tuple(map(kind, self.allowed.split("|")))]
        elif kind is str:
            kind = Annotated[str, pydantic.Field(max_length=TEXT_LENGTH)]
        if self.many:
            kind = Annotated[
                list[kind],
                pydantic.Field(min_length=min(len(self.default), 1), max_length=LIST_LENGTH),
            ]
        about: Any = {"unit": self.unit, "allowed": self.allowed}
        return kind, pydantic.Field(self.default, description=self.meaning, json_schema_extra=about)

    def typed(self, value: Any) -> Any:
        """A value from the command line or a TOML file in this parameter's type, unchanged where
        it does not fit.
        """
        if not self.many:
            return self.one(value)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")] if value else []
        several = value if isinstance(value, list) else [value]  # one where several may stand
        return [self.one(v) for v in several]

    def one(self, value: Any) -> Any:
        """The same for one value of several."""
        try:
            if self.item == "int" and isinstance(value, str | float):
                number = (
                    int(value)
                    if isinstance(value, str) and value.lstrip("+-").isdigit()
                    else float(value)
                )
                return int(number) if number == int(number) else value
            if (
                self.item == "float"
                and isinstance(value, str | int)
                and not isinstance(value, bool)
            ):
                return float(value)
        except (ValueError, OverflowError):
            return value
        return (
            BOOLS.get(value.lower(), value)
            if self.item == "bool" and isinstance(value, str)
            else value
        )


def notebooks() -> list[Path]:
    """The collection in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def find(name: str) -> Path:
    """The notebook of a report, named in full or by its number alone."""
    known = {path.stem: path for path in notebooks()}
    if name.endswith(".ipynb"):
        name = Path(name).stem  # as a shell completes it, with folder and ending
    for stem, path in known.items():
        if name.lower().replace("-", "_") in (
            stem,
            stem[:2],
            stem[3:],
            stem[:2].lstrip("0") or "0",
        ):
            return path
    there = ", ".join(known) or f"none in {NOTEBOOKS}; TRN3_NOTEBOOKS may name another folder"
    raise ParameterError(
        f"no report named {shown(name)}{nearest(name, known)} (there are: {there})"
    )


def read(notebook: Any) -> list[Parameter]:
    """Parameters that a notebook (its path, or itself) declares, in order."""
    return list(_declared(_cell(notebook)).values())


def code(notebook: Path) -> list[tuple[str, str, list[str]]]:
    """Kind, source and tags of every cell of a stored notebook."""
    return _code(notebook, notebook.stat().st_mtime_ns)


@functools.lru_cache
def _code(notebook: Path, _: int) -> list[tuple[str, str, list[str]]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [(c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])) for c in cells]


def _cell(notebook: Any) -> str:
    if isinstance(notebook, Path):
        return next((text for _, text, tags in code(notebook) if "parameters" in tags), "")
    return next(
        (c["source"] for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])),
        "",
    )


@functools.lru_cache
def _declared(source: str) -> dict[str, Parameter]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    found = {}
    for node in ast.parse(source).body:
        if (
            not isinstance(node, ast.AnnAssign)
            or not isinstance(node.target, ast.Name)
            or node.value is None
        ):
            raise ParameterError(
                f"parameters cell, line {node.lineno}: "
                "write `name: type = default  # meaning [unit]`"
            )
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        told = next((comments[n] for n in reversed(lines) if n in comments), "#")
        name, about = node.target.id, re.match(COMMENT, told)
        words = [text or "" for text in about.groups()] if about else ["", "", ""]
        found[name] = p = Parameter(
            name, ast.unparse(node.annotation), ast.literal_eval(node.value), *words
        )
        if p.item not in TYPES or (p.item in ("int", "float") and not p.allowed) or not p.meaning:
            raise ParameterError(
                f"parameters cell: {name} needs a known type, a meaning and, if a number, a range"
            )
    return found


@functools.lru_cache
def _model(source: str) -> Any:
    fields = {p.name: p.field() for p in _declared(source).values()}
    config = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return pydantic.create_model("Parameters", __config__=config, **fields)  # type: ignore[call-overload]


def schema(notebook: Path) -> dict[str, Any]:
    """JSON schema of a notebook's parameters, for other programs."""
    return dict(_model(_cell(notebook)).model_json_schema())


def validate(notebook: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook with the given values in place of defaults, typed, in range and
    resolved.

    Parameters
    ----------
    notebook : pathlib.Path
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
    source = _cell(notebook)
    declared = _declared(source)
    given = dict(given) | _stored_dtype(declared, given)
    for name in given:
        if name not in declared:
            there = ", ".join(declared) or "none"
            raise ParameterError(
                f"no parameter named {shown(name)}{nearest(name, declared)} (there are: {there})"
            )
    values = {
        name: p.typed(given[name]) if name in given else p.default for name, p in declared.items()
    }
    try:
        _model(source)(**values | _in_bounds(declared, values))
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        p, value = declared[str(fault["loc"][0])], fault["input"]
        near = nearest(value, p.allowed.split("|")) if "|" in p.allowed else ""
        if (
            p.item in ("int", "float")
            and isinstance(value, str)
            and any(c.isdigit() for c in value)
        ):
            near = f"; write the number alone, such as {p.shown.partition(',')[0]}"
        raise ParameterError(f"{p.name}: {shown(value)} is not {p.wants}{near}") from None
    return {name: _resolved(declared[name], value) for name, value in values.items()}


def _stored_dtype(declared: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The format in which a reader's own file stores its weights, where a page serves a model and
    no format was given.
    """
    serves = "dtype" in declared and "output_tokens" in declared
    stored = stored_format(given) if serves and "dtype" not in given else ""
    return {"dtype": stored} if stored else {}


def stored_format(given: Mapping[str, Any]) -> str:
    """The format in which the file of a report's model stores its weights.

    Parameters
    ----------
    given : mapping
        Parameters by name.

    Returns
    -------
    str
        As `model_config.stored_format` names it; empty where the model is a known one, or its file
        says none.
    """
    path = given.get("model")
    if not isinstance(path, str) or not path.endswith(".json"):
        return ""
    try:
        return model_config.stored_format(model_config.read(path))
    except data.TrnError:
        return ""  # the check of the model says what is wrong with it


def _in_bounds(declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """A stand-in for the format of the reader's file, on pages whose words do not name it."""
    words = declared["dtype"].allowed if "dtype" in declared else ""
    own = "|" in words and values["dtype"] == stored_format(values)
    return {"dtype": declared["dtype"].default} if own else {}


def check(here: MutableMapping[str, Any], name: str) -> None:
    """Check the parameters of a notebook, however it is run: in JupyterLab, by papermill, by nbval.

    Every value becomes what the command would make of it: text a number, a single value a list, an
    id its one spelling. What was not typed that way is said, the rest is silent.

    Parameters
    ----------
    here : mutable mapping
        The notebook's ``globals()``.
    name : str
        Its name, by which its declarations are found.

    Raises
    ------
    ParameterError
        With one line that names the parameter, its unit and what is allowed.
    """
    if not notebooks():
        return  # the package without its collection declares nothing
    notebook = find(name)
    given = {p.name: here[p.name] for p in read(notebook) if p.name in here}
    values = validate(notebook, given)
    stored = stored_format(values)
    if stored and "output_tokens" in values and stored != values.get("dtype"):
        print(f"the file of the model stores {stored}: dtype = {stored!r} serves it so")
    for key, value in values.items():
        file = isinstance(value, str) and value.endswith(FILES)
        if key in given and value != given[key] and not file:
            print(f"{key} = {value!r}")
    here.update(values)


def _resolved(p: Parameter, value: Any) -> Any:
    """Ids in their one spelling; text must be printable, and a list names nothing twice."""
    if isinstance(value, list):
        several = [_resolved(p, v) for v in value]
        if len(set(several)) < len(several):
            raise ParameterError(f"{p.name}: {shown(value)} names something twice")
        return several
    if not isinstance(value, str) or value == p.default == "":
        return value
    if not value.isprintable():
        raise ParameterError(f"{p.name}: {shown(value)} holds characters that cannot be printed")
    if p.allowed not in KINDS:
        return value
    if p.allowed == "runs":
        return _runs_file(p.name, value)
    try:
        if not value.endswith(FILES):
            return _id(p.allowed, value)
        {"model": workload.model, "customer": customers.load}.get(
            p.allowed, functools.partial(_id, p.allowed)
        )(value)
        return str(Path(value).resolve())
    except (data.TrnError, OSError, RecursionError) as error:
        if len(getattr(error, "lines", [])) > 1:
            raise  # a customer file, which names itself and each of its problems
        raise ParameterError(f"{p.name}: {error}") from None


def _runs_file(name: str, value: str) -> str:
    """The file of a reader's measured runs; what is in it, the page says."""
    if not value.endswith(RUN_FILES):
        endings = ", ".join(RUN_FILES)
        raise ParameterError(f"{name} = {shown(value)}: allowed: a file that ends in {endings}")
    if not Path(value).is_file():
        raise ParameterError(f"{name} = {shown(value)}: there is no such file")
    return str(Path(value).resolve())


def told(values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Values as a page may show them: no page tells of the folders around a reader's file.

    Parameters
    ----------
    values : mapping
        As `validate` gives them, files as absolute paths.
    names : mapping, optional
        What to call each file, from `short`.

    Returns
    -------
    dict
        Files by their path from here or, where that leads upwards, by their folder and name.
    """
    names = names or short(values.values())
    return {
        name: names.get(value, value) if _is_file(value) else value
        for name, value in values.items()
    }


def short(values: Iterable[Any]) -> dict[str, str]:
    """What to call files: by as many of their last folders as tell them apart.

    Parameters
    ----------
    values : iterable
        Absolute paths; others are left out.

    Returns
    -------
    dict
        By path: the path from here or, where that leads upwards, folder and name, with more folders
        where two would be called alike.

    Examples
    --------
    >>> list(short(["/a/x/config.json", "/b/x/config.json"]).values())
    ['a/x/config.json', 'b/x/config.json']
    """
    paths = list(dict.fromkeys(value for value in values if _is_file(value)))
    names = {path: _near(path, 2) for path in paths}
    for n in range(3, max((len(Path(path).parts) for path in paths), default=0)):
        alike = [path for path in paths if [*names.values()].count(names[path]) > 1]
        names |= {path: _near(path, n) for path in alike}
    return names


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(FILES) and os.path.isabs(value)


def _near(path: str, n_parts: int) -> str:
    near = os.path.relpath(path)
    if near.startswith(os.pardir):
        return os.path.join(*Path(path).parts[-n_parts:])
    return near


def ids(kind: str) -> list[str]:
    """What may be typed for a kind of `KINDS`, besides the path of a file."""
    if kind == "customer":
        return customers.customers()
    if kind == "runs":
        return []
    return [*data.ids(kind), *(WEIGHTS_ONLY if kind == "dtype" else ())]


@data.kept
def _id(kind: str, text: str) -> str:
    """An id in its one spelling."""
    if kind == "customer":
        known = {name.replace("_", ""): name for name in customers.customers()}
        if (plain := re.sub("[ _-]", "", text.lower())) not in known:
            raise data.UnknownId(
                f"customer {shown(text)} is unknown{nearest(text, known)}; or give a .toml file"
            )
        customers.load(known[plain])
        return known[plain]
    if kind == "system":
        return hardware.system(text).id  # a chip means its usual system
    if kind == "dtype" and text.lower() in WEIGHTS_ONLY:
        return text.lower()
    return workload.model(text).id if kind == "model" else data.resolve(kind, text)


def key(values: Mapping[str, Any]) -> str:
    """Hash of parameter values, with the contents of the files that they name."""
    files = [Path(v) for v in values.values() if isinstance(v, str) and v.endswith(FILES)]
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()
