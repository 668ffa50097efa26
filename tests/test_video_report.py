"""Cost, hit rates and neighbours against hand calculations."""

import numpy as np
import pytest
from torch import ones

from qoe_core import video_report
from qoe_core.extraction import VideoConfig
from qoe_core.store import Store


class Counted:
    """A function of a file that counts how often it ran."""

    def __init__(self):
        self.calls = 0

    @property
    def identity(self):
        return {"name": "counted"}

    def __call__(self, path):
        self.calls += 1
        return {"features": ones(12, 5)}


def test_cost_has_a_row_for_each_way_to_get_the_features(tmp_path, make_session, monkeypatch):
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"clip")
    function = Counted()
    monkeypatch.setattr(video_report, "functions", lambda config: (function,))
    session = make_session(seconds=12, video=video)
    table = video_report.cost(session, VideoConfig(), Store(tmp_path / "store"))
    assert table["step"].tolist() == ["compute", "read from disk", "read from memory"]
    assert (table["bytes_per_s"] == 5 * 4).all()
    assert (table["ms_per_s"] > 0).all()
    assert function.calls == 3  # once before it is timed, once timed, once for the store


def test_hit_rates_of_one_entry_that_fits_and_one_that_does_not():
    rates = video_report.hit_rates({"a": 10, "b": 10}, [0.5, 1.0], n_epochs=4, seed=0)
    by = rates.set_index(["policy", "memory"])["hit_rate"]
    assert by["all", 0.5] == by["all", 1.0] == by["lru", 1.0] == by["second_chance", 1.0] == 1
    assert by["none", 1.0] == 0


def test_hit_rate_of_lru_follows_the_order_of_reads():
    rng = np.random.default_rng(7)
    epochs = [rng.permutation(["a", "b"]) for _ in range(50)]
    # one entry fits: an epoch's first read hits when it is what the epoch before read last
    hits = [after[0] == before[1] for before, after in zip(epochs[:-1], epochs[1:], strict=True)]
    rates = video_report.hit_rates({"a": 10, "b": 10}, [0.5], n_epochs=50, seed=7)
    lru = rates.loc[rates["policy"] == "lru", "hit_rate"].item()
    assert lru == pytest.approx(np.mean(hits) / 2)


def test_the_nearest_session_is_found_after_scaling(make_session):
    sessions = [make_session(content, pattern) for content, pattern in ((0, 0), (0, 2), (1, 0))]
    features = np.array([[0.0, 1000.0], [0.1, 1000.0], [3.0, 1001.0]])
    table = video_report.nearest(sessions, features)
    assert table["nearest"].tolist() == [sessions[1].name, sessions[0].name, sessions[1].name]
    assert table["same_content"].tolist() == [True, True, False]
    spread = features.std(axis=0)
    expected = np.sqrt((2.9 / spread[0]) ** 2 + (1 / spread[1]) ** 2)
    assert table["distance"][2] == pytest.approx(expected)


def test_features_that_never_change_do_not_make_a_distance_undefined(make_session):
    sessions = [make_session(0, 0), make_session(1, 0)]
    table = video_report.nearest(sessions, np.array([[1.0, 5.0], [2.0, 5.0]]))
    assert np.isfinite(table["distance"]).all()
