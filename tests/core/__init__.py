"""Laws and tables of the pure core."""
