"""What a rule is, what it may do, and how its handler speaks: pure decisions, texts and one client.

    manifest.py, schema.py, lines.py   a rule's TOML, all its mistakes at once, each with its line
    scope.py                           what a rule may do, and the account's ceiling over it
    source.py, steps.py                what can be told of a handler or of steps without running them
    registry.py                        the rules of a directory, reloaded as a whole or not at all
    accept.py, paths.py                queue, ignore or reject an incoming payload
    event.py                           what a handler is given
    context.py, door.py, answers.py    what a handler may use; the worker's side of egress's protocol
    request.py, jira.py, confluence.py the verbs, each a plain request
    jql.py, adf.py, markdown.py        values as literal text in the sites' languages
    template.py, recipe.py             the steps of a TOML file, run
    handler.py                         the Python of a rule, loaded from its exact text and run

Nothing here opens a connection: the httpx client is given. ``handler.py`` and ``context.py`` are for workers only; what
ingress and egress need of a rule stands in the other modules.
"""
