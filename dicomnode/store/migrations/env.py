"""Run by alembic for every upgrade: on the connection that it is given, in its transaction."""

from alembic import context

from dicomnode.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
