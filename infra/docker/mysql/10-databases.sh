#!/bin/sh
# First start of the local MySQL: a database and a user for each service, and neither may touch the other's.

MYSQL_PWD="$MYSQL_ROOT_PASSWORD" mysql --user=root <<SQL
CREATE DATABASE risk CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE DATABASE debt CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER 'risk'@'%' IDENTIFIED BY '$RISK_MYSQL_PASSWORD';
CREATE USER 'debt'@'%' IDENTIFIED BY '$DEBT_MYSQL_PASSWORD';
GRANT ALL ON risk.* TO 'risk'@'%';
GRANT ALL ON debt.* TO 'debt'@'%';
SQL
