"""The Merkle tree, held against Certificate Transparency's published test vectors and against itself.

The vectors are those of the reference implementation of RFC 6962
(https://github.com/transparency-dev/merkle, testonly/constants.go and the proofs of its tests).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit import tree
from bridge.audit.tree import Frontier

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
HASHES = [tree.leaf_hash(text) for text in LEAVES]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N10 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
N03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
L6 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = [
    (0, 1, []),
    (0, 8, [N10, N23, N47]),
    (5, 8, [L4, N67, N03]),
    (2, 3, [N01]),
    (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", N23, L4]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [N10, N23, N47]),
    (2, 8, [N23, N47]),
    (6, 8, [N45, N67, N03]),
    (2, 5, [N23, L4]),
    (6, 7, [N45, L6, N03]),
]


@pytest.mark.parametrize("size", range(9))
def test_a_growing_tree_has_the_published_roots(size: int) -> None:
    grown = Frontier()
    for text in LEAVES[:size]:
        grown.append(text)
    assert grown.root().hex() == ROOTS[size]
    assert tree.root(HASHES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones_and_hold(index: int, size: int, proof: list[str]) -> None:
    made = tree.inclusion_proof(HASHES[:size], index)
    assert [each.hex() for each in made] == proof
    assert tree.includes(HASHES[index], index, size, made, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("size", "larger", "proof"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones_and_hold(size: int, larger: int, proof: list[str]) -> None:
    made = tree.consistency_proof(HASHES[:larger], size)
    assert [each.hex() for each in made] == proof
    roots = (bytes.fromhex(ROOTS[size]), bytes.fromhex(ROOTS[larger]))
    assert tree.begins_with((size, larger), roots, made)


def test_a_leaf_does_not_pass_as_an_inner_node() -> None:
    left, right = HASHES[:2]
    assert tree.leaf_hash(left + right) != tree.node_hash(left, right)


hashes = st.lists(st.binary(max_size=4), min_size=1, max_size=70).map(lambda texts: [*map(tree.leaf_hash, texts)])


@given(made=hashes, data=st.data())
def test_every_proof_holds_for_its_own_place_and_for_no_other(made: list[bytes], data: st.DataObject) -> None:
    size = len(made)
    index = data.draw(st.integers(0, size - 1))
    whole, proof = tree.root(made), tree.inclusion_proof(made, index)
    assert tree.includes(made[index], index, size, proof, whole)
    assert not tree.includes(tree.leaf_hash(b"another"), index, size, proof, whole)
    assert not tree.includes(made[index], index, size, [*proof, whole], whole)
    assert not tree.includes(made[index], size, size, proof, whole)
    if proof:
        assert not tree.includes(made[index], index, size, proof[:-1], whole)
    first = data.draw(st.integers(1, size))
    roots = (tree.root(made[:first]), whole)
    told = tree.consistency_proof(made, first)
    assert tree.begins_with((first, size), roots, told)
    assert not tree.begins_with((first, size), (tree.leaf_hash(b"another"), whole), told)
    assert not tree.begins_with((first, size), roots, [*told, whole])
    if first < size:
        assert not tree.begins_with((first, size), (roots[0], tree.leaf_hash(b"another")), told)
        assert not tree.begins_with((first, size), roots, told[:-1])


@given(made=st.lists(st.binary(max_size=4), max_size=70), cut=st.integers(0, 70))
def test_a_tree_that_was_written_down_grows_on_as_if_it_had_not_been(made: list[bytes], cut: int) -> None:
    grown = Frontier()
    for number, text in enumerate(made):
        if number == cut:
            grown = Frontier.from_bytes(grown.size, grown.to_bytes())
        grown.append(text)
    assert grown.root() == tree.root([*map(tree.leaf_hash, made)])
    assert grown.size == len(made)


def test_peaks_that_do_not_fit_a_size_are_refused() -> None:
    for size, peaks in ((1, b""), (2, bytes(64)), (3, bytes(63)), (0, bytes(32))):
        with pytest.raises(ValueError, match="are no tree of"):
            Frontier.from_bytes(size, peaks)


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="no leaf 8"):
        tree.inclusion_proof(HASHES, 8)
    for size in (0, 9):
        with pytest.raises(ValueError, match="does not begin"):
            tree.consistency_proof(HASHES, size)
