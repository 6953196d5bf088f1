"""Programs that the tests of accounts start, to have callers in processes of their own."""
