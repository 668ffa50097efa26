"""Why a network says something: the same numbers as the functions that it asks give."""

import dataclasses
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from qoe_core import attribution, frames, runs
from qoe_core.attention_maps import attention_maps
from qoe_core.attribution import TRUTH, subject
from qoe_core.explanation import PLAIN, explain
from qoe_core.trained import Trained
from qoe_core.widgets.panel import png
from tests.clips import film
from tests.explored import NAMES, SESSIONS, WHERE, run_all


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return run_all(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def made(root, monkeypatch):
    """A function that explains the second session by a row."""
    monkeypatch.setattr(runs, "RUNS", root)
    return lambda model: explain(Trained(**WHERE, model=model), SESSIONS[1], SESSIONS)


def test_the_network_is_the_one_that_has_not_seen_the_content(made, root):
    trained = Trained(**WHERE, model="gru")
    fold = trained.fold(NAMES[1])
    assert not trained.trained_on(fold) & set(NAMES[:2])
    expected = trained.network(fold).predict(SESSIONS[1]).continuous
    np.testing.assert_array_equal(made("gru").network.predict(SESSIONS[1]).continuous, expected)


def test_curves_are_contributions_to_the_mean_score(made):
    explanation = made("dual_attention")
    whole = subject(explanation.network, SESSIONS[1], explanation.baseline)
    assert list(explanation.curves) == [TRUTH, "gradient x input", "integrated gradients"]
    expected = attribution.second_effects(whole).numpy()
    np.testing.assert_allclose(explanation.curves[TRUTH], expected, atol=1e-7)


def test_a_second_has_its_attention_and_the_effects_on_its_own_score(made):
    explanation = made("dual_attention")
    found = explanation.second(7)
    of_seventh = subject(explanation.network, SESSIONS[1], explanation.baseline, target=7)
    for name, columns in of_seventh.groups.items():
        without = of_seventh.inputs.clone()
        without[:, columns] = of_seventh.baseline[columns]
        score, lower = of_seventh.scores(torch.stack([of_seventh.inputs, without])).tolist()
        assert found.effects[name] == pytest.approx(score - lower, abs=2e-6)
    maps = attention_maps(of_seventh).long_time
    assert found.attention.keys() == maps.keys() != set()
    for name, weights in found.attention.items():
        np.testing.assert_allclose(weights, maps[name][7].numpy(), atol=1e-7)
        assert np.all(weights[8:] == 0)  # nobody looks ahead


def test_a_network_without_attention_has_none_and_still_has_effects(made):
    found = made("gru").second(3)
    assert found.attention == {}
    assert set(found.effects) == {"indicator", "recency", "vmaf"}
    assert found.frame is None
    assert found.strength is None


def test_a_frame_of_the_video_is_shown_though_the_network_does_not_see_it(made, tmp_path):
    filmed = dataclasses.replace(SESSIONS[1], video=film(tmp_path / "film.mp4", 12, seed=3))
    found = dataclasses.replace(made("gru"), session=filmed).second(5)
    decoded = np.concatenate([part.frames.numpy() for part in frames.seconds(filmed.video, PLAIN)])
    np.testing.assert_array_equal(found.frame, decoded[5, 0].transpose(1, 2, 0))
    assert found.strength is None
    plain = imread(BytesIO(png(found.frame, None)))
    np.testing.assert_allclose(255 * plain[..., :3], found.frame, atol=0.5)


def test_a_second_beyond_the_session_is_refused(made, refuses):
    with refuses(
        "tiny/content_0_pattern_1: target is 12, expected 'mean', 'overall', 'seconds' or a second "
        "from 0 to 11"
    ):
        made("gru").second(12)
