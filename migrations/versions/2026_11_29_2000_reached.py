"""How far each attempt at a job came.

Revision: 0004
Follows: 0003

Of attempts before it nobody knows; they count as having kept nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("reached", sa.Float(53), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "reached")
