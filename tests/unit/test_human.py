"""Amounts as people read them."""

import pytest

from salt_ubiq.human import human_duration, human_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (6_600_000, "6.6 MB"),
        (116_600_000, "117 MB"),
        (999_700_000, "1 GB"),
        (9_970_000_000, "10 GB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes_for_people(size, text):
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (4.72, "4.7 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (83.4, "1 min 23 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_for_people(seconds, text):
    assert human_duration(seconds) == text
