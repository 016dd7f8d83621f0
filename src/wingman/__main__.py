"""`python -m wingman`: the command line."""

from wingman.cli import main

if __name__ == "__main__":
    main()
