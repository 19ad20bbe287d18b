"""House rules that a script can check: rooms, docstrings, notebook anatomy, and what may not be
in the tree.
"""

import ast
import inspect
import json
import math
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for p in (ROOT / "trn3").rglob("*.py") if p.name != "__init__.py")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FORMULAS = {"units", "ties", "layers", "roofline", "collectives", "energy", "reliability", "cost"}
"""Modules of the core that know neither records nor data."""

MAY_IMPORT = {
    "core": {"core"},
    "fit": {"core", "fit"},
    "show": {"show"},
    "study": {"core", "fit", "show", "study"},
    "reporting": {"core", "fit", "show", "study", "reporting"},
}
"""Whom a room may import; show reads two modules of the core besides."""

SHOW_READS = {"units", "data"}


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "trn3").with_suffix("").parts)


def room(module: str) -> str:
    """The folder of a module; what starts the command counts as reporting."""
    folder = module.partition(".")[0] if "." in module else "core"
    return "reporting" if module == "__main__" else folder


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / p for p in listing.split("\0") if p and (ROOT / p).is_file()]


def imports(path: Path) -> set[str]:
    """The trn3 modules that a file imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trn3"):
            base = (node.module or "").removeprefix("trn3").lstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".lstrip(".")
                found.add(
                    whole if (ROOT / "trn3" / f"{whole.replace('.', '/')}.py").exists() else base
                )
        elif isinstance(node, ast.Import):
            found |= {
                a.name.removeprefix("trn3.") for a in node.names if a.name.startswith("trn3.")
            }
    return found - {"", "reporting", "trn3"}


def import_graph() -> dict[str, set[str]]:
    return {name(path): imports(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_room_imports_only_from_its_own_and_below(path):
    module = name(path)
    allowed = MAY_IMPORT[room(module)]
    above = {m for m in imports(path) if room(m) not in allowed}
    if room(module) == "show":
        above -= SHOW_READS
    assert not above, f"{module} imports {above}"


@pytest.mark.parametrize("path", [p for p in MODULES if name(p) in FORMULAS], ids=name)
def test_formulas_know_neither_records_nor_data_and_need_only_numpy(path):
    assert imports(path) <= FORMULAS
    tree = ast.walk(ast.parse(path.read_text()))
    roots = {a.name.split(".")[0] for n in tree if isinstance(n, ast.Import) for a in n.names}
    assert roots <= {"numpy", "math", "dataclasses"}


@pytest.mark.parametrize("path", [p for p in MODULES if room(name(p)) in ("core", "fit")], ids=name)
def test_no_import_hides_in_a_function(path):
    """An import of ours inside a function would hold open a circle."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            inner = [n for n in ast.walk(function) if isinstance(n, ast.ImportFrom)]
            ours = [n.lineno for n in inner if (n.module or "").startswith("trn3")]
            assert not ours, f"{path}: {function.name} imports at lines {ours}"


