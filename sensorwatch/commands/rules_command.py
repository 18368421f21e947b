"""The command `sensorwatch rules`: check, try, apply and show the policy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note

if TYPE_CHECKING:
    from sensorwatch.common.policy.alarm_policy import AlarmPolicy
    from sensorwatch.common.registry.policy_registry import PolicyRegistry
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.policy_trial.trial import EpisodeCounter

app = typer_app(no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The policy file (TOML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def rules() -> None:
    """Check, try, apply and show the rules and calendar that decide what is an alarm."""


@app.command()
def check(file: FileArgument, config: ConfigOption = None) -> None:
    """Validate a policy file, and print what it means in plain words. Nothing is changed."""
    from sensorwatch.common.policy.plain_words import describe_policy
    from sensorwatch.common.registry.policy_choice import read_policy_file

    settings = _settings(config)
    policy = read_policy_file(file)
    _require_known_signals(policy, settings)
    for line in describe_policy(policy, _now()):
        print_line(line)
    print_note(f"{file} is valid: {policy.id}. Nothing was changed")


@app.command()
def apply(
    file: FileArgument,
    why: Annotated[str, typer.Option("--why", help="The reason, for the audit log.")],
    who: Annotated[
        str | None,
        typer.Option("--who", help="The user, for the audit log. Default: the user of this shell."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Store the policy of a file and put it in force. Running workers adopt it within a minute.

    What verdicts added to the policy stays in force.
    """
    from sensorwatch.common.registry.model_names import current_user
    from sensorwatch.common.registry.policy_choice import read_policy_file

    settings = _settings(config)
    if not why.strip():
        raise UsageError("--why is empty: give the reason for the change")
    policy = read_policy_file(file)
    _require_known_signals(policy, settings)
    name, policies = settings.registry.model, _policies(settings)
    policy, previous_id = policies.apply(policy, who=who or current_user(), why=why.strip())
    change = "as before" if previous_id == policy.id else f"before: {previous_id or 'none'}"
    print_line(f"{policy.id} is policy@current of {name} ({change})")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the policy in force, and when its calendar ends."""
    from sensorwatch.common.policy.plain_words import describe_policy

    settings = _settings(config)
    policy = _policies(settings).current()
    if as_json:
        import msgspec

        content = None if policy is None else msgspec.to_builtins(policy.content)
        print_json({"id": None if policy is None else policy.id, "content": content}, indent=2)
    elif policy is None:
        print_note(
            f"model {settings.registry.model} has no policy: every alarm is published. "
            "`sensorwatch rules apply FILE` puts one in force"
        )
    else:
        print_line(policy.id)
        for line in describe_policy(policy, _now()):
            print_line(line)


@app.command("try")
def try_policy(
    file: FileArgument,
    since: Annotated[
        str,
        typer.Option(
            "--since", help="Age of the oldest record, such as 7d, 12h or 30m, or a time."
        ),
    ] = "7d",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Score this file instead of the topic.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score recent input under the current and the new policy, and print the difference.

    The champion begins with an empty memory, so the first rows of each sensor have the status
    `warming_up`. Nothing is changed.
    """
    from sensorwatch.common.registry.policy_choice import read_policy_file
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.sensor_settings import silence_rule
    from sensorwatch.common.runtime.time_option import parse_age_option
    from sensorwatch.policy_trial.trial import EpisodeCounter
    from sensorwatch.policy_trial.trial_input import first_day_of_file, try_file, try_topic

    settings = _settings(config)
    current_policy = _policies(settings).current()
    champion = Registry(settings.registry.path).load(settings.registry.model).detector
    day = None if data is None else first_day_of_file(data, champion.schema)
    new_policy = read_policy_file(file, first_day=day)
    if current_policy is not None:
        new_policy = new_policy.with_learned(current_policy.learned)
    _require_known_signals(new_policy, settings)
    before, after = (
        EpisodeCounter(champion.under(policy), silence_rule(settings.sensors))
        for policy in (current_policy, new_policy)
    )
    if data is None:
        try_topic(settings, parse_age_option("--since", since), (before, after))
    else:
        try_file(data, (before, after))
    _print_trial(before, after, as_json=as_json)


def _print_trial(before: EpisodeCounter, after: EpisodeCounter, *, as_json: bool) -> None:
    if as_json:
        results = {
            name: {
                "episodes": counter.by_severity,
                "suppressed": counter.suppressed,
                "silences": counter.silences,
            }
            for name, counter in (("before", before), ("after", after))
        }
        print_json({"rows": before.rows, **results}, indent=2)
        return
    from sensorwatch.commands.console_table import print_table

    print_line(f"{before.rows} rows, scored by {before.detector.version}")
    new_counts = after.by_severity
    print_table(
        ["episodes", "before", "after"],
        [[name, str(n), str(new_counts[name])] for name, n in before.by_severity.items()],
    )
    print_line(f"silences of sensors: {before.silences} before, {after.silences} after")
    old, new = before.suppressed, after.suppressed
    names = sorted({*old, *new})
    if names:
        print_table(
            ["suppressed by", "before", "after"],
            [[name, str(old.get(name, 0)), str(new.get(name, 0))] for name in names],
        )


def _require_known_signals(policy: AlarmPolicy, settings: Settings) -> None:
    """Raise UsageError if a rule names a signal that the champion's schema does not have.

    Without a champion there is no schema, so no signal is checked.
    """
    from sensorwatch.common.registry.store import Registry

    registry, name = Registry(settings.registry.path), settings.registry.model
    champion = registry.aliases(name).get("champion")
    if champion is None:
        print_note(f"model {name} has no champion yet, so the names of the signals are not checked")
        return
    known_names = registry.load(name).detector.schema.signal_names
    for rule in policy.rules:
        if rule.signal not in ("*", *known_names):
            raise UsageError(
                f'rule {rule.name} names the signal "{rule.signal}", but the schema of {champion} '
                f"has {', '.join(known_names)}: correct the name"
            )


def _policies(settings: Settings) -> PolicyRegistry:
    from sensorwatch.common.registry.policy_registry import PolicyRegistry

    return PolicyRegistry(settings.registry.path, settings.registry.model)


def _settings(config: Path | None) -> Settings:
    from sensorwatch.common.runtime.settings import load_settings

    return load_settings(config).settings


def _now() -> int:
    return time.time_ns() // 1_000
