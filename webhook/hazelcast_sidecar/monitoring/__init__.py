"""What Prometheus and Grafana need to watch the injector and its members: alerts, dashboards, PodMonitors.

`manifests/components/monitoring` and the tables of docs/monitoring.md are made from it.
"""
