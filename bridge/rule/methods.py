"""All that a handler or a step can do, by the names of the steps: ``jira.comment``, ``confluence.label``."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.rule.confluence import Confluence
from bridge.rule.jira import Jira
from bridge.rule.method import Method, methods_of

METHODS: Mapping[str, Method] = MappingProxyType({**methods_of(Jira), **methods_of(Confluence)})
