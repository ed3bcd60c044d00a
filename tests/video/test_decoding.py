"""Frames by number against frames that carry their number; every kind of broken file is named."""

import os
import sys
import time

import av
import numpy as np
import pytest
from numbered_videos import read_number, write_numbered
from small_video import config

from nonlocal_det.video import decoding, index
from nonlocal_det.video.decoding import get_reader, iterate_frames, read_frames
from nonlocal_det.video.index import VideoError, video_index
from nonlocal_det.video.mapper import VideoMapper

VARIABLE = np.cumsum(np.random.default_rng(0).integers(5, 120, 60)).tolist()


KINDS = {
    "plain.mp4": {},
    "one_key_frame.mp4": {"gop": 250},
    "b_frames.mp4": {"options": {"bf": "3", "b_strategy": "0"}},
    "open_gop.mkv": {"options": {"x264-params": "open-gop=1:bframes=3:keyint=12:scenecut=0"}},
    "variable_rate.mkv": {"milliseconds": VARIABLE},
    "variable_rate.mp4": {"milliseconds": VARIABLE},
    "late_start.mkv": {"first": 5000},
    "b_frames.ts": {"options": {"bf": "3", "b_strategy": "0"}},
    "old.avi": {"codec": "mpeg4"},
    "b_frames.avi": {"options": {"bf": "3", "b_strategy": "0"}},  # packets without timestamps
    "hidden_frames.webm": {
        "codec": "libvpx",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "16"},
    },
    "web.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1"},
    "hevc.mp4": {"codec": "libx265"},
    "ten_bits.mp4": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    "still_frames.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_exact(tmp_path, name):
    path = write_numbered(tmp_path / name, **KINDS[name])
    assert len(video_index(path)) == 60
    wanted = [59, 0, 31, 31, 12, 11, 58, 13]
    assert [read_number(frame) for frame in read_frames(path, wanted)] == wanted
    assert [read_number(frame) for frame in read_frames(path, range(60))] == [*range(60)]
    assert [read_number(frame) for frame in iterate_frames(path)] == [*range(60)]


def test_the_index_tells_times_and_the_mean_rate(tmp_path):
    index = video_index(write_numbered(tmp_path / "a.mkv", 26, first=4000))
    assert index.rate == pytest.approx(25)
    assert index.time(0) == 0
    assert index.time(25) == pytest.approx(1)
    assert index.size == (48, 96)


def test_only_what_is_needed_is_decoded(tmp_path, monkeypatch):
    path = write_numbered(tmp_path / "a.mp4", 240, gop=12)
    decoded = []
    upright = decoding._upright
    monkeypatch.setattr(decoding, "_upright", lambda *args: decoded.append(1) or upright(*args))
    read_frames(path, [5, 230])
    assert len(decoded) == 2


def test_a_changed_file_is_indexed_anew(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 10)
    assert len(video_index(path)) == 10
    write_numbered(path, 20)
    assert len(video_index(path)) == 20


def test_a_turned_camera_gives_upright_frames(tmp_path):
    source = write_numbered(tmp_path / "a.mp4", 3)
    turned = tmp_path / "turned.mp4"
    with av.open(str(source)) as old, av.open(str(turned), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        stream.set_display_rotation(90) if hasattr(stream, "set_display_rotation") else None
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    with av.open(str(turned)) as container:
        rotation = next(container.decode(video=0)).rotation
    frames = read_frames(turned, [1])
    assert frames.shape == ((1, 96, 48, 3) if rotation % 180 else (1, 48, 96, 3))


def broken(tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    if kind == "missing":
        return path
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<html>404</html>" * 100)
    elif kind == "cut":
        whole = write_numbered(tmp_path / "whole.mp4").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])  # its table of contents is at the end
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "playlist":
        write_numbered(tmp_path / "part.ts", 5)
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n")
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    elif kind == "cover":  # of a song: a picture, not a video
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("mjpeg", rate=1)
            stream.width, stream.height, stream.pix_fmt = 96, 48, "yuvj420p"
            stream.disposition = av.stream.Disposition.attached_pic
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 96, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    elif kind == "codec":
        data = write_numbered(tmp_path / "whole.mp4").read_bytes()
        path.write_bytes(data.replace(b"avc1", b"xq7z"))
    elif kind == "encrypted":
        key = {"encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
        key |= {"encryption_scheme": "cenc-aes-ctr", "encryption_kid": "a7" * 16}
        write_numbered(path, container_options=key)
    elif kind == "list":
        write_numbered(tmp_path / "part.ts", 5)
        path.write_text("ffconcat version 1.0\nfile part.ts\n")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file"),
        ("empty", "empty"),
        ("text", "not a video"),
        ("cut", "not a video"),
        ("pipe", "not a regular file"),
        ("folder", "not a regular file"),
        ("playlist", "not a video"),
        ("list", "not a video"),
        ("sound", "no video stream"),
        ("cover", "no video stream"),
        ("encrypted", "is encrypted; decrypt it first"),
        ("codec", "no decoder of its codec; re-encode it"),
    ],
)
def test_a_file_that_is_no_video_is_named_with_the_reason(tmp_path, kind, reason):
    path = broken(tmp_path, kind)
    with pytest.raises(VideoError, match=reason) as error:
        read_frames(path, [0])
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "scheme",
    ["concat:{0}|{0}", "subfile,,start,0,end,100,,:{0}", "data:,x", "http://localhost:1/{0}"],
)
def test_a_path_is_no_protocol(tmp_path, scheme):
    path = write_numbered(tmp_path / "a.ts", 5)
    with pytest.raises(VideoError):
        read_frames(scheme.format(path), [0])


