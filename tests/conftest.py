"""What every test may use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images that lie beside the checkout and may not be redistributed."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data, which may not be redistributed")
    return SHARED_DATA
