"""The pins of constraints.txt against what the pinned packages ask for, on every system and Python of rnnbench."""

import json
import re
import subprocess
import sys
from email import message_from_string
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import rnnbench

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = {canonicalize_name(pin.name): pin for pin in map(Requirement, (x for x in LINES if x and x[0] != "#"))}
SYSTEMS = (
    ("linux", "Linux", "posix", "x86_64"),
    ("linux", "Linux", "posix", "aarch64"),
    ("darwin", "Darwin", "posix", "arm64"),
    ("win32", "Windows", "nt", "AMD64"),
)
NAMES = ("sys_platform", "platform_system", "os_name", "platform_machine", "python_version", "python_full_version")
ENVIRONMENTS = [
    dict(zip(NAMES, (*system, f"3.{minor}", f"3.{minor}.0"), strict=True))
    for system in SYSTEMS
    for minor in range(10, 15)
]
EXTRAS = {canonicalize_name(line.name): line.extras for line in map(Requirement, requires("rnnbench"))}
CONFLICTING = """\
Requires-Python: >=3.10
Requires-Dist: triton==3.7.0; platform_system == "Linux"
Requires-Dist: numpy<2; extra == "signatures"
"""


def pinned(name: str) -> str:
    return next(iter(PINS[name].specifier)).version


def holds(requirement: Requirement, environment: dict[str, str], extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in {"", *extras})


def conflicts(name: str, metadata: str) -> list[str]:
    """What a pinned release asks for that the pins refuse, in an environment where its own pin applies."""
    found, extras = set(), EXTRAS.get(name, set())
    message = message_from_string(metadata)
    wanted = [(canonicalize_name(r.name), r) for r in map(Requirement, message.get_all("Requires-Dist", []))]
    pythons = SpecifierSet(message.get("Requires-Python", ""))
    for environment in (e for e in ENVIRONMENTS if holds(PINS[name], e, set())):
        if not pythons.contains(environment["python_full_version"]):
            found.add(f"{name} needs Python {pythons}")
        for other, requirement in wanted:
            if other not in PINS or requirement.specifier.contains(pinned(other), prereleases=True):
                continue
            if holds(requirement, environment, extras) and holds(PINS[other], environment, set()):
                found.add(f"{name} needs {requirement}, pinned is {PINS[other]}")
    return sorted(found)


def installed_metadata(name: str) -> str | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return found.read_text("METADATA") if found.version == pinned(name) else None


@pytest.fixture(scope="module")
def index_metadata() -> dict[str, str | None]:
    """METADATA by name: of the index's wheel or, where the index serves it only inside, of the installed one."""
    pins = [f"{name}=={pinned(name)}" for name in PINS]
    script = [sys.executable, ROOT / "tests" / "package_index.py", *pins]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)
    if re.search("URLError|timed out|TimeoutError", done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    served = {pin.split("==")[0]: text for pin, text in json.loads(done.stdout).items()}
    assert served["torch"], "the index serves no metadata of torch"
    return {name: served[name] or installed_metadata(name) for name in PINS}


@pytest.mark.slow
@pytest.mark.parametrize("name", PINS)
def test_pins_fit_what_the_wheels_of_the_index_ask_for(name: str, index_metadata: dict[str, str | None]) -> None:
    if index_metadata[name] is None:
        pytest.skip(f"the index serves no metadata of {name} apart from its wheel, and it is not installed")
    assert not conflicts(name, index_metadata[name])


def test_pins_fit_what_the_installed_packages_ask_for() -> None:
    known = {name: text for name in PINS if (text := installed_metadata(name))}
    assert len(known) > 50
    assert not [line for name, text in known.items() for line in conflicts(name, text)]


def test_conflicts_are_found() -> None:
    (line,) = conflicts("torch", CONFLICTING)
    assert line == f'torch needs triton==3.7.0; platform_system == "Linux", pinned is {PINS["triton"]}'
    assert len(conflicts("jsonargparse", CONFLICTING.replace("3.10", "3.11"))) == 3


def test_every_dependency_is_pinned_within_its_range() -> None:
    assert {next(iter(pin.specifier)).operator for pin in PINS.values()} == {"=="}
    for line in requires("rnnbench"):
        requirement = Requirement(line)
        if requirement.name != "rnnbench":
            assert requirement.specifier.contains(pinned(canonicalize_name(requirement.name))), line


def test_version_is_the_installed_one() -> None:
    assert version("rnnbench") == rnnbench.__version__
