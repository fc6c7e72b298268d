import pytest

from tests.lit_models.scan.scanned import CASES, Scanned


@pytest.fixture(params=CASES, ids=lambda case: f"{case.backend}-{case.name}")
def scanned(request: pytest.FixtureRequest) -> Scanned:
    """Every backend with every recurrence that it has a kernel for."""
    return request.param
