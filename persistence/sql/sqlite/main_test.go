package sqlite_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also runs the children of the tests that need a process of their own.
func TestMain(m *testing.M) {
	if child := children[os.Getenv("BRINE_TEST_CHILD")]; child != nil {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}
