"""A mistake names the thing, its value, what is allowed, and the nearest name."""

import math
import re

import pytest

from ddsprl.io import UserError
from ddsprl.io.checks import all_different, known_names, one_of, plain_name, within


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("--seeds", 0, 1, 100), {}, "--seeds is 0, allowed are 1 to 100"),
        (("--seed", 2**32, 0, 2**32 - 1), {}, "--seed is 4294967296, allowed are 0 to 4294967295"),
        (("--midi", 128.0, 0.0, 127.0), {}, "--midi is 128, allowed are 0 to 127"),
        (("--midi", math.nan, 0, 127), {}, "--midi is nan, allowed are 0 to 127"),
        (("--gate", 0.0, 0, 10), {"above": True, "unit": "s"}, "--gate is 0, allowed are over 0, up to 10 s"),
        (("rate", 0.0, 0), {"above": True}, "rate is 0, allowed are over 0"),
        (("--stop-at", 0, 1), {}, "--stop-at is 0, allowed are 1 or more"),
    ],
)
def test_ranges(arguments, settings, said):
    with pytest.raises(UserError, match=f"^{re.escape(said)}$"):
        within(*arguments, **settings)


@pytest.mark.parametrize("value", [1, 50, 100])
def test_what_is_within_passes(value):
    within("--seeds", value, 1, 100)
    within("--gate", value, 0, 100, above=True)


def test_names():
    one_of("--suite", "random", ("random", "bank"))
    with pytest.raises(UserError, match="--suite is 'bnk'; did you mean 'bank'.*; allowed are random, bank"):
        one_of("--suite", "bnk", ("random", "bank"))
    known_names("c.yaml", "key", {"seeds": 1}, ("seeds",))
    with pytest.raises(UserError, match="c.yaml: no key 'seed'; did you mean 'seeds'"):
        known_names("c.yaml", "key", {"seed": 1}, ("seeds",))
    with pytest.raises(UserError, match="c.yaml: no key 'x'; allowed are seeds"):
        known_names("c.yaml", "key", {"x": 1}, ("seeds",))


def test_twice_and_odd_names():
    all_different("--budgets", (1, 2))
    with pytest.raises(UserError, match="--budgets names 2 twice"):
        all_different("--budgets", (2, 1, 2))
    plain_name("label", "cma_es-2")
    for value in ("a/b", "", 3):
        with pytest.raises(UserError, match="letters, digits, - and _"):
            plain_name("label", value)
