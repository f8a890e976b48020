// Package extrafields derives columns from objects: a store keeps their values beside each
// record, so that queries can select and sort by them without reading the objects.
//
//	fields := []extrafields.Field{
//		extrafields.Of("name", func(t *Task) string { return t.Name }).Indexed(),
//		extrafields.Get("host", extrafields.Text, "Execution.Results[0].Host").Only(Task{}),
//		extrafields.Func("cost", extrafields.Float, costOf).Default(0.0),
//	}
//
// A [Field] says nothing of an object it does not apply to: the column is then NULL. It is NULL
// too where there is nothing to find (a nil pointer, an index out of range, an absent key, NaN),
// unless [Field.Default] gives a value for that. An extractor that returns an error, panics, or
// gives a value of the wrong kind fails: the store then warns, stores NULL, and the save goes on.
//
// It corresponds to the extra_fields of GC3Pie's SqlStore and its GetValue accessors
// (gc3libs.persistence.sql, gc3libs.persistence.accessors).
//
// # Paths
//
// A path of [Get] starts at the object and leads through its parts:
//
//	Execution.Results[0].Host   fields by their Go names, elements of slices and arrays from 0
//	Meta["user"]                elements of maps by a quoted Go string
//	Codes[404]                  elements of maps by an integer
//	["user"]  [0]               where the object itself is a map, slice or array
//
// Pointers and interfaces on the way are followed, and the fields of embedded structs are those
// of the outer one, as in Go. Only exported fields can be read. A path that the type of an object
// does not have is an error of [Field.Value].
//
// # Kinds
//
// Every value is one of six kinds; [Canonical] says which Go values become which.
package extrafields