def test_imports_form_no_circle():
    graph, done = import_graph(), set()

    def walk(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, (
            f"circle: {' -> '.join((*above[above.index(module) :], module))}"
        )
        if module not in done:
            for below in sorted(graph.get(module, ())):
                walk(below, (*above, module))
            done.add(module)

    for module in graph:
        walk(module, ())


SORTS = {"sort_values", "argsort", "sort_index"}
PICKS = {"argmin", "argmax", "idxmin", "idxmax", "nsmallest", "nlargest", "nanargmin", "nanargmax"}
FIRST_TRUE = {"ties", "cost"}
"""Modules whose argmax finds the first true of booleans, which no rounding moves."""


def unstable(text: str, where: str) -> list[str]:
    """Calls that leave the order of equals, or of nearly equals, to the processor."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = node.func.attr
        kinds = [k.value for k in node.keywords if k.arg == "kind"]
        stable = [isinstance(k, ast.Constant) and k.value == "stable" for k in kinds] == [True]
        picks = called in PICKS and not (called == "argmax" and where in FIRST_TRUE)
        if picks or (called in SORTS and not stable):
            found.append(f"{where}, line {node.lineno}: {called}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_sorts_are_stable_and_ties_have_a_rule(path):
    assert not unstable(path.read_text(), name(path)), 'kind="stable", or trn3.ties'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_sorts_of_a_notebook_are_stable_and_ties_have_a_rule(path):
    code = [source(c) for c in cells(path) if c["cell_type"] == "code"]
    found = [call for i, text in enumerate(code) for call in unstable(text, f"code cell {i}")]
    assert not found, 'kind="stable", or trn3.ties'


def test_an_unstable_sort_would_be_seen():
    assert unstable("f.sort_values('a')", "x") and unstable("np.argsort(v, kind='quicksort')", "x")
    assert unstable("v.argmax()", "x") and unstable("f.nlargest(1, 'a')", "cost")
    assert not unstable("f.sort_values('a', kind='stable'); np.argmax(v)", "ties")


def test_only_the_room_of_charts_knows_altair():
    users = {
        name(p) for p in MODULES if re.search(r"^\s*(import|from) altair", p.read_text(), re.M)
    }
    assert users and {room(user) for user in users} == {"show"}


def public_functions():
    for path in MODULES:
        if room(name(path)) == "reporting":
            continue
        module = import_module(f"trn3.{name(path)}")
        for label, item in vars(module).items():
            if (
                not label.startswith("_")
                and inspect.isfunction(item)
                and item.__module__ == module.__name__
            ):
                yield pytest.param(item, id=f"{name(path)}.{label}")


def section(doc: str, title: str) -> str:
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.M | re.S)
    return match.group(1) if match else ""


@pytest.mark.parametrize("function", list(public_functions()))
def test_docstring_agrees_with_signature(function):
    doc = inspect.getdoc(function) or ""
    assert doc, "no docstring"
    block = section(doc, "Parameters")
    documented = [
        n.strip(" *")
        for line in re.findall(r"^(\S[^:\n]*)(?: *:|$)", block, re.M)
        for n in line.split(",")
    ]
    arguments = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if not p.name.startswith("_")
    ]
    assert documented == arguments
    for entry in re.split(r"\n(?=\S)", block.strip()):
        kind = entry.split("\n")[0]
        if re.search(r"float|array|Array|int\b", kind) and not re.search(
            r"str|bool|dict|Mapping|list\[str", kind
        ):
            assert re.search(r"\[[^\]\n]+\]", entry.split("\n", 1)[-1]), f"no [unit] in: {entry!r}"
    returns = inspect.signature(function).return_annotation
    if returns not in (None, "None", inspect.Signature.empty) and "NoReturn" not in str(returns):
        assert section(doc, "Returns") or section(doc, "Yields"), "no Returns section"


def specific(value: float, n_digits: int = 3) -> bool:
    """Whether a number is so specific (three digits or more, not round) that meeting it in code
    means a copied fact.
    """
    digits = f"{abs(value):.6g}".replace(".", "").strip("0").split("e")[0]
    power_of_two = value > 0 and math.log2(value).is_integer()
    return (
        len(digits) >= n_digits
        and not power_of_two
        and abs(value) not in {3600.0, 365.25, 8760.0, 1e3}
    )


def facts_of_the_data() -> set[float]:
    values: set[float] = set()
    for table, digits in (
        ("specs", 3),
        ("systems", 3),
        ("prices", 4),
    ):  # three-digit prices meet coefficients by chance
        frame = pd.read_csv(ROOT / "data" / f"{table}.csv", dtype=str, keep_default_na=False)
        values |= {
            float(v)
            for column in ("value", "low", "high")
            for v in frame[column]
            if v and specific(float(v), digits)
        }
    return values


def literals(text: str) -> set[float]:
    nodes = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant))
    return {
        float(n.value)
        for n in nodes
        if isinstance(n.value, int | float) and not isinstance(n.value, bool)
    }


def test_no_spec_or_price_stands_in_code():
    facts = facts_of_the_data()
    assert len(facts) > 200
    for path in MODULES:
        if room(name(path)) in (
            "show",
            "reporting",
        ):  # pixels, colours and sizes of pages, which meet prices by chance
            continue
        copied = literals(path.read_text()) & facts
        assert not copied, f"{path}: {copied}"


# --------------------------------------------------------------------------------------- notebooks
REGIONS = {
    "parameters",
    "answer",
    "headline",
    "worked",
    "assumptions",
    "flips",
    "checks",
    "sources",
    "results",
}


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def test_the_collection_is_whole():
    assert [p.stem[:2] for p in NOTEBOOKS] == [f"{i:02d}" for i in range(12)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestAnatomy:
    def test_opens_with_a_question(self, path):
        first = cells(path)[0]
        title, _, rest = source(first).partition("\n")
        assert (
            first["cell_type"] == "markdown"
            and title.startswith("# ")
            and title.rstrip().endswith("?")
        )
        assert len(re.findall(r"[.!?](?:\s|$)", rest.strip().split("\n\n")[0])) >= 2, (
            "two sentences under the question"
        )

    def test_has_every_region_once_and_in_order(self, path):
        order = [next(iter(tags(c) & REGIONS)) for c in cells(path) if tags(c) & REGIONS]
        needed = REGIONS - (
            {"headline", "flips", "checks"} if path.stem.startswith("11") else set()
        )
        assert needed <= set(order), f"missing {needed - set(order)}"
        assert (
            order.index("parameters")
            < order.index("answer")
            < order.index("assumptions")
            < order.index("sources")
        )
        assert order.count("answer") == order.count("parameters") == 1

    def test_holds_no_fact(self, path):
        code = "\n".join(
            source(c)
            for c in cells(path)
            if c["cell_type"] == "code" and "parameters" not in tags(c)
        )
        copied = literals(code) & facts_of_the_data()
        assert not copied, copied
        assert "def " not in code, "a formula belongs in trn3/"

    def test_is_stored_with_outputs_and_charts(self, path):
        outputs = [o for c in cells(path) for o in c.get("outputs", [])]
        assert outputs and not [o for o in outputs if o["output_type"] == "error"]
        charts = [o for o in outputs if any("vegalite" in mime for mime in o.get("data", {}))]
        assert len(charts) <= 4
        headline = [c for c in cells(path) if "headline" in tags(c)]
        for cell in headline:
            data = [o["data"] for o in cell["outputs"] if "data" in o]
            assert any("image/png" in d for d in data), (
                "a stored picture, for pages that draw no Vega chart"
            )
        assert "papermill" not in json.loads(path.read_text())["metadata"]


# ---------------------------------------------------------------------------------------- the tree
def dependencies(text: str) -> tuple[str, str]:
    match = re.match(r"([A-Za-z0-9_.-]+)\s*(.*)", text)
    assert match
    return match.group(1).lower(), match.group(2)


def test_environment_yml_has_the_same_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(
        map(dependencies, project["dependencies"] + project["optional-dependencies"]["lab"])
    )
    wanted["python"] = project["requires-python"]
    lines = re.findall(r"^  - ([^:\n]+)$", (ROOT / "environment.yml").read_text(), re.M)
    given = dict(dependencies(line) for line in lines if line not in ("conda-forge", "pip"))
    assert given == wanted


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda p: p.name
)
def test_locks_are_hashed_and_name_no_host(path):
    text = path.read_text()
    assert "://" not in text and "index-url" not in text and "find-links" not in text
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==\S+", text, re.M)
    assert len(pins) > 50 or path.stem == "tool"
    assert len(re.findall(r"^[a-z0-9][^\n]*\\\n    --hash=sha256:", text, re.M)) == len(pins)


def test_locks_agree_with_each_other():
    pins = {}
    for path in (ROOT / "requirements").glob("*.lock"):
        for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.M):
            pins.setdefault(package, set()).add(version)
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for package, _ in map(dependencies, direct):
        assert pins[package], package
    run = dict(
        re.findall(
            r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "run.lock").read_text(), re.M
        )
    )
    lab = dict(
        re.findall(
            r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "lab.lock").read_text(), re.M
        )
    )
    assert {p: lab[p] for p in run if p in lab and p != "numpy"} == {
        p: run[p] for p in run if p in lab and p != "numpy"
    }


def test_the_tree_names_no_machine_and_nothing_unfinished():
    here = str(ROOT.parent)
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    for path in tracked():
        # the largest, validation.csv, holds every scored run in three folds
        assert path.stat().st_size < 2_500_000, path
        if path.suffix in {".png", ".lock"} or path.name == "LICENSE":
            continue
        text = path.read_text(errors="ignore")
        assert (
            "/" + "root/" not in text
            and "/" + "work/" not in text
            and (here in {"/tmp", "/home", "/srv"} or len(here) < 4 or here + "/" not in text)
        ), path
        if path.suffix in {".py", ".md", ".toml", ".yml"}:
            assert not words.search(text), path


def test_import_is_light():
    code = "import sys; import trn3; "
    code += "print(sorted({'numpy', 'pandas', 'altair', 'scipy', 'pydantic'} & set(sys.modules)))"
    import sys

    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert out.strip() == "[]"


# --------------------------------------------------------------------------------------- the tests
HERE = Path(__file__).resolve()
TESTS = sorted((ROOT / "tests").glob("*.py"))
CLOCKS = {"sleep", "wait_for_timeout", "monotonic", "perf_counter", "process_time"}
LIMITED = {"timeout", "wait", "join", "communicate"}
LIMITS = {"timeout", "timeout_s", "limit_s", "seconds"}
LEAST_LIMIT_S = 600.0
WAITS = r"\bsleep\([^0]|\bsetTimeout\b|\btimeout=\d"
PROGRAM_LIMITS = {
    ("test_faults", 1.0): "what a batch ends would never have ended",
    ("test_faults", 0.1): "the same, resumed",
    ("test_engine", 0.5): "a child that has stopped itself",
}
"""Limits that are the program's own and are what is tested, by test module and value [s]."""


def numbers(nodes: list[ast.expr]) -> list[float]:
    return [
        n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, int | float)
    ]


