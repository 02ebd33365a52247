"""Alembic executes this: migrations on the connection that `catalog.migrating` hands over, in its transaction."""

from alembic import context

from catalog.records import Record

context.configure(connection=context.config.attributes["connection"], target_metadata=Record.metadata)
context.run_migrations()
