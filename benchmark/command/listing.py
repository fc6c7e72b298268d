"""``rnnbench list``: what there is, without importing torch."""

import dataclasses
import json
from typing import Any

from rnnbench.benchmark.config.specs import Kind, registered
from rnnbench.benchmark.config.suite import load_suite, suite_budgets, suite_files
from rnnbench.benchmark.measures import MEASURES, measure_class
from rnnbench.lit_models.presets import PRESETS


def list_section(section: str) -> dict[str, Any]:
    """Return what there is of a section, as JSON data; beside ``recurrences`` stand ``presets``."""
    if section == "measures":
        return {"measures": [_measure(name) for name in MEASURES]}
    if section == "suites":
        return {"suites": [_suite(name) for name in suite_files()]}
    kind: Kind = "task" if section == "tasks" else "recurrence"
    presets = [
        {"name": name, "recurrence": p.recurrence, "training": p.training} for name, p in sorted(PRESETS.items())
    ]
    found = {section: [dataclasses.asdict(cls) for cls in registered(kind).values()]}
    return found if section == "tasks" else {**found, "presets": presets}


def _measure(name: str) -> dict[str, Any]:
    cls = measure_class(name)
    settings = {name: setting.default for name, setting in cls.model_fields.items()}
    return {"name": name, "summary": (cls.__doc__ or "").split("\n")[0], "settings": settings}


def _suite(name: str) -> dict[str, Any]:
    suites = [load_suite(name, budget) for budget in suite_budgets(name)]
    sizes = {suite.budget: {"experiments": len(suite.experiments), "instances": suite.instances} for suite in suites}
    return {"name": name, "title": suites[0].title, "source": suites[0].source, "budgets": sizes}


def render(sections: list[str], as_json: bool) -> str:
    """Return the listing of some sections, for people or as JSON."""
    found: dict[str, Any] = {}
    for section in sections:
        found |= list_section(section)
    if as_json:
        return json.dumps(found, indent=2)
    return "\n\n".join("\n".join([f"{name}:", *map(_line, entries)]) for name, entries in found.items())


def _line(entry: dict[str, Any]) -> str:
    name = entry["name"]
    if "budgets" in entry:
        sizes = entry["budgets"].items()
        budgets = (f"{budget} {size['experiments']} × {size['instances']} instances" for budget, size in sizes)
        source = f"\n      reproduces {entry['source']}" if entry["source"] else ""
        return f"  {name:<18} {entry['title']}  ({', '.join(budgets)}){source}"
    if "recurrence" in entry:
        values = ", ".join(f"{key}={value}" for key, value in entry["recurrence"]["init_args"].items())
        training = "".join(f", {key}={value}" for key, value in entry["training"].items())
        return f"  {name:<22} {entry['recurrence']['class_path']}({values}){training}"
    if "settings" in entry:
        given = {key: repr(value) for key, value in entry["settings"].items()}
    else:
        given = {argument["name"]: argument["default"] for argument in entry["arguments"]}
    values = ", ".join(key if value is None else f"{key}={value}" for key, value in given.items())
    return f"  {name}({values})\n      {entry['summary']}"
