"""What holds for every row of a results table, from `constant` to the networks."""

import numpy as np
import pytest

from qoe_core import peers
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import BLIND, NETWORKS, REGRESSORS, SUFFIXES, ModelConfig, build
from qoe_core.models.variants import VARIANTS
from qoe_core.qos import QOS
from qoe_core.train_config import TrainConfig

SEEING = [*REGRESSORS, *(name for name in NETWORKS if name != "lstm_qoe")]
ROWS = [*BLIND, *SEEING]
INPUTS = FeatureConfig(qos=tuple(QOS), quality=("vmaf",))
TRAINING = TrainConfig(n_epochs=3, batch_size=4, learning_rate=1e-2, decay=1.0, device="cpu")
T = 9  # seconds that the session and its edited twin share


@pytest.fixture(scope="module")
def fit(make_session):
    """Fit a row on 16 sessions of four contents, validated on four of a fifth; kept by name."""
    train = [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(4) for p in range(4)]
    validation = [make_session(4, p) for p in range(4)]
    fitted = {}

    def fit_row(name):
        if name not in fitted:
            config = ModelConfig(name=name, inputs=INPUTS, hidden=8, training=TRAINING)
            fitted[name] = build(config).fit(train, validation, seed=0)
        return fitted[name]

    return fit_row


@pytest.fixture
def session(make_session):
    """14 s with a stall of 2.5 s from second 5 on."""
    return make_session(0, 1, seconds=14)


@pytest.fixture
def edited(make_session, session):
    """The same until second T; then other bitrates, quality and ratings, and one stall more."""
    rng = np.random.default_rng(8)
    bitrate, vmaf, rated = session.bitrate_kbps, session.quality["vmaf"], session.rated
    late = np.arange(14) >= T
    bitrate = np.where(late, rng.uniform(100, 9000, 14), bitrate)
    bitrate[10] = 0.0
    rated = np.where(late, rng.uniform(0, 100, 14), rated)
    return make_session(
        *(0, 1, 14),
        stalls=np.array([[5.0, 2.5], [9.5, 2.0]]),
        bitrate_kbps=bitrate,
        quality={"vmaf": np.where(late, rng.uniform(0, 100, 14), vmaf)},
        rated=rated,
        rated_ci=np.stack([rated, rated], axis=1),
        overall=5.0,
    )


@pytest.fixture
def longer_stall(make_session, session):
    """The same until second 7; the running stall ends 3.5 s later."""
    bitrate, vmaf = session.bitrate_kbps.copy(), session.quality["vmaf"].copy()
    bitrate[7:11], vmaf[7:11] = 0.0, vmaf[6]
    return make_session(
        *(0, 1, 14),
        stalls=np.array([[5.0, 6.0]]),
        bitrate_kbps=bitrate,
        quality={"vmaf": vmaf},
        rated=session.rated,
    )


@pytest.mark.parametrize("name", ROWS)
def test_score_does_not_see_the_future(fit, session, edited, name):
    before = fit(name).predict(session).continuous[:T]
    np.testing.assert_array_equal(fit(name).predict(edited).continuous[:T], before)


@pytest.mark.parametrize("name", ROWS)
def test_score_does_not_see_how_long_a_running_stall_will_last(fit, session, longer_stall, name):
    before = fit(name).predict(session).continuous[:7]
    np.testing.assert_array_equal(fit(name).predict(longer_stall).continuous[:7], before)


@pytest.mark.parametrize("name", SEEING)
def test_score_sees_the_present(fit, session, edited, name):
    before, after = (fit(name).predict(s).continuous[T:] for s in (session, edited))
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("name", BLIND)
def test_blind_score_sees_no_signal(fit, session, edited, name):
    before, after = (fit(name).predict(s).continuous for s in (session, edited))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ROWS)
def test_score_does_not_see_the_ratings(fit, make_session, session, name):
    other = make_session(0, 1, seconds=14, rated=np.linspace(1, 99, 14), overall=1.0)
    first, second = fit(name).predict(session), fit(name).predict(other)
    np.testing.assert_array_equal(first.continuous, second.continuous)
    assert first.overall == second.overall


