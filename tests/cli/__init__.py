"""The command line and its screen."""
