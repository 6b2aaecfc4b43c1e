"""`python -m bench [NAME ...] [--quick] [--rounds N] [--out FOLDER]`: measure the rows whose name contains a NAME."""

from bench.speed.command import main

if __name__ == "__main__":
    main()
