"""Programs that tests start as processes of their own; each takes its orders as JSON in its argument."""
