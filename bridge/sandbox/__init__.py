"""A local Jira and Confluence Cloud, for the demo, for tests and for trying rules out.

It stands where ``https://api.atlassian.com`` stands and answers the operations that the verbs use as Atlassian's
gateway does, including what goes wrong there. One request takes this way::

    app.py         Flask routes: /ex/jira/<cloudId>/..., /ex/confluence/<cloudId>/wiki/..., the site's own host
    gateway.py     credential, OAuth scopes (from bridge.catalogue), limits, faults, then the operation
    faults.py      what a test ordered to go wrong: 429, 503, a reset connection, half an answer, a late execution
    jira*.py, search.py, metadata.py, confluence*.py    one function per operationId
    jira_v2.py     /rest/api/2: the same operations with wiki markup (wiki.py) where version 3 has documents
    removed.py     what Atlassian has taken away and answers 410 for
    grammar.py, jql.py, jql_terms.py, cql.py    the two query languages
    *_shapes.py, fields.py, document.py, storage.py    how things are read from requests and shown in answers
    site.py, records.py, workflow.py       what the site keeps, behind one lock
    pages.py       the plain pages on which a person sees who did what
    control.py     /sandbox/...: order faults, read the whole state, move an issue, hand out tokens
    seed.py        what the demo's site contains

Run it with ``gunicorn --worker-class gthread --workers 1 --threads 16 'bridge.sandbox.app:wsgi()'``: the state lives in
the memory of one process.
"""
