package codec

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

type (
	lossyL     struct{ Next *lossyNode }
	lossyR     struct{ Next *lossyNode }
	lossyNode  struct{ N int }
	lossyGraph struct {
		identity
		lossyL
		lossyR
	}
	lossyTwin[T any]  struct{ V T }
	lossyOther[T any] struct{ V T }
	jsonOnly          struct{ v int } //nolint:unused // seen by reflection
	stateBase         struct {
		State string
		Core  stateCore
		stateCore
	}
	stateCore struct{ State, Host string }
	stateTask struct {
		identity
		stateBase
		State string
	}
	ownChain struct {
		*ownChain
		N int
	}
	chainA struct {
		*chainB
		A int
	}
	chainB struct {
		*chainA
		B int
	}
	noFields struct {
		identity
		secret int //nolint:unused // seen by reflection
	}
	withLogger struct {
		*slog.Logger
		Name string
	}
	locked struct {
		identity
		sync.Mutex
		mu   [2]sync.RWMutex //nolint:unused // seen by reflection
		Once sync.Once
		Wait *sync.WaitGroup
		_    int
		N    int
	}
	onlyHook struct {
		Hook func()
		n    int //nolint:unused // seen by reflection
	}
	hooksAndLocks struct {
		Hook func()
		C    chan int
		mu   sync.Mutex //nolint:unused // seen by reflection
	}
	onlyLocks struct {
		mu  sync.Mutex               //nolint:unused // seen by reflection
		in  struct{ once sync.Once } //nolint:unused // seen by reflection
		tag int                      `msgpack:"-"` //nolint:unused // seen by reflection
	}
)

func (jsonOnly) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (*jsonOnly) UnmarshalJSON([]byte) error  { return nil }

// What Save would leave out without a word is refused, with the path and what to do about it.
func TestStateThatWouldBeLeftOut(t *testing.T) {
	t.Parallel()
	type (
		sameTag struct {
			A int `msgpack:"x"`
			B int `msgpack:"x"`
		}
		tagAndName struct {
			A int `msgpack:"B"`
			B int
		}
		pathAsTag struct {
			stateCore
			Host  string
			Other string `msgpack:"stateCore.Host"`
		}
		generic struct {
			lossyTwin[int]
			lossyOther[string]
		}
		sameTypeTwice struct {
			twin1
			twin2
		}
		embedsBuffer struct {
			bytes.Buffer
			Name string
		}
		embedsUnexported struct {
			jsonOnly
			Name string
		}
	)
	for _, tt := range []struct {
		name string
		in   any
		want []string
	}{
		{"two fields of one name at one depth", &lossyGraph{}, []string{"lossyGraph: ", "lossyL.Next", "lossyR.Next"}},
		{"an element that is such", []struct {
			lossyL
			lossyR
		}{{}}, []string{"[0]: ", "lossyL.Next", "lossyR.Next"}},
		{"a value of a generic type", generic{}, []string{"lossyTwin.V", "lossyOther.V"}},
		{"a type embedded twice", sameTypeTwice{}, []string{"twin1.common.A", "twin2.common.A"}},
		{"one tag twice", sameTag{}, []string{"sameTag: ", "A", "B", `"x"`}},
		{"a tag that is another's name", tagAndName{}, []string{"tagAndName: ", "A", "B", `"B"`}},
		{"a tag that is a hidden field's path", pathAsTag{}, []string{"Other", "stateCore.Host"}},

		{"a buffer", &bytes.Buffer{}, []string{"Buffer: ", "bytes.Buffer", "msgpack"}},
		{"an atomic integer", struct{ N atomic.Int64 }{}, []string{".N: ", "atomic.Int64", "MarshalBinary"}},
		{"a type with a MarshalJSON alone", struct{ J []jsonOnly }{make([]jsonOnly, 1)}, []string{".J[0]: ", "codec.jsonOnly"}},
		{"a pointer to a logger", struct{ L *slog.Logger }{slog.Default()}, []string{".L: ", "slog.Logger"}},
		{"an embedded buffer", &embedsBuffer{}, []string{"embedsBuffer.Buffer: ", "bytes.Buffer"}},
		{"an embedded type without exported fields", &embedsUnexported{}, []string{"embedsUnexported.jsonOnly: "}},
		{"an embedded logger", &withLogger{Logger: slog.Default()}, []string{"withLogger.Logger: ", "slog.Logger"}},
		{"a pool, whose only exported field is a function", &sync.Pool{}, []string{"Pool: ", "sync.Pool"}},
		{"a function beside what is not exported", &struct{ H onlyHook }{}, []string{".H: ", "codec.onlyHook"}},
		{"such a struct embedded", &struct {
			onlyHook
			N int
		}{}, []string{".onlyHook: ", "codec.onlyHook"}},
		{"a persistable struct without exported fields", &noFields{}, []string{"noFields: "}},
		{"a map's value", map[string]bytes.Buffer{"a": {}}, []string{`["a"]: `}},
		{"an array", [1]bytes.Buffer{}, []string{"[0]: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newCodec(t).NewEncoder(testLimits, newWorld()).Encode(tt.in, nil)
			if !errors.Is(err, driver.ErrUnstorable) {
				t.Fatalf("got %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %q", err, part)
				}
			}
		})
	}
}

