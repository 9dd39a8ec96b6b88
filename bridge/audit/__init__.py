"""The audit log: sealed so that tampering shows, told outside, checked, exported, and read by people.

tree, note, leaf    what the log is made of: RFC 6962, C2SP's signed notes, the text of a leaf
keys, turn, seal    the key, and the one sealer that gives entries their place and signs
ship, syslog        entries and checkpoints told to places outside
walk, verify        everything recomputed; ``outside`` finds copies of checkpoints, ``verify_export`` needs no store
export, query       a part of the log in a file; entries by what people ask for
"""
