#!/bin/sh
# First start of the local MySQL: a database for each service, with an account that owns it, for the migration alone, and
# one that the processes use; the migration lets that one use the tables. Run it again on data of an earlier version.

MYSQL_PWD="$MYSQL_ROOT_PASSWORD" mysql --user=root <<SQL
CREATE DATABASE IF NOT EXISTS risk CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE DATABASE IF NOT EXISTS debt CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS 'risk'@'%' IDENTIFIED BY '$RISK_MYSQL_PASSWORD';
CREATE USER IF NOT EXISTS 'debt'@'%' IDENTIFIED BY '$DEBT_MYSQL_PASSWORD';
CREATE USER IF NOT EXISTS 'risk_owner'@'%' IDENTIFIED BY '$RISK_OWNER_MYSQL_PASSWORD';
CREATE USER IF NOT EXISTS 'debt_owner'@'%' IDENTIFIED BY '$DEBT_OWNER_MYSQL_PASSWORD';
GRANT ALL ON risk.* TO 'risk_owner'@'%' WITH GRANT OPTION;
GRANT ALL ON debt.* TO 'debt_owner'@'%' WITH GRANT OPTION;
SQL
