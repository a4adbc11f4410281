"""Test that computations run one after the other in one thread, and end when nobody waits for them."""

import asyncio
import threading

import pytest

from paddle_ft.demo.worker import Worker

LONG = 30  # seconds after which a test that hangs fails


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


async def collect(worker, compute):
    return [answer async for answer in worker.stream(compute)]


def test_everything_shown_arrives_in_order(worker):
    assert asyncio.run(collect(worker, lambda job: [job.show(i) for i in range(5)])) == [0, 1, 2, 3, 4]


def test_an_exception_reaches_the_caller_and_the_worker_lives_on(worker):
    def fail(job):
        job.show(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(collect(worker, fail))
    assert asyncio.run(collect(worker, lambda job: job.show("fine"))) == ["fine"]


def test_two_computations_do_not_run_at_once(worker):
    threads, running, most = set(), [], []

    def compute(job):
        threads.add(threading.get_ident())
        running.append(1)
        most.append(len(running))
        for i in range(50):
            job.show(i)
        running.pop()

    async def both():
        await asyncio.gather(collect(worker, compute), collect(worker, compute))

    asyncio.run(both())
    assert len(threads) == 1 and most == [1, 1] and worker.call(threading.get_ident) in threads


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_a_computation_ends_when_nobody_waits_for_it(worker, how):
    started, ended, steps = threading.Event(), threading.Event(), []

    def compute(job):
        job.show("first")
        started.set()
        try:
            while True:  # it would never end by itself
                job.check()
                steps.append(1)
        finally:
            ended.set()

    async def leave():
        if how == "closed":
            stream = worker.stream(compute)
            assert await anext(stream) == "first"
            await stream.aclose()
        else:
            task = asyncio.create_task(collect(worker, compute))
            await asyncio.to_thread(started.wait, LONG)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(ended.wait, LONG)

    asyncio.run(leave())
    assert asyncio.run(collect(worker, lambda job: job.show("next"))) == ["next"]


def test_a_computation_that_was_given_up_while_waiting_never_starts(worker):
    release, computed = threading.Event(), []

    async def leave():
        first = asyncio.create_task(collect(worker, lambda job: release.wait(LONG)))
        second = asyncio.create_task(collect(worker, lambda job: computed.append(1)))
        await asyncio.sleep(0)  # both are submitted
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        release.set()
        await first

    asyncio.run(leave())
    worker.call(lambda: None)  # after everything that was submitted before
    assert not computed
