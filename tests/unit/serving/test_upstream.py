"""Connections from the router to a model's process, against real sockets that hang up at the worst moment."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from relive.core.endpoint import Address
from relive.serving.upstream import Closed, Connection, Pool, Refused

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"


@pytest.fixture
def listener(tmp_path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "m"))
        bound.listen()
        bound.settimeout(10)
        yield bound


def address_of(listener: socket.socket) -> Address:
    return Address(path=listener.getsockname())


async def accepted(pool: Pool, listener: socket.socket) -> tuple[Connection, socket.socket]:
    connection = await pool.connect(address_of(listener))
    return connection, listener.accept()[0]


async def body_of(connection: Connection) -> bytes:
    return b"".join([piece async for piece, _ in connection.body(5)])


def test_an_answer_is_read_though_the_process_hung_up_on_the_request(listener):
    async def refused_early() -> tuple[int, bytes]:
        connection, process = await accepted(Pool(), listener)
        process.sendall(REFUSAL)
        process.close()
        with pytest.raises(Closed, match="while the request was sent"):
            await connection.write(b"x" * (1 << 20))
        status, _ = await connection.head(5)
        body = await body_of(connection)
        assert not connection.reusable
        connection.close()
        return status, body

    assert asyncio.run(refused_early()) == (413, b"x")


async def exchanged(pool: Pool, listener: socket.socket) -> tuple[Connection, socket.socket]:
    pool.keep_only({address_of(listener)})
    connection, process = await accepted(pool, listener)
    await connection.write(b"GET / HTTP/1.1\r\n\r\n")
    process.sendall(OK)
    assert (await connection.head(5))[0] == 200
    assert await body_of(connection) == b"ok"
    pool.release(address_of(listener), connection)
    return connection, process


def test_a_connection_is_used_again(listener):
    async def twice() -> None:
        pool = Pool()
        connection, process = await exchanged(pool, listener)
        assert await pool.connect(address_of(listener)) is connection
        assert connection.reused
        process.sendall(OK)
        assert await connection.head(5) == (200, [(b"content-length", b"2")])
        connection.close()
        process.close()

    asyncio.run(twice())


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["hung up", "spoke unasked"]
)
def test_a_connection_whose_process_is_done_with_it_is_replaced(listener, said):
    async def replaced() -> None:
        pool = Pool()
        connection, process = await exchanged(pool, listener)
        process.sendall(said)
        process.close()
        another, fresh_process = await accepted(pool, listener)
        assert another is not connection
        assert not another.reused
        another.close()
        fresh_process.close()

    asyncio.run(replaced())


def test_sweeping_closes_those_whose_process_has_gone(listener):
    async def swept() -> None:
        pool = Pool()
        connection, process = await exchanged(pool, listener)
        pool.sweep()
        assert connection.usable
        process.close()
        pool.sweep()
        assert not connection.usable
        assert not connection.reusable

    asyncio.run(swept())


def test_a_host_with_several_addresses_is_tried_to_the_one_that_answers():
    # "localhost" is ::1 before 127.0.0.1 on many machines, and this one listens on the second alone.
    async def connected(port: int) -> None:
        (await Pool().connect(Address(host="localhost", port=port))).close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        asyncio.run(connected(server.getsockname()[1]))


def test_nobody_there_is_refused_with_the_address(tmp_path):
    with pytest.raises(Refused, match=f"unix:{tmp_path}/absent does not accept connections"):
        asyncio.run(Pool().connect(Address(path=f"{tmp_path}/absent")))
