import numpy as np
import pytest

from qoe_core import paths
from qoe_core.datasets import catalog
from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import Encodes, Ladder
from qoe_core.simulate.player import shown
from qoe_core.simulate.playouts import PLAYOUTS, Part, Playout, play_out


def encodes(n_segments, n_rungs=5):
    ladder = Ladder(bitrate_kbps=tuple(range(1, n_rungs + 1)), height=(240,) * n_rungs)
    sizes = np.arange(1, n_rungs * n_segments + 1).reshape(n_rungs, n_segments)
    return Encodes(ladder=ladder, display=Display(), size_bits=sizes, quality={}, files=())


# 15 segments of 2 s at 25 Hz; the release's events at shares of its media, on the nearest border
@pytest.mark.parametrize(
    ("name", "rungs", "stalls_s"),
    [
        ("netflix0", [4] * 15, []),
        ("netflix1", [3] * 15, [(14, 8)]),
        ("netflix2", [2] * 15, []),
        ("netflix3", [2] * 15, [(16, 4)]),
        ("netflix4", [3] * 7 + [0] * 2 + [3] * 6, []),
        ("netflix5", [3] * 15, [(10, 6.68), (18.68, 6.68)]),
        ("netflix6", [3] * 5 + [2] * 3 + [3] * 7, [(10, 8.32)]),
        ("netflix7", [3] * 5 + [1] * 5 + [3] * 5, []),
    ],
)
def test_30_s_of_media_follow_the_pattern(name, rungs, stalls_s):
    log = play_out(encodes(15), PLAYOUTS[name])
    assert log.rung.tolist() == rungs
    np.testing.assert_allclose(log.stalls_us / 1e6, np.reshape(stalls_s, (-1, 2)))


@pytest.mark.parametrize("name", PLAYOUTS)
@pytest.mark.parametrize("n_segments", [3, 4, 7, 10, 20])
def test_every_part_keeps_a_segment_whatever_the_length(name, n_segments):
    log = play_out(encodes(n_segments), PLAYOUTS[name])
    parts = PLAYOUTS[name].parts
    changes = np.flatnonzero((np.diff(log.rung) != 0) | (np.diff(log.play_start_us) > 2_000_000))
    assert len(changes) == len(parts) - 1
    assert log.wall_us == n_segments * 2_000_000 + log.stalls_us[:, 1].sum()


@pytest.mark.parametrize("name", PLAYOUTS)
def test_playback_begins_at_once_and_without_downloads(name):
    log = play_out(encodes(6), PLAYOUTS[name])
    assert log.startup_us == 0
    assert log.download_start_us is None
    assert log.download_end_us is None


def test_the_display_shows_the_scripted_stall_in_whole_refreshes():
    seen = shown(play_out(encodes(15), PLAYOUTS["netflix6"]))
    assert np.flatnonzero(seen.stalled).tolist() == list(range(250, 250 + 208))  # 8.33 s at 25 Hz


def test_sizes_are_those_of_the_shown_rungs():
    log = play_out(encodes(3), PLAYOUTS["netflix4"])
    assert log.rung.tolist() == [3, 0, 3]
    assert log.size_bits.tolist() == [10, 2, 12]  # row of three a rung, counted from 1


@pytest.mark.parametrize(
    ("n_rungs", "low", "normal"), [(1, 0, 0), (2, 0, 1), (3, 0, 2), (6, 0, 4), (10, 0, 7)]
)
def test_rates_become_rungs_by_rank_on_any_ladder(n_rungs, low, normal):
    rungs = play_out(encodes(3, n_rungs), PLAYOUTS["netflix4"]).rung
    assert rungs.tolist() == [normal, low, normal]


def test_media_with_fewer_segments_than_parts_are_refused(refuses):
    with refuses(
        "playout netflix5 has 3 parts and the media 2 segments, expected at least one segment a "
        "part; are the media too short?"
    ):
        play_out(encodes(2), PLAYOUTS["netflix5"])


@pytest.mark.parametrize(
    "starts", [(), (0.5,), (0.0, 0.0), (0.0, 30.0)], ids=["none", "late", "twice", "seconds"]
)
def test_parts_that_do_not_rise_from_0_to_below_1_are_refused(refuses, starts):
    with refuses(
        f"playout own: parts start at {starts}, expected 0 first, then rising shares below 1; are "
        "they seconds?"
    ):
        Playout(name="own", parts=tuple(Part(start, 250) for start in starts))


@pytest.mark.parametrize(
    ("number", "part"),
    [(1, Part(0.5, 251)), (1, Part(0.5, 250, -1.0)), (0, Part(0.0, 250, 1.0))],
    ids=["another rate", "negative stall", "stall before anything"],
)
def test_a_part_that_the_release_cannot_have_is_refused(refuses, number, part):
    with refuses(
        f"playout own, part {number}: {part.rate_kbps} kbit/s after a stall of {part.stall_s} s, "
        "expected one of (66, 100, 160, 195, 250, 500) and no stall before part 0"
    ):
        Playout(name="own", parts=(*(Part(0.0, 250),) * number, part))


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)
def test_the_patterns_are_those_of_the_release():
    found = {name: [] for name in PLAYOUTS}
    for session in catalog.read("live_netflix"):
        media_s = session.duration_s - session.stalls[:, 1].sum()
        before_s = np.concatenate([[0.0], np.cumsum(session.stalls[:, 1])[:-1]])
        shares = (session.stalls[:, 0] - before_s[: len(session.stalls)]) / media_s
        seconds = np.diff([*range(session.n_seconds), session.duration_s])
        played_s = seconds * (1 - session.stalled)
        mean_kbps = (played_s * session.bitrate_kbps).sum() / media_s
        facts = [mean_kbps, *shares, *session.stalls[:, 1]]
        found[session.pattern.replace("seq_", "netflix")].append(facts)
    for name, playout in PLAYOUTS.items():
        stalls = [part for part in playout.parts if part.stall_s]
        lengths = np.diff([*(part.start for part in playout.parts), 1.0])
        mean_kbps = sum(lengths * [part.rate_kbps for part in playout.parts])
        facts = [mean_kbps, *(part.start for part in stalls), *(part.stall_s for part in stalls)]
        released = np.mean(found[name], axis=0)
        assert len(found[name]) == 14
        np.testing.assert_allclose(facts, released, atol=0.005, rtol=0.002)  # as rounded there
