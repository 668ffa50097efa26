import json
import math

import numpy as np
import pytest

from qoe_core.simulate.corpus import check_name, read

AGAIN = "python -m qoe_core.simulate simulated_tiny makes it again"
NOT_A_NAME = (
    "is no name for a corpus, expected simulated..., in lower case, so that every figure of it "
    "says what it is"
)


def test_every_content_meets_every_pattern_once(tiny):
    met = [(session.content, session.pattern) for session in read(tiny)]
    patterns = ("throughput/Outage 1", "bba/markov2", "netflix1")
    assert met == [(content, pattern) for content in ("coffee", "my_clip") for pattern in patterns]


def test_sessions_are_called_after_content_and_pattern_and_have_a_video_of_that_name(tiny):
    sessions = read(tiny)
    assert [session.name for session in sessions[:3]] == [
        "coffee_throughput_outage_1",
        "coffee_bba_markov2",
        "coffee_netflix1",
    ]
    for session in sessions:
        assert session.video == tiny / "sessions" / f"{session.name}.mp4"
        assert session.video.is_file()


def test_sessions_say_that_they_are_simulated(tiny):
    for session in read(tiny):
        assert (session.dataset, session.device) == ("simulated_tiny", "simulated")


def test_sessions_are_read_as_they_were_written(tiny):
    for session in read(tiny):
        (path,) = session.sources
        facts = json.loads(path.read_text())
        assert path == tiny / "sessions" / f"{session.name}.json"
        assert (session.duration_s, session.overall) == (facts["duration_s"], facts["overall"])
        assert session.stalls.tolist() == facts["stalls"]
        assert session.ratings.tolist() == facts["ratings"]
        assert set(session.quality) == {"vmaf", "ssim", "psnr"}
        np.testing.assert_array_equal(session.quality["psnr"], facts["quality"]["psnr"])


@pytest.mark.parametrize("name", ["live", "Simulated", "simulated-2", "simulated/x", ""])
def test_a_name_that_does_not_say_simulated_is_refused(refuses, name):
    with refuses(f"{name!r} {NOT_A_NAME}"):
        check_name(name)


def test_a_corpus_under_another_name_is_refused(copied, refuses):
    with refuses(f"'lfovia' {NOT_A_NAME}"):
        read(copied.rename(copied.with_name("lfovia")))


@pytest.mark.parametrize("there", [True, False], ids=["without its index", "no folder"])
def test_a_corpus_that_is_not_complete_is_refused(copied, refuses, there):
    folder = copied if there else copied.with_name("simulated_none")
    (copied / "corpus.json").unlink()
    with refuses(
        f"{folder.name}: {folder} holds no complete corpus (corpus.json is missing); build it, or "
        f"go on building it: python -m qoe_core.simulate {folder.name}"
    ):
        read(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"sessions": []}', '{"sessions": {}}'])
def test_an_index_without_sessions_is_refused(copied, refuses, text):
    (copied / "corpus.json").write_text(text)
    with refuses(f"{copied}/corpus.json lists no sessions; was it edited? {AGAIN}"):
        read(copied)


@pytest.mark.parametrize("name", ["../../secret", "a/b", "..", "A", ""])
def test_a_session_name_that_could_lead_elsewhere_is_refused(copied, refuses, name):
    index = copied / "corpus.json"
    index.write_text(json.dumps({"sessions": {name: "0" * 64}}))
    with refuses(
        f"{index} lists a session {name!r}, expected a plain name; was it edited? {AGAIN}"
    ):
        read(copied)


@pytest.mark.parametrize("suffix", [".json", ".mp4"])
def test_a_missing_file_is_refused(copied, refuses, suffix):
    path = copied / "sessions" / f"coffee_bba_markov2{suffix}"
    path.unlink()
    with refuses(
        f"{path} is missing, and corpus.json lists it; was it deleted, or is a build going on? "
        f"{AGAIN}"
    ):
        read(copied)


@pytest.mark.parametrize("edit", [lambda text: text.replace("4.0", "4.5"), lambda text: text[:99]])
def test_an_edited_session_is_refused(copied, refuses, edit):
    path = copied / "sessions" / "coffee_bba_markov2.json"
    path.write_text(edit(path.read_text()))
    with refuses(
        f"{path} is not the file that corpus.json lists; was it edited, or is a build going on? "
        f"{AGAIN}"
    ):
        read(copied)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": 0}, "seconds is 0, expected 1 to 3600"),
        ({"seconds": 3}, "seconds is 3, expected a multiple of the segment duration (2.0 s)"),
        ({"n_viewers": 1}, "n_viewers is 1, expected 2 to 10000"),
        ({"seed": -1}, "seed is -1, expected 0 to 4294967295"),
        (
            {"n_streamed": 5},
            "n_streamed is 5, expected 0 to 4, since there are 2 ABRs and 2 traces",
        ),
        (
            {"n_streamed": 0, "playouts": ()},
            "the corpus has no session, expected a content and a pattern",
        ),
        ({"contents": ()}, "the corpus has no session, expected a content and a pattern"),
        (
            {"abrs": ("bba", "best")},
            "abrs has 'best', expected names out of fixed, throughput, bba, hybrid",
        ),
        (
            {"playouts": ("netflix8",)},
            "playouts has 'netflix8', expected names out of "
            + ", ".join(f"netflix{number}" for number in range(8)),
        ),
        (
            {"contents": ("coffee", "clips/coffee.mp4")},
            "contents has 'coffee' twice, expected each name once; is it listed twice, or are two "
            "files called alike?",
        ),
        (
            {"abrs": ("bba", "bba")},
            "abrs has 'bba' twice, expected each name once; is it listed twice, or are two files "
            "called alike?",
        ),
        *(
            (
                {"traces": (mean,)},
                f"traces has {mean}, expected mean throughputs above 0 (Mbit/s) or CSV files",
            )
            for mean in (0.0, -1.0, math.nan, math.inf)
        ),
    ],
    ids=lambda wrong: " ".join(wrong) if isinstance(wrong, dict) else "",
)
def test_a_config_that_cannot_be_built_is_refused(make_config, refuses, wrong, message):
    with refuses(message):
        make_config(**wrong)
