import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core import paths
from qoe_core.simulate.throughput import Markov, Trace, read_trace

HEADER = "t_start_s,duration_s,throughput_mbps\n"
STEPS = st.lists(
    st.tuples(st.integers(1, 3_000_000), st.integers(0, 5_000_000)), min_size=1, max_size=6
).filter(  # few rounds to the start and a bit in each, or the walk below takes minutes
    lambda steps: (
        sum(duration for duration, _ in steps) >= 100_000
        and any(duration * rate >= 1_000_000 for duration, rate in steps)
    )
)


def arrival_by_steps(trace, start_us, size_bits):
    """The same download, walked step by step in exact fractions."""
    left, clock, step = Fraction(size_bits), Fraction(0), 0
    while True:
        duration, rate = trace.duration_us[step], Fraction(trace.rate_bps[step], 1_000_000)
        begin = max(clock, Fraction(start_us))
        capacity = max(Fraction(0), clock + duration - begin) * rate
        if rate and capacity >= left:
            return math.ceil(begin + left / rate)
        left, clock, step = left - capacity, clock + duration, (step + 1) % len(trace.rate_bps)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, start_us=st.integers(0, 8_000_000), size_bits=st.integers(1, 30))
def test_a_download_ends_when_its_last_bit_arrives(steps, start_us, size_bits):
    trace = Trace("random", *(tuple(column) for column in zip(*steps, strict=True)))
    assert trace.arrival_us(start_us, size_bits) == arrival_by_steps(trace, start_us, size_bits)


def test_a_download_waits_through_an_outage():
    trace = Trace("outage", (1_000_000, 5_000_000, 1_000_000), (1000, 0, 1000))
    assert trace.arrival_us(0, 1500) == 6_500_000


def test_an_outage_in_a_file_survives_and_delays_the_download(tmp_path):
    trace = read_trace(write(tmp_path, "0,1,1\n1,2,0\n3,0.5,0\n3.5,1,1\n"))
    assert trace.rate_bps == (1_000_000, 0, 0, 1_000_000)
    assert trace.arrival_us(0, 1_500_000) == 4_000_000


def test_a_trace_repeats_from_its_start():
    trace = Trace("short", (1_000_000, 1_000_000), (1000, 0))
    assert trace.arrival_us(0, 2500) == 4_500_000


def test_a_download_that_ends_with_the_trace_does_not_wait_for_the_next_round():
    trace = Trace("tail", (1_000_000, 1_000_000), (1000, 0))
    assert trace.arrival_us(0, 1000) == 1_000_000


def test_an_empty_download_is_refused():
    with pytest.raises(ValueError, match="at least one bit"):
        Trace("steady", (1_000_000,), (1000,)).arrival_us(0, 0)


def write(tmp_path, rows, header=HEADER):
    path = tmp_path / "trace.csv"
    path.write_text(header + rows)
    return path


def test_a_file_becomes_whole_microseconds_and_bits(tmp_path):
    trace = read_trace(write(tmp_path, "0.0,0.18,1.0995\n0.18,0.21,0.0\n0.39,0.3,0.00018\n"))
    assert trace == Trace("trace", (180_000, 210_000, 300_000), (1_099_500, 0, 180))


@pytest.mark.parametrize(
    ("rows", "row", "found", "expected"),
    [
        ("0,1,2\n1.5,1,2\n", 1, 1.5, 1.0),
        ("0,1,2\n0.5,1,2\n", 1, 0.5, 1.0),
        ("3,1,2\n4,1,2\n", 0, 3.0, 0.0),
    ],
    ids=["gap", "overlap", "late"],
)
def test_rows_that_do_not_follow_each_other_are_refused(
    tmp_path, refuses, rows, row, found, expected
):
    path = write(tmp_path, rows)
    with refuses(
        f"{path}, row {row}: t_start_s is {found}, expected {expected} (the end of the row before, "
        "or 0); is a row missing, or are the rows out of order?"
    ):
        read_trace(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,1,2\n1,1,-2\n", r"throughput_mbps\[1\] is -2.0"),
        ("0,1,2\n1,0,2\n", r"duration_s\[1\] is 0.0"),
        ("0,1,2\n1,1,nan\n", "row 1: throughput_mbps is 'nan'"),
        ("0,1,2\n1,1,inf\n", "row 1: throughput_mbps is 'inf'"),
        ("0,1,0\n1,1,0\n", "throughput is 0 in all 2 steps"),
        ("", "truncated"),
    ],
    ids=["negative", "empty step", "nan", "inf", "dead", "no rows"],
)
def test_a_trace_that_cannot_have_happened_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_trace(write(tmp_path, rows))


def test_a_missing_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="throughput_mbps"):
        read_trace(write(tmp_path, "0,1,2\n", header="t_start_s,duration_s,kbps\n"))


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="2 durations and 1 throughputs"):
        Trace("cut", (1, 1), (1,))


def test_a_negative_rate_is_refused_with_its_step():
    with pytest.raises(ValueError, match="step 1: lasts 1 us at -5 bit/s"):
        Trace("below", (1, 1), (1, -5))


def test_markov_throughput_has_the_mean_that_was_asked_for():
    rates = Markov(n_seconds=20_000).draw("long", 2.0, (0,)).rate_bps
    assert np.mean(rates) / 1e6 == pytest.approx(2.0, rel=0.05)


def test_markov_states_last_as_long_as_the_chain_says():
    rates = Markov(n_seconds=20_000, spread=0.0).draw("long", 2.0, (0,)).rate_bps
    changes = np.count_nonzero(np.diff(rates))
    assert changes / 20_000 == pytest.approx(1 - 0.75, abs=0.02)


def test_the_same_seed_draws_the_same_trace():
    assert Markov().draw("a", 1.0, (7, 1)) == Markov().draw("a", 1.0, (7, 1))
    assert Markov().draw("a", 1.0, (7, 1)) != Markov().draw("a", 1.0, (7, 2))


TRACES = paths.DATA and paths.DATA / "network_traces" / "csv"


@pytest.mark.human
@pytest.mark.skipif(
    not (TRACES and TRACES.is_dir()),
    reason="QOE_DATA holds no network_traces; set it to the folder that does",
)
def test_every_public_trace_beside_the_data_sets_reads():
    traces = [read_trace(path) for path in sorted(TRACES.glob("*.csv"))]
    assert len(traces) == 27
    assert sum(0 in trace.rate_bps for trace in traces) == 11  # outages survive
