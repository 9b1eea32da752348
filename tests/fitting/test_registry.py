"""Settings by name, groups of settings included; what is not known is named with the nearest valid name."""

import pytest

from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.solvers.registry import make_solver


def test_a_group_of_settings_replaces_only_what_it_names():
    solver = make_solver("hybrid", schedule={"dither": 0.0}, replicas=3)
    plain = Hybrid()
    assert isinstance(solver, Hybrid)
    assert solver.replicas == 3
    assert solver.schedule.dither == 0.0
    assert solver.schedule.first_rate == plain.schedule.first_rate


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"replica": 3}, "replicas"),
        ({"schedule": {"dithr": 0.0}}, "hybrid: schedule has no setting 'dithr'; did you mean 'dither'?"),
    ],
)
def test_an_unknown_setting_is_named(settings, said):
    with pytest.raises(ValueError, match="no setting") as error:
        make_solver("hybrid", **settings)
    assert said in str(error.value)
