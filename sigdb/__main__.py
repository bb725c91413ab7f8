"""`python -m sigdb`."""

from sigdb.cli import main

main()
