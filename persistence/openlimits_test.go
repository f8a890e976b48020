package persistence_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// opened opens a store, and tries that it works: with an object, a pair and a query of each column.
func opened(t *testing.T, url string, o *persistence.Options) error {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := persistence.MakeStore(t.Context(), url, o)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := t.Context()
	id, err := s.Save(ctx, &Row{Columns: map[string]any{"text": "x"}})
	if err != nil {
		t.Errorf("opened, and yet nothing is saved: %v", err)
		return nil
	}
	if err := s.KV().Set(ctx, "k", 1); err != nil {
		t.Errorf("opened, and yet no pair is set: %v", err)
	} else if v, err := s.KV().Get(ctx, "k"); err != nil || v != 1 {
		t.Errorf("the pair is %v, %v", v, err)
	}
	info, err := s.Stat(ctx, id)
	if err != nil {
		t.Error(err)
	}
	for _, f := range o.ExtraFields {
		name := f.Column().Name
		if info.Fields[name] != "x" {
			t.Errorf("column %q is %v", name, info.Fields[name])
		}
		q := &persistence.Query{Where: []persistence.Cond{persistence.Eq(name, "x")}, Order: []persistence.Order{persistence.Desc(name)}}
		if n, err := s.Count(ctx, q); n == 0 || err != nil {
			t.Errorf("a query of column %q finds %d, %v", name, n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return nil
}

func textField(name string) extrafields.Field {
	return extrafields.Func(name, extrafields.Text, func(obj any) (any, error) { return obj.(*Row).Columns["text"], nil })
}

func TestLimitsOfNames(t *testing.T) {
	tables := map[string]bool{
		"select": true, "A_1": true, "_": true, strings.Repeat("t", 60): true, strings.Repeat("t", 63): true, strings.Repeat("t", 62) + "x": true,
		strings.Repeat("t", 64): false, "1a": false, "a-b": false, "a b": false, "ä": false, `a"`: false, "a.b": false, "a\x00": false,
		"brine_stores": false, "BRINE_Stores": false, "sqlite_x": false, "SQLITE_x": false, "pg_x": false,
	}
	good := []string{
		"a", "select", "A_1", "_", strings.Repeat("c", 63), "rowid", "oid", "_rowid_", "pg_x", "sqlite_x", "Name", "value", "key", "row_start",
		"db_row", "brine_stores", "store", "rank", "timestamp",
	}
	bad := []string{
		strings.Repeat("c", 64), "", "1a", "a-b", "ä", "a\x00", "a ",
		"id", "ID", "data", "state", "Type", "revision", "size", "created", "modified", "claim_owner", "claim_until", "claim_token", "brine_columns",
		"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "CTID", "db_row_id", "DB_TRX_ID", "db_roll_ptr", "FTS_DOC_ID",
	}
	backends(t, func(t *testing.T, url string) {
		for table, ok := range tables {
			if err := opened(t, url, &persistence.Options{Table: table}); ok != (err == nil) {
				t.Errorf("table %q: %v", table, err)
			}
		}
		if strings.HasPrefix(url, "file:") {
			url += "2" // the columns of a directory stay
		}
		var plain, indexed []extrafields.Field
		for _, column := range good {
			plain = append(plain, textField(column))
			indexed = append(indexed, textField(column+strings.Repeat("i", min(1, 63-len(column)))).Indexed())
		}
		if err := opened(t, url, &persistence.Options{Table: "columns", ExtraFields: plain}); err != nil {
			t.Error(err)
		}
		if err := opened(t, url+map[bool]string{true: "3"}[strings.HasPrefix(url, "file:")], &persistence.Options{Table: "indexed", ExtraFields: indexed}); err != nil {
			t.Error(err)
		}
		for _, column := range bad {
			for _, f := range []extrafields.Field{textField(column), textField(column).Indexed()} {
				if err := opened(t, url, &persistence.Options{Table: "bad", ExtraFields: []extrafields.Field{f}}); err == nil {
					t.Errorf("column %q is accepted", column)
				}
			}
		}
	})
}

// The pairs of two tables with long names stay apart.
func TestPairsOfTablesWithLongNames(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		if strings.HasPrefix(url, "file:") || url == "mem:" {
			return // they have no tables
		}
		name := strings.Repeat("t", 62)
		for i, last := range []string{"a", "b"} {
			s := open(t, url, &persistence.Options{Table: name + last})
			if n := len(pairs(t, s.KV(), "")); n != 0 {
				t.Errorf("%d pairs are in a new table", n)
			}
			check(t, s.KV().Set(t.Context(), "k", i))
		}
		for i, last := range []string{"a", "b"} {
			s := open(t, url, &persistence.Options{Table: name + last})
			if diff := cmp.Diff(map[string]any{"k": i}, pairs(t, s.KV(), "")); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestLimitsOfFields(t *testing.T) {
	many := func(n, indexed int) []extrafields.Field {
		var fields []extrafields.Field
		for i := range n {
			f := textField(fmt.Sprintf("column_%d_%s", i, strings.Repeat("x", 40)))
			if i < indexed {
				f = f.Indexed()
			}
			fields = append(fields, f)
		}
		return fields
	}
	backends(t, func(t *testing.T, url string) {
		for i, l := range []struct {
			name   string
			fields []extrafields.Field
			ok     bool
		}{
			{"the most fields", many(128, 0), true},
			{"the most fields, as many as possible with an index", many(128, 48), true},
			{"too many fields", many(129, 0), false},
			{"too many with an index", many(60, 49), false},
			{"one name twice", []extrafields.Field{textField("a"), textField("a")}, false},
			{"one name in two letter cases", []extrafields.Field{textField("a"), textField("A")}, false},
		} {
			here := url
			if strings.HasPrefix(url, "file:") {
				here = fmt.Sprint(url, i)
			}
			err := opened(t, here, &persistence.Options{Table: fmt.Sprint("fields", i), ExtraFields: l.fields})
			if l.ok != (err == nil) {
				t.Errorf("%s: %v", l.name, err)
			}
		}
	})
}

// What is refused at opening leaves nothing.
func TestARefusedStoreIsNotCreated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, url := range []string{"file:" + dir + "/store", "sqlite:" + dir + "/store.db"} {
		for _, o := range []*persistence.Options{{Table: "a b"}, {Table: "brine_stores"}, {ExtraFields: []extrafields.Field{textField("id")}}, {ExtraFields: []extrafields.Field{textField("ctid")}}} {
			if err := opened(t, url, o); err == nil {
				t.Errorf("%s with %v is opened", url, o)
			}
		}
	}
	if diff := cmp.Diff([]string(nil), must[[]string](t)(filepath.Glob(dir+"/*"))); diff != "" {
		t.Errorf("there is %s", diff)
	}
}
