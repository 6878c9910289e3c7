"""What the loop is told of a run's spec."""

from app.core.spec import RunSpec
from worker.loop import Recipe


def recipe_of(spec: RunSpec) -> Recipe:
    """Of a spec whose defaults are filled in."""
    assert spec.epochs and spec.batch_size and spec.learning_rate
    assert spec.warmup_ratio is not None and spec.weight_decay is not None
    return Recipe(
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        accumulation=spec.accumulation,
        learning_rate=spec.learning_rate,
        warmup_ratio=spec.warmup_ratio,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        eval_steps=spec.eval_steps,
        patience=spec.early_stopping.patience if spec.early_stopping else None,
        seed=spec.seed,
    )
