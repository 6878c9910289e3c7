"""Runs whose head is fitted, through real trainer processes: as the whole strategy, and before the rest learns."""

import pytest

from app.core.db import Database
from app.core.errors import Invalid
from app.core.files import Files
from tests.worker.real_runs import RealRuns

pytestmark = pytest.mark.slow


def test_a_head_without_epochs_is_fitted_and_both_heads_are_in_the_download(
    real_runs: RealRuns, files: Files
) -> None:
    run = real_runs.train(strategy={"kind": "head"})
    assert run.state == "succeeded", run.error
    assert run.spec["epochs"] is None
    assert run.step == run.steps > 0
    assert run.results is not None and run.metrics is not None
    assert list(run.results["poolings"]) == ["the first token", "the mean of the tokens"]
    own = run.results["poolings"]["the first token"]
    assert own["accuracy"] == run.metrics["accuracy"]
    assert own["log_loss"] == pytest.approx(run.metrics["log_loss"], rel=1e-3)
    assert run.results["advice"] is None
    folder = files.model(run.id)
    assert (folder / "modules.json").exists() and (folder / "2_Dense" / "model.safetensors").exists()
    assert "SentenceTransformer" in (folder / "README.md").read_text()
    assert "66 of 23,746 parameters learn" in real_runs.said(run)


def test_a_chain_goes_on_from_a_fitted_head(real_runs: RealRuns) -> None:
    first = real_runs.train(strategy={"kind": "head"})
    second = real_runs.train(model=f"run:{first.id}", strategy={"kind": "head"})
    assert second.state == "succeeded", second.error
    assert first.metrics and second.metrics
    assert second.metrics["accuracy"] == first.metrics["accuracy"]


def test_the_head_is_fitted_before_the_rest_learns(real_runs: RealRuns) -> None:
    run = real_runs.train(strategy={"kind": "full", "head_first": True}, epochs=1, learning_rate=1e-4)
    assert run.state == "succeeded", run.error
    assert run.results is not None and run.metrics is not None
    first = run.results["head_first"]
    assert set(first["metrics"]) == set(run.metrics) and first["iterations"] > 0
    assert "The head was fitted first, on the frozen model, in " in real_runs.said(run)


def test_epochs_of_a_fitted_head_are_refused(real_runs: RealRuns) -> None:
    with pytest.raises(Invalid, match="epochs: means nothing for a head that is fitted to convergence"):
        real_runs.train(strategy={"kind": "head", "fit": "converge"}, epochs=3)


def test_a_training_does_not_go_on_from_a_fitted_head(real_runs: RealRuns, database: Database) -> None:
    first = real_runs.train(strategy={"kind": "head"})
    second = real_runs.train(model=f"run:{first.id}", strategy={"kind": "full"}, epochs=1)
    assert second.state == "succeeded", second.error
    assert "its head is replaced by a new one" in real_runs.said(second)
