"""Sessions of a corpus, against the player's log: refresh by refresh, and what the video shows."""

import json
import shutil
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from qoe_core import videos
from qoe_core.frames import FrameConfig, seconds
from qoe_core.simulate.build import build
from qoe_core.simulate.corpus import read

RUNGS = ("36p_15k", "72p_60k")
PATTERNS = ("throughput_outage_1", "bba_markov2", "netflix1")
PLAYED = [f"{content}_{pattern}" for content in ("coffee", "my_clip") for pattern in PATTERNS]
WITH_STARTUP = [f"with startup: coffee_{pattern}" for pattern in PATTERNS]
FPS, SAMPLES = 25, 5


@pytest.fixture(scope="module")
def late(tiny, make_config, tmp_path_factory):
    """The photograph's sessions, with the wait before the first picture."""
    folder = tmp_path_factory.mktemp("late") / "simulated_late"
    shutil.copytree(tiny / "contents", folder / "contents")
    return build(make_config(contents=("coffee",), startup=True), folder, workers=1)


def facts_of(session):
    return json.loads(session.sources[0].read_text())


def refreshes(log, startup):
    """For each display refresh the segment and the media frame that it shows first, or None."""
    begin = 0 if startup else log["play_start_us"][0]
    segment_us, tick_us = log["segment_us"], log["tick_us"]
    shown = []
    for at_us in range(begin, log["play_start_us"][-1] + segment_us, tick_us):
        playing = None
        for segment, start_us in enumerate(log["play_start_us"]):
            if start_us <= at_us < start_us + segment_us:
                playing = segment, (segment * segment_us + at_us - start_us) // tick_us
        shown.append(playing)
    return shown


def second_by_second(log, shown, vmaf):
    """Stalled fraction, bitrate and VMAF of each second, the last two over what was played."""
    stalled, bitrate_kbps, quality = [], [], []
    for first in range(0, len(shown), FPS):
        second = shown[first : first + FPS]
        played = [playing for playing in second if playing is not None]
        stalled.append(1 - len(played) / len(second))
        kbits = [log["size_bits"][segment] / log["segment_us"] * 1000 for segment, _ in played]
        scores = [vmaf[log["rung"][segment]][frame] for segment, frame in played]
        bitrate_kbps.append(np.mean(kbits) if played else 0.0)
        held = quality[-1] if quality else np.nan
        quality.append(np.mean(scores) if played else held)
    return stalled, bitrate_kbps, quality


@pytest.fixture(params=PLAYED + WITH_STARTUP)
def watched(request, tiny, late):
    """A session, its log, and what it shows by hand."""
    startup, _, name = request.param.rpartition(": ")
    session = {each.name: each for each in read(late if startup else tiny)}[name]
    log = facts_of(session)["log"]
    shown = refreshes(log, bool(startup))
    rungs = [(tiny / "contents" / session.content / rung).with_suffix(".json") for rung in RUNGS]
    vmaf = [json.loads(path.read_text())["quality"]["vmaf"] for path in rungs]
    stalled, bitrate_kbps, quality = second_by_second(log, shown, vmaf)
    return SimpleNamespace(
        session=session,
        log=log,
        shown=shown,
        stalled=stalled,
        bitrate_kbps=bitrate_kbps,
        quality=quality,
    )


def test_stalls_are_those_of_the_display(watched):
    np.testing.assert_allclose(watched.session.stalled, watched.stalled, atol=1e-6)


def test_bitrate_is_the_mean_of_the_played_segments(watched):
    np.testing.assert_allclose(watched.session.bitrate_kbps, watched.bitrate_kbps, atol=6e-4)


def test_quality_is_the_mean_of_the_shown_frames_and_held_while_stalled(watched):
    np.testing.assert_allclose(watched.session.quality["vmaf"], watched.quality, atol=6e-5)


