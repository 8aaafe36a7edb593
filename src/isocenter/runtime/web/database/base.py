"""Connections of the web process.

Django's pool asks the server with each connection that it hands out whether it is still there: a
round trip for every request. A server that has gone has closed the socket, which the kernel knows.
"""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Error
from psycopg_pool import ConnectionPool

#: Beyond this the server is asked anew for a connection, and says what is wrong.
_MOST_BROKEN = 64


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes connections from the pool that are not closed."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection that works as far as one can see from here.

        Raises:
            OperationalError: the pool has none in time.
        """
        for _ in range(_MOST_BROKEN):
            connection = super().get_new_connection(conn_params)
            if _is_sound(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)  # which makes another in its place
        return super().get_new_connection(conn_params)


def _is_sound(connection: Any) -> bool:
    """Whether nothing waits to be read: between two requests the server only says that it goes.

    Where it does say something, it is asked.
    """
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return True
        ConnectionPool.check_connection(connection)
    except (Error, OSError):
        return False
    return True
