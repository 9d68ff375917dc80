"""
Read thousands of catalogues with mistakes, in this process and by salt-call.

Usage: ``python benchmarks/mutants.py [IN PROCESS] [BY SALT-CALL]``, by default 5,000 and 100. Ends
with 1 where something else than an error with its place came of one, or it took over two seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.mutants import mutants

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError

# No other renderer takes all of them.
RENDERED = "#!py\ninf, nan = float('inf'), float('nan')\n\n\ndef run():\n    return {}\n"
LONGEST = 2  # seconds of CPU; salt-call has as many more, which it takes for itself
HANGS = 60  # seconds
MOST = 550  # letters of one mistake
SALT_CALL = (str(Path(sys.executable).parent / "salt-call"), "--local", "--out=json")


def in_process(count: int) -> list[str]:
    """What is wrong with how these are read."""
    wrong, refused, slowest, longest = [], 0, 0.0, 0
    for number, mutant in enumerate(mutants(0, count)):
        started = time.process_time()
        try:
            json.dumps(parse(mutant).to_dict())
        except CatalogueError as exc:
            refused += 1
            longest = max(longest, len(str(exc)))
            wrong += [str(each) for each in exc.problems if not each.path.startswith("ubiq")]
            wrong += [line for line in str(exc).splitlines() if len(line) > MOST]
        except Exception as exc:  # this is what is looked for
            wrong.append(f"mutant {number}: {exc!r}")
        slowest = max(slowest, time.process_time() - started)
    print(
        f"in process: {count} read, {refused} refused, the slowest in {slowest * 1000:.0f} ms, "
        f"the longest text {longest} letters"
    )
    return wrong + ([f"{slowest:.1f} s"] if slowest > LONGEST else [])


def by_salt_call(count: int) -> list[str]:
    """What is wrong with how salt-call tells of these."""
    wrong, refused, slowest, longest = [], 0, 0.0, 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        root = Path(name)
        (root / "pillar").mkdir()
        (root / "pillar" / "top.sls").write_text("base: {'*': [all]}\n")
        config = {"root_dir": name, "pillar_roots": {"base": [f"{name}/pillar"]}, "id": "mutants"}
        (root / "minion").write_text(json.dumps({**config, "file_client": "local"}))
        command = [*SALT_CALL, "--config-dir", name, "ubiq_docker.catalogue"]
        for number, mutant in enumerate(mutants(1, count)):
            pillar = ascii({"ubiq": mutant})
            (root / "pillar" / "all.sls").write_text(RENDERED.format(pillar))
            started = _of_children()
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, check=False, timeout=HANGS
                )
            except subprocess.TimeoutExpired:
                wrong.append(f"mutant {number}: not done after {HANGS} s")
                continue
            slowest = max(slowest, _of_children() - started)
            refused += done.returncode != 0
            printed = done.stdout + done.stderr
            if done.returncode:
                longest = max(longest, len(printed))
            if "Traceback" in printed or (done.returncode and "ubiq" not in printed):
                wrong.append(f"mutant {number}: exit status {done.returncode}\n{printed[-2000:]}")
    print(
        f"by salt-call: {count} read, {refused} refused, the slowest in {slowest:.1f} s, "
        f"the longest text {longest} letters"
    )
    return wrong + ([f"{slowest:.1f} s"] if slowest > 2 * LONGEST else [])


def _of_children() -> float:
    """The seconds of CPU that processes have taken that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main(many: str = "5000", few: str = "100") -> None:
    """Try both, and print what is wrong."""
    wrong = in_process(int(many)) + by_salt_call(int(few))
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
