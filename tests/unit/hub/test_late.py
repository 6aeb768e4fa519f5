"""What is made late is made once, whoever asks and whoever stops waiting."""

import asyncio
import threading

import pytest

from relive.hub.late import Late


def test_all_who_ask_get_the_one_that_is_made_in_a_thread() -> None:
    made: list[threading.Thread] = []

    def make() -> int:
        made.append(threading.current_thread())
        return 7

    async def ask() -> list[int]:
        late = Late(make)
        found = await asyncio.gather(*(late.get() for _ in range(50)))
        return [*found, await late.get()]

    assert asyncio.run(ask()) == [7] * 51
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


def test_one_who_stops_waiting_does_not_end_it_for_the_others() -> None:
    go_on = threading.Event()

    async def ask() -> str:
        late = Late(lambda: "made" if go_on.wait(timeout=30) else "")
        first, second = (asyncio.create_task(late.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        return await second

    assert asyncio.run(ask()) == "made"


def test_everybody_is_told_why_it_could_not_be_made() -> None:
    async def ask() -> None:
        late: Late[int] = Late(lambda: 1 // 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await late.get()

    asyncio.run(ask())
