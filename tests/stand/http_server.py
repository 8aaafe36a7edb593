"""An ASGI application behind our HTTP protocol, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from isocenter.runtime.web.protocol import BoundedHttp


@contextmanager
def served(application: Any) -> Iterator[int]:
    """The port while it is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=BoundedHttp, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    listener.close()
