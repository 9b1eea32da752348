"""Checkpoints: pytrees of arrays with notes in JSON, whole or not there, checked by sums when they are read.

store.py      `Checkpoints`: save, restore, delete the old
arrays.py     pytrees as named arrays, and named arrays on disk
manifest.py   which files belong to a checkpoint, with their sizes and sums
"""

from ddsprl.io.checkpoints.store import Checkpoints as Checkpoints
