"""`python -m osteon`, which torchrun needs."""

from osteon.cli import main

if __name__ == "__main__":
    main()
