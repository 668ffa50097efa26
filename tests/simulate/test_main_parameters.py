"""Parameter files: what they may say, and that every refusal is one sentence and exit code 1."""

import dataclasses
import json
import re

import pytest
import yaml

from qoe_core import paths
from qoe_core.simulate.__main__ import KINDS, PARTS, main, read_config
from qoe_core.simulate.contents import BUILT_IN
from qoe_core.simulate.corpus import CorpusConfig

GIVEN = {
    "contents": ["coffee"],
    "seconds": 4,
    "abrs": ["bba"],
    "traces": [1],
    "n_streamed": 1,
    "n_viewers": 3,
    "display": {"width": 128, "height": 72},
    "ladder": {"bitrate_kbps": [15, 60], "height": [36, 72]},
}
VIEWERS = (
    "delay_s, fall_s, rise_s, stall_grow_s, stall_forget_s, stall_depth, gain, offset, noise, "
    "noise_s, worst_weight, end_weight, end_s, overall_noise"
)
FIELDS = (
    "contents, abrs, traces, n_streamed, playouts, seconds, n_viewers, seed, startup, display, "
    "ladder, player, viewers"
)


@pytest.fixture
def write(tmp_path):
    """Writes a parameter file: GIVEN with changes, or a text."""

    def written(changes=(), text=None):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(GIVEN | dict(changes)) if text is None else text)
        return path

    return written


@pytest.fixture
def refused(tmp_path, capsys):
    """What the command says when it refuses, which it has to do before it writes anything."""

    def said(path):
        to = tmp_path / "to"
        assert main(["simulated_mine", "--params", str(path), "--to", str(to)]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert not to.exists()
        return printed.err.removesuffix("\n")

    return said


def test_a_config_survives_its_way_through_a_file(make_config, write):
    config = make_config()
    path = write(text=json.dumps(dataclasses.asdict(config)))  # JSON is YAML
    assert read_config(path) == config


def test_what_a_file_leaves_out_has_the_default(write):
    config, default = read_config(write()), CorpusConfig(contents=("coffee",))
    assert (config.player, config.viewers) == (default.player, default.viewers)
    assert (config.display.fps, config.startup) == (25, False)


@pytest.mark.parametrize(
    "path", sorted(paths.PARAMS.glob("simulate--*.yaml")), ids=lambda p: p.stem
)
def test_the_files_of_the_project_describe_corpora(path):
    assert set(read_config(path).contents) <= set(BUILT_IN)


def test_whole_numbers_may_stand_for_others(write):
    config = read_config(write({"traces": [1, 0.5], "viewers": {"delay_s": [1, 2], "noise": 4}}))
    assert config.traces == (1.0, 0.5)
    assert config.viewers.delay_s == (1.0, 2.0)
    assert isinstance(config.traces[0], float)


def test_paths_start_at_the_folder_of_the_file(write, tmp_path):
    contents = ["coffee", "clips/a.mp4", "/elsewhere/b.mp4"]
    config = read_config(write({"contents": contents, "traces": ["../lte.csv", 0.5]}))
    assert config.contents == ("coffee", f"{tmp_path}/clips/a.mp4", "/elsewhere/b.mp4")
    assert config.traces == (f"{tmp_path.parent}/lte.csv", 0.5)


def test_every_kind_of_value_has_a_name_for_messages():
    kinds = {
        field.type for part in (CorpusConfig, *PARTS.values()) for field in dataclasses.fields(part)
    }
    assert kinds - set(PARTS.values()) == set(KINDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " holds None, expected keys with values; is it empty?"),
        ("- a\n- b\n", " holds ['a', 'b'], expected keys with values; is it empty?"),
        (
            "seconds: [1\n",
            ' is not readable as YAML: while parsing a flow sequence in "<unicode string>", line '
            "1, column 10: seconds: [1 ^ expected ',' or ']', but got '<stream end>' in "
            '"<unicode string>", line 2, column 1: ^',
        ),
        (
            "seconds: 4\nseconds: 8\n",
            " is not readable as YAML: 'seconds' is given twice in \"<unicode string>\", line 1, "
            "column 1: seconds: 4 ^",
        ),
        ("seconds: 4\n", " has no key 'contents', expected one"),
    ],
    ids=["empty", "a list", "no YAML", "a key twice", "no contents"],
)
def test_a_file_without_keys_and_values_is_refused(write, refused, text, message):
    path = write(text=text)
    assert refused(path) == f"{path}{message}"


