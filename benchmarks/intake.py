"""How fast studies come in, beside the best peers, in one interleaved run.

    python benchmarks/intake.py [--quick] [--rounds N]

DCMTK's dcmsend sends the same files to each server over 1, 4 or 8 associations. What arrived is
counted and hashed. Isocenter runs as a user runs it: synced to disk before it says success,
index, audit and access rules on. Ratios within this run count; absolute rates depend on the
machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from stand.servers import NODELAY, Isocenter, Orthanc, Pynetdicom, Server, Storescp, TunedOrthanc
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

INDEX_TIMEOUT_S = 300
SEND_TIMEOUT_S = 900


@dataclass(frozen=True)
class Case:
    """One cell of the table: a server, a series, a number of associations, how peers are run."""

    server: type[Server]
    series: Series
    associations: int
    nodelay: bool

    @property
    def key(self) -> tuple[str, str, int, bool]:
        return self.server.name, self.series.name, self.associations, self.nodelay


@dataclass(frozen=True)
class Outcome:
    acknowledged_per_s: float
    indexed_per_s: float
    is_whole: bool


Results = dict[tuple[str, str, int, bool], list[Outcome]]


def send(server: Server, shares: list[Path], *, nodelay: bool) -> None:
    """One dcmsend per share, all at once."""
    environment = {**os.environ, **(NODELAY if nodelay else {})}
    senders = [
        subprocess.Popen(
            [
                "dcmsend",
                "--no-uid-checks",
                "-aec",
                server.called_ae_title,
                "--scan-directories",
                "--max-send-pdu",
                "131072",
                "127.0.0.1",
                str(server.port),
                str(share),
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for share in shares
    ]
    watchdog = threading.Timer(SEND_TIMEOUT_S, lambda: [sender.kill() for sender in senders])
    watchdog.start()
    codes = [sender.wait() for sender in senders]  # with a time-out it would look every 50 ms only
    watchdog.cancel()
    if any(codes):
        raise RuntimeError(f"dcmsend to {server.name} ended with {codes}")


def measure(case: Case, workspace: Path) -> Outcome:
    server = case.server(workspace / f"store-{time.monotonic_ns()}", nodelay=case.nodelay)
    shares = case.series.shares(workspace / "shares", case.associations)
    count = len(case.series.paths)
    server.start()
    os.sync()  # what earlier runs wrote is not this one's burden
    try:
        started = time.monotonic()
        send(server, shares, nodelay=case.nodelay)
        acknowledged = time.monotonic() - started
        while server.indexed() < count:
            if time.monotonic() - started > INDEX_TIMEOUT_S:
                raise RuntimeError(f"{server.name} did not index {count} instances")
            time.sleep(0.02)
        indexed = time.monotonic() - started
        whole = server.digests() == case.series.digests
    finally:
        server.stop()
    return Outcome(count / acknowledged, count / indexed, whole)


def cases(ct: Series, mr: Series, *, quick: bool) -> list[Case]:
    if quick:
        plan = [(Isocenter, ct, n, True) for n in (1, 4, 8)]
        plan += [(Orthanc, ct, n, True) for n in (1, 4)]
        plan += [(Storescp, ct, n, True) for n in (1, 4)]
        plan += [(Isocenter, ct, 1, False), (Orthanc, ct, 1, False)]
        plan += [(server, mr, 4, True) for server in (Isocenter, TunedOrthanc)]
    else:
        everyone = (Isocenter, Orthanc, TunedOrthanc, Storescp, Pynetdicom)
        plan = [
            (server, ct, n, nodelay)
            for nodelay in (True, False)
            for n in (1, 4, 8)
            for server in everyone
        ]
        plan += [(server, mr, n, True) for n in (1, 4) for server in everyone]
    return [Case(*item) for item in plan if item[0].is_installed()]


def claims(
    results: dict[tuple[str, str, int, bool], list[Outcome]],
) -> list[tuple[str, float, float]]:
    def rate(
        name: str, series: str, associations: int, nodelay: bool, *, indexed: bool = False
    ) -> float:
        outcomes = results.get((name, series, associations, nodelay), [])
        values = [o.indexed_per_s if indexed else o.acknowledged_per_s for o in outcomes]
        return middle(values) if values else float("nan")

    def versus(
        peer: str, series: str, n: int, nodelay: bool = True, *, indexed: bool = False
    ) -> float:
        return rate("Isocenter", series, n, nodelay, indexed=indexed) / rate(
            peer, series, n, nodelay, indexed=indexed
        )

    return [
        ("CT, 1 association, Orthanc with TCP_NODELAY", versus("Orthanc", "CT", 1), 2.0),
        ("CT, 4 associations, Orthanc with TCP_NODELAY", versus("Orthanc", "CT", 4), 2.0),
        ("CT, 1 association, Orthanc as packaged", versus("Orthanc", "CT", 1, False), 10.0),
        ("CT, 1 association, storescp (syncs nothing)", versus("storescp", "CT", 1), 0.65),
        ("CT, 4 associations, storescp (syncs nothing)", versus("storescp", "CT", 4), 0.65),
        ("CT until indexed, 1 association, Orthanc", versus("Orthanc", "CT", 1, indexed=True), 1.5),
        (
            "CT until indexed, 4 associations, Orthanc",
            versus("Orthanc", "CT", 4, indexed=True),
            1.5,
        ),
        ("MR, 4 associations, Orthanc tuned", versus("Orthanc tuned", "MR", 4), 1.5),
        (
            "CT, 8 associations against 1",
            rate("Isocenter", "CT", 8, True) / rate("Isocenter", "CT", 1, True),
            0.9,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the claims need")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"intake: {machine()}")
    results: Results = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        workspace = Path(folder)
        ct = make_series(workspace / "ct", "CT", count=300, size=512, modality="CT")
        mr = make_series(workspace / "mr", "MR", count=1000, size=128, modality="MR")
        plan = cases(ct, mr, quick=options.quick)
        for number in range(options.rounds):
            for case in plan:
                if options.quick and number and not case.nodelay:
                    continue  # a peer as packaged takes 15 s, and its ratio leaves no doubt
                results[case.key].append(measure(case, workspace))
                print(f"round {number + 1}: {case.key} {results[case.key][-1]}", file=sys.stderr)
    rows = [
        (
            series,
            n,
            "TCP_NODELAY" if nodelay else "as packaged",
            name,
            middle([o.acknowledged_per_s for o in outcomes]),
            middle([o.indexed_per_s for o in outcomes]),
            f"{sum(o.is_whole for o in outcomes)}/{len(outcomes)}",
        )
        for (name, series, n, nodelay), outcomes in sorted(results.items(), key=lambda i: i[0][1:])
    ]
    print_table(
        "Intake, median of rounds",
        ("series", "assoc.", "peers", "server", "acknowledged/s", "indexed/s", "whole"),
        rows,
    )
    print_claims(claims(results))
    ours = (outcomes for key, outcomes in results.items() if key[0] == Isocenter.name)
    whole = all(o.is_whole for outcomes in ours for o in outcomes)
    return 0 if whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
