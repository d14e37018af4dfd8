"""`python -m scopegate` is `scopegate`."""

from scopegate.cli import main

if __name__ == "__main__":
    main()
