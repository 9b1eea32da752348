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
# A wall; the aim is about 400, and no file is cut in two for a few lines.
MAX_FILE_LINES = 480
MAX_FUNCTION_LINES = 60

# From the physics up; a room imports from lower floors only. Rooms on one floor do not know of one another.
FLOORS = (
    {"synth_jax"},
    {"plant"},
    {"features"},
    {"losses", "metrics"},
    {"env"},
    {"agents", "fitting"},
    {"measuring"},
    {"training"},
    {"matching", "comparison", "evaluation"},
    {"match", "compare", "train", "evaluate"},
)
# On the host's side, of no other room; the lowest floor that may use each.
HELPERS = {
    "io": "agents",
    "drawing": "measuring",
    "sharding": "agents",
    "compile_cache": "agents",
    "cpu": "measuring",
}
BETWEEN_HELPERS = {("drawing", "io"), ("io", "compile_cache")}
# The sub-rooms of `fitting`, likewise from the ground up.
FITTING_FLOORS = (
    {"core"},
    {"solvers", "guess", "control", "posterior"},
    {"starts"},
    {"inversion"},
    {"findings"},
)
# What goes round any environment, and trains any agent in it.
GENERIC = {
    *(f"ddsprl/env/{name}.py" for name in ("adapters_gymnasium", "contract", "domain", "episodes")),
    *(f"ddsprl/env/{name}.py" for name in ("specs", "wrappers")),
    *(f"ddsprl/training/{name}.py" for name in ("config", "curricula", "loop", "records", "restore")),
    *(f"ddsprl/training/{name}.py" for name in ("snapshots", "trainer")),
    *(f"ddsprl/agents/{name}.py" for name in ("contract", "observing", "registry", "replay")),
}
MAX_ROOM_FILES = 16
MAX_PARAMETERS = 8

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
    known = (ROOT / "ddsprl" / f"{parts[1]}.py").exists() or (ROOT / "ddsprl" / parts[1]).is_dir()
    return parts[1] if known else None


def floor_of(name: str, floors: tuple[set[str], ...]) -> int | None:
    """The floor of a room, from the ground up; None for one that no floor names."""
    return next((i for i, rooms in enumerate(floors) if name in rooms), None)


def arrow_error(source: str, target: str) -> str | None:
    """Why `source` may not import `target`, both rooms; None if it may."""
    if source == target or (source, target) in BETWEEN_HELPERS:
        return None
    if source in HELPERS:
        return f"{source} may not import {target}"
    if target in HELPERS:
        source_floor, lowest = floor_of(source, FLOORS), floor_of(HELPERS[target], FLOORS)
        assert source_floor is not None and lowest is not None
        return None if source_floor >= lowest else f"{source} may not import {target}"
    return floor_error(source, target, FLOORS)


def floor_error(source: str, target: str, floors: tuple[set[str], ...]) -> str | None:
    """Why an arrow between two rooms of these floors may not be; None if it may."""
    here, there = floor_of(source, floors), floor_of(target, floors)
    if here is None or there is None:
        return f"{source if here is None else target} is on no floor; name it in tests/test_architecture.py"
    if here == there and source != target:
        return f"{source} and {target} do not know of one another"
    return f"{source} lies below {target}" if here < there else None


def test_every_room_has_a_place():
    inside = [path for path in (ROOT / "ddsprl").iterdir() if path.suffix == ".py" or path.is_dir()]
    found = {path.stem for path in inside} - {"__init__", "__pycache__", "_configs"}
    named_rooms = set().union(*FLOORS, HELPERS) - {"synth_jax"}
    assert found == named_rooms
    subrooms = {path.parent.name for path in (ROOT / "ddsprl" / "fitting").glob("*/__init__.py")}
    assert subrooms == set().union(*FITTING_FLOORS)


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


@pytest.mark.parametrize("path", sources("ddsprl/fitting"), ids=named)
def test_the_rooms_of_fitting_have_an_order_too(path):
    here = path.relative_to(ROOT / "ddsprl" / "fitting").parts[0]
    if here == "__init__.py":
        return
    errors = [
        f"line {line}: {module}: {error}"
        for module, line in imported(path, parse(path))
        if module.startswith("ddsprl.fitting.")
        and (error := floor_error(here, module.split(".")[2], FITTING_FLOORS))
    ]
    assert not errors, errors


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=named)
def test_agents_and_environments_are_known_by_their_tables(path):
    """An agent is named in its folder and in the registry alone, an environment nowhere in generic code."""
    inside = {folder.parent for folder in (ROOT / "ddsprl" / "agents").glob("*/__init__.py")}
    if path.name == "registry.py":
        inside = set()
    if named(path) in GENERIC:
        inside |= {folder.parent for folder in (ROOT / "ddsprl" / "env").glob("*/__init__.py")}
    barred = tuple(module_name(folder) for folder in inside if not path.is_relative_to(folder))
    names = [(module, line) for module, line in imported(path, parse(path)) if module.startswith(barred)]
    assert not names, names


def test_no_circle_of_modules():
    """Imports at the top of modules, followed from each; a circle would depend on who comes first."""
    arrows = {module_name(path): set(top_imports(path)) for path in sources(*PACKAGES)}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for target in arrows[name]:
                follow(target, (*way, name))
            done.add(name)

    for name in arrows:
        follow(name, ())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def top_imports(path: Path) -> Iterator[str]:
    """Modules of the house that a module imports when it is imported itself; packages by their files."""
    if path.name == "__init__.py":
        return
    for node in parse(path).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                for name in (f"{node.module}.{alias.name}", node.module):
                    file = ROOT / (name.replace(".", "/") + ".py")
                    if file.exists():
                        yield name
                        break


@pytest.mark.parametrize("folder", sorted({path.parent for path in sources(*PACKAGES)}), ids=named)
def test_rooms_are_not_halls(folder):
    assert len(list(folder.glob("*.py"))) <= MAX_ROOM_FILES


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks"), ids=named)
def test_parameters(path):
    many = [
        f"line {node.lineno} {node.name}: {count}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := parameters(node)) > MAX_PARAMETERS
    ]
    assert not many, many


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([a for a in given if a.arg not in ("self", "cls")])


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("losses", "features", True),
        ("features", "losses", False),
        ("losses", "metrics", False),
        ("match", "fitting", True),
        ("fitting", "match", False),
        ("synth_jax", "plant", False),
        ("fitting", "agents", False),
        ("evaluation", "comparison", False),
        ("comparison", "measuring", True),
        ("losses", "io", False),
        ("fitting", "io", True),
        ("io", "synth_jax", False),
        ("io", "drawing", False),
        ("drawing", "io", True),
        ("losses", "cellar", False),
    ],
)
def test_the_law_itself(source, target, allowed):
    assert (arrow_error(source, target) is None) == allowed


def test_rooms_are_told_apart():
    assert room("synth_jax.filters.svf") == "synth_jax"
    assert room("ddsprl.losses.objective") == "losses"
    assert room("ddsprl.io") == "io"
    assert room("ddsprl.evaluation.run") == "evaluation"
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
