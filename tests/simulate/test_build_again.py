"""What a second build into the same folder keeps, and what it makes again."""

import json
import shutil

import pytest

from qoe_core.simulate.build import build
from qoe_core.simulate.corpus import read
from qoe_core.simulate.ladder import Ladder
from qoe_core.simulate.viewers import ViewerModel
from tests.clips import barcodes, encode


def stamps(folder):
    """When each file was last written; the lock belongs to no corpus."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != "build.lock"
    }


def contents(folder):
    return {name: (folder / name).read_bytes() for name in stamps(folder)}


def changed(before, folder):
    """Names of the files that were written since, or are new."""
    return {name for name, when in stamps(folder).items() if before.get(name) != when}


def test_a_second_build_writes_nothing(copied, make_config):
    before = stamps(copied)
    build(make_config(), copied, workers=1)
    assert stamps(copied) == before


def test_other_viewers_rate_the_same_videos(copied, make_config):
    before, earlier = stamps(copied), read(copied)
    build(make_config(viewers=ViewerModel(noise=1.0)), copied, workers=1)
    sessions = {f"sessions/{session.name}.json" for session in earlier}
    assert changed(before, copied) == {"corpus.json", *sessions}
    for session, other in zip(read(copied), earlier, strict=True):
        assert session.rated[0] != other.rated[0]
        assert session.bitrate_kbps.tolist() == other.bitrate_kbps.tolist()


def test_another_seed_gives_other_viewers_and_other_noise(copied, make_config):
    earlier = read(copied)
    build(make_config(seed=1), copied, workers=1)
    for session, other in zip(read(copied), earlier, strict=True):
        assert session.rated[0] != other.rated[0]
        assert session.overall != other.overall


def test_more_patterns_leave_the_other_sessions_as_they_were(copied, make_config):
    before = stamps(copied)
    build(make_config(n_streamed=3, playouts=("netflix0", "netflix1")), copied, workers=1)
    added = {
        f"sessions/{content}_{pattern}.{suffix}"
        for content in ("coffee", "my_clip")
        for pattern in ("bba_outage_1", "netflix0")
        for suffix in ("json", "mp4")
    }
    assert changed(before, copied) == {"corpus.json", *added}
    assert len(read(copied)) == 10


def test_fewer_contents_in_another_order_leave_their_sessions_as_they_were(
    copied, make_config, clip
):
    before = stamps(copied)
    build(make_config(contents=(str(clip),)), copied, workers=1)
    assert changed(before, copied) == {"corpus.json"}
    assert {session.content for session in read(copied)} == {"my_clip"}


def test_another_ladder_is_encoded_and_rendered(copied, make_config):
    before, earlier = stamps(copied), read(copied)[2]
    ladder = Ladder(bitrate_kbps=(15, 120), height=(36, 72))
    config = make_config(contents=("coffee",), n_streamed=0, ladder=ladder)
    build(config, copied, workers=1)
    assert changed(before, copied) == {
        "corpus.json",
        *(f"contents/coffee/72p_120k.{suffix}" for suffix in ("json", "mp4")),
        *(f"sessions/coffee_netflix1.{suffix}" for suffix in ("json", "mp4")),
    }
    (session,) = read(copied)
    assert session.bitrate_kbps[0] > earlier.bitrate_kbps[0]


def test_asking_for_the_startup_renders_again(copied, make_config):
    before = stamps(copied)
    build(make_config(contents=("coffee",), startup=True), copied, workers=1)
    rendered = {name for name in changed(before, copied) if name.endswith(".mp4")}
    assert rendered == {f"sessions/{session.name}.mp4" for session in read(copied)}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("sessions/coffee_bba_markov2.mp4", lambda content: content[:-100]),
        ("sessions/coffee_bba_markov2.mp4", lambda content: content[:-1] + b"?"),
        ("sessions/coffee_bba_markov2.mp4", None),
        ("sessions/coffee_bba_markov2.json", lambda content: content[:99]),
        ("sessions/coffee_bba_markov2.json", lambda content: content.replace(b"4.0", b"4.5")),
        ("sessions/coffee_bba_markov2.json", lambda content: b"[1]"),
        ("sessions/coffee_bba_markov2.json", None),
        ("contents/coffee/36p_15k.mp4", lambda content: content[:-100]),
        ("corpus.json", lambda content: content[:99]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_or_deleted_file_is_made_again(copied, make_config, file, damage):
    config = make_config(contents=("coffee",), n_streamed=2, playouts=())
    whole = contents(build(config, copied, workers=1))
    path = copied / file
    if damage:
        path.write_bytes(damage(whole[file]))
    else:
        path.unlink()
    build(config, copied, workers=1)
    made = contents(copied)
    records = [json.loads(files.pop("corpus.json")) for files in (made, whole)]
    assert made == whole
    assert records[0]["sessions"] == records[1]["sessions"]


def cut_off(clip, path):
    path.write_bytes(clip.read_bytes()[:-2000])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clip, path: path.write_text("not a video"),
        cut_off,
        lambda clip, path: encode(path, barcodes(10)),
    ],
    ids=["text", "cut off", "ten pictures"],
)
def test_a_clip_that_cannot_be_shown_is_refused_before_anything_is_written(
    make_config, clip, tmp_path, spoil
):
    path = tmp_path / "bad.mp4"
    spoil(clip, path)
    with pytest.raises(ValueError, match=r"bad\.mp4: .*is it cut off\?"):
        build(make_config(contents=("coffee", str(path))), tmp_path / "simulated_bad")
    assert not (tmp_path / "simulated_bad").exists()


def test_a_content_that_is_no_file_is_refused_with_the_names_of_those_built_in(
    make_config, tmp_path, refuses
):
    with refuses(
        f"content 'cofee': {tmp_path}/cofee is no file, and no content of that name is built in; "
        "expected a clip, a photograph or one of bigbuckbunny, bikes, carphone, astronaut, cat, "
        "china, coffee, flower, gravel, hubble, motorcycle, retina, rocket, tissue"
    ):
        build(make_config(contents=(f"{tmp_path}/cofee",)), tmp_path / "simulated_bad")
    assert not (tmp_path / "simulated_bad").exists()


def test_two_clips_whose_sessions_would_share_files_are_refused(
    make_config, clip, tmp_path, refuses
):
    shutil.copy(clip, tmp_path / "my-clip.mp4")
    config = make_config(contents=(str(clip), str(tmp_path / "my-clip.mp4")), n_streamed=1)
    with refuses(
        "sessions has 'my_clip_throughput_outage_1' twice, expected each name once; is it listed "
        "twice, or are two files called alike?"
    ):
        build(config, tmp_path / "simulated_bad")
    assert not (tmp_path / "simulated_bad").exists()


def test_a_trace_with_a_gap_is_refused_before_anything_is_written(make_config, tmp_path, refuses):
    path = tmp_path / "gap.csv"
    path.write_text("t_start_s,duration_s,throughput_mbps\n0,5,3.0\n6,5,3.0\n")
    with refuses(
        f"{path}, row 1: t_start_s is 6.0, expected 5.0 (the end of the row before, or 0); is a "
        "row missing, or are the rows out of order?"
    ):
        build(make_config(traces=(str(path),)), tmp_path / "simulated_bad")
    assert not (tmp_path / "simulated_bad").exists()
