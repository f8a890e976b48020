package persistence_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

func quarantined(t *testing.T, s *persistence.Store) (all []persistence.QuarantinedRecord) {
	t.Helper()
	for q, err := range s.Quarantined(t.Context()) {
		check(t, err)
		all = append(all, q)
	}
	return all
}

func TestQuarantineAndBack(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{ExtraFields: jsonFields}), t.Context()
		if got := quarantined(t, s); len(got) != 0 {
			t.Errorf("in quarantine of a new store: %v", got)
		}
		dep := &Task{Name: "dep", Prio: 2, State: "NEW"}
		task := &Task{Name: "task", Prio: 3, State: "NEW", Deps: []*Task{dep}}
		other := &Task{Name: "other"}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, task, dep, other))
		dep.Prio = 7
		must[persistence.ID](t)(s.Save(ctx, dep))
		must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", string(ids[1]))}},
			persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 1}))
		infos := map[persistence.ID]persistence.Info{}
		for _, id := range ids {
			infos[id] = must[persistence.Info](t)(s.Stat(ctx, id))
		}
		record := must[*persistence.Record](t)(s.Record(ctx, ids[1]))

		wantIs(t, s.Quarantine(ctx, "why", ids[1], "777"), persistence.ErrNotFound, `"777"`)
		check(t, s.Quarantine(ctx, "why: "+string(make([]byte, 300)), ids[1], ids[0], ids[1]))
		for _, id := range ids[:2] {
			_, err := s.Load(ctx, id)
			wantIs(t, err, persistence.ErrNotFound)
		}
		wantIs(t, s.Quarantine(ctx, "again", ids[1]), persistence.ErrNotFound)
		away := quarantined(t, s)
		if len(away) != 2 {
			t.Fatalf("%d are in quarantine", len(away))
		}
		for _, q := range away {
			if q.Err != nil || q.Time.IsZero() || len(q.Reason) != 305 || !cmp.Equal(infos[q.ID], q.Info) {
				t.Errorf("in quarantine: %+v\n%s", q, cmp.Diff(infos[q.ID], q.Info))
			}
			if q.ID == ids[1] && !bytes.Equal(q.Bytes, record.Bytes) || q.ID == ids[0] && !cmp.Equal(q.Refs, []persistence.ID{ids[1]}) {
				t.Errorf("in quarantine: %+v", q)
			}
		}
		check(t, s.Unquarantine(ctx, ids[0], ids[1]))
		for _, id := range ids {
			if d := cmp.Diff(infos[id], must[persistence.Info](t)(s.Stat(ctx, id))); d != "" {
				t.Errorf("%s came back as another: %s", id, d)
			}
		}
		if back := must[*persistence.Record](t)(s.Record(ctx, ids[1])); !bytes.Equal(back.Bytes, record.Bytes) {
			t.Error("its bytes are others")
		}
		if claims := 0; len(quarantined(t, s)) > 0 {
			t.Error("something has stayed in quarantine")
		} else {
			for _, err := range s.Claims(ctx) {
				check(t, err)
				claims++
			}
			if claims != 1 {
				t.Errorf("%d claims", claims)
			}
		}
		wantIs(t, s.Unquarantine(ctx, ids[0]), persistence.ErrNotFound, string(ids[0]))

		// The latest comes back; the ID may be taken.
		check(t, s.Quarantine(ctx, "first", ids[2]))
		check(t, s.Insert(ctx, ids[2], &Task{Name: "second"}))
		wantIs(t, s.Unquarantine(ctx, ids[2]), persistence.ErrExists, string(ids[2]))
		check(t, s.Quarantine(ctx, "second", ids[2]))
		check(t, s.Unquarantine(ctx, ids[2]))
		if got := must[*Task](t)(persistence.Load[Task](ctx, s, ids[2])); got.Name != "second" {
			t.Errorf("%s came back, not the latest", got.Name)
		}
		if n := must[int64](t)(s.Purge(ctx, time.Now().Add(-time.Hour))); n != 0 {
			t.Errorf("%d were purged that are new", n)
		}
		if n := must[int64](t)(s.Purge(ctx, time.Now().Add(time.Hour))); n != 1 {
			t.Errorf("%d were purged", n)
		}
		if got := quarantined(t, s); len(got) != 0 {
			t.Errorf("after Purge: %v", got)
		}
	})
}

