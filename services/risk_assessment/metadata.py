"""The metadata of the risk service's tables, and the tables that the kit brings along."""

from sqlalchemy import MetaData

from service_kit.audit import audit_records_table
from service_kit.auth.keys import api_keys_table
from service_kit.idempotency import IdempotencyKeys, idempotency_keys_table
from service_kit.worker.leader_lease import leases_table
from service_kit.worker.presence import workers_table

metadata = MetaData()

idempotency_keys = idempotency_keys_table(metadata)
IDEMPOTENCY = IdempotencyKeys(idempotency_keys)
leases = leases_table(metadata)
audit_records = audit_records_table(metadata)
api_keys = api_keys_table(metadata)
workers = workers_table(metadata)
