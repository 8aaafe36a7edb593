"""``isocenter doctor``: what is wrong on this machine, and how to mend it.

Each examination is one function that looks at one thing and gives findings. None of them changes
anything, and a platform that runs is only asked.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from isocenter.core.errors import IsocenterError
from isocenter.runtime.account import server_account
from isocenter.runtime.boot import database_url
from isocenter.runtime.deid_keys import look_at_keys, something_sealed
from isocenter.runtime.doctor_nodes import look_at_nodes
from isocenter.runtime.layout import Layout
from isocenter.runtime.migrate import OLDEST_SERVER
from isocenter.runtime.ports import port_holders, port_of, process_name
from isocenter.runtime.postgres_binaries import find_binaries
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import live_process, read_state

OK, NOTE, WRONG = "ok", "note", "wrong"
SMALLEST_MEMORY_MB = 3500
SKEW_S = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: str
    text: str
    mend: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which one would mend it."""
    layout = Layout(settings.data_dir)
    findings: list[Finding] = []
    for examination in EXAMINATIONS:
        name = examination.__name__.strip("_").replace("_", " ")
        try:
            findings += examination(settings, layout)
        except IsocenterError as error:
            findings.append(Finding(name, WRONG, str(error), error.hint))
        except (OSError, psutil.Error, psycopg.Error) as error:
            findings.append(Finding(name, WRONG, str(error).strip().splitlines()[0]))
    return findings


def python(settings: Settings, layout: Layout) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(
        "Python",
        OK if fits else WRONG,
        f"{version} in {sys.prefix}",
        "" if fits else "make the environment with Python 3.11, 3.12 or 3.13",
    )
    if sys.maxsize < 1 << 32:
        yield Finding("Python", WRONG, "a 32 bit Python", "studies need a 64 bit Python")


