"""
How long a plan of many images takes, and how busy a run of them keeps its slots.

The images are made up, and "building" one is sleeping: what is measured is
salt-ubiq's own share.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.results import Result
from salt_ubiq.runs.scheduler import Job, Scheduler

MOST_SECONDS = 2.0
LEAST_BUSY = 0.95

Edges = Mapping[str, Sequence[str]]


def declaration(images: int, rng: random.Random) -> dict[str, Any]:
    """The pillar of so many images: one base in twenty, services on bases and on services."""
    bases = [f"base-{number}" for number in range(max(1, images // 20))]
    services: dict[str, Any] = {}
    for number in range(images - len(bases)):
        # Most things are built from the few that were there first.
        parents = [*bases, *services]
        parent = parents[int(len(parents) * rng.random() ** 3)]
        services[f"service-{number}"] = {
            "repository": f"ubiquitous/service-{number}",
            "base": parent,
            "mods": ["admin", f"service-{number}"],
            "config": {"cmd": ["sleep", "1"], "exposed_ports": [80], "env": {"LANG": "C.UTF-8"}},
        }
    return {
        "bases": {
            name: {"repository": f"ubiquitous/{name}", "dockerfile": f"salt://_docker/{name}"}
            for name in bases
        },
        "services": services,
    }


class Stopwatch:
    """The seconds that each of several steps took, by its name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        value = function(*arguments)
        self.seconds[step] = time.perf_counter() - started
        return value


def plan(declared: Mapping[str, Any], durations: Mapping[str, float]) -> dict[str, float]:
    """Plan everything, and return the seconds that each step took."""
    watch = Stopwatch()
    images = watch("catalogue.parse", parse, declared)
    edges = watch("catalogue.edges", lambda: images.edges)
    watch("graph.select, all", graph.select, edges)
    watch("graph.select, +service-*1+", graph.select, edges, ["+service-*1+"])
    watch("graph.critical_path", graph.critical_path, edges, durations, 1.0)
    return watch.seconds


class Sleepers:
    """An executor of threads that sleep, and note from when to when."""

    def __init__(self, slots: int, durations: Mapping[str, float]) -> None:
        self.slots = slots
        self.spans: dict[str, tuple[float, float]] = {}
        self._durations = durations
        self._todo: SimpleQueue[str | None] = SimpleQueue()
        self._done: SimpleQueue[Result] = SimpleQueue()
        for _ in range(slots):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (name := self._todo.get()) is not None:
            started = time.perf_counter()
            time.sleep(self._durations[name])
            self.spans[name] = (started, time.perf_counter())
            self._done.put(Result(name, name, "built"))

    def start(self, name: str, attempt: int, parents: Mapping[str, Result]) -> bool:
        self._todo.put(name)
        return True

    def wait(self, timeout: float) -> list[Result]:
        try:
            results = [self._done.get(timeout=timeout)]
            while True:
                results.append(self._done.get_nowait())
        except Empty:
            return results

    def cancel(self, names: Iterable[str]) -> None:
        """A sleeper can't be woken; nothing here needs it."""

    def close(self) -> None:
        for _ in range(self.slots):
            self._todo.put(None)


def busy_share(
    spans: Mapping[str, tuple[float, float]], edges: Edges, slots: int, began: float
) -> float:
    """
    How much of the slots was used while there was ready work that did not run.

    An image is ready from the end of its parents on, not from when the
    scheduler hears of it: what it takes to react counts against it.
    """
    changes = []
    for name, (start, end) in spans.items():
        ready = max([began, *(spans[parent][1] for parent in edges[name])])
        changes += [(ready, 1, 0), (start, -1, 1), (end, 0, -1)]
    used = possible = 0.0
    waiting = running = 0
    last = began
    for when, more_waiting, more_running in sorted(changes):
        if waiting:
            used += running * (when - last)
            possible += slots * (when - last)
        waiting += more_waiting
        running += more_running
        last = when
    return used / possible if possible else 1.0


def simulate(edges: Edges, durations: Mapping[str, float], slots: int) -> dict[str, float]:
    """Run everything over the slots, and return what was measured."""
    executor = Sleepers(slots, durations)
    jobs = [Job(name, tuple(parents), durations[name]) for name, parents in edges.items()]
    began = time.perf_counter()
    processor = time.process_time()
    results = Scheduler(jobs, executor, slots, lambda *_: None).run()
    seconds = time.perf_counter() - began
    assert all(result.action == "built" for result in results.values())
    paths = graph.critical_path(edges, durations, 0.0)
    return {
        "seconds": seconds,
        "seconds_at_best": max(max(paths.values()), sum(durations.values()) / slots),
        "processor_seconds": time.process_time() - processor,
        "busy_share": busy_share(executor.spans, edges, slots, began),
    }


def show(planned: Mapping[str, float], run: Mapping[str, float], images: int, slots: int) -> None:
    print(f"planning {images} images")
    for step, seconds in planned.items():
        print(f"  {step:<28}{seconds * 1000:>9.1f} ms")
    total = sum(planned.values())
    print(f"  {'together':<28}{total * 1000:>9.1f} ms   (at most {MOST_SECONDS:g} s)")
    print(f"running {images} images over {slots} slots")
    print(f"  {'took':<28}{run['seconds']:>9.2f} s")
    print(f"  {'no schedule is shorter than':<28}{run['seconds_at_best']:>9.2f} s")
    print(f"  {'processor time':<28}{run['processor_seconds']:>9.2f} s")
    busy = f"{run['busy_share']:.1%}"
    print(f"  {'slots busy with work ready':<28}{busy:>9}      (at least {LEAST_BUSY:.0%})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=50)
    parser.add_argument("--mean", type=float, default=0.25, help="seconds that an image sleeps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    given = parser.parse_args()

    rng = random.Random(given.seed)
    declared = declaration(given.images, rng)
    names = [*declared["bases"], *declared["services"]]
    # Builds are alike but for a few that take much longer.
    durations = {name: given.mean * rng.lognormvariate(-0.18, 0.6) for name in names}
    planned = plan(declared, durations)
    run = simulate(parse(declared).edges, durations, given.slots)
    show(planned, run, given.images, given.slots)
    if given.json:
        numbers = {"images": given.images, "slots": given.slots, "planning": planned, "run": run}
        given.json.write_text(json.dumps(numbers, indent=2) + "\n")
    enough = sum(planned.values()) <= MOST_SECONDS and run["busy_share"] >= LEAST_BUSY
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
