"""Strings without backslashes for PostgreSQL, and the order of what MLMD returns; on MLMD's own messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_service_pb2 as service

from farebox.pipeline.metadata.postgresql import decode, encode, replace_strings, sort_response

TEXTS = st.lists(st.sampled_from(["\\", "%", "5", "C", "2", '"', "'", "é"])).map("".join) | st.text()


@given(TEXTS)
def test_every_text_comes_back(text):
    assert "\\" not in encode(text)
    assert decode(encode(text)) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("%Y-%m-%d", "%Y-%m-%d"), ("C:\\trips", "C:%5Ctrips"), ("%5C", "%255C"), ("%25", "%2525"), ("100 %", "100 %")],
)
def test_what_the_database_holds(text, kept):
    assert encode(text) == kept


def test_strings_are_changed_wherever_they_are():
    request = service.PutExecutionRequest()
    request.execution.name, request.execution.type_id = "a", 1
    request.execution.properties["p"].string_value = "b"
    request.execution.properties["n"].int_value = 2
    request.execution.custom_properties["s"].struct_value.fields["f"].string_value = "c"
    pair = request.artifact_event_pairs.add()
    pair.artifact.uri = "d"
    pair.event.path.steps.add().key = "e"
    names = service.GetArtifactsByURIRequest(uris=["f", "g"])
    for message in (request, names):
        replace_strings(message, str.upper)
    assert (request.execution.name, request.execution.type_id) == ("A", 1)
    assert request.execution.properties["p"].string_value == "B"
    assert request.execution.properties["n"].int_value == 2
    assert request.execution.custom_properties["s"].struct_value.fields["f"].string_value == "C"
    assert (request.artifact_event_pairs[0].artifact.uri, pair.event.path.steps[0].key) == ("D", "E")
    assert list(names.uris) == ["F", "G"]


def ordered(request, response, ids):
    for number in ids:
        response.artifacts.add(id=number, uri=f"/{number}")
    sort_response(request, response)
    assert all(artifact.uri == f"/{artifact.id}" for artifact in response.artifacts)
    return [artifact.id for artifact in response.artifacts]


def test_what_was_asked_for_by_id_comes_in_that_order():
    request = service.GetArtifactsByIDRequest(artifact_ids=[7, 2, 5])
    assert ordered(request, service.GetArtifactsByIDResponse(), [2, 5, 7]) == [7, 2, 5]


def test_all_else_comes_by_id_unless_mlmd_orders_it():
    request = service.GetArtifactsByContextRequest(context_id=1)
    assert ordered(request, service.GetArtifactsByContextResponse(), [5, 2, 7]) == [2, 5, 7]
    request.options.max_result_size = 3
    assert ordered(request, service.GetArtifactsByContextResponse(), [5, 2, 7]) == [5, 2, 7]
