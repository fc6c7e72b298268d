import logging
import os
import pwd
import shutil
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rnnbench.datamodules import Music, SequentialMNIST, image_tensors, real_data
from rnnbench.datamodules.image_tensors import load_images
from rnnbench.datamodules.real_data import DataMissingError, Origin
from tests.datamodules.small_images import TEST, make_pixels, png, write_split

MNIST = SequentialMNIST.origin


def load(folder, split="test"):
    return load_images(MNIST, split, str(folder), (28, 28))


def data_module(folder, **settings):
    return SequentialMNIST(data_dir=str(folder), val_size=10, batch_size=8, **settings)


def fails(folder, message, early=True):
    """Both the check before training (where it can be known early) and loading name what is missing."""
    for call in (data_module(folder).check_available, data_module(folder).setup)[0 if early else 1 :]:
        with pytest.raises(DataMissingError, match=message):
            call()


def rewrite(path, **columns):
    write_split(path.parents[1], "mnist", "train", 40, **columns)


def damage_pages(path):
    """The footer stays whole: what is damaged is seen when rows are read."""
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes(2000) + content[2200:])


def double_labels(path):
    table = pq.read_table(path)
    pq.write_table(pa.table([table[i] for i in (0, 1, 1)], ["image", "label", "label"]), path)


MISTAKES = {
    "no file": (os.unlink, r"mnist/train\.parquet does not exist: give .* or leave both out .* ylecun/mnist"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), r"mnist/train\.parquet is not a file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), r"mnist/train\.parquet is not a file"),
    "no Parquet": (lambda path: path.write_bytes(b"not Parquet at all"), "cannot be read as Parquet"),
    "damaged pages": (damage_pages, r"train\.parquet (cannot be read as Parquet|.*image)"),
    "no column": (
        lambda path: rewrite(path, label=None),
        r"train\.parquet: there must be one column 'label', got image",
    ),
    "labels of text": (
        lambda path: rewrite(path, label=pa.array(["seven"] * 40)),
        r"column 'label' must hold class numbers \(integers\), got string",
    ),
    "lists for images": (
        lambda path: rewrite(path, image=pa.array([[1, 2]] * 40)),
        "column 'image' must hold encoded images .*, got list",
    ),
    "two columns of one name": (double_labels, "must be one column 'label', got image, label, label"),
    "no row": (lambda path: write_split(path.parents[1], "mnist", "train", 0), r"train\.parquet is empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_file_that_is_not_what_it_should_be(image_dir, name):
    spoil, message = MISTAKES[name]
    spoil(image_dir / "mnist/train.parquet")
    fails(image_dir, message, early=name != "damaged pages")


NAMES = ["data [v2]", "run::3", "a*b?", "~x", "a~1#", " two  words ", "Größe", "-rf", "file:x", "s3:", "%41{a,b}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_literal(tmp_path, monkeypatch, name):
    write_split(tmp_path / "aXbY", "mnist", "test", 2)  # what the pattern a*b? would find
    write_split(tmp_path / name, "mnist", "test", 3)
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path / name), name):
        assert len(load(folder)[0]) == 3


@pytest.fixture
def no_home(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])


def test_the_environment_names_the_folder(image_dir, monkeypatch):
    monkeypatch.chdir(image_dir.parent)
    monkeypatch.setenv("HOME", str(image_dir.parent))
    expected = load(image_dir)[0]
    for name in (image_dir, image_dir.name, f"~/{image_dir.name}"):
        monkeypatch.setenv("RNNBENCH_DATA", str(name))
        assert torch.equal(load_images(MNIST, "test", None, (28, 28))[0], expected)
    monkeypatch.setenv("RNNBENCH_DATA", "")
    with pytest.raises(DataMissingError, match=r"jsb_chorales is not on the Hugging Face Hub .*: give data_dir"):
        Music().check_available()


def test_a_name_that_is_no_folder_is_refused(image_dir, monkeypatch, no_home):
    for name, message in (
        (image_dir / "mnist/test.parquet", r"RNNBENCH_DATA must name a folder, got the file .*test\.parquet"),
        ("~/data", "RNNBENCH_DATA must name a folder, got '~/data': .*home"),
    ):
        monkeypatch.setenv("RNNBENCH_DATA", str(name))
        with pytest.raises(DataMissingError, match=message):
            SequentialMNIST().check_available()
    with pytest.raises(DataMissingError, match="data_dir must name a folder, got an empty name"):
        SequentialMNIST(data_dir="").check_available()


