"""The chat: several people, bad names and lines, and one who does not read."""

from __future__ import annotations

import pathlib
import socket
from typing import List

from examples import LIMIT, Server

from .common import all_at_once, descriptors_settle, expect, memory, reset, serving

#: More than the buffers of the kernel and of the server together can hold for one member.
ENOUGH = 200_000_000
#: What a server may grow by while one member does not read: its limit, and room to breathe.
GROWTH = 8 << 20

#: What could trick a terminal, and what the others are shown: C1 controls alone and in UTF-8, short and too long
#: characters, and one that is cut off. Everything else in UTF-8 is left alone. (mutations: only iscntrl; no test of
#: C1; nor of the least code)
TRICKS = [(b"a\x9b2Jb", "a 2Jb"), (b"a\xc2\x9b2Jb", "a  2Jb"), (b"\xc2\x80 \xc2\x9f \x7f.", "       ."),
          (b"\xe0\x82\x9b2J\xf0\x80\x82\x9b2J", "   2J    2J"), (b"\xc0\x9b. \xed\xa0\x80.", "  .    ."),
          (b"\xf5\x80\x80\x80. \xe2\x82", "    .   "), (b"\xc1\x81. \xe0\x81\x81.", "  .    ."),
          ("\u00a0 \u00c0 \u20ac \u011b \U0001f30a".encode(), "\u00a0 \u00c0 \u20ac \u011b \U0001f30a")]


