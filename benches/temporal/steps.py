"""Steps a second of Temporal's dev server with its Python SDK: workflows whose every step is an activity.

Usage: steps.py TEMPORAL (the server's program). The server keeps its state in memory; it and the worker end with this.
"""

import asyncio
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "steps"


@activity.defn
async def read(step: int) -> int:
    return step


@workflow.defn
class Steps:
    @workflow.run
    async def run(self, count: int, are_local: bool) -> int:
        execute = workflow.execute_local_activity if are_local else workflow.execute_activity
        for step in range(count):
            await execute(read, step, start_to_close_timeout=timedelta(seconds=60))
        return count


async def rate(client: Client, are_local: bool, runs: int, steps: int) -> float:
    begin = time.monotonic()
    ended = [
        client.execute_workflow(
            Steps.run, args=[steps, are_local], id=f"{are_local}-{runs}-{nth}", task_queue=QUEUE
        )
        for nth in range(runs)
    ]
    for count in await asyncio.gather(*ended):
        assert count == steps
    return runs * steps / (time.monotonic() - begin)


async def main(program: str) -> None:
    environment = await WorkflowEnvironment.start_local(dev_server_existing_path=program)
    async with environment:
        client = environment.client
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[Steps],
            activities=[read],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=200,
            max_concurrent_workflow_tasks=100,
        )
        async with worker:
            print("\n| Temporal's dev server in memory, its Python SDK | steps a second |\n|---|--:|")
            for are_local, name in [(False, "activities"), (True, "local activities")]:
                for runs, steps in [(100, 20), (1, 100)]:
                    of = "one run" if runs == 1 else f"{runs} runs"
                    print(f"| {of}, {name} | {await rate(client, are_local, runs, steps):.0f} |", flush=True)


asyncio.run(main(sys.argv[1]))
