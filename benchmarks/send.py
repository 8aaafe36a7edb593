"""How fast instances go out, beside DCMTK's dcmsend, into the same storescp.

    python benchmarks/send.py [--quick] [--rounds N]

All send the same 300 CT slices. What arrived is counted and hashed. Ours is the requestor that
deliveries use, timed from the first file's header to the release: over one association, and over
two at once, which is what deliveries and ``isocenter send`` do where the peer has room; the claims
are on these. It also runs as ``isocenter send``, whose row includes the start of Python. dcmsend
has no more than one association; two of them with half of the files each are in the table too,
because that is what its user could do. "As packaged" is DCMTK as Debian ships it; with
TCP_NODELAY=1 in the environment of its programs it does not wait for delayed acknowledgements.
storescp forks for each association and writes to memory where there is room (/dev/shm): senders
are compared here, and its disk would be slower than any of them. Its own work bounds the ratio:
the table says how long it was busy. The senders take turns, in another order in each round; a
claim is the median of the rounds' ratios.
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
ROUNDS_WITH_NODELAY = 5  # for each round as packaged: they are short, and noisy


@dataclass(frozen=True)
class Outcome:
    per_s: float
    is_whole: bool
    receiver_ms: float  # processor time of storescp for an instance


def by_dcmsend(series: Series, port: int, nodelay: bool) -> float:
    return _time([_dcmsend(series.paths[0].parent, port)], _environment(nodelay))


def by_two_dcmsends(series: Series, port: int, nodelay: bool) -> float:
    shares = series.shares(series.paths[0].parent.parent, 2)
    return _time([_dcmsend(share, port) for share in shares], _environment(nodelay))


def by_command(series: Series, port: int, nodelay: bool) -> float:
    command = [sys.executable, "-m", "isocenter.cli.main", "send", str(series.paths[0].parent)]
    return _time([[*command, "127.0.0.1", str(port)]], dict(os.environ))


def by_one(series: Series, port: int, nodelay: bool) -> float:
    return _by_requestor(series, port, 1)


def by_two(series: Series, port: int, nodelay: bool) -> float:
    return _by_requestor(series, port, 2)


DCMSEND, TWO_DCMSENDS = "dcmsend", "two dcmsend at once, half of the files each"
ONE, TWO = "Isocenter, one association", "Isocenter, two (its default)"
COMMAND = "`isocenter send`, with the start of Python"
SENDERS: dict[str, Callable[[Series, int, bool], float]] = {
    DCMSEND: by_dcmsend,
    TWO_DCMSENDS: by_two_dcmsends,
    ONE: by_one,
    TWO: by_two,
    COMMAND: by_command,
}
OTHER_PAIRS = [(ONE, DCMSEND), (ONE, TWO_DCMSENDS), (TWO, TWO_DCMSENDS), (TWO, ONE)]


def _by_requestor(series: Series, port: int, associations: int) -> float:
    started = time.monotonic()
    peer = Peer("127.0.0.1", port, "ANY-SCP", "BENCH")
    report = send(series.paths, peer, associations=associations)
    seconds = time.monotonic() - started
    if not report.is_complete:
        raise RuntimeError(f"not everything was stored: {report.error}")
    if report.associations != associations:
        raise RuntimeError(f"{report.associations} associations, not {associations}")
    return seconds


def _dcmsend(folder: Path, port: int) -> list[str]:
    options = ["--no-uid-checks", "--scan-directories", "--max-send-pdu", "131072"]
    return ["dcmsend", *options, "127.0.0.1", str(port), str(folder)]


def _environment(nodelay: bool) -> dict[str, str]:
    return {**os.environ, **(NODELAY if nodelay else {})}


def _time(commands: list[list[str]], environment: dict[str, str]) -> float:
    """Seconds until the last of these programs, started together, has ended."""
    started = time.monotonic()
    running = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for command in commands
    ]
    codes = [process.wait(TIMEOUT_S) for process in running]
    if any(codes):
        raise RuntimeError(f"{commands[0][0]} ended with {codes}")
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


def turns(number: int, *, is_quick: bool, nodelay: bool) -> list[str]:
    """Who sends in this round, in which order: everybody comes first now and then."""
    names = [name for name in SENDERS if name != COMMAND or nodelay]
    if is_quick:
        names = [DCMSEND, TWO_DCMSENDS, ONE, TWO] if nodelay else [DCMSEND, TWO]
    first = number % len(names)
    return names[first:] + names[:first]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the claims need")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"send: {machine()}")
    results: dict[tuple[bool, str], list[Outcome]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-", dir=memory_folder()) as folder:
        workspace = Path(folder)
        series = make_series(workspace / "ct", "CT", count=300, size=512, modality="CT")
        for number in range(options.rounds * ROUNDS_WITH_NODELAY):
            for nodelay in (True, False):
                if not nodelay and number >= options.rounds:
                    continue  # dcmsend takes 14 s for each of these
                for name in turns(number, is_quick=options.quick, nodelay=nodelay):
                    outcome = measure(name, series, workspace, nodelay=nodelay)
                    results[nodelay, name].append(outcome)
                    print(f"round {number + 1}: {nodelay=} {name} {outcome}", file=sys.stderr)

    def rate(nodelay: bool, name: str) -> float:
        return middle([outcome.per_s for outcome in results[nodelay, name]])

    def ratio(nodelay: bool, ours: str, theirs: str) -> float:
        pairs = zip(results[nodelay, ours], results[nodelay, theirs], strict=True)
        return middle([one.per_s / other.per_s for one, other in pairs])

    rows = [
        (
            "TCP_NODELAY" if nodelay else "as packaged",
            name,
            rate(nodelay, name),
            1000 / rate(nodelay, name),
            middle([outcome.receiver_ms for outcome in outcomes]),
            f"{sum(o.is_whole for o in outcomes)}/{len(outcomes)}",
        )
        for nodelay in (True, False)
        for name in SENDERS
        if (outcomes := results.get((nodelay, name)))
    ]
    print_table(
        "Sending 300 CT to storescp, median of rounds",
        ("DCMTK", "sender", "instances/s", "ms each", "storescp busy, ms", "whole"),
        rows,
    )
    print_table(
        "Ratios without a goal, both with TCP_NODELAY",
        ("ours", "theirs", "ratio"),
        [(ours, theirs, ratio(True, ours, theirs)) for ours, theirs in OTHER_PAIRS],
    )
    print_claims(
        [
            ("default beside dcmsend, both with TCP_NODELAY", ratio(True, TWO, DCMSEND), 1.5),
            ("default beside dcmsend, as packaged", ratio(False, TWO, DCMSEND), 10.0),
        ]
    )
    return 0 if all(o.is_whole for outcomes in results.values() for o in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
