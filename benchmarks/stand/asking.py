"""Asks the search of a running platform's index, as C-FIND and QIDO-RS do, without the wire.

    python benchmarks/stand/asking.py DATA_DIR

Reads a question per line, ``{"level": "STUDY", "keys": {"1048592": "MULLER*"}, "limit": 25}``;
answers each with ``{"ms": …, "answers": …}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


class Asker:
    """A process that stays, so that only the search is measured."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, level: str, keys: Mapping[int, str], limit: int) -> tuple[float, int]:
        """Milliseconds, and the number of answers."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the asking process has no pipes")
        question = {"level": level, "keys": {str(tag): text for tag, text in keys.items()}}
        self._process.stdin.write(json.dumps({**question, "limit": limit}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the asking process ended")
        answer = json.loads(line)
        return float(answer["ms"]), int(answer["answers"])

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def main() -> None:
    from isocenter.runtime.boot import boot

    boot(data_dir=Path(sys.argv[1]))
    from isocenter.apps.archive.queries import Level, Question, search

    for line in sys.stdin:
        asked = json.loads(line)
        keys = {int(tag): text for tag, text in asked["keys"].items()}
        began = time.perf_counter()
        found = list(search(Question(Level(asked["level"]), keys, limit=asked["limit"])))
        took = (time.perf_counter() - began) * 1000
        print(json.dumps({"ms": took, "answers": len(found)}), flush=True)


if __name__ == "__main__":
    main()
