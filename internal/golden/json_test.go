package golden

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// registeredNames turns what only looks like two strings, where the types are not known, into a
// type and a value.
var registeredNames = strings.NewReplacer(`["golden.level","high"]`, `{"$type":"golden.level","value":"high"}`, `["golden.level","low"]`, `{"$type":"golden.level","value":"low"}`)

// What the store holds is the same JSON on every backend, and with the types registeredNames, as
// what package untyped reads without them, but for strings of a registeredNames type in an
// interface. Only the stamps of the stores differ.
func TestRecordsAsJSON(t *testing.T) {
	t.Parallel()
	want := strings.Split(strings.TrimSuffix(string(read(t, "../untyped/testdata/store.jsonl")), "\n"), "\n")
	for i, line := range want {
		if strings.HasPrefix(line, "{") {
			want[i] = withoutStamps(t, []byte(registeredNames.Replace(line)))
		}
	}
	everywhere(t, func(t *testing.T, c copied) {
		var got []string
		for rec, err := range open(t, c.store, persistence.Options{Table: "store"}).Records(t.Context(), nil) {
			var e *persistence.Error
			if errors.As(err, &e) && errors.Is(err, persistence.ErrCorrupt) {
				got = append(got, string(e.ID)+" is damaged")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			line, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, withoutStamps(t, line))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// withoutStamps takes from the JSON of a record what differs between the stores.
func withoutStamps(t *testing.T, line []byte) string {
	t.Helper()
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"revision", "created", "modified"} {
		delete(parts, name)
	}
	out, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
