"""``rnnbench fit|validate|test``: any task, recurrence and Trainer option; mistakes name the nearest known word."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.command.lightning_cli import with_presets
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel

# lightning 2.6 calls jsonargparse 4.53 by names that it is going to drop. All other warnings fail a test.
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")

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


def test_fit_takes_a_preset_and_says_nothing_that_was_not_asked_for(rnnbench, capfd, tmp_path) -> None:
    words = FIT[: FIT.index("--model.recurrence")] + FIT[FIT.index("--trainer.") :]
    preset = "--model.recurrence=Elman_res+clip --model.recurrence.hidden_size 3"
    assert rnnbench(*f"{words} {preset} --trainer.accelerator cpu --trainer.log_every_n_steps 50".split()) == 0
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if not re.search("GPU available|`Trainer.fit` stopped", line)] == []
    (config,) = tmp_path.glob("**/config.yaml")
    model = yaml.safe_load(config.read_text(encoding="utf-8"))["model"]
    assert (model["recurrence"]["class_path"], model["gradient_clip_norm"]) == ("rnnbench.WCRNN", 1.0)
    assert [model["recurrence"]["init_args"][name] for name in ("form", "hidden_size")] == ["B", 3]
    # What is given besides comes later, and so counts.
    written_out = with_presets(["fit", "--model.schedule", "constant", "--model.recurrence", "S4_33"])
    assert written_out.index("--model.schedule=cosine") < written_out.index("--model.schedule")


def test_fit_then_test_with_the_configuration_it_wrote(rnnbench, capsys, tmp_path) -> None:
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
        (FIT + "--model.recurrence WCRNN_bst", ["unknown class 'WCRNN_bst'", "did you mean WCRNN_best?"]),
        (FIT.replace("layer LSTM", "layer LSTM_47"), ["preset LSTM_47", '{"class_path": "LSTM"']),
        (FIT + "--model.recurrence LSTM --model.recurrence.hiden_size 3", ["did you mean hidden_size"]),
        (FIT + "--trainer.max_step 3", ["unknown option '--trainer.max_step'", "did you mean --trainer.max_steps?"]),
        (FIT + "--model.optimzer sgd", ["unknown option '--model.optimzer'", "did you mean --model.optimizer?"]),
        (FIT + "--data.length 0", ["length must be at least 2, got 0"]),
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


REFUSED = {
    "--trainer.max_steps -5": "trainer.max_steps must be at least -1, got -5",
    "--trainer.devices 0": "`Trainer(devices='0')` value is not a valid input",
    "--trainer.devices 99999999": "trainer.devices must be at most",
    "--trainer.val_check_interval 100": "`val_check_interval` (100) must be less than or equal to the number of",
    "--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=val_loss": "`val_loss` which is not available",
    "--trainer.profiler nonsense": "it can only be one of",
    "--trainer.logger nonsense": "trainer.logger: unknown class 'nonsense': write its import path",
    "--ckpt_path best": '(ckpt_path="best")` is set but `ModelCheckpoint` is not configured',
    "--model.recurrence.hidden_size 1000000000": "the sizes given are too large for the memory",
    "--seed_everything -1": "seed_everything must be from 0 to 4294967295, got -1",
    "--config binary.yaml": "--config: not text in UTF-8",
}
SLOWLY_REFUSED = [
    *("max_epochs -3", "min_epochs -3", "min_steps -3", "max_steps 1.5", "max_time nonsense", "max_time 00:00:00:-5"),
    *("devices -1", "devices -7", "devices []", "devices abc", "accelerator tpu", "accelerator nonsense"),
    *("accelerator mps", "num_nodes 0", "num_nodes -1", "strategy nonsense", "strategy fsdp", "strategy deepspeed"),
    *("precision 17", "precision transformer-engine", "plugins nonsense", "plugins [1]"),
    *("limit_train_batches -1", "limit_train_batches 1.5", "limit_train_batches 0.0000001", "limit_train_batches nan"),
    *("limit_val_batches -0.5", "limit_val_batches 7.5", "overfit_batches -1", "overfit_batches 2.5"),
    *("val_check_interval -1", "val_check_interval 0", "val_check_interval 1.5", "check_val_every_n_epoch 0"),
    *("check_val_every_n_epoch -1", "check_val_every_n_epoch null --trainer.val_check_interval 0.5"),
    *("log_every_n_steps -1", "num_sanity_val_steps -2", "fast_dev_run -1", "accumulate_grad_batches 0"),
    *("accumulate_grad_batches -1", "accumulate_grad_batches 1.5", "gradient_clip_val -1"),
    *("gradient_clip_algorithm nonsense", "deterministic nonsense", "benchmark maybe", "inference_mode 7"),
    *("callbacks nonsense", "callbacks EarlyStopping", "callbacks+=LearningRateMonitor"),
    *("callbacks+=DeviceStatsMonitor", "callbacks+=ModelCheckpoint --trainer.callbacks.save_top_k=-5"),
    "logger CSVLogger",
    *("default_root_dir /dev/null", "default_root_dir /proc/x --trainer.enable_checkpointing true"),
    *("reload_dataloaders_every_n_epochs -1", "use_distributed_sampler 3", "detect_anomaly 5"),
    "barebones true --trainer.enable_checkpointing true",
]
SLOWLY_REFUSED = [f"--trainer.{words}" for words in SLOWLY_REFUSED] + [
    *(f"--ckpt_path {path}" for path in ("hpc", "registry", "nowhere.ckpt", ".", "binary.yaml")),
    *("--seed_everything 4294967296", "--seed_everything x", "--weights_only maybe", "--optimizer Adam"),
    *("--model.weight_decay -1", "--model.weight_decay nan", "--model.optimizer sgd --model.momentum -1"),
    *("--model.betas [2,3]", "--model.betas [0.9]", "--model.warmup_steps -5", "--model.learning_rate -1"),
    *("--model.learning_rate inf", "--model.learning_rate [0.1,0.2]", "--model.instances []", "--model.instances 3"),
    *("--model.gradient_clip_norm nan", "--model.gradient_clip_norm -1", "--model.stability_input_bound -1"),
    *("--model.recurrence.hidden_size -3", "--model.recurrence.hidden_size 99999999999999999999"),
    *("--model.recurrence StackedRNN", "--model.recurrence os.path.join", "--model.recurrence torch.nn.LSTM"),
    *("--data.seed -1", "--data.batch_size 0", "--data.batch_size 1000000", "--data.train_size 100000000000"),
    *("--data.length 100000000000", "--data.length 1e3", "--data.eval_batch_size 0"),
    *("--config nowhere.yaml", "--config .", "--config deep.yaml", "--config list.yaml", "--config cut.yaml"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        *(pytest.param(words, message, id=words) for words, message in REFUSED.items()),
        *(pytest.param(words, "", id=words, marks=pytest.mark.slow) for words in SLOWLY_REFUSED),
    ],
)
def test_what_lightning_jsonargparse_or_torch_refuse_is_one_line(rnnbench, words, message, capsys, tmp_path) -> None:
    contents = {"deep": b"[" * 5000 + b"]" * 5000, "list": b"[1, 2]", "cut": b"a: [1\nb: {", "binary": b"\xca\xfe\x80"}
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_bytes(content)
    small = "--model.recurrence LSTM --model.recurrence.hidden_size 4 --trainer.max_epochs 1 --trainer.logger false "
    quiet = "--trainer.enable_progress_bar false --trainer.enable_model_summary false --trainer.accelerator cpu "
    writes = "" if "enable_checkpointing" in words else "--trainer.enable_checkpointing false "
    sizes = " ".join(FIT.split()[: FIT.split().index("--model.recurrence")]) + " "
    assert rnnbench(*(sizes + small + quiet + writes + words).split()) == 2
    error = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert message in error
    assert len(error) < 700


def test_a_fault_of_ours_keeps_its_traceback(rnnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.lit_models.lit_sequence_model.training_loss", None)
    with pytest.raises(TypeError, match="not callable"):
        rnnbench(*FIT.split(), "--trainer.accelerator", "cpu")


def test_class_in_the_current_folder_is_found(rnnbench, tmp_path: Path) -> None:
    cell = "from rnnbench import ElmanRNN\n\n\nclass OwnCell(ElmanRNN):\n    pass\n"
    (tmp_path / "cell_of_a_user.py").write_text(cell, encoding="utf-8")
    words = FIT.replace("StackedRNN --model.recurrence.layer LSTM", "cell_of_a_user.OwnCell")
    words = words.replace("layer.hidden_size", "hidden_size").replace("--model.recurrence.num_layers 2 ", "")
    assert rnnbench(*words.split(), "--trainer.accelerator", "cpu") == 0


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("options", ["--trainer.barebones true", "--trainer.log_every_n_steps 0"])
def test_fit_without_logging(rnnbench, options: str) -> None:
    kept = [option for option in FIT.split("--trainer.") if "progress_bar" not in option and "summary" not in option]
    words = "--trainer.".join(kept).replace("--trainer.log_every_n_steps 1", "")
    assert rnnbench(*words.split(), *options.split(), "--trainer.accelerator", "cpu") == 0


@pytest.mark.parametrize("step", [1, 3])
def test_an_interrupted_fit_says_from_where_it_goes_on(step, rnnbench, monkeypatch, capsys, tmp_path):
    def interrupted(model, batch, batch_idx):
        if model.global_step == step:
            raise KeyboardInterrupt
        return training_step(model, batch, batch_idx)

    training_step = LitSequenceModel.training_step
    monkeypatch.setattr(LitSequenceModel, "training_step", interrupted)
    assert rnnbench(*FIT.split()) == 130
    error = capsys.readouterr().err.splitlines()[-1]
    if step == 1:
        assert error == "interrupted: no checkpoint was saved yet, so the same command trains from the start"
        return
    (checkpoint,) = tmp_path.glob("**/*.ckpt")
    assert error.endswith(f"from the start; with --ckpt_path {checkpoint} it goes on from there")
    steps: list[int] = []
    monkeypatch.setattr(LitSequenceModel, "on_train_batch_start", lambda model, *_: steps.append(model.global_step))
    monkeypatch.setattr(LitSequenceModel, "training_step", training_step)
    assert rnnbench(*FIT.split(), "--ckpt_path", str(checkpoint)) == 0
    assert steps == [2, 3]
