"""An iterable worked off in another thread, a few items ahead of whoever takes them."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
POLL_S = 0.1
JOIN_S = 60.0


def ahead(items: Iterable[Item], *, waiting: Callable[[], Any] | None = None) -> Iterator[Item]:
    """The same items, made while the caller is busy with earlier ones; one finished item may wait.

    What the iterable raises is raised here, in its turn. When the caller stops early the thread stops at its
    next item, which is waited for a minute at most.

    Args:
        items: iterated over in the other thread only.
        waiting: called now and then while there is nothing to take; it may raise.

    Yields:
        Every item, in order.
    """
    line: queue.Queue[tuple[str, Any]] = queue.Queue(1)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                line.put((kind, value), timeout=POLL_S)
                return

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
        except BaseException as error:
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                kind, value = line.get(timeout=POLL_S)
            except queue.Empty:
                if waiting is not None:
                    waiting()
                continue
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        # A thread cut off inside a compiled program when the process ends could take it down with a crash.
        thread.join(JOIN_S)
