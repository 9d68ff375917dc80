"""Whatever is in a catalogue, it is read, or what is wrong with it is told with its place."""

from __future__ import annotations

import json

import pytest

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError
from tests.support.mutants import mutants


@pytest.mark.parametrize("seed", range(4))
def test_a_catalogue_with_any_mistake_is_read_or_told_of(seed):
    for mutant in mutants(seed, 100):
        try:
            json.dumps(parse(mutant).to_dict())
        except CatalogueError as exc:
            for problem in exc.problems:
                assert problem.path.startswith("ubiq"), problem
                assert problem.message.strip(), problem
            assert len(str(exc)) < 10_000
