"""Leaving a process, made harmless."""

import pytest


class LeftError(Exception):
    """The process would have ended, with this code."""


@pytest.fixture
def left(monkeypatch) -> type[LeftError]:
    """What is raised where `os._exit` would be called."""

    def leave(code):
        raise LeftError(code)

    monkeypatch.setattr("ddsprl.measuring.interruption.os._exit", leave)
    return LeftError
