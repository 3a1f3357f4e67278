"""SQLite: schema, migrations, queries, and the tracker note in and out. Imports nothing of ours."""
