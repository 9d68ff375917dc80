"""
Ask a server in this container until it answers as it should: ``python3 -c TEXT QUESTION``.

QUESTION
    JSON: ``port`` and ``timeout`` (seconds); for HTTP also ``path``, ``host``, ``status``, ``text``

Ends with 0, or with 1 and a sentence that says what was seen last. Not in the
volume: the text is sent along, so that the Python of any image can run it.
"""

import http.client
import json
import signal
import sys
import time

ADDRESS = "127.0.0.1"
INTERVAL = 0.1  # seconds
APART = 1  # seconds between two of the
ALIKE = 3  # equal answers that are the server's last word
LONGEST = 10 * 1024 * 1024  # bytes of an answer


class TimeUp(BaseException):
    pass


class Probe:
    """``seen`` is what was wrong when last something was."""

    def __init__(self, port, path=None, host=None, status=None, text=None):
        self.port, self.path, self.host, self.status, self.text = port, path, host, status, text
        self.seen = self.closed = "nothing accepts connections on port %d" % port
        self.body, self.times = None, 0
        self.since = 0.0

    def answers(self):
        connection = http.client.HTTPConnection(ADDRESS, self.port)
        try:
            connection.connect()
        except OSError:
            self.seen = self.closed
            return False
        try:
            return self.path is None or self.serves(connection)
        finally:
            connection.close()

    def serves(self, connection):
        request = "GET %s on port %d" % (self.path, self.port)
        silent = request + " gets no whole answer"
        if self.seen == self.closed:  # else an answer that came says more
            self.seen = silent
        try:
            connection.request("GET", self.path, headers={"Host": self.host})
            answer = connection.getresponse()
            body = answer.read(LONGEST)
        except (OSError, http.client.HTTPException) as exc:
            self.seen = "%s (%s)" % (silent, " ".join(str(exc).split()))
            return False
        if answer.status != self.status:
            said = "%d %s" % (answer.status, answer.reason)
            self.seen = "%s answers %s, not %d," % (request, said.strip(), self.status)
            return False
        charset = answer.headers.get_content_charset("utf-8")
        if self.text is not None and self.text not in body.decode(charset, "replace"):
            self.seen = "%s answers %d without the text %r" % (request, self.status, self.text)
            self.count(body)
            return False
        return True

    def count(self, body):
        """Count an answer that is as the one before, so much later; the last ends the waiting."""
        now = time.monotonic()
        if body != self.body:
            self.body, self.times, self.since = body, 1, now
        elif now - self.since >= APART:
            self.times, self.since = self.times + 1, now
        if self.times == ALIKE:
            sys.exit("%s, %d times" % (self.seen, ALIKE))


def time_is_up(*_):
    raise TimeUp


def main(timeout, **question):
    probe = Probe(**question)
    # It ends every wait, for a server that answers a byte a minute, too; and comes
    # again, as Python drops what is raised while it cleans up.
    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, timeout, 1)
    try:
        while not probe.answers():
            time.sleep(INTERVAL)
    except TimeUp:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.exit("%s after %g s" % (probe.seen, timeout))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