def test_a_file_that_is_no_text_is_refused(write, refused):
    path = write()
    path.write_bytes(b"\xff\xfe")
    assert refused(path) == (
        f"{path} is not readable as YAML: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte"
    )


REFUSED = [
    ({"colour": "red"}, f" has a key 'colour', expected one of {FIELDS}"),
    ({"seconds": "abc"}, ": seconds is 'abc', expected a whole number"),
    ({"seconds": 4.0}, ": seconds is 4.0, expected a whole number"),
    ({"seconds": True}, ": seconds is True, expected a whole number"),
    ({"seconds": None}, ": seconds is None, expected a whole number"),
    ({"seconds": 0}, ": seconds is 0, expected 1 to 3600"),
    ({"startup": 1}, ": startup is 1, expected true or false"),
    ({"contents": 3}, ": contents is 3, expected a list of names"),
    ({"contents": "coffee"}, ": contents is 'coffee', expected a list of names"),
    ({"contents": [1]}, ": contents is [1], expected a list of names"),
    ({"traces": [[1]]}, ": traces is [[1]], expected a list of numbers and file names"),
    ({"traces": [float("nan")]}, ": traces is [nan], expected a list of numbers and file names"),
    (
        {"traces": [10**400]},
        f": traces is [{'1' + 58 * '0'}, expected a list of numbers and file names",
    ),
    ({"traces": [0]}, ": traces has 0.0, expected mean throughputs above 0 (Mbit/s) or CSV files"),
    ({"display": [1]}, ", display is [1], expected keys with values"),
    ({"display": {"wide": 1}}, ", display has a key 'wide', expected one of width, height, fps"),
    ({"ladder": {"height": [36]}}, ", ladder has no key 'bitrate_kbps', expected one"),
    (
        {"ladder": {"bitrate_kbps": [15.5], "height": [36]}},
        ", ladder: bitrate_kbps is [15.5], expected a list of whole numbers",
    ),
    ({"viewers": {"colour": 1}}, f", viewers has a key 'colour', expected one of {VIEWERS}"),
    ({"viewers": {"delay_s": [1]}}, ", viewers: delay_s is [1], expected a list of two numbers"),
    ({"viewers": {"noise": float("inf")}}, ", viewers: noise is inf, expected a number"),
    (
        {"viewers": {"delay_s": [2, 1]}},
        ", viewers: delay_s is (2.0, 1.0), expected 0 <= shortest <= longest",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_wrong_key_or_value_is_refused(write, refused, changes, message):
    path = write(changes)
    assert refused(path) == f"{path}{message}"


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"display": {"fps": 30}}, r"\S+mine\.yaml, display: .*fps that divides 1000000.*"),
        ({"display": {"width": 64, "height": 48}}, r"\S+mine\.yaml: ladder has a height of 72.*"),
        ({"player": {"start_segments": 0}}, r"\S+mine\.yaml, player: .*at least 1 segment.*"),
        ({"contents": ["coffee", "text.mp4"]}, r"\S+text\.mp4: .*is it cut off\?"),
        ({"contents": ["cofee"]}, r"content 'cofee': .*one of bigbuckbunny, .*"),
        ({"traces": ["lte.csv"]}, r"trace \S+lte\.csv is no file, .*"),
        ({"abrs": ["fixed"]}, r"fixed rung is 2, expected 0 to 1; .*"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_other_modules_refuse_is_one_line_too(write, refused, tmp_path, changes, pattern):
    (tmp_path / "text.mp4").write_text("no video")
    assert re.fullmatch(pattern, refused(write(changes)))
