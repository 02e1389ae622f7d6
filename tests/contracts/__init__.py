"""The edge of the library: what is read, refused, named and set."""
