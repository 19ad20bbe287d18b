"""House rules that a script can check: layers, sizes, docstrings, notebook anatomy, and what may not be in the tree."""

import ast
import inspect
import io
import json
import math
import re
import subprocess
import tokenize
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for p in (ROOT / "trn3").rglob("*.py") if p.name != "__init__.py")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TIERS = [
    {"units", "roofline", "collectives", "energy", "reliability", "cost"},
    {"data", "hardware", "workload"},
    {
        "memory", "training", "layouts", "search", "inference", "scaling", "savings", "customers", "ownership",
        "waiting", "uncertainty", "calibration", "training_fit", "serving_fit", "validation", "footprint", "runs",
        "trust", "claims",
    },
    {"theme", "drawing", "forms", "charts", "story", "explore"},
    {
        "reporting.parameters", "reporting.engine", "reporting.batch", "reporting.markup", "reporting.html",
        "reporting.packing", "reporting.panel", "reporting.comparison", "reporting.site", "reporting.warm",
        "reporting.cli", "__main__",
    },
]  # fmt: skip


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "trn3").with_suffix("").parts)


def tier(module: str) -> int:
    for level, names in enumerate(TIERS):
        if module in names:
            return level
    raise AssertionError(f"trn3/{module}: name its tier in tests/test_house.py and trn3/__init__.py")


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / p for p in listing.split("\0") if p and (ROOT / p).is_file()]


def code_lines(text: str) -> int:
    """Lines that hold code: neither blank, nor comment, nor part of a docstring."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docs)


def imports(path: Path) -> set[str]:
    """The trn3 modules that a file imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trn3"):
            base = (node.module or "").removeprefix("trn3").lstrip(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".lstrip(".")
                found.add(whole if (ROOT / "trn3" / f"{whole.replace('.', '/')}.py").exists() else base)
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("trn3.") for a in node.names if a.name.startswith("trn3.")}
    return found - {"", "reporting", "trn3"}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_only_from_its_tier_and_below(path):
    above = {m for m in imports(path) if tier(m) > tier(name(path))}
    assert not above, f"{name(path)} imports {above} from a higher tier"
    if tier(name(path)) == 0:
        assert imports(path) <= TIERS[0], "formulas know neither records nor data"


def test_formulas_need_only_numpy():
    for path in MODULES:
        if tier(name(path)) == 0:
            tree = ast.walk(ast.parse(path.read_text()))
            roots = {a.name.split(".")[0] for n in tree if isinstance(n, ast.Import) for a in n.names}
            assert roots <= {"numpy", "math", "dataclasses"}, f"{name(path)} imports {roots}"


# The aim is 4,000 code lines in trn3/, of which 900 in reporting/. It is not reached: twelve pages, two fitted models,
# a batch runner and an offline page took more. The ceiling is where the package stands; it may sink, not rise.
CEILING = {"": 6900, "reporting.": 1670}


def test_the_package_is_thin():
    sizes = {name(path): code_lines(path.read_text()) for path in MODULES}
    long = {module: n for module, n in sizes.items() if n > 300}
    assert not long, f"over 300 code lines: {long}"
    for part, ceiling in CEILING.items():
        total = sum(n for module, n in sizes.items() if module.startswith(part))
        assert total <= ceiling, f"{total} code lines in trn3/{part}: {sizes}"


def test_only_charts_knows_altair():
    users = {name(p) for p in MODULES if re.search(r"^\s*(import|from) altair", p.read_text(), re.M)}
    assert users <= {"charts", "drawing"}


def public_functions():
    for path in MODULES:
        if tier(name(path)) > 3 or name(path) == "__main__":
            continue
        module = import_module(f"trn3.{name(path)}")
        for label, item in vars(module).items():
            if not label.startswith("_") and inspect.isfunction(item) and item.__module__ == module.__name__:
                yield pytest.param(item, id=f"{name(path)}.{label}")


def section(doc: str, title: str) -> str:
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.M | re.S)
    return match.group(1) if match else ""


@pytest.mark.parametrize("function", list(public_functions()))
def test_docstring_agrees_with_signature(function):
    doc = inspect.getdoc(function) or ""
    assert doc, "no docstring"
    block = section(doc, "Parameters")
    documented = [n.strip(" *") for line in re.findall(r"^(\S[^:\n]*)(?: *:|$)", block, re.M) for n in line.split(",")]
    arguments = [p.name for p in inspect.signature(function).parameters.values() if not p.name.startswith("_")]
    assert documented == arguments
    for entry in re.split(r"\n(?=\S)", block.strip()):
        kind = entry.split("\n")[0]
        if re.search(r"float|array|Array|int\b", kind) and not re.search(r"str|bool|dict|Mapping|list\[str", kind):
            assert re.search(r"\[[^\]\n]+\]", entry.split("\n", 1)[-1]), f"no [unit] in: {entry!r}"
    returns = inspect.signature(function).return_annotation
    if returns not in (None, "None", inspect.Signature.empty) and "NoReturn" not in str(returns):
        assert section(doc, "Returns") or section(doc, "Yields"), "no Returns section"


def specific(value: float, n_digits: int = 3) -> bool:
    """Whether a number is so specific (three digits or more, not round) that meeting it in code means a copied fact."""
    digits = f"{abs(value):.6g}".replace(".", "").strip("0").split("e")[0]
    power_of_two = value > 0 and math.log2(value).is_integer()
    return len(digits) >= n_digits and not power_of_two and abs(value) not in {3600.0, 365.25, 8760.0, 1e3}


