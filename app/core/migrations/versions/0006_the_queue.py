"""places in the queue, and the workers that take from it

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("queued_at", sa.Float(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("worker_id", sa.String(), nullable=True))
    op.execute("UPDATE run SET queued_at = created_at")  # so far they started in the order of their making
    op.create_table(
        "worker",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("heard_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("worker")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_column("worker_id")
        batch_op.drop_column("queued_at")
        batch_op.drop_column("priority")
