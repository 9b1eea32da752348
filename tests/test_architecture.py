"""The house's laws about its own source: which way imports run, how long things are, what may be used.

Everything is read from the syntax trees; nothing is imported.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("synth_jax", "ddsprl")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# From the physics up; a module imports from its own layer or from lower ones.
LAYERS = {"synth_jax": 0, "plant": 1, "features": 2, "losses": 3, "metrics": 3, "env": 4}
FITTING, ENTRY_POINTS = 5, 6
# Side by side in one layer, these do not know of one another.
METHODS = {"agents", "fitting", "hardware"}
# Host-side helpers that know of no other room: who may import each.
HELPERS = {
    "io": {"io", "entry point", "fitting", "agents", "hardware"},
    "allocator": {"entry point"},
    "compile_cache": {"compile_cache", "io", "entry point", "fitting", "agents", "hardware"},
    "sharding": {"sharding", "entry point", "fitting", "agents", "hardware"},
}

# What a distribution is called where its import has another name.
DISTRIBUTIONS = {"orbax": "orbax-checkpoint", "yaml": "pyyaml"}
BENCH_SHARED = {path.stem for path in (ROOT / "benchmarks").glob("_*.py")}
LOCAL = {*PACKAGES, "tests", "laws", "plain_wave", "render", *BENCH_SHARED}
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=named(path))


def imported(path: Path, tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Absolute dotted names of all imports, inside functions too, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts
            above = ".".join(package[: len(package) - node.level]) if node.level else ""
            base = ".".join(part for part in (above, node.module or "") if part)
            # `from ddsprl import losses` is an arrow to ddsprl.losses.
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def room(module: str) -> str | None:
    """Which room of the house a dotted name belongs to; None outside of it and for ddsprl's front door."""
    parts = module.split(".")
    if parts[0] == "synth_jax":
        return "synth_jax"
    if parts[0] != "ddsprl" or len(parts) < 2 or parts[1] == "__init__":
        return None
    name = parts[1]
    if name in LAYERS or name in METHODS or name in HELPERS:
        return name
    known = (ROOT / "ddsprl" / f"{name}.py").exists() or (ROOT / "ddsprl" / name).is_dir()
    return "entry point" if known else None


def layer(name: str) -> int:
    return ENTRY_POINTS if name == "entry point" else FITTING if name in METHODS else LAYERS[name]


def arrow_error(source: str, target: str) -> str | None:
    """Why `source` may not import `target`, both rooms; None if it may."""
    if source == target:
        return None
    if target in HELPERS:
        return None if source in HELPERS[target] else f"{source} may not import {target}"
    if source in HELPERS:
        return f"{source} may import none of the other rooms"
    if source in METHODS and target in METHODS:
        return f"{source} and {target} do not know of one another"
    return f"{source} lies below {target}" if layer(source) < layer(target) else None


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=named)
def test_imports_run_one_way(path):
    here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if here is None:
        return
    errors = []
    for module, line in imported(path, parse(path)):
        target = room(module)
        if target is None and module.split(".")[0] == "ddsprl":
            errors.append(f"line {line}: {module}: import from the room itself, not from the front door")
        elif target is not None and (error := arrow_error(here, target)):
            errors.append(f"line {line}: {module}: {error}")
    assert not errors, errors


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("losses", "features", True),
        ("features", "losses", False),
        ("entry point", "fitting", True),
        ("fitting", "entry point", False),
        ("synth_jax", "plant", False),
        ("fitting", "agents", False),
        ("losses", "io", False),
        ("fitting", "io", True),
        ("io", "synth_jax", False),
    ],
)
def test_the_law_itself(source, target, allowed):
    assert (arrow_error(source, target) is None) == allowed


def test_rooms_are_told_apart():
    assert room("synth_jax.filters.svf") == "synth_jax"
    assert room("ddsprl.losses.objective") == "losses"
    assert room("ddsprl.io") == "io"
    assert room("ddsprl.evaluation.run") == "entry point"
    assert room("ddsprl") is None
    assert room("jax.numpy") is None


def test_imports_are_found_wherever_they_stand():
    path = ROOT / "ddsprl" / "features" / "example.py"
    text = "import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g\ndef h():\n    import i\n"
    found = {name for name, _ in imported(path, ast.parse(text))}
    assert found == {"a.b", "c.d", "ddsprl.features.e", "ddsprl.f.g", "i"}


@pytest.mark.parametrize(
    "path", [path for path in sources(*PACKAGES) if path.name == "__init__.py"], ids=named
)
def test_front_doors_only_re_export(path):
    for node in parse(path).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]
        assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom), f"line {node.lineno}"


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks", "tests"), ids=named)
def test_sizes(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < MAX_FILE_LINES
    if path.is_relative_to(ROOT / "tests"):
        return
    long = [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := body_lines(node)) > MAX_FUNCTION_LINES
    ]
    assert not long, long


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    first = node.body[0]
    return lines - ((first.end_lineno or first.lineno) - first.lineno + 1)


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks", "tests"), ids=named)
def test_nothing_is_unpickled_or_evaluated(path):
    tree = parse(path)
    assert not {name.split(".")[0] for name, _ in imported(path, tree)} & FORBIDDEN_MODULES
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {c.func.id for c in calls if isinstance(c.func, ast.Name)} & FORBIDDEN_CALLS
    # numpy.load unpickles when asked to.
    assert not [
        c.lineno for c in calls if any(k.arg == "allow_pickle" for k in c.keywords) and not refuses(c)
    ]


def refuses(call: ast.Call) -> bool:
    values = [k.value for k in call.keywords if k.arg == "allow_pickle"]
    return all(isinstance(value, ast.Constant) and value.value is False for value in values)


def distributions(*extras: str) -> set[str]:
    """Names of the project's dependencies, normalized, with those of the named extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["dependencies"] + [
        entry for extra in extras for entry in project["optional-dependencies"][extra]
    ]
    return {re.split(r"[\[<>=!~; ]", entry, maxsplit=1)[0].lower() for entry in listed}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("synth_jax", ()), ("ddsprl", ()), ("benchmarks", ("bench", "test")), ("tests", ("test",))],
)
def test_third_party_imports_are_declared(folder, extras):
    declared = distributions(*extras)
    missing = {
        f"{named(path)}:{line}: {top}"
        for path in sources(folder)
        for name, line in imported(path, parse(path))
        if (top := name.split(".")[0]) not in sys.stdlib_module_names | LOCAL
        and DISTRIBUTIONS.get(top, top).lower() not in declared
    }
    assert not missing, sorted(missing)


def project_texts() -> list[Path]:
    """Every text that belongs to the project."""
    folders = ("synth_jax", "ddsprl", "benchmarks", "tests", "configs", "presets", "docs")
    endings = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".html", ".js", ".css"}
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    found = [path for path in (*inside, *ROOT.iterdir()) if path.is_file() and path.suffix in endings]
    return sorted([*found, ROOT / ".ci" / "run"])


def test_no_text_names_a_place_on_one_machine():
    # In pieces, so that this file does not find itself.
    places = [
        "/" + name + "/" for name in ("work", "root", "home/[a-z0-9_]+", "Users/[A-Za-z]+", "opt", "tmp")
    ]
    pattern = re.compile(r"(?<![\w.~}>])(?:" + "|".join(places) + ")")
    found = [
        f"{named(path)}:{number}: {line.strip()[:80]}"
        for path in project_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, found
