package driver

import "context"

// A Lister is a Backend that can tell which stores there are at its URL.
type Lister interface {
	// Stores returns the names of the tables that are stores, or the path of the directory if it is
	// one, sorted. Tables beside those of objects (see [Namespacer]) are not among them. It is
	// called without Init, and makes nothing.
	Stores(ctx context.Context) ([]string, error)
}

// A Compacter is a Backend whose files or tables keep the space of what was removed.
type Compacter interface {
	// Compact gives space back to the file system or the server, as far as it can, and takes the
	// statistics from which the database makes its plans, if it needs them. No record changes.
	// Others may have to wait meanwhile.
	Compact(ctx context.Context) error
}
