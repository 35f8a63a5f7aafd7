"""environment.yml, pyproject.toml and requirements.txt name the same packages."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAME = {
    "matplotlib": "matplotlib-base",
    "playwright": "playwright-python",
    "torch": "pytorch",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*([<>=!~][^;#]*)?")


def requirements(lines):
    """Return {name: version bounds}, both in one spelling."""
    found = (REQUIREMENT.match(line.strip()).groups() for line in lines)
    return {
        re.sub(r"[-_.]+", "-", name).lower(): (bounds or "").replace(" ", "")
        for name, bounds in found
    }


def declared():
    """Return what pyproject.toml asks for, the extras included."""
    extras = PROJECT["optional-dependencies"].values()
    return requirements(sum(extras, start=PROJECT["dependencies"]))


def pins():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def release(version):
    return tuple(int(part) for part in version.split("."))


def test_environment_yml_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = requirements(environment["dependencies"])
    assert conda.pop("pip") == ""
    wanted = {CONDA_NAME.get(name, name): bounds for name, bounds in declared().items()}
    assert conda == wanted | {"python": PROJECT["requires-python"]}
    assert environment["channels"] == ["conda-forge"]
    assert environment["name"] == PROJECT["name"]


@pytest.mark.parametrize("name", sorted(declared()))
def test_every_dependency_is_pinned_within_its_bounds(name):
    pin, bound = requirements(pins())[name], declared()[name]
    assert pin.startswith("==") and bound.startswith(">=")
    assert release(pin[2:]) >= release(bound[2:])


def test_pins_hold_on_any_host():
    for line in pins():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+( ; [^:]+)?", line), line
        assert not re.match(r"(nvidia|cuda|triton)", line), f"{line} follows torch's own pin"
