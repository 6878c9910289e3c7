"""An upload from the network to the disk: 1 MB at a time, never more in memory, nothing left behind when it breaks."""

import asyncio
import contextlib
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.core.errors import Conflict, Invalid, NoSpace
from app.datasets.options import ReadOptions
from app.datasets.parts import PARTS, part_of
from app.models import hub_data
from app.web.services import Services

if TYPE_CHECKING:
    from app.datasets.upload import Incoming

BUFFER = 2**20
# So long a small file's uploader waits for it to be read, so that the answer already says ready or failed.
PATIENCE_SECONDS = 2.0
DRAIN_SECONDS = 5.0


async def receive(
    services: Services, name: str, chunks: AsyncIterator[bytes], expected: int | None
) -> dict[str, Any]:
    """Stores `chunks` as a new data set and has it read; returns its view.

    Raises NoSpace, Invalid (no name, an empty file); ClientDisconnect when the sender goes away.
    """
    try:
        upload = await run_in_threadpool(services.datasets.begin, name, expected)
    except NoSpace:
        # A browser that is still sending sees a broken connection, not our sentence: let a small body end.
        await _drain(chunks, 8 * 2**20)
        raise
    try:
        await write_all(upload, chunks)
        await run_in_threadpool(upload.commit)
    except BaseException:  # a cancelled task too must leave nothing
        upload.abort()
        raise
    return await read_patiently(services, upload.id)


async def fetch(services: Services, source: str) -> dict[str, Any]:
    """Has the file at an address (http, https, or hub:OWNER/NAME) fetched as a new data set. Raises Conflict, Invalid, NoSpace."""
    source = source.strip()
    if services.settings.offline:
        raise Conflict(
            "Headstart is set to stay offline (HEADSTART_OFFLINE), so it fetches nothing. Load the file down and upload it."
        )
    name = source.split("?")[0].rstrip("/").rpartition("/")[2] or "file"
    if source.startswith("hub:"):
        found = await run_in_threadpool(hub_data.find, source.removeprefix("hub:"))
        source, name = found.url, found.name
    dataset_id = await run_in_threadpool(
        services.datasets.begin_remote, source, name, not services.settings.behind_loopback
    )
    return await read_patiently(services, dataset_id)


async def read_patiently(services: Services, dataset_id: str) -> dict[str, Any]:
    """Queues the data set for reading, waits a little, and returns its view."""
    done = services.reader.submit(dataset_id)
    await run_in_threadpool(done.wait, PATIENCE_SECONDS)
    view: dict[str, Any] = await run_in_threadpool(services.datasets.view, dataset_id)
    return view


async def write_all(upload: "Incoming", chunks: AsyncIterator[bytes]) -> None:
    """Writes `chunks` in pieces of a megabyte, outside of the event loop."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= BUFFER:
            await run_in_threadpool(upload.write, bytes(buffer))
            buffer.clear()
    if buffer:
        await run_in_threadpool(upload.write, bytes(buffer))


async def _drain(chunks: AsyncIterator[bytes], limit: int) -> None:
    seen = 0
    with contextlib.suppress(
        TimeoutError
    ):  # a sender that announced more than it has would be waited for in vain
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in chunks:
                seen += len(chunk)
                if seen > limit:
                    return


def file_chunks(read: Callable[[int], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """The content of a form's UploadFile in pieces."""

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await read(BUFFER):
            yield chunk

    return chunks()


async def receive_bytes(services: Services, name: str, data: bytes) -> dict[str, Any]:
    """`data` as a new data set."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    return await receive(services, name, chunks(), len(data))


async def receive_form(request: Request, services: Services) -> dict[str, Any]:
    """The file, or two or three files, of a form as a new data set."""
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        services.files.require_free(2 * int(length), "the upload")
    async with request.form(max_files=len(PARTS)) as form:
        files = [
            (field, file)
            for field, file in form.multi_items()
            if field in ("file", *PARTS) and isinstance(file, UploadFile) and file.filename
        ]
        if not files:
            raise Invalid("No file was chosen. Go back and choose one.")
        if len(files) > 1:
            return await receive_files(services, files, None)
        field, file = files[0]
        if field not in ("file", "train"):
            raise Invalid.from_problems(
                "The files can't be used", [{"where": "train", "message": "is required"}]
            )
        return await receive(services, file.filename or "", file_chunks(file.read), file.size)


async def receive_files(
    services: Services, files: Sequence[tuple[str, UploadFile]], expected: int | None
) -> dict[str, Any]:
    """Several files of a form as one data set, told apart as train, validation and test; `files`: (field, file).

    They are kept as one zip, whose members the field's name tells apart, else the file's. Raises Invalid, NoSpace.
    """
    named = _parts_of(files)
    if empty := [name for name, file in named if file.size == 0]:
        raise Invalid(f"{empty[0]} is empty: there is nothing in it. Choose a file with rows.")
    upload = await run_in_threadpool(
        services.datasets.begin, " + ".join(file.filename or "" for _, file in named) + ".zip", expected
    )
    try:
        await run_in_threadpool(_pack, upload, named)
        await run_in_threadpool(upload.commit)
    except BaseException:
        upload.abort()
        raise
    return await read_patiently(services, upload.id)


def _parts_of(files: Sequence[tuple[str, UploadFile]]) -> list[tuple[str, UploadFile]]:
    """(member of the zip, file) for each. Raises Invalid unless there is a train and each other part at most once."""
    found: dict[str, tuple[str, UploadFile]] = {}
    for field, file in files:
        name = PurePath((file.filename or "").replace("\\", "/")).name
        part = field if field in PARTS else part_of(name)
        if part is None:
            raise Invalid(
                f"Is {name!r} for training, validation or testing? Call the files train, validation and test, as train.csv; "
                "or upload one file at a time."
            )
        if part in found:
            raise Invalid(
                f"Both {found[part][1].filename!r} and {name!r} are for {part}: join them, or rename one."
            )
        # The name stays where it says the same as the field, or nothing.
        told = part_of(name) in (None, part)
        found[part] = (f"{part}/{name}" if told else f"{part}{PurePath(name).suffix}", file)
    if "train" not in found or len(found) < 2:
        raise Invalid(
            "Files that are uploaded together are train and test, and perhaps validation; one of them is missing."
        )
    return [found[part] for part in PARTS if part in found]


def _pack(upload: "Incoming", files: Sequence[tuple[str, UploadFile]]) -> None:
    class Sink(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            upload.write(bytes(data))
            return len(data)

    with zipfile.ZipFile(Sink(), "w", zipfile.ZIP_STORED) as archive:
        for name, file in files:
            with archive.open(name, "w", force_zip64=True) as member:
                while chunk := file.file.read(BUFFER):
                    member.write(chunk)


async def reread(services: Services, dataset_id: str, options: ReadOptions) -> dict[str, Any]:
    """Has the kept original read again with other options. Raises NotFound, Conflict, Invalid."""
    await run_in_threadpool(services.datasets.reread, dataset_id, options)
    return await read_patiently(services, dataset_id)
