"""Sends the changes of the incidents to a webhook, at least once each."""

from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.notify.alerts import PlannedAlert
from sensorwatch.notify.changes import Change, plan_changes
from sensorwatch.notify.cloud_events import CONTENT_TYPE, cloud_event
from sensorwatch.notify.delivery import Delivery
from sensorwatch.notify.http_client import Answer, Outcome
from sensorwatch.notify.sending import SendJob, SendResult, send_changes


class ChangeDelivery(Delivery):
    """Sends a CloudEvent for each change that the webhook does not know."""

    def plan(
        self,
        extra_alerts: Sequence[PlannedAlert],  # noqa: ARG002 - a webhook gets incidents only
        *,
        is_full: bool,  # noqa: ARG002 - a webhook gets each change once
    ) -> tuple[SendJob | None, set[str]]:
        """Return the job that sends the changes."""
        context = self.context
        policy = context.policy
        changes = plan_changes(
            context.book, self.target, policy.max_age_seconds, context.clocks.now()
        )
        if not changes:
            return None, set()
        changed_ids: set[str] = set()
        for change in changes:
            notice = replace(change.earlier_notice, attempt=change.id)
            changed_ids |= self.set_notice(change.episode_ids, notice)

        def post(change: Change) -> Answer:
            event = cloud_event(
                change, source=policy.source, page_url=policy.page_url, route=self.target.route
            )
            return context.post(self.target.url, event, CONTENT_TYPE)

        return lambda: send_changes(changes, post), changed_ids

    def record(self, result: SendResult) -> set[str]:
        """Record what the webhook knows now. Return the ids of the episodes that changed."""
        changed_ids: set[str] = set()
        for message in [*result.accepted, *(message for message, _ in result.refused)]:
            assert isinstance(message, Change)
            changed_ids |= self.set_notice(message.episode_ids, message.notice)
            if message.is_repeated:
                self.context.metrics.doubled.labels(self.target.name).inc()
        failures = [
            (message, answer.outcome is Outcome.UNKNOWN) for message, answer in result.failed
        ]
        for message, is_unknown in [*failures, *((message, False) for message in result.unsent)]:
            assert isinstance(message, Change)
            may_have_arrived = message.is_repeated or is_unknown
            notice = replace(message.earlier_notice, attempt=message.id if may_have_arrived else "")
            changed_ids |= self.set_notice(message.episode_ids, notice)
        return changed_ids
