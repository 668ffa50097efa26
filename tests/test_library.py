import pytest

from qoe_core import library, paths
from qoe_core.datasets import catalog, live_netflix, waterloo
from qoe_core.simulate import corpus
from qoe_core.simulate.build import build
from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import Ladder
from qoe_core.splits import folds

NAMES = ", ".join(["simulated", *catalog.CATALOG])


@pytest.fixture
def _no_data(monkeypatch):
    monkeypatch.setattr(paths, "DATA", None)


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CORPORA", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("_no_data")
def test_simulated_sessions_need_a_corpus_and_no_released_data(corpora):
    config = corpus.CorpusConfig(
        contents=("coffee",),
        n_streamed=0,
        playouts=("netflix0",),
        seconds=2,
        display=Display(width=128, height=72),
        ladder=Ladder(bitrate_kbps=(60,), height=(72,)),
    )
    build(config, corpora / "simulated_one", workers=1)
    (session,) = library.sessions("simulated_one")
    assert (session.dataset, session.name) == ("simulated_one", "coffee_netflix0")


@pytest.mark.parametrize("name", ["simulated", "simulated_small"])
def test_a_corpus_that_was_not_built_is_refused_with_the_command_that_builds_it(
    corpora, refuses, name
):
    with refuses(
        f"{name}: {corpora / name} holds no complete corpus (corpus.json is missing); build it, or "
        f"go on building it: python -m qoe_core.simulate {name}"
    ):
        library.sessions(name)


@pytest.mark.parametrize(
    ("name", "simulated"),
    [
        ("simulated", True),
        ("simulated_small", True),
        ("simulated2", True),
        ("lfovia", False),
        ("not_simulated", False),
        ("Simulated", False),
        ("simulated/../lfovia", False),
    ],
)
def test_a_name_tells_whether_a_data_set_is_simulated(name, simulated):
    assert library.is_simulated(name) is simulated


@pytest.mark.usefixtures("_no_data")
def test_released_sessions_say_which_variable_to_set():
    with pytest.raises(ValueError, match="lfovia: QOE_DATA is not set"):
        library.sessions("lfovia")


def test_an_unknown_name_is_refused_with_all_names(refuses):
    with refuses(f"no data set is called 'live_nflx', expected one of {NAMES}"):
        library.sessions("live_nflx")


@pytest.mark.parametrize(
    ("dataset", "module"),
    [
        ("simulated", corpus),
        ("simulated_small", corpus),
        ("live_netflix", live_netflix),
        ("waterloo4", waterloo),
    ],
)
def test_the_notes_of_a_data_set_are_those_of_its_reader(dataset, module):
    assert library.reader_module(dataset) is module


@pytest.mark.parametrize("dataset", ["simulated", *catalog.CATALOG])
def test_every_data_set_has_notes(dataset):
    assert library.reader_module(dataset).__doc__


@pytest.mark.usefixtures("_no_data")
@pytest.mark.parametrize("split", ["leave-content-out", "strict", "random-by-video"])
@pytest.mark.parametrize("dataset", ["simulated", "lfovia"])
def test_other_splits_need_no_training_lists(dataset, split):
    assert library.training_lists(dataset, split) is None


@pytest.mark.parametrize("dataset", ["simulated", "waterloo1"])
def test_training_lists_are_refused_where_none_were_released(dataset, refuses):
    with refuses(
        f"{dataset} has no released training lists, expected one of "
        "['lfovia', 'live_http', 'live_netflix', 'stall2']; use leave-content-out"
    ):
        library.training_lists(dataset, "released")


@pytest.mark.usefixtures("_no_data")
@pytest.mark.parametrize("dataset", ["simulated", "lfovia", "waterloo4"])
def test_trials_are_refused_where_none_are_read(dataset, refuses):
    with refuses(
        f"no trials of whole contents are read for {dataset}, expected one of ['live_netflix']; "
        "use leave-content-out"
    ):
        library.training_lists(dataset, "video-atlas")


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
@pytest.mark.parametrize("dataset", library.TRAINING_LISTS)
def test_released_lists_name_only_sessions_that_are_read(dataset):
    names = {session.name for session in library.sessions(dataset)}
    lists = library.training_lists(dataset, "released")
    assert lists.keys() <= names
    assert {name for listed in lists.values() for name in listed} <= names


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
@pytest.mark.parametrize("dataset", library.CONTENT_TRIALS)
def test_the_first_trials_test_every_content_and_repeat_a_few(dataset):
    sessions = library.sessions(dataset)
    trials = library.training_lists(dataset, "video-atlas")
    tested = [{s.content for s in fold.test} for fold in folds("video-atlas", sessions, 0, trials)]
    assert {len(contents) for contents in tested} == {3}
    counts = [sum(s in of_trial for of_trial in tested) for s in {s.content for s in sessions}]
    assert (len(counts), min(counts), max(counts)) == (14, 6, 16)
    assert (len(tested), len({frozenset(contents) for contents in tested})) == (50, 44)
