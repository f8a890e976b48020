package codec

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// goldenTask is the type of the golden records, and never changes.
type goldenTask struct {
	identity
	Name    string
	State   string `msgpack:"state,omitempty"`
	Tries   int8
	Load    float32
	Needs   []*goldenTask
	Parent  ref[goldenTask]
	Meta    map[string]any
	Created time.Time
	Zoned   time.Time
	Took    time.Duration
	Output  []byte
	Nothing []string
	Empty   []string
	Shared  [2]*int
	Keys    map[any]bool
	C       complex128
}

func goldenObject() (*Codec, *world, *goldenTask) {
	c := New(testConfig)
	if err := c.Register("golden", reflect.TypeFor[goldenTask]()); err != nil {
		panic(err)
	}
	w := newWorld()
	dep, n := &goldenTask{}, -70000
	w.put("golden.17", dep)
	obj := &goldenTask{
		Name: "größer", Tries: -5, Load: 1.5, Needs: []*goldenTask{dep, nil, dep}, Parent: ref[goldenTask]{Link{ID: "golden.2"}},
		Meta:    map[string]any{"n": nil, "int": 1, "int8": int8(1), "list": []any{"a", 2.5, map[string]any{}}, "task": dep, "when": time.Unix(1, 0).UTC(), "took": time.Second},
		Created: time.Date(2024, 11, 7, 10, 11, 12, 131415, time.UTC), Zoned: time.Date(2024, 11, 7, 10, 11, 12, 0, time.FixedZone("", 5400)), Took: time.Minute,
		Output: []byte{0, 1, 2}, Empty: []string{}, Shared: [2]*int{&n, &n}, Keys: map[any]bool{1: true, "1": false}, C: complex(1, -1),
	}
	w.put("golden.1", obj)
	return c, w, obj
}

func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	c, w, want := goldenObject()
	golden, err := os.ReadFile(filepath.Join("testdata", "format1.record"))
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(t, c, w, want); !bytes.Equal(got, golden) {
		t.Errorf("a record of today differs:\n%x\n%x", got, golden)
	}
	h, err := c.Parse(golden, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if h.Type != "golden" || !reflect.DeepEqual(h.Eager, []driver.ID{"golden.17"}) || !reflect.DeepEqual(h.Lazy, []driver.ID{"golden.2"}) {
		t.Errorf("the header is %+v", h)
	}
	var got goldenTask
	if _, err := c.Decode(h, &got, DecodeOptions{Limits: testLimits, Target: w.target}); err != nil {
		t.Fatal(err)
	}
	if !got.Zoned.Equal(want.Zoned) || got.Zoned.Format(time.RFC3339) != want.Zoned.Format(time.RFC3339) {
		t.Errorf("zoned time is %v", got.Zoned)
	}
	got.Zoned = want.Zoned
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got  %+v\nwant %+v", got, *want)
	}
	if got.Shared[0] != got.Shared[1] {
		t.Error("the pointers are two")
	}
}

// Any msgpack tool reads a record: here the library, as it comes.
func TestARecordIsPlainMsgpack(t *testing.T) {
	t.Parallel()
	type message struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // an option of the library
		Marker   string
		Format   int
		Type     string
		Version  int
		Eager    []string
		Lazy     []string
		Body     map[string]any
		Sum      uint32
	}
	c := newCodec(t)
	data := encode(t, c, nil, &point{3, -4})
	var m message
	if err := msgpack.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	want := message{Marker: "brine", Format: 1, Type: "codec.point", Eager: []string{}, Lazy: []string{}, Body: map[string]any{"X": int8(3), "Y": int8(-4)}, Sum: m.Sum}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(message{})); diff != "" {
		t.Error(diff)
	}
}
