"""From an existing automation to rules: exports read, each action weighed, rules and the rewritten automation written.

The way of one file: ``export`` reads it in whichever dialect it is, ``plan`` asks ``actions`` (and ``web_requests``,
``mapping``) of each action which steps would do the same and cuts the automation into runs, ``rule_text``, ``body`` and
``rewrite`` write the rule, what the web request carries, and the automation without its actions. ``site`` sums up many,
``page`` makes a page to hand round, ``api`` reads and writes automations through Atlassian's management API.

Nothing here is shown without thought: exports hold credentials in clear, so texts for people are made from names and
types, never from values.
"""
