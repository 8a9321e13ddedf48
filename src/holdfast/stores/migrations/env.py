"""Runs the revisions on the connection that `stores.schema` gives, inside its transaction.

Revisions are written by hand, one file each (`0002_….py` after `0001_….py`), together with the change of
`stores.tables`; a test holds that both come to the same schema.
"""

from alembic import context

from holdfast.stores.tables import REVISION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=REVISION_TABLE,
    render_as_batch=True,  # SQLite changes a table only by copying it
)

with context.begin_transaction():
    context.run_migrations()
