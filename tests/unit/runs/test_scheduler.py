"""What runs when, and what becomes of the rest when something fails."""

import heapq
import math
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from random import Random

import pytest

from salt_ubiq.results import Result
from salt_ubiq.runs.scheduler import GRACE, LONGEST_WAIT, Job, Scheduler, exit_status


@dataclass
class FakeExecutor:
    """
    Builds in no time, on a clock of its own, and notes what it is asked to do.

    Each job takes ``durations`` seconds, one if it isn't there; the first
    ``failures`` attempts at it fail; if it is ``deaf``, it can't be cancelled.
    """

    slots: int = 100
    durations: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    deaf: tuple = ()
    now: float = 0.0
    starts: list = field(default_factory=list)
    parents: dict = field(default_factory=dict)
    closed: bool = False
    busiest: int = 0
    at: dict = field(default_factory=dict)
    running: dict = field(default_factory=dict)

    def clock(self):
        return self.now

    def refuses(self, name):
        return False

    def start(self, name, attempt, parents):
        if self.refuses(name):
            return False
        assert name not in self.running
        self.starts.append((self.now, name, attempt))
        self.parents[name] = parents
        action = "failed" if attempt <= self.failures.get(name, 0) else "built"
        error = f"{name} broke" if action == "failed" else None
        duration = self.durations.get(name, 1.0)
        result = Result(name, f"{name}:1", action, error=error, duration=duration)
        self.running[name] = (self.now + duration, result)
        self.busiest = max(self.busiest, len(self.running))
        return True

    def wait(self, timeout):
        assert 0 <= timeout <= LONGEST_WAIT
        due = min((end for end, _ in self.running.values()), default=math.inf)
        until = self.now + timeout
        for when in sorted(when for when in self.at if when <= min(due, until)):
            self.now = max(self.now, when)
            self.at.pop(when)()
            return self.ended()
        self.now = max(self.now, min(due, until))
        return self.ended()

    def ended(self):
        ended = [result for end, result in self.running.values() if end <= self.now]
        for result in ended:
            del self.running[result.name]
        return ended

    def cancel(self, names):
        for name in names:
            if name in self.running and name not in self.deaf:
                result = Result(name, f"{name}:1", "failed", error="killed")
                self.running[name] = (self.now + 0.5, result)

    def close(self):
        assert not self.closed
        self.closed = True


class Run:
    """A scheduler on a fake executor, and what it has told."""

    def __init__(self, jobs, executor=None, slots=None):
        self.jobs = jobs
        self.executor = executor or FakeExecutor()
        self.events = []
        self.scheduler = Scheduler(jobs, self.executor, slots, self.observe, self.executor.clock)

    def observe(self, event, name, result):
        self.events.append((event, name, result))

    def __call__(self):
        return self.scheduler.run()

    @property
    def started(self):
        return [name for _, name, _ in self.executor.starts]

    def told(self, event):
        return [name for happened, name, _ in self.events if happened == event]


def jobs(*lines, **common):
    """``"app: web db"`` is a job and its parents."""
    parsed = (line.partition(":") for line in lines)
    return [
        Job(name, tuple(parents.split()), image=f"{name}:1", **common)
        for name, _, parents in parsed
    ]


TWELVE = jobs(
    "debian",
    "ubuntu",
    "mail: debian",
    "proxy: debian",
    "moodle-web: debian",
    "moodle-app: moodle-web",
    "moodle-cron: moodle-app",
    "moodle-queue: moodle-app",
    "db: ubuntu",
    "db-backup: db",
    "search: ubuntu",
    "gate: moodle-cron proxy",
)
BELOW = {"moodle-app", "moodle-cron", "moodle-queue", "gate"}


def actions(results):
    return {name: result.action for name, result in results.items()}


def test_nothing_starts_before_its_parents_are_there():
    run = Run(TWELVE)
    results = run()
    assert set(actions(results).values()) == {"built"}
    ended = {}
    for when, name, _ in run.executor.starts:
        ended[name] = when + 1
        job = next(job for job in TWELVE if job.name == name)
        assert all(ended[parent] <= when for parent in job.parents)


