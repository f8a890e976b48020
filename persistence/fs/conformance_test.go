package fs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/drivertest"
	_ "github.com/brine-go/brine/persistence/fs"
)

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		URL: func(t testing.TB) string { return "file:" + filepath.Join(t.TempDir(), "new", "store") },
		Forget: func(t testing.TB, url string) {
			ours, err := filepath.Glob(filepath.Join(strings.TrimPrefix(url, "file:"), ".brine*"))
			if err != nil || len(ours) == 0 {
				t.Fatalf("files of the store itself: %q, %v", ours, err)
			}
			for _, name := range ours {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
}
