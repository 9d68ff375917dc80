"""The pillar that a build's states see."""

from datetime import date

import pytest

from salt_ubiq.builds.service_pillar import as_text, of_service
from salt_ubiq.catalogue.ad_hoc import ad_hoc
from salt_ubiq.errors import BuildError


def service(**pillar):
    return ad_hoc("x/web", base="debian:12", mods=["web"], pillar=pillar)


def test_files_and_dates_of_pillar_are_text():
    pillar = {b"files": {"page": "é".encode()}, "since": [date(2026, 1, 2)], "n": 1}
    assert as_text(pillar) == {"files": {"page": "é"}, "since": ["2026-01-02"], "n": 1}


def test_binary_data_that_states_would_see_is_told_with_its_place():
    minions = as_text({"files": {"logo": [b"\xff"]}, "app": {}})
    with pytest.raises(BuildError, match="x/web: pillar files:logo:0 is binary"):
        of_service(service(), minions, None)
    assert of_service(service(own=b"text"), minions, ["app"]) == {"app": {}, "own": "text"}
