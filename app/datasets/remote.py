"""A file fetched from the web, to the disk and no further than a limit.

Every address, that of a redirect too, is looked up once, judged, and then connected to as it was judged, so that no second
look-up can lead elsewhere. Who may reach Headstart on a loopback address sits at this machine and may name what it can reach;
in a container that is published, private addresses are refused. Addresses of the link (169.254.…, where clouds keep their
secrets) are refused everywhere. Proxies are not used.
"""

import errno
import http.client
import ipaddress
import re
import shutil
import socket
import ssl
from collections.abc import Callable
from email.message import Message
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from app.core.errors import Invalid
from app.core.files import RESERVE, megabytes

MAX_BYTES = 20 * 2**30
MAX_REDIRECTS = 5
TIMEOUT_SECONDS = 20.0
_CHUNK = 2**20
_REDIRECTS = (301, 302, 303, 307, 308)

Progress = Callable[[int, int], None]


def check(url: str) -> None:
    """Raises Invalid unless `url` is one that can be fetched: http or https, with a host, without a password."""
    _parsed(url)


def fetch(
    url: str,
    target: Path,
    progress: Progress,
    private: bool,
    timeout: float = TIMEOUT_SECONDS,
    limit: int = MAX_BYTES,
) -> str:
    """Writes what the address gives to `target`; returns the name that it has there.

    `progress` is called with the bytes so far and the bytes in all (0: not told) and may raise to stop. `private`: addresses
    of this machine and its network are allowed. Raises Invalid, and OSError for the disk.
    """
    asked = url
    for _ in range(MAX_REDIRECTS + 1):
        parts = _parsed(url)
        connection = _connect(parts, private, timeout)
        try:
            try:
                path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
                    f"?{parts.query}" if parts.query else ""
                )
                headers = {"User-Agent": "Headstart", "Accept-Encoding": "identity"}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise _unreachable(parts, error) from error
            if answer.status in _REDIRECTS and (place := answer.getheader("Location")):
                url = urljoin(url, place)
                continue
            if answer.status != 200:
                raise _fault(f"{parts.hostname} answered {answer.status} {answer.reason}: check the address.")
            _save(answer, parts, target, progress, limit)
            return _name(answer, parts)
        finally:
            connection.close()
    raise _fault(
        f"{_parsed(asked).hostname} redirects more than {MAX_REDIRECTS} times. Give the address of the file itself."
    )


def _save(
    answer: http.client.HTTPResponse, parts: SplitResult, target: Path, progress: Progress, limit: int
) -> None:
    told = answer.getheader("Content-Length") or ""
    total, done = int(told) if told.isdecimal() else 0, 0
    too_large = (
        f"The file is larger than {megabytes(limit)}, the most that is fetched. Load it down and upload it."
    )
    if total > limit:
        raise _fault(too_large)
    if total and shutil.disk_usage(target.parent).free < 2 * total + RESERVE:
        raise OSError(errno.ENOSPC, "too little disk")
    with target.open("wb") as sink:
        while True:
            try:
                chunk = answer.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _fault(
                    f"{parts.hostname} broke off after {megabytes(done)}, or sent nothing for too long. Try again."
                ) from error
            if not chunk:
                break
            done += len(chunk)
            if done > limit:
                raise _fault(too_large)
            if done % (64 * _CHUNK) < len(chunk) and shutil.disk_usage(target.parent).free < RESERVE:
                raise OSError(errno.ENOSPC, "reserve reached")
            sink.write(chunk)
            progress(done, total)
    if total and done < total:
        raise _fault(f"{parts.hostname} broke off after {megabytes(done)} of {megabytes(total)}. Try again.")
    if not done:
        raise _fault(f"{parts.hostname} gave an empty file. Check the address.")


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port != 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or len(url) > 4000:
        raise _fault(f"{url[:100]!r} is no address of a file: write it as https://host/reviews.csv.")
    if parts.username or parts.password:
        raise _fault(
            "The address has a name or password in it, which would be stored. Load the file down and upload it."
        )
    if not url.isascii() or re.search(r"[\x00-\x20\x7f]", url.strip()):
        parts = parts._replace(path=quote(parts.path), query=quote(parts.query, safe="=&%+"))
    return parts


def _connect(parts: SplitResult, private: bool, timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _fault(
            f"{host} can't be found. Is there a network, and is the address spelled right?"
        ) from error
    for _, _, _, _, address in found:
        if not _allowed(str(address[0]), private):
            raise _fault(
                f"{host} is an address inside of this machine's network ({address[0]}), which Headstart does not fetch from "
                "here. Load the file down and upload it."
            )
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout)
    try:
        plain = socket.create_connection((str(found[0][4][0]), port), timeout)
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        else:
            connection.sock = plain
    except OSError as error:
        raise _unreachable(parts, error) from error
    return connection


def _allowed(address: str, private: bool) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    return ip.is_global or (private and (ip.is_private or ip.is_loopback))


def _unreachable(parts: SplitResult, error: Exception) -> Invalid:
    if isinstance(error, ssl.SSLError):
        return _fault(
            f"{parts.hostname} has no certificate that this machine trusts, so the file was not fetched."
        )
    if isinstance(error, TimeoutError):
        return _fault(f"{parts.hostname} does not answer. Try again, or load the file down and upload it.")
    return _fault(f"{parts.hostname} can't be reached. Is there a network, and is the address right?")


def _name(answer: http.client.HTTPResponse, parts: SplitResult) -> str:
    """What the answer calls the file, else the end of the address."""
    told = Message()
    told["Content-Disposition"] = answer.getheader("Content-Disposition") or ""
    for name in (told.get_filename() or "", unquote(parts.path)):
        if base := PurePosixPath(name.replace("\\", "/")).name:
            return base
    return parts.hostname or "file"


def _fault(message: str) -> Invalid:
    return Invalid(message, [{"where": "url", "message": message}], kind="url")
