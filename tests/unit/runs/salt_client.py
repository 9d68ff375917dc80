"""A stand-in for Salt's ``LocalClient``, whose minions do what a test says."""

from __future__ import annotations

import time
from collections import deque
from itertools import count


class FakeClient:
    """
    A master's client.

    answers
        by function: what ``cmd`` returns of each minion, or a callable that does

    returns
        what a minion returns of a job, by the name of the image; ``None`` for nothing, until
        :meth:`finish` is called

    unreachable
        the minions that nothing is published to
    """

    def __init__(self, answers=None, returns=None, unreachable=()):
        self.answers = dict(answers or {})
        self.returns = dict(returns or {})
        self.unreachable = set(unreachable)
        self.asked = []
        self.published = []
        self.events = deque()
        self.is_destroyed = False
        self.event = self  # where LocalClient has its bus
        self._jids = count(20260101000000)

    def cmd(self, tgt, fun, timeout=None, tgt_type="glob"):
        self.asked.append((tgt, fun, tgt_type))
        answer = self.answers.get(fun, {})
        return answer() if callable(answer) else answer

    def run_job(self, tgt, fun, arg=(), kwarg=None, tgt_type="glob", listen=False):
        (minion,) = tgt
        if minion in self.unreachable:
            return {}
        jid = str(next(self._jids))
        self.published.append((minion, fun, list(arg), kwarg))
        if fun.startswith("ubiq_docker."):
            returned = self.returns.get(arg[0])
            if returned is not None:
                self.finish(minion, jid, returned)
        return {"jid": jid, "minions": tgt}

    def finish(self, minion, jid, returned):
        """Have a minion return a job."""
        data = {"id": minion, "jid": jid, "return": returned}
        self.events.append({"tag": f"salt/job/{jid}/ret/{minion}", "data": data})

    def get_event(self, wait, tag, match_type, full):
        assert (tag, match_type, full) == ("salt/job/", "startswith", True)
        if self.events:
            return self.events.popleft()
        time.sleep(min(wait, 0.01))
        return None

    def destroy(self):
        self.is_destroyed = True

    def homes(self):
        """Which minion was given which image, in order."""
        return [(arg[0], minion) for minion, fun, arg, _ in self.published if "build" in fun]


def built(name, **more):
    """What ``ubiq_docker.build_service`` returns."""
    return {
        "name": name,
        "image": f"ubiq/{name}:latest",
        "action": "built",
        "id": "sha256:1",
        **more,
    }
