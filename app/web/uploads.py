"""An upload from the network to the disk: 1 MB at a time, never more in memory, nothing left behind when it breaks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fastapi.concurrency import run_in_threadpool

from app.core.errors import NoSpace
from app.datasets.options import ReadOptions
from app.web.services import Services

if TYPE_CHECKING:
    from app.datasets.upload import Incoming

BUFFER = 2**20
# So long a small file's uploader waits for it to be read, so that the answer already says ready or failed.
PATIENCE_SECONDS = 2.0


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


async def reread(services: Services, dataset_id: str, options: ReadOptions) -> dict[str, Any]:
    """Has the kept original read again with other options. Raises NotFound, Conflict, Invalid."""
    await run_in_threadpool(services.datasets.reread, dataset_id, options)
    return await read_patiently(services, dataset_id)
