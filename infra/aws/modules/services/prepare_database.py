"""Make a service's database and its two accounts as their URLs name them, with the URLs' passwords. May be repeated.

Runs in the services' image, as the database's master: MASTER_USERNAME, MASTER_PASSWORD, the URL of the processes in the
variable that is named, and the URL of the migration in OWNER_DATABASE_URL. The owner may do everything in the database,
and grant it. The account of the processes gets its rights from the migration, table by table.
"""

import os
import re
import sys

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

service, owner = (make_url(os.environ[name]) for name in (sys.argv[1], "OWNER_DATABASE_URL"))
database = str(service.database)
if not all(re.fullmatch(r"[a-z][a-z0-9_]{0,30}", str(name)) for name in (database, service.username, owner.username)):
    sys.exit("the URLs must name a database and users in small letters, digits and _")
if owner.database != database or owner.username == service.username:
    sys.exit("the URLs must name one database and two users")
master = owner.set(database="", username=os.environ["MASTER_USERNAME"], password=os.environ["MASTER_PASSWORD"])
engine = create_engine(master, hide_parameters=True, isolation_level="AUTOCOMMIT")
with engine.connect() as connection:  # the driver takes values into every statement, so a % is written twice
    run = connection.exec_driver_sql
    # Tasks that still have the old password go on with it, until this is run once more.
    keep_old = "" if getattr(connection.dialect, "is_mariadb", False) else "RETAIN CURRENT PASSWORD"
    run(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    for url in (owner, service):
        run(f"CREATE USER IF NOT EXISTS '{url.username}'@'%%' IDENTIFIED BY %s", (url.password,))
        run(f"ALTER USER '{url.username}'@'%%' IDENTIFIED BY %s {keep_old}", (url.password,))
    run(f"GRANT ALL ON {database}.* TO '{owner.username}'@'%%' WITH GRANT OPTION")
print(
    f"database {database} is there, and users {owner.username} and {service.username} have the passwords of their URLs"
)
