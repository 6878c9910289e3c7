"""What a frozen model says of texts: one vector a layer and text, whatever batch it was in."""

from pathlib import Path

import numpy as np
import pytest

from tests.worker.tiny import toy
from worker.frozen_means import DEPTHS, TooSlow, frozen_means


@pytest.mark.parametrize("family", ["bert-still", "gpt2-still"])
def test_each_text_has_its_vector_in_its_place(folders: dict[str, Path], family: str) -> None:
    texts = toy(70)[0]
    shares: list[float] = []
    found = frozen_means(folders[family], texts, 32, 60.0, shares.append)
    assert found.shape == (len(DEPTHS), 70, 32) and found.dtype == np.float32
    assert shares[-1] == 1.0 and shares == sorted(shares)
    alone = frozen_means(folders[family], texts[17:18], 32, 60.0, lambda _: None)
    np.testing.assert_allclose(found[:, 17], alone[:, 0], atol=1e-5)
    assert np.abs(found[0] - found[-1]).max() > 0.01  # another layer says something else
    assert np.abs(found[:, 17] - found[:, 18]).max() > 0.01


def test_pairs_are_read_together(folders: dict[str, Path]) -> None:
    pairs = [("a good film", "many actors"), ("a good film", "one long evening")]
    found = frozen_means(folders["bert-still"], pairs, 32, 60.0, lambda _: None)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.01


def test_what_would_take_too_long_is_given_up_and_says_how_long(folders: dict[str, Path]) -> None:
    with pytest.raises(TooSlow) as told:
        frozen_means(folders["bert-still"], toy(200)[0], 32, 0.0, lambda _: None)
    assert told.value.seconds > 0
