"""The application that `uvicorn api.main:app` serves."""

from sensorwatch.api.app import create_app

app = create_app()
