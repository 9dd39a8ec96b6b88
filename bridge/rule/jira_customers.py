"""Customers of the service projects and their organizations: find, create and add them, and the request of each.

Operations and bodies: https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-customer/ and
https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-organization/.
"""

from typing import Any

from bridge.errors import ActionFailed
from bridge.rule.jira_requests import desk_pages, page_of
from bridge.rule.method import does
from bridge.rule.request import STAND_IN, Caller, Request, Words, object_of, segment, words_of

PROJECT = "<project>"
NOT_FOUND, CONFLICT = 404, 409
FIND = "GET /rest/servicedeskapi/organization"


class Customers:
    """The part of ``context.jira`` that works on customers and organizations."""

    _caller: Caller

    @does(
        "jira.create-customer",
        "Create customer",
        operations=("findUsers", "createCustomer"),
        example={"email": "jo@example.com", "name": "Jo Berg"},
    )
    def create_customer(self, email: str, name: str, *, step: str | None = None) -> dict[str, Any]:
        """Make a customer of an e-mail address, or give the one that it belongs to; returns the ``accountId``.

        Whose an address is can be told only where the site shows it. Where it does not, the customer is asked for, and
        the site refuses a second one of that address. In observe mode the new customer's account id is ``0``.
        """
        answer = self._caller.call(find_user(email))
        known = _of_address(answer.body if isinstance(answer.body, list) else [], email)
        if len(known) == 1:
            return known[0]
        answer = self._caller.call(add_customer(email, name, step=step))
        return object_of(answer, {"accountId": STAND_IN, "emailAddress": email})

    @does(
        "jira.add-customer",
        "Add customer",
        operations=("addCustomers",),
        example={"service_desk": PROJECT, "account_ids": "{{ initiator }}"},
    )
    def add_customer(self, service_desk: str, account_ids: Words, *, step: str | None = None) -> dict[str, Any]:
        """Add customers to a service project, given by its key; they are named by their account ids."""
        return object_of(self._caller.call(add_customers(service_desk, account_ids, step=step)))

    @does("jira.find-organization", "Find organizations", operations=(FIND,), example={})
    def organizations(self) -> list[dict[str, Any]]:
        """Read which organizations of customers the site has."""
        return list(desk_pages(self._caller, lambda start: list_organizations(start, "find-organization")))

    @does(
        "jira.create-organization",
        "Create organization",
        operations=("createOrganization",),
        example={"name": "Contoso"},
    )
    def create_organization(self, name: str, *, step: str | None = None) -> dict[str, Any]:
        """Make an organization of customers; in observe mode its id is ``0``."""
        answer = self._caller.call(add_organization(name, step=step))
        return object_of(answer, {"id": STAND_IN, "name": name})

    @does(
        "jira.add-organization",
        "Add organization to service project",
        operations=(FIND, "addOrganization"),
        example={"service_desk": PROJECT, "organization": "Northwind"},
    )
    def add_organization(self, service_desk: str, organization: str, *, step: str | None = None) -> dict[str, Any]:
        """Add an organization, given by its name or id, to a service project, given by its key."""
        number = _organization(self._caller, organization, "add-organization")
        return object_of(self._caller.call(admit_organization(service_desk, number, step=step)))

    @does(
        "jira.add-to-organization",
        "Add customer to organization",
        operations=(FIND, "addUsersToOrganization"),
        example={"organization": "Northwind", "account_ids": "{{ initiator }}"},
    )
    def add_to_organization(self, organization: str, account_ids: Words, *, step: str | None = None) -> dict[str, Any]:
        """Add customers, named by their account ids, to an organization, given by its name or id."""
        number = _organization(self._caller, organization, "add-to-organization")
        return object_of(self._caller.call(add_members(number, account_ids, step=step)))

    @does(
        "jira.remove-from-organization",
        "Remove customer from organization",
        operations=(FIND, "removeUsersFromOrganization"),
        example={"organization": "Northwind", "account_ids": "{{ initiator }}"},
    )
    def remove_from_organization(
        self, organization: str, account_ids: Words, *, step: str | None = None
    ) -> dict[str, Any]:
        """Take customers, named by their account ids, out of an organization, given by its name or id."""
        number = _organization(self._caller, organization, "remove-from-organization")
        return object_of(self._caller.call(remove_members(number, account_ids, step=step)))


