"""What the tests of registries have in common."""

import pytest

from salt_ubiq.workspace.slots import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))
