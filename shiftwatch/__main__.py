"""``python -m shiftwatch``.

In:    arguments.
Out:   an exit status.
Never: does anything but call the command line.
"""

from shiftwatch.cli import main

if __name__ == "__main__":
    main()