def _of_address(found: list[Any], email: str) -> list[dict[str, Any]]:
    """Keep the users that are shown with that very address.

    The search also compares names and beginnings of words, so a hit without an address may be anybody.
    """
    wanted = email.strip().casefold()
    users = (each for each in found if isinstance(each, dict))
    return [each for each in users if str(each.get("emailAddress") or "").casefold() == wanted]


def _organization(caller: Caller, organization: str, verb: str) -> str:
    wanted = organization.strip()
    if wanted.isdecimal():
        return wanted
    name = wanted.casefold()
    there = desk_pages(caller, lambda start: list_organizations(start, verb))
    found = [each for each in there if str(each.get("name", "")).strip().casefold() == name]
    if not found:
        text = f"there is no organization {organization!r} that this account can see"
        raise ActionFailed(verb, organization, NOT_FOUND, text)
    if len(found) > 1:
        text = f"{len(found)} organizations are called {organization!r}: name one by its id"
        raise ActionFailed(verb, organization, CONFLICT, text)
    return str(found[0]["id"])


def find_user(email: str) -> Request:
    """GET the users of an address (operation findUsers)."""
    query = {"query": [email.strip()]}
    return Request("jira", "GET", "/rest/api/3/user/search", query, verb="create-customer", target=email)


def add_customer(email: str, name: str, *, step: str | None = None) -> Request:
    """POST a new customer (operation createCustomer); an address that has one is answered with 409."""
    body = {"email": email.strip(), "displayName": " ".join(name.split())}
    query = {"strictConflictStatusCode": ["true"]}
    path = "/rest/servicedeskapi/customer"
    return Request("jira", "POST", path, query, body, step, verb="create-customer", target=email)


def add_customers(service_desk: str, account_ids: Words, *, step: str | None = None) -> Request:
    """POST customers to a service desk (operation addCustomers)."""
    body = {"accountIds": words_of(account_ids)}
    return _of_desk(service_desk, "/customer", body, "add-customer", step)


def admit_organization(service_desk: str, organization: str, *, step: str | None = None) -> Request:
    """POST an organization to a service desk (operation addOrganization)."""
    return _of_desk(service_desk, "/organization", {"organizationId": int(organization)}, "add-organization", step)


def _of_desk(service_desk: str, rest: str, body: Any, verb: str, step: str | None) -> Request:
    path = f"/rest/servicedeskapi/servicedesk/{segment(service_desk.strip())}{rest}"
    return Request("jira", "POST", path, body=body, label=step, verb=verb, target=service_desk)


def list_organizations(start: int, verb: str) -> Request:
    """GET a page of the site's organizations (operation getOrganizations)."""
    return Request(
        "jira", "GET", "/rest/servicedeskapi/organization", page_of(start), verb=verb, target="organizations"
    )


def add_organization(name: str, *, step: str | None = None) -> Request:
    """POST a new organization (operation createOrganization)."""
    body = {"name": " ".join(name.split())}
    path = "/rest/servicedeskapi/organization"
    return Request("jira", "POST", path, body=body, label=step, verb="create-organization", target=name)


def add_members(organization: str, account_ids: Words, *, step: str | None = None) -> Request:
    """POST members of an organization (operation addUsersToOrganization)."""
    return _of_members("POST", organization, account_ids, "add-to-organization", step)


def remove_members(organization: str, account_ids: Words, *, step: str | None = None) -> Request:
    """DELETE members of an organization (operation removeUsersFromOrganization)."""
    return _of_members("DELETE", organization, account_ids, "remove-from-organization", step)


def _of_members(method: str, organization: str, account_ids: Words, verb: str, step: str | None) -> Request:
    path = f"/rest/servicedeskapi/organization/{segment(organization)}/user"
    body = {"accountIds": words_of(account_ids)}
    return Request("jira", method, path, body=body, label=step, verb=verb, target=organization)
