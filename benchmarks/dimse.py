"""How fast C-FIND and C-GET are answered, beside Orthanc, in one interleaved run.

    python benchmarks/dimse.py [--quick] [--rounds N]

Both hold the same 300 CT slices. DCMTK's findscu asks for all instances of the series and prints
nothing (what it gets is checked before), its getscu fetches the series and throws it away as it
comes. The tools' own start is in every row of both servers; it is measured with echoscu and
printed. It is more than half of one C-FIND, so some over one association are timed too. Servers
and tools have TCP_NODELAY=1, Orthanc is tuned in its favour (see stand/serving.py), Isocenter runs
as a user runs it. Servers take turns; a claim is the median of the rounds' ratios. C-FIND with
many studies is in ``dicomweb.py --large``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from stand.servers import NODELAY
from stand.serving import CALLER, TIMEOUT_S, Serving, ServingIsocenter, ServingOrthanc
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

FINDS = 5  # requests over one association


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    study_uid: str
    series_uid: str
    count: int


def run(tool: str, server: Serving, *arguments: str) -> tuple[float, str]:
    """Seconds of one tool, and what it said.

    Raises:
        RuntimeError: it did not end well.
    """
    command = [tool, *arguments[:-1], "-aet", CALLER, "-aec", server.called_ae_title]
    command += ["127.0.0.1", str(server.port), *([arguments[-1]] if arguments[-1] else [])]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **NODELAY},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{tool} at {server.name}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return seconds, done.stdout + done.stderr


def _keys(wanted: Wanted, level: str) -> list[str]:
    return [
        *("-S", "-k", f"QueryRetrieveLevel={level}", "-k", f"StudyInstanceUID={wanted.study_uid}"),
        *("-k", f"SeriesInstanceUID={wanted.series_uid}"),
    ]


def echo(server: Serving, wanted: Wanted) -> float:
    return run("echoscu", server, "")[0]


def _find_keys(wanted: Wanted) -> list[str]:
    return [*_keys(wanted, "IMAGE"), "-k", "SOPInstanceUID", "-k", "InstanceNumber"]


def find(server: Serving, wanted: Wanted) -> float:
    return run("findscu", server, "-q", *_find_keys(wanted), "")[0]


def find_again(server: Serving, wanted: Wanted) -> float:
    repeat = ("--repeat", str(FINDS))
    return run("findscu", server, "-q", *repeat, *_find_keys(wanted), "")[0]


def check_found(server: Serving, wanted: Wanted) -> None:
    """What is timed quietly brings all of it: printing answers takes longer than giving them."""
    said = run("findscu", server, "-v", *_find_keys(wanted), "")[1]
    found = len(re.findall(r"Find Response: ?\d+", said)) or said.count("(Pending)")
    if found < wanted.count:
        raise RuntimeError(f"{server.name} found {found} of {wanted.count}")


def get(server: Serving, wanted: Wanted) -> float:
    keys = _keys(wanted, "SERIES")
    seconds, said = run("getscu", server, "-v", "--ignore", "--max-pdu", "131072", *keys, "")
    completed = re.findall(r"Completed Suboperations *: *(\d+)", said)
    if not completed or int(completed[-1]) != wanted.count:
        raise RuntimeError(f"{server.name} sent {completed[-1:]} of {wanted.count}")
    return seconds


#: Name → request, and how many times as fast as Orthanc it shall be; 0: for comparison only.
REQUESTS: dict[str, tuple[Callable[[Serving, Wanted], float], float]] = {
    "start of a tool and C-ECHO": (echo, 0.0),
    "C-FIND, 300 instances": (find, 1.2),
    f"{FINDS} times C-FIND, 300 instances": (find_again, 1.2),
    "C-GET, the series": (get, 1.2),
}
Times = dict[tuple[str, str], list[float]]


def measure(servers: list[Serving], wanted: Wanted, *, rounds: int) -> Times:
    """Seconds by (request, server)."""
    times: Times = defaultdict(list)
    for server in servers:
        check_found(server, wanted)
    for number in range(-1, rounds):  # the first is to get warm
        for name, (request, _) in REQUESTS.items():
            for server in servers if number % 2 else servers[::-1]:
                seconds = request(server, wanted)
                if number >= 0:
                    times[name, server.name].append(seconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return times


def report(times: Times) -> bool:
    rows, claims = [], []
    for name, (_, goal) in REQUESTS.items():
        ours, theirs = times[name, "Isocenter"], times[name, "Orthanc"]
        ratio = middle([b / a for a, b in zip(ours, theirs, strict=True)])
        rows.append((name, 1000 * middle(ours), 1000 * middle(theirs), ratio))
        if goal:
            claims.append((f"{name}: times as fast as Orthanc", ratio, goal))
    print_table(
        "Milliseconds, median of rounds",
        ("request", "Isocenter", "Orthanc", "ratio"),
        rows,
    )
    return print_claims(claims)


def beside_orthanc(workspace: Path, series: Series, *, rounds: int) -> bool:
    head = pydicom.dcmread(series.paths[0], stop_before_pixels=True)
    wanted = Wanted(str(head.StudyInstanceUID), str(head.SeriesInstanceUID), len(series.paths))
    servers: list[Serving] = []
    try:
        for kind in (ServingIsocenter, ServingOrthanc):
            servers.append(kind(workspace / kind.__name__, nodelay=True))
            servers[-1].start()
            servers[-1].feed(series)
            address = f"/dicom-web/studies/{wanted.study_uid}/series/{wanted.series_uid}"
            servers[-1].settle(address)
        times = measure(servers, wanted, rounds=rounds)
    finally:
        for server in servers:
            server.stop()
    return report(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    print(f"dimse: {machine()}")
    if not ServingOrthanc.is_installed() or shutil.which("getscu") is None:
        print("needs Orthanc, its DICOMweb plugin and DCMTK (make peers)")
        return 0
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as name:
        series = make_series(Path(name) / "ct", "CT", count=300, size=512, modality="CT")
        beside_orthanc(Path(name), series, rounds=options.rounds or (3 if options.quick else 9))
    print(f"\nat the end: {machine()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
