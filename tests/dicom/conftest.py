"""What several tests of the objects need: all of them, as files."""

import pytest

from parts.outputs import Files, full_set


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The clip of the made-up exam and every kind of output, by name."""
    return full_set(tmp_path_factory.mktemp("written"))
