package fs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

const whole = driver.Info | driver.Fields | driver.Data

func fullRecord(id driver.ID) driver.Record {
	r := rec(id)
	r.Fields = []any{"node\nü", int64(-1 << 63), -0.5, false, []byte{}, time.Date(1969, 1, 1, 0, 0, 0, 1000, time.UTC)}
	return r
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), textSchema)
	null := rec("null")
	null.Fields = make([]any, 6)
	null.Created, null.Modified, null.State, null.Type = time.Time{}, time.Time{}, "", ""
	null.Data = nil
	large := fullRecord("large")
	large.Data = bytes.Repeat([]byte{0xa7, 0}, 100_000)
	wide := fullRecord("wide")
	wide.Fields[0] = strings.Repeat("x", 40_000)
	want := []driver.Record{fullRecord("a/b"), null, large, wide, fullRecord(driver.ID(strings.Repeat("é", 95)))}
	var ms []driver.Mutation
	var ids []driver.ID
	for i := range want {
		if want[i].Fields == nil {
			want[i].Fields = make([]any, 6)
		}
		ms = append(ms, driver.Mutation{Op: driver.Create, Rec: want[i]})
		ids = append(ids, want[i].ID)
		want[i].Revision, want[i].Size = 1, int64(len(want[i].Data))
	}
	apply(t, b, ms...)
	got := get(t, b, whole, append(ids, ids...)...)
	opts := cmp.Comparer(bytes.Equal) // also quick; nil and empty data are the same
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Error(diff)
	}
	if got[0].Fields[4] == nil {
		t.Error("empty bytes became NULL")
	}
	for i := range want {
		want[i].Data = nil
	}
	if diff := cmp.Diff(want, get(t, b, driver.Info|driver.Fields, ids...), opts); diff != "" {
		t.Error(diff)
	}
}

func TestAnyRecordComesBack(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), textSchema)
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(-1<<55, 1<<55).Draw(t, "microseconds")).UTC()
	})
	null := func(t *rapid.T, v any) any {
		if rapid.Bool().Draw(t, "null") {
			return nil
		}
		return v
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := driver.ID(rapid.StringN(1, 20, driver.MaxIDLen).Draw(rt, "id"))
		if !storable(id, false) {
			rt.Skip()
		}
		want := driver.Record{
			ID: id, Type: rapid.String().Draw(rt, "type"), State: rapid.String().Draw(rt, "state"),
			Revision: rapid.Int64Range(1, 1<<62).Draw(rt, "revision"),
			Created:  when.Draw(rt, "created"), Modified: when.Draw(rt, "modified"),
			Data: rapid.SliceOfN(rapid.Byte(), 0, 40_000).Draw(rt, "data"),
			Fields: []any{
				null(rt, rapid.String().Draw(rt, "text")), null(rt, rapid.Int64().Draw(rt, "int")), null(rt, rapid.Float64().Draw(rt, "float")),
				null(rt, rapid.Bool().Draw(rt, "bool")), null(rt, rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")), null(rt, when.Draw(rt, "time")),
			},
		}
		apply(t, b, driver.Mutation{Op: driver.Create, Rec: want})
		want.Size = int64(len(want.Data))
		got := get(t, b, whole, id)
		if len(got) != 1 {
			rt.Fatalf("%d records", len(got))
		}
		if diff := cmp.Diff(want, got[0], cmp.Comparer(bytes.Equal)); diff != "" {
			rt.Error(diff)
		}
		apply(t, b, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}})
	})
}

// goldenRecord is the file of fullRecord("a/b") as the first release wrote it. It is never made
// anew.
const goldenRecord = "a76272696e652f31ce000000a788a26964a3612f62a474797065ab656e67696e652e5461736ba57374617465a752554e4e494e47a87265766973696f" +
	"6e01a473697a650ba763726561746564d7ff1d6f280069a7bdbfa86d6f646966696564d7ff1d6f280069a7bdbfa66669656c647386a4686f7374a76e" +
	"6f64650ac3bca16ed38000000000000000a46c6f6164cbbfe0000000000000a26f6bc2a3726177c400a3647565c70cff000003e8fffffffffe1ecc80" +
	"ceb3e602ea64617461206f6620612f62ce0e05a03a"

func TestGoldenRecord(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, textSchema)
	file, err := hex.DecodeString(goldenRecord)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a%2Fb"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	want := fullRecord("a/b")
	want.Revision, want.Size = 1, int64(len(want.Data))
	if diff := cmp.Diff([]driver.Record{want}, get(t, b, whole, "a/b")); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFlippedByteIsReported(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := open(t, dir, textSchema)
	apply(t, b, driver.Mutation{Op: driver.Create, Rec: fullRecord("x")})
	path := filepath.Join(dir, "x")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, file []byte) {
		t.Helper()
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		recs, err := tryGet(b, whole, "x")
		var re *driver.RecordError
		if !errors.Is(err, driver.ErrCorrupt) || !errors.As(err, &re) || re.ID != "x" || len(recs) > 0 {
			t.Errorf("%s %d: got %v, %v", what, at, recs, err)
		}
	}
	for i := range good {
		for _, mask := range []byte{1, 0x80, 0xff} {
			file := bytes.Clone(good)
			file[i] ^= mask
			check("flipped byte", i, file)
		}
	}
	for n := range good {
		check("cut at", n, good[:n])
	}
	check("one byte more than", len(good), append(bytes.Clone(good), 0))
	check("zeros of", len(good), make([]byte, len(good)))
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if recs := get(t, b, whole, "x"); len(recs) != 1 {
		t.Errorf("the good file again: %d records", len(recs))
	}
}

