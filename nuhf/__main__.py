"""``python -m nuhf`` is the command line."""

from nuhf.cli import main

if __name__ == "__main__":
    main()
