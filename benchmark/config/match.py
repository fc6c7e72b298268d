"""Networks of as many parameters: ``match: {parameters: 10000}`` finds the hidden size for each task."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from rnnbench.benchmark.config.construct import MOST_PARAMETERS, build_data_module, recurrence_factory
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import find_class, find_preset, resolve_spec, with_arguments
from rnnbench.benchmark.config.validation import Model
from rnnbench.benchmark.errors import UserError
from rnnbench.leaderboard.settings import Config

_SIZE = "hidden_size"


class MatchSettings(Model):
    """What the hidden size of a network is found by.

    Attributes:
        parameters: the largest size with at most so many trainable parameters is taken, encoder and readout included.
    """

    key_name: ClassVar[str] = "key of 'match'"

    parameters: Annotated[int, Field(ge=1, le=MOST_PARAMETERS)]


def with_matched_size(spec: Section, match: MatchSettings, config: Config, where: str) -> Section:
    """Return the recurrence of a network, as written, with the hidden size that the parameters allow on a task.

    The task's configuration is resolved, with training settings and seed; ``where`` begins messages.

    Raises:
        UserError: the network has no hidden size, or none that meets the number.
    """
    path = _path(spec, where)
    if path is None:
        raise UserError(f"{where}: match needs a recurrence with the argument {_SIZE}, or one inside it")
    task = build_data_module(config).task

    def sized(size: int) -> Section:
        arguments = Section({_SIZE: size})
        for name in reversed(path):
            arguments = Section({name: Section({"init_args": arguments})})
        return with_arguments(spec, arguments)

    def build(size: int) -> Any:
        from rnnbench.lit_models.network import Network

        factory = recurrence_factory(resolve_spec("recurrence", sized(size), where))
        return Network.of(factory(task.input_size), task)

    from rnnbench.lit_models.parameter_budget import hidden_size_for

    try:
        return sized(hidden_size_for(match.parameters, build))
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # the class may be the user's, and fail in any way
        raise UserError(f"{where}: match: {error}") from error


def _path(spec: Section, where: str) -> list[str] | None:
    """Return the arguments that lead to the recurrence whose hidden size is sought; empty for the outermost one."""
    class_path, given = spec.get("class_path"), spec.get("init_args") or Section()
    if "preset" in spec:
        class_path = find_preset(spec["preset"], where).recurrence["class_path"]
    if _SIZE in [argument.name for argument in find_class("recurrence", class_path, where).arguments]:
        return []
    for name, value in given.items():
        if isinstance(value, Section) and ("class_path" in value or "preset" in value):
            inner = _path(value, where)
            if inner is not None:
                return [name, *inner]
    return None