def test_another_number_of_rows_than_published_is_warned_of_once(image_dir, caplog):
    for _ in range(2):
        load(image_dir)
    (warning,) = caplog.messages
    assert warning.endswith("test.parquet has 12 rows, not the published 10000: scores are not comparable")


def image_column(*encoded):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": item, "path": None} for item in encoded], kind)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"image": image_column(b"no image", b"")}, r"row 0 of .*test\.parquet is not an image"),
        ({"image": image_column(png(np.zeros((28, 28), np.uint8)), None)}, "row 1 of .* is not an image"),
        ({"image": image_column(*[png(np.zeros((8, 9), np.uint8))] * 2)}, r"row 0 .* shape \(28, 28\), got \(8, 9\)"),
        ({"label": pa.array([0, 10])}, "row 1 of .*: the label must be from 0 to 9, got 10"),
        ({"label": pa.array([None, 1], pa.int64())}, "row 0 of .*: the label must be from 0 to 9, got None"),
    ],
)
def test_a_damaged_row_is_named(image_dir, replaced, message):
    write_split(image_dir, "mnist", "test", 2, **replaced)
    fails(image_dir, message, early=False)


def test_images_may_be_plain_bytes(image_dir):
    expected = load(image_dir)[0]
    pixels = make_pixels("mnist", "test", TEST)[0]
    write_split(image_dir, "mnist", "test", TEST, image=pa.array([png(image) for image in pixels], pa.binary()))
    assert torch.equal(load(image_dir)[0], expected)


def count_decoding(monkeypatch):
    calls, decode = [], image_tensors._decode
    monkeypatch.setattr(image_tensors, "_decode", lambda *args: calls.append(args) or decode(*args))
    return calls


def test_images_are_decoded_once(image_dir, cache_dir, monkeypatch):
    decoded = count_decoding(monkeypatch)
    first, again = load(image_dir), load(image_dir)
    assert len(decoded) == 1
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert [path.suffix for path in cache_dir.iterdir()] == [".npz"]


def test_other_data_in_the_same_place_of_the_same_size_and_time_are_decoded_again(image_dir, tmp_path, monkeypatch):
    path = image_dir / "mnist/test.parquet"
    first, second = (pa.array([*labels, *range(3, 10), 0, 1]) for labels in ([1, 0, 2], [2, 0, 1]))
    write_split(image_dir, "mnist", "test", TEST, label=first)
    before = path.stat()
    assert load(image_dir)[1].tolist() == first.to_pylist()
    write_split(image_dir, "mnist", "test", TEST, label=second)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    real_data._content_hash.cache_clear()  # as in another process
    assert load(image_dir)[1].tolist() == second.to_pylist()
    # The same data elsewhere are not.
    decoded = count_decoding(monkeypatch)
    shutil.copytree(image_dir, tmp_path / "moved")
    load(tmp_path / "moved")
    assert not decoded


def test_columns_and_shapes_of_one_file_have_caches_of_their_own(image_dir):
    other = Origin("mnist", None, {"label": "class", "image": "image"}, MNIST.rows)
    names = {
        image_tensors._cache_name(origin, "test", "abc", shape)
        for origin, shape in ((MNIST, (28, 28)), (MNIST, (28, 28, 3)), (other, (28, 28)))
    }
    assert len(names) == 3


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 a torn archive"])
def test_a_damaged_cache_is_replaced(image_dir, cache_dir, monkeypatch, caplog, content):
    expected = load(image_dir)
    (path,) = cache_dir.iterdir()
    path.write_bytes(content)
    decoded = count_decoding(monkeypatch)
    for _ in range(2):
        assert torch.equal(load(image_dir)[0], expected[0])
    assert len(decoded) == 1
    assert "decoded again" in caplog.text


def test_an_unwritable_cache_costs_time_only(image_dir, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load(image_dir)[0]) == TEST
    assert "cannot be kept in" in caplog.text


def test_without_a_home_directory_nothing_is_kept(image_dir, monkeypatch, no_home, caplog):
    monkeypatch.setenv("RNNBENCH_CACHE", "")
    assert len(load(image_dir)[0]) == TEST
    assert "There is no home directory" in caplog.text


