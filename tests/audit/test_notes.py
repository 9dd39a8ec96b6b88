"""Signed notes and checkpoints, held against the published examples of C2SP and of Go's reference implementation.

The keys and notes of Peter and Enoch are those of golang.org/x/mod/sumdb/note, from which the C2SP format was written
down; the two other notes stand in the specifications themselves (https://c2sp.org/signed-note, …/tlog-checkpoint).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit.note import Checkpoint, KeyId, Note, NoteInvalid, Signer, Verifier, known, sign

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
PETER_ID, ENOCH_ID = KeyId("PeterNeumann", bytes.fromhex("c74f20a3")), KeyId("EnochRoot", bytes.fromhex("af0cfe78"))
QUASIMODO = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3Ze"
    "kRwNtIc=\n"
)
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeM"
    "cTOAYQ8=\n"
)


def test_the_published_note_is_made_from_the_published_key() -> None:
    signer = Signer.read(SKEY)
    assert str(sign(TEXT, [signer])) == f"{TEXT}\n{PETER_LINE}"
    assert str(signer.verifier) == VKEY
    assert signer.text() == SKEY


def test_the_published_signatures_are_valid_with_either_key_known_or_both() -> None:
    note = Note.read(f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}")
    assert note.text == TEXT
    assert note.signers(known([VKEY])) == (PETER_ID,)
    assert note.signers(known([ENOCH])) == (ENOCH_ID,)
    assert note.signers(known([VKEY, ENOCH])) == (PETER_ID, ENOCH_ID)
    assert note.signers({}) == ()
    assert str(note) == f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}"


def test_the_examples_of_the_specifications_are_read_and_written_the_same() -> None:
    for text in (QUASIMODO, SOFA):
        assert str(Note.read(text)) == text
    poem = Note.read(QUASIMODO)
    assert poem.text.endswith("sole:\n\ned è subito sera.\n")
    assert poem.signatures[0][0].name == "quasimodo.example/salvatore"
    said = Checkpoint.read(Note.read(SOFA).text)
    assert (said.origin, said.size) == ("example.com/behind-the-sofa", 20852163)
    assert said.text() == Note.read(SOFA).text


def test_a_known_keys_false_signature_makes_the_whole_note_invalid() -> None:
    forged = Note.read(f"{TEXT.replace('answer', 'cause')}\n{PETER_LINE}{ENOCH_LINE}")
    with pytest.raises(NoteInvalid, match=r"PeterNeumann\+c74f20a3 does not fit"):
        forged.signers(known([VKEY]))
    assert forged.signers({}) == (), "an unknown key's signature is passed over"
    longer = Note.read(f"{TEXT}\n{PETER_LINE[:60]}ABCD{PETER_LINE[60:]}")
    with pytest.raises(NoteInvalid, match="does not fit"):
        longer.signers(known([VKEY]))


def test_a_signature_of_the_same_name_with_another_id_is_anothers() -> None:
    other = Note.read(f"{TEXT}\n{PETER_LINE.replace('x08g', 'xxxx')}")
    assert other.signers(known([VKEY])) == ()
    other = Note.read(f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'CarmenSandiego')}")
    assert other.signers(known([VKEY])) == ()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n— Bad Name {PETER_LINE.split()[2]}\n",
        f"{TEXT}\n— Peter+Neumann {PETER_LINE.split()[2]}\n",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n-- PeterNeumann {PETER_LINE.split()[2]}\n",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        f"{TEXT}\n— PeterNeumann !!!!\n",
        f"{TEXT}\n" + PETER_LINE * 101,
        f"\ud800{TEXT}\n{PETER_LINE}",
        "",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Note.read(text)


@pytest.mark.parametrize("key", [VKEY, SKEY])
def test_a_key_that_was_cut_anywhere_or_changed_in_one_letter_is_refused(key: str) -> None:
    read = Verifier.read if key == VKEY else Signer.read
    read(key)
    for begin in range(len(key)):
        for end in range(begin + 1, len(key) + 1):
            if (begin, end) != (0, len(key)):
                with pytest.raises(NoteInvalid):
                    read(key[begin:end])
    for at, letter in enumerate(key):
        with pytest.raises(NoteInvalid):
            read(f"{key[:at]}{chr(ord(letter) + 1)}{key[at + 1 :]}")


def test_a_key_of_another_length_or_type_is_refused_although_its_id_fits() -> None:
    for vkey in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(NoteInvalid):
            Verifier.read(vkey)


def test_no_private_key_shows_in_what_is_printed() -> None:
    signer = Signer.new("bridge.example/log")
    assert signer.text().rpartition("+")[2] not in repr(signer)
    assert signer.seed.hex() not in repr(signer)
    with pytest.raises(NoteInvalid) as raised:
        Signer.read(signer.text()[:-4] + "AAA=")
    assert signer.text()[-40:-8] not in str(raised.value)


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "line\nfeed", "\u2003"])
def test_a_name_that_would_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(NoteInvalid, match="cannot name a log"):
        Signer.new(name)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n²\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2=\n",
        "origin\n1\nAAAA\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "origin\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.read(text)


@given(text=st.text(max_size=80), line=st.sampled_from([PETER_LINE, ENOCH_LINE]))
def test_no_text_breaks_the_reading_of_notes(text: str, line: str) -> None:
    for tried in (text, f"{text}\n\n{line}"):
        try:
            note = Note.read(tried)
        except NoteInvalid:
            continue
        assert str(note) == tried
        assert note.signers({}) == ()
