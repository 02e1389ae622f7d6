"""What operators get: compose file, Prometheus, Grafana."""
