"""Errors that cc_stream raises on purpose: one root, so that a caller can catch them all."""


class CcStreamError(Exception):
    """Root of every error that cc_stream raises. Its text is one line that a user can act on."""


class ConfigError(CcStreamError):
    """A setting is missing, malformed or contradicts another one."""


class MissingToolError(CcStreamError):
    """A program that has to be on this machine is not there, or is too old."""
