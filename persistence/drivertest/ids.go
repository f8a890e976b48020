package drivertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testIDs checks that every valid ID identifies its own record, that IDs have their order, and
// that no number of the counter is returned twice.
func testIDs(t *testing.T, s *suite) {
	s.forInteger(t, "integers are ordered by value", func(t *testing.T, k *kit) {
		testOrderOfIDs(t, k, "-9223372036854775808", "-9223372036854775807", "-1000", "-999", "-10", "-9", "-1", "0", "1", "2", "9", "10", "11", "99", "100",
			"4294967296", "9007199254740992", "9007199254740993", "9223372036854775806", "9223372036854775807")
	})
	s.forText(t, "text is ordered by bytes", func(t *testing.T, k *kit) {
		testOrderOfIDs(t, k, " x", "-1", "10", "2", "A", "A-", "A.1", "A.10", "A.2", "B", "Z", "_", "a", "a ", "aa", "b", "e\u0301", "z", "\u00e9", "\uff5e", "\U0001F600")
	})
	s.forText(t, "every valid text is an ID of its own", testAwkwardIDs)
	s.forBoth(t, "an impossible ID is absent", testImpossibleIDs)
	s.forText(t, "an ID survives reopening", func(t *testing.T, k *kit) {
		k.needsReopening(t)
		st := k.fresh(t)
		var want []driver.ID
		var ms []driver.Mutation
		for _, id := range awkwardIDs() {
			r := k.plain(0)
			r.ID = id
			want, ms = append(want, id), append(ms, create(r))
		}
		st.mustApply(t, ms...)
		slices.Sort(want)
		if d := diff(want, idsOf(k.open(t, st.url).scan(t, &driver.Query{}))); d != "" {
			t.Errorf("a Scan must give every ID as it was stored (-want +got):\n%s", d)
		}
	})
	s.forBoth(t, "no number is given out twice", testNextIDs)
	s.forBoth(t, "the counter starts above the existing IDs", testCounterStart)
}

// testOrderOfIDs stores records in random order. ids are in ascending order.
func testOrderOfIDs(t *testing.T, k *kit, ids ...driver.ID) {
	st := k.fresh(t)
	var ms []driver.Mutation
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(ids)) {
		r := k.plain(i)
		r.ID = ids[i]
		ms = append(ms, put(r))
	}
	for chunk := range slices.Chunk(ms, 3) {
		st.mustApply(t, chunk...)
	}
	if d := diff(ids, idsOf(st.scan(t, &driver.Query{}))); d != "" {
		t.Errorf("a Scan must give %s IDs in their order (-want +got):\n%s", k.kind(), d)
	}
	for i, id := range ids {
		q := &driver.Query{After: &driver.Cursor{ID: id}, Limit: 2}
		if d := diff(append([]driver.ID{}, ids[i+1:min(i+3, len(ids))]...), idsOf(st.scan(t, q))); d != "" {
			t.Errorf("a Scan after %q must yield the IDs after it (-want +got):\n%s", id, d)
		}
		q = &driver.Query{Where: []driver.Cond{{Column: driver.ColID, Op: driver.Ge, Values: []any{id}}}}
		if d := diff(ids[i:], idsOf(st.scan(t, q))); d != "" {
			t.Errorf("a Scan from %q on must yield it and the IDs after it (-want +got):\n%s", id, d)
		}
	}
}

// awkwardIDs returns valid IDs that differ only in their bytes.
func awkwardIDs() []driver.ID {
	ids := []driver.ID{
		".", "..", "...", "/", "a/b", "/etc/passwd", "../x", "..\\x", "\\", "C:", "C:\\x", "~", "~root", "-", "-rf", "--", "*", "?", "a?b", "[a]", "{a}", "$HOME", "`id`", "|", "<", ">", "&", ";",
		"%", "%2e", "%2E", "%2F", "%00", "%25", "a%2Fb", "CON", "con", "nul", "NUL.txt", "COM1", "aux.", "x.", "x", "X", "x ", " x", " ", "  ", "task.1", "Task.1", "TASK.1",
		".brine", ".brine-lock", ".hidden", "brine_stores", "id", "NULL", "null", "'", "''", "\"", "it's", "a\"b", "--x", "a;DROP TABLE store", "\t", "\n", "\r", "a\nb", "\x01", "\x7f", "\u0080",
		"é", "e\u0301", "É", "ß", "ss", "ẞ", "İ", "i", "I", "ı", "ſ", "日本語", "😀", "\U0010FFFF", "\ufeff", "\u200b", "1", "01", "001", "+1", "-1", "1.0", "1e0", "0x1", "0", "-0",
	}
	for _, unit := range []string{"x", "X", "/", "%", "é", "😀"} {
		long := strings.Repeat(unit, driver.MaxIDLen/len(unit))
		ids = append(ids, driver.ID(long), driver.ID(long[:len(long)-len(unit)]))
	}
	// Equal in their first hundred bytes and more.
	return append(ids, driver.ID(strings.Repeat("/", 150)+"a"), driver.ID(strings.Repeat("/", 150)+"b"), driver.ID(strings.Repeat("/", 150)+"A"))
}

