"""The OpenFeature SDK: which version a user has, and how it went with it."""

import json
import urllib.error
import urllib.request

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from cases import KEY, OPENAI, ROOT, run

HEADERS = {"authorization": f"Bearer {KEY}"}
api.set_provider(OFREPProvider(ROOT, headers_factory=lambda: HEADERS))
flags = api.get_client()


def who(user):
    return EvaluationContext(targeting_key=user, attributes={"plan": "free"})


def a_feature_is_a_flag_and_its_version_the_value():
    details = flags.get_string_details(OPENAI, "none", who("user-1"))
    assert (details.value, details.variant, details.error_code) == ("v1", "v1", None), details
    assert details.flag_metadata["request_id"], details


def what_is_reported_of_an_evaluation_is_counted_once():
    details = flags.get_string_details(OPENAI, "none", who("user-1"))
    said = {"request_id": details.flag_metadata["request_id"], "name": "thumbs", "value": 1, "id": "once"}
    assert [feedback(said)["status"] for _ in range(2)] == ["counted", "duplicate"]


def feedback(body):
    headers = {**HEADERS, "content-type": "application/json"}
    request = urllib.request.Request(f"{ROOT}/v1/feedback", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def an_unknown_feature_gives_the_default_and_says_why():
    details = flags.get_string_details("no-such-feature", "none", who("user-1"))
    assert (details.value, details.error_code) == ("none", ErrorCode.FLAG_NOT_FOUND), details


def nobody_in_particular_gives_the_default_and_says_why():
    details = flags.get_string_details(OPENAI, "none", EvaluationContext())
    assert (details.value, details.error_code) == ("none", ErrorCode.TARGETING_KEY_MISSING), details


run([
    a_feature_is_a_flag_and_its_version_the_value,
    what_is_reported_of_an_evaluation_is_counted_once,
    an_unknown_feature_gives_the_default_and_says_why,
    nobody_in_particular_gives_the_default_and_says_why,
])
