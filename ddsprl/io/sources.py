"""A fingerprint of the code that numbers depend on, to be kept beside them."""

import functools
import hashlib
from pathlib import Path


@functools.cache
def digest_of(sources: tuple[str, ...], left_out: tuple[str, ...] = ()) -> str:
    """A fingerprint of some code, as it was when first asked for.

    Args:
        sources: files and folders (of these code and weights), from the root of the packages.
        left_out: names of files in them that do not count.
    """
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for place in sources:
        path = root / place
        for file in [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.npz")]):
            if file.name not in left_out:
                digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
