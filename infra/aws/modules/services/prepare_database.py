"""Make a service's database and user as its URL names them, and give the user the URL's password. May be repeated.

Runs in the services' image, as the database's master: MASTER_USERNAME, MASTER_PASSWORD, and the URL in the variable
that is named.
"""

import os
import re
import sys

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

url = make_url(os.environ[sys.argv[1]])
database, user = str(url.database), str(url.username)
if not all(re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) for name in (database, user)):
    sys.exit("the URL must name a database and a user in small letters, digits and _")
master = url.set(database="", username=os.environ["MASTER_USERNAME"], password=os.environ["MASTER_PASSWORD"])
engine = create_engine(master, hide_parameters=True, isolation_level="AUTOCOMMIT")
with engine.connect() as connection:  # the driver takes values into every statement, so a % is written twice
    run = connection.exec_driver_sql
    # Tasks that still have the old password go on with it, until this is run once more.
    keep_old = "" if getattr(connection.dialect, "is_mariadb", False) else "RETAIN CURRENT PASSWORD"
    run(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    run(f"CREATE USER IF NOT EXISTS '{user}'@'%%' IDENTIFIED BY %s", (url.password,))
    run(f"ALTER USER '{user}'@'%%' IDENTIFIED BY %s {keep_old}", (url.password,))
    run(f"GRANT ALL ON {database}.* TO '{user}'@'%%'")
print(f"database {database} is there, and user {user} has the password of the URL")
