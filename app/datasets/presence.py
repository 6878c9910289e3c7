"""What to say where a data set, or its rows, is not there: it may be deleted at any time, by another tab or process."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import Session

from app.core.errors import NotFound
from app.core.tables import Dataset


def known(session: Session, dataset_id: str) -> Dataset:
    """The data set, in whatever state. Raises NotFound."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no data set {dataset_id!r}. It may have been deleted.")
    return dataset


@contextmanager
def still_there(dataset_id: str) -> Iterator[None]:
    """Around whatever reads the files of a data set. Raises NotFound where they are gone."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"The rows of data set {dataset_id!r} are gone. It may have been deleted.") from error