def test_damage_inside_is_an_error_of_the_file(tmp_path):
    data = bytearray(write_numbered(tmp_path / "a.mkv", 120, gop=250).read_bytes())
    rng = np.random.default_rng(1)
    for at in rng.integers(len(data) // 10, len(data), len(data) // 30):
        data[at] = rng.integers(256)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    with pytest.raises(VideoError, match="damaged.mkv"):
        read_frames(path, range(len(video_index(path))))


def test_frames_above_the_limit_are_refused_before_decoding(tmp_path, monkeypatch):
    path = write_numbered(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(index, "MAX_PIXELS", 48 * 96 - 1)
    with pytest.raises(VideoError, match="96x48 pixels"):
        video_index(path)


def test_a_hanging_decoder_is_left_after_a_time(tmp_path, monkeypatch):
    path = write_numbered(tmp_path / "a.mp4", 30)
    monkeypatch.setattr(decoding, "_upright", lambda *_: time.sleep(0.1))  # many slow frames
    with pytest.raises(VideoError, match="a.mp4: takes longer than 0.3 s"):
        read_frames(path, range(30), 0.3)
    monkeypatch.setattr(decoding, "_read", lambda *_: time.sleep(5))  # one that does not come back
    begin = time.monotonic()
    with pytest.raises(VideoError, match="a.mp4: takes longer than 0.3 s"):
        read_frames(path, [0], 0.3)
    assert time.monotonic() - begin < 2
    mapper = VideoMapper(config("INPUT.VIDEO.MAX_SECONDS", 0.3), is_train=True)
    record = {"file_name": str(path), "video_id": "a", "label": 0}
    with pytest.raises(VideoError, match=r"a.mp4: takes longer than 0.3 s .*VIDEO.MAX_SECONDS"):
        mapper(record)
    with pytest.raises(ValueError, match="INPUT.VIDEO.MAX_SECONDS=0; expected seconds above 0"):
        VideoMapper(config("INPUT.VIDEO.MAX_SECONDS", 0.0), is_train=True)


def test_files_of_another_size_inside_keep_the_first(tmp_path):
    first = write_numbered(tmp_path / "a.h264", 5).read_bytes()
    second = write_numbered(tmp_path / "b.h264", 5, size=(32, 64)).read_bytes()
    path = tmp_path / "both.h264"
    path.write_bytes(first + second)
    frames = read_frames(path, range(10))
    assert frames.shape == (10, 48, 96, 3)
    assert [read_number(frame) for frame in frames] == [0, 1, 2, 3, 4] * 2


def test_a_larger_size_inside_is_refused(tmp_path, monkeypatch):
    first = write_numbered(tmp_path / "a.h264", 5).read_bytes()
    second = write_numbered(tmp_path / "b.h264", 5, size=(96, 192)).read_bytes()
    path = tmp_path / "both.h264"
    path.write_bytes(first + second)
    monkeypatch.setattr(index, "MAX_PIXELS", 48 * 96)
    with pytest.raises(VideoError, match="both.h264"):
        read_frames(path, [9])


def test_frames_that_an_edit_list_hides_do_not_count(tmp_path):
    source, path = write_numbered(tmp_path / "a.mp4", 60, gop=250), tmp_path / "cut.mp4"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        begin = int(0.8 / old.streams.video[0].time_base)  # 20 frames
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = (
                    packet.pts - begin,
                    packet.dts - begin,
                    stream,
                )
                new.mux(packet)
    index = video_index(path)
    assert index.timed
    numbers = [read_number(frame) for frame in read_frames(path, range(len(index)))]
    assert numbers == [*range(20, 60)]
    assert [read_number(frame) for frame in read_frames(path, [39, 3])] == [59, 23]


def test_frames_before_the_first_key_frame_of_a_cut_recording_do_not_count(tmp_path):
    options = {"x264-params": "open-gop=1:bframes=3:keyint=12:b-adapt=0:scenecut=0"}
    source, path = write_numbered(tmp_path / "a.ts", options=options), tmp_path / "cut.mkv"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream, keys, packets = new.add_stream_from_template(old.streams.video[0]), 0, 0
        for packet in old.demux(old.streams.video[0]):
            keys += packet.is_keyframe
            if keys >= 2 and packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
                packets += 1
    frames = read_frames(path, range(len(video_index(path))))
    numbers = [read_number(frame) for frame in frames]
    assert numbers == [*range(numbers[0], 60)]
    assert len(numbers) < packets


def test_a_frame_that_does_not_exist_is_an_index_error(tmp_path):
    with pytest.raises(IndexError, match="has 3 frames, no frame 3"):
        read_frames(write_numbered(tmp_path / "a.mp4", 3), [3])


def test_readers_are_chosen_by_name(monkeypatch):
    assert get_reader("pyav") is read_frames
    with pytest.raises(ValueError, match="READER='opencv'"):
        get_reader("opencv")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="pip install"):
        get_reader("pyav")


@pytest.mark.parametrize("name", KINDS)
def test_torchcodec_gives_the_same_bits(tmp_path, name):
    try:
        read = get_reader("torchcodec")
    except ImportError:
        pytest.skip("torchcodec, an option, is not installed or finds no FFmpeg")
    path = write_numbered(tmp_path / name, **KINDS[name])
    wanted = [59, 0, 31, 31, 12]
    if name in ("b_frames.avi", "b_frames.ts"):  # torchcodec's frame 0 of this .ts is frame 8
        with pytest.raises(VideoError, match=f"{name}: torchcodec .*READER pyav"):
            read(path, [0])
        return
    assert np.array_equal(read(path, wanted), read_frames(path, wanted))


def test_torchcodec_is_refused_with_the_cure_where_it_cannot_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(ImportError, match=r"FFmpeg.*READER pyav"):
        get_reader("torchcodec")
