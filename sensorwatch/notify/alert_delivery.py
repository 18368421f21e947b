"""Sends the state of the incidents to an Alertmanager."""

import json
from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.notify.alerts import PlannedAlert, plan_alerts
from sensorwatch.notify.delivery import Delivery, DeliveryContext
from sensorwatch.notify.http_client import Answer
from sensorwatch.notify.incident_book import Notice
from sensorwatch.notify.routing import Target
from sensorwatch.notify.sending import SendJob, SendResult, send_alerts

ALERTS_PATH = "/api/v2/alerts"
BATCH_ALERTS = 200


class AlertDelivery(Delivery):
    """Sends every open incident again after each interval, and changed ones at once."""

    def __init__(self, target: Target, context: DeliveryContext) -> None:
        """Start the thread of the target."""
        super().__init__(target, context)
        self._known_contents: dict[str, str] = {}
        """The content (see `_content_of`) of each alert that arrived, by its labels."""
        self._refused_contents: dict[str, str] = {}

    def plan(
        self, extra_alerts: Sequence[PlannedAlert], *, is_full: bool
    ) -> tuple[SendJob | None, set[str]]:
        """Return the job that sends the alerts."""
        context = self.context
        alerts = plan_alerts(context.book, self.target, context.policy, context.clocks.now())
        alerts += extra_alerts
        labels = {_labels_of(alert) for alert in alerts}
        for contents in (self._known_contents, self._refused_contents):
            for gone_labels in contents.keys() - labels:
                del contents[gone_labels]
        chosen_alerts = [alert for alert in alerts if self._must_send(alert, is_full=is_full)]
        if not chosen_alerts:
            return None, set()
        changed_ids: set[str] = set()
        for alert in chosen_alerts:
            if alert.is_first:
                planned_notice = Notice(alert.notice.incident_id)
                changed_ids |= self.set_notice(alert.episode_ids, planned_notice)
        url = self.target.url.rstrip("/") + ALERTS_PATH

        def post(batch: list[PlannedAlert]) -> Answer:
            return context.post(url, [alert.alert for alert in batch], "application/json")

        return lambda: send_alerts(chosen_alerts, post, BATCH_ALERTS), changed_ids

    def record(self, result: SendResult) -> set[str]:
        """Record what Alertmanager knows now. Return the ids of the episodes that changed."""
        changed_ids: set[str] = set()
        refused_messages = [message for message, _ in result.refused]
        for message in [*result.accepted, *refused_messages]:
            assert isinstance(message, PlannedAlert)
            self._known_contents[_labels_of(message)] = _content_of(message)
            changed_ids |= self.set_notice(message.episode_ids, message.notice)
            done_notice = replace(message.notice, is_done=True)
            changed_ids |= self.set_notice(message.other_episode_ids, done_notice)
        for message in refused_messages:
            assert isinstance(message, PlannedAlert)
            self._refused_contents[_labels_of(message)] = _content_of(message)
        return changed_ids

    def _must_send(self, alert: PlannedAlert, *, is_full: bool) -> bool:
        """Return whether to send an alert. A refused alert is sent again only if it has changed."""
        labels, content = _labels_of(alert), _content_of(alert)
        if self._refused_contents.get(labels) == content:
            return False
        return is_full or self._known_contents.get(labels) != content


def _labels_of(alert: PlannedAlert) -> str:
    return json.dumps(alert.alert["labels"], sort_keys=True)


def _content_of(alert: PlannedAlert) -> str:
    """Return the severity and the final end of an alert; a change of them is sent at once."""
    end = "" if alert.notice.closed_at is None else alert.alert["endsAt"]
    return f"{alert.notice.severity} {end}"
