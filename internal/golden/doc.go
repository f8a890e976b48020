// Package golden holds stores that the first version of Brine wrote, and the tests that they are
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
// generate_test.go tells how they were made. It is not compiled.
package golden
