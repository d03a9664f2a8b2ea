"""The metadata of the debt service's tables, and the tables that the kit brings along."""

from sqlalchemy import MetaData

from service_kit.audit import audit_records_table
from service_kit.auth.keys import api_keys_table
from service_kit.worker.presence import workers_table

metadata = MetaData()

audit_records = audit_records_table(metadata)
api_keys = api_keys_table(metadata)
workers = workers_table(metadata)
