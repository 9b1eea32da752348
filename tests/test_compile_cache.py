"""The compilation cache lands in the user's folder, is used, and is never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from ddsprl import compile_cache
from ddsprl.compile_cache import enable_compilation_cache, user_cache_dir

ROOT = Path(__file__).resolve().parent.parent
COMPILE_ONCE = """
import jax
from ddsprl.compile_cache import enable_compilation_cache
print(enable_compilation_cache())
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(jax.jit(lambda x: x * 2.0 + 1.0)(3.0))
"""


@pytest.fixture(autouse=True)
def restore_settings():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def cache_setting() -> str | None:
    return jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]


def clean_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name in ("DDSPRL_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/a-home"}, "/a-home/.cache/ddsprl"),
        ({"HOME": "/a-home", "XDG_CACHE_HOME": "/caches"}, "/caches/ddsprl"),
        ({"HOME": "/a-home", "XDG_CACHE_HOME": "relative"}, "/a-home/.cache/ddsprl"),
        ({"XDG_CACHE_HOME": "/caches", "DDSPRL_CACHE_DIR": "/mine"}, "/mine"),
        ({"HOME": "/a-home", "DDSPRL_CACHE_DIR": "~/mine"}, "/a-home/mine"),
    ],
)
def test_folder_follows_the_environment(monkeypatch, variables, expected):
    clean_environment(monkeypatch, **variables)
    assert user_cache_dir() == Path(expected)


def test_folder_is_made_and_set(monkeypatch, tmp_path):
    clean_environment(monkeypatch, DDSPRL_CACHE_DIR=str(tmp_path / "cache"))
    jax.config.update("jax_compilation_cache_dir", None)
    folder = enable_compilation_cache()
    assert folder == tmp_path / "cache" / "jax"
    assert folder is not None
    assert folder.is_dir()
    assert not list(folder.iterdir())
    assert cache_setting() == str(folder)


def test_folder_chosen_before_is_kept(monkeypatch, tmp_path):
    clean_environment(monkeypatch, DDSPRL_CACHE_DIR=str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    assert enable_compilation_cache() == tmp_path / "theirs"
    assert not (tmp_path / "ours").exists()


def test_unwritable_folder_warns_and_goes_on(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    clean_environment(monkeypatch, DDSPRL_CACHE_DIR=str(tmp_path / "file"))
    jax.config.update("jax_compilation_cache_dir", None)
    with pytest.warns(UserWarning, match="cannot be written"):
        assert enable_compilation_cache() is None
    assert cache_setting() is None
    assert float(jax.jit(lambda x: x + 1.0)(1.0)) == 2.0


def test_nothing_is_left_behind_by_the_check(tmp_path):
    assert compile_cache._writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_compiled_code_is_kept(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"DDSPRL_CACHE_DIR": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", COMPILE_ONCE]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == [str(tmp_path / "jax"), "7.0"]
    assert list((tmp_path / "jax").iterdir())
