"""Files that appear whole or not at all: write beside the destination, then rename over it."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from ddsprl.io.errors import UserError


def sibling(path: Path) -> Path:
    """Returns an unused hidden name in the directory of `path`, so that a rename stays on one file system."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path to write to; it becomes `path` if the block succeeds and is removed if not.

    Args:
        path: the destination; an earlier file there stays intact until the new one is complete.

    Raises:
        UserError: the destination cannot be written.
    """
    path = Path(path)
    temporary = sibling(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
