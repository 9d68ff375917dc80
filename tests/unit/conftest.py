"""What all unit tests have in common."""

import pytest
import salt._logging


@pytest.fixture(scope="session", autouse=True)
def no_log_at_exit():
    """Salt keeps what is logged for a stream that pytest has closed when it comes to it."""
    salt._logging.shutdown_temp_handler()
