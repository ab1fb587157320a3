"""The host as a worker of Temporal's dev server, beside workers by Temporal's SDKs, in turns.

Usage: workers.py EXOMONAD TEMPORAL TYPESCRIPT [throughput] [latency] [memory] [--rounds N]

EXOMONAD and TEMPORAL are the programs of the host and of the server, TYPESCRIPT is the folder of the TypeScript
worker. The server keeps its state in memory; it ends with this, as the workers do. One client, this process, starts
all runs and awaits them.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "plugins/dist/workflows.wasm"
# The host's defaults; the workers by the SDKs are given the same.
SETTINGS = {
    "workflow_tasks": 100,
    "activities": 100,
    "workflow_pollers": 5,
    "activity_pollers": 5,
    "cached_runs": 1000,
}
# By default the server looks for new tasks 20 times a second, so that a run has 20 steps a second with any worker.
SERVER_OPTIONS = ["--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"]
CORES = os.cpu_count() or 1
TICKS = os.sysconf("SC_CLK_TCK")
DAY_MILLIS = 24 * 60 * 60 * 1000
# Seconds for what a process does after its work, such as the host, which keeps a waiting run's sandbox for a moment.
SETTLE = 3


@dataclass
class Load:
    """Runs that begin at once, each of so many steps."""

    runs: int
    steps: int


WARM = Load(20, 10)
LOADS = {"throughput": Load(100, 20), "latency": Load(1, 100)}


@dataclass
class Worker:
    name: str
    command: list[str]
    # It is named after the worker's task queue.
    folder: Path
    kind: str = "read"

    def start(self) -> subprocess.Popen:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)


@dataclass
class Measured:
    """A load that a worker has performed: things done, and seconds by the clock and of processors."""

    seconds: float
    steps: int
    workflow_tasks: int
    worker: float
    server: float
    client: float
    idle: float

    def share(self) -> float:
        """The part of the machine that worker, server and client have used."""
        return (self.worker + self.server + self.client) / self.seconds / CORES

    def others(self) -> float:
        """The part of the machine that others have used: nothing on an idle machine."""
        return 1 - self.idle / self.seconds / CORES - self.share()

    def steps_rate(self) -> float:
        return self.steps / self.seconds

    def tasks_rate(self) -> float:
        return self.workflow_tasks / self.seconds

    def most(self) -> float:
        """Steps a second if server and client had the machine to themselves."""
        return self.steps * CORES / (self.server + self.client)


def cpu_seconds(pid: int) -> float:
    # The fields after the name, which may have spaces; the times of all threads are in them.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle_seconds() -> float:
    """Seconds for which processors had nothing to do, or waited for a disk."""
    fields = Path("/proc/stat").read_text().split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def resident(pid: int) -> tuple[float, float]:
    """The resident memory and the part of it that no other process shares, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_workers(exomonad: Path, typescript: Path, address: str, folder: Path) -> list[Worker]:
    bundle = folder / "bundle.js"
    subprocess.run(["node", typescript / "bundle.mjs", bundle], check=True)

    def by_sdk(name: str, command: list[str], task_queue: str, *more: str, kind: str = "read") -> Worker:
        command = [*command, address, task_queue, json.dumps(SETTINGS), *more]
        return Worker(name, command, folder / task_queue, kind)

    python = [sys.executable, str(HERE / "worker.py")]
    node = ["node", str(typescript / "worker.mjs")]
    host = [str(exomonad), "serve", "--listen", "127.0.0.1:0"]
    workers = [
        Worker("exomonad", host, folder / "exomonad"),
        by_sdk("Python SDK", python, "python"),
        by_sdk("TypeScript SDK", node, "typescript", str(bundle)),
        by_sdk("Python SDK, local activities", python, "local", kind="local"),
    ]
    for worker in workers:
        worker.folder.mkdir()
    plugins = folder / "exomonad/.exomonad/plugins"
    plugins.mkdir(parents=True)
    shutil.copy(PLUGIN, plugins / "exomonad.wasm")
    config = [f'[temporal]\naddress = "{address}"\n\n[temporal.worker]']
    config += [f"{name} = {value}" for name, value in SETTINGS.items()]
    config += ['\n[role.exomonad]\neffects = ["kv.get", "workflow.sleep"]\nworkflow_backend = "temporal"\n']
    (folder / "exomonad/exomonad.toml").write_text("\n".join(config))
    return workers