def test_bitrate_times_played_time_gives_the_bits_of_all_segments(watched):
    session = watched.session
    lengths = np.minimum(1, session.duration_s - np.arange(session.n_seconds))
    kbits = (session.bitrate_kbps * (1 - session.stalled) * lengths).sum()
    assert kbits == pytest.approx(sum(watched.log["size_bits"]) / 1000, rel=1e-4)


def test_the_video_lasts_as_long_as_the_session_to_the_frame(watched):
    video = videos.facts(watched.session.video)
    assert video.duration == Fraction(len(watched.shown), FPS)
    assert watched.session.duration_s == pytest.approx(len(watched.shown) / FPS, abs=1e-9)
    assert (video.codec, video.width, video.height) == ("h264", 128, 72)


def test_the_picture_stands_still_where_playback_stalls_and_only_there(watched):
    config = FrameConfig(per_second=SAMPLES, height=72, width=128)
    found = list(seconds(watched.session.video, config))
    pictures = np.concatenate([each.frames.numpy() for each in found])
    times_s = np.concatenate([each.times_s for each in found]).ravel()
    pictures = pictures.reshape(len(times_s), -1).astype(float)
    shown = np.cumsum([playing is not None for playing in watched.shown])
    new = np.diff(shown[np.rint(times_s * FPS).astype(int)]) > 0
    moved = np.abs(np.diff(pictures, axis=0)).mean(axis=1)
    frozen = moved[~new].max(initial=0)
    assert frozen < 1  # of 255 levels: what is encoded again comes out a little finer
    assert moved[new].min() > frozen


def test_the_outage_and_the_playout_stall_and_nothing_else(tiny):
    stalls = {session.name: session.stalls.tolist() for session in read(tiny)}
    assert {name for name, found in stalls.items() if found} == {
        name for name in PLAYED if "outage" in name or "netflix" in name
    }
    assert stalls["coffee_netflix1"] == stalls["my_clip_netflix1"] == [[2.0, 8.0]]


def test_the_picture_is_black_before_anything_was_shown(late):
    for session in read(late)[:2]:
        first = next(seconds(session.video, FrameConfig(per_second=1, height=72, width=128)))
        assert first.frames[0].max() <= 1


def test_nothing_is_known_of_the_quality_before_anything_was_shown(late):
    for session in read(late)[:2]:
        wait = int(session.stalls[0, 1])
        assert wait >= 1
        for values in session.quality.values():
            np.testing.assert_array_equal(np.isnan(values), np.arange(len(values)) < wait)


def test_startup_is_a_stall_at_0_and_shifts_the_others(tiny, late):
    for early, session in zip(read(tiny)[:2], read(late)[:2], strict=True):
        start, wait = session.stalls[0]
        assert start == 0
        assert wait == pytest.approx(facts_of(session)["log"]["play_start_us"][0] / 1e6)
        np.testing.assert_allclose(session.stalls[1:] - [wait, 0], early.stalls, atol=1e-9)
        assert session.duration_s == pytest.approx(early.duration_s + wait)


def test_a_playout_has_no_startup(late):
    assert read(late)[2].stalls.tolist() == [[2.0, 8.0]]


def test_json_files_hold_no_nan(tiny, late):
    def refuse(constant):
        raise AssertionError(constant)

    for path in [*tiny.rglob("*.json"), *late.rglob("*.json")]:
        json.loads(path.read_text(), parse_constant=refuse)


def test_rated_is_the_mean_of_the_ratings_and_inside_its_interval(tiny):
    for session in read(tiny):
        assert session.ratings.shape == (3, session.n_seconds)
        np.testing.assert_allclose(session.rated, session.ratings.mean(axis=0))
        assert (session.rated_ci[:, 0] < session.rated).all()
        assert (session.rated < session.rated_ci[:, 1]).all()
        assert session.overall_ci[0] < session.overall < session.overall_ci[1]


def test_viewers_differ_in_noise_between_sessions_that_look_alike(tiny):
    first, second = read(tiny)[:2]
    noise = [session.ratings - session.ratings.mean(axis=0) for session in (first, second)]
    assert not np.allclose(noise[0][:, :2], noise[1][:, :2])
