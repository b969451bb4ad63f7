"""Refusals of Kubeflow's service that no command of ours meets, as its double makes them, through the real client."""

from __future__ import annotations

import json

import pytest

from farebox.pipeline.cluster.kubeflow import Kubeflow, named
from farebox.pipeline.cluster.service import ClusterTarget

VALUES = {"epochs": 3, "budget": 0.5, "span": "1", "rows": 5}


@pytest.fixture
def service(kubeflow) -> Kubeflow:
    """Five runs are there."""
    for number in range(5):
        kubeflow._new("runs", "run_id", {"display_name": "equal", "state": "PENDING", "number": number})
    return Kubeflow(ClusterTarget("kubeflow", host=kubeflow.url, patience=1), print)


def refusal(service: Kubeflow, api: str, method: str, *arguments, **options) -> tuple[int, dict]:
    """Status and body."""
    import kfp_server_api

    with pytest.raises(kfp_server_api.ApiException) as caught:
        service._call(api, method, *arguments, **options)
    return caught.value.status, json.loads(caught.value.body)


def test_a_page_holds_what_is_asked_for_and_its_token_belongs_to_its_filter(service):
    page = service._call("run", "list_runs", page_size=1, filter=named("equal"))
    assert (len(page.runs), page.total_size) == (1, 5)
    token = page.next_page_token
    assert len(service._call("run", "list_runs", page_size=9, page_token=token).runs) == 2
    for options in ({"page_token": token, "filter": named("other")}, {"page_token": "2"}, {"filter": "%zz"}):
        assert refusal(service, "run", "list_runs", **options)[0] == 400
    assert service._call("run", "list_runs", filter=named("none")).runs is None


def test_errors_have_grpcs_codes_and_a_second_status(service, kubeflow):
    status, body = refusal(service, "run", "get_run", "run-99")
    assert (status, body["code"], body["details"][0]["code"]) == (404, 5, 5) and "error" not in body
    kubeflow.is_2_0 = True
    assert refusal(service, "run", "get_run", "run-99")[1]["error"] == body["message"]


def test_a_run_that_has_ended_cannot_be_stopped(service, kubeflow):
    service._call("run", "terminate_run", "run-1")
    assert kubeflow.row_of("runs", "run-1")["state"] == "CANCELING"
    assert refusal(service, "run", "terminate_run", "run-1")[0] == 400
    assert service.run("run-1").state == "cancelled"
    assert refusal(service, "run", "terminate_run", "run-1")[0] == 400


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"epochs": "3"}, "epochs is not of type NUMBER_INTEGER"),
        ({"budget": True}, "budget is not of type NUMBER_DOUBLE"),
        ({"rows": None}, "rows is not of type"),
        ({"more": 1}, "not required by pipeline: more"),
    ],
)
def test_parameters_are_those_that_the_pipeline_declares(to_kubeflow, kubeflow, spec_file, changes, complaint):
    import kfp_server_api as api

    assert to_kubeflow(spec_file(), "--parameter=rows=5", "--no-wait")[0] == 0
    (run,) = kubeflow.kept("runs")
    service = Kubeflow(ClusterTarget("kubeflow", host=kubeflow.url, patience=1), print)
    reference = api.V2beta1PipelineVersionReference(**run["pipeline_version_reference"])

    def body(parameters: dict, version=reference) -> api.V2beta1Run:
        config = api.V2beta1RuntimeConfig(parameters=parameters)
        options = {"pipeline_version_reference": version, "runtime_config": config}
        return api.V2beta1Run(display_name="x", experiment_id=run["experiment_id"], **options)

    status, answer = refusal(service, "run", "create_run", body(VALUES | changes))
    assert status == 400 and complaint in answer["message"]
    assert refusal(service, "run", "create_run", body({"epochs": 3}))[0] == 400
    lost = api.V2beta1PipelineVersionReference(reference.pipeline_id, "version-99")
    assert refusal(service, "run", "create_run", body(VALUES, lost))[0] == 500
    assert service._call("run", "create_run", body(VALUES)).state == "PENDING"


@pytest.mark.parametrize(("is_2_0", "known", "unknown"), [(False, 409, 404), (True, 500, 500)])
def test_an_upload_is_refused_with_another_body(*, to_kubeflow, kubeflow, spec_file, tmp_path, is_2_0, known, unknown):
    assert to_kubeflow(spec_file(), "--parameter=rows=5", "--no-wait")[0] == 0
    (version,) = kubeflow.kept("versions")
    file = tmp_path / "again.yaml"
    file.write_text(json.dumps(version["pipeline_spec"]))
    kubeflow.is_2_0 = is_2_0
    service = Kubeflow(ClusterTarget("kubeflow", host=kubeflow.url, patience=1), print)
    for pipeline_id, expected in ((version["pipeline_id"], known), ("pipeline-99", unknown)):
        options = {"name": version["display_name"], "pipelineid": pipeline_id}
        status, body = refusal(service, "upload", "upload_pipeline_version", str(file), **options)
        assert (status, body["error_message"]) == (expected, "Failed to create a pipeline version")
