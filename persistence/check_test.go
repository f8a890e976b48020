package persistence_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// A medium is where the records of a store lie, with the means to spoil them by hand.
type medium struct {
	url string
	dir string  // of fs
	db  *sql.DB // of the others
}

// media runs a test on each backend whose records others can reach.
func media(t *testing.T, test func(t *testing.T, m *medium)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *medium{
		"fs": func(t *testing.T) *medium {
			dir := filepath.Join(t.TempDir(), "store")
			return &medium{url: "file:" + dir, dir: dir}
		},
		"sqlite": func(t *testing.T) *medium {
			path := filepath.Join(t.TempDir(), "store.db")
			return &medium{url: "sqlite:" + path, db: must[*sql.DB](t)(sql.Open("sqlite", path))}
		},
		"postgres": func(t *testing.T) *medium {
			s := testserver.SharedPostgres(t)
			name := s.NewDB(t)
			return &medium{url: s.URL(name), db: s.Open(t, name)}
		},
		"mariadb": func(t *testing.T) *medium {
			s := testserver.SharedMariaDB(t)
			name := s.NewDB(t)
			return &medium{url: s.URL(name), db: s.Open(t, name)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := open(t)
			if m.db != nil {
				t.Cleanup(func() { m.db.Close() })
			}
			test(t, m)
		})
	}
}

func (m *medium) exec(t *testing.T, text string) {
	t.Helper()
	if n := must[int64](t)(must[sql.Result](t)(m.db.Exec(text)).RowsAffected()); n != 1 {
		t.Fatalf("%s: %d rows", text, n)
	}
}

// stored returns the bytes of a record: the file, or the column.
func (m *medium) stored(t *testing.T, id persistence.ID) (data []byte) {
	t.Helper()
	if m.dir != "" {
		return must[[]byte](t)(os.ReadFile(filepath.Join(m.dir, string(id))))
	}
	check(t, m.db.QueryRow("SELECT data FROM store WHERE id = "+string(id)).Scan(&data))
	return data
}

// store puts bytes in their place.
func (m *medium) store(t *testing.T, id persistence.ID, data []byte) {
	t.Helper()
	if m.dir != "" {
		check(t, os.WriteFile(filepath.Join(m.dir, string(id)), data, 0o600))
		return
	}
	literal := fmt.Sprintf("x'%x'", data)
	if strings.HasPrefix(m.url, "postgres") {
		literal = fmt.Sprintf(`'\x%x'`, data)
	}
	m.exec(t, fmt.Sprintf("UPDATE store SET data = %s WHERE id = %s", literal, id))
}

func checked(t *testing.T, s *persistence.Store, o persistence.CheckOptions) (all []persistence.Finding) {
	t.Helper()
	for f, err := range s.Check(t.Context(), o) {
		check(t, err)
		all = append(all, f)
	}
	return all
}

// short returns what tests compare of findings.
func short(all []persistence.Finding) []string {
	list := []string{}
	for _, f := range all {
		text := fmt.Sprint(f.Kind, " ", f.ID)
		if f.Key != "" {
			text = fmt.Sprint(f.Kind, " key ", f.Key)
		}
		if f.Ref != "" {
			text += " to " + string(f.Ref)
		}
		list = append(list, text)
	}
	return list
}

func TestCheckFindsNothingInASoundStore(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		shared := &Task{Name: "shared"}
		objs := []any{shared}
		for i := range 700 {
			objs = append(objs, &Task{Name: fmt.Sprint(i), Deps: []*Task{shared}})
		}
		objs = append(objs, "a text", map[string]int{"a": 1}, []time.Time{time.Now()})
		must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		must[[]*persistence.Claim](t)(s.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 3}))
		check(t, s.KV().Set(ctx, "a key", "a value"))
		var done, total int64
		got := checked(t, s, persistence.CheckOptions{Progress: func(d, n int64) { done, total = d, n }})
		if len(got) != 0 {
			t.Errorf("found in a sound store: %+v", got)
		}
		if done != 705 || total != 705 {
			t.Errorf("%d of %d, of 705", done, total)
		}
	})
}