def codecs(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """Which compressed images can be decoded here."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import (
        JPEG2000Lossless,
        JPEGBaseline8Bit,
        JPEGLosslessSV1,
        JPEGLSLossless,
        RLELossless,
    )

    for uid in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless):
        decoder = get_decoder(uid)
        with_what = ", ".join(decoder.available_plugins) if decoder.is_available else ""
        yield Finding(
            f"codec {uid.name}",
            OK if with_what else WRONG,
            with_what or "no decoder",
            ""
            if with_what
            else "install the package again: pip install --force-reinstall isocenter",
        )


def machine(settings: Settings, layout: Layout) -> Iterator[Finding]:
    memory_mb = psutil.virtual_memory().total >> 20
    enough = memory_mb >= SMALLEST_MEMORY_MB
    yield Finding(
        "memory",
        OK if enough else NOTE,
        f"{memory_mb} MB, {os.cpu_count()} CPUs",
        "" if enough else "4 GB are advised; set workers.runs to 1 with less",
    )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.receiver.max_associations * 4 + 256
    yield Finding(
        "open files",
        OK if files >= needed or files < 0 else WRONG,
        f"{files} allowed, {needed} needed",
        "" if files >= needed or files < 0 else f"ulimit -n {needed * 2}",
    )


def data_directory(settings: Settings, layout: Layout) -> Iterator[Finding]:
    root = layout.root
    if not root.exists():
        above = next(p for p in root.parents if p.exists())
        writable = os.access(above, os.W_OK)
        yield Finding(
            "data directory",
            OK if writable else WRONG,
            f"{root} will be made at the first start",
            "" if writable else f"{above} cannot be written: choose another with --data-dir",
        )
        return
    owner = root.stat().st_uid
    if owner != os.geteuid():
        yield Finding(
            "data directory",
            WRONG,
            f"{root} belongs to {_user(owner)}, you are {_user(os.geteuid())}",
            f"run Isocenter as {_user(owner)}, or chown -R {_user(os.geteuid())} {root} while it "
            "does not run (all but postgres/)",
        )
        return
    unwritable = [
        path.name
        for path in root.iterdir()
        if path.is_dir() and path != layout.postgres and not os.access(path, os.W_OK | os.X_OK)
    ]
    yield Finding(
        "data directory",
        WRONG if unwritable else OK,
        f"{root}: cannot write {', '.join(unwritable)}" if unwritable else f"{root} can be written",
        f"chmod -R u+rwX {root}" if unwritable else "",
    )
    yield from _open_to_others(layout)


def _open_to_others(layout: Layout) -> Iterator[Finding]:
    """Patients' data and passwords are for us alone."""
    folders = (
        layout.secrets,
        layout.keys,
        layout.spool,
        layout.archive,
        layout.runs,
        layout.quarantine,
    )
    candidates = [p for p in folders if p.exists()]
    if layout.secrets.exists() and os.access(layout.secrets, os.R_OK | os.X_OK):
        candidates += layout.secrets.iterdir()
    open_ones = [p for p in candidates if p.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    yield Finding(
        "permissions",
        WRONG if open_ones else OK,
        "open to others: " + ", ".join(str(p) for p in open_ones) if open_ones else "ours alone",
        "chmod go-rwx " + " ".join(str(p) for p in open_ones) if open_ones else "",
    )


def disk(settings: Settings, layout: Layout) -> Iterator[Finding]:
    place = next(p for p in (layout.root, *layout.root.parents) if p.exists())
    free_mb = shutil.disk_usage(place).free >> 20
    reserve = settings.storage.reserve_mb
    enough = free_mb >= reserve
    yield Finding(
        "disk",
        OK if enough else WRONG,
        f"{free_mb} MB free under {place}, reserve {reserve} MB",
        ""
        if enough
        else "free some space, or lower storage.reserve_mb: until then nothing is "
        "received (0xA700)",
    )


def spool(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """Segments that the disk has spoilt hold instances that somebody thinks we have."""
    damaged = sorted((layout.spool / "damaged").glob("*.seg"))
    if damaged:
        yield Finding(
            "spool",
            WRONG,
            f"{len(damaged)} damaged segment(s) in {damaged[0].parent}",
            "check the disk; have what came in at the times in SPOOL_DAMAGED events sent again",
        )


def ports(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """Those of the platform that runs, which may have been given others by options of `up`."""
    ours = _our_processes(layout)
    wanted = [("HTTP port", port_of(layout.run / "web.json") or settings.web.port, "--http-port")]
    if settings.receiver.enabled:
        port = port_of(layout.run / "receiver.json") or settings.receiver.port
        wanted.insert(0, ("DICOM port", port, "--dicom-port"))
    for name, port, option in wanted:
        if port == 0:
            yield Finding(name, OK, "any free one")
            continue
        holders = port_holders(port)
        if not holders:
            low = port < 1024 and os.geteuid() != 0 and _first_open_port() > port
            yield Finding(
                name,
                WRONG if low else OK,
                f"{port} is below 1024, which is for root" if low else f"{port} is free",
                f"sysctl net.ipv4.ip_unprivileged_port_start={port}, or {option} with a higher one"
                if low
                else "",
            )
        elif holders <= ours:
            yield Finding(name, OK, f"{port} is held by our own platform")
        else:
            others = ", ".join(process_name(pid) for pid in sorted(holders - ours))
            yield Finding(
                name, WRONG, f"{port} is held by {others}", f"stop it, or choose another: {option}"
            )


def database(settings: Settings, layout: Layout) -> Iterator[Finding]:
    if not settings.database_url:
        binaries = find_binaries()
        account = server_account()
        runs_as = "" if account.is_self else f", runs as {account.name}"
        yield Finding("PostgreSQL", OK, f"{binaries.version} in {binaries.folder}{runs_as}")
        version_file = layout.postgres / "data" / "PG_VERSION"
        if not (layout.postgres / "data").exists():
            yield Finding("database", OK, "will be made at the first start")
            return
        made_by = version_file.read_text().strip()
        if made_by != str(binaries.major):
            yield Finding(
                "database",
                WRONG,
                f"made by PostgreSQL {made_by}, here is {binaries.version}",
                "isocenter db start says how to move it",
            )
            return
        if (
            not read_state(layout.run / "postgres.json")
            or live_process(read_state(layout.run / "postgres.json")) is None
        ):
            yield Finding("database", NOTE, "does not run", "isocenter up starts it")
            return
    with psycopg.connect(database_url(settings), connect_timeout=5) as connection:
        row = connection.execute(
            "select current_setting('server_version'), "
            "current_setting('server_version_num')::int / 10000, extract(epoch from now()), "
            "to_regclass('procrastinate_jobs') is not null"
        ).fetchone()
        yield from _quarantine(connection)
    assert row is not None
    version, major, now, has_tables = row
    yield Finding(
        "database",
        OK if major >= OLDEST_SERVER else WRONG,
        f"PostgreSQL {version} answers",
        "" if major >= OLDEST_SERVER else f"PostgreSQL {OLDEST_SERVER} or later is needed",
    )
    if not has_tables:
        yield Finding("tables", NOTE, "not there yet", "isocenter db migrate")
    skew_s = abs(float(now) - time.time())
    yield Finding(
        "clock",
        OK if skew_s < SKEW_S else WRONG,
        f"{skew_s:.1f} s between here and the database",
        "" if skew_s < SKEW_S else "set the clock (NTP): leases and heartbeats go by it",
    )


def deid_keys(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """Keys of de-identification projects: there, ours alone, and not lying with the database."""
    for level, text, mend in look_at_keys(settings, something_sealed(settings)):
        yield Finding("project keys", level, text, mend)


def nodes(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """Who may call us, and what keeps them out."""
    for is_wrong, text, mend in look_at_nodes(settings):
        yield Finding("nodes", WRONG if is_wrong else NOTE, text, mend)


def _quarantine(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    table = connection.execute("select to_regclass('routing_quarantineitem')").fetchone()
    if table is None or table[0] is None:
        return
    row = connection.execute(
        "select count(*) from routing_quarantineitem where state = 'held'"
    ).fetchone()
    if row is not None and row[0]:
        text = f"{row[0]} held: somebody has to decide"
        yield Finding("quarantine", NOTE, text, "isocenter quarantine list")


def platform(settings: Settings, layout: Layout) -> Iterator[Finding]:
    state = read_state(layout.run / "runtime.json")
    if live_process(state) is None:
        yield Finding("platform", NOTE, "does not run on this data directory", "isocenter up")
        return
    yield Finding("platform", OK, f"process {state['pid']}, version {state.get('version')}")
    for name, part in state.get("parts", {}).items():
        well = part.get("state") == "running"
        yield Finding(
            name,
            OK if well else WRONG,
            f"{part.get('state')}, process {part.get('pid')}, {part.get('restarts')} restarts"
            + (f"; {part['reason']}" if part.get("reason") and not well else ""),
            "" if well else f"look into {layout.logs / 'application.jsonl'}",
        )


def certificates(settings: Settings, layout: Layout) -> Iterator[Finding]:
    """TLS of the receiver: the files are there, readable, and in force."""
    import datetime as dt

    from cryptography import x509

    tls = settings.receiver.tls
    if tls.certificate is None:
        return
    for key, path in (("certificate", tls.certificate), ("key", tls.key), ("ca", tls.ca)):
        if path is not None and not os.access(path, os.R_OK):
            yield Finding("TLS", WRONG, f"{path} cannot be read", f"correct receiver.tls.{key}")
            return
    try:
        certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    except ValueError as error:
        yield Finding("TLS", WRONG, f"{tls.certificate}: {error}", "a PEM certificate is needed")
        return
    days = (certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)).days
    level = WRONG if days < 0 else NOTE if days < 30 else OK
    yield Finding(
        "TLS", level, f"certificate ends in {days} days", "" if level == OK else "renew it"
    )


EXAMINATIONS: tuple[Callable[[Settings, Layout], Iterator[Finding]], ...] = (
    python,
    machine,
    codecs,
    data_directory,
    disk,
    spool,
    ports,
    certificates,
    database,
    deid_keys,
    nodes,
    platform,
)


def _our_processes(layout: Layout) -> set[int]:
    """Processes that this data directory's state files name, and their children."""
    found: set[int] = set()
    for name in ("runtime.json", "receiver.json", "web.json"):
        process = live_process(read_state(layout.run / name))
        if process is None:
            continue
        with contextlib.suppress(psutil.Error):
            found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
    return found


def _first_open_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
