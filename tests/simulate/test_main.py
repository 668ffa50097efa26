"""The command line: where it builds, and what it says."""

import dataclasses
import json

import pytest

from qoe_core import paths
from qoe_core.simulate.__main__ import main


@pytest.fixture
def params(make_config, tmp_path):
    """Parameter file of the tiny corpus; JSON is YAML."""
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(dataclasses.asdict(make_config())))
    return path


@pytest.mark.parametrize("given", [True, False], ids=["--to", "QOE_CORPORA"])
def test_the_command_builds_where_it_was_told(copied, params, capsys, monkeypatch, given):
    to = ["--to", str(copied.parent)] if given else []
    monkeypatch.setattr(paths, "CORPORA", copied.parent)
    (copied / "corpus.json").unlink()
    assert main(["simulated_tiny", "--params", str(params), "--workers", "1", *to]) == 0
    assert capsys.readouterr().out == f"simulated_tiny is complete in {copied}.\n"
    assert (copied / "corpus.json").exists()


def test_parameters_are_found_by_the_name_of_the_corpus(monkeypatch, tmp_path, capsys):
    (tmp_path / "simulate--simulated_mine.yaml").write_text("colour: red")
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    assert main(["simulated_mine"]) == 1
    assert "simulate--simulated_mine.yaml has a key 'colour'" in capsys.readouterr().err


def test_a_name_without_parameters_is_refused_with_those_that_have_some(
    monkeypatch, tmp_path, capsys
):
    for name in ("simulated", "simulated_mine"):
        (tmp_path / f"simulate--{name}.yaml").touch()
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    assert main(["simulated_other"]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/simulate--simulated_other.yaml is no file, expected --params YAML or a name "
        f"that has one in {tmp_path.name}/: simulated, simulated_mine\n"
    )


@pytest.mark.parametrize("name", ["live", "../simulated", "simulated/x"])
def test_a_name_that_does_not_say_simulated_is_refused(params, tmp_path, capsys, name):
    to = tmp_path / "to"
    assert main([name, "--params", str(params), "--to", str(to)]) == 1
    assert capsys.readouterr().err == (
        f"{name!r} is no name for a corpus, expected simulated..., in lower case, so that every "
        "figure of it says what it is\n"
    )
    assert not to.exists()


def test_a_folder_that_cannot_be_written_ends_the_command_with_one_line(params, capsys):
    assert main(["simulated_mine", "--params", str(params), "--to", str(params)]) == 1
    target = params / "simulated_mine" / "sessions"
    assert capsys.readouterr().err == f"[Errno 20] Not a directory: '{target}'\n"


def test_help_explains_every_argument(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for words in (
        "NAME of the corpus, simulated...; also the data set's name in every notebook",
        "--params YAML default: params/simulate--NAME.yaml; relative paths in it start at its",
        "--to FOLDER where the folder NAME is made; default: $QOE_CORPORA, else corpora",
        "--workers N processes; default: the cores there are",
        "bigbuckbunny, bikes, carphone",
    ):
        assert words in text


@pytest.mark.parametrize("n", ["0", "-2"])
def test_fewer_than_one_worker_is_refused(capsys, n):
    with pytest.raises(SystemExit) as ended:
        main(["simulated", "--workers", n])
    assert ended.value.code == 2
    assert f"--workers is {n}, expected at least 1" in capsys.readouterr().err
