"""Archives of arrays: they are packed and unpacked unchanged, and bad archives are refused."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.archive import Arrays, array_digest, pack, unpack
from tests.registry.forging import BoobyTrap

DTYPES = ("<f8", "<i4", "<i8", "|b1", "<U7", "|i1")
ARRAYS: Arrays = {"a": np.arange(5.0), "b": np.asarray([[1, 2], [3, 4]], dtype=np.int32)}

array_strategy = st.sampled_from(DTYPES).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))
)
arrays_strategy = st.dictionaries(st.sampled_from(["a", "b", "forest"]), array_strategy)


@given(arrays_strategy)
def test_unpacked_arrays_have_the_same_bits_and_pack_to_the_same_bytes(arrays: Arrays) -> None:
    archive_bytes = pack(arrays)

    unpacked_arrays = unpack(archive_bytes, "arrays.npz")

    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in unpacked_arrays.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }
    assert pack(dict(reversed(unpacked_arrays.items()))) == archive_bytes


def test_numpy_reads_a_packed_archive_without_pickle() -> None:
    with np.load(io.BytesIO(pack(ARRAYS)), allow_pickle=False) as unpacked_arrays:
        assert {name: array_digest(unpacked_arrays[name]) for name in unpacked_arrays.files} == {
            name: array_digest(array) for name, array in ARRAYS.items()
        }


def test_unpacked_arrays_are_writable() -> None:
    """For numba, a read-only array has another type, so the kernel would be compiled again."""
    assert all(array.flags.writeable for array in unpack(pack(ARRAYS), "arrays.npz").values())


@given(st.data())
def test_damaged_bytes_are_refused_or_give_arrays_of_at_most_their_size(
    data: st.DataObject,
) -> None:
    archive_bytes = bytearray(pack(ARRAYS))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(archive_bytes) - 1))
        archive_bytes[position] = data.draw(st.integers(0, 255))
    end_position = data.draw(st.one_of(st.none(), st.integers(0, len(archive_bytes))))

    try:
        unpacked_arrays = unpack(bytes(archive_bytes[:end_position]), "arrays.npz")
    except ModelRefused:
        return

    # zipfile checks only the bytes of each entry. The digests of the manifest also check the names
    # and array headers.
    assert sum(array.nbytes for array in unpacked_arrays.values()) <= len(archive_bytes)


@given(st.binary(max_size=300))
def test_bytes_that_are_not_an_archive_are_refused(content: bytes) -> None:
    with pytest.raises(ModelRefused, match=r"arrays\.npz is damaged"):
        unpack(content, "arrays.npz")


def test_pickled_objects_are_refused_and_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    buffer = io.BytesIO()
    np.savez(buffer, a=np.asarray([BoobyTrap(marker)], dtype=object))

    with pytest.raises(ModelRefused, match="another kind"):
        unpack(buffer.getvalue(), "arrays.npz")

    assert not marker.exists()
    with np.load(io.BytesIO(buffer.getvalue()), allow_pickle=True) as loaded_arrays:
        assert loaded_arrays["a"].shape == (1,)
    assert marker.exists()  # confirms that unpickling creates the file


def test_a_file_with_one_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    with pytest.raises(ModelRefused):
        unpack(pickle.dumps(BoobyTrap(marker)), "arrays.npz")

    assert not marker.exists()


def test_a_shape_that_exceeds_the_bytes_is_refused_before_memory_is_allocated() -> None:
    entry_bytes = _npy_bytes(np.zeros(3)).replace(b"(3,), }" + b" " * 11, b"(300000000000,), }")

    with pytest.raises(ModelRefused, match="do not fit the shape"):
        unpack(_zip_bytes({"a.npy": entry_bytes}), "arrays.npz")


def test_compressed_entries_are_refused() -> None:
    compressed_archive = _zip_bytes({"a.npy": _npy_bytes(np.zeros(100_000))}, zipfile.ZIP_DEFLATED)

    with pytest.raises(ModelRefused, match="compressed"):
        unpack(compressed_archive, "arrays.npz")


def test_entries_that_are_not_arrays_are_refused() -> None:
    with pytest.raises(ModelRefused, match="not an array"):
        unpack(_zip_bytes({"run.py": b"print()"}), "arrays.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the test writes `a.npy` twice
def test_two_entries_with_the_same_name_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for value in (1.0, 2.0):
            archive.writestr("a.npy", _npy_bytes(np.asarray([value])))

    with pytest.raises(ModelRefused, match="twice"):
        unpack(buffer.getvalue(), "arrays.npz")


@pytest.mark.parametrize(
    "changed_array",
    [np.asarray([1.0, 2.5]), np.asarray([1, 2]), np.asarray([[1.0, 2.0]]), np.asarray([1.0])],
)
def test_an_arrays_digest_covers_type_shape_and_values(changed_array: NDArray[Any]) -> None:
    assert array_digest(np.asarray([1.0, 2.0])) != array_digest(changed_array)


def _npy_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, (1, 0))
    return buffer.getvalue()


def _zip_bytes(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()
