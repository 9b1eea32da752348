"""Drawing in other processes: the same picture, no heavy imports, and no loss when a process dies."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ddsprl.drawing.pictures import WORKER, Drawers, draw, packed, unpacked

CONTENTS = {
    "low": {"a": 0.1, "b": 0.2},
    "high": {"a": 0.9, "b": 0.2},
    "title": "5$ and \u97f3",
    "untellable": ["a"],
    "preset": {"a": 0.5, "b": 0.2},
}


def test_a_job_comes_back_as_it_was():
    sound = np.arange(5, dtype=np.float32)
    given = {"knobs": sound[:2], "sounds": {"target": sound, "rate": 8}, "curve": {"a": ([1], [2.0])}}
    kind, contents = unpacked(packed("match", given))
    assert kind == "match"
    assert contents["curve"] == {"a": [[1], [2.0]]} and contents["sounds"]["rate"] == 8
    assert contents["sounds"]["target"].dtype == np.float32
    np.testing.assert_array_equal(contents["sounds"]["target"], sound)
    np.testing.assert_array_equal(contents["knobs"], sound[:2])


def test_processes_draw_the_same_and_a_dead_one_is_replaced():
    here = draw("posterior", CONTENTS)
    with Drawers(1) as drawers:
        assert drawers.draw("posterior", CONTENTS) == here
        worker = drawers._idle.get()
        assert worker is not None
        drawers._idle.put(worker)
        os.kill(worker.pid, signal.SIGKILL)
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(lambda _: drawers.draw("posterior", CONTENTS), range(3))) == [here] * 3
        assert worker.poll() is not None
    with Drawers(0) as drawers:
        assert drawers.draw("posterior", CONTENTS) == here


def test_what_cannot_be_drawn_is_an_error_here():
    with Drawers(1) as drawers, pytest.raises(KeyError, match="nothing"):
        drawers.draw("nothing", CONTENTS)


def test_a_worker_ends_with_its_input_and_knows_nothing_of_the_library():
    code = f"import runpy, sys; runpy.run_path({str(WORKER)!r}, run_name='__main__'); "
    code += "print(*sorted({'jax', 'tyro', 'synth_jax', 'ddsprl.drawing.pictures'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["ddsprl.drawing.pictures"], done.stderr
