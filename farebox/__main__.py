"""`python -m farebox`: the command `farebox`."""

from farebox.pipeline.cli import main

main()
