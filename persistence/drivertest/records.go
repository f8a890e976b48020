package drivertest

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// testRecords checks that records are read as they were stored, byte by byte, and that every
// operation does what the contract says.
func testRecords(t *testing.T, s *suite) {
	s.forBoth(t, "a record comes back as it was stored", func(t *testing.T, k *kit) {
		st := k.fresh(t, fields...)
		want := k.rec(7)
		revs := st.mustApply(t, create(want))
		if want.Revision = 1; revs[0] != 1 {
			t.Errorf("a record created without a revision must have revision 1, not %d", revs[0])
		}
		if d := diff(want, st.one(t, want.ID)); d != "" {
			t.Errorf("a record must come back as it was stored (-want +got):\n%s", d)
		}
	})

	s.forBoth(t, "every operation changes what it names and nothing else", testOperations)
	s.forBoth(t, "operations fail where they must and change nothing", testFailures)
	s.forText(t, "field values of every kind come back", testFieldValues)
	s.forText(t, "data of every kind comes back", testData)
	s.forText(t, "parts that were not asked for are not read", testParts)
	s.forText(t, "the head is the beginning of the data", testHead)

	s.forText(t, "the store shares no memory with its callers", func(t *testing.T, k *kit) {
		st := k.fresh(t, fields...)
		want := k.rec(1)
		want.Revision = 1
		ms := clone([]driver.Mutation{create(want)})
		st.mustApply(t, ms...)
		scribble := func(r driver.Record) {
			clear(r.Data)
			clear(r.Fields[5].([]byte))
			clear(r.Fields)
		}
		scribble(ms[0].Rec)
		if d := diff(want, st.one(t, want.ID)); d != "" {
			t.Fatalf("what a caller writes into its record after Apply must not reach the store (-want +got):\n%s", d)
		}
		scribble(st.one(t, want.ID))
		scribble(st.scan(t, &driver.Query{Parts: everything})[0])
		if d := diff(want, st.one(t, want.ID)); d != "" {
			t.Fatalf("what a caller writes into a record that it read must not reach the store (-want +got):\n%s", d)
		}
	})

	s.forBoth(t, "apply only reads its mutations", func(t *testing.T, k *kit) {
		st := k.fresh(t, fields...)
		ms := []driver.Mutation{create(k.rec(9), k.id(3)), put(k.rec(3)), create(k.rec(5), k.id(9), k.id(3))}
		before := clone(ms)
		st.mustApply(t, ms...)
		if d := diff(before, ms); d != "" {
			t.Errorf("Apply must not change the mutations or their order (-before +after):\n%s", d)
		}
		if _, err := st.Apply(t.Context(), nil); err != nil {
			t.Errorf("an empty batch must succeed: %v", err)
		}
	})

	s.forBoth(t, "records survive reopening", func(t *testing.T, k *kit) {
		k.needsReopening(t)
		st := k.fresh(t, fields...)
		want := k.rec(1)
		want.Revision = 1
		st.mustApply(t, create(want))
		if d := diff(want, k.open(t, st.url, fields...).one(t, want.ID)); d != "" {
			t.Errorf("another handle must see what Apply wrote before (-want +got):\n%s", d)
		}
		if err := st.Close(); err != nil {
			t.Fatalf("Close must work: %v", err)
		}
		if d := diff(want, k.open(t, st.url, fields...).one(t, want.ID)); d != "" {
			t.Errorf("what Apply wrote must survive closing and opening (-want +got):\n%s", d)
		}
	})
}

