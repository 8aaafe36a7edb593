"""How fast instances go out, beside DCMTK's dcmsend, into the same storescp.

    python benchmarks/send.py [--quick] [--rounds N]

Both send the same 300 CT slices over one association. What arrived is counted and hashed. Ours is
the requestor that deliveries use, timed from the first file's header to the release; it also runs
as ``isocenter send``, whose table row includes the start of Python. "As packaged" is DCMTK as
Debian ships it; with TCP_NODELAY=1 in the environment of both its programs it does not wait for
delayed acknowledgements. storescp writes to memory where there is room (/dev/shm): senders are
compared here, and its disk would be slower than any of them. Its own work bounds the ratio: the
table says how long it was busy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stand.servers import NODELAY, Storescp
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

from isocenter.core.network.requestor import Peer, send

TIMEOUT_S = 300
ROUNDS_WITH_NODELAY = 3  # for each round as packaged: they are short, and noisy


@dataclass(frozen=True)
class Outcome:
    per_s: float
    is_whole: bool
    receiver_ms: float  # processor time of storescp for an instance


def by_dcmsend(series: Series, port: int, nodelay: bool) -> float:
    command = ["dcmsend", "--no-uid-checks", "--scan-directories", "--max-send-pdu", "131072"]
    return _time(
        [*command, "127.0.0.1", str(port), str(series.paths[0].parent)],
        {**os.environ, **(NODELAY if nodelay else {})},
    )


def by_command(series: Series, port: int, nodelay: bool) -> float:
    command = [sys.executable, "-m", "isocenter.cli.main", "send", str(series.paths[0].parent)]
    return _time([*command, "127.0.0.1", str(port)], dict(os.environ))


def by_requestor(series: Series, port: int, nodelay: bool) -> float:
    started = time.monotonic()
    report = send(series.paths, Peer("127.0.0.1", port, "ANY-SCP", "BENCH"))
    seconds = time.monotonic() - started
    if not report.is_complete:
        raise RuntimeError(f"not everything was stored: {report.error}")
    return seconds


SENDERS: dict[str, Callable[[Series, int, bool], float]] = {
    "dcmsend": by_dcmsend,
    "Isocenter": by_requestor,
    "isocenter send (whole process)": by_command,
}


def _time(command: list[str], environment: dict[str, str]) -> float:
    started = time.monotonic()
    done = subprocess.run(
        command, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]!r}")
    return time.monotonic() - started


def memory_folder() -> str | None:
    """A folder in memory with room for two copies of the series."""
    folder = Path("/dev/shm")
    has_room = folder.is_dir() and shutil.disk_usage(folder).free > 1 << 30
    return str(folder) if has_room else None


def measure(name: str, series: Series, workspace: Path, *, nodelay: bool) -> Outcome:
    server = Storescp(workspace / f"store-{time.monotonic_ns()}", nodelay=nodelay)
    server.start()
    os.sync()
    try:
        seconds = SENDERS[name](series, server.port, nodelay)
        time.sleep(0.2)  # until its child has ended and is counted
        busy_ms = 1000 * server.processor_s() / len(series.paths)
        whole = server.digests() == series.digests
    finally:
        server.stop()
    return Outcome(len(series.paths) / seconds, whole, busy_ms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the claims need")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"send: {machine()}")
    results: dict[tuple[bool, str], list[Outcome]] = defaultdict(list)
    names = list(SENDERS)[: 2 if options.quick else None]
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-", dir=memory_folder()) as folder:
        workspace = Path(folder)
        series = make_series(workspace / "ct", "CT", count=300, size=512, modality="CT")
        for number in range(options.rounds * ROUNDS_WITH_NODELAY):
            for nodelay in (True, False):
                if not nodelay and number >= options.rounds:
                    continue  # dcmsend takes 14 s for each of these
                for name in names:
                    outcome = measure(name, series, workspace, nodelay=nodelay)
                    results[nodelay, name].append(outcome)
                    print(f"round {number + 1}: {nodelay=} {name} {outcome}", file=sys.stderr)

    def rate(nodelay: bool, name: str) -> float:
        return middle([outcome.per_s for outcome in results[nodelay, name]])

    rows = [
        (
            "TCP_NODELAY" if nodelay else "as packaged",
            name,
            rate(nodelay, name),
            1000 / rate(nodelay, name),
            middle([outcome.receiver_ms for outcome in outcomes]),
            f"{sum(o.is_whole for o in outcomes)}/{len(outcomes)}",
        )
        for (nodelay, name), outcomes in results.items()
    ]
    print_table(
        "Sending 300 CT to storescp, one association, median of rounds",
        ("DCMTK", "sender", "instances/s", "ms each", "storescp busy, ms", "whole"),
        rows,
    )
    print_claims(
        [
            (
                "dcmsend, both with TCP_NODELAY",
                rate(True, "Isocenter") / rate(True, "dcmsend"),
                1.5,
            ),
            ("dcmsend, as packaged", rate(False, "Isocenter") / rate(False, "dcmsend"), 10.0),
        ]
    )
    return 0 if all(o.is_whole for outcomes in results.values() for o in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
