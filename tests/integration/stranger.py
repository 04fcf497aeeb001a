"""A program of another user at the collector's socket, which says of itself what it likes. For tests that run as root.

Own pages are made by hand, so that nothing of the preload library judges what is sent.
"""

import array
import fcntl
import os
import pathlib
import re
import socket
import struct
import time

PAGE, EXTENT = 4096, 1 << 20
F_ADD_SEALS, SEAL_SHRINK_AND_SEAL = 1033, 3
HELLO, WELCOME, SNAPSHOT, ADOPT, REFUSED = 1, 2, 4, 6, 7
NOBODY = 65534


def version(header, name):
    """A version as the tree's own header gives it: hand-made pages that are of another one are refused, and test nothing."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "preload/protocol" / header).read_text(encoding="utf-8")
    return int(re.search(rf"\b{name} = (\d+);", text).group(1))


LAYOUT_VERSION = version("layout.h", "kLayoutVersion")
PROTOCOL_VERSION = version("handshake.h", "kProtocolVersion")


def pages(name, output=b"", started_ns=None):
    """A memfd with a process header and nothing else."""
    started_ns = started_ns or time.monotonic_ns()
    header = bytearray(2 * PAGE)
    struct.pack_into("<IIII", header, 0, 0x4750484C, LAYOUT_VERSION, os.getpid(), 1)
    struct.pack_into("<QQq", header, 16, 0, started_ns, time.time_ns())
    struct.pack_into("<IIII", header, 40, 0, 0, 15, 0)
    struct.pack_into("<IIIIII", header, 56, 1, 0, 1, 1, 0, 1)
    for offset, text, room in ((272, name, 15), (288, b"/usr/bin/" + name, 255), (544, output, 255)):
        header[offset:offset + len(text[:room])] = text[:room]
    extent = bytearray(PAGE)
    struct.pack_into("<II", extent, 0, 0x5845484C, 0)
    struct.pack_into("<IIQ", extent, 16, 1 | 2 << 8, 0, 0)
    memfd = os.memfd_create("leakhunt", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memfd, EXTENT)
    os.pwrite(memfd, bytes(extent) + bytes(header), 0)
    fcntl.fcntl(memfd, F_ADD_SEALS, SEAL_SHRINK_AND_SEAL)
    return memfd


def message(kind, text=b""):
    return struct.pack("<IHHII4Q80s", 0x534D484C, PROTOCOL_VERSION, kind, os.getpid(), 0, 0, 0, 0, 0, text[:79])


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(path))
    return connection


def send(connection, kind, descriptor):
    connection.sendmsg([message(kind)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])


def answer(connection, seconds=5):
    """Kind of the next message; 0: closed; None: nothing came."""
    connection.settimeout(seconds)
    try:
        said = connection.recv(4096)
    except socket.timeout:
        return None
    except OSError:
        return 0
    return struct.unpack_from("<H", said, 6)[0] if len(said) >= 128 else 0


def as_user(uid, act):
    """Runs `act` in a child of that user; what it returns (a small number, None as 255)."""
    child = os.fork()
    if child == 0:
        status = 254
        try:
            if uid != os.geteuid():
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            result = act()
            status = 255 if result is None else int(result)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
