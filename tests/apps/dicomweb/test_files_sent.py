"""Bytes on their way out: in order, a piece ahead, and ended in order when the reader leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import RequestFactory

from isocenter.apps.dicomweb.files_sent import (
    PIECE_BYTES,
    FileSlice,
    Made,
    TransferBroken,
    cut,
    pieces_of,
    streamed,
    whole_file,
)
from isocenter.runtime.web import streaming
from isocenter.runtime.web.streaming import Work


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.dcm"
    path.write_bytes(bytes(range(256)) * 8192)  # 2 MB
    return path


def asgi_request() -> ASGIRequest:
    request = RequestFactory().get("/dicom-web/studies")
    request.__class__ = ASGIRequest
    request.scope = {}
    return request  # type: ignore[return-value]


def test_little_contents_are_put_together_and_large_ones_cut(file):
    contents = [b"head", whole_file(file, 2 << 20), b"tail"]
    pieces = list(pieces_of(contents))
    assert b"".join(pieces) == b"head" + file.read_bytes() + b"tail"
    assert max(map(len, pieces)) <= 2 * PIECE_BYTES


@pytest.mark.parametrize(("first", "length"), [(0, 4), (2, 6), (4, 8), (7, 100), (0, 2000)])
def test_a_range_of_several_contents_is_cut_exactly(file, first, length):
    contents = [b"head", FileSlice(file, 10, 1000), b"tail"]
    whole = b"".join(pieces_of(contents))
    assert b"".join(pieces_of(cut(contents, first, length))) == whole[first : first + length]


def test_a_slice_behind_the_end_breaks_the_transfer(file):
    with pytest.raises(TransferBroken):
        list(pieces_of([FileSlice(file, 2 << 20, 1)]))


def test_a_reader_who_leaves_while_a_piece_is_made_ends_it_in_order():
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            yield b"one"
            begun.set()
            go_on.wait(20)
            yield b"two"
        finally:
            ended.set()

    async def read_and_leave() -> None:
        response = streamed(asgi_request(), pieces(), content_type="text/plain")

        async def read() -> None:
            async for _ in response:
                await asyncio.to_thread(begun.wait, 20)

        reading = asyncio.create_task(read())
        await asyncio.to_thread(begun.wait, 20)
        await asyncio.sleep(0.05)  # the reader waits for the second piece
        reading.cancel()
        await asyncio.sleep(0.05)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(read_and_leave())
    assert ended.is_set()


def test_an_error_in_the_middle_ends_the_stream_with_it(file):
    async def read() -> bytes:
        contents = [whole_file(file, 2 << 20), whole_file(file, 5)]
        response = streamed(asgi_request(), pieces_of(contents), content_type="text/plain")
        return b"".join([piece async for piece in response])

    with pytest.raises(TransferBroken):
        asyncio.run(read())


def test_a_reader_who_takes_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(streaming, "STALL_S", 0.1)
    ended = threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"piece"
        finally:
            ended.set()

    async def stall() -> None:
        response = streamed(asgi_request(), pieces(), content_type="text/plain")
        async for _ in response:
            await asyncio.sleep(20)

    async def until_given_up() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(stall())

    asyncio.run(until_given_up())
    assert ended.wait(5)


def lasting(pieces: list[bytes], work: Work, seconds: list[float]) -> list[int]:
    """Lengths of what is taken by a reader who needs so long for each in turn."""
    taken = []

    async def read() -> None:
        waits = iter(seconds)
        async for piece in streaming.ahead(iter(pieces), work=work):
            taken.append(len(piece))
            await asyncio.sleep(next(waits, 0))

    async def to_the_end() -> None:
        await asyncio.create_task(read())

    asyncio.run(to_the_end())
    return taken


def test_who_takes_what_is_transcoded_has_less_patience_than_who_takes_files(monkeypatch):
    monkeypatch.setattr(streaming, "PLACE_STALL_S", 0.1)
    lasting([b"piece"], Work.READING, [0.3, 0.3])
    with pytest.raises(asyncio.CancelledError):
        lasting([b"piece"], Work.TRANSCODING, [0.3])


def test_a_piece_of_what_is_transcoded_is_taken_bit_by_bit_and_each_has_its_time(monkeypatch):
    monkeypatch.setattr(streaming, "PLACE_STALL_S", 0.5)
    piece = bytes(10 << 10)
    assert lasting([piece], Work.TRANSCODING, [0.3] * 4) == [4096, 4096, 2048, 0]
    assert lasting([piece], Work.READING, []) == [10 << 10, 0]


def test_the_end_of_an_answer_is_waited_for_no_longer_than_the_rest(monkeypatch):
    monkeypatch.setattr(streaming, "STALL_S", 0.1)
    with pytest.raises(asyncio.CancelledError):
        lasting([b"piece"], Work.READING, [0, 0.3])


def counted(first: int, length: int) -> Iterator[bytes]:
    """Made bytes: each says where it stands."""
    for begin in range(first, first + length, 100):
        yield bytes(n % 251 for n in range(begin, min(begin + 100, first + length)))


@pytest.mark.parametrize(("first", "length"), [(0, 1008), (3, 5), (4, 1000), (200, 350)])
def test_a_range_of_what_is_made_is_made_alone(first, length):
    contents = [b"head", Made(counted, 1000), b"tail"]
    whole = b"head" + bytes(n % 251 for n in range(1000)) + b"tail"
    assert b"".join(pieces_of(cut(contents, first, length))) == whole[first : first + length]


def test_what_is_made_goes_out_piece_by_piece_also_where_files_go_straight():
    async def straight(contents):
        raise AssertionError("it has yet to be made")

    async def read(length: int) -> bytes:
        request = asgi_request()
        request.scope = {"extensions": {"isocenter.straight": straight}}
        contents = [b"head", Made(counted, length)]
        response = streamed(request, contents, content_type="text/plain", length=PIECE_BYTES + 4)
        return b"".join([piece async for piece in response])

    assert len(asyncio.run(read(PIECE_BYTES))) == PIECE_BYTES + 4


def test_what_is_made_otherwise_than_announced_breaks_the_transfer():
    def short(first: int, length: int) -> Iterator[bytes]:
        yield bytes(length - 1)

    with pytest.raises(TransferBroken):
        list(pieces_of([Made(short, 10)]))
