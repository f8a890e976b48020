// Package sql keeps records in tables of a SQL database. What differs from one database system to
// the next is a [Dialect], and each of the packages below this one is one dialect that registers
// its URL schemes.
//
// # Engines
//
// [OpenEmbedded] and [OpenServer] make a [Backend] that has done no I/O yet. Init inspects the
// table, creates what is missing (unless NoCreate forbids it) and fixes the layout: which column
// has what, and the text of every statement. How statements are run is up to one of two engines.
// That of an embedded database has one connection that writes, for which Applys share commits, and
// some that read, with a statement open while its rows are read. That of a server has a pool of
// connections, runs again what was lost with a connection, and reads page by page. Both keep their
// statements prepared, in few shapes, so that a long batch is a few texts run many times.
//
// # How a record is written
//
// An Apply of one mutation without references is one statement in a transaction of its own; any
// other is one transaction. Nothing is read before it is written: the statements themselves tell
// that a record is not as the mutation wants it. The batch is rolled back only then, and the
// records are read to find the first mutation that failed.
//
// # Claims
//
// A claim is one UPDATE … RETURNING of what a SELECT picks, which commits by itself; on PostgreSQL
// the SELECT locks the records and passes over those that others have locked. It is a transaction
// of several statements where records are edited, where an order begins with NULLs, where
// conditions have to be evaluated row by row, and on MySQL, which has no UPDATE … RETURNING. The
// clock is the database's; those of the nodes of a cluster must agree within what a lease is worth.
//
// # The tables
//
// The object table has the columns id, data and state, then type, revision, size, created and
// modified, claim_owner, claim_until and claim_token, which are NULL without a claim, then one
// column per extra field. A table made by hand with the first three works too; columns that the
// store does not know are never touched. Each further namespace is a table of the same form, whose
// name is that of the object table, "_" and the name of the namespace. The table brine_stores has
// one row per table: its identity, the next number of its counter, the version of the format, and
// the catalog of the extra columns.
package sql
