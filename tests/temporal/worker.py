"""A worker by Temporal's SDK for Python, for the tests of the host as a client and as a worker.

Usage: worker.py ADDRESS TASK_QUEUE
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Order:
    """Waits for signals, and answers queries and updates meanwhile."""

    # Before any signal, also one that has come before the worker.
    @workflow.init
    def __init__(self, start: dict, note: str) -> None:
        self.items: list = [start["item"]]
        self.is_done = False

    @workflow.run
    async def run(self, start: dict, note: str) -> dict:
        await workflow.wait_condition(lambda: self.is_done)
        return {"items": self.items, "note": note}

    @workflow.signal
    def add(self, item, times: int) -> None:
        self.items += [item] * times

    @workflow.signal
    def done(self) -> None:
        self.is_done = True

    @workflow.query
    def items_after(self, index: int) -> list:
        return self.items[index:]

    @workflow.update
    async def rename(self, index: int, name: str) -> str:
        before, self.items[index] = self.items[index], name
        return before

    @rename.validator
    def check_rename(self, index: int, name: str) -> None:
        if index >= len(self.items):
            raise ValueError(f"there is no item {index}")


@workflow.defn
class Fail:
    @workflow.run
    async def run(self, message: str) -> None:
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            raise ApplicationError(message, {"at": 7}, type="TooLate", non_retryable=True) from cause


@workflow.defn
class Countdown:
    """Continues as new until there is nothing to count."""

    @workflow.run
    async def run(self, count: int) -> str:
        if count > 0:
            workflow.continue_as_new(count - 1)
        return "lift-off"


@workflow.defn
class UsesHost:
    """Asks a host for effects, as activities of its task queue."""

    @workflow.run
    async def run(self, queue: str) -> list:
        async def ask(effect: str, request: dict):
            return await workflow.execute_activity(
                effect, request, task_queue=queue, start_to_close_timeout=timedelta(seconds=20)
            )

        await ask("kv.set", {"key": "from-python", "value": {"cups": 2}})
        answer = await ask("kv.get", {"key": "from-python"})
        try:
            await ask("git.push", {"path": "."})
        except ActivityError as error:
            return [answer["value"], error.cause.type]
        return [answer["value"], None]


@workflow.defn
class Parent:
    """Has a workflow of a host as its child."""

    @workflow.run
    async def run(self, queue: str) -> dict:
        return await workflow.execute_child_workflow(
            "steps", {"count": 2, "kind": "read"}, id="child-of-python", task_queue=queue
        )


@activity.defn
async def shout(text: str) -> str:
    if not text:
        raise ApplicationError("there is nothing to shout", type="Silence", non_retryable=True)
    if text == "whisper":
        raise ApplicationError("it is whispered", type="Whisper")
    return text.upper()


async def main(address: str, task_queue: str) -> None:
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[Order, Fail, Countdown, UsesHost, Parent],
        activities=[shout],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    await worker.run()


asyncio.run(main(*sys.argv[1:]))
