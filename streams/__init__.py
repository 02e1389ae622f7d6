"""The topology of cc_stream on Faust: shards, stages, the driver and the worker."""
