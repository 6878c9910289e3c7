"""which pre-trained model reads the texts in a search for wrong labels

Revision 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("label_check", schema=None) as batch_op:
        batch_op.add_column(sa.Column("model", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("label_check", schema=None) as batch_op:
        batch_op.drop_column("model")
