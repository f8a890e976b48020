package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// A commit that was under way when the process died is finished by whoever comes next, if its list
// has its name, and else leaves no trace; of the objects and of the pairs.
func TestUnfinishedCommitsOnFS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir     string
		objects map[persistence.ID]any
		pairs   map[string]any
	}{
		{
			"marked",
			map[persistence.ID]any{"1": "old 1", "2": "new 2", "3": "old 3", "5": "new 5", "7": "new 7", "8": "new 8"},
			map[string]any{"a": "old a", "b": "new b", "c": "new c", "e": "old e"},
		},
		{
			"unmarked",
			map[persistence.ID]any{"1": "old 1", "2": "old 2", "3": "old 3", "4": "old 4", "5": "old 5"},
			map[string]any{"a": "old a", "b": "old b", "d": "old d", "e": "old e"},
		},
	} {
		t.Run(c.dir, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(unpack(t, "fs.tar.gz"), c.dir)
			s := open(t, "file:"+dir, persistence.Options{})
			objects := map[persistence.ID]any{}
			for _, id := range list(t, s, nil) {
				v, err := s.Load(t.Context(), id)
				if err != nil {
					t.Error(err)
				}
				objects[id] = v
			}
			if diff := cmp.Diff(c.objects, objects); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			pairs := map[string]any{}
			for _, p := range collect(t, s.KV().Range(t.Context(), "")) {
				pairs[p.Key] = p.Value
			}
			if diff := cmp.Diff(c.pairs, pairs); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if _, err := s.Save(t.Context(), "more"); err != nil {
				t.Error(err)
			}
			if err := s.KV().Set(t.Context(), "f", "more"); err != nil {
				t.Error(err)
			}
			for _, sub := range []string{"", ".brine.kv"} {
				entries, err := os.ReadDir(filepath.Join(dir, sub))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if strings.Contains(e.Name(), ".tmp") || e.Name() == ".brine.commit" {
						t.Errorf("left over: %s", filepath.Join(sub, e.Name()))
					}
				}
			}
		})
	}
}
