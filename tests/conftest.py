from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = [
    "tests.parts.certificates", "tests.parts.dealing", "tests.parts.kafka", "tests.parts.postgres", "tests.parts.seeds",
]  # fmt: skip

settings.register_profile("untimed", deadline=None)  # a property is true or not, however busy the machine is
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that a test runs in this process sets the log up for itself; its stream is closed afterwards."""
    yield
    structlog.reset_defaults()