def facts_of_the_data() -> set[float]:
    values: set[float] = set()
    for table, digits in (
        ("specs", 3),
        ("systems", 3),
        ("prices", 4),
    ):  # three-digit prices meet coefficients by chance
        frame = pd.read_csv(ROOT / "data" / f"{table}.csv", dtype=str, keep_default_na=False)
        values |= {
            float(v) for column in ("value", "low", "high") for v in frame[column] if v and specific(float(v), digits)
        }
    return values


def literals(text: str) -> set[float]:
    nodes = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant))
    return {float(n.value) for n in nodes if isinstance(n.value, int | float) and not isinstance(n.value, bool)}


def test_no_spec_or_price_stands_in_code():
    facts = facts_of_the_data()
    assert len(facts) > 200
    for path in MODULES:
        if tier(name(path)) >= 3:  # pixels, colours and sizes of pages, which meet prices by chance
            continue
        copied = literals(path.read_text()) & facts
        assert not copied, f"{path}: {copied}"


# ---------------------------------------------------------------------------------------------------- notebooks
REGIONS = {"parameters", "answer", "headline", "worked", "assumptions", "flips", "checks", "sources", "results"}


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
        assert first["cell_type"] == "markdown" and title.startswith("# ") and title.rstrip().endswith("?")
        assert len(re.findall(r"[.!?](?:\s|$)", rest.strip().split("\n\n")[0])) >= 2, "two sentences under the question"

    def test_has_every_region_once_and_in_order(self, path):
        order = [next(iter(tags(c) & REGIONS)) for c in cells(path) if tags(c) & REGIONS]
        needed = REGIONS - ({"headline", "flips", "checks"} if path.stem.startswith("11") else set())
        assert needed <= set(order), f"missing {needed - set(order)}"
        assert order.index("parameters") < order.index("answer") < order.index("assumptions") < order.index("sources")
        assert order.count("answer") == order.count("parameters") == 1

    def test_code_is_short_and_prose_is_not(self, path):
        code = [source(c) for c in cells(path) if c["cell_type"] == "code"]
        words = sum(len(source(c).split()) for c in cells(path) if c["cell_type"] == "markdown")
        longest = max(
            len(source(c).splitlines()) for c in cells(path) if source(c) in code and "parameters" not in tags(c)
        )
        assert longest <= 15, f"a cell of {longest} lines"
        assert 200 <= words <= 1000, f"{words} words"

    def test_holds_no_fact(self, path):
        code = "\n".join(source(c) for c in cells(path) if c["cell_type"] == "code" and "parameters" not in tags(c))
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
            assert any("image/png" in d for d in data), "a stored picture, for pages that draw no Vega chart"
        assert "papermill" not in json.loads(path.read_text())["metadata"]


# ---------------------------------------------------------------------------------------------------- the tree
def dependencies(text: str) -> tuple[str, str]:
    match = re.match(r"([A-Za-z0-9_.-]+)\s*(.*)", text)
    assert match
    return match.group(1).lower(), match.group(2)


def test_environment_yml_has_the_same_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(map(dependencies, project["dependencies"] + project["optional-dependencies"]["lab"]))
    wanted["python"] = project["requires-python"]
    lines = re.findall(r"^  - ([^:\n]+)$", (ROOT / "environment.yml").read_text(), re.M)
    given = dict(dependencies(line) for line in lines if line not in ("conda-forge", "pip"))
    assert given == wanted


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda p: p.name)
def test_locks_are_hashed_and_name_no_host(path):
    text = path.read_text()
    assert "://" not in text and "index-url" not in text and "find-links" not in text
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==\S+", text, re.M)
    assert len(pins) > 50
    assert len(re.findall(r"^[a-z0-9][^\n]*\\\n    --hash=sha256:", text, re.M)) == len(pins)


def test_locks_agree_with_each_other():
    pins = {}
    for path in (ROOT / "requirements").glob("*.lock"):
        for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.M):
            pins.setdefault(package, set()).add(version)
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for package, _ in map(dependencies, direct):
        assert pins[package], package
    run = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "run.lock").read_text(), re.M))
    lab = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "lab.lock").read_text(), re.M))
    assert {p: lab[p] for p in run if p in lab and p != "numpy"} == {
        p: run[p] for p in run if p in lab and p != "numpy"
    }


def test_the_tree_names_no_machine_and_nothing_unfinished():
    here = str(ROOT.parent)
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    for path in tracked():
        assert path.stat().st_size < 2_000_000, path
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
    code = (
        "import sys; import trn3; print(sorted({'numpy', 'pandas', 'altair', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    import sys

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out.strip() == "[]"


def test_count_of_code_lines_on_a_known_text():
    text = '"""Doc."""\n\n# comment\nx = [\n    1,\n]\n\n\ndef f():\n    """Doc\n    more."""\n    return x\n'
    assert code_lines(text) == 5  # x = [ / 1, / ] / def f(): / return x


def test_specific_tells_a_fact_from_a_round_number():
    assert np.all([specific(v) for v in (989.0, 2517.0, 4.22)])
    assert not np.any([specific(v) for v in (1.0, 12.0, 0.5, 1000.0, 1024.0, 1e12)])