def test_an_image_starts_the_moment_its_parents_are_there_without_waves():
    executor = FakeExecutor(durations={"slow": 100, "quick": 1, "child": 1, "grandchild": 1})
    run = Run(jobs("slow", "quick", "child: quick", "grandchild: child"), executor)
    run()
    assert [(when, name) for when, name, _ in executor.starts] == [
        (0, "quick"),
        (0, "slow"),
        (1, "child"),
        (2, "grandchild"),
    ]
    assert executor.now == 100


def test_the_longest_path_starts_first():
    plan = [
        Job("short", expected=50),
        Job("long", expected=10),
        Job("long-child", ("long",), expected=60),
        Job("middle", expected=65),
    ]
    run = Run(plan, slots=1)
    run()
    assert run.started == ["long", "middle", "long-child", "short"]


def test_an_image_that_nobody_has_timed_is_taken_for_an_average_one():
    plan = [Job("quick", expected=10), Job("unknown"), Job("slow", expected=30)]
    run = Run(plan, slots=1)
    run()
    assert run.started == ["slow", "unknown", "quick"]


def test_among_equals_the_order_of_the_plan_stays():
    run = Run(jobs("z", "a", "m", "b"), slots=1)
    run()
    assert run.started == ["z", "a", "m", "b"]


def sharing(**shares):
    """Jobs, and what each of them shares."""
    return [Job(name, shares=tuple(each.split())) for name, each in shares.items()]


def test_what_would_only_wait_for_what_another_makes_starts_after_all_else():
    plan = sharing(chrome="admin server node", hub="admin server", web="admin", database="")
    run = Run(plan, FakeExecutor(durations={"chrome": 3}), slots=2)
    run()
    assert [(when, name) for when, name, _ in run.executor.starts] == [
        (0, "chrome"),
        (0, "database"),
        (1, "web"),
        (2, "hub"),
    ]


def test_among_equals_what_makes_most_for_others_starts_first():
    plan = sharing(web="admin", app="admin php", mail="", debug="admin php tools")
    run = Run(plan, slots=1)
    run()
    assert run.started == ["debug", "app", "web", "mail"]


def test_what_is_made_already_is_not_waited_for():
    plan = sharing(web="admin", mail="admin", app="admin php", debug="admin php", database="admin")
    run = Run(plan, FakeExecutor(durations={"app": 5}), slots=2)
    run()
    assert run.started == ["app", "web", "mail", "database", "debug"]


def test_what_has_failed_made_nothing_for_others():
    plan = sharing(web="admin", app="admin", debug="admin", database="")
    executor = FakeExecutor(failures={"web": 1}, durations={"app": 2})
    run = Run(plan, executor, slots=2)
    run()
    assert run.started == ["web", "database", "app", "debug"]


@pytest.mark.parametrize(("own", "executors", "busiest"), [(3, 9, 3), (9, 3, 3), (None, 4, 4)])
def test_no_more_run_at_once_than_there_are_slots(own, executors, busiest):
    run = Run(jobs(*map(str, range(20))), FakeExecutor(slots=executors), own)
    run()
    assert run.executor.busiest == busiest


def test_no_slots_at_all_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="slots"):
        Run([], slots=0)


def test_nothing_to_do_is_done_at_once():
    run = Run([])
    assert run() == {}
    assert run.executor.closed


def test_parents_that_are_not_jobs_are_there_already():
    run = Run(jobs("app: debian web", "web: debian:12"))
    assert list(run()) == ["app", "web"]
    assert run.started == ["web", "app"]


def test_a_job_is_given_the_results_of_its_parents():
    run = Run(jobs("web", "db", "app: web db elsewhere"))
    results = run()
    assert run.executor.parents["app"] == {"web": results["web"], "db": results["db"]}


def test_what_is_up_to_date_is_as_good_as_built():
    class UpToDate(FakeExecutor):
        def ended(self):
            return [Result(each.name, each.image, "up-to-date") for each in super().ended()]

    run = Run(jobs("web", "app: web"), UpToDate())
    assert actions(run()) == {"web": "up-to-date", "app": "up-to-date"}
    assert run.told("up-to-date") == ["web", "app"]


def test_results_are_in_the_order_of_the_jobs():
    executor = FakeExecutor(durations={"a": 9})
    assert list(Run(jobs("a", "b", "c"), executor)()) == ["a", "b", "c"]


def test_observers_are_told_everything_in_order():
    run = Run(jobs("web", "app: web"))
    results = run()
    assert run.events == [
        ("started", "web", None),
        ("built", "web", results["web"]),
        ("started", "app", None),
        ("built", "app", results["app"]),
    ]


