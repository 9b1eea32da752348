"""Where training stands, in words."""

import math

from ddsprl.training.progress import Status


def test_what_is_not_known_yet_is_said_in_words():
    begun, later = Status(0, 100, math.nan, math.nan, 1, 0.0), Status(100, 100, 1.2345, 0.25, 3, 318.4)
    assert begun.text == "no episode ended yet, stage 1, 0 steps/s"
    assert later.text == "loss 1.234, solved 25%, stage 3, 318 steps/s"
