"""Outages of SQS and other errors are distinguished."""

from botocore.exceptions import NoCredentialsError

from service_kit.sqs.outages import QueueMissing, describe_sqs_outage, is_sqs_unavailable


def test_missing_credentials_are_an_outage_and_other_errors_are_not() -> None:
    assert is_sqs_unavailable(NoCredentialsError())
    assert (
        describe_sqs_outage(NoCredentialsError())
        == "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS"
    )
    assert describe_sqs_outage(QueueMissing("work")) == "queue work does not exist"
    assert not is_sqs_unavailable(ValueError("x"))
