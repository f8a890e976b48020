// Package persistence keeps Go objects in a [Store]: in memory, in files or in an SQL database,
// selected by a URL. Objects that refer to each other, such as the tasks of a workflow, have
// one record each. Loading restores every shared reference and every cycle.
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
// A program imports a backend for its side effect: persistence/sql/sqlite, persistence/fs,
// persistence/mem, or all of them with persistence/all.
//
// # How objects are saved and loaded
//
// Save puts the object on a worklist and encodes each object on the list. Every other object
// with an identity ([Persistable]) that it finds there is stored as a reference by ID and added
// to the list. The records that differ from the last known ones go to the backend as one atomic
// batch; an unchanged object costs its encoding and nothing else. The objects get their IDs and
// revisions only when the batch is durable. [Store.SaveOnly] is for a program that knows which
// object it changed: it encodes that one alone.
//
// Load fetches the record and, in waves, all the records it refers to, from one state of the
// store. It allocates an empty object for each record and then decodes them, so every reference
// has its pointer already. A field of type *T is such an eager reference; a [Ref] is a lazy
// one, which loads its object on request.
//
// Values without an identity are part of the record of the object that holds them. Shared
// pointers and cycles inside one record are kept too.
//
// # Programs that change
//
// Records stay while programs change, and no version of a program destroys what another one has
// stored. Fields that a type lacks are kept with the loaded object and written back by its next
// save; in elements of slices they need [Unknown], and without it the save is refused. A renamed
// field has the tag msgpack:"new,alias:old", and a renamed type [RegisterAlias]. A value of another
// type is converted where that is exact, such as an integer to a float or a T to a *T; else loading
// is [ErrType]. What none of this does, a type does by two methods of its own:
//
//	func (*Task) RecordVersion() int { return 2 }
//	func (*Task) UpgradeRecord(from int, fields map[string]any) error
//
// UpgradeRecord makes the fields of a record of version from, 0 for those of before, into those of
// the present one. The fields are generic values, as [Record.Value] gives them. It is called on an
// empty Task and may be called again for the same record, so it changes nothing but the map. A
// record of a newer version loads, but saving it changed is [ErrUnstorable].
//
// A record keeps its old form until a save changes it, or [Store.Migrate] rewrites it. [Store.Vet]
// tells what a program would make of the records, and changes none.
//
// # Concurrency
//
// A Store is safe for concurrent use. Objects belong to the program: Save reads everything that
// the object reaches, so none of it may change meanwhile. SaveOnly reads the objects named,
// those never saved that they refer to, and the identities of the rest. A program whose
// goroutines each own an object can save without further locks. Overlapping saves in one
// process do not conflict. Between processes, and between two loaded copies, the record's
// revision decides: the second writer gets [ErrConflict] and nothing is written.
//
// # Durability
//
// When a call that writes returns nil, the data survives the kill of the process, and a power
// loss if the backend says so; all built-in backends on disk do. When it returns an error
// nothing was written, unless the error is [ErrUncertain]. Bytes that cannot be decoded are
// reported and kept.
package persistence
