"""TCP ports: who holds one, and whether we can have it."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.lifeline import is_alive
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import live_process, read_state


def insist_on_free_ports(settings: Settings) -> None:
    """Refuse to start where the DICOM or the HTTP port is taken.

    Raises:
        ConfigurationError: one is; names the holder and the option.
    """
    wanted = [("HTTP", settings.web.host, settings.web.port, "--http-port")]
    if settings.receiver.enabled:
        receiver = settings.receiver
        wanted += [("DICOM", host, receiver.port, "--dicom-port") for host in receiver.hosts]
    for name, host, port, option in wanted:
        reason = _refusal(host, port) if port else ""
        if not reason:
            continue
        holders = ", ".join(process_name(pid) for pid in sorted(port_holders(port)))
        raise ConfigurationError(
            f"the {name} port {port} on {host} cannot be had: {reason}"
            + (f"; {holders} listens there" if holders else ""),
            hint=f"stop it, or choose another port with {option} (0 takes a free one)",
        )


def _refusal(host: str, port: int) -> str:
    """Why we cannot listen there; empty when we can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def port_holders(port: int) -> set[int]:
    """Processes that listen on a TCP port; 0 stands for one that we may not see."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return {0} if _answers(port) else set()
    return {
        connection.pid or 0
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    }


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_name(pid: int) -> str:
    if pid == 0:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (process {pid})" if is_alive(process) else f"process {pid}"
    except psutil.Error:
        return f"process {pid}"


def port_of(state_file: Path) -> int:
    """The port that a part of the platform says it listens on; 0 where it does not run."""
    state = read_state(state_file)
    if live_process(state) is None:
        return 0
    addresses = state.get("addresses") or [state]
    return int(addresses[0].get("port") or 0)
