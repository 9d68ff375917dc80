"""Records of past runs."""

import json
import os

import pytest

from salt_ubiq.errors import UnknownImage, UnknownRun
from salt_ubiq.results import Result, States
from salt_ubiq.runs.records import Run, Runs


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "runs")


def built(name, duration=1.0, action="built"):
    return Result(name, f"{name}:latest", action, duration=duration)


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "runs").iterdir())


def ids(found):
    return [run.id for run in found]


def test_a_run_comes_back_as_it_was(runs):
    results = (
        Result("web", "web:1", "failed", error="no", states=States(3, 1, ({"id": "a"},))),
        Result("db", "db:1", "built", size=7, attempts=2, reasons=("why",), duration=1.5),
    )
    runs.save("r1", results, 10.5, 20.25)
    assert runs.load("r1") == Run("r1", 10.5, 20.25, results)


def test_the_file_is_json_that_programs_can_read(runs):
    path = runs.save("r1", [built("web")], 10, 20)
    plain = json.loads(path.read_text())
    assert list(plain) == ["id", "started", "finished", "results", "error"]
    assert plain["results"][0]["name"] == "web"


def test_the_latest_come_first_and_no_more_than_wanted(runs):
    for number in (3, 1, 4, 2):
        runs.save(f"r{number}", [], number, number)
    assert ids(runs.list(3)) == ["r4", "r3", "r2"]


def test_before_the_first_run_there_are_none(runs):
    assert runs.list(5) == ()
    assert runs.durations() == {}
    runs.keep(3)
    with pytest.raises(UnknownRun, match="no record of a run 'r1'; there are none yet"):
        runs.load("r1")


def test_an_unknown_run_is_an_error_that_names_the_latest(runs):
    runs.save("r1", [], 1, 1)
    with pytest.raises(UnknownRun, match="no record of a run 'r2'; the latest is 'r1'"):
        runs.load("r2")


def test_a_run_is_never_read_from_outside_the_directory(runs, tmp_path):
    path = runs.save("r1", [], 1, 1)
    path.rename(tmp_path / "r1.json")
    with pytest.raises(UnknownRun):
        runs.load("../r1")


def test_a_record_that_is_saved_again_replaces_the_first(runs, tmp_path):
    runs.save("r1", [built("web")], 1, 1)
    runs.save("r1", [built("db")], 1, 2)
    assert files(tmp_path) == ["r1.json"]
    assert runs.load("r1").results == (built("db"),)


def test_a_failed_write_leaves_the_record_as_it_was(runs, monkeypatch):
    def full(descriptor):
        raise OSError("No space left on device")

    runs.save("r1", [built("web")], 1, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        runs.save("r1", [built("db")], 1, 2)
    assert runs.load("r1").results == (built("web"),)
    assert ids(runs.list(9)) == ["r1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"id": "r2", "started": 1, "fin',
        "[]",
        "null",
        "7",
        '{"id": "r2", "started": 1, "finished": 2}',
        '{"id": "r2", "started": 1, "finished": 2, "results": 3}',
        '{"id": "r2", "started": 1, "finished": 2, "results": ["web"]}',
        '{"id": "r2", "started": "once", "finished": 2, "results": []}',
    ],
)
def test_what_is_not_a_record_counts_as_not_there(runs, tmp_path, text):
    runs.save("r1", [built("web", 4)], 1, 1)
    (tmp_path / "runs" / "r2.json").write_text(text)
    assert ids(runs.list(1)) == ["r1"]
    assert runs.durations() == {"web": 4}
    with pytest.raises(UnknownRun):
        runs.load("r2")


def test_bytes_that_are_no_text_count_as_not_there(runs, tmp_path):
    runs.save("r1", [], 1, 1)
    (tmp_path / "runs" / "r2.json").write_bytes(b"\xff\xfe{")
    assert ids(runs.list(9)) == ["r1"]


def test_durations_are_those_of_the_latest_build_that_succeeded(runs):
    runs.save("r1", [built("web", 10), built("db", 5), built("mail", 1, "failed")], 1, 1)
    runs.save("r2", [built("web", 20), built("db", 0.1, "up-to-date")], 2, 2)
    runs.save("r3", [built("web", 3, "failed")], 3, 3)
    assert runs.durations() == {"web": 20, "db": 5}


def test_durations_are_taken_from_so_many_records_only(runs):
    runs.save("r1", [built("db", 5)], 1, 1)
    runs.save("r2", [built("web", 20)], 2, 2)
    assert runs.durations(files=1) == {"web": 20}


def test_only_the_latest_are_kept(runs):
    for number in range(5):
        runs.save(f"r{number}", [], number, number)
    runs.keep(2)
    assert ids(runs.list(9)) == ["r4", "r3"]


def test_what_dead_runs_left_half_written_goes_with_the_old_ones(runs, tmp_path):
    for number in (1, 3, 5):
        runs.save(f"r{number}", [], number, number)
    for number in (2, 4):
        leftover = tmp_path / "runs" / f"r{number}.json.new"
        leftover.write_text("{")
        os.utime(leftover, (number, number))
    (tmp_path / "runs" / "r6.json.new").write_text("{")  # is being written
    runs.keep(2)
    assert files(tmp_path) == ["r3.json", "r4.json.new", "r5.json", "r6.json.new"]


def test_a_run_that_fails_before_any_image_is_recorded(tmp_path):
    runs = Runs(tmp_path)
    with pytest.raises(UnknownImage), runs.recording_failure():
        raise UnknownImage("web", [])
    (record,) = runs.list(10)
    assert record.summary()["summary"].startswith("failed: no image 'web' in the catalogue")
    assert runs.load(record.id).to_dict()["results"] == []
