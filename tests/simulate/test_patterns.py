import pytest

from qoe_core.simulate.patterns import patterns, traces

STEADY = "t_start_s,duration_s,throughput_mbps\n0,5,{}\n"
LIKE = "expected each name once; is it listed twice, or are two files called alike?"


def written(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def names(config):
    return [pattern.name for pattern in patterns(config)]


def test_all_traces_come_once_before_the_abrs_shift(make_config):
    config = make_config(traces=(0.1, 0.2), n_streamed=4, playouts=("netflix0", "netflix3"))
    assert names(config) == [
        "throughput/markov1",
        "bba/markov2",
        "bba/markov1",
        "throughput/markov2",
        "netflix0",
        "netflix3",
    ]


@pytest.mark.parametrize("n_traces", [1, 2, 3, 5, 8])
def test_no_pair_of_abr_and_trace_comes_twice(make_config, n_traces):
    config = make_config(
        abrs=("throughput", "bba", "hybrid"),
        traces=tuple(0.1 + number / 10 for number in range(n_traces)),
        n_streamed=3 * n_traces,
    )
    assert len(set(names(config))) == 3 * n_traces + 1


def test_trace_files_take_the_place_of_the_model(make_config, tmp_path):
    steady = written(tmp_path / "steady.csv", STEADY.format(3.0))
    config = make_config(traces=(0.1, steady), n_streamed=2)
    drawn, read = traces(config)
    assert (drawn.name, read.name) == ("markov1", "steady")
    assert (read.duration_us, read.rate_bps) == ((5_000_000,), (3_000_000,))
    assert names(config) == ["throughput/markov1", "bba/steady", "netflix1"]


def test_another_seed_draws_other_traces(make_config):
    first, again, other = (traces(make_config(seed=seed))[1] for seed in (0, 0, 1))
    assert first == again
    assert first.rate_bps != other.rate_bps


def test_two_traces_of_one_name_are_refused(make_config, tmp_path, refuses):
    files = [written(tmp_path / name / "x.csv", STEADY.format(1.0)) for name in "ab"]
    with refuses(f"traces has 'x' twice, {LIKE}"):
        traces(make_config(traces=tuple(files)))


def test_a_trace_called_as_the_model_calls_its_own_is_refused(make_config, tmp_path, refuses):
    file = written(tmp_path / "markov1.csv", STEADY.format(1.0))
    with refuses(f"traces has 'markov1' twice, {LIKE}"):
        traces(make_config(traces=(0.1, file)))


@pytest.mark.parametrize("given", ["lte.csv", "1e-1"])
def test_a_trace_that_is_no_file_is_refused(make_config, tmp_path, refuses, given):
    with refuses(
        f"trace {tmp_path / given} is no file, expected a CSV or a number (Mbit/s), for which YAML "
        "needs a point where there is an exponent"
    ):
        patterns(make_config(traces=(str(tmp_path / given),), n_streamed=1))


def test_an_abr_that_needs_more_rungs_is_refused(make_config, refuses):
    with refuses(
        "fixed rung is 2, expected 0 to 1; is the ladder shorter than this player expects?"
    ):
        patterns(make_config(abrs=("fixed",)))


def test_a_playout_of_more_parts_than_segments_is_refused(make_config, refuses):
    with refuses(
        "playout netflix4 has 3 parts and the media 2 segments, expected at least one segment a "
        "part; are the media too short?"
    ):
        patterns(make_config(playouts=("netflix4",)))


def test_a_session_that_would_last_far_longer_than_its_media_is_refused(
    make_config, tmp_path, refuses
):
    # 30 kbit a segment at 0.3 kbit/s: 100 s until the first plays, 100 s more until the second
    slow = written(tmp_path / "slow.csv", STEADY.format(0.0003))
    with refuses(
        "throughput/slow would last about 202 s, expected at most 20 times the 4 s of media; is "
        "the throughput in another unit than Mbit/s?"
    ):
        patterns(make_config(traces=(slow,), n_streamed=1))
