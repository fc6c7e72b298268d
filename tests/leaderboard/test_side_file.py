import os

import numpy as np
import pytest

from rnnbench.leaderboard.files import FileError, read_arrays, side_path, write_arrays, write_atomically


def test_what_is_written_is_read_back_with_infinities(tmp_path):
    arrays = {
        "lyapunov/start/exponents": np.array([[0.5, -np.inf], [np.nan, 1.0]], dtype=np.float32),
        "truncation/epoch-3/ks": np.arange(4),
    }
    path = side_path(tmp_path / "cell" / "abc-0.json")
    write_arrays(path, arrays)
    assert path.name == "abc-0.npz"
    read = read_arrays(path)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    first, second = {"b": np.ones(3), "a": np.zeros((2, 2)).T}, {"a": np.zeros((2, 2)), "b": np.ones(3)}
    write_arrays(tmp_path / "1.npz", first)
    write_arrays(tmp_path / "2.npz", second)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def flip_a_bit(whole):
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-30], lambda whole: b"", lambda whole: b"no arrays", flip_a_bit]
)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "cut.npz"
    write_arrays(path, {"a": np.random.default_rng(0).normal(size=500)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileError, match=r"cut\.npz: is damaged"):
        read_arrays(path)


def test_links_are_written_through_and_pipes_stay(tmp_path):
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.write_bytes(b"before")
    link.symlink_to(target)
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (link, pipe):
        write_atomically(path, b"after")
    assert (target.read_bytes(), os.read(reading, 10)) == (b"after", b"after")
    assert link.is_symlink()
    assert pipe.is_fifo()
    os.close(reading)
