// Package drivertest is the conformance suite for backends: it tests everything that package
// driver requires of a backend. A backend that passes works with package persistence. A backend
// runs the suite with one test:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{
//			URL: func(t testing.TB) string {
//				return "file:" + filepath.Join(t.TempDir(), "store")
//			},
//		})
//	}
//
// Each subject is in a file of its own, which can be read as the detailed form of the contract:
// every failure says what the contract requires. To run a failing test alone, use its name, as
// in -run 'TestConformance/atomicity'.
package drivertest

import (
	"testing"

	"go.uber.org/goleak"
)

// A Harness makes stores of the backend under test.
type Harness struct {
	// URL returns the URL of a store that does not exist yet, a different one at each call. The
	// backend must be registered under its scheme. Every store is opened by its URL, by most tests
	// several times, and must be deleted when t ends. URL may be called from many tests at once.
	URL func(t testing.TB) string

	// Private says that every opening of a URL has its own data, as in memory. The tests that open
	// a store twice are then skipped.
	Private bool

	// Forget, if not nil, deletes what the backend stores apart from the records, above all the
	// counter. The store is not open at the time. With Forget the suite tests where a counter
	// starts.
	Forget func(t testing.TB, url string)
}

// subjects are the parts of the suite. They name the subtests of t.
var subjects = []struct {
	name string
	run  func(*testing.T, *suite)
}{
	{"records", testRecords},
	{"atomicity", testAtomicity},
	{"ids", testIDs},
	{"queries", testQueries},
	{"concurrency", testConcurrency},
	{"closing", testClosing},
	{"fork reset", testForkReset},
	{"secrets", testSecrets},
	{"limits", testLimits},
	{"schema", testSchema},
	{"catalog", testCatalog},
	{"indexes", testIndexes},
	{"unique", testUnique},
	{"claims", testClaims},
	{"groups", testGroups},
	{"namespaces", testNamespaces},
	{"salvage", testSalvage},
	{"imports", testImports},
	{"exclusive", testExclusive},
	{"listing", testListing},
	{"compacting", testCompacting},
	{"readonly", testReadOnly},
}

// suite is the state of one Run.
type suite struct {
	Harness
}

// Run tests a backend in every subject, and at the end that it left no goroutine running. The
// calling test must not be parallel; its subtests are.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.URL == nil {
		t.Fatal("drivertest: the harness has no URL")
	}
	before := goleak.IgnoreCurrent()
	s := &suite{Harness: h}
	t.Run("subjects", func(t *testing.T) {
		for _, sub := range subjects {
			t.Run(sub.name, func(t *testing.T) {
				t.Parallel()
				sub.run(t, s)
			})
		}
	})
	t.Run("leaks", func(t *testing.T) {
		if err := goleak.Find(before); err != nil {
			t.Errorf("every store was closed, and Close must release everything: %v", err)
		}
	})
}

// forBoth runs a test as two subtests, one on stores with integer IDs and one on stores with
// text IDs. With -short it is one of them, by the name of the test.
func (s *suite) forBoth(t *testing.T, name string, test func(*testing.T, *kit)) {
	kinds := []bool{true, false}
	if testing.Short() {
		kinds = kinds[len(name)%2:][:1]
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for _, integer := range kinds {
			k := &kit{suite: s, integer: integer}
			t.Run(k.kind()+" IDs", func(t *testing.T) {
				t.Parallel()
				test(t, k)
			})
		}
	})
}

// forText runs a test as a subtest on stores with text IDs, for tests where the kind of the IDs
// does not matter.
func (s *suite) forText(t *testing.T, name string, test func(*testing.T, *kit)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		test(t, &kit{suite: s})
	})
}

// forInteger runs a test as a subtest on stores with integer IDs.
func (s *suite) forInteger(t *testing.T, name string, test func(*testing.T, *kit)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		test(t, &kit{suite: s, integer: true})
	})
}

// needsReopening skips a test that opens one store twice if the stores are private.
func (s *suite) needsReopening(t *testing.T) {
	t.Helper()
	if s.Private {
		t.Skip("the data is private to one opening")
	}
}
