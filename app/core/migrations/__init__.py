"""Alembic's revisions. HEAD is the newest; a test compares it with alembic's own answer."""

HEAD = "0009"