func testAwkwardIDs(t *testing.T, k *kit) {
	st := k.fresh(t)
	m := newModel(st.schema)
	ids := awkwardIDs()
	var ms []driver.Mutation
	for i, id := range ids {
		r := with(k.plain(i), "data of "+string(id))
		r.ID = id
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	_, _ = m.apply(ms)
	if d := diff(m.recs, st.get(t, everything, ids...)); d != "" {
		t.Fatalf("every ID must name a record of its own (-want +got):\n%s", d)
	}
	ms = ms[:0]
	for i, id := range ids {
		switch i % 3 {
		case 0:
			ms = append(ms, remove(id, 1))
		case 1:
			r := with(k.plain(i), "other data of "+string(id))
			r.ID = id
			ms = append(ms, update(r, 1))
		}
	}
	st.mustApply(t, ms...)
	_, _ = m.apply(ms)
	if d := diff(m.recs, st.all(t)); d != "" {
		t.Errorf("a write must change the record with its ID and no other (-want +got):\n%s", d)
	}
}

func testImpossibleIDs(t *testing.T, k *kit) {
	st := k.fresh(t)
	st.mustApply(t, create(k.plain(7)), create(k.plain(0)), create(k.plain(1)))
	impossible := []driver.ID{"", "a\x00b", "\x00", "\xff", "a\xc3", driver.ID(strings.Repeat("x", driver.MaxIDLen+1)), driver.ID(strings.Repeat("7", 5000))}
	if k.integer {
		impossible = append(impossible, "07", "007", "+7", " 7", "7 ", "7.0", "7e0", "0x7", "-0", "00", "-", "x", "1x", "Task.7", "9223372036854775808", "-9223372036854775809", "99999999999999999999")
	}
	for _, id := range impossible {
		if got := st.get(t, everything, id); len(got) != 0 {
			t.Errorf("Get of %.40q must find nothing, not %v", id, got)
		}
	}
	if got := st.get(t, driver.Info, append(impossible, k.id(7))...); len(got) != 1 || got[k.id(7)].ID != k.id(7) {
		t.Errorf("Get must find the one record that is there among IDs that could never be, not %v", got)
	}
}

func testNextIDs(t *testing.T, k *kit) {
	st := k.fresh(t)
	handles := []*store{st, st}
	if !k.Private {
		handles = append(handles, k.open(t, st.url), k.open(t, st.url))
	}
	var taken sync.Map // number: who took it
	take := func(st *store, n int, who string) error {
		first, err := st.NextIDs(bg, n)
		if err != nil {
			return err
		}
		if first < 1 {
			return fmt.Errorf("NextIDs must never give a number below 1: %d", first)
		}
		for i := range int64(n) {
			if other, twice := taken.LoadOrStore(first+i, who); twice {
				return fmt.Errorf("NextIDs gave %d to %s, and before that to %s: no number may be given out twice", first+i, who, other)
			}
		}
		return nil
	}
	parallel(t, len(handles), func(g int) error {
		for i := range 10 {
			if err := take(handles[g], 1+(g+i)%7*i, fmt.Sprintf("goroutine %d, call %d", g, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if k.Private {
		return
	}
	for _, h := range handles {
		if err := h.Close(); err != nil {
			t.Fatalf("Close must work: %v", err)
		}
	}
	for i := range 3 {
		st := k.open(t, st.url)
		if err := take(st, 5, fmt.Sprintf("reopening %d", i)); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatalf("Close must work: %v", err)
		}
	}
}

func testCounterStart(t *testing.T, k *kit) {
	if k.Forget == nil {
		t.Skip("the harness has no Forget")
	}
	ids, want := []driver.ID{"Task.41", "17", "job.42", "Task.x", "a.b.40", "Task.0099", "Task.-50", "Task.99999999999999999999", "zz"}, int64(43)
	if k.integer {
		ids, want = []driver.ID{"41", "-50", "0", "7"}, 42
	}
	st := k.fresh(t)
	var ms []driver.Mutation
	for _, id := range ids {
		r := k.plain(0)
		r.ID = id
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	if err := st.Close(); err != nil {
		t.Fatalf("Close must work: %v", err)
	}
	k.Forget(t, st.url)
	st = k.open(t, st.url)
	first, err := st.NextIDs(t.Context(), 3)
	if err != nil || first < want {
		t.Errorf("a counter must start above the highest number in the IDs, at %d or more, not at %d (%v)", want, first, err)
	}
	if n := len(st.all(t)); n != len(ids) {
		t.Errorf("the %d records must still be there, not %d", len(ids), n)
	}
}

// parallel runs fn in n goroutines, and fails with the errors they return.
func parallel(t *testing.T, n int, fn func(g int) error) {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() { errs[g] = fn(g) })
	}
	wg.Wait()
	for g, err := range errs {
		if err != nil {
			t.Errorf("goroutine %d: %v", g, err)
		}
	}
}