func testOperations(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	m := newModel(st.schema)
	apply := func(why string, ms ...driver.Mutation) {
		t.Helper()
		revs := st.mustApply(t, ms...)
		want, failure := m.apply(ms)
		if failure != nil {
			t.Fatalf("%s: a test that is wrong: %v", why, failure)
		}
		for i := range ms {
			if ms[i].Op < driver.Check && revs[i] != want[i] {
				t.Errorf("%s: the revision of %q must be %d, not %d", why, ms[i].Rec.ID, want[i], revs[i])
			}
		}
		if d := diff(m.recs, st.all(t)); d != "" {
			t.Fatalf("%s (-want +got):\n%s", why, d)
		}
	}
	// later returns another version of record n.
	later := func(n int) driver.Record {
		r := k.rec(n + 50)
		r.ID = k.id(n)
		r.Fields[0], r.Fields[5] = nil, nil
		return r
	}
	born := k.rec(4)
	born.Revision = 41

	apply("Create must store each record of a batch", create(k.rec(1)), create(k.rec(3)), create(k.rec(2)))
	apply("Create must keep a revision that is given", create(born))
	apply("Update must overwrite everything but Created and raise the revision by one", update(later(4), 0))
	apply("Update must go on where the revision is the expected one", update(k.rec(4), 42), update(later(1), 1))
	apply("Put must overwrite a record that is there, as Update does", put(later(2)))
	apply("Put must create a record that is not there, as Create does", put(k.rec(8)))
	apply("Put must ignore IfRev", driver.Mutation{Op: driver.Put, Rec: k.rec(8), IfRev: 77})
	apply("Check must write nothing", check(k.id(1), 0), check(k.id(2), 2))
	apply("Check and writes must go together", check(k.id(1), 2), update(k.rec(2), 2), create(k.rec(9)))
	apply("Delete must remove a record of any revision", remove(k.id(3), 0))
	apply("Delete must remove a record of the expected revision", remove(k.id(2), 3))
	apply("Create must store a record that was removed before, from revision 1 on", create(k.rec(3)))
	apply("SetFields must overwrite the fields and leave all else", setFields(later(4), 0), setFields(later(8), 2))
	apply("a batch may hold every operation", update(later(3), 1), remove(k.id(1), 2), create(k.rec(5)), put(k.rec(6)), check(k.id(4), 43), setFields(later(9), 1))
}

func testFailures(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	st.mustApply(t, create(k.rec(1)))
	st.mustApply(t, update(k.rec(1), 1)) // revision 2
	before := st.all(t)
	there, absent := k.id(1), k.id(2)
	for _, c := range []struct {
		name string
		m    driver.Mutation
		ref  driver.ID
		want error
	}{
		{"create of what is there", create(k.rec(1)), "", driver.ErrExists},
		{"update of what is absent", update(k.rec(2), 0), "", driver.ErrNotFound},
		{"update of what was removed since it was read", update(k.rec(2), 1), "", driver.ErrConflict},
		{"update of an older revision", update(k.rec(1), 1), "", driver.ErrConflict},
		{"update of a revision that never was", update(k.rec(1), 3), "", driver.ErrConflict},
		{"delete of what is absent", remove(absent, 0), "", driver.ErrNotFound},
		{"delete of what was removed since it was read", remove(absent, 1), "", driver.ErrConflict},
		{"delete of an older revision", remove(there, 1), "", driver.ErrConflict},
		{"check of what is absent", check(absent, 0), "", driver.ErrConflict},
		{"check of what is absent, with a revision", check(absent, 2), "", driver.ErrConflict},
		{"check of an older revision", check(there, 1), "", driver.ErrConflict},
		{"set fields of what is absent", setFields(k.rec(2), 0), "", driver.ErrConflict},
		{"set fields of an older revision", setFields(k.rec(1), 1), "", driver.ErrConflict},
		{"create with a dangling reference", create(k.rec(2), there, k.id(3)), k.id(3), driver.ErrDangling},
		{"put with a dangling reference", driver.Mutation{Op: driver.Put, Rec: k.rec(1), NewRefs: []driver.ID{absent}}, absent, driver.ErrDangling},
		{"update with a dangling reference", driver.Mutation{Op: driver.Update, Rec: k.rec(1), IfRev: 2, NewRefs: []driver.ID{absent}}, absent, driver.ErrDangling},
	} {
		t.Run(c.name, func(t *testing.T) {
			st.mustFail(t, &driver.RecordError{ID: c.m.Rec.ID, Ref: c.ref, Err: c.want}, c.m)
			if d := diff(before, st.all(t)); d != "" {
				t.Errorf("an Apply that fails must change nothing (-before +after):\n%s", d)
			}
		})
	}
}

