"""A TCP (or TLS) connection with time limits and no delayed acknowledgements."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence

from isocenter.core.errors import AssociationAborted, NetworkTimeout

Buffer = bytes | bytearray | memoryview
_MAX_IOVECS = 1000  # IOV_MAX is 1024
#: A peer that takes less than this in the long run is given up, however often it takes a little.
SLOWEST_BYTES_PER_S = 1000


class Connection:
    """Bytes in and out of a socket.

    Plain sockets keep the kernel's own time limits (SO_RCVTIMEO), which saves Python's poll()
    before every call; TLS sockets use Python's.

    Attributes:
        is_silent: nothing has come from the peer yet.
    """

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._timeout_s = timeout_s
        self.is_silent = True
        with contextlib.suppress(OSError):  # the peer may have gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.set_timeout(timeout_s)

    @property
    def is_encrypted(self) -> bool:
        """True for TLS."""
        return self._is_tls

    @property
    def has_certificate(self) -> bool:
        """True when the peer showed a certificate and one of our CAs signed it."""
        sock = self._socket
        # Where none was asked for, or none was verified, there is no content.
        return isinstance(sock, ssl.SSLSocket) and bool(sock.getpeercert())

    def set_timeout(self, timeout_s: float) -> None:
        """Longest silence of the peer, for reading and writing."""
        self._timeout_s = timeout_s
        if self._is_tls:
            self._socket.settimeout(timeout_s)
            return
        self._socket.settimeout(None)
        fraction, seconds = math.modf(max(timeout_s, 0.001))
        value = struct.pack("ll", int(seconds), int(fraction * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def receive_into(self, view: memoryview) -> int:
        """Read what is there, at least one byte.

        Raises:
            NetworkTimeout: silence.
            AssociationAborted: the connection is closed.
        """
        try:
            count = self._socket.recv_into(view)
        except (BlockingIOError, TimeoutError):
            raise NetworkTimeout(f"no bytes for {self._timeout_s:g} s") from None
        except OSError as error:
            raise AssociationAborted(f"the connection is gone: {error}") from None
        if count == 0:
            raise AssociationAborted("the connection was closed")
        self.is_silent = False
        return count

    def is_readable(self) -> bool:
        """True when bytes, or the end of the connection, are there to be read now."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poller = select.poll()  # not select(), which ends at descriptor 1023
        try:
            poller.register(self._socket, select.POLLIN)
            return bool(poller.poll(0))
        except (OSError, ValueError):
            return True  # closed: reading says so

    def quick_ack(self) -> None:
        """Acknowledge at once from now on; the kernel forgets it, so it is said again and again.

        Peers that leave Nagle's algorithm on wait 40 ms for a delayed acknowledgement otherwise.
        """
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def send(self, *buffers: Buffer) -> None:
        """Write all bytes.

        Raises:
            NetworkTimeout: the peer does not take them.
            AssociationAborted: the connection is closed.
        """
        try:
            if self._is_tls:  # few big TLS records, not many small
                self._send_rest([b"".join(buffers)], 0)
            else:
                self._send_gathered(buffers)
        except (BlockingIOError, TimeoutError):
            raise NetworkTimeout(f"no bytes taken for {self._timeout_s:g} s") from None
        except OSError as error:
            raise AssociationAborted(f"the connection is gone: {error}") from None

    def shut_reading(self) -> None:
        """Wake a thread that waits for bytes; it sees the connection closed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def linger(self, seconds: float) -> None:
        """Say that we are done, then read until the peer has closed too.

        Closing with unread bytes would reset the connection, and the peer would lose the last
        PDU that we sent (PS3.8, state 13).
        """
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError, ValueError):
            self._socket.shutdown(socket.SHUT_WR)
            scratch = bytearray(65536)
            while (left := deadline - time.monotonic()) > 0:
                ready, _, _ = select.select([self._socket], [], [], left)
                if not ready or self._socket.recv_into(scratch) == 0:
                    return

    def _send_gathered(self, buffers: Sequence[Buffer]) -> None:
        for first in range(0, len(buffers), _MAX_IOVECS):
            group = buffers[first : first + _MAX_IOVECS]
            sent = self._socket.sendmsg(group)
            if sent < sum(map(len, group)):
                self._send_rest(group, sent)

    def _send_rest(self, buffers: Sequence[Buffer], sent: int) -> None:
        patience_s = self._timeout_s + sum(map(len, buffers)) / SLOWEST_BYTES_PER_S
        deadline = time.monotonic() + patience_s
        for buffer in buffers:
            if sent >= len(buffer):
                sent -= len(buffer)
                continue
            view = memoryview(buffer)[sent:]
            sent = 0
            while view:
                view = view[self._socket.send(view) :]
                if view and time.monotonic() > deadline:
                    raise NetworkTimeout(f"the peer took bytes too slowly for {patience_s:.0f} s")
