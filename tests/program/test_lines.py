"""The file of a recording: what is written, what is read, and what is refused."""

import io
import stat
from pathlib import Path

import orjson
import pytest

from scopegate.gateway.calls.token_form import new_owner_token
from scopegate.recordings.lines import (
    Closed,
    Message,
    Opened,
    Recorder,
    RecordingError,
    copied,
    each_connection,
    read,
)

TOKEN = new_owner_token()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    recorder = Recorder.create(path)
    number = recorder.opened(0.0, f"app_id=1089&l=EN&token={TOKEN}")
    recorder.message(number, 0.0124, "sent", b'{"authorize":"%s"}' % TOKEN.encode())
    recorder.message(number, 0.02, "received", '{"msg_type":"authorize"}')
    recorder.message(number, 0.03, "sent", b'{"authorize":"%s"' % TOKEN.encode())
    recorder.closed(number, 0.04, "client", 1000)
    recorder.close()
    assert TOKEN not in path.read_text()
    opened, sent, received, unreadable, closed = read(path)
    assert opened == Opened(1, 0.0, {"app_id": "1089", "l": "EN"}, 1)
    assert isinstance(sent, Message)
    assert (sent.direction, sent.at, sent.body) == ("sent", 0.012, {"authorize": "<secret 1>"})
    assert isinstance(received, Message)
    assert received.body == {"msg_type": "authorize"}
    assert isinstance(unreadable, Message)
    assert unreadable.body is None
    assert closed == Closed(1, 0.04, "client", 1000, 5)
    assert recorder.messages == 3


def test_only_its_owner_may_read_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    Recorder.create(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text("mine")
    with pytest.raises(RecordingError, match="exists: choose another file"):
        Recorder.create(path)
    with pytest.raises(RecordingError, match="No such file"):
        Recorder.create(tmp_path / "nowhere" / "session.jsonl")
    assert path.read_text() == "mine"


def test_messages_that_another_program_saved_are_masked_and_counted_from_zero(
    tmp_path: Path,
) -> None:
    saved, path = tmp_path / "saved.jsonl", tmp_path / "session.jsonl"
    lines = (
        {"direction": "sent", "message": {"authorize": "kq8Wz3LfPm1TxYd"}, "at": 1767268800.5},
        {"direction": "received", "message": {"authorize": {"email": "a@b"}}, "at": 1767268801},
        {"direction": "sent", "message": {"ping": 1}, "connection": "second"},
    )
    saved.write_bytes(b"\n\n".join(map(orjson.dumps, lines)))
    recorder = Recorder.create(path)
    copied(saved, recorder)
    recorder.close()
    assert "kq8Wz" not in path.read_text()
    first, second = each_connection(read(path))
    assert [type(entry).__name__ for entry in first] == ["Opened", "Message", "Message"]
    assert [entry.at for entry in first] == [0, 0, 0.5]
    assert [entry.connection for entry in second] == [2, 2]


def test_a_copy_of_a_recording_is_the_same(tmp_path: Path) -> None:
    path, again = tmp_path / "session.jsonl", tmp_path / "again.jsonl"
    recorder = Recorder.create(path)
    number = recorder.opened(0.0, "app_id=1089")
    recorder.message(number, 0.5, "sent", b'{"authorize":"kq8Wz3LfPm1TxYd"}')
    recorder.message(number, 0.5, "sent", b"not JSON")
    recorder.closed(number, 1.0, "gateway", 1006)
    recorder.close()
    recorder = Recorder.create(again)
    copied(path, recorder)
    recorder.close()
    unreadable = orjson.loads(path.read_bytes().splitlines()[2])
    assert unreadable["unreadable"] == 8
    assert [line for line in again.read_bytes().splitlines() if b"unreadable" not in line] == [
        line for line in path.read_bytes().splitlines() if b"unreadable" not in line
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1: it is not JSON"),
        ("[1]", "line 1: it must be an object"),
        ('{"direction": "up", "message": {}}', "direction: it must be sent"),
        ('{"direction": "sent"}', "message: it must be the message"),
        ('{"direction": "sent", "message": "{}"}', "message: it must be the message"),
        ('{"direction": "sent", "message": {}, "at": "noon"}', "at: it must be a number"),
        ('{"direction": "sent", "message": {}, "connection": []}', "connection: it must be"),
        ('{"event": "lost"}', "event: it must be opened or closed"),
        ('{"event": "opened", "query": "app_id=1"}', "query: it must be an object"),
        ('{"event": "closed", "by": "me", "code": 1000}', "by must be client or gateway"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(
    tmp_path: Path, line: str, problem: str
) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(RecordingError, match=problem):
        read(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        read(tmp_path / "nothing.jsonl")


def test_a_full_disk_is_named_at_the_end() -> None:
    recorder = Recorder(open("/dev/full", "wb", buffering=0))  # noqa: SIM115 - it closes the file
    recorder.opened(0)
    recorder.message(1, 0, "sent", b'{"ping":1}')
    with pytest.raises(RecordingError, match="No space left on device: the recording is incompl"):
        recorder.close()


def test_unknown_parameters_of_an_address_are_not_written() -> None:
    file = io.BytesIO()
    Recorder(file).opened(0, "app_id=7&brand=&session=abc")
    assert orjson.loads(file.getvalue())["query"] == {"app_id": "7", "brand": ""}
