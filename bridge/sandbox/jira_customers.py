"""The service desk's operations on service desks themselves, customers and organizations.

See https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-servicedesk/. A service desk may be named by
its id or by its project. Making customers takes the right to administer a service project here, where a live site asks
for that of the whole Jira.
"""

import re
from collections.abc import Mapping

from bridge.sandbox import desk_shapes as shapes
from bridge.sandbox.answer import Answer, Call, Operation, desk_refused
from bridge.sandbox.desk import Organization, ServiceDesk
from bridge.sandbox.jira_requests import account_ids, body_of, must
from bridge.sandbox.records import Project

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _visible(call: Call) -> tuple[ServiceDesk, Project]:
    kind, _, wanted = call.params["serviceDeskId"].rpartition(":")
    for desk in call.site.desks.values():
        project = call.site.projects[desk.project]
        names = {"serviceDeskId": {desk.id}, "projectId": {project.id}, "projectKey": {project.key}}
        if wanted in names.get(kind, {desk.id, project.key}) and call.site.may(call.account, "browse", project):
            return desk, project
    raise shapes.missing("service desk")


def get_service_desk(call: Call) -> Answer:
    """GET /rest/servicedeskapi/servicedesk/{serviceDeskId}."""
    return Answer(200, shapes.desk(call, _visible(call)[0]))


def get_request_types(call: Call) -> Answer:
    """GET .../requesttype: ``searchQuery`` is part of a name."""
    desk, _ = _visible(call)
    words = call.first("searchQuery").casefold()
    return shapes.page(
        call, [shapes.request_type(call, desk, each) for each in desk.types if words in each.name.casefold()]
    )


def add_customers(call: Call) -> Answer:
    """POST .../customer: those who are customers already stay."""
    desk, project = _visible(call)
    must(call, "administer", project)
    desk.customers = list(dict.fromkeys([*desk.customers, *account_ids(call)]))
    return Answer(204)


def create_customer(call: Call) -> Answer:
    """POST /rest/servicedeskapi/customer: an address belongs to one account; 409 for a second one only if asked for."""
    body = body_of(call)
    _serves(call, "administer")
    email, name = str(body.get("email") or "").strip(), str(body.get("displayName") or body.get("fullName") or "")
    if not _ADDRESS.fullmatch(email):
        raise desk_refused(400, "The e-mail address is invalid.")
    if any(each.email.casefold() == email.casefold() for each in call.site.accounts.values()):
        raise desk_refused(
            409 if call.flag("strictConflictStatusCode") else 400, f"The account {email} exists already."
        )
    made = call.site.add_account(name or email, kind="customer", email=email)
    return Answer(201, shapes.user(call, made.id))


def _serves(call: Call, permission: str) -> None:
    """Refuse an account that holds the permission in no service project."""
    homes = (call.site.projects[desk.project] for desk in call.site.desks.values())
    if not any(call.site.may(call.account, permission, home) for home in homes):
        raise desk_refused(403, "You do not have permission to do this.")


def get_organizations(call: Call) -> Answer:
    """GET /rest/servicedeskapi/organization, or of one service desk: two operations of one name."""
    there = list(call.site.organizations.values())
    if "serviceDeskId" in call.params:
        desk, _ = _visible(call)
        there = [each for each in there if each.id in desk.organizations]
    member = call.first("accountId")
    return shapes.page(
        call, [shapes.organization(call, each) for each in there if not member or member in each.members]
    )


def create_organization(call: Call) -> Answer:
    """POST /rest/servicedeskapi/organization: a name may occur twice."""
    name = str(body_of(call).get("name") or "").strip()
    _serves(call, "agent")
    if not name:
        raise desk_refused(400, "The organization's name must not be empty.")
    return Answer(201, shapes.organization(call, call.site.add_organization(name)))


def add_organization(call: Call) -> Answer:
    """POST .../servicedesk/{serviceDeskId}/organization: nothing changes if it is there."""
    desk, project = _visible(call)
    must(call, "agent", project)
    wanted = str(body_of(call).get("organizationId", ""))
    if wanted not in call.site.organizations:
        raise shapes.missing("organization")
    desk.organizations = list(dict.fromkeys([*desk.organizations, wanted]))
    return Answer(204)


def _organization(call: Call) -> Organization:
    found = call.site.organizations.get(call.params["organizationId"])
    if found is None:
        raise shapes.missing("organization")
    _serves(call, "agent")
    return found


def add_members(call: Call) -> Answer:
    """POST /rest/servicedeskapi/organization/{organizationId}/user."""
    organization = _organization(call)
    organization.members = list(dict.fromkeys([*organization.members, *account_ids(call)]))
    return Answer(204)


def remove_members(call: Call) -> Answer:
    """DELETE /rest/servicedeskapi/organization/{organizationId}/user, with a body."""
    organization = _organization(call)
    gone = account_ids(call)
    organization.members = [each for each in organization.members if each not in gone]
    return Answer(204)


OPERATIONS: Mapping[str, Operation] = {
    "getServiceDeskById": get_service_desk,
    "getRequestTypes": get_request_types,
    "addCustomers": add_customers,
    "createCustomer": create_customer,
    "getOrganizations": get_organizations,
    "createOrganization": create_organization,
    "addOrganization": add_organization,
    "addUsersToOrganization": add_members,
    "removeUsersFromOrganization": remove_members,
}