@pytest.mark.parametrize("name", ROWS)
def test_score_of_a_second_does_not_wait_for_the_session_to_go_on(fit, make_session, name):
    whole = make_session(1, 0, seconds=14)
    begun = make_session(
        *(1, 0, 6),
        bitrate_kbps=whole.bitrate_kbps[:6],
        height_px=whole.height_px[:6],
        quality={"vmaf": whole.quality["vmaf"][:6]},
    )
    # matrix products of another length round differently: 1e-6 of the rating range of 100
    np.testing.assert_allclose(
        fit(name).predict(begun).continuous,
        fit(name).predict(whole).continuous[:6],
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("seconds", [1, 2, 300])
def test_there_is_one_score_each_second_whatever_the_length(fit, make_session, name, seconds):
    prediction = fit(name).predict(make_session(5, 2, seconds=seconds))
    assert prediction.continuous.shape == (seconds,)
    assert np.isfinite([*prediction.continuous, prediction.overall]).all()


@pytest.fixture
def nothing_shown(make_session):
    """Four seconds of loading, then the viewer gave up."""
    return make_session(
        *(5, 0, 4),
        stalls=np.array([[0.0, 4.0]]),
        bitrate_kbps=np.zeros(4),
        quality={"vmaf": np.full(4, np.nan)},
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_fully_stalled_session_has_scores(fit, nothing_shown, name):
    prediction = fit(name).predict(nothing_shown)
    assert np.isfinite([*prediction.continuous, prediction.overall]).all()


@pytest.mark.parametrize("name", ROWS)
def test_one_second_and_nothing_shown_can_be_trained_on(
    sessions, make_session, nothing_shown, name
):
    train = [*sessions[:8], make_session(5, 2, seconds=1), nothing_shown]
    config = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=TRAINING)
    prediction = build(config).fit(train, sessions[8:10], seed=0).predict(sessions[-1])
    assert np.isfinite([*prediction.continuous, prediction.overall]).all()


@pytest.mark.parametrize("name", ROWS)
def test_scores_are_on_the_scale_of_the_ratings(make_session, fit, session, name):
    """Trained on ratings from 0 to 100, a score of a label from 0 to 1 would stay near 1."""
    assert 20 < fit(name).predict(session).continuous.mean() < 90


@pytest.mark.parametrize("name", ROWS)
def test_sessions_without_an_overall_score_train_no_overall_score(make_session, name):
    train = [make_session(c, 0, overall=None, overall_ci=None) for c in range(4)]
    config = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=TRAINING)
    prediction = build(config).fit(train, train[:1], seed=0).predict(train[0])
    assert (prediction.overall, prediction.continuous.shape) == (None, (14,))


@pytest.mark.parametrize("name", ROWS)
def test_sessions_without_continuous_ratings_train_no_continuous_score(make_session, name):
    train = [make_session(c, 0, rated=None, rated_ci=None) for c in range(4)]
    config = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=TRAINING)
    prediction = build(config).fit(train, train[:1], seed=0).predict(train[0])
    assert prediction.continuous is None
    assert np.isfinite(prediction.overall)


@pytest.mark.parametrize("name", SEEING)
def test_a_row_of_qos_only_sees_no_quality_metric(name):
    config = ModelConfig(name=f"{name}-qos", inputs=INPUTS)
    assert build(config).inputs == FeatureConfig(qos=INPUTS.qos)


@pytest.mark.parametrize("name", SEEING)
def test_a_row_of_video_only_sees_no_qos_feature(name):
    config = ModelConfig(name=f"{name}-video", inputs=INPUTS)
    assert build(config).inputs == FeatureConfig(qos=(), quality=INPUTS.quality)


@pytest.mark.parametrize("name", SEEING)
def test_a_row_of_frames_sees_them_in_place_of_the_quality_metrics(name):
    video = VideoConfig(motion=None)
    config = ModelConfig(name=f"{name}-frames", inputs=INPUTS, video=video)
    assert build(config).inputs == FeatureConfig(qos=INPUTS.qos, frames=video)


@pytest.mark.parametrize(
    "name",
    [
        *("oracle", "gru-sound", "gru-qos-video", "gru-", "gru-without_gate", "gru-ensemble-qos"),
        *("dual_attention-", "dual_attention-sound", "dual_attention-qos-paper", "tcn--ensemble"),
        *("dual_attention-paper-without_gate", "gru-ensemble-ensemble", "-ensemble", ""),
        *(name + "-ensemble" for name in (*BLIND, *REGRESSORS)),
        *(name + suffix for name in BLIND for suffix in SUFFIXES),
    ],
)
def test_an_unknown_row_is_refused(refuses, name):
    rows = [*BLIND, *REGRESSORS, *NETWORKS, *peers.NAMES]
    with refuses(
        f"model is {name!r}, expected one of {rows}; behind 'dual_attention' may stand one of "
        f"{list(VARIANTS)}, behind all that see features one of ['-qos', '-video', '-frames'], "
        "behind a network '-ensemble'"
    ):
        ModelConfig(name=name, inputs=INPUTS)


def test_a_row_of_video_only_is_refused_without_quality_metrics(refuses):
    with refuses(
        "'gru-video' sees only quality metrics, and inputs hold none; expected metrics that the "
        "data set was released with, or 'gru-frames' where it has videos"
    ):
        ModelConfig(name="gru-video", inputs=FeatureConfig(qos=("recency",)))


def test_frames_are_asked_for_by_the_name_of_a_row(refuses):
    with refuses(
        "inputs of 'gru' hold frames, expected QoS features and quality metrics; a row sees frames "
        "by the suffix '-frames' of its name, and by `video`"
    ):
        ModelConfig(name="gru", inputs=FeatureConfig(qos=(), frames=VideoConfig()))


def test_only_a_row_that_sees_frames_depends_on_what_looks_at_them():
    videos = VideoConfig(), VideoConfig(motion=None)
    for name, differs in (("gru", False), ("gru-qos", False), ("gru-frames", True)):
        first, second = (ModelConfig(name=name, inputs=INPUTS, video=video) for video in videos)
        assert (first.what_matters() != second.what_matters()) == differs
