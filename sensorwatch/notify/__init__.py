"""Sends the incidents of the anomaly topic to Alertmanager and to webhooks."""
