import asyncio

import pytest

from dataset_build import Patience


def run(coroutine):
    return asyncio.run(coroutine)


def test_what_comes_in_time_is_returned_and_what_does_not_is_a_timeout():
    async def main():
        patience, clock = Patience(), asyncio.get_running_loop().time
        assert await patience.wait(asyncio.sleep(0, "soon"), clock() + 5.0) == "soon"
        assert await patience.wait(asyncio.sleep(0.01, "later"), clock() + 5.0) == "later"
        with pytest.raises(TimeoutError):
            await patience.wait(asyncio.sleep(60), clock() + 0.02)
        assert await patience.wait(asyncio.sleep(0.01, "again"), clock() + 5.0) == "again"
        patience.close()
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_later_moment_holds_for_the_next_wait_and_an_earlier_one_too():
    async def main():
        patience, clock = Patience(), asyncio.get_running_loop().time
        await patience.wait(asyncio.sleep(0), clock() + 0.02)
        assert await patience.wait(asyncio.sleep(0.06, "kept"), clock() + 5.0) == "kept"  # the timer was of before
        with pytest.raises(TimeoutError):
            await patience.wait(asyncio.sleep(60), clock() + 0.02)
        patience.close()

    run(main())


def test_a_timer_between_two_waits_ends_nothing():
    async def main():
        patience, clock = Patience(), asyncio.get_running_loop().time
        await patience.wait(asyncio.sleep(0), clock() + 0.01)
        await asyncio.sleep(0.03)
        assert await patience.wait(asyncio.sleep(0.01, "fine"), clock() + 5.0) == "fine"
        patience.close()

    run(main())


def test_a_cancelled_caller_is_cancelled_and_told_of_no_timeout():
    async def main():
        async def wait():
            await Patience().wait(asyncio.sleep(60), asyncio.get_running_loop().time() + 50.0)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_the_outer_of_two_that_end_at_once_is_not_lost():
    async def main():
        inner, outer, until = Patience(), Patience(), asyncio.get_running_loop().time() + 0.02

        async def within():
            with pytest.raises(TimeoutError):
                await inner.wait(asyncio.sleep(60), until)
            await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await outer.wait(within(), until + 0.02)
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_errors_of_what_is_waited_for_come_through():
    async def main():
        async def nothing():
            return
            yield

        with pytest.raises(StopAsyncIteration):
            await Patience().wait(anext(nothing()), asyncio.get_running_loop().time() + 5.0)

    run(main())
