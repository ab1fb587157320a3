"""A worker by Temporal's Python SDK, with the workflows `steps` and `sleeper` of the plugin `workflows`.

Usage: worker.py ADDRESS TASK_QUEUE SETTINGS (JSON, as in workers.py)
"""

import asyncio
import json
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

ATTEMPT = timedelta(days=1)


@activity.defn(name="kv.get")
async def read(_: dict) -> dict:
    return {"found": False, "value": None}


@workflow.defn(name="steps")
class Steps:
    @workflow.run
    async def run(self, steps: dict) -> dict:
        request = {"key": f"steps/{workflow.info().workflow_id}"}
        for _ in range(steps["count"]):
            if steps["kind"] == "local":
                await workflow.execute_local_activity(read, request, start_to_close_timeout=ATTEMPT)
            else:
                await workflow.execute_activity(read, request, start_to_close_timeout=ATTEMPT)
        return {"count": steps["count"]}


@workflow.defn(name="sleeper")
class Sleeper:
    @workflow.run
    async def run(self, time: dict) -> dict:
        await asyncio.sleep(time["millis"] / 1000)
        return time


async def main(address: str, task_queue: str, settings: dict) -> None:
    await Worker(
        await Client.connect(address),
        task_queue=task_queue,
        workflows=[Steps, Sleeper],
        activities=[read],
        # As fast as it can be: by default each run is in a sandbox of its own.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=settings["workflow_tasks"],
        max_concurrent_activities=settings["activities"],
        max_concurrent_workflow_task_polls=settings["workflow_pollers"],
        max_concurrent_activity_task_polls=settings["activity_pollers"],
        max_cached_workflows=settings["cached_runs"],
    ).run()


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
