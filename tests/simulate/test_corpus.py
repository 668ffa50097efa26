import dataclasses

import numpy as np
import pytest

from qoe_core.simulate.corpus import CorpusConfig, patterns, simulate
from qoe_core.simulate.viewers import ViewerModel

SMALL = CorpusConfig(n_contents=2, n_patterns=3, n_viewers=4)


@pytest.fixture(scope="module")
def corpus():
    return simulate(CorpusConfig())


def fields(session):
    return {
        field.name: getattr(session, field.name)
        for field in dataclasses.fields(session)
        if field.name != "quality"
    } | dict(session.quality)


def assert_same(first, second):
    for name, value in fields(first).items():
        np.testing.assert_array_equal(fields(second)[name], value, err_msg=name)


def test_every_content_meets_every_pattern_once(corpus):
    pairs = {(session.content, session.pattern) for session in corpus}
    assert len(corpus) == len(pairs) == 70
    assert len({content for content, _ in pairs}) == 10
    assert len({session.name for session in corpus}) == 70


def test_sessions_say_that_they_are_simulated(corpus):
    for session in corpus:
        assert (session.dataset, session.device) == ("simulated", "simulated")
        assert list(session.quality) == ["modelled_quality"]


def test_the_same_seed_gives_the_same_corpus():
    for first, again in zip(simulate(SMALL), simulate(SMALL), strict=True):
        assert_same(first, again)


def test_another_seed_gives_another_corpus():
    other = simulate(dataclasses.replace(SMALL, seed=1))
    assert all(
        first.rated[0] != second.rated[0]
        for first, second in zip(simulate(SMALL), other, strict=True)
    )


def test_another_seed_gives_other_slider_noise(tmp_path):
    # on a steady network identical people differ by nothing but noise
    path = tmp_path / "steady.csv"
    path.write_text("t_start_s,duration_s,throughput_mbps\n0,5,3.0\n")
    people = ViewerModel(
        delay_s=(1.0, 1.0), stall_depth=(0.8, 0.8), gain=(1.0, 0.0), offset=0.0, noise=1.0
    )
    config = dataclasses.replace(SMALL, n_viewers=50, traces=(path,), viewers=people)
    noise = []
    for seed in (0, 1):
        ratings = simulate(dataclasses.replace(config, seed=seed))[0].ratings
        noise.append((ratings - ratings.mean(axis=0)).ravel())
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.2


def test_more_patterns_leave_the_first_sessions_as_they_were():
    more = {s.name: s for s in simulate(dataclasses.replace(SMALL, n_patterns=5))}
    for session in simulate(SMALL):
        assert_same(session, more[session.name])


def test_playback_and_stalls_fill_every_session(corpus):
    for session in corpus:
        assert session.duration_s - session.stalls[:, 1].sum() == pytest.approx(30, abs=1e-9)


def test_mean_bitrate_over_the_seconds_gives_back_what_was_downloaded(corpus):
    # played part of each second times its bitrate, against any constant-rung session: 1050 kbit/s
    fixed = [session for session in corpus if session.pattern.startswith("fixed")]
    for session in fixed:
        lengths = np.minimum(1, session.duration_s - np.arange(session.n_seconds))
        bits = session.bitrate_kbps * (1 - session.stalled) * lengths
        assert bits.sum() == pytest.approx(1050 * 30, rel=1e-3)


def test_a_realistic_share_of_sessions_stalls(corpus):
    share = np.mean([len(session.stalls) > 0 for session in corpus])
    assert 0.4 <= share <= 0.7


def test_ratings_use_the_scale_and_depend_on_quality_and_on_stalls(corpus):
    rated = np.concatenate([session.rated for session in corpus])
    quality = np.concatenate([session.quality["modelled_quality"] for session in corpus])
    overall = np.array([session.overall for session in corpus])
    stalled = np.array([session.stalls[:, 1].sum() for session in corpus])
    assert rated.min() < 20
    assert rated.max() > 80
    assert 0.5 < np.corrcoef(rated, quality)[0, 1] < 0.9
    assert np.corrcoef(overall, stalled)[0, 1] < -0.4


def test_content_changes_quality_under_the_same_pattern(corpus):
    first = [session for session in corpus if session.pattern == corpus[0].pattern]
    means = [session.quality["modelled_quality"].mean() for session in first]
    assert max(means) - min(means) > 20


def test_rated_is_the_mean_of_the_ratings_and_inside_its_interval(corpus):
    for session in corpus:
        np.testing.assert_allclose(session.rated, session.ratings.mean(axis=0))
        assert (session.rated_ci[:, 0] < session.rated).all()
        assert (session.rated < session.rated_ci[:, 1]).all()
        assert session.overall_ci[0] < session.overall < session.overall_ci[1]


def test_without_startup_every_second_has_a_quality(corpus):
    assert all(np.isfinite(s.quality["modelled_quality"]).all() for s in corpus)


def test_startup_is_a_stall_at_zero_and_shifts_the_others():
    plain = simulate(SMALL)
    for session, late in zip(
        plain, simulate(dataclasses.replace(SMALL, startup=True)), strict=True
    ):
        wait = late.stalls[0, 1]
        assert late.stalls[0, 0] == 0
        assert wait > 0
        np.testing.assert_allclose(late.stalls[1:] - [wait, 0], session.stalls)


def test_all_pairs_of_algorithm_and_trace_are_different():
    pairs = patterns(CorpusConfig(n_patterns=28))
    assert len({(abr, trace.name) for abr, trace in pairs}) == 28


def test_trace_files_take_the_place_of_the_model(tmp_path):
    path = tmp_path / "steady.csv"
    path.write_text("t_start_s,duration_s,throughput_mbps\n0,5,3.0\n")
    sessions = simulate(dataclasses.replace(SMALL, n_patterns=4, traces=(path,)))
    assert [session.pattern for session in sessions[:4]] == [
        "fixed/steady",
        "throughput/steady",
        "bba/steady",
        "hybrid/steady",
    ]
    assert sum(len(session.stalls) for session in sessions) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_contents": 0}, "n_contents is 0, expected 1 to 99"),
        ({"n_patterns": 29}, "n_patterns is 29, expected 1 to 28"),
        ({"n_viewers": 1}, "n_viewers is 1, expected 2"),
        ({"seconds": 31}, "multiple of the segment duration"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=lambda wrong: next(iter(wrong)) if isinstance(wrong, dict) else "",
)
def test_a_config_that_cannot_be_drawn_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        CorpusConfig(**wrong)


def test_two_traces_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected each name once"):
        CorpusConfig(traces=(tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"))
