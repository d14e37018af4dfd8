"""Run the command `scopegate` as `python -m scopegate`."""

from scopegate.cli import main

if __name__ == "__main__":
    main()
