"""What `make results` would run, asked of snakemake without running anything."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from qoe_core.datasets import catalog
from qoe_core.paths import FIGURES, PARAMS, ROOT

NOTEBOOKS = {  # by rule; 02_train has rules of its own
    "data": "00_data",
    "features": "01_features",
    "tables": "03_results",
    "traces": "04_traces",
    "protocol": "05_protocol",
    "attention": "06_attention",
    "explorer": "07_explorer",
    "ablation": "08_ablation",
    "overall": "09_overall",
}
JOB = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
TRAINED = re.compile(r"train_(\w+)_(ours|networks|quick)")


def asked(folder: Path, datasets: Sequence[str] = ()) -> Mapping[str, int]:
    """How many jobs of each rule there are with empty runs, and empty folders as `datasets`."""
    for dataset in datasets:
        (folder / "data" / catalog.CATALOG[dataset].folder).mkdir(parents=True)
    where = {"QOE_FIGURES": str(FIGURES), "QOE_RUNS": str(folder / "runs")}
    where["QOE_DATA"] = str(folder / "data") if datasets else ""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2"]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | where, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {rule: int(count) for rule, count in JOB.findall(ran.stdout + ran.stderr)}


def variants(notebook: str, datasets: Sequence[str]) -> list[str]:
    """Those that params/ has of a notebook, of these data sets."""
    stems = sorted(path.stem for path in PARAMS.glob(f"{notebook}--*.yaml"))
    of = {stem: yaml.safe_load((PARAMS / f"{stem}.yaml").read_text()) for stem in stems}
    return [stem.split("--", 1)[1] for stem in stems if of[stem]["dataset"] in datasets]


def trained(jobs: Mapping[str, int]) -> set[str]:
    """Variants with a job of 02_train, as names of rules have them."""
    return {found[1] for found in map(TRAINED.fullmatch, jobs) if found}


@pytest.fixture(scope="module")
def human(tmp_path_factory):
    """With all data sets, in a clone whose figures are there."""
    return asked(tmp_path_factory.mktemp("human"), list(catalog.CATALOG))


@pytest.mark.parametrize(("rule", "notebook"), NOTEBOOKS.items())
def test_every_variant_of_a_notebook_is_run_though_its_figures_are_there(human, rule, notebook):
    assert human.get(rule, 0) == len(variants(notebook, list(catalog.CATALOG)))


def test_the_peers_of_all_data_sets_are_in_one_table(human):
    assert human["peers"] == 1


def test_all_that_params_train_has_a_job(human):
    named = variants("02_train", list(catalog.CATALOG))
    assert trained(human) == {name.replace("-", "_") for name in named}


def test_what_the_protocol_chapter_stops_on_related_videos_is_trained_by_one_job(human):
    assert human["train_stall2__released_related_networks"] == 1
    assert "train_stall2__released_related_quick" not in human


@pytest.mark.parametrize(
    "path", sorted(PARAMS.glob("02_train--*--released-related.yaml")), ids=lambda path: path.stem
)
def test_what_stops_on_related_videos_is_trained_as_the_protocol_chapter_has_it(path):
    """The chapter refuses it otherwise, but not before it was trained."""
    train = yaml.safe_load(path.read_text())
    (of_chapter,) = PARAMS.glob(f"05_protocol--{train['dataset']}--*.yaml")
    chapter = yaml.safe_load(of_chapter.read_text())
    same = ["qos", "quality", "own", "batch_size", "n_epochs"]
    assert {name: train[name] for name in same} == {name: chapter[name] for name in same}
    assert train["seeds"] == chapter.get("stopping_seeds", [0])
    assert train["split"] in chapter["trained"]


def test_without_data_all_is_simulated(tmp_path):
    jobs = asked(tmp_path)
    assert [jobs[rule] for rule in NOTEBOOKS] == [1] * len(NOTEBOOKS)
    assert {variant.split("__")[0] for variant in trained(jobs)} == {"simulated"}


def test_of_one_data_set_nothing_else_is_run(tmp_path):
    jobs = asked(tmp_path, ["lfovia"])
    assert jobs["tables"] == len(variants("03_results", ["lfovia"]))
    assert {variant.split("__")[0] for variant in trained(jobs)} == {"lfovia"}