# failure


def test_a_failure_in_the_middle_of_twelve_stops_only_what_is_built_from_it():
    run = Run(TWELVE, FakeExecutor(failures={"moodle-web": 1}), slots=3)
    results = run()
    assert len(results) == 12
    assert {name for name, result in results.items() if result.action == "skipped"} == BELOW
    assert results["moodle-web"].action == "failed"
    assert Counter(actions(results).values()) == {"built": 7, "failed": 1, "skipped": 4}
    assert not BELOW & set(run.started)
    assert exit_status(results, TWELVE) == 1


def test_what_is_skipped_names_its_nearest_parent():
    results = Run(TWELVE, FakeExecutor(failures={"moodle-web": 1}))()
    assert results["moodle-app"].error == "parent moodle-web failed"
    assert results["moodle-cron"].error == "parent moodle-app was skipped"
    assert results["gate"].error == "parent moodle-cron was skipped"
    assert results["gate"].image == "gate:1"


def test_what_is_skipped_is_told_once_and_at_once():
    executor = FakeExecutor(failures={"a": 1, "b": 1}, durations={"b": 5, "other": 9})
    run = Run(jobs("a", "b", "other", "child: a b", "grandchild: child"), executor)
    results = run()
    assert [name for event, name, _ in run.events if event != "started"] == [
        *("a", "child", "grandchild", "b", "other")
    ]
    assert results["child"].error == "parent a failed"


def test_a_failed_image_is_tried_again():
    run = Run(jobs("web", "app: web", retries=2), FakeExecutor(failures={"web": 2}))
    results = run()
    assert actions(results) == {"web": "built", "app": "built"}
    assert (results["web"].attempts, results["app"].attempts) == (3, 1)
    assert [(name, attempt) for _, name, attempt in run.executor.starts] == [
        ("web", 1),
        ("web", 2),
        ("web", 3),
        ("app", 1),
    ]
    assert run.told("retrying") == ["web", "web"]
    assert run.told("failed") == []


def test_the_last_attempt_counts():
    run = Run(jobs("web", "app: web", retries=2), FakeExecutor(failures={"web": 9}))
    results = run()
    assert (results["web"].action, results["web"].attempts) == ("failed", 3)
    assert results["app"].action == "skipped"
    assert run.told("failed") == ["web"]


def test_a_retry_lets_other_ready_work_go_first():
    run = Run(jobs("a", "b", "c", retries=1), FakeExecutor(failures={"a": 1}), slots=1)
    run()
    assert run.started == ["a", "b", "c", "a"]


def test_a_retry_starts_at_once_where_a_slot_is_free():
    executor = FakeExecutor(failures={"a": 1}, durations={"b": 9})
    Run(jobs("a", "b", retries=1), executor)()
    assert executor.starts == [(0, "a", 1), (0, "b", 1), (1, "a", 2)]


def test_an_attempt_that_takes_too_long_has_failed():
    executor = FakeExecutor(durations={"web": 1000})
    run = Run(jobs("web", "db", "app: web", timeout=60), executor)
    results = run()
    assert (results["web"].action, results["web"].error) == ("failed", "timed out after 1 min")
    assert results["app"].action == "skipped"
    assert results["db"].action == "built"
    assert executor.now == 60.5


def test_every_attempt_has_its_own_time():
    executor = FakeExecutor(durations={"web": 50}, failures={"web": 1})
    results = Run(jobs("web", timeout=60, retries=1), executor)()
    assert (results["web"].action, results["web"].attempts) == ("built", 2)


def test_what_times_out_is_tried_again_as_what_fails():
    executor = FakeExecutor(durations={"web": 1000})
    results = Run(jobs("web", timeout=60, retries=1), executor)()
    assert (results["web"].error, results["web"].attempts) == ("timed out after 1 min", 2)


def test_what_does_not_end_when_told_to_is_given_up():
    executor = FakeExecutor(durations={"web": 60 + GRACE + 5, "db": 500}, deaf=("web",))
    run = Run([*jobs("web", "app: web", timeout=60, retries=3), *jobs("db")], executor)
    results = run()
    assert results["web"].error == "timed out after 1 min and did not end when told to"
    assert results["web"].duration == 60 + GRACE
    assert actions(results) == {"web": "failed", "app": "skipped", "db": "built"}
    assert run.told("failed") == ["web"]  # its late result changes nothing


