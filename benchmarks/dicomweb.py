"""How fast DICOMweb answers, beside Orthanc with its DICOMweb plugin, in one interleaved run.

    python benchmarks/dicomweb.py [--quick] [--rounds N]     beside Orthanc
    python benchmarks/dicomweb.py --large [--studies N]      with 10 000 and with 1 000 000 studies
    python benchmarks/dicomweb.py --memory [--gigabytes N]   memory of STOW-RS and ZIP

Both hold the same 300 CT slices and are asked by the same client over one connection that stays.
Isocenter runs as a user runs it: synced, indexed, audited, with rights and tokens. Orthanc is tuned
in its favour (see stand/serving.py) and has TCP_NODELAY=1. Both metadata and pictures are asked
for as their clients ask; every answer is counted, and looked at once. Servers take turns, in
another order in each round; a claim is the median of the rounds' ratios. Rendered pictures are of
another slice in each request; of these, and of the whole series, the median of some requests one
after the other counts, as memory that rested for seconds is slow on virtual machines. What STOW-RS
brings has UIDs of its own each time; the next round begins when both servers have done what they
do after it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from stand.serving import (
    Answer,
    Serving,
    ServingIsocenter,
    ServingOrthanc,
    Web,
    multipart,
    multipart_length,
    renamed,
    rest,
)
from stand.sizes import workspace
from stand.studies import Series, make_series
from stand.table import machine, middle, print_claims, print_table

JSON = "application/dicom+json"
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BOUNDARY = "isocenter-benchmark-1f0c"
PICTURES_AT_ONCE = 20
SERIES_AT_ONCE = 3


@dataclass(frozen=True)
class Place:
    """Where the series is, and its instances."""

    series: str
    instances: tuple[str, ...]


@dataclass
class Client:
    """One server, and what asks it."""

    server: Serving
    web: Web
    stored: int = 0


Request = Callable[[Client, Place, Series, int], tuple[float, Answer]]


def metadata(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    answer = client.web.get(f"{place.series}/metadata", JSON)
    return answer.seconds, answer


def instances(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    answer = client.web.get(f"{place.series}/instances?limit=1000", JSON)
    return answer.seconds, answer


def files(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    answers = [client.web.get(place.series, FILES) for _ in range(SERIES_AT_ONCE)]
    return middle([answer.seconds for answer in answers]), answers[-1]


def _pictures(client: Client, place: Place, number: int, form: str) -> tuple[float, Answer]:
    took = []
    for step in range(PICTURES_AT_ONCE):
        chosen = place.instances[(number * PICTURES_AT_ONCE + step) % len(place.instances)]
        answer = client.web.get(f"{place.series}/instances/{chosen}/rendered", form)
        took.append(answer.seconds)
    return middle(took), answer


def png(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    return _pictures(client, place, number, "image/png")


def jpeg(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    return _pictures(client, place, number, "image/jpeg")


def store(client: Client, place: Place, series: Series, number: int) -> tuple[float, Answer]:
    client.stored += 1
    contents = renamed(series, client.stored)
    answer = client.web.post(
        "/dicom-web/studies",
        f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        multipart(contents, BOUNDARY),
        multipart_length(map(len, contents), BOUNDARY),
    )
    stored = len(json.loads(answer.content).get("00081199", {}).get("Value", []))
    if stored != len(contents):
        raise RuntimeError(f"{client.server.name} stored {stored} of {len(contents)}")
    return answer.seconds, answer


#: Name → request, and how many times as fast as Orthanc it shall be.
REQUESTS: dict[str, tuple[Request, float]] = {
    "series metadata": (metadata, 10.0),
    "QIDO-RS, 300 instances": (instances, 5.0),
    "WADO-RS, the whole series": (files, 1.5),
    "rendered PNG": (png, 3.0),
    "rendered JPEG": (jpeg, 1.0),
    "STOW-RS, the series": (store, 1.5),
}
Times = dict[tuple[str, str], list[float]]


def measure(clients: list[Client], place: Place, series: Series, *, rounds: int) -> Times:
    """Seconds of every request by (request, server)."""
    times: Times = defaultdict(list)
    sizes: dict[tuple[str, str], int] = {}
    for number in range(-1, rounds):  # the first is to get warm
        rest(client.server for client in clients)
        for name, (request, _) in REQUESTS.items():
            order = clients if number % 2 else clients[::-1]
            for client in order:
                seconds, answer = request(client, place, series, max(number, 0))
                if answer.status != 200:
                    raise RuntimeError(f"{client.server.name}: {name}: {answer.status}")
                if number >= 0:
                    times[name, client.server.name].append(seconds)
                    sizes[name, client.server.name] = answer.size
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    for (name, server), size in sizes.items():
        print(f"{server}: {name}: {size} bytes", file=sys.stderr)
    return times


def check_same(clients: list[Client], place: Place, series: Series) -> None:
    """Both answer with all of it."""
    for client in clients:
        for path in (f"{place.series}/metadata", f"{place.series}/instances?limit=1000"):
            found = json.loads(client.web.get(path, JSON, keep=True).content)
            if len(found) != len(series.paths):
                raise RuntimeError(f"{client.server.name}: {path} has {len(found)}")
        answer = client.web.get(place.series, FILES, keep=True)
        if answer.content.count(b"DICM") < len(series.paths):
            raise RuntimeError(f"{client.server.name} does not send all files")


def report(times: Times) -> bool:
    rows, claims = [], []
    for name, (_, goal) in REQUESTS.items():
        ours, theirs = times[name, "Isocenter"], times[name, "Orthanc"]
        ratio = middle([b / a for a, b in zip(ours, theirs, strict=True)])
        rows.append((name, 1000 * middle(ours), 1000 * middle(theirs), ratio))
        claims.append((f"{name}: times as fast as Orthanc", ratio, goal))
    print_table(
        "Milliseconds, median of rounds", ("request", "Isocenter", "Orthanc", "ratio"), rows
    )
    return print_claims(claims)


def beside_orthanc(folder: Path, *, slices: int, rounds: int) -> bool:
    series = make_series(folder / "ct", "CT", count=slices, size=512, modality="CT", has_body=True)
    place = place_of(series)
    clients = []
    try:
        for kind in (ServingIsocenter, ServingOrthanc):
            server = kind(folder / kind.__name__, nodelay=True)
            clients.append(Client(server, None))  # type: ignore[arg-type]
            server.start()
            server.feed(series)
            server.settle(place.series)
            clients[-1].web = server.web()
        check_same(clients, place, series)
        times = measure(clients, place, series, rounds=rounds)
    finally:
        for client in clients:
            client.server.stop()
    return report(times)


def place_of(series: Series) -> Place:
    heads = [pydicom.dcmread(path, stop_before_pixels=True) for path in series.paths]
    address = f"/dicom-web/studies/{heads[0].StudyInstanceUID}"
    return Place(
        f"{address}/series/{heads[0].SeriesInstanceUID}",
        tuple(str(head.SOPInstanceUID) for head in heads),
    )


def with_many(folder: Path, *, small: int, large: int, requests: int) -> bool:
    """Searches by patient, date and accession number over the wire, in turn at both sizes."""
    from stand import many

    return many.measure(folder, small=small, large=large, requests=requests, seed=random.Random(4))


def memory(folder: Path, *, gigabytes: float) -> bool:
    from stand import weight

    return weight.measure(folder, gigabytes=gigabytes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--large", action="store_true", help="with many studies")
    parser.add_argument("--studies", type=int, default=0, help="how many the large index has")
    parser.add_argument("--memory", action="store_true", help="of STOW-RS and ZIP")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--keep", default="", metavar="FOLDER", help="of --large: use it, leave it")
    options = parser.parse_args()
    print(f"dicomweb: {machine()}")
    began = time.monotonic()
    with workspace(options.keep) as folder:
        if options.large:
            large = options.studies or (100_000 if options.quick else 1_000_000)
            count = 40 if options.quick else 200
            with_many(folder, small=10_000, large=large, requests=count)
        elif options.memory:
            memory(folder, gigabytes=options.gigabytes)
        elif not ServingOrthanc.is_installed() or shutil.which("dcmsend") is None:
            print("needs Orthanc, its DICOMweb plugin and DCMTK (make peers)")
        else:
            rounds = options.rounds or (2 if options.quick else 7)
            beside_orthanc(folder, slices=300, rounds=rounds)
    print(f"\n{time.monotonic() - began:.0f} s; at the end: {machine()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
