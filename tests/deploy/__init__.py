"""The deployment files tried without containers: compose file, image, Prometheus, Grafana."""
