"""`python -m sigdb.cli`."""

from sigdb.cli import main

main()
