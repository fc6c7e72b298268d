"""Source of a user's own classes, as records name it: whether two records are of the same, and score by the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rnnbench.leaderboard.schema import OwnCode, Record


def compared_source(code: Iterable[OwnCode]) -> Callable[[OwnCode], tuple[str, str]]:
    """Return what gives the module and the hash by which some code, of older and newer records, is compared.

    Older records have the hash of a whole package: it stands for that of what the module uses, as newer ones have both.
    """
    known = {(one.module, one.package): one.source for one in code if one.package}
    return lambda one: (one.module, known.get((one.module, one.source), one.source))


def source_change(old: Iterable[OwnCode], new: Iterable[OwnCode]) -> str:
    """Return which modules of a user's own differ in source, with the short hashes of both; empty if none does.

    >>> code = {"version": None, "commit": None, "dirty": None}
    >>> source_change([OwnCode(module="mylab", source="0123456789", **code)], [])
    'mylab 01234567 → none'
    """
    old, new = list(old), list(new)
    source = compared_source([*old, *new])
    before, after = ({module: found[:8] for module, found in map(source, code)} for code in (old, new))
    modules = sorted(before.keys() | after.keys())
    changed = [name for name in modules if before.get(name) != after.get(name)]
    return ", ".join(f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}" for name in changed)


def class_paths(spec: object) -> Iterator[str]:
    """Yield the import paths of all classes that a part of a configuration names.

    >>> list(class_paths({"class_path": "mylab.Stack", "init_args": {"layer": {"class_path": "LSTM"}}}))
    ['mylab.Stack', 'LSTM']
    """
    if isinstance(spec, Mapping):
        if isinstance(spec.get("class_path"), str):
            yield spec["class_path"]
        for inner in spec.values():
            yield from class_paths(inner)


def scoring_change(one: Record, other: Record) -> str:
    """Return which modules that two records share differ in source, with both hashes; empty if none does.

    Those of a task and its metrics are shared, and what both networks derive from; modules that a configuration names
    for a recurrence alone are not looked at, since that networks differ is what a comparison is about.
    """
    ours, theirs = _of_task(one), _of_task(other)
    both = {code.module for code in ours} & {code.module for code in theirs}
    return source_change(*([code for code in each if code.module in both] for each in (ours, theirs)))


def _of_task(record: Record) -> list[OwnCode]:
    if not record.own_code:
        return []
    of = {part: {path.rpartition(".")[0] for path in class_paths(record.config.get(part))} for part in record.config}
    networks = of.get("recurrence", set()) - of.get("task", set())
    return [code for code in record.own_code if code.module not in networks]
