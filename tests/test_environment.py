"""What is needed (pyproject.toml), what was tested (constraints.txt) and what conda reads agree."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

from qoe_core.paths import ROOT

PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(PYPROJECT_TEXT)["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(item for extra in EXTRAS.values() for item in extra)]
PINS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, str)]
PIP = next(item["pip"] for item in ENVIRONMENT["dependencies"] if isinstance(item, dict))


@pytest.mark.parametrize("spec", CONDA)
def test_conda_can_read_every_spec(spec):
    assert MatchSpec(spec, strict=True).name is not None


def test_conda_takes_the_python_of_pyproject():
    python = next(spec for spec in CONDA if spec.startswith("python "))
    assert SpecifierSet(python.removeprefix("python ")) == SpecifierSet(PROJECT["requires-python"])


def test_conda_lets_pip_install_every_extra_under_the_constraints():
    constraints, package = PIP
    assert constraints == "-c constraints.txt"
    folder, extras = re.fullmatch(r"-e (.+)\[(.+)\]", package).groups()
    assert folder == "."
    assert sorted(extras.split(",")) == sorted(EXTRAS)


def test_make_installs_every_extra_under_the_constraints():
    commands = re.findall(r"pip install (.+)", (ROOT / "Makefile").read_text())
    assert commands == [f"-qq -c constraints.txt -e '.[{','.join(EXTRAS)}]'"]


@pytest.mark.parametrize("line", PINS)
def test_every_constraint_is_one_exact_public_version(line):
    pin = Requirement(line)
    (specifier,) = pin.specifier
    assert line == f"{canonicalize_name(pin.name)}=={specifier.version}"
    assert Version(specifier.version).local is None


def test_constraints_are_sorted_and_name_nothing_twice():
    names = [line.partition("==")[0] for line in PINS]
    assert names == sorted(set(names))


def test_constraints_name_no_package_that_only_one_kind_of_machine_can_install():
    assert [line for line in PINS if line.startswith(("nvidia-", "cuda-", "triton", "pywin"))] == []


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_the_tested_version_satisfies_the_requirement(requirement):
    wanted = Requirement(requirement)
    versions = [
        line.partition("==")[2]
        for line in PINS
        if line.startswith(f"{canonicalize_name(wanted.name)}==")
    ]
    assert len(versions) == 1
    assert versions[0] in wanted.specifier


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_dependency_says_what_it_is_for(requirement):
    assert re.search(rf'^ +"{re.escape(requirement)}", +# \w', PYPROJECT_TEXT, re.MULTILINE)