# refusal


def test_a_refused_job_lets_others_go_first_and_is_asked_for_again():
    class OneOfAKind(FakeExecutor):
        """Only one machine can build what begins with a."""

        def refuses(self, name):
            return name[0] == "a" and any(other[0] == "a" for other in self.running)

    run = Run(jobs("a1", "a2", "b1", "b2", retries=1), OneOfAKind())
    assert set(actions(run()).values()) == {"built"}
    assert [(when, name) for when, name, _ in run.executor.starts] == [
        (0, "a1"),
        (0, "b1"),
        (0, "b2"),
        (1, "a2"),
    ]
    assert run.executor.starts[-1][2] == 1


@dataclass
class Closed(FakeExecutor):
    """Takes nothing before it opens."""

    opens: float = 0.0

    def refuses(self, name):
        return self.now < self.opens


def test_an_idle_executor_that_refuses_is_asked_again_now_and_then():
    run = Run(jobs("web", timeout=60), Closed(opens=7))
    assert run()["web"].action == "built"
    assert 7 <= run.executor.starts[0][0] <= 7 + LONGEST_WAIT


def test_what_nothing_builds_in_all_its_time_has_failed():
    plan = [*jobs("web", "app: web", timeout=60), *jobs("db", timeout=600)]
    results = Run(plan, Closed(opens=300))()
    assert results["web"].error == "nothing could build it for 1 min"
    assert actions(results) == {"web": "failed", "app": "skipped", "db": "built"}


def test_only_idle_time_counts_as_refused():
    class Fussy(FakeExecutor):
        def refuses(self, name):
            return name == "web" and self.now < 190

    executor = Fussy(durations={"db": 95})
    results = Run([*jobs("web", timeout=100), *jobs("db", "mail: db", timeout=500)], executor)()
    assert set(actions(results).values()) == {"built"}


def test_an_executor_that_refuses_twice_is_given_the_whole_time_twice():
    class Fussy(FakeExecutor):
        """Takes something after 40 and after 80 seconds, and nothing in between."""

        def refuses(self, name):
            return self.now < 40 * (1 + len(self.starts))

    results = Run(jobs("web", "app: web", timeout=50), Fussy())()
    assert set(actions(results).values()) == {"built"}


def test_an_executor_may_lose_its_slots_and_get_them_back():
    executor = FakeExecutor(slots=0)
    executor.at[9] = lambda: setattr(executor, "slots", 2)
    run = Run(jobs("a", "b", "c", timeout=60), executor)
    assert set(actions(run()).values()) == {"built"}
    assert executor.starts[0][0] >= 9


# cancelling


def test_cancelling_ends_what_runs_and_skips_the_rest():
    executor = FakeExecutor(durations={"quick": 1, "slow": 100, "late": 100})
    run = Run(jobs("quick", "slow", "late: quick", "never: slow", retries=3), executor)
    executor.at[5] = run.scheduler.cancel
    results = run()
    assert {name: (each.action, each.error) for name, each in results.items()} == {
        "quick": ("built", None),
        "slow": ("failed", "cancelled"),
        "late": ("failed", "cancelled"),
        "never": ("skipped", "cancelled"),
    }
    assert executor.now == 5.5
    assert executor.closed
    assert exit_status(results, run.jobs) == 1
    assert run.told("skipped") == ["never"]


def test_what_does_not_end_when_cancelled_is_left_behind_after_a_while():
    executor = FakeExecutor(durations={"web": 1000}, deaf=("web",))
    run = Run(jobs("web"), executor)
    executor.at[5] = run.scheduler.cancel
    results = run()
    assert (results["web"].action, results["web"].error) == ("failed", "cancelled")
    assert results["web"].duration == executor.now == 5 + GRACE
    assert executor.closed


def test_cancelled_before_it_runs_it_starts_nothing():
    run = Run(TWELVE)
    run.scheduler.cancel()
    assert set(actions(run()).values()) == {"skipped"}
    assert run.started == []


def test_cancelled_while_it_starts_jobs_it_starts_no_more():
    run = Run(jobs("a", "b", "c"))
    run.scheduler = Scheduler(
        run.jobs, run.executor, None, lambda *_: run.scheduler.cancel(), run.executor.clock
    )
    assert actions(run()) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert run.started == ["a"]


