// Package golden holds stores that earlier versions of Brine wrote, and the tests that they are
// still read. The files in testdata are never made anew and never changed: a version of the format
// that comes later gets files of its own. docs/format.md describes what is in them.
//
// The files and what the tests expect of them:
//
//	store.db          SQLite: tables store (integer IDs) and texts (text IDs), with pairs and claims
//	postgres.sql      the same, as pg_dump --inserts gives it
//	mariadb.sql       the same, as mariadb-dump gives it
//	fs.tar.gz         the same in the directories store and texts; the directory marked, which
//	                  has a commit that was not finished, of objects and of pairs; and the directory
//	                  unmarked, where writing stopped just before the commit
//	records.txt       a record of every kind of value: ID, name and bytes
//
// In the folder catalog are stores of later versions: with a catalog of the extra columns (orders,
// format 2) and with indexes in it (unique_orders, format 3), written by programs that declare
// different fields, with times in named locations, versions of records, claims, pairs and a
// quarantine; on fs also a return from quarantine that was not finished (restoring). stamps.json
// has what the records had when they were written.
//
// generate_test.go and generatecatalog_test.go tell how they were made. They are not compiled.
package golden
