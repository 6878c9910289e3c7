"""Labels that were found right are remembered with the data set."""

from threading import Thread

from app.core.files import Files
from app.datasets.label_marks import mark, right_labels


def test_a_mark_stays_until_it_is_taken_back(files: Files, dataset_id: str) -> None:
    assert right_labels(files, dataset_id) == {}
    mark(files, dataset_id, 17, "ham")
    mark(files, dataset_id, 3, "spam")
    assert right_labels(files, dataset_id) == {3: "spam", 17: "ham"}
    mark(files, dataset_id, 17, None)
    assert right_labels(Files(files.root), dataset_id) == {3: "spam"}


def test_marks_of_two_at_once_are_all_there(files: Files, dataset_id: str) -> None:
    def some(first: int) -> None:
        for row in range(first, first + 10):
            mark(files, dataset_id, row, "ham")

    both = [Thread(target=some, args=(first,)) for first in (0, 100)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(right_labels(files, dataset_id)) == 20
