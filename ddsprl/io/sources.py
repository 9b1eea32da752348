"""A fingerprint of the code that numbers depend on, to be kept beside them.

What that is follows from the imports: from one module on, everything of these packages that it imports, in
functions too, and the data that these modules read. Front doors (`__init__.py`) only re-export, so that
`from ddsprl.io import UserError` leads to the module that defines `UserError`, and not to its neighbours.
Imports for type checkers alone do not count.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ddsprl", "synth_jax")
# Names of folders of package data in the texts of a module.
_FOLDERS = re.compile(r"""["'](data|_[a-z]+)["']""")


@functools.cache
def source_digest(entry: str, *, root: Path = ROOT) -> str:
    """A fingerprint of a module and of all that it depends on, as it was when first asked for.

    Args:
        entry: dotted name of the module.
        root: folder of the packages.
    """
    digest = hashlib.sha256()
    for file in closure(entry, root=root):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def closure(entry: str, *, root: Path = ROOT) -> list[Path]:
    """Files of a module and of all that it depends on, sorted.

    A module that names the folder `data` in a text of its own depends on all files in it. A name that begins
    with an underscore and is a folder beside the module in a wheel, or one at the root of a checkout without
    the underscore, stands for that folder (`_presets`).

    Args:
        entry: dotted name of the module.
        root: folder of the packages.

    Raises:
        FileNotFoundError: there is no such module.
    """
    tree, files = _Tree(root), set()
    waiting, seen = [entry], {entry}
    if not tree.file(entry):
        raise FileNotFoundError(f"{entry}: no module under {root}")
    while waiting:
        module = waiting.pop()
        file = tree.file(module)
        # What a front door leads to is followed; the door itself says nothing.
        if file is not None and file.name != "__init__.py":
            files.update((file, *tree.data(file)))
        for target in tree.targets(module):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return sorted(files)


class _Tree:
    """Modules of the packages under a root, read once each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[str, list[ast.Import | ast.ImportFrom]] = {}

    def file(self, module: str) -> Path | None:
        """The file of a module or package; None for what is neither."""
        if module.partition(".")[0] not in PACKAGES:
            return None
        path = self.root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        return None

    def targets(self, module: str) -> Iterator[str]:
        """Modules that a module imports."""
        for node in self._imports(module):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if self.file(alias.name))
            else:
                for alias in node.names:
                    yield from self._defining(self._base(module, node), alias.name)

    def data(self, file: Path) -> Iterator[Path]:
        """Data files that a module reads."""
        for name in set(_FOLDERS.findall(file.read_text(encoding="utf-8"))):
            places = [file.parent / name, *([self.root / name[1:]] if name[0] == "_" else [])]
            folder = next((place for place in places if place.is_dir()), None)
            if folder is not None:
                yield from (path for path in folder.rglob("*") if path.is_file())

    def _defining(self, base: str, name: str) -> Iterator[str]:
        """The module that defines a name which is imported from a module or through a front door."""
        if self.file(f"{base}.{name}"):
            yield f"{base}.{name}"
            return
        file = self.file(base)
        if file is None:
            return
        if file.name == "__init__.py":
            for node in self._imports(base):
                for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                    if (alias.asname or alias.name) == name:
                        yield from self._defining(self._base(base, node), alias.name)
                        return
        yield base

    def _base(self, module: str, node: ast.Import | ast.ImportFrom) -> str:
        """What an import is from, relative ones made absolute."""
        assert isinstance(node, ast.ImportFrom)
        if not node.level:
            return node.module or ""
        file = self.file(module)
        parts = module.split(".") + (["__init__"] if file and file.name == "__init__.py" else [])
        return ".".join([*parts[: len(parts) - node.level], *([node.module] if node.module else [])])

    def _imports(self, module: str) -> list[ast.Import | ast.ImportFrom]:
        """Imports of a module, in functions too."""
        if module not in self._found:
            file = self.file(module)
            assert file is not None
            self._found[module] = list(_imports_in(ast.parse(file.read_bytes()).body))
        return self._found[module]


def _imports_in(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports among statements and those within them; expressions hold none and are not looked through."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
            continue
        for_checkers = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for part in ("orelse",) if for_checkers else ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _imports_in(getattr(node, part, []))
