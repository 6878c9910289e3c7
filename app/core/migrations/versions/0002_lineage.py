"""which run a run began with, and the SHA-256 of weights

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("parent_sha256", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("weights_sha256", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_run_parent_id"), ["parent_id"], unique=False)
        batch_op.create_foreign_key("fk_run_parent_id", "run", ["parent_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_constraint("fk_run_parent_id", type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_run_parent_id"))
        batch_op.drop_column("weights_sha256")
        batch_op.drop_column("parent_sha256")
        batch_op.drop_column("parent_id")
