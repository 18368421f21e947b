"""The manifest of a model version: its parameters, data source, files and digests."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sensorwatch.common.errors import ModelOutdated, ModelRefused
from sensorwatch.common.pydantic_errors import describe_validation_error
from sensorwatch.common.registry.candidate import DataSource
from sensorwatch.common.scoring.detector import Detector

MANIFEST_FORMAT = 2
"""Format of the manifest and of the files that it names. A version of another format is refused."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StoredArray(_ManifestModel):
    """An array in `arrays.npz`."""

    dtype: str
    shape: tuple[int, ...]
    sha256: Sha256
    """SHA-256 of the array's type, shape and bytes."""


class StoredFile(_ManifestModel):
    """A file beside the manifest."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class CalibrationSummary(_ManifestModel):
    """The main numbers of the calibration, as information for people; scoring uses the arrays."""

    threshold: float
    centre: float
    target_alert_rate: float
    scores: int


class ModelManifest(_ManifestModel):
    """The description of one version; a written manifest never changes."""

    format: int = MANIFEST_FORMAT
    id: str
    name: str
    created: AwareDatetime
    parent: str | None
    """The id of the version that was champion when this version was registered."""
    row_schema: dict[str, Any] = Field(alias="schema")
    schema_fingerprint: str
    plan: dict[str, Any]
    parameters: dict[str, Any]
    seed: int
    data_source: DataSource
    split: dict[str, Any]
    calibration: CalibrationSummary
    alarms: dict[str, Any] = {}
    """The fitted rates of false alarms, as information for people; scoring uses the arrays."""
    blind_signals: dict[str, float] = {}
    """Signals in which the model misses most large spikes, each with the share that it finds."""
    libraries: dict[str, str]
    arrays: dict[str, StoredArray]
    arrays_digest: Sha256
    """Digest of all array digests; training with the same data and seed gives the same digest."""
    files: dict[str, StoredFile]
    digest: str = ""
    """SHA-256 of all other fields."""

    @model_validator(mode="after")
    def _check_id(self) -> Self:
        if not self.id.startswith(f"{self.name}-"):
            raise ValueError(f'id "{self.id}" is not one of model "{self.name}"')
        if not self.id.endswith(f"-{self.arrays_digest[:8]}"):
            raise ValueError(f'id "{self.id}" does not end in the arrays\' digest')
        return self

    def to_plain(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Return the content of the manifest's file, including the digest."""
        plain_manifest = self.to_plain()
        plain_manifest["digest"] = _digest(plain_manifest)
        return json.dumps(plain_manifest, indent=2, allow_nan=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A verified version: its detector and its manifest."""

    detector: Detector
    manifest: ModelManifest


def parse_manifest(content: bytes) -> ModelManifest:
    """Return the manifest that is the content of a file.

    Raises ModelOutdated if the manifest is of an older format, and ModelRefused if it is damaged,
    edited, or of a newer format.
    """
    try:
        plain_manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"the manifest is not JSON: {error}") from error
    if not isinstance(plain_manifest, dict):
        raise ModelRefused("the manifest is not a JSON object")
    file_format = plain_manifest.get("format")
    if isinstance(file_format, int) and file_format > MANIFEST_FORMAT:
        raise ModelRefused(
            f"the manifest's format {file_format} is newer than this code's {MANIFEST_FORMAT}: "
            "upgrade sensorwatch"
        )
    if isinstance(file_format, int) and 0 < file_format < MANIFEST_FORMAT:
        raise ModelOutdated(
            f"its format {file_format} is older than {MANIFEST_FORMAT}, the only one that this "
            "code reads: train again with `sensorwatch train`"
        )
    if plain_manifest.get("digest") != _digest(plain_manifest):
        raise ModelRefused("the manifest was edited or damaged: its digest does not match")
    try:
        return ModelManifest.model_validate_json(content)
    except ValidationError as error:
        raise ModelRefused(
            f"the manifest cannot be read: {describe_validation_error(error)}"
        ) from error


def _digest(plain_manifest: dict[str, Any]) -> str:
    other_fields = {key: value for key, value in plain_manifest.items() if key != "digest"}
    text = json.dumps(other_fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
