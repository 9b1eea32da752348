"""A row for every knob: bars where the numbers say."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ddsprl.drawing.knobs import draw_posterior, draw_sensitivity, posterior_png


def empty() -> Any:
    return Figure().add_subplot()


def labels(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_knob_that_matters_most_is_on_top():
    axes = empty()
    draw_sensitivity(axes, {"a": 0.1, "b_knob": 0.5, "c$x": -0.2})
    assert labels(axes) == ["b knob", "a", "c$x"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [0.5, 0.1, -0.2])


def test_only_so_many_are_shown():
    axes = empty()
    draw_sensitivity(axes, {f"k{i}": float(i) for i in range(20)}, most=3)
    assert labels(axes) == ["k19", "k18", "k17"]


def test_a_flat_loss_can_be_drawn():
    axes = empty()
    draw_sensitivity(axes, {"a": 0.0})
    assert axes.get_xlim()[1] > 0.0


def test_intervals_lie_where_they_are():
    axes = empty()
    draw_posterior(axes, {"a": 0.1, "b": 0.5}, {"a": 0.9, "b": 0.5}, preset={"a": 0.4, "b": 0.5})
    assert [bar.get_x() for bar in axes.patches] == [0.1, 0.5]
    # An interval of no width is seen nevertheless.
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [0.8, 0.004])
    assert [line.get_xdata()[0] for line in axes.lines] == [0.4, 0.5]


def test_a_sentence_takes_room_below_the_heading():
    low, high = {"a": 0.1}, {"a": 0.9}
    plain = posterior_png(low=low, high=high, title="x $")
    said = posterior_png(low=low, high=high, title="x $", remark="cannot tell a " * 20)
    heights = [int.from_bytes(picture[20:24], "big") for picture in (plain, said)]
    assert plain[:4] == b"\x89PNG" and heights[1] > heights[0]
