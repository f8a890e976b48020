package drivertest

import "github.com/brine-go/brine/persistence/driver"

// Bugs in importing records.
func init() {
	importing := func(change func(*driver.Mutation)) func(*shared) {
		return func(b *shared) {
			mutate(b, func(m *driver.Mutation) {
				if m.Op == driver.Import {
					change(m)
				}
			})
		}
	}
	const (
		stored   = "imports/a record is stored with its revision, times and number"
		replaced = "imports/a record is replaced if it has the revision that was read"
	)
	bugs = append(bugs,
		bug{name: "what is imported begins at revision 1", test: stored, inject: importing(func(m *driver.Mutation) { m.Rec.Revision = 1 })},
		bug{name: "the number of the set is not imported", test: stored, inject: importing(func(m *driver.Mutation) { m.Rec.ColumnSet = 0 })},
		bug{name: "Import is a Create", test: stored, inject: importing(func(m *driver.Mutation) { m.Op = driver.Create })},
		bug{name: "Import is an Update", test: replaced, inject: importing(func(m *driver.Mutation) {
			if m.IfRev != 0 {
				m.Op = driver.Update
			}
		})},
		bug{name: "Import replaces what has changed", test: replaced, inject: importing(func(m *driver.Mutation) {
			if m.IfRev == 8 {
				m.IfRev = 1
			}
		})},
	)
}