func TestHiddenFieldsAreStoredUnderTheirPaths(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	for _, in := range []any{
		&stateTask{State: "a", stateBase: stateBase{State: "b", stateCore: stateCore{"c", "h"}, Core: stateCore{"d", "i"}}},
		&ownChain{&ownChain{nil, 2}, 1},
		&ownChain{nil, 1},
		&chainA{&chainB{&chainA{nil, 3}, 2}, 1},
		&withLogger{Name: "x"},
		&struct{ *slog.Logger }{},
		&locked{N: 1, Wait: new(sync.WaitGroup)},
		&onlyLocks{},
		&hooksAndLocks{},
		&struct{}{},
		&struct{ _ int }{},
	} {
		if diff := cmp.Diff(in, roundTrip(t, c, w, in), compareAll); diff != "" {
			t.Errorf("%T (-want +got):\n%s", in, diff)
		}
	}
	h, err := c.Parse(encode(t, c, w, &stateTask{State: "a", stateBase: stateBase{State: "b", stateCore: stateCore{State: "c"}}}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"\xa5State\xa1a", "\xafstateBase.State\xa1b", "\xb9stateBase.stateCore.State\xa1c"} {
		if !bytes.Contains(h.body, []byte(key)) {
			t.Errorf("%q does not hold %q", h.body, key)
		}
	}
}

// Records from before hold nothing of hidden fields, and load into types that can no longer be
// saved.
func TestRecordsThatLeftStateOut(t *testing.T) {
	t.Parallel()
	c, w := newCodec(t), newWorld()
	old := recordOf("T", "\x83\xa4Core\x82\xa4Host\xa0\xa5State\xa0\xa4Host\xa1h\xa5State\xa1a")
	var task stateTask
	if err := decodeInto(c, w, old, &task); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stateTask{State: "a", stateBase: stateBase{stateCore: stateCore{Host: "h"}}}, task, compareAll); diff != "" {
		t.Error(diff)
	}
	h, err := c.Parse(encode(t, c, w, &task), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(old[:len(old)-sumLen], h.body) {
		t.Errorf("saved again it is %q", h.body)
	}
	if err := decodeInto(c, w, recordOf("T", "\x80"), new(lossyGraph)); err != nil {
		t.Errorf("into an ambiguous struct: %v", err)
	}
	if err := decodeInto(c, w, recordOf("T", "\x80"), new(noFields)); err != nil {
		t.Errorf("into a struct that stores nothing: %v", err)
	}
	tagged := struct {
		A int `msgpack:"B"`
		B int
	}{}
	if err := decodeInto(c, w, recordOf("T", "\x81\xa1B\x05"), &tagged); err != nil || tagged.A != 5 {
		t.Errorf("%+v, %v", tagged, err)
	}
}
