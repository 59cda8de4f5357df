"""The suites of tests/run.py: one module a subject, each with run(suite), some with quick(suite)."""
