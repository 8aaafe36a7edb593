"""``isocenter web``: uvicorn on our ASGI application."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket

import uvicorn

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import process_identity, write_state
from isocenter.runtime.web.memory import keep_little_memory
from isocenter.runtime.web.protocol import BoundedHttp

BACKLOG = 256
POOL_SIZE = 12
POOL_WAIT_S = 10
GRACE_S = 3
COLLECT_EVERY = (20_000, 20, 20)  # objects more than before; collections of each generation
NICE = 5  # a page may come a little later, what a sender sends must not


def run_web(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. ``run/web.json`` says where. Django is set up already.

    Raises:
        ConfigurationError: the port is taken, or the host is none of this machine.
    """
    os.nice(NICE)
    keep_little_memory()
    use_connection_pool()
    from isocenter.runtime.web.asgi import application
    from isocenter.runtime.web.bodies import clear_leftovers

    layout = Layout(settings.data_dir)
    clear_leftovers()
    spare_the_collector()
    listener = listen(settings.web.host, settings.web.port)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.web.trusted_proxies),
        lifespan="off",
        http=BoundedHttp,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(is_news)
    # uvicorn raises the signal once more when it is done; this makes that a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    state_file = layout.run / "web.json"
    host, port = listener.getsockname()[:2]
    write_state(state_file, {"host": host, "port": port, **process_identity(os.getpid())})
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def spare_the_collector() -> None:
    """Leave out of garbage collection what is here for good, and look less often at the rest.

    A page makes thousands of objects that go by their own count; looking through all modules for
    cycles meanwhile is a tenth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_EVERY)


def use_connection_pool() -> None:
    """Take connections of the database from a pool.

    There are as many threads as there are requests at once: connections that they kept would be
    more than the server has. `runtime.web.database` looks whether they are sound.
    """
    from django.db import connections

    database = connections.settings["default"]
    database["ENGINE"] = "isocenter.runtime.web.database"
    database["CONN_MAX_AGE"] = 0
    database["CONN_HEALTH_CHECKS"] = False
    database["OPTIONS"] = {
        **database.get("OPTIONS", {}),
        "prepare_threshold": 5,  # for `apps.archive.prepared`; Django's own queries know none
        "pool": {"min_size": 1, "max_size": POOL_SIZE, "timeout": POOL_WAIT_S, "max_idle": 120},
    }


def listen(host: str, port: int) -> socket.socket:
    """A listening socket."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"web.host {host!r} is no address here: {error}") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"HTTP cannot listen on {host} port {port}: {error.strerror}",
            hint="choose another with --http-port, or 0 for a free one",
        ) from None
    listener.listen(BACKLOG)
    return listener


def is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the server says something that is not in the log yet.

    An answer that cannot go on is ended by raising: the connection has to break. Why is in the
    log, in a line of its own; the server's traceback tells nobody more.
    """
    from isocenter.runtime.web.streaming import TransferBroken

    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, TransferBroken)
