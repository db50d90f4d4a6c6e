"""The Grafana dashboard as a program: `python -m scripts.dashboard` writes its JSON, `.picture` draws it."""
