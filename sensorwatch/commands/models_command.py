"""The command `sensorwatch models`: show model versions, and change which one is in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.errors import CheckFailed, ModelRefused, UsageError
from sensorwatch.common.registry.model_names import current_user
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note

if TYPE_CHECKING:
    from sensorwatch.common.registry.audit import AuditEntry
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.settings import Settings

app = typer_app(no_args_is_help=True)

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        "--model",
        help="Model name in the registry. Default: the setting registry.model.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="The reason, for the audit log.", show_default=False)
]
VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version id, `champion` or `previous`.")
]


@app.callback()
def models() -> None:
    """List, show, promote, roll back, verify, audit and prune model versions."""


@app.command("list")
def list_versions(
    config: ConfigOption = None, model: ModelOption = None, as_json: JsonOption = False
) -> None:
    """List the versions of every model, or of the model given by --name."""
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config).settings
    registry = Registry(settings.registry.path)
    names = registry.names() if model is None else [model]
    version_rows = [row for name in names for row in _version_rows(registry, name)]
    if as_json:
        print_json(version_rows, indent=2)
    elif version_rows:
        print_table(
            list(version_rows[0]),
            [list(row.values()) for row in version_rows],
            unbroken_column="version",
        )
    else:
        missing_item = f"no version of {model}" if model else "no model"
        print_note(
            f"there is {missing_item} in {settings.registry.path} yet; "
            "`sensorwatch train` creates one"
        )


@app.command()
def show(
    version: VersionArgument = "champion", config: ConfigOption = None, model: ModelOption = None
) -> None:
    """Show a version's manifest and its newest report as JSON."""
    registry, name = _open_registry(config, model)
    version_id = registry.resolve(name, version)
    aliases = [
        alias
        for alias, alias_target in registry.aliases(name).items()
        if alias_target == version_id
    ]
    manifest = registry.manifest(name, version_id).to_plain()
    report = registry.report(name, version_id)
    print_json({"manifest": manifest, "aliases": aliases, "report": report}, indent=2)


@app.command()
def promote(
    version: VersionArgument,
    config: ConfigOption = None,
    model: ModelOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote without a passing report; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
) -> None:
    """Make a version the champion. Running services load it automatically."""
    registry, name = _open_registry(config, model)
    version_id = registry.resolve(name, version)
    reason = _as_utf8(reason)
    why = reason or "by command"
    registry.promote(name, version_id, who=current_user(), why=why, force=reason if force else None)
    print_line(f"{version_id} is the champion of {name}")


@app.command()
def rollback(
    config: ConfigOption = None, model: ModelOption = None, reason: ReasonOption = ""
) -> None:
    """Make the previous version the champion again."""
    registry, name = _open_registry(config, model)
    version = registry.rollback(name, who=current_user(), why=_as_utf8(reason) or "by command")
    print_line(f"{version} is the champion of {name} again")


@app.command()
def verify(
    versions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VERSION]...", help="Default: all versions.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    model: ModelOption = None,
) -> None:
    """Check digests, bounds, golden rows and reports; exit with 1 if a version is damaged."""
    registry, name = _open_registry(config, model)
    versions_to_verify = (
        [registry.resolve(name, version) for version in versions]
        if versions
        else _all_versions(registry, name)
    )
    damaged_versions = []
    for version in versions_to_verify:
        problems = registry.verify(name, version)
        print_line(f"{version}: {'; '.join(problems) or 'sound'}")
        if problems:
            damaged_versions.append(version)
    if damaged_versions:
        raise CheckFailed(
            f"{len(damaged_versions)} of {len(versions_to_verify)} versions are damaged: "
            f"{', '.join(damaged_versions)}"
        )


@app.command()
def audit(
    config: ConfigOption = None, model: ModelOption = None, as_json: JsonOption = False
) -> None:
    """Show the audit log: who did what, when and why.

    Exit with 1 if lines of the log were changed.
    """
    registry, name = _open_registry(config, model)
    entries = registry.audit(name)
    if not entries:
        _all_versions(registry, name)  # raises if there is no such model
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in entries], indent=2)
    else:
        columns = ["#", "when", "who", "action", "version", "why"]
        print_table(columns, map(_audit_row, entries), unbroken_column="version")
    problems = registry.verify_audit(name)
    if problems:
        raise CheckFailed(f"the audit log of {name}: {'; '.join(problems)}")
    print_note(f"{len(entries)} lines, the chain is intact")