def test_cancelling_what_has_ended_changes_nothing():
    run = Run(jobs("web"))
    results = run()
    run.scheduler.cancel()
    assert run.scheduler.results == results


def test_what_waited_for_its_next_attempt_keeps_its_failure():
    executor = FakeExecutor(failures={"a": 1}, durations={"b": 50})
    run = Run(jobs("a", "b", retries=1), executor, slots=1)
    executor.at[5] = run.scheduler.cancel
    results = run()
    assert (results["a"].action, results["a"].error) == ("failed", "a broke")
    assert results["b"].error == "cancelled"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_is_raised_again_when_all_is_recorded_and_closed(interrupt):
    def interrupted():
        raise interrupt

    executor = FakeExecutor(durations={"slow": 100})
    executor.at[3] = interrupted
    run = Run(jobs("quick", "slow", "never: slow"), executor)
    with pytest.raises(interrupt):
        run()
    assert executor.closed
    assert actions(run.scheduler.results) == {
        "quick": "built",
        "slow": "failed",
        "never": "skipped",
    }
    assert run.scheduler.results["slow"].error == "cancelled"


def test_interrupted_again_it_closes_at_once():
    def interrupted():
        raise KeyboardInterrupt

    executor = FakeExecutor(durations={"slow": 100}, deaf=("slow",))
    executor.at = {3: interrupted, 4: interrupted}
    run = Run(jobs("slow", "never: slow"), executor)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (executor.now, executor.closed) == (4, True)
    assert actions(run.scheduler.results) == {"slow": "failed", "never": "skipped"}


def test_an_observer_that_breaks_ends_the_run_cleanly():
    def broken(event, name, result):
        raise RuntimeError("no terminal")

    executor = FakeExecutor()
    scheduler = Scheduler(jobs("a", "b"), executor, None, broken, executor.clock)
    with pytest.raises(RuntimeError, match="no terminal"):
        scheduler.run()
    assert executor.closed
    assert list(scheduler.results) == ["a", "b"]


# the exit status


def status(failures, *plan):
    return exit_status(Run(plan, FakeExecutor(failures=dict.fromkeys(failures, 1)))(), plan)


MAY_FAIL = Job("beta", allowed_to_fail=True)
CHILD = Job("beta-app", ("beta",))
GRANDCHILD = Job("beta-cron", ("beta-app",))


def test_the_exit_status_of_a_success_is_0():
    assert status([], MAY_FAIL, CHILD) == 0


def test_what_is_allowed_to_fail_does_not_count_and_what_it_stops_neither():
    assert status(["beta"], MAY_FAIL, CHILD, GRANDCHILD) == 0


def test_what_fails_itself_counts_even_below_what_is_allowed_to_fail():
    assert status(["beta-app"], MAY_FAIL, CHILD, GRANDCHILD) == 1


def test_what_is_skipped_for_another_failure_too_counts():
    both = Job("both", ("beta", "web"))
    assert status(["beta"], MAY_FAIL, Job("web"), both) == 0
    assert status(["beta", "web"], MAY_FAIL, Job("web"), both) == 1


def test_what_is_allowed_to_fail_may_be_skipped():
    assert status(["web"], Job("web", allowed_to_fail=True), Job("app", ("web",))) == 0
    assert status(["web"], Job("web"), Job("app", ("web",), allowed_to_fail=True)) == 1


# many, at random


