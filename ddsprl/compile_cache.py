"""The user's cache folder, and JAX's persistent compilation cache in it.

    enable_compilation_cache()      # first thing in an entry point, before anything is compiled

Compiling a match takes longer than running it; with the cache on, only the first run after an upgrade
pays for it. Nothing depends on the cache: it may be deleted, or lie in a folder that cannot be written.
"""

import os
import tempfile
import warnings
from pathlib import Path

import jax

OVERRIDE_VARIABLE = "DDSPRL_CACHE_DIR"
# Below this, reading an entry back costs about as much as compiling it again.
MIN_COMPILE_TIME_S = 0.1


def user_cache_dir() -> Path:
    """Where this project keeps what it can compute again: compiled code, libraries of rendered presets.

    `$DDSPRL_CACHE_DIR` if set, else `ddsprl` under `$XDG_CACHE_HOME` (only if absolute, as the XDG Base
    Directory Specification has it), else `~/.cache/ddsprl`.

    Returns:
        The folder, which need not exist.
    """
    override = os.environ.get(OVERRIDE_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(os.path.expanduser("~")) / ".cache"
    return base.absolute() / "ddsprl"


def enable_compilation_cache() -> Path | None:
    """Turn JAX's persistent compilation cache on, in `user_cache_dir() / "jax"`.

    Call it before the first compilation: JAX looks at the setting once. A folder that was chosen already
    (`$JAX_COMPILATION_CACHE_DIR`, or `jax.config`) is kept. A folder that cannot be written is warned about,
    and everything is compiled as without a cache.

    Returns:
        The folder in use, or None if there is none.
    """
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    folder = Path(chosen) if chosen else user_cache_dir() / "jax"
    # An address such as gs://bucket is for JAX to open.
    if "://" not in str(chosen) and not _writable(folder):
        warnings.warn(f"{folder} cannot be written: compiling without a cache", stacklevel=2)
        jax.config.update("jax_compilation_cache_dir", None)
        return None
    if not chosen:
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_TIME_S)
    return folder


def _writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, which is created if need be; permission bits alone can lie."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
