package testserver

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also runs the children of the tests that need a process of their own.
func TestMain(m *testing.M) {
	Main(m, func() {
		if _, err := os.Stat(root.dir); root.dir != "" || err == nil {
			fmt.Fprintln(os.Stderr, "the folder is still there:", root.dir)
			os.Exit(1)
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}
