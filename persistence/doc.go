// Package persistence keeps Go objects in a [Store]: in memory, in files or in an SQL database,
// whichever a URL names. Objects that refer to each other, such as the tasks of a workflow,
// are a record each, and come back with every shared reference and every cycle.
//
//	type Task struct {
//		persistence.Persistable
//		Name string
//		Deps []*Task
//	}
//
//	store, err := persistence.MakeStore(ctx, "sqlite:tasks.db", nil)
//	id, err := store.Save(ctx, task)                       // task and all it reaches
//	task, err = persistence.Load[Task](ctx, store, id)     // the same, in another process
//
// A backend is imported for its side effect: persistence/sql/sqlite, persistence/fs,
// persistence/mem, or all of them with persistence/all.
//
// # The way of an object
//
// Save puts the object on a worklist. It encodes each object on the list; every other
// object with an identity ([Persistable]) met there becomes a reference by ID and goes on the list itself.
// What differs from the record last known goes to the backend as one atomic batch; the rest
// costs its encoding and nothing else. Only when the batch is durable do the objects learn their IDs and revisions.
// [Store.SaveOnly] is for the program that knows which object it changed: it pays for that one alone.
//
// Load fetches the record and, wave by wave, all the records it refers to, from one state of the
// store. It makes an empty object for each and then decodes them: every reference has its pointer already. A field of type
// *T is such an eager reference; a [Ref] is a lazy one, which loads when asked.
//
// Values without an identity are part of the record of whatever holds them. Shared pointers
// and cycles inside one record are kept too.
//
// # Concurrency
//
// A Store is safe for concurrent use. Objects are the program's own: Save reads all that the object
// reaches, so none of it may change meanwhile. SaveOnly reads the objects named, those never saved that they refer to, and
// the identities of the rest; a program whose goroutines own an object each saves without further locks.
// Saves of one process that overlap do not conflict. Across processes, and between two loaded
// copies, a record's revision tells who was first: the other gets [ErrConflict] and nothing is written.
//
// # Durability
//
// When a call that writes returns nil, the data survives the kill of the process, and the loss of power
// where the backend says so; all of the built-in ones on disk do. When it returns an error nothing was written, unless the
// error is [ErrUncertain]. Bytes that cannot be decoded are reported and kept.
package persistence
