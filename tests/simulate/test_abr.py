import pytest

from qoe_core.simulate.abr import ABRS, BufferBased, Fixed, Hybrid, State, Throughput

RATES = (100, 200, 400, 800, 1600)


def state(**known):
    defaults = {"buffer_s": 0.0, "max_buffer_s": 20.0, "measured_kbps": (), "rung": None}
    return State(bitrate_kbps=RATES, **(defaults | known))


def test_fixed_ignores_what_it_knows():
    assert Fixed(3).choose(state(measured_kbps=(50.0,))) == 3


def test_fixed_is_the_middle_rung_by_default():
    assert ABRS["fixed"].choose(state()) == len(RATES) // 2


@pytest.mark.parametrize("rung", [-1, 5])
def test_a_fixed_rung_outside_the_ladder_is_refused(rung):
    with pytest.raises(ValueError, match=f"fixed rung is {rung}, expected 0 to 4"):
        Fixed(rung).choose(state())


def test_throughput_starts_at_the_lowest_rung():
    assert Throughput().choose(state()) == 0


@pytest.mark.parametrize(
    ("measured", "rung"),
    [
        ((450.0,), 2),  # 0.9 x 450 = 405
        ((440.0,), 1),  # 396
        ((300.0, 900.0), 2),  # harmonic mean 450, arithmetic 600
        ((10.0, 5000.0, 5000.0), 4),  # the slow one is outside a window of 2
        ((50.0,), 0),
    ],
)
def test_throughput_takes_the_safe_share_of_the_harmonic_mean(measured, rung):
    assert Throughput(window=2).choose(state(measured_kbps=measured)) == rung


# reservoir 4 s, cushion 12 s: the map is 100 + 1500 (buffer - 4) / 12 kbit/s
@pytest.mark.parametrize(
    ("buffer_s", "last", "rung"),
    [
        (0.0, None, 0),
        (4.0, 3, 0),  # still in the reservoir
        (16.0, 0, 4),  # above the cushion
        (10.0, 0, 3),  # 850: up to the highest that fits
        (10.0, 3, 3),  # between 400 and 1600: stay
        (10.0, 4, 4),  # 850 is above 800, the rung below: stay
        (9.0, 4, 3),  # 725 is below 800: down to the lowest that is not less
        (5.0, 4, 2),  # 225: down, past one rung
    ],
)
def test_buffer_based_follows_the_rate_map_with_hysteresis(buffer_s, last, rung):
    assert BufferBased().choose(state(buffer_s=buffer_s, rung=last)) == rung


def test_hybrid_is_throughput_below_its_threshold():
    known = state(buffer_s=9.9, measured_kbps=(450.0,), rung=2)
    assert Hybrid().choose(known) == Throughput().choose(known) == 2


def test_hybrid_climbs_one_rung_above_throughput_with_a_long_buffer():
    known = state(buffer_s=16.0, measured_kbps=(230.0,), rung=1)
    assert BufferBased().choose(known) == 4
    assert Hybrid().choose(known) == 2


def test_hybrid_does_not_fall_below_throughput_with_a_long_buffer():
    known = state(buffer_s=10.0, measured_kbps=(9000.0,), rung=4)
    assert Hybrid().choose(known) == 4


@pytest.mark.parametrize("name", ABRS)
@pytest.mark.parametrize("buffer_s", [0.0, 7.0, 20.0])
@pytest.mark.parametrize("last", [None, 0, 4])
def test_every_choice_is_on_the_ladder(name, buffer_s, last):
    for measured in ((), (1.0,), (1e9,)):
        known = state(buffer_s=buffer_s, rung=last, measured_kbps=measured)
        assert 0 <= ABRS[name].choose(known) < len(RATES)
