"""The one door to the sites: it alone holds credentials, asks the scope, and journals before and after it sends.

``app`` speaks the protocol to workers, ``attempts`` gives deliveries out and takes them back, ``calls`` does one step:
``recall`` → ``policy`` → intent → ``upstream`` → outcome; ``resolve`` looks up writes that are in doubt. Nothing in
here executes a rule's Python: scopes are read from the rules' TOML.
"""
