// Package drivertest is the conformance suite of the backends: what package
// driver says that a backend must do, as tests. A backend that passes serves
// package persistence; a backend joins with one test:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{
//			URL: func(t testing.TB) string { return "file:" + filepath.Join(t.TempDir(), "store") },
//		})
//	}
//
// The subjects stand in one file each, and can be read as the long form of the
// contract: every failure says what the contract demands. A test that fails is
// run alone by its name, as in -run 'TestConformance/atomicity'.
package drivertest

import (
	"testing"

	"go.uber.org/goleak"
)

// Harness says how to make stores of the backend under test.
type Harness struct {
	// URL returns the URL of a store that does not exist yet, another one at each call. The
	// backend must be registered under its scheme. Every store is opened by its URL, several times by most
	// tests, and what is left of it is to go when t ends. It may be called from many tests at once.
	URL func(t testing.TB) string

	// Private says that every opening of a URL has data of its own, as in
	// memory. The tests that open a store twice are skipped then.
	Private bool

	// Forget, if not nil, takes away what the backend keeps beside the records of the store, which is not open then: the
	// counter above all. With it the suite tests where a counter starts.
	Forget func(t testing.TB, url string)
}

// subjects are the parts of the suite. Subtests of t bear their names.
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
	{"claims", testClaims},
	{"groups", testGroups},
	{"namespaces", testNamespaces},
}

// suite is one Run.
type suite struct {
	Harness
}

// Run tests a backend in every subject, and at last that it left no goroutine
// behind. The test that calls it must not be parallel; what is inside is.
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

// forBoth runs a test as a subtest on stores with integer IDs, and as one on stores with text IDs.
func (s *suite) forBoth(t *testing.T, name string, test func(*testing.T, *kit)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for _, integer := range []bool{true, false} {
			k := &kit{suite: s, integer: integer}
			t.Run(k.kind()+" IDs", func(t *testing.T) {
				t.Parallel()
				test(t, k)
			})
		}
	})
}

// forText runs a test as a subtest on stores with text IDs, where the kind of the IDs does not matter.
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

// needsReopening skips a test that opens one store twice where that cannot be.
func (s *suite) needsReopening(t *testing.T) {
	t.Helper()
	if s.Private {
		t.Skip("the data is private to one opening")
	}
}
