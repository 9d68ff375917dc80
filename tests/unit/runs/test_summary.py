"""What came of a run, for people."""

from salt_ubiq.results import Result
from salt_ubiq.runs.summary import summary, table

RUN = [
    Result("debian", "debian:12", "up-to-date", duration=0.21, size=117_400_000),
    Result(
        "moodle-web",
        "moodle-web:1",
        "built",
        reasons=("salt://web/site.conf changed", "pillar changed"),
        duration=83.4,
        size=1_260_000_000,
    ),
    Result(
        "moodle-app",
        "moodle-app:1",
        "failed",
        duration=61,
        error="2 of 14 states failed:\n  app: config",
        attempts=2,
    ),
    Result("cron", "cron:1", "skipped", error="parent moodle-app failed"),
]


def test_the_table_for_people():
    assert table(RUN, 145.2) == (
        "image       action        duration    size  why\n"
        "debian      up to date       0.2 s  117 MB\n"
        "moodle-web  built       1 min 23 s  1.3 GB  salt://web/site.conf changed, and 1 more\n"
        "moodle-app  failed       1 min 1 s          2 of 14 states failed (2 attempts)\n"
        "cron        skipped                         parent moodle-app failed\n"
        "\n"
        "1 built, 1 up to date, 1 failed, 1 skipped in 2 min 25 s"
    )


def test_columns_that_say_nothing_are_left_out():
    results = [Result("web", "web:1", "built", duration=4)]
    assert table(results) == "image  action  duration\nweb    built        4 s\n\n1 built"


def test_a_table_of_nothing_is_its_summary():
    assert table([], 3) == "no images in 3 s"


def test_attempts_are_told_where_there_is_no_other_word():
    assert (
        table([Result("web", "web:1", "built", attempts=3)])
        .splitlines()[1]
        .endswith("  (3 attempts)")
    )


def test_the_summary_counts_only_what_there_is():
    assert summary(RUN[:2]) == "1 built, 1 up to date"
