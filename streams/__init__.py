"""The topology of cc_stream on Faust: shards, the floor and board stages, the driver and the worker."""
