"""`python -m holdfast.cli`, where the command is not on the PATH."""

from holdfast.cli.main import main

main()