class Bench:
    def __init__(self, client: Client, server_pid: int):
        self.client = client
        self.server_pid = server_pid
        self.numbers = itertools.count()

    async def begin(self, worker: Worker, workflow: str, argument: dict) -> WorkflowHandle:
        return await self.client.start_workflow(
            workflow, argument, id=f"run-{next(self.numbers)}", task_queue=worker.folder.name
        )

    async def perform(self, worker: Worker, load: Load) -> list[WorkflowHandle]:
        async def perform_one() -> WorkflowHandle:
            handle = await self.begin(worker, "steps", {"count": load.steps, "kind": worker.kind})
            assert await handle.result() == {"count": load.steps}
            return handle

        return await asyncio.gather(*(perform_one() for _ in range(load.runs)))

    async def start(self, worker: Worker) -> subprocess.Popen:
        """Starts the worker, and waits until it has performed its first runs."""
        process = worker.start()
        runs = asyncio.create_task(self.perform(worker, WARM))
        try:
            while not (await asyncio.wait([runs], timeout=1))[0]:
                if process.poll() is not None:
                    raise SystemExit(f"{worker.name} has ended:\n{(worker.folder / 'log').read_text()}")
            await runs
        except BaseException:
            end([process])
            raise
        return process

    async def measure(self, worker: Worker, pid: int, load: Load) -> Measured:
        def clocks() -> list[float]:
            cpu = [cpu_seconds(process) for process in (pid, self.server_pid, os.getpid())]
            return [time.monotonic(), *cpu, idle_seconds()]

        before = clocks()
        handles = await self.perform(worker, load)
        seconds, *processors = (after - before for after, before in zip(clocks(), before))
        events: Counter = Counter()
        for handle in handles:
            async for event in handle.fetch_history_events():
                events[event.event_type] += 1
        steps = load.runs * load.steps
        if worker.kind == "read":
            assert events[EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED] == steps
        tasks = events[EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
        return Measured(seconds, steps, tasks, *processors)

    async def steps(self, workers: list[Worker], load: Load, rounds: int) -> None:
        processes: list[subprocess.Popen] = []
        measured: dict[str, list[Measured]] = {worker.name: [] for worker in workers}
        try:
            for worker in workers:
                processes.append(await self.start(worker))
            for _ in range(rounds):
                for worker, process in zip(workers, processes):
                    measured[worker.name].append(await self.measure(worker, process.pid, load))
        finally:
            end(processes)
        print_rates(load, measured)
        print_cpu(measured)

    async def memory(self, workers: list[Worker], runs: int) -> None:
        print(
            "\n| worker | resident before, MiB | of its own | with waiting runs, MiB | of its own | KiB a run |"
            "\n|---|--:|--:|--:|--:|--:|"
        )
        for worker in workers:
            # A host that compiles its plugin has memory left of that, in which the runs would be.
            end([await self.start(worker)])
            process = await self.start(worker)
            try:
                await asyncio.sleep(SETTLE)
                before, own_before = resident(process.pid)
                sleep = {"millis": DAY_MILLIS}
                handles = await asyncio.gather(*(self.begin(worker, "sleeper", sleep) for _ in range(runs)))
                for handle in handles:
                    await is_asleep(handle)
                await asyncio.sleep(SETTLE)
                after, own_after = resident(process.pid)
            finally:
                end([process])
            cells = [f"{size:.0f}" for size in (before, own_before, after, own_after)]
            print(f"| {worker.name} | {' | '.join(cells)} | {(after - before) * 1024 / runs:.1f} |", flush=True)


async def is_asleep(handle: WorkflowHandle) -> None:
    """Waits until the run's history has its timer, the fifth event."""
    while (run := await handle.describe()).history_length < 5:
        await asyncio.sleep(0.1)
    assert run.status == WorkflowExecutionStatus.RUNNING


def print_rates(load: Load, measured: dict[str, list[Measured]]) -> None:
    ours = measured["exomonad"]
    runs = "one run" if load.runs == 1 else f"{load.runs} runs"
    print(f"\n| {runs} of {load.steps} steps | steps/s | ours ÷ it | workflow tasks/s | ours ÷ it |")
    print("|---|--:|--:|--:|--:|")
    rates: list[Callable[[Measured], float]] = [Measured.steps_rate, Measured.tasks_rate]
    for name, rounds in measured.items():
        cells = []
        for rate in rates:
            ratio = median(rate(our) / rate(their) for our, their in zip(ours, rounds))
            cells += [f"{median(map(rate, rounds)):.0f}", f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_cpu(measured: dict[str, list[Measured]]) -> None:
    print(
        "\n| CPU seconds of 1,000 steps | worker | ours ÷ it | server | client | their part of the machine "
        "| that of others | steps/s if server and client were alone |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    ours = measured["exomonad"]
    for name, rounds in measured.items():
        worker, server, client = (
            f"{median(1000 * getattr(one, process) / one.steps for one in rounds):.2f}"
            for process in ("worker", "server", "client")
        )
        ratio = median(our.worker / their.worker for our, their in zip(ours, rounds))
        shares = (f"{median(map(share, rounds)):.0%}" for share in (Measured.share, Measured.others))
        cells = [worker, f"{ratio:.2f}", server, client, *shares, f"{median(map(Measured.most, rounds)):.0f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            client = await Client.connect(address)
            if await client.service_client.check_health():
                return client
        except RuntimeError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit("the server does not start")


async def main() -> None:
    def existing(path: str) -> Path:
        # The workers run in folders of their own.
        return Path(path).resolve(strict=True)

    # By default it would end this process alone.
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    parser = argparse.ArgumentParser()
    for name in ("exomonad", "temporal", "typescript"):
        parser.add_argument(name, type=existing)
    parser.add_argument("parts", nargs="*", help="throughput, latency, memory; all of them when absent")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    port = free_port()
    address = f"127.0.0.1:{port}"
    server = subprocess.Popen(
        [args.temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port), *SERVER_OPTIONS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(await connect(address), server.pid)
            workers = make_workers(args.exomonad, args.typescript, address, Path(folder))
            for part in args.parts or [*LOADS, "memory"]:
                if part == "memory":
                    # Local activities make no difference to it.
                    await bench.memory(workers[:3], SETTINGS["cached_runs"])
                else:
                    await bench.steps(workers, LOADS[part], args.rounds)
    finally:
        end([server])


asyncio.run(main())