// values has edge cases of each kind, all of them allowed by the contract.
var values = map[driver.Kind][]any{
	driver.Text: {"", "a", "A", " ", "a ", "\t\r\n", "null", "0", "é", "e\u0301", "\u00a0", "日本語", "😀", "\U0010FFFF", `it's "quoted" \ here`, "%_*[a]?", "?", "$1", ":name",
		"\x01\x7f", strings.Repeat("é", driver.MaxIndexedTextLen), strings.Repeat("😀", driver.MaxIndexedTextLen)},
	driver.Int:   {int64(0), int64(1), int64(-1), int64(255), int64(-256), int64(1) << 32, int64(1)<<53 + 1, int64(math.MaxInt64), int64(math.MinInt64)},
	driver.Float: {0.0, 1.0, -1.0, 0.1, 1.0 / 3, 1e15 + 0.5, 1e300, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, float64(1<<53 + 1), 1e-310},
	driver.Bool:  {false, true},
	driver.Bytes: {[]byte{}, []byte{0}, []byte("a"), []byte("\xff\xfe"), allBytes(), bytes.Repeat([]byte{0}, 70_000)},
	driver.Time: {time.Time{}, time.Unix(0, 0).UTC(), time.Unix(-1, 999_999_000).UTC(), time.UnixMicro(1).UTC(), baseTime,
		time.Date(1582, 10, 10, 1, 2, 3, 4000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
}

// allBytes returns every byte value.
func allBytes() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func testFieldValues(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	var ms []driver.Mutation
	add := func(values ...any) {
		r := k.rec(len(ms))
		r.Fields, r.Revision = values, 1
		ms = append(ms, create(r))
	}
	nulls := make([]any, len(fields))
	add(nulls...)
	for i, f := range fields {
		for _, v := range values[f.Kind] {
			row := append([]any(nil), nulls...)
			row[i] = v
			add(row...)
		}
	}
	st.mustApply(t, ms...)
	m := newModel(st.schema)
	_, _ = m.apply(ms)
	got := st.all(t)
	for id, want := range m.recs {
		if d := diff(want, got[id]); d != "" {
			t.Errorf("every value must come back with its own Go type, and NULL as nil, never as an empty value (-want +got):\n%s", d)
		}
	}
	for i := range ms { // other values, and NULL in their place
		r := &ms[i].Rec
		r.Fields = ms[len(ms)-1-i].Rec.Fields
		if i < len(ms)/2 {
			continue
		}
		r.Fields = nulls
	}
	again := make([]driver.Mutation, len(ms))
	for i := range ms {
		again[i] = update(ms[i].Rec, 1)
	}
	st.mustApply(t, again...)
	_, _ = m.apply(again)
	if d := diff(m.recs, st.all(t)); d != "" {
		t.Errorf("Update must overwrite values with others, and with NULL (-want +got):\n%s", d)
	}
}

func testData(t *testing.T, k *kit) {
	st := k.fresh(t)
	big := bytes.Repeat(allBytes(), 3<<20/256+1)
	var ms []driver.Mutation
	for i, data := range [][]byte{{}, {0}, []byte("'"), allBytes(), big[:4095], big[:4096], big[:65_536], big[:1<<20+1], big} {
		r := k.plain(i)
		ms = append(ms, create(with(r, string(data))))
	}
	st.mustApply(t, ms...)
	m := newModel(st.schema)
	_, _ = m.apply(ms)
	for _, r := range m.recs {
		switch got := st.one(t, r.ID); {
		case !bytes.Equal(r.Data, got.Data):
			t.Errorf("data of %d bytes must come back byte by byte", len(r.Data))
		case got.Size != int64(len(r.Data)):
			t.Errorf("the size of a record must be that of its data, %d, not %d", len(r.Data), got.Size)
		}
	}
	st.mustApply(t, update(with(k.plain(8), ""), 1), update(with(k.plain(0), string(big)), 1))
	if n := len(st.one(t, k.id(8)).Data); n != 0 {
		t.Errorf("data overwritten by none must be empty, not %d bytes", n)
	}
	if !bytes.Equal(st.one(t, k.id(0)).Data, big) {
		t.Errorf("empty data overwritten by %d bytes must be these", len(big))
	}
}

// testHead reads records whose data are shorter than the head, about as long and longer.
func testHead(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	for i, n := range []int{0, 1, driver.HeadLen - 1, driver.HeadLen, driver.HeadLen + 1, 3 * driver.HeadLen, 1 << 20} {
		rec := k.rec(i)
		rec.Data = make([]byte, n)
		for at := range rec.Data {
			rec.Data[at] = byte(at*7 + at>>8)
		}
		st.mustApply(t, create(rec))
		want := rec.Data[:min(n, driver.HeadLen)]
		where := []driver.Cond{{Column: driver.ColID, Op: driver.Eq, Values: []any{rec.ID}}}
		for _, parts := range []driver.Parts{driver.Head, driver.Head | driver.Info} {
			got := map[string]driver.Record{
				"Get":             st.get(t, parts, rec.ID)[rec.ID],
				"Scan":            st.scan(t, &driver.Query{Where: where, Parts: parts})[0],
				"an ordered Scan": st.scan(t, &driver.Query{Where: where, Parts: parts, Order: []driver.Order{{Column: driver.ColState}}})[0],
			}
			for name, rec := range got {
				if !bytes.Equal(rec.Data, want) {
					t.Errorf("%s must read the first %d of %d bytes as the head, and no others; it read %d", name, len(want), n, len(rec.Data))
				}
				if parts&driver.Info != 0 && rec.Size != int64(n) {
					t.Errorf("%s must tell the size of the data with their head: want %d, got %d", name, n, rec.Size)
				}
			}
		}
		if got := st.get(t, driver.Head|driver.Data, rec.ID)[rec.ID].Data; !bytes.Equal(got, rec.Data) {
			t.Errorf("the head must have no effect together with the data: want %d bytes, got %d", n, len(got))
		}
	}
}

func testParts(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	st.mustApply(t, create(k.rec(1)), create(k.rec(2)))
	for parts := range (everything | driver.Version | driver.Head) + 1 {
		want := k.rec(1)
		want.Revision = 1
		if parts&(driver.Data|driver.Head) == 0 {
			want.Data = nil
		}
		switch {
		case parts&driver.Info != 0:
		case parts&driver.Version != 0:
			want = driver.Record{ID: want.ID, Data: want.Data, Fields: want.Fields, State: want.State, Revision: 1}
		default:
			want = driver.Record{ID: want.ID, Data: want.Data, Fields: want.Fields}
		}
		if parts&driver.Fields == 0 {
			want.Fields = nil
		}
		if d := diff(want, st.get(t, parts, k.id(1))[k.id(1)]); d != "" {
			t.Errorf("Get must read the parts %04b, and never the data unasked (-want +got):\n%s", parts, d)
		}
		q := &driver.Query{Parts: parts, Limit: 1}
		if d := diff([]driver.Record{want}, st.scan(t, q)); d != "" {
			t.Errorf("Scan must read the parts %04b, and never the data unasked (-want +got):\n%s", parts, d)
		}
		q.Order = []driver.Order{{Column: "order"}}
		if d := diff([]driver.Record{want}, st.scan(t, q)); d != "" {
			t.Errorf("an ordered Scan must read the parts %04b, and never the data unasked (-want +got):\n%s", parts, d)
		}
	}
	q := &driver.Query{Parts: driver.Info, Columns: []string{driver.ColType, driver.ColModified}, Limit: 1}
	if got, want := st.scan(t, q)[0], k.rec(1); got.Type != want.Type || !got.Modified.Equal(want.Modified) {
		t.Errorf("a Scan must read the columns of Info that it is asked for: want %q and %v, got %q and %v", want.Type, want.Modified, got.Type, got.Modified)
	}
	for i, f := range fields {
		q := &driver.Query{Parts: driver.Fields, Columns: []string{f.Name}, Limit: 1}
		if got, want := st.scan(t, q)[0].Fields, k.rec(1).Fields; len(got) != len(want) || diff(want[i], got[i]) != "" {
			t.Errorf("a Scan must read the column %s that it is asked for alone: want %v at %d, got %v", f.Name, want[i], i, got)
		}
	}
}
