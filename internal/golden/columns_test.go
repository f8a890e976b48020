package golden

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// taskFields are the extra fields of the golden stores, for tasks alone.
func taskFields() []extrafields.Field {
	all := fields()
	for i := range all {
		all[i] = all[i].Only(&Task{})
	}
	return all
}

// The golden stores have columns, and nothing that tells which records were written with them.
func TestColumnsOfOlderStoresAreIncompleteUntilReindex(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		ctx := t.Context()
		columns := func(s *persistence.Store) (complete, incomplete int) {
			t.Helper()
			infos, err := s.Columns(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range infos {
				if info.Complete {
					complete++
				} else {
					incomplete++
				}
			}
			return complete, incomplete
		}
		var log bytes.Buffer
		o := persistence.Options{Table: "store", ExtraFields: taskFields(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		s := open(t, c.store, o)
		before := contents(t, s)
		if n := strings.Count(log.String(), "Options.Reindex"); n != 1 || !strings.Contains(log.String(), "priority") {
			t.Errorf("one warning about all columns is wanted: %s", &log)
		}
		if complete, incomplete := columns(s); complete != 0 || incomplete != len(taskFields()) {
			t.Errorf("%d columns are complete, %d not", complete, incomplete)
		}
		if err := s.Reindex(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if complete, incomplete := columns(s); complete != len(taskFields()) || incomplete != 0 {
			t.Errorf("after Reindex %d columns are complete, %d not", complete, incomplete)
		}
		if diff := cmp.Diff(before, contents(t, s)); diff != "" {
			t.Errorf("Reindex has changed records, or columns that were right: %s", diff)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if c.name == "fs" || c.name == "sqlite" {
			t.Run("in Python", func(t *testing.T) { readInPython(t, c) })
		}
		log.Reset()
		s = open(t, c.store, o)
		if log.Len() != 0 {
			t.Errorf("opened again: %s", &log)
		}
		if diff := cmp.Diff(before, contents(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

// readInPython checks that other languages read a store with numbers of sets.
func readInPython(t *testing.T, c copied) {
	_, path, _ := strings.Cut(c.store, ":")
	for id, r := range printed(t, path) {
		if r.Damage != "" && id != damaged {
			t.Errorf("the reader says of %s: %s", id, r.Damage)
		}
		if n := r.Columns["columns"]; c.name == "fs" && r.Type == "golden.task" && fmt.Sprint(n) != "1" {
			t.Errorf("the reader finds the number %v in %s", n, id)
		}
	}
}

// contents returns what a store tells of its records.
func contents(t *testing.T, s *persistence.Store) map[persistence.ID]persistence.Info {
	t.Helper()
	infos := map[persistence.ID]persistence.Info{}
	for info, err := range s.StatAll(t.Context(), nil) {
		if err != nil && info.ID == "" {
			continue // the damaged one, where its header is damaged too
		}
		infos[info.ID] = info
	}
	return infos
}
