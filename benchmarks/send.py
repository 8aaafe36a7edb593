"""How fast instances go out, beside DCMTK's dcmsend, into the same storescp.

    python benchmarks/send.py [--quick] [--rounds N]

Both send the same 300 CT slices over one association. What arrived is counted and hashed. Ours is
the requestor that deliveries use, timed from the first file's header to the release; it also runs
as ``isocenter send``, whose table row includes the start of Python. "As packaged" is DCMTK as
Debian ships it; with TCP_NODELAY=1 in the environment of both its programs it does not wait for
delayed acknowledgements.
"""

from __future__ import annotations

import argparse
import os
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


@dataclass(frozen=True)
class Outcome:
    per_s: float
    is_whole: bool


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


def measure(name: str, series: Series, workspace: Path, *, nodelay: bool) -> Outcome:
    server = Storescp(workspace / f"store-{time.monotonic_ns()}", nodelay=nodelay)
    server.start()
    try:
        seconds = SENDERS[name](series, server.port, nodelay)
        whole = server.digests() == series.digests
    finally:
        server.stop()
    return Outcome(len(series.paths) / seconds, whole)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the claims need")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"send: {machine()}")
    results: dict[tuple[bool, str], list[Outcome]] = defaultdict(list)
    names = list(SENDERS)[: 2 if options.quick else None]
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        workspace = Path(folder)
        series = make_series(workspace / "ct", "CT", count=300, size=512, modality="CT")
        for number in range(options.rounds):
            for nodelay in (True, False):
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
            f"{sum(o.is_whole for o in outcomes)}/{len(outcomes)}",
        )
        for (nodelay, name), outcomes in results.items()
    ]
    print_table(
        "Sending 300 CT to storescp, one association, median of rounds",
        ("DCMTK", "sender", "instances/s", "whole"),
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
