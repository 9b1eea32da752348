"""A process that draws pictures for another one; run as a script, see `ddsprl.drawing.pictures`."""

import sys
import types
from pathlib import Path


def main() -> None:
    """Draw until the input ends."""
    # The package's front door would bring the whole library in, seconds and hundreds of megabytes; this
    # process needs one room of it.
    package = types.ModuleType("ddsprl")
    package.__path__ = [str(Path(__file__).resolve().parent.parent)]
    sys.modules["ddsprl"] = package
    # The script's own folder comes first in the path, and has modules named like others.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from ddsprl.drawing.pictures import draw, receive, send, unpacked

    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            job = receive(jobs)
        except EOFError:
            return
        send(answers, draw(*unpacked(job)))


if __name__ == "__main__":
    main()
