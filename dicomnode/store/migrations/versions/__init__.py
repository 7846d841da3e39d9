"""The revisions, named ``NNNN_what_changes.py``; alembic loads them by their files."""
