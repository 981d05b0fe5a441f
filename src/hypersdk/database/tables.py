"""Every table. A change of one is a step in `migrations`, never an edit of what a step made.

Moments are microseconds since 1970 (`moments`); what nobody searches by is JSON.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
_JSON = sa.JSON(none_as_null=True)
_ACTIVE = "state IN ('scheduled', 'pending', 'running', 'paused')"


def _text(name: str, **more: object) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="", **more)  # type: ignore[arg-type]


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


#: ``schema``: number of the last migration.
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: See `Database.next_numbers`.
counters = sa.Table(
    "counters", metadata, sa.Column("name", sa.Text, primary_key=True), _number("value")
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _number("number"),  # the order in which they were submitted
    _number("revision"),
    _text("kind"),
    _text("name"),
    _text("state"),
    _text("wish"),
    _text("tenant"),
    _text("owner"),
    _text("queue"),
    sa.Column("priority", sa.Integer, nullable=False),
    _text("dedup"),
    _text("schedule"),
    _text("parent"),
    _text("worker"),
    sa.Column("run", sa.Integer, nullable=False),
    #: Runs that failed since it was submitted or tried again by hand; pauses do not count.
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    _number("created"),
    _number("updated"),
    _number("not_before", nullable=True),
    _number("started", nullable=True),
    _number("ended", nullable=True),
    sa.Column("request", _JSON, nullable=False),
    sa.Column("resources", _JSON, nullable=False),
    sa.Column("depends_on", _JSON, nullable=False),
    sa.Column("retry", _JSON, nullable=False),
    sa.Column("tags", _JSON, nullable=False),
    sa.Column("progress", _JSON),
    sa.Column("result", _JSON),
    sa.Column("error", _JSON),
    sa.Index("jobs_by_number", "number", unique=True),
    sa.Index("jobs_by_revision", "revision"),
    sa.Index("jobs_by_state", "state", "number"),
    sa.Index("jobs_to_begin", "state", sa.desc("priority"), "number"),
    sa.Index("jobs_by_tenant", "tenant", "number"),
    sa.Index("jobs_by_schedule", "schedule", "number"),
    sa.Index("jobs_by_parent", "parent", "number"),
    # Two active jobs of one key cannot be.
    sa.Index(
        "jobs_active_by_dedup",
        "tenant",
        "dedup",
        unique=True,
        sqlite_where=sa.text(f"dedup <> '' AND {_ACTIVE}"),
        postgresql_where=sa.text(f"dedup <> '' AND {_ACTIVE}"),
    ),
)

#: What running jobs hold of budgets; a row goes when its job stops running.
job_resources = sa.Table(
    "job_resources",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Index("job_resources_by_resource", "resource"),
)

job_logs = sa.Table(
    "job_logs",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    _number("time"),
    _text("level"),
    _text("message"),
    sa.Column("details", _JSON),
)

#: Those who live, and those whose jobs are to be taken over.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("queues", _JSON, nullable=False),
    _text("host"),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    _text("version"),
    #: ``running``, ``draining`` or ``stopped``.
    _text("state"),
    _number("started"),
    _number("seen"),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _number("revision"),
    _text("name"),
    _text("tenant"),
    _text("owner"),
    sa.Column("enabled", sa.Boolean, nullable=False),
    _number("created"),
    _number("updated"),
    _number("next_run", nullable=True),
    _number("last_run", nullable=True),
    _text("last_job"),
    sa.Column("runs", sa.Integer, nullable=False),
    _text("skipped"),
    sa.Column("definition", _JSON, nullable=False),
    sa.Index("schedules_by_name", "tenant", "name", unique=True),
    sa.Index("schedules_by_next_run", "next_run"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("time"),
    _text("name"),
    _text("subject"),
    _text("tenant"),
    sa.Column("data", _JSON),
)

tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("description"),
    sa.Column("quota", _JSON, nullable=False),
    _number("created"),
    _number("revision"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("role"),
    _text("tenant"),
    sa.Column("enabled", sa.Boolean, nullable=False),
    _text("issuer"),
    #: Argon2id; empty: cannot log in with a password.
    _text("password"),
    _number("created"),
    _number("last_login", nullable=True),
    _number("revision"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    #: SHA-256 of the secret, which has 256 random bits, in hex.
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    _text("user"),
    _text("name"),
    _text("role"),
    _text("kind"),
    sa.Column("scopes", _JSON, nullable=False),
    _number("created"),
    _number("expires", nullable=True),
    _number("last_used", nullable=True),
    sa.Index("tokens_by_user", "user"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("time"),
    _text("user"),
    _text("tenant"),
    _text("origin"),
    _text("action"),
    _text("subject"),
    _text("outcome"),
    sa.Column("before", _JSON),
    sa.Column("after", _JSON),
    sa.Column("details", _JSON),
    _text("digest"),
    sa.Index("audit_by_user", "user", "number"),
    sa.Index("audit_by_tenant", "tenant", "number"),
)

hypervisors = sa.Table(
    "hypervisors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("tenant"),
    _number("revision"),
    _number("created"),
    _number("updated"),
    sa.Column("definition", _JSON, nullable=False),
)

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("tenant"),
    _number("revision"),
    _number("created"),
    _number("updated"),
    sa.Column("definition", _JSON, nullable=False),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("tenant"),
    _number("revision"),
    _number("created"),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("definition", _JSON, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("webhook"),
    _text("event"),
    _text("state"),
    sa.Column("attempts", sa.Integer, nullable=False),
    _number("created"),
    _number("next_attempt", nullable=True),
    _number("delivered", nullable=True),
    _text("said"),
    sa.Column("body", _JSON, nullable=False),
    sa.Index("deliveries_by_next_attempt", "state", "next_attempt"),
    sa.Index("deliveries_by_webhook", "webhook", "created"),
)

#: Answers to requests with an ``Idempotency-Key``, for a day.
answers = sa.Table(
    "answers",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    #: SHA-256 of method, path and body.
    _text("request"),
    sa.Column("status", sa.Integer),
    sa.Column("headers", _JSON),
    sa.Column("body", sa.LargeBinary),
    _number("created"),
)
