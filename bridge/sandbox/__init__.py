"""A local Jira and Confluence Cloud, for the demo, for tests and for trying rules out.

It stands where ``https://api.atlassian.com`` stands and answers the operations that the verbs use as Atlassian's
gateway does, including what goes wrong there. One request takes this way::

    app.py         Flask routes: /ex/jira/<cloudId>/..., /ex/confluence/<cloudId>/wiki/..., the site's own host
    gateway.py     credential, OAuth scopes (from bridge.catalogue), limits, faults, then the operation
    faults.py      what a test ordered to go wrong: 429, 503, a reset connection, half an answer, a late execution
    jira.py, jira_comments.py, search.py, confluence.py, confluence_comments.py    one function per operationId
    *_shapes.py, fields.py, document.py    how things are read from requests and shown in answers
    site.py, records.py, workflow.py       what the site keeps, behind one lock
    pages.py       the plain pages on which a person sees who did what
    control.py     /sandbox/...: order faults, read the whole state, move an issue, hand out tokens
    seed.py        what the demo's site contains

Run it with ``gunicorn --worker-class gthread --workers 1 --threads 16 'bridge.sandbox.app:wsgi()'``: the state lives in
the memory of one process.
"""
