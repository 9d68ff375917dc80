"""What runs in containers is imported here as it is there: each module by its bare name."""

import sys

from tests.support.repository import REPOSITORY

INSIDE = str(REPOSITORY / "src" / "salt_ubiq" / "inside")
sys.path.append(INSIDE)
