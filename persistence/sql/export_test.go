package sql

import "github.com/brine-go/brine/persistence/driver"

// ScanStatements returns the statements that Scan would run, and their arguments.
func ScanStatements(b driver.Backend, q *driver.Query) (texts []string, args [][]any, err error) {
	statements, _, err := b.(*Backend).layout.scanStatements(q, nil)
	for _, st := range statements {
		texts, args = append(texts, st.text), append(args, st.args)
	}
	return texts, args, err
}

// Successor is exported for its test.
var Successor = successor

// ListedInOne is how many values of In one statement takes.
func ListedInOne(b driver.Backend) int { return b.(*Backend).layout.maxListed() }
