"""What a program reached for, as the kernel saw it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parts.programs import program

__all__ = ["Trace", "traced"]

_NETWORK = ("connect", "sendto", "sendmsg", "sendmmsg")
_TO_DISK = ("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "rename", "renameat")
_TO_DISK += ("renameat2", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat")
_OF_OURS = ("ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
"""Variables that the package must set itself: a test that imports it would hand them on."""

_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_SOCKET = re.compile(r'sa_family=AF_UNIX, sun_path=@?"([^"]*)"')
_FAMILY = re.compile(r"sa_family=(AF_\w+)")
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
_FOLDER_AND_NAME = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_NAMES = re.compile(r"/etc/(resolv\.conf|hosts|host\.conf|nsswitch\.conf|services)$")


def traced(command: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Have strace watch a command and all it starts; it stays the child of who starts it."""
    folder.mkdir()
    unset = [word for name in _OF_OURS for word in ("-u", name)]
    options = ["-D", "-ff", "-y", "-qq", "--seccomp-bpf", "--signal=none", "-s", "4096"]
    calls = f"trace={','.join(f'?{one}' for one in (*_NETWORK, *_TO_DISK))}"
    strace = [program("strace"), *options, "-e", calls, "-o", str(folder / "calls")]
    return ("env", *unset, *strace, *command)


@dataclass(frozen=True)
class Trace:
    """The calls in a folder, as :func:`traced` left them."""

    folder: Path

    def lines(self) -> Iterator[str]:
        for path in sorted(self.folder.glob("calls.*")):
            yield from path.read_text(errors="replace").splitlines()

    def reached(self, peers: Iterable[int], sockets: Sequence[Path]) -> list[str]:
        """Calls to anyone but these ports of loopback and sockets below these folders."""
        ports = set(peers)
        return [line for line in self.lines() if _reaches(line, ports, sockets)]

    def looked_up(self) -> list[str]:
        """Files that only whoever looks up a name opens."""
        opened = (path for _, path, _ in self._opened())
        return [str(path) for path in opened if _NAMES.search(str(path))]

    def wrote(self, *allowed: Path) -> list[str]:
        """What was opened for writing, made or renamed, but below these folders."""
        return sorted({str(path) for path in self._written() if not _below(path, allowed)})

    def _opened(self) -> Iterator[tuple[str, Path, str]]:
        for line in self.lines():
            name, _, arguments = line.partition("(")
            if name in _TO_DISK and not re.search(r"\) = -1 ", line):
                for folder, path in _FOLDER_AND_NAME.findall(arguments):
                    yield name, Path(folder) / path, arguments

    def _written(self) -> Iterator[Path]:
        for name, path, arguments in self._opened():
            if not name.startswith("open") or _WRITES.search(arguments):
                yield path


def _reaches(line: str, ports: set[int], sockets: Sequence[Path]) -> bool:
    """Say whether a call names an address that it should not."""
    if line.partition("(")[0] not in _NETWORK or not (families := _FAMILY.findall(line)):
        return False
    known = [
        host == "127.0.0.1" and int(port) in ports for port, host in _ADDRESS.findall(line)
    ] + [_below(Path(path), sockets) for path in _SOCKET.findall(line)]
    return len(known) != len(families) or not all(known)


def _below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
