// Package idfactory has the IDs of records and the factories that make them.
//
// A store makes the IDs of new objects with one [Factory]:
//
//	Integers()        1, 2, 3 …                  the default; an integer column
//	Sequence("Task")  Task.1, Task.2 …           as GC3Pie's IdFactory
//	Sequence("")      Task.1, Machine.2 …        the prefix is the object's type name
//	UUIDv7()          0197f3a2-…                 no counter; in order of time
//	Func(fn)          whatever fn returns
//
// The numbers come from one counter kept with the data, whatever the prefix.
// Gaps are normal. What an ID must be is said at [Validate].
package idfactory
