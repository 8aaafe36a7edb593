"""``isocenter send`` and ``isocenter echo``: talk to a DICOM peer, no platform needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isocenter.cli.platform import FAILED, JsonOption, emit
from isocenter.core.errors import DicomError
from isocenter.core.network.client import Peer
from isocenter.core.network.proposals import read_item
from isocenter.core.network.requestor import (
    MAX_ASSOCIATIONS,
    ItemResult,
    Outcome,
    SendItem,
    SendReport,
    echo,
    send,
)
from isocenter.core.network.tls import ClientTls

HostArgument = Annotated[str, typer.Argument(help="Name or address of the peer.")]
PortArgument = Annotated[int, typer.Argument(min=1, max=65535, help="Its DICOM port.")]
CalledOption = Annotated[str, typer.Option("--called", help="AE title of the peer.")]
CallingOption = Annotated[str, typer.Option("--calling", help="AE title that we give.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds of silence.")]
AssociationsOption = Annotated[
    int,
    typer.Option(
        "--associations",
        min=1,
        max=MAX_ASSOCIATIONS,
        help="At once, at most; 1 keeps the order.",
    ),
]
TlsOption = Annotated[bool, typer.Option("--tls", help="Talk TLS.")]
CaOption = Annotated[Path | None, typer.Option("--tls-ca", help="PEM file of the CAs to trust.")]
CertificateOption = Annotated[
    Path | None, typer.Option("--tls-certificate", help="PEM file of our certificate.")
]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its private key.")]


def register(root: typer.Typer) -> None:
    """Add the commands to the root."""
    root.command("send")(send_command)
    root.command("echo")(echo_command)


def send_command(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, help="Files, and folders with all that is in them.")
    ],
    host: HostArgument,
    port: PortArgument,
    *,
    called: CalledOption = "ANY-SCP",
    calling: CallingOption = "ISOCENTER",
    associations: AssociationsOption = 2,
    timeout: TimeoutOption = 60,
    tls: TlsOption = False,
    tls_ca: CaOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send DICOM files to a peer (C-STORE).

    Files of a folder that are no DICOM are passed over. Exit code 1 when any file failed.

    From 16 files on, a second association is tried beside the first; a peer that does not want it
    gets everything over the first.
    """
    peer = _peer(
        host,
        port,
        called=called,
        calling=calling,
        timeout=timeout,
        is_tls=tls,
        ca=tls_ca,
        certificate=tls_certificate,
        key=tls_key,
    )
    console = Console(stderr=True)
    items, unreadable = _find(paths, console)
    with _progress(console) as progress:
        task = progress.add_task("sending", total=len(items))
        report = send(
            items, peer, associations=associations, on_result=lambda _: progress.advance(task)
        )
    report.results[:0] = unreadable
    _print(report, as_json, console)
    if not report.is_complete or not report.results:
        raise typer.Exit(FAILED)


def echo_command(
    host: HostArgument,
    port: PortArgument,
    *,
    called: CalledOption = "ANY-SCP",
    calling: CallingOption = "ISOCENTER",
    timeout: TimeoutOption = 10,
    tls: TlsOption = False,
    tls_ca: CaOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a peer whether it is there (C-ECHO)."""
    peer = _peer(
        host,
        port,
        called=called,
        calling=calling,
        timeout=timeout,
        is_tls=tls,
        ca=tls_ca,
        certificate=tls_certificate,
        key=tls_key,
    )
    seconds = echo(peer)
    if as_json:
        emit({"peer": str(peer), "milliseconds": round(seconds * 1000, 1)}, True)
    else:
        typer.echo(f"{peer} answered in {seconds * 1000:.1f} ms")


def _peer(
    host: str,
    port: int,
    *,
    called: str,
    calling: str,
    timeout: float,
    is_tls: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> Peer:
    for title in (called, calling):
        if not 1 <= len(title) <= 16 or not title.isascii():
            raise typer.BadParameter(f"an AE title has 1 to 16 ASCII characters, {title!r} has not")
    is_tls = is_tls or ca is not None or certificate is not None
    return Peer(
        host=host,
        port=port,
        called_ae_title=called,
        calling_ae_title=calling,
        timeout_s=timeout,
        tls=ClientTls(ca=ca, certificate=certificate, key=key) if is_tls else None,
    )


def _find(paths: list[Path], console: Console) -> tuple[list[SendItem], list[ItemResult]]:
    """What there is to send; named files that cannot be sent are failures."""
    items: list[SendItem] = []
    failures: list[ItemResult] = []
    skipped = 0
    for path, is_named in _files(paths):
        try:
            items.append(read_item(path))
        except DicomError as error:
            if is_named:
                failures.append(ItemResult(path, Outcome.FAILED, None, str(error)))
            else:
                skipped += 1
    if skipped:
        console.print(f"{skipped} files in the folders are no DICOM instances and stay here")
    return items, failures


def _files(paths: list[Path]) -> Iterator[tuple[Path, bool]]:
    for path in paths:
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file():
                    yield inner, False
        else:
            yield path, True


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _print(report: SendReport, as_json: bool, console: Console) -> None:
    rows = [
        {
            "file": str(result.path),
            "outcome": result.outcome.value,
            "status": "" if result.status is None else f"{result.status:04X}",
            "sop_instance_uid": result.sop_instance_uid,
            "note": result.note,
        }
        for result in report.results
    ]
    if not as_json:  # two thousand lines of "stored" hide the one that matters
        rows = [row for row in rows if row["outcome"] != Outcome.STORED.value or row["note"]]
    if rows or as_json:
        emit(rows, as_json, columns=("file", "outcome", "status", "note"))
    megabytes = report.bytes_sent / 1e6
    rate = f", {megabytes / report.seconds:.0f} MB/s" if report.seconds else ""
    many = f", {report.associations} associations" if report.associations > 1 else ""
    console.print(
        f"{report.count(Outcome.STORED)} stored, {report.count(Outcome.FAILED)} failed, "
        f"{report.count(Outcome.NOT_SENT)} not sent; "
        f"{megabytes:.1f} MB in {report.seconds:.2f} s{rate}"
        f"{many}"
    )
    if report.error is not None:
        console.print(f"[red]{report.error}[/red]")
