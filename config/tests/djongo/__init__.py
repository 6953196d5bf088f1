"""The engine over MongoDB, on a real server: run where DOCUMENT_DATABASE_URL names one."""
