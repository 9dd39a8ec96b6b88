"""Some operations share their id: product, or method and path, say which of them a verb means."""

import pytest

from bridge import catalogue
from bridge.catalogue import locate

OF_ALL = "GET /rest/servicedeskapi/organization"
OF_ONE = "GET /rest/servicedeskapi/servicedesk/{serviceDeskId}/organization"


@pytest.mark.parametrize("name", [OF_ALL, OF_ONE])
def test_method_and_path_say_which_of_two_operations_of_one_product(name: str) -> None:
    found = locate("jira", name)
    assert f"{found.method} {found.path}" == name
    assert found.operation_id == "getOrganizations"


def test_the_shared_id_alone_is_ambiguous() -> None:
    with pytest.raises(KeyError, match="jsm has 2 operations 'getOrganizations'"):
        locate("jira", "getOrganizations")


@pytest.mark.parametrize(("product", "name"), [("confluence", OF_ALL), ("jira", "GET /rest/api/3/nothing")])
def test_a_path_that_the_product_has_not_is_none(product: str, name: str) -> None:
    with pytest.raises(KeyError, match="has no operation"):
        locate(product, name)


def test_a_verb_means_the_organizations_of_the_site_and_no_others() -> None:
    found = catalogue.match("GET", "/rest/servicedeskapi/organization")
    other = catalogue.match("GET", "/rest/servicedeskapi/servicedesk/1/organization")
    assert found is not None
    assert other is not None
    assert [verb.name for verb in catalogue.infer(found, {}, None).verbs] == ["find-organization"]
    assert catalogue.infer(other, {}, None).verbs == ()
