// Package sql keeps records in a table of a SQL database. It is the engine:
// what differs from one database system to the next is a [Dialect], and each
// of the packages below this one is one dialect that registers its URL schemes.
//
// # The way of a record
//
// [Open] makes a [Backend] that has done no I/O yet. Init looks at the table,
// creates what is missing (unless NoCreate forbids it) and fixes the layout: which
// column holds what, and the text of every statement. From then on writes go through
// the writer connection and reads through a pool of readers; both keep
// their statements prepared, in few shapes, so that a long batch is a few texts run many times.
//
// An Apply of one mutation without references is one statement in a
// transaction of its own; any other is one transaction. Nothing is read before
// it is written: the statements themselves say that something stood in the way, and
// only then the batch is rolled back and the records are looked at to tell which
// mutation was the first to fail.
//
// # Claims
//
// A claim is one UPDATE … RETURNING of what a SELECT picks, which commits by itself; on PostgreSQL the SELECT locks the records and
// passes over those that others have locked. A transaction in steps takes its place where records are edited, where an order begins with
// NULLs or conditions are left to be looked at row by row, and on MySQL, which knows no RETURNING there. The clock is the
// database's; those of the nodes of a cluster must agree within what a lease is worth.
//
// # The tables
//
// The object table has the columns id, data and state, then type, revision,
// size, created and modified, claim_owner, claim_until and claim_token, which are NULL without a claim, then one column per extra field. A table made by hand
// with the first three works too; columns that the store does not know are never touched.
// Beside it lives brine_stores with one row per object table: its identity, the
// next number of its counter, and the version of the format.
package sql
