"""How much memory the receiver takes while 50 associations send, one of them a 2 GB multi-frame.

    python benchmarks/memory.py [--quick] [--associations N] [--gigabytes N]

49 associations send CT slices until the big instance is acknowledged. The receiver runs alone, so
that its process is all that is measured; peak is the kernel's own high-water mark. What was
acknowledged is counted and hashed in the spool. The long form puts Orthanc and storescp beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from stand.servers import Orthanc, Server, Storescp
from stand.studies import Series, make_series
from stand.table import machine, print_claims, print_table

from isocenter.apps.archive.spool import SpoolReader
from isocenter.core.network.requestor import Peer, send

GOAL_MB = 200
TIMEOUT_S = 600
MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
SIZE = 1024


class Receiver(Server):
    """`isocenter receiver` alone: no database, no ingest."""

    name = "Isocenter"
    called_ae_title = "ISOCENTER"

    def command(self) -> Sequence[str]:
        configuration = self.folder.with_suffix(".yaml")
        configuration.write_text("receiver:\n  hosts: ['127.0.0.1']\n  max_associations: 100\n")
        return [
            *(sys.executable, "-m", "isocenter.cli.main", "receiver"),
            *("--data-dir", str(self.folder), "--config", str(configuration)),
            *("--port", str(self.port)),
        ]

    def stored(self) -> list[Path]:
        return []

    def digests_by_uid(self) -> dict[str, str]:
        """SHA-256 of each accepted data set by its SOP Instance UID."""
        reader = SpoolReader(self.folder / "spool")
        found = {}
        for segment in reader.segments():
            for record in reader.records(segment):
                digest = hashlib.sha256()
                for piece in record.chunks(at=record.meta["dataset_offset"]):
                    digest.update(piece)
                found[record.meta["sop_instance_uid"]] = digest.hexdigest()
        return found


@dataclass
class Sending:
    """What the associations did."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    is_big_done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Result:
    before_mb: float
    peak_mb: float
    seconds: float
    instances: int
    is_whole: str


def write_big(path: Path, gigabytes: int) -> str:
    """A multi-frame secondary capture; its pixels are a hole in the file. Its digest."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = MULTI_FRAME_CAPTURE, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.Modality, ds.SamplesPerPixel = "BENCH", "OT", 1
    ds.PhotometricInterpretation, ds.Rows, ds.Columns = "MONOCHROME2", SIZE, SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.NumberOfFrames = gigabytes * (1 << 30) // (2 * SIZE * SIZE)
    ds.PixelData = bytes(2)
    ds.save_as(path, enforce_file_format=True)
    length = ds.NumberOfFrames * 2 * SIZE * SIZE
    with path.open("r+b") as stream:
        stream.seek(-6, 2)  # the length of Pixel Data and its two bytes
        stream.write(length.to_bytes(4, "little"))
        stream.truncate(stream.tell() + length)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        head = stream.read(144)
        stream.seek(144 + int.from_bytes(head[140:144], "little"))
        while piece := stream.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def send_slices(server: Server, series: Series, sending: Sending) -> None:
    """Send CT slices, again and again, until the big instance is through."""
    digests = dict(_digests(series))
    while not sending.is_big_done.is_set():
        peer = Peer("127.0.0.1", server.port, server.called_ae_title, "BENCH", timeout_s=TIMEOUT_S)
        report = send(series.paths, peer, is_cancelled=sending.is_big_done.is_set)
        if report.error and not sending.is_big_done.is_set():
            sending.failures.append(str(report.error))
            return
        for result in report.results:
            if result.status == 0:
                sending.acknowledged[result.sop_instance_uid] = digests[result.path]


def _digests(series: Series) -> list[tuple[Path, str]]:
    found = []
    for path in series.paths:
        content = path.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        found.append((path, hashlib.sha256(content[start:]).hexdigest()))
    return found


def send_big(server: Server, path: Path, digest: str, sending: Sending) -> None:
    peer = Peer("127.0.0.1", server.port, server.called_ae_title, "BENCH", timeout_s=TIMEOUT_S)
    try:
        report = send([path], peer)
        if report.is_complete:
            sending.acknowledged[report.results[0].sop_instance_uid] = digest
        else:
            sending.failures.append(f"the big instance: {report.error or report.results}")
    finally:
        sending.is_big_done.set()


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and its children."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total / 1e6


def measure(
    server: Server, shares: list[Series], big: Path, digest: str, associations: int
) -> Result:
    server.start()
    try:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        before = peak = memory_mb(process)
        sending = Sending()
        threads = [threading.Thread(target=send_big, args=(server, big, digest, sending))]
        threads += [
            threading.Thread(target=send_slices, args=(server, share, sending))
            for share in shares[: associations - 1]
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, memory_mb(process))
            time.sleep(0.05)
        seconds = time.monotonic() - started
        if isinstance(server, Receiver):
            peak = max(peak, _high_water_mb(process.pid))
            stored = server.digests_by_uid()
            right = sum(stored.get(uid) == one for uid, one in sending.acknowledged.items())
            is_whole = f"{right}/{len(sending.acknowledged)}"
        else:
            is_whole = "not hashed"
        if sending.failures:
            is_whole += f", {len(sending.failures)} associations failed"
            print(f"{server.name}: {sending.failures[0]}", file=sys.stderr)
        return Result(before, peak, seconds, len(sending.acknowledged), is_whole)
    finally:
        server.stop()


def _high_water_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ours only")
    parser.add_argument("--associations", type=int, default=50)
    parser.add_argument("--gigabytes", type=int, default=2, help="at most 3: PDUs know no more")
    options = parser.parse_args()
    print(f"memory: {machine()}")
    kinds: list[type[Server]] = [Receiver]
    if not options.quick:
        kinds += [kind for kind in (Storescp, Orthanc) if kind.is_installed()]
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        workspace = Path(folder)
        big = workspace / "big.dcm"
        digest = write_big(big, options.gigabytes)
        shares = [
            make_series(workspace / f"ct-{number}", "CT", count=2, size=512, modality="CT")
            for number in range(options.associations - 1)
        ]
        results = {
            kind.name: measure(
                kind(workspace / f"store-{kind.name}", nodelay=True),
                shares, big, digest, options.associations,
            )
            for kind in kinds
        }  # fmt: skip
    rows = [
        (name, r.before_mb, r.peak_mb, r.seconds, r.instances, r.is_whole)
        for name, r in results.items()
    ]
    print_table(
        f"Memory with {options.associations} associations, one sends {options.gigabytes} GB",
        ("receiver", "MB before", "MB at most", "seconds", "different instances", "whole"),
        rows,
    )
    ours = results[Receiver.name]
    print_claims([(f"{GOAL_MB} MB / peak", GOAL_MB / ours.peak_mb, 1.0)])
    right, _, count = ours.is_whole.partition("/")
    return 0 if right == count else 1


if __name__ == "__main__":
    raise SystemExit(main())
