"""One set of questions for SQLite and for the engine of documents."""
