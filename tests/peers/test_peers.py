"""How a file becomes a row, and what is refused."""

import numpy as np
import pytest

from qoe_core import peers
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig
from qoe_core.models.interface import Model
from qoe_core.models.table_rows import BLIND, NETWORKS, REGRESSORS, ModelConfig, build
from qoe_core.qos import Scaling

INPUTS = FeatureConfig(qos=("indicator",), quality=("vmaf",))
MADE_UP = """
from dataclasses import dataclass

import numpy as np

from qoe_core.inputs import FeatureConfig
from qoe_core.models.interface import Prediction
from qoe_core.qos import Scaling


@dataclass(frozen=True, kw_only=True)
class Peer:
    inputs: FeatureConfig
    scaling: Scaling | None = None
    score: float = 7.0
    stops_early = False
    seeded = False

    def fit(self, train, validation, seed, folder=None):
        return self

    def predict(self, session):
        return Prediction(np.full(session.n_seconds, self.score), None)
"""


@pytest.fixture
def add_peer(tmp_path, monkeypatch):
    """Write a file as if it lay beside the peers."""

    def add(name, text=MADE_UP):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setattr(peers, "__path__", [*peers.__path__, str(tmp_path)])
        monkeypatch.setattr(peers, "NAMES", (*peers.NAMES, *peers.names(tmp_path)))

    return add


def test_the_files_of_the_folder_are_the_peers():
    assert peers.NAMES == ("echo_state", "hammerstein_wiener", "narx", "video_atlas")


def test_names_are_sorted_and_leave_out_what_begins_with_an_underscore_or_a_dot(tmp_path):
    for name in ("zeta.py", "alpha_2.py", "__init__.py", "_own.py", ".#alpha.py", "notes.txt"):
        (tmp_path / name).write_text("")
    assert peers.names(tmp_path) == ("alpha_2", "zeta")


@pytest.mark.parametrize("stem", ["My_peer", "2tcn", "my-peer", "my peer"])
def test_a_file_that_no_row_can_be_called_after_is_refused(tmp_path, refuses, stem):
    (tmp_path / f"{stem}.py").write_text("")
    with refuses(
        f"{tmp_path.name}/ holds files called [{stem!r}], expected small letters, digits and _, "
        "the first a letter: the name of the file is the name of the row"
    ):
        peers.names(tmp_path)


@pytest.mark.parametrize("name", ["oracle", "__init__", "../peers/narx", "os", "narx.Peer", ""])
def test_only_files_of_the_folder_are_imported(refuses, name):
    with refuses(
        f"no peer is called {name!r}, expected one of {list(peers.NAMES)}, the files in "
        "qoe_core.peers"
    ):
        peers.load(name)


def test_one_file_makes_a_row(add_peer, watched):
    add_peer("made_up_row")
    row = build(ModelConfig(name="made_up_row", inputs=INPUTS, peer={"score": 3.0}))
    prediction = row.fit([], [], seed=0).predict(watched(0, 0, seconds=2))
    assert prediction.continuous.tolist() == [3.0, 3.0]


def test_a_file_without_a_peer_is_refused(add_peer, refuses):
    add_peer("made_up_empty", "class Model:\n    pass\n")
    with refuses("peers/made_up_empty.py has no class Peer, expected one; see peers/__init__.py"):
        peers.load("made_up_empty")


@pytest.mark.parametrize(
    ("removed", "missing", "fields"),
    [
        ("    seeded = False\n", ["seeded"], ["inputs", "scaling", "score"]),
        ("    stops_early = False\n", ["stops_early"], ["inputs", "scaling", "score"]),
        ("    scaling: Scaling | None = None\n", [], ["inputs", "score"]),
        ("@dataclass(frozen=True, kw_only=True)\n", [], []),
    ],
)
def test_a_peer_that_lacks_a_part_is_refused(add_peer, refuses, removed, missing, fields):
    name = f"made_up_{len(removed)}"
    add_peer(name, MADE_UP.replace(removed, ""))
    with refuses(
        f"Peer of peers/{name}.py lacks {missing} and is a dataclass of the fields {fields}, "
        "expected ['fit', 'seeded', 'stops_early'] and a dataclass whose first fields are "
        "['inputs', 'scaling']"
    ):
        peers.load(name)


def test_a_peer_that_cannot_be_fitted_is_refused(add_peer):
    add_peer("made_up_unfit", MADE_UP.replace("def fit", "def train"))
    with pytest.raises(ValueError, match=r"lacks \['fit'\]"):
        peers.load("made_up_unfit")


def test_a_peer_with_the_name_of_another_row_is_refused(add_peer, refuses):
    add_peer("gru")
    with refuses(
        "peers/gru.py has the name of another row, expected one of its own; rename the file"
    ):
        ModelConfig(name="gru", inputs=INPUTS)


def test_no_peer_here_has_the_name_of_another_row():
    assert not set(peers.NAMES) & {*BLIND, *REGRESSORS, *NETWORKS}


@pytest.mark.parametrize("name", peers.NAMES)
def test_every_peer_is_a_model(name):
    assert isinstance(build(ModelConfig(name=name, inputs=INPUTS)), Model)


def test_an_option_that_a_peer_does_not_have_is_refused(refuses):
    with refuses("'video_atlas' has no options ['gamma', 'hidden'], expected some of ['folds']"):
        ModelConfig(name="video_atlas", inputs=INPUTS, peer={"hidden": 4, "gamma": 1})


def test_inputs_and_scaling_are_no_options(refuses):
    with refuses("'video_atlas' has no options ['scaling'], expected some of ['folds']"):
        ModelConfig(name="video_atlas", inputs=INPUTS, peer={"scaling": None})


def test_options_of_a_row_that_is_no_peer_are_refused(refuses):
    with refuses(
        "'ridge' was given the options {'hidden': 4} and is no peer, expected none; peers are "
        f"{list(peers.NAMES)}"
    ):
        ModelConfig(name="ridge", inputs=INPUTS, peer={"hidden": 4})


def test_a_peer_is_built_with_its_options_inputs_and_scaling():
    scaling = Scaling(np.zeros(1), np.ones(1))
    row = build(ModelConfig(name="narx-qos", inputs=INPUTS, peer={"hidden": 3}), scaling)
    assert (row.hidden, row.inputs, row.scaling) == (3, FeatureConfig(qos=INPUTS.qos), scaling)


def test_a_peers_numbers_depend_on_its_options():
    rows = [ModelConfig(name="narx", inputs=INPUTS, peer=peer) for peer in ({}, {"hidden": 3})]
    assert rows[0].what_matters() != rows[1].what_matters()


@pytest.mark.parametrize("name", ["narx", "hammerstein_wiener"])
def test_a_peer_of_few_inputs_sees_no_frames(refuses, name):
    with refuses(f"{name} sees frames, expected QoS features and quality metrics"):
        ModelConfig(name=f"{name}-frames", inputs=INPUTS, video=VideoConfig())
