from pathlib import Path

import pytest

from tests.datamodules.small_images import write_sets
from tests.datamodules.small_texts import write_texts


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded images go to a folder of this test; the environment names no data."""
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNBENCH_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def image_dir(tmp_path: Path) -> Path:
    return write_sets(tmp_path / "data")


@pytest.fixture
def text_dir(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts")