class Member:
    """Somebody in the chat, who reads line by line."""

    def __init__(self, server: Server, name: str = "", receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(LIMIT)
        self.socket.connect(("127.0.0.1", server.port))
        self.reader = self.socket.makefile("rb")
        self.hears("* welcome: /nick NAME, /who, /quit")
        if name:
            self.say(f"/nick {name}")
            expect(self.line().endswith(f" is now {name}"), "no new name")

    def say(self, text: str, end: str = "\n") -> None:
        self.socket.sendall((text + end).encode())

    def line(self) -> str:
        line = self.reader.readline()
        expect(line.endswith(b"\n"), f"the end instead of a line: {line!r}")
        return line[:-1].decode("utf-8", "backslashreplace")

    def hears(self, expected: str) -> None:
        line = self.line()
        expect(line == expected, f"{line!r} instead of {expected!r}")

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


def three_people(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """They see each other come, speak, change names and leave, each thing once and in order."""
    with serving(program, wrapper, env) as server:
        ann = Member(server, "ann")
        before = server.descriptors()
        bob = Member(server, "bob")
        ann.hears("* guest2 is here")
        ann.hears("* guest2 is now bob")
        cleo = Member(server, "cleo")
        for other in (ann, bob):
            other.hears("* guest3 is here")
            other.hears("* guest3 is now cleo")
        people = {"ann": ann, "bob": bob, "cleo": cleo}
        for name, member in people.items():
            member.say("".join(f"line {number} of {name}\n" for number in range(100)), end="")
        for name, member in people.items():
            heard = [member.line() for _ in range(200)]
            for other in people.keys() - {name}:
                lines = [line for line in heard if line.startswith(other + ": ")]
                expect(lines == [f"{other}: line {number} of {other}" for number in range(100)],
                       f"{name} heard of {other}: {lines}")
        bob.say("/who", end="\r\n")
        expect(sorted(bob.line().split()) == ["*", "ann", "bob", "cleo"], "/who is wrong")
        bob.say("/quit")
        bob.hears("* goodbye")
        expect(bob.reader.read() == b"", "more than a goodbye")
        bob.close()
        for other in (ann, cleo):
            other.hears("* bob has left")
        reset(cleo.socket)
        cleo.reader.close()
        ann.hears("* cleo has lost the connection")
        ann.say("a last word without a line feed", end="")
        ann.socket.shutdown(socket.SHUT_WR)
        expect(ann.reader.read() == b"", "more than the end")
        ann.close()
        descriptors_settle(server, before - 1)


def bad_behaviour(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Names, commands and lines that are refused, and what could trick a terminal."""
    with serving(program, wrapper, env) as server:
        ann, bob = Member(server, "ann"), Member(server)
        ann.hears("* guest2 is here")
        for name, answer in (("ann", "* that name is taken"), ("", "* a name has 1 to 24 characters"),
                             ("x" * 25, "* a name has 1 to 24 characters"),
                             ("a b", "* a name has letters, digits, - and _"),
                             ("\x1b[2J", "* a name has letters, digits, - and _")):
            bob.say(f"/nick {name}")
            bob.hears(answer)
        bob.say("/dance")
        bob.hears("* /nick NAME, /who, /quit")
        bob.say("\x1b[2Jboo\0\x07")
        ann.hears("guest2:  [2Jboo  ")
        for said, heard in TRICKS:
            bob.socket.sendall(said + b"\n")
            ann.hears(f"guest2: {heard}")
        bob.say("")
        bob.say("y" * 512)
        ann.hears("guest2: " + "y" * 512)
        bob.say("z" * 513)
        ann.hears("* guest2 was cut off: a line of more than 512 bytes")
        ann.close()
        bob.close()


def two_of_one_name(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Whoever comes gets a name that nobody has chosen before. (mutation: no loop in on_accept)"""
    with serving(program, wrapper, env) as server:
        ann = Member(server, "guest3")
        bob = Member(server)
        ann.hears("* guest2 is here")
        cleo = Member(server)
        for other in (ann, bob):
            other.hears("* guest4 is here")
        for member in (ann, bob, cleo):
            member.close()


def who_in_one_write(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """One write comes in one piece; of several ones the first would come alone, if not each time. (mutation: a write
    for each name)"""
    with serving(program, wrapper, env) as server:
        members = [Member(server) for _ in range(20)]
        last = members[-1]
        for _ in range(50):
            last.say("/who")
            said = last.socket.recv(65536).decode()
            expect(said.endswith("\n") and len(said.split()) == 21, f"{said!r} came alone")
        for member in members:
            member.close()


def one_who_does_not_read(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """He is let go when he is too far behind; the others go on, and the server's memory stays what it was."""
    with serving(program, wrapper, env) as server:
        ann, bob = Member(server, "ann"), Member(server, "bob")
        ann.line(), ann.line()
        slow = Member(server, receive_buffer=4096)
        ann.hears("* guest3 is here")
        bob.hears("* guest3 is here")
        at_first, most, said = memory(server.process.pid), 0, 0
        burst = "".join(f"{number:04} {'.' * 400}\n" for number in range(100))
        gone = False
        while not gone:
            expect(said < ENOUGH, f"{said} bytes were said, and nobody was let go")
            ann.say(burst, end="")
            said += len(burst)
            heard = 0
            while heard < 100:  # so that bob, who reads, is never behind
                line = bob.line()
                heard += line.startswith("ann: ")
                gone = gone or line == "* guest3 was too slow"
            most = max(most, memory(server.process.pid))
        ann.hears("* guest3 was too slow")
        expect(most - at_first < GROWTH, f"the server grew by {most - at_first} bytes")
        ann.say("still here?")
        while (line := bob.line()).startswith("ann: 0") or line.startswith("* guest3"):
            pass
        expect(line == "ann: still here?", line)
        bob.say("/who")
        expect(sorted(bob.line().split()) == ["*", "ann", "bob"], "he is still on the list")
        slow.close()
        ann.close()
        bob.close()


def many_at_the_end(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Many come and leave in every way at once, and some are there when the server ends."""
    with serving(program, wrapper, env) as server:
        stays = [Member(server) for _ in range(3)]

        def one(number: int) -> None:
            member = Member(server)
            member.say(f"hello from {number}")
            if number % 3 == 0:
                member.say("/quit")
                member.reader.read()
            if number % 3 == 1:
                reset(member.socket)
            member.close()

        all_at_once(10 if wrapper else 60, one)
        stays[0].say("/who")
    for member in stays:
        member.close()


DRIVERS = [three_people, bad_behaviour, two_of_one_name, who_in_one_write, one_who_does_not_read, many_at_the_end]
NATIVE_ONLY = [one_who_does_not_read]
