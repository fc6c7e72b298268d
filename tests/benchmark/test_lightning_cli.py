"""``rnnbench fit|validate|test``: any task, recurrence and Trainer option; mistakes name the nearest known word."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main

# Our loaders hold tensors and need no workers; the loggers and devices that Lightning advertises are not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore:No seed found"),
    pytest.mark.filterwarnings("ignore:Starting from v1.9.0"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    # lightning 2.6 calls jsonargparse 4.53 by names that it is going to drop.
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]

FIT = (
    "fit --data Adding --data.length 8 --data.train_size 64 --data.val_size 20 --data.test_size 20 "
    "--data.batch_size 32 --model.recurrence StackedRNN --model.recurrence.layer LSTM "
    "--model.recurrence.layer.hidden_size 4 --model.recurrence.num_layers 2 --model.instances [0,1] "
    "--trainer.max_epochs 2 --trainer.log_every_n_steps 1 --trainer.enable_progress_bar false "
    "--trainer.enable_model_summary false "
)


@pytest.fixture
def rnnbench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, as the console script calls it."""

    def call(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["rnnbench", *words])
        return main()

    return call


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fit_then_test_with_the_configuration_it_wrote(
    rnnbench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert rnnbench(*FIT.split()) == 0
    (config,) = tmp_path.glob("**/config.yaml")
    (checkpoint,) = tmp_path.glob("**/*.ckpt")
    assert "StackedRNN" in config.read_text(encoding="utf-8")
    assert rnnbench("fit", "--config", str(config), "--trainer.max_epochs", "1") == 0
    data_and_model = FIT.split()[1 : FIT.split().index("--trainer.max_epochs")]
    assert rnnbench("test", *data_and_model, "--ckpt_path", str(checkpoint)) == 0
    assert "test/rmse" in capsys.readouterr().out

    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(checkpoint.read_bytes()[:1000])
    assert rnnbench("test", *data_and_model, "--ckpt_path", str(damaged)) == 2
    assert f"checkpoint {damaged} is damaged" in capsys.readouterr().err
    assert rnnbench("validate", *data_and_model, "--ckpt_path", "nowhere.ckpt") == 2
    assert "nowhere.ckpt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ("fit --data Ading", ["unknown class 'Ading'", "did you mean Adding?"]),
        ("fit --data Adding --data.lenght 9", ["'lenght'", "did you mean length"]),
        ("fit --data Adding --data.length nine", ["length", "int", "nine"]),
        (FIT + "--model.recurrence LTSM", ["unknown class 'LTSM'", "did you mean LSTM?"]),
        (FIT + "--model.recurrence LSTM --model.recurrence.hiden_size 3", ["did you mean hidden_size"]),
        (FIT + "--trainer.max_step 3", ["unknown option '--trainer.max_step'", "did you mean --trainer.max_steps?"]),
        (FIT + "--model.optimzer sgd", ["unknown option '--model.optimzer'", "did you mean --model.optimizer?"]),
        (FIT + "--data.length 0", ["length is 0", "at least 2"]),
        (FIT + "--model.recurrence.num_layers 0", ["num_layers must be at least 1, got 0"]),
        (FIT + "--trainer.gradient_clip_val 1", ["use model.gradient_clip_norm"]),
        (FIT.replace("Adding --data.length 8", "SequentialMNIST --data.data_dir nowhere"), ["train_size"]),
    ],
)
def test_mistakes(rnnbench, words: str, fragments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert rnnbench(*words.split()) == 2
    message = capsys.readouterr().err
    assert message.splitlines()[-1].startswith("error: ")
    assert all(fragment in message for fragment in fragments), message


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("options", ["--trainer.barebones true", "--trainer.log_every_n_steps 0"])
def test_fit_without_logging(rnnbench, options: str) -> None:
    kept = [option for option in FIT.split("--trainer.") if "progress_bar" not in option and "summary" not in option]
    words = "--trainer.".join(kept).replace("--trainer.log_every_n_steps 1", "")
    assert rnnbench(*words.split(), *options.split(), "--trainer.accelerator", "cpu") == 0
