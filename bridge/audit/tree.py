"""The Merkle tree over the sealed log: RFC 6962 section 2.1, its hashes, growth and proofs.

A tree of n leaves is the complete trees of the ones in n's binary form, largest first; their roots are its *peaks*.
``Frontier`` keeps only those, so that the sealer appends and the verifier recomputes with some hashes in memory however
long the log is. Proofs are for whoever holds all leaf hashes: short evidence that one leaf is in a tree, or that one
tree begins with another.
"""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()  # RFC 6962 section 2.1: MTH({}) = SHA-256()


def leaf_hash(text: bytes) -> bytes:
    """Return the hash of a leaf; the prefix keeps leaves and inner nodes apart, so that neither passes as the other."""
    return hashlib.sha256(b"\x00" + text).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A growing tree, known by its size and peaks alone."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Raises ``ValueError`` unless there is one peak for each one in ``size``'s binary form."""
        self.size = size
        self._peaks = list(peaks)
        if len(self._peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in self._peaks):
            raise ValueError(f"{len(self._peaks)} peaks are no tree of {size} leaves")

    @classmethod
    def from_bytes(cls, size: int, peaks: bytes) -> "Frontier":
        """Read what ``to_bytes`` wrote. Raises ``ValueError`` if it does not fit ``size``."""
        return cls(size, (peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """Return the peaks, largest tree first, one after another."""
        return b"".join(self._peaks)

    def append(self, text: bytes) -> None:
        """Add a leaf: it joins with the trees of equal size before it."""
        found = leaf_hash(text)
        rest = self.size
        while rest & 1:
            found = node_hash(self._peaks.pop(), found)
            rest >>= 1
        self._peaks.append(found)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree's root."""
        if not self._peaks:
            return EMPTY
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def root(hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    if not hashes:
        return EMPTY
    if len(hashes) == 1:
        return hashes[0]
    split = _split(len(hashes))
    return node_hash(root(hashes[:split]), root(hashes[split:]))


def _split(size: int) -> int:
    """Return the largest power of two below ``size``, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that leaf ``index`` is in the tree over ``hashes`` (RFC 6962 section 2.1.1).

    Raises ``ValueError`` if there is no such leaf.
    """
    if not 0 <= index < len(hashes):
        raise ValueError(f"there is no leaf {index} in a tree of {len(hashes)}")
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if index < split:
        return [*inclusion_proof(hashes[:split], index), root(hashes[split:])]
    return [*inclusion_proof(hashes[split:], index - split), root(hashes[:split])]


def includes(found: bytes, index: int, size: int, proof: Sequence[bytes], whole: bytes) -> bool:
    """Tell whether ``proof`` shows that the leaf hash ``found`` is leaf ``index`` of the tree with root ``whole``.

    RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last = index, size - 1
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    return last == 0 and found == whole


def consistency_proof(hashes: Sequence[bytes], size: int) -> list[bytes]:
    """Return the proof that the tree over ``hashes`` begins with its first ``size`` leaves (RFC 6962 section 2.1.2).

    Raises ``ValueError`` unless 0 < ``size`` <= the number of hashes.
    """
    if not 0 < size <= len(hashes):
        raise ValueError(f"a tree of {len(hashes)} does not begin with one of {size}")
    return _subproof(hashes, size, whole=True)


def _subproof(hashes: Sequence[bytes], size: int, *, whole: bool) -> list[bytes]:
    if size == len(hashes):
        return [] if whole else [root(hashes)]
    split = _split(len(hashes))
    if size <= split:
        return [*_subproof(hashes[:split], size, whole=whole), root(hashes[split:])]
    return [*_subproof(hashes[split:], size - split, whole=False), root(hashes[:split])]


def begins_with(sizes: tuple[int, int], roots: tuple[bytes, bytes], proof: Sequence[bytes]) -> bool:
    """Tell whether ``proof`` shows that the second tree begins with the first (RFC 9162 section 2.1.4.2)."""
    (size, larger), (first, second) = sizes, roots
    if size == larger:
        return not proof and first == second
    if not 0 < size < larger or not proof:
        return False
    # A first tree that is complete is a node of the second and is not repeated in the proof.
    path = [first, *proof] if size & (size - 1) == 0 else list(proof)
    at, last = size - 1, larger - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(other, old), node_hash(other, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, other)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first and new == second
