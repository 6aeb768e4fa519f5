"""How many packs at once."""

import asyncio

import pytest

from relive.hub.git.slots import PackSlots


def test_so_many_hold_a_slot_at_once_and_the_others_come_after_them():
    async def scenario() -> int:
        slots, at_once, most = PackSlots(2), 0, 0

        async def work() -> None:
            nonlocal at_once, most
            async with slots.hold():
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                at_once -= 1

        await asyncio.gather(*(work() for _ in range(20)))
        return most

    assert asyncio.run(scenario()) == 2


def test_a_slot_that_is_freed_early_is_free_once():
    async def scenario() -> None:
        slots = PackSlots(1, patience_s=0.01)
        async with slots.hold() as first:
            slots.free(first)
            slots.free(first)
            async with slots.hold():
                with pytest.raises(TimeoutError):
                    await slots.hold().__aenter__()
        async with slots.hold():
            pass

    asyncio.run(scenario())


def test_an_unknown_slot_frees_nothing():
    async def scenario() -> None:
        slots = PackSlots(1, patience_s=0.01)
        async with slots.hold():
            slots.free("nobody's")
            with pytest.raises(TimeoutError):
                await slots.hold().__aenter__()

    asyncio.run(scenario())


def test_a_block_that_fails_gives_its_slot_back():
    async def scenario() -> None:
        slots = PackSlots(1, patience_s=0.01)
        with pytest.raises(RuntimeError):
            async with slots.hold():
                raise RuntimeError
        async with slots.hold():
            pass

    asyncio.run(scenario())
