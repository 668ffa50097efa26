import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io.matlab import MatlabObject

from qoe_core.datasets import live_netflix
from qoe_core.session import Session
from tests.datasets.live_netflix_files import (
    HIGH,
    LOW,
    TABLE,
    bounds,
    impairments,
    video,
    write,
)
from tests.datasets.mat_mutations import FLIPPED, damage


def _plus(field, change):
    return lambda changed: changed.update({field: changed[field] + change})


def _longer(field):
    return lambda changed: changed.update({field: np.append(changed[field], [[0.5]], axis=1)})


def _matlab_object(field):
    value = np.array([[(1.0,)]], dtype=[("value", "O")])
    return lambda changed: changed.update({field: MatlabObject(value, "frames")})


def _one_row_more(changed):
    changed[TABLE] = np.concatenate([changed[TABLE]] * 2)


def _one_column_less(changed):
    changed[TABLE] = changed[TABLE][:, :2]


PARTS = {
    "video": (
        video,
        {f"{field} + 1": _plus(field, 1) for field in ("Nframes", "ns", "ds", "lt", "vid_fps")}
        | {"longer": _longer("VMAF_vec"), "object": _matlab_object("continuous_subj_score")},
    ),
    "impairments": (
        impairments,
        {"row": _one_row_more, "column": _one_column_less, "object": _matlab_object(TABLE)},
    ),
    "bounds": (
        bounds,
        {"moved": _plus(LOW, 0.01), "longer": _longer(HIGH), "object": _matlab_object(LOW)},
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_file_is_refused_or_still_a_session(tmp_path_factory, part):
    files = write(tmp_path_factory.mktemp(part))
    path = files[list(PARTS).index(part)]
    make, contradictions = PARTS[part]

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.data())
    def attempt(data):
        kind = damage(data.draw, path, make(), contradictions)
        try:
            session = live_netflix.read_session(*files)
        except ValueError as error:
            assert any(str(file) in str(error) for file in files)  # noqa: PT017
        else:
            assert kind == FLIPPED
            assert isinstance(session, Session)

    attempt()