def test_what_a_killed_process_left_is_removed_after_a_day(image_dir, cache_dir):
    cache_dir.mkdir()
    for name, age in (("old.tmp", 25 * 3600), ("new.tmp", 60)):
        (cache_dir / name).write_bytes(b"half")
        os.utime(cache_dir / name, (time.time() - age,) * 2)
    load(image_dir)
    assert {path.suffix for path in cache_dir.iterdir()} == {".npz", ".tmp"}
    assert not (cache_dir / "old.tmp").exists()


def test_a_full_disk_leaves_no_rest(image_dir, cache_dir, monkeypatch, caplog):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        assert len(load(image_dir)[0]) == TEST
    assert "No space left" in caplog.text
    assert list(cache_dir.iterdir()) == []


def test_two_at_once_write_one_whole_cache(image_dir, cache_dir):
    results = []
    threads = [threading.Thread(target=lambda: results.append(load(image_dir))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(torch.equal(images, results[0][0]) for images, _ in results)
    assert len(list(cache_dir.iterdir())) == 1


@pytest.fixture
def hub(image_dir, monkeypatch):
    """A Hub that answers from the made files, and can be unplugged: ``hub.revision = None``."""
    import datasets
    import huggingface_hub

    state = types.SimpleNamespace(revision="abc123", asked=0)
    load_dataset = datasets.load_dataset

    def dataset_info(self, name, timeout):
        assert name == "ylecun/mnist"
        assert timeout <= 10
        state.asked += 1
        if state.revision is None:
            raise OSError("Name or service not known")
        return types.SimpleNamespace(sha=state.revision)

    def from_hub(name, split, revision=None, **options):
        if name == "parquet":
            return load_dataset(name, split=split, **options)
        assert (name, revision) == ("ylecun/mnist", "abc123")
        files = {split: str(image_dir / f"mnist/{split}.parquet")}
        return load_dataset("parquet", data_files=files, split=split, cache_dir=str(image_dir / "hub"))

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "load_dataset", from_hub)
    return state


def test_the_hub_gives_what_the_folder_gives(hub, image_dir):
    folder = load(image_dir)
    online = load_images(MNIST, "test", None, (28, 28))
    assert torch.equal(online[0], folder[0])
    assert torch.equal(online[1], folder[1])
    data = SequentialMNIST(val_size=10, batch_size=8)
    data.check_available()
    data.setup()


def test_without_the_hub_an_earlier_copy_is_used(hub, cache_dir, caplog):
    online = load_images(MNIST, "test", None, (28, 28))
    hub.revision = None
    (newest,) = cache_dir.iterdir()
    for name, age in (("aaa", 100), ("zzz", 50)):
        older = cache_dir / newest.name.replace("abc123", name)
        older.write_bytes(b"")
        os.utime(older, (newest.stat().st_mtime - age,) * 2)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(load_images(MNIST, "test", None, (28, 28))[0], online[0])
    assert f"Using the copy {newest}" in caplog.text
    newest.write_bytes(b"")
    with pytest.raises(DataMissingError, match="the only copy of ylecun/mnist here, is damaged"):
        load_images(MNIST, "test", None, (28, 28))


@pytest.mark.parametrize(
    ("home", "asked", "reason"),
    [
        ("~/.cache/huggingface", 0, "needs a home directory: .* HF_HOME, or give"),
        ("cache", 1, "service not known.*give data_dir.*RNNBENCH_DATA"),
    ],
)
def test_without_the_hub_or_a_home_the_message_helps(hub, monkeypatch, home, asked, reason):
    monkeypatch.setattr("datasets.config.HF_CACHE_HOME", home)
    hub.revision = None
    with pytest.raises(DataMissingError, match=rf"ylecun/mnist \(train\).*{reason}"):
        SequentialMNIST().check_available()
    assert hub.asked == asked


def test_offline_without_data_ends_with_one_clear_error(tmp_path):
    # In a process of its own: also the place to see that importing the tasks loads no library for data.
    script = (
        "import sys\nfrom rnnbench.datamodules import SequentialMNIST\n"
        "print([name for name in ('datasets', 'sklearn', 'pyarrow') if name in sys.modules])\n"
        "SequentialMNIST().check_available()"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]"
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("rnnbench.datamodules.real_data.DataMissingError: ylecun/mnist (train)")
    assert "give data_dir" in message
    assert "Retry" not in done.stderr
