"""The figures of one worker for Prometheus. Imported only where they are served."""