// forge makes the file of a record with valid checksums.
func forge(body []byte, data []byte) []byte {
	b := append([]byte(recordMark), frame.AppendUint32(nil, uint32(len(body)))...)
	b = append(b, body...)
	b = frame.AppendUint32(b, frame.Checksum(b))
	last := frame.Sum(b, data)
	return frame.AppendUint32(append(b, data...), last)
}

func TestForgedLengthsTakeNoMemory(t *testing.T) {
	dir := scratch(t)
	b := open(t, dir, textSchema)
	entry := func(key string, value ...byte) []byte {
		return append(append([]byte{0x81, 0xa0 | byte(len(key))}, key...), value...)
	}
	for name, body := range map[string][]byte{
		"map":     {0xdf, 0xff, 0xff, 0xff, 0xff},
		"key":     {0x81, 0xdb, 0xff, 0xff, 0xff, 0xff},
		"id":      entry("id", 0xdb, 0xff, 0xff, 0xff, 0xff),
		"fields":  entry("fields", 0xdf, 0xff, 0xff, 0xff, 0xff),
		"bytes":   entry("fields", 0x81, 0xa3, 'r', 'a', 'w', 0xc6, 0xff, 0xff, 0xff, 0xff),
		"nested":  entry("fields", 0x81, 0xa3, 'r', 'a', 'w', 0x91, 0x91, 0x91),
		"ext":     entry("created", 0xc9, 0xff, 0xff, 0xff, 0xff, 0xff),
		"size":    append(append([]byte{0x82, 0xa2}, "id\xa4size\xa4size"...), 0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"minus":   append(append([]byte{0x82, 0xa2}, "id\xa5minus\xa4size"...), 0xff),
		"nothing": {},
		"unknown": entry("colour", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), forge(body, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := tryGet(b, whole, driver.ID(name))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes taken", name, took)
		}
	}
}

func FuzzHeader(f *testing.F) {
	h := header{id: "a", typ: "t", state: "s", revision: 3, size: 9, created: someTime, fields: []field{{"host", "h"}, {"n", int64(7)}, {"due", someTime}}}
	file, err := appendRecord(nil, &h)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[frame.HeadLen : len(file)-frame.Uint32Len])
	f.Add([]byte{0x81, 0xa2, 'i', 'd', 0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		b := forge(body, nil)
		b = b[:len(b)-frame.Uint32Len]
		h, err := decodeHeader(b, true)
		if err != nil {
			return
		}
		// What can be read can be written and read again.
		again, err := appendRecord(nil, &h)
		if err != nil {
			t.Fatal(err)
		}
		h2, err := decodeHeader(again, true)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h, h2, cmp.AllowUnexported(header{}, field{}), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			t.Error(diff)
		}
	})
}

// goldenClaimed is a claimed record's file as the first release with claims wrote it. It is never
// made anew.
const goldenClaimed = "a76272696e652f31ce0000007d89a26964a137a474797065ab656e67696e652e5461736ba57374617465a752554e4e494e47a87265766973696f6e02" +
	"a473697a6509a763726561746564d7ff1d6f280069a7bdbfa86d6f646966696564d7ff1d6f280069a7bdbfa5636c61696d93a8776f726b65722031d7" +
	"ff1d6f280069a7cbcf02a66669656c647380ceb417388c64617461206f662037ce8c9fe076"

func TestGoldenClaim(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	want := rec("7")
	want.Revision, want.Size, want.Fields = 2, int64(len(want.Data)), []any{}
	want.Claim = driver.Claim{Owner: "worker 1", Until: someTime.Add(time.Hour), Token: 2}
	golden, err := hex.DecodeString(goldenClaimed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.path, "7")
	if err := os.WriteFile(file, golden, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, get(t, b, whole, "7")[0]); diff != "" {
		t.Error(diff)
	}
	// Written again it has the same bytes.
	apply(t, b, of(driver.SetFields, "7", ""))
	if again, err := os.ReadFile(file); err != nil || hex.EncodeToString(again) != goldenClaimed {
		t.Errorf("%x, %v", again, err)
	}
	for i := range golden {
		spoil(t, file, i)
		if _, err := tryGet(b, whole, "7"); i >= frame.MarkLen && !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		spoil(t, file, i)
	}
}