@app.command()
def prune(
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="Keep this number of newest versions.")
    ],
    config: ConfigOption = None,
    model: ModelOption = None,
    in_use: Annotated[
        list[str] | None, typer.Option("--in-use", help="Also keep this version (repeatable).")
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Do not read the ledger. Versions that it needs may be deleted."
        ),
    ] = False,
    reason: ReasonOption = "",
) -> None:
    """Delete old versions and policies, except those that are in use.

    The champion, the previous version, the current policy, and the versions and policies in the
    ledger are never deleted.
    """
    from sensorwatch.commands.versions_in_use import named_versions
    from sensorwatch.common.registry.policy_registry import PolicyRegistry
    from sensorwatch.common.runtime.settings import load_settings

    registry, name = _open_registry(config, model)
    protected_versions = frozenset(registry.resolve(name, version) for version in in_use or ())
    named_policies: frozenset[str] | None = None
    if registry.version_ids(name) and not offline:
        versions_in_use, named_policies = named_versions(load_settings(config).settings)
        protected_versions |= versions_in_use
    why = _as_utf8(reason) or "by command"
    deleted_versions = registry.prune(
        name, keep=keep, who=current_user(), why=why, in_use=protected_versions
    )
    for version in deleted_versions:
        print_line(f"deleted {version}")
    # Without the ledger it is unknown which policies are needed, so none is deleted.
    if named_policies is not None:
        policies = PolicyRegistry(load_settings(config).settings.registry.path, name)
        for policy in policies.prune(who=current_user(), why=why, in_use=named_policies):
            print_line(f"deleted {policy}")
    print_note(f"{len(deleted_versions)} versions deleted, {len(registry.version_ids(name))} kept")


def _open_registry(config: Path | None, model: str | None) -> tuple[Registry, str]:
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.runtime.settings import load_settings

    settings: Settings = load_settings(config).settings
    return Registry(settings.registry.path), model or settings.registry.model


def _all_versions(registry: Registry, name: str) -> list[str]:
    version_ids = registry.version_ids(name)
    if not version_ids:
        raise UsageError(
            f"model {name} has no version; the registry has the models {registry.names()}: "
            "correct --name or [registry] model"
        )
    return version_ids


def _version_rows(registry: Registry, name: str) -> Iterator[dict[str, str]]:
    """Yield a table row for each version of a model, including damaged versions."""
    try:
        aliases_by_name = registry.aliases(name)
    except ModelRefused as error:
        print_note(f"warning: {error}")
        aliases_by_name = {}
    for version in registry.version_ids(name):
        aliases = [
            alias for alias, alias_target in aliases_by_name.items() if alias_target == version
        ]
        yield {
            "version": version,
            "alias": ", ".join(aliases),
            **_version_details(registry, name, version),
        }


def _version_details(registry: Registry, name: str, version: str) -> dict[str, str]:
    try:
        manifest = registry.manifest(name, version)
        report = registry.report(name, version)
    except ModelRefused:
        return dict.fromkeys(("created", "rows", "alert rate", "schema"), "") | {
            "report": "damaged"
        }
    return {
        "created": f"{manifest.created:%Y-%m-%d %H:%MZ}",
        "rows": str(manifest.data_source.rows),
        "alert rate": f"{manifest.calibration.target_alert_rate:g}",
        "schema": manifest.schema_fingerprint,
        "report": "none"
        if report is None
        else "passed"
        if report.get("passed") is True
        else "failed",
    }


def _audit_row(entry: AuditEntry) -> list[str]:
    time_text = f"{entry.when:%Y-%m-%d %H:%M:%SZ}"
    is_forced = entry.detail.get("force")
    why = f"{entry.why} (forced: {entry.detail.get('without')})" if is_forced else entry.why
    single_line_reason = " ".join(why.split())
    return [
        str(entry.number),
        time_text,
        entry.who,
        entry.action.value,
        entry.version or str(entry.detail.get("policy", "")),
        single_line_reason,
    ]


def _as_utf8(argument: str) -> str:
    """Return an argument without surrounding space, and with bytes that are not UTF-8 replaced.

    The audit log cannot store bytes that are not UTF-8.
    """
    return argument.encode("utf-8", "replace").decode().strip()
