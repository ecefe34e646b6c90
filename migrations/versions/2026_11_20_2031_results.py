"""What jobs produce.

Revision: 0002
Follows: 0001

Results are tables that a reviewer can query, beside the documents they come from.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FREE_FORM = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

#: In the order of making; what is referred to comes first.
TABLES = (
    "artifacts",
    "metrics",
    "probe_results",
    "stage_outputs",
    "students",
)


def upgrade() -> None:
    _create_artifacts()
    _create_metrics()
    _create_probe_results()
    _create_stage_outputs()
    _create_students()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def closed_set(name: str, *values: str) -> sa.Enum:
    """Text of at most 24 characters, with a CHECK constraint."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column(
            "stage", closed_set("stage", "inspect", "probe", "distill", "verify", "report"), nullable=False
        ),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_artifacts_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("job_id", "name", name="uq_artifacts_job_id_name"),
    )
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])


def _create_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column(
            "stage", closed_set("stage", "inspect", "probe", "distill", "verify", "report"), nullable=False
        ),
        sa.Column("series", sa.String(length=128), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_metrics_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "stage", "series", "step", name="pk_metrics"),
    )


def _create_probe_results() -> None:
    op.create_table(
        "probe_results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("network", sa.String(length=24), nullable=False),
        sa.Column("probe", sa.String(length=64), nullable=False),
        sa.Column("target_label", sa.Integer()),
        sa.Column("statistic", sa.Float(53)),
        sa.Column("p_value", sa.Float(53)),
        sa.Column("conspicuous", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_probe_results_job_id_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_probe_results"),
    )
    op.create_index("ix_probe_results_job_id", "probe_results", ["job_id"])


def _create_stage_outputs() -> None:
    op.create_table(
        "stage_outputs",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column(
            "stage", closed_set("stage", "inspect", "probe", "distill", "verify", "report"), nullable=False
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("result", FREE_FORM, nullable=False),
        sa.Column("files", FREE_FORM, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_stage_outputs_job_id_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "stage", name="pk_stage_outputs"),
    )


def _create_students() -> None:
    op.create_table(
        "students",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("defense", sa.String(length=32), nullable=False),
        sa.Column("architecture", sa.String(length=64), nullable=False),
        sa.Column("parameters", sa.BigInteger()),
        sa.Column("macs", sa.BigInteger()),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("accuracy", sa.Float(53)),
        sa.Column("accuracy_low", sa.Float(53)),
        sa.Column("accuracy_high", sa.Float(53)),
        sa.Column("accuracy_n", sa.Integer()),
        sa.Column("worst_attack_success", sa.Float(53)),
        sa.Column("worst_attack_success_low", sa.Float(53)),
        sa.Column("worst_attack_success_high", sa.Float(53)),
        sa.Column("worst_attack_success_n", sa.Integer()),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("artifact_id", sa.String(length=40)),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_students_artifact_id_artifacts", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_students_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
    )
    op.create_index("ix_students_job_id", "students", ["job_id"])