func TestCheckFindsEveryFlippedByte(t *testing.T) {
	media(t, func(t *testing.T, m *medium) {
		s, ctx := open(t, m.url, nil), t.Context()
		objs := make([]any, 1000)
		for i := range objs {
			objs[i] = &Task{Name: fmt.Sprint("task ", i), Prio: i, State: "NEW"}
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		bad := ids[617]
		whole := m.stored(t, bad)
		step := len(whole)/5 + 1
		if long() {
			step = 1
		}
		for i := 0; i < len(whole); i += step {
			spoilt := bytes.Clone(whole)
			spoilt[i] ^= 1 << (i % 8)
			m.store(t, bad, spoilt)
			got := checked(t, s, persistence.CheckOptions{})
			if len(got) != 1 || got[0].ID != bad && got[0].Key != string(bad) {
				t.Fatalf("byte %d of %d: %+v", i, len(whole), got)
			}
			if f := got[0]; f.Kind != persistence.Stray && (f.Kind != persistence.Corrupt || !errors.Is(f.Err, persistence.ErrCorrupt)) {
				t.Errorf("byte %d of %d: %+v", i, len(whole), f)
			}
			if !bytes.Equal(m.stored(t, bad), spoilt) {
				t.Fatalf("byte %d: Check has changed the record", i)
			}
		}
		m.store(t, bad, whole)
		if got := checked(t, s, persistence.CheckOptions{}); len(got) != 0 {
			t.Errorf("the record is whole again: %+v", got)
		}
	})
}

func TestCheckFindsEachKindMadeByHand(t *testing.T) {
	media(t, func(t *testing.T, m *medium) {
		s, ctx := open(t, m.url, nil), t.Context()
		gone := &Task{Name: "gone"}
		lazy := &File{Path: "lazily gone"}
		root := &Task{Name: "root", Deps: []*Task{gone}, Later: persistence.RefTo(lazy)}
		check(t, s.Insert(ctx, "2", gone))
		check(t, s.Insert(ctx, "3", lazy))
		check(t, s.Insert(ctx, "1", root))
		for i := 4; i <= 7; i++ {
			check(t, s.Insert(ctx, persistence.ID(fmt.Sprint(i)), &Task{Name: fmt.Sprint(i)}))
		}
		check(t, s.KV().Set(ctx, "good", 1))
		check(t, s.KV().Set(ctx, "bad", 2))
		must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", 6)}},
			persistence.ClaimOptions{Owner: "me", Lease: time.Millisecond, Limit: 1}))
		check(t, s.Remove(ctx, "2", "3"))
		time.Sleep(20 * time.Millisecond)
		var want []string
		if m.dir != "" {
			check(t, os.Rename(filepath.Join(m.dir, "7"), filepath.Join(m.dir, "8")))
			check(t, os.WriteFile(filepath.Join(m.dir, "notes.txt"), []byte("no record"), 0o600))
			check(t, os.WriteFile(filepath.Join(m.dir, "a b"), []byte("no name"), 0o600))
			check(t, os.Mkdir(filepath.Join(m.dir, "folder"), 0o700))
			pair := filepath.Join(m.dir, ".brine.kv", "bad")
			data := must[[]byte](t)(os.ReadFile(pair))
			data[len(data)/2] ^= 1
			check(t, os.WriteFile(pair, data, 0o600))
			want = []string{"Dangling 1 to 2", "Dangling 1 to 3", "ExpiredClaim 6", "Mismatch 8", "Corrupt key bad",
				"Stray key a b", "Stray key folder", "Stray key notes.txt"}
		} else {
			m.exec(t, "UPDATE store SET type = 'other' WHERE id = 4")
			m.exec(t, "UPDATE store SET size = size + 1 WHERE id = 5")
			m.exec(t, "UPDATE store_kv SET size = 0 WHERE id = 'good'")
			m.exec(t, "UPDATE store_kv SET data = '' WHERE id = 'bad'")
			m.exec(t, "INSERT INTO store_kv (id, data) VALUES ('', '')")
			m.exec(t, "INSERT INTO brine_stores (name, identity, next, format) VALUES ('dropped', 'x', 0, 1)")
			want = []string{"Dangling 1 to 2", "Dangling 1 to 3", "Mismatch 4", "Mismatch 5", "ExpiredClaim 6",
				"Corrupt key bad", "Mismatch key bad", "Mismatch key good", "Stray key brine_stores/dropped", "Stray key store_kv/"}
		}
		got := map[string]bool{}
		for _, text := range short(checked(t, s, persistence.CheckOptions{})) {
			got[text] = true
		}
		for _, text := range want {
			if text != "Mismatch key bad" && !got[text] {
				t.Errorf("%s is not found", text)
			}
			delete(got, text)
		}
		if len(got) > 0 {
			t.Errorf("found besides: %v", got)
		}
		one := short(checked(t, s, persistence.CheckOptions{Query: &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", 6)}}}))
		if d := cmp.Diff([]string{"ExpiredClaim 6"}, one); d != "" {
			t.Errorf("with a query: %s", d)
		}
	})
}
