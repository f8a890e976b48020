package persistence_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// valueOf returns the value of a record's JSON as it is written.
func valueOf(t *testing.T, rec *persistence.Record) string {
	t.Helper()
	data := must[[]byte](t)(json.Marshal(rec))
	if again := must[[]byte](t)(json.Marshal(rec)); !bytes.Equal(data, again) {
		t.Errorf("the same record, other bytes:\n%s\n%s", data, again)
	}
	var parts struct{ Value json.RawMessage }
	check(t, json.Unmarshal(data, &parts))
	return string(parts.Value)
}

func TestRecordsAsJSON(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, &persistence.Options{ExtraFields: jsonFields}), t.Context()
		plan := &Plan{Title: "plan"}
		survey := newSurvey(plan)
		check(t, s.Insert(ctx, "7", plan))
		check(t, s.Insert(ctx, "8", survey))
		rec := must[*persistence.Record](t)(s.Record(ctx, "8"))
		rec.Created, rec.Modified, rec.Revision = time.Unix(1, 0).UTC(), time.Unix(2, 5000).UTC(), 1<<60
		want := `{"id":"8","type":"persistence_test.Survey","state":"UNKNOWN","revision":"1152921504606846976","size":` + must[string](t)(jsonOf(rec.Size)) +
			`,"created":"1970-01-01T00:00:01Z","modified":"1970-01-01T00:00:02.000005Z","version":0,"fields":` + must[string](t)(jsonOf(rec.Fields)) +
			`,"refs":["7"],"lazy_refs":["7"],"value":{` +
			`"Any":{"$map":[["$odd",null],["c",{"$complex":[0.0,1.0]}],["int8",{"$type":"int8","value":3}],["list",{"$type":"[]interface {}","value":["a",1]}],` +
			`["n",7],["n64",8],["nan","NaN"],["when","1970-01-01T00:00:00.000000005Z"]]},` +
			`"Backup":{"$ref":"7","lazy":true},"Big":"18446744073709551615",` +
			`"Index":{"$map":[[10,"ten"],[-1,"minus one"]]},` +
			`"Keys":{"$map":[["AQI=",{"Name":"loop","Next":{"$cycle":"/value/Keys/$map/0/1"}}]]},` +
			`"Next":{"$same":"/value/Keys/$map/0/1"},"Other":{"$same":"/value/Keys/$map/0/1"},"Plan":{"$ref":"7"},` +
			`"Ratio":3.0,"Raw":"AQL/","Text":{"$string":"/yI8Cg=="},"When":"2024-03-08T09:00:00.000000001+01:00"}}`
		data := must[[]byte](t)(json.Marshal(rec))
		if diff := cmp.Diff(want, string(data)); diff != "" {
			t.Error(diff)
		}
	})
}

