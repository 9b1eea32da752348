"""How large the packages are: files, lines by kind, rooms and parameters, at any commit.

    python benchmarks/house.py                   # the working tree
    python benchmarks/house.py 0987251 HEAD      # commits, one column each

`code` is what is left of all lines without blank ones, comments, docstrings and imports.
"""

import argparse
import ast
import io
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("synth_jax", "ddsprl")
DEFINITIONS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def sources(revision: str | None) -> dict[str, str]:
    """Text of every Python file of the packages by its path."""
    if revision is None:
        paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        return {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    command = ["git", "archive", revision, *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode:
        sys.exit(f"{revision}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        names = [name for name in archive.getnames() if name.endswith(".py")]
        return {name: archive.extractfile(name).read().decode() for name in names}  # type: ignore[union-attr]


def spans(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Docstrings and imports: kind, first and last line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield "imports", node.lineno, node.end_lineno or node.lineno
        elif isinstance(node, DEFINITIONS) and ast.get_docstring(node) is not None:
            text = node.body[0]
            yield "docstrings", text.lineno, text.end_lineno or text.lineno


def kinds(text: str, tree: ast.Module) -> Counter[str]:
    """How many lines of every kind."""
    lines = text.splitlines()
    kind = ["blank or comment" if not line.strip() or line.lstrip()[0] == "#" else "code" for line in lines]
    for name, first, last in spans(tree):
        kind[first - 1 : last] = [name] * (last - first + 1)
    return Counter(kind)


def measure(files: dict[str, str]) -> dict[str, int]:
    """Counts by what they count."""
    trees = {path: ast.parse(text, filename=path) for path, text in files.items()}
    lines = sum((kinds(text, trees[path]) for path, text in files.items()), Counter())
    functions = [
        node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    given = [
        len([*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs])
        - bool(f.args.args and f.args.args[0].arg in ("self", "cls"))
        for f in functions
    ]
    length = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions]
    pages = [path for path in files if path.endswith("/__init__.py")]
    rooms = Counter(str(Path(path).parent) for path in files if path not in pages)
    return {
        "files": len(files),
        "of them pages of contents (`__init__.py`)": len(pages),
        "lines": sum(lines.values()),
        **{f"lines: {name}": lines[name] for name in ("code", "docstrings", "imports", "blank or comment")},
        "functions": len(functions),
        "functions with more than 8 parameters": sum(count > 8 for count in given),
        "functions longer than 40 lines": sum(count > 40 for count in length),
        "most files in a room": max(rooms.values()),
        "longest file, lines": max(len(text.splitlines()) for text in files.values()),
    }


def main() -> int:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("revisions", nargs="*", metavar="COMMIT", help="default: the working tree")
    asked = parser.parse_args().revisions or [None]
    columns = [measure(sources(revision)) for revision in asked]
    print("| | " + " | ".join(f"`{revision or 'working tree'}`" for revision in asked) + " |")
    print("| --- |" + " ---: |" * len(asked))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:,}" for column in columns) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
