"""Commands of the site that has a document database."""
