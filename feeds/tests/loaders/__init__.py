"""What the tests of feeds load into processes of their own."""