func jsonOf(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

func TestValuesAsJSON(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	shared := map[string]any{"a/b~": []any{}}
	list := &[]*Station{{Name: "x"}}
	type twice struct {
		A, B map[string]any
		P, Q *[]*Station
		R, S *string
	}
	text := "text"
	long := map[string]any{}
	long[strings.Repeat("ä", 300)] = long
	tests := map[string]struct {
		in   any
		want string
	}{
		"whole numbers": {[]int64{1 << 53, 1<<53 + 1, -1 << 53, -1<<53 - 1, math.MinInt64}, `[9007199254740992,"9007199254740993",-9007199254740992,"-9007199254740993","-9223372036854775808"]`},
		"floats":        {[]float64{0, math.Copysign(0, -1), 1.5, 1e6, 1e300, math.Inf(1), math.Inf(-1), 5e-324}, `[0.0,-0.0,1.5,1e+06,1e+300,"Infinity","-Infinity",5e-324]`},
		"texts":         {[]string{"", "\"\\\n\t\x00\x7f</ä\u2028", "a\xff"}, `["","\"\\\n\t\u0000\u007f\u003c/ä\u2028",{"$string":"Yf8="}]`},
		"times": {[]time.Time{{}, time.Date(2024, 1, 2, 3, 4, 5, 600, time.FixedZone("LMT", 34*60+8)), time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("", -100*3600))},
			`["0001-01-01T00:00:00Z","2024-01-02T03:03:57.0000006+00:34","2024-01-06T07:04:05Z"]`},
		"nil and empty": {struct {
			A []int
			B map[string]int
			C []byte
			D []byte
		}{B: map[string]int{}, D: []byte{}}, `{"A":null,"B":{},"C":null,"D":""}`},
		"what is shared": {twice{shared, shared, list, list, &text, &text},
			`{"A":{"a/b~":{"$type":"[]interface {}","value":[]}},"B":{"$same":"/value/A"},"P":[[{"Name":"x","Next":null}]],"Q":{"$same":"/value/P"},"R":"text","S":"text"}`},
		"a path with escapes": {map[string]*Station{"a/b~": list2()}, `{"a/b~":{"Name":"loop","Next":{"$cycle":"/value/a~1b~0"}}}`},
		"a map inside itself": {long, `{"` + strings.Repeat("ä", 300) + `":{"$cycle":"/value"}}`},
		"a long path":         {map[string]*Station{strings.Repeat("ä", 300): list2()}, `{"` + strings.Repeat("ä", 300) + `":{"Name":"loop","Next":{"$cycle":"/value/` + strings.Repeat("ä", 96) + `…"}}}`},
		"keys":                {map[any]int{[2]any{1, "a"}: 1, "b": 2, nil: 3}, `{"$map":[[{"$type":"[2]interface {}","value":[1,"a"]},1],["b",2],[null,3]]}`},
		"a name with a $":     {map[string]string{"$ref": "7"}, `{"$map":[["$ref","7"]]}`},
		"a name not UTF-8":    {map[string]int{"\xff": 1}, `{"$map":[[{"$string":"/w=="},1]]}`},
		"a value alone":       {"x", `"x"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := must[persistence.ID](t)(s.Save(ctx, tt.in))
			if diff := cmp.Diff(tt.want, valueOf(t, must[*persistence.Record](t)(s.Record(ctx, id)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func list2() *Station {
	loop := &Station{Name: "loop"}
	loop.Next = loop
	return loop
}

func TestSharingDoesNotMakeJSONExplode(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	m := map[string]any{"end": true}
	for range 200 {
		m = map[string]any{"a": m, "b": m, "c": m}
	}
	rec := must[*persistence.Record](t)(s.Record(ctx, must[persistence.ID](t)(s.Save(ctx, m))))
	if data := must[[]byte](t)(json.Marshal(rec)); len(data) > 50*len(rec.Bytes) {
		t.Errorf("%d bytes for a record of %d", len(data), len(rec.Bytes))
	}
	chain := &Station{}
	for range 9500 {
		chain = &Station{Next: chain}
	}
	rec = must[*persistence.Record](t)(s.Record(ctx, must[persistence.ID](t)(s.Save(ctx, chain))))
	if _, err := rec.Value(); err != nil {
		t.Error(err)
	}
	_, err := json.Marshal(rec)
	wantIs(t, err, persistence.ErrTooLarge)
}

// FuzzJSON writes bodies that nobody stored. What is written is JSON, the same each time, and not
// much larger than the record.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		"\xc0", "\x93\x01\xc3\xa1a", "\x82\xa1a\x81\xa1b\xd6\x03\x00\x00\x00\x03\xa1c\xd6\x03\x00\x00\x00\x03", "\x92\xa4int8\x03",
		"\x82\x01\xa2$x\x92\x01\x02\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", "\x92\xaacomplex128\x92\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
		"\x92\xd4\x017\xd4\x028", "\x93\xd6\xff\x00\x00\x00\x00\x01\xacMars/Olympus", "\xa2\xff\xfe", "\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add("x.T", []byte(body))
	}
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		if typ == "" || len(typ) > 31 || len(body) == 0 || len(body) > 1<<14 {
			return
		}
		b := append([]byte("\x98\xa5brine\x02"), 0xa0|byte(len(typ)))
		b = append(append(b, typ...), "\x00\x91\xa17\x91\xa18"...)
		b = append(b, body...)
		sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		rec := persistence.Record{Bytes: binary.BigEndian.AppendUint32(append(b, 0xce), sum)}
		rec.ID = "1"
		data, err := rec.MarshalJSON()
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Fatal(err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("no JSON: %s", data)
		}
		if again, err := rec.MarshalJSON(); err != nil || !bytes.Equal(data, again) {
			t.Fatalf("other bytes, %v:\n%s\n%s", err, data, again)
		}
		if limit := 1000 + 250*len(rec.Bytes); len(data) > limit {
			t.Fatalf("%d bytes of JSON for a record of %d", len(data), len(rec.Bytes))
		}
	})
}
