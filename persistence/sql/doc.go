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
// # The tables
//
// The object table has the columns id, data and state, then type, revision,
// size, created and modified, then one column per extra field. A table made by hand
// with the first three works too; columns that the store does not know are never touched.
// Beside it lives brine_stores with one row per object table: its identity, the
// next number of its counter, and the version of the format.
package sql
