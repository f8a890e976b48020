package driver

// An Annexer is a Backend that can keep a second set of records beside its own: in the same database or
// directory, under the same promises. Package persistence keeps key-value pairs there.
type Annexer interface {
	// Annex returns the Backend of the records of that name, a valid one by [ValidName]. It does no I/O: Init is called before its first use. It
	// has its own schema and IDs, obeys the same OpenOptions, and may share connections with the Backend it
	// comes from: persistence suspends, resumes and closes both together, the annex first when closing.
	Annex(name string) (Backend, error)
}
