"""cc_stream: real-time floor metrics for contact centres."""
