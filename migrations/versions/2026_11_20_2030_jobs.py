"""Keys, uploads and jobs.

Revision: 0001
Follows: nothing

Written without the application's own types: a migration must mean the same after they have changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FREE_FORM = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

#: In the order of making; what is referred to comes first.
TABLES = (
    "api_keys",
    "datasets",
    "idempotency_keys",
    "teachers",
    "jobs",
    "attempts",
    "events",
)


def upgrade() -> None:
    _create_api_keys()
    _create_datasets()
    _create_idempotency_keys()
    _create_teachers()
    _create_jobs()
    _create_attempts()
    _create_events()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def closed_set(name: str, *values: str) -> sa.Enum:
    """Text of at most 24 characters, with a CHECK constraint."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=24)


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", FREE_FORM, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("secret_sha256", name="uq_api_keys_secret_sha256"),
    )
    op.create_index("ix_api_keys_tenant", "api_keys", ["tenant"])


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column(
            "role",
            closed_set("datasetrole", "clean_labelled", "clean_unlabelled", "surrogate"),
            nullable=False,
        ),
        sa.Column("status", closed_set("uploadstatus", "inspecting", "ready", "rejected"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(length=40)),
        sa.Column("inspection", FREE_FORM),
        sa.Column("canonical_sha256", sa.String(length=64)),
        sa.Column("images", sa.Integer()),
        sa.Column("num_classes", sa.Integer()),
        sa.Column("error", FREE_FORM),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.UniqueConstraint("tenant", "sha256", "role", name="uq_datasets_tenant_sha256_role"),
    )
    op.create_index("ix_datasets_canonical_sha256", "datasets", ["canonical_sha256"])
    op.create_index("ix_datasets_sha256", "datasets", ["sha256"])
    op.create_index("ix_datasets_tenant", "datasets", ["tenant"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=False),
        sa.Column("response_headers", FREE_FORM, nullable=False),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])


def _create_teachers() -> None:
    op.create_table(
        "teachers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("status", closed_set("uploadstatus", "inspecting", "ready", "rejected"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("declared", FREE_FORM, nullable=False),
        sa.Column("declared_sha256", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40)),
        sa.Column("inspection", FREE_FORM),
        sa.Column("canonical_sha256", sa.String(length=64)),
        sa.Column("architecture", sa.String(length=64)),
        sa.Column("num_classes", sa.Integer()),
        sa.Column("input_size", sa.Integer()),
        sa.Column("parameters", sa.BigInteger()),
        sa.Column("error", FREE_FORM),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teachers"),
        sa.UniqueConstraint(
            "tenant", "sha256", "declared_sha256", name="uq_teachers_tenant_sha256_declared_sha256"
        ),
    )
    op.create_index("ix_teachers_canonical_sha256", "teachers", ["canonical_sha256"])
    op.create_index("ix_teachers_sha256", "teachers", ["sha256"])
    op.create_index("ix_teachers_tenant", "teachers", ["tenant"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", closed_set("jobkind", "inspect", "audit", "distill", "clean"), nullable=False),
        sa.Column(
            "status",
            closed_set("jobstatus", "queued", "running", "succeeded", "failed", "canceled"),
            nullable=False,
        ),
        sa.Column("stage", closed_set("stage", "inspect", "probe", "distill", "verify", "report")),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32)),
        sa.Column("lease_until", MOMENT),
        sa.Column("heartbeat_at", MOMENT),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("rung_at", MOMENT),
        sa.Column("teacher_id", sa.String(length=40)),
        sa.Column("dataset_id", sa.String(length=40)),
        sa.Column("data", FREE_FORM, nullable=False),
        sa.Column("triggers", FREE_FORM, nullable=False),
        sa.Column("recipe", FREE_FORM, nullable=False),
        sa.Column("device", closed_set("device", "cpu", "gpu"), nullable=False),
        sa.Column("timeout_s", sa.Float(53)),
        sa.Column("labels", FREE_FORM, nullable=False),
        sa.Column("retry_of", sa.String(length=40)),
        sa.Column("progress_done", sa.Integer()),
        sa.Column("progress_total", sa.Integer()),
        sa.Column("progress_eta_s", sa.Float(53)),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=24)),
        sa.Column("target_label", sa.Integer()),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("result", FREE_FORM),
        sa.Column("error", FREE_FORM),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_jobs_dataset_id_datasets", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["teachers.id"], name="fk_jobs_teacher_id_teachers", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_dataset_id", "jobs", ["dataset_id"])
    op.create_index("ix_jobs_status_rung_at", "jobs", ["status", "rung_at"])
    op.create_index("ix_jobs_teacher_id", "jobs", ["teacher_id"])
    op.create_index("ix_jobs_tenant_id", "jobs", ["tenant", "id"])


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("lease_token", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column(
            "outcome", closed_set("outcome", "succeeded", "failed", "canceled", "lease_expired", "released")
        ),
        sa.Column("error", FREE_FORM),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("lease_token", name="pk_attempts"),
    )
    op.create_index("ix_attempts_job_id", "attempts", ["job_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "kind",
            closed_set("eventkind", "status", "stage", "progress", "metric", "log", "done"),
            nullable=False,
        ),
        sa.Column("data", FREE_FORM, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_events_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_events"),
    )