// row returns all columns of a record, or its file.
func (m *medium) row(t *testing.T, table, id string) []any {
	t.Helper()
	if m.dir != "" {
		return []any{must[[]byte](t)(os.ReadFile(filepath.Join(m.dir, table, id)))}
	}
	rows, err := m.db.Query("SELECT * FROM " + table + " WHERE id = '" + id + "'")
	check(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	check(t, err)
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	if !rows.Next() {
		t.Fatalf("no row %q in %s: %v", id, table, rows.Err())
	}
	check(t, rows.Scan(dest...))
	return values
}

func TestQuarantineOfWhatCannotBeRead(t *testing.T) {
	media(t, func(t *testing.T, m *medium) {
		s, ctx := open(t, m.url, &persistence.Options{ExtraFields: jsonFields}), t.Context()
		objs := make([]any, 6)
		for i := range objs {
			objs[i] = &Task{Name: fmt.Sprint("task ", i), Prio: i}
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		check(t, s.KV().Set(ctx, "bad", "value"))
		check(t, s.KV().Set(ctx, "good", "value"))
		table, kv := "store", "store_kv"
		if m.dir != "" {
			table, kv = "", ".brine.kv"
		}
		spoilt := bytes.Clone(m.stored(t, ids[1]))
		spoilt[len(spoilt)/2] ^= 1
		m.store(t, ids[1], spoilt)
		m.store(t, ids[2], spoilt[:len(spoilt)/2])
		strays := []string{"notes.txt", "a b"}
		if m.dir != "" {
			for _, name := range strays {
				check(t, os.WriteFile(filepath.Join(m.dir, name), []byte(name+" is no record"), 0o600))
			}
			pair := filepath.Join(m.dir, kv, "bad")
			data := must[[]byte](t)(os.ReadFile(pair))
			data[len(data)-1] ^= 1
			check(t, os.WriteFile(pair, data, 0o600))
		} else {
			strays = []string{"store_kv/", "brine_stores/dropped"}
			m.exec(t, "INSERT INTO store_kv (id, data) VALUES ('', 'abc')")
			m.exec(t, "INSERT INTO brine_stores (name, identity, next, format) VALUES ('dropped', 'x', 0, 1)")
			m.exec(t, "UPDATE store_kv SET data = 'damaged' WHERE id = 'bad'")
		}
		var bad []persistence.ID
		keys := strays
		before := map[string][]any{}
		for _, f := range checked(t, s, persistence.CheckOptions{}) {
			switch {
			case f.Kind == persistence.Corrupt && f.ID != "":
				bad = append(bad, f.ID)
				before[string(f.ID)] = m.row(t, table, string(f.ID))
			case f.Kind == persistence.Corrupt:
				keys = append(keys, f.Key)
				before[f.Key] = m.row(t, kv, f.Key)
			}
		}
		if len(bad) != 2 || len(keys) != 3 {
			t.Fatalf("damaged: %v, %v", bad, keys)
		}
		wantIs(t, s.QuarantineKeys(ctx, "no such", "nothing"), persistence.ErrNotFound, "nothing")
		check(t, s.Quarantine(ctx, "damaged", bad...))
		check(t, s.QuarantineKeys(ctx, "damaged or stray", keys...))
		if got := checked(t, s, persistence.CheckOptions{}); len(got) != 0 {
			t.Errorf("still found: %+v", got)
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 4 {
			t.Errorf("%d are left", n)
		}
		if got := must[any](t)(s.KV().Get(ctx, "good")); got != "value" {
			t.Errorf("the pair beside is %v", got)
		}
		for _, q := range quarantined(t, s) {
			if stray := q.Key == strays[0] || q.Key == strays[1]; stray == (q.Err != nil) || len(q.Stored) == 0 {
				t.Errorf("in quarantine: %+v", q)
			} else if !stray {
				wantIs(t, q.Err, persistence.ErrCorrupt)
			}
		}
		for _, key := range keys {
			bad = append(bad, persistence.ID(key))
		}
		check(t, s.Unquarantine(ctx, bad...))
		for key, was := range before {
			in := kv
			if key != "bad" {
				in = table
			}
			if d := cmp.Diff(was, m.row(t, in, key)); d != "" {
				t.Errorf("%s came back as another: %s", key, d)
			}
		}
		if got := checked(t, s, persistence.CheckOptions{}); len(got) != 5 {
			t.Errorf("found when they are back: %+v", got)
		}
	})
}

func TestARecordOfANewerFormatIsNoDamageAndNotPutAway(t *testing.T) {
	media(t, func(t *testing.T, m *medium) {
		if m.dir != "" {
			t.Skip("package fs tests newer files")
		}
		s, ctx := open(t, m.url, nil), t.Context()
		must[persistence.ID](t)(s.Save(ctx, &Task{Name: "newer"}))
		data := m.stored(t, "1")
		end := len(data) - 4
		data[7] = 0x7f // the version
		binary.BigEndian.PutUint32(data[end:], crc32.Checksum(data[:end-1], castagnoli))
		m.store(t, "1", data)
		got := checked(t, s, persistence.CheckOptions{})
		if len(got) != 1 || got[0].Kind != persistence.Unloadable || got[0].ID != "1" || !errors.Is(got[0].Err, errors.ErrUnsupported) {
			t.Errorf("found: %+v", got)
		}
		wantIs(t, s.Quarantine(ctx, "why not", "1"), errors.ErrUnsupported, `"1"`, "newer")
		if !bytes.Equal(m.stored(t, "1"), data) {
			t.Error("it has changed")
		}
	})
}

func init() { children["quarantine"] = moveAbout }

// moveAbout puts records away and back until it is killed.
func moveAbout(ctx context.Context, s *persistence.Store) error {
	fmt.Println("begun")
	for {
		ids := []persistence.ID{persistence.ID(fmt.Sprint(1 + rand.N(20))), persistence.ID(fmt.Sprint(21 + rand.N(20)))}
		if err := s.Quarantine(ctx, "moved", ids...); err != nil && !errors.Is(err, persistence.ErrNotFound) {
			return err
		}
		id := ids[rand.N(2)]
		if err := s.Unquarantine(ctx, id); err != nil && !errors.Is(err, persistence.ErrNotFound) {
			return err
		}
	}
}

func TestARecordIsInOnePlaceWhenTheProcessIsKilled(t *testing.T) {
	media(t, func(t *testing.T, m *medium) {
		s, ctx := open(t, m.url, nil), t.Context()
		objs := make([]any, 40)
		for i := range objs {
			objs[i] = &Task{Name: fmt.Sprint("task ", i), Meta: map[string]string{"text": string(bytes.Repeat([]byte("x"), 5000))}}
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		// Damage makes no difference.
		data := bytes.Clone(m.stored(t, ids[2]))
		data[len(data)-1] ^= 1
		m.store(t, ids[2], data)
		rounds := 4
		if long() {
			rounds = 100
		}
		for range rounds {
			cmd, lines := start(t, "quarantine", m.url)
			<-lines
			time.Sleep(time.Duration(rand.N(60)) * time.Millisecond)
			check(t, cmd.Process.Kill())
			for range lines {
			}
			_ = cmd.Wait()
			places := map[persistence.ID]int{}
			for _, q := range quarantined(t, s) {
				places[q.ID]++
			}
			for id, err := range s.List(ctx, nil) {
				check(t, err)
				places[id]++
			}
			for _, id := range ids {
				if places[id] != 1 {
					t.Errorf("%s is in %d places", id, places[id])
				}
			}
		}
		for _, q := range quarantined(t, s) {
			check(t, s.Unquarantine(ctx, q.ID))
		}
		if !bytes.Equal(m.stored(t, ids[2]), data) {
			t.Error("the damaged record has changed on its way")
		}
		if got := checked(t, s, persistence.CheckOptions{}); len(got) != 1 {
			t.Errorf("found: %+v", got)
		}
	})
}

// What is put away is no record of this program's that lacks the columns of others.
func TestPuttingAwayWarnsOfNoColumns(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"fs", "sqlite"} {
		ctx, url := t.Context(), storeURL(t, backend)
		full := open(t, url, &persistence.Options{ExtraFields: jsonFields})
		ids := must[[]persistence.ID](t)(full.SaveAll(ctx, &Task{Name: "a"}, &Task{Name: "b"}, &Task{Name: "c"}))
		var log bytes.Buffer
		s := open(t, url, &persistence.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		check(t, s.Quarantine(ctx, "test", ids[0]))
		check(t, errOf(s.Collect(ctx, ids[1:2], noGrace))) // takes the third
		check(t, s.Unquarantine(ctx, ids[0], ids[2]))
		if log.Len() > 0 {
			t.Errorf("%s: %s", backend, &log)
		}
		must[persistence.ID](t)(s.Save(ctx, &Task{Name: "d"}))
		if log.Len() == 0 {
			t.Errorf("%s: a record without columns is saved without a warning", backend)
		}
	}
}