@pytest.mark.parametrize("seed", range(60))
def test_random_plans_on_random_executors_end_well(seed):
    random = Random(seed)
    names = [f"i{number}" for number in range(random.randint(1, 40))]
    plan = [
        Job(
            name,
            tuple(random.sample(names[:number], min(number, random.choice([0, 1, 1, 2])))),
            expected=random.choice([None, random.uniform(0, 9)]),
            retries=random.choice([0, 0, 2]),
            timeout=random.choice([math.inf, 20]),
        )
        for number, name in enumerate(names)
    ]
    by_name = {job.name: job for job in plan}

    class Moody(FakeExecutor):
        def refuses(self, name):
            return random.random() < 0.2

    executor = Moody(
        slots=random.randint(1, 8),
        durations={name: random.choice([0.5, 3, 7, 30]) for name in names},
        failures={name: random.choice([0, 0, 0, 1, 5]) for name in names},
    )
    run = Run(random.sample(plan, len(plan)), executor)
    results = run()

    assert results.keys() == by_name.keys()
    assert executor.busiest <= executor.slots
    starts = Counter(run.started)
    for name, result in results.items():
        good = all(results[p].action == "built" for p in by_name[name].parents)
        assert (result.action == "skipped") == (not good)
        attempts = min(executor.failures[name], by_name[name].retries) + 1
        if executor.durations[name] > by_name[name].timeout:
            attempts = by_name[name].retries + 1
        assert starts[name] == (attempts if good else 0)
        assert len([e for e in run.events if e[1] == name and e[2] is result]) == 1
    for name in names:
        order = [event for event, about, _ in run.events if about == name]
        tries = ["started", "retrying"] * (starts[name] - 1) + ["started"] * bool(starts[name])
        assert order == [*tries, results[name].action]


def test_a_thousand_images_are_scheduled_in_no_time():
    random = Random(1)
    names = [f"i{number}" for number in range(1000)]
    plan = [
        Job(name, (random.choice(names[:number]),) if number else (), timeout=3600)
        for number, name in enumerate(names)
    ]

    class Heaped(FakeExecutor):
        """As its parent, without looking through all that runs."""

        def start(self, name, attempt, parents):
            heapq.heappush(self.heap, (self.now + random.random(), name))
            return True

        def wait(self, timeout):
            self.now, name = heapq.heappop(self.heap)
            return [Result(name, name, "built")]

    executor = Heaped(slots=50)
    executor.heap = []
    began = time.process_time()
    results = Run(plan, executor)()
    assert time.process_time() - began < 0.5
    assert set(actions(results).values()) == {"built"}


# in real time


class Threads:
    """An executor whose jobs are threads that wait to be cancelled."""

    slots = 4

    def __init__(self):
        self.done = SimpleQueue()
        self.events = {}

    def start(self, name, attempt, parents):
        event = self.events[name] = threading.Event()
        threading.Thread(target=self.work, args=(name, event), daemon=True).start()
        return True

    def work(self, name, event):
        cancelled = name.startswith("slow") and event.wait(30)
        self.done.put(Result(name, name, "failed" if cancelled else "built"))

    def wait(self, timeout):
        try:
            return [self.done.get(timeout=timeout)]
        except Empty:
            return []

    def cancel(self, names):
        for name in names:
            self.events[name].set()

    def close(self):
        self.closed = True


class RealRun:
    """One quick job and two slow ones; ``both`` tells when the slow ones run."""

    def __init__(self):
        self.executor = Threads()
        self.both = threading.Event()
        self.running = set()
        plan = jobs("quick", "slow1: quick", "slow2: quick", "never: slow1", timeout=60)
        self.scheduler = Scheduler(plan, self.executor, None, self.observe)

    def observe(self, event, name, result):
        if event == "started":
            self.running.add(name)
        if {"slow1", "slow2"} <= self.running:
            self.both.set()

    def when_both_run(self, act, *arguments):
        def wait():
            self.both.wait(10)
            time.sleep(0.1)  # run() is waiting then, in all likelihood
            act(*arguments)

        threading.Thread(target=wait, daemon=True).start()


@pytest.fixture
def real():
    return RealRun()


CANCELLED = {"quick": "built", "slow1": "failed", "slow2": "failed", "never": "skipped"}


def test_another_thread_may_cancel(real):
    real.when_both_run(real.scheduler.cancel)
    began = time.monotonic()
    assert actions(real.scheduler.run()) == CANCELLED
    assert time.monotonic() - began < 5


def test_a_signal_handler_may_cancel(real):
    before = signal.signal(signal.SIGTERM, lambda *_: real.scheduler.cancel())
    try:
        real.when_both_run(os.kill, os.getpid(), signal.SIGTERM)
        assert actions(real.scheduler.run()) == CANCELLED
    finally:
        signal.signal(signal.SIGTERM, before)


def test_control_c_ends_what_runs_and_is_raised_again(real):
    real.when_both_run(os.kill, os.getpid(), signal.SIGINT)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        real.scheduler.run()
    assert time.monotonic() - began < 5
    assert actions(real.scheduler.results) == CANCELLED
    assert real.executor.closed
