"""Alembic's entry: runs the revisions on the connection that app.core.migrate passes in."""

from alembic import context
from sqlmodel import SQLModel

from app.core import tables  # noqa: F401  (fills SQLModel.metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
