"""What a command in a build's container prints, as the engine sends it."""

import socket
import struct

import pytest

from salt_ubiq.containers import client


@pytest.fixture
def ends():
    """The engine's end of a connection, and ours."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, ours


def frame(kind, data):
    return struct.pack(">BxxxL", kind, len(data)) + data


def test_frames_come_with_the_output_that_they_are_of_until_the_end(ends):
    theirs, ours = ends
    theirs.sendall(frame(1, b"out") + frame(2, b"err") + frame(1, b""))
    theirs.shutdown(socket.SHUT_WR)
    assert list(client._frames(ours)) == [(1, b"out"), (2, b"err")]


def test_a_frame_is_there_before_anything_comes_after_it(ends):
    theirs, ours = ends
    frames = client._frames(ours)
    for question in (b"one", b"two"):
        theirs.sendall(frame(2, question))
        assert next(frames) == (2, question)
        ours.sendall(b"answer")
        assert theirs.recv(6) == b"answer"


def test_what_is_cut_off_is_as_far_as_it_came(ends):
    theirs, ours = ends
    theirs.sendall(frame(1, b"whole") + frame(1, b"cut off")[:-3])
    theirs.shutdown(socket.SHUT_WR)
    assert b"".join(data for _, data in client._frames(ours)) == b"wholecut "
