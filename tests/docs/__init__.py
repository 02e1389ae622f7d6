"""What the pages say: tables equal to the code, links that lead somewhere, examples that run."""
