"""`python -m cc_stream.cli`: the same as `cc-stream`."""

from cc_stream.cli import main

if __name__ == "__main__":
    main()