def hasty(text: str, where: str) -> list[str]:
    """Fixed waits, clocks, and limits that a slow machine could meet, in a test or in a text that
    it runs; one function may look at a clock, the one that polls for a state.
    """
    found = []
    tree = ast.parse(text)
    polls = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "until"]
    allowed = {inner for poll in polls for inner in ast.walk(poll)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.search(WAITS, text):
            found.append(f"{where}, line {node.lineno}: a wait in a text")
        if isinstance(node, ast.Attribute | ast.Name) and node not in allowed:
            called = node.attr if isinstance(node, ast.Attribute) else node.id
            if called in CLOCKS:
                found.append(f"{where}, line {node.lineno}: {called}")
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            limits = [k.value for k in node.keywords if k.arg in LIMITS]
            limits += node.args[:2] if called in LIMITED else []
            short = [n for n in numbers(limits) if n < LEAST_LIMIT_S]
            for before, after in zip(node.args, node.args[1:]):
                if isinstance(before, ast.Constant) and before.value == "--timeout":
                    short += [n for n in numbers([after]) if (where, n) not in PROGRAM_LIMITS]
            found += [f"{where}, line {node.lineno}: a limit of {n} s" for n in short]
    return found


@pytest.mark.parametrize("path", [p for p in TESTS if p != HERE], ids=lambda p: p.stem)
def test_no_test_waits_for_a_time_or_gives_up_before_ten_minutes(path):
    assert not hasty(path.read_text(), path.stem), "poll for a state with small.until"


def test_a_hasty_test_would_be_seen():
    for text in (
        "time.sleep(0.2)",
        "page.wait_for_timeout(200)",
        "assert time.monotonic() - start < 5",
        "process.communicate(timeout=100)",
        "process.wait(5)",
        "@pytest.mark.timeout(120)\ndef test(): pass",
        "run('import time; time.sleep(1)')",
        "page.evaluate('new Promise(r => setTimeout(r, 120))')",
        "trn3('batch', '--timeout', 5)",
    ):
        assert hasty(text, "test_x"), text
    assert not hasty("process.communicate(timeout=small.LIMIT_S)", "test_x")
    assert not hasty("x = ', '.join(names); trn3('batch', '--timeout', 1)", "test_faults")


def test_specific_tells_a_fact_from_a_round_number():
    assert np.all([specific(v) for v in (989.0, 2517.0, 4.22)])
    assert not np.any([specific(v) for v in (1.0, 12.0, 0.5, 1000.0, 1024.0, 1e12)])
