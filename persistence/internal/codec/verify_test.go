package codec

import (
	"reflect"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// verifiable are objects whose records have all that a body can hold.
func verifiable(w []*task) []any {
	v := &vertex{Name: "a", Ref: w[1], Refs: map[*task]string{w[0]: "x"}, Lazy: ref[task]{Link{Obj: w[2]}}}
	v.Edges = []*vertex{v, {Name: "b"}}
	v.Keyed = map[*vertex]any{v: 1, v.Edges[1]: []any{int8(1), point{1, 2}}}
	n := 1
	return []any{
		v, &task{Needs: w}, &kinds{Slice: []string{"a"}, Float32: 1.5}, []any{&n, &n, 2i, float32(1), uint64(1 << 63)},
		[]any{time.Date(2024, 3, 8, 9, 0, 0, 0, time.FixedZone("Mars/Olympus", 60)), []complex64{1i}, map[int]string{1: "a"}},
	}
}

func TestVerifyAcceptsWhatGenericReadsAndNothingElse(t *testing.T) {
	c := newCodec(t, append(registeredTypes, reflect.TypeFor[vertex](), reflect.TypeFor[all]())...)
	w, tasks := graphWorld(4)
	accepted, refused := 0, 0
	for _, obj := range verifiable(tasks) {
		h, err := c.Parse(encode(t, c, w, obj), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(h, testLimits, genericForms); err != nil {
			t.Errorf("%T: %v", obj, err)
		}
		whole := h.body
		for i := range whole {
			for _, flip := range []byte{0x01, 0x10, 0x80, 0xff} {
				h.body = append([]byte(nil), whole...)
				h.body[i] ^= flip
				_, want := c.Generic(h, testLimits, genericForms, nil)
				if got := c.Verify(h, testLimits, genericForms); (got == nil) != (want == nil) {
					t.Fatalf("%T, byte %d ^ %#x: Verify says %v, Generic %v", obj, i, flip, got, want)
				}
				if want == nil {
					accepted++
				} else {
					refused++
				}
			}
			h.body = whole[:i]
			if c.Verify(h, testLimits, genericForms) == nil {
				t.Fatalf("%T: %d bytes of %d are accepted", obj, i, len(whole))
			}
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: want some of both", accepted, refused)
	}
}

func TestVerifyOfAnOrdinaryBodyMakesNothing(t *testing.T) {
	c := newCodec(t)
	h, err := c.Parse(encode(t, c, nil, map[string]any{
		"a": 1, "b": "text", "c": []any{1.5, true, nil}, "d": map[string]any{"e": time.Unix(1, 2).UTC()},
	}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { err = c.Verify(h, testLimits, genericForms) }); err != nil || n > 4 {
		t.Errorf("%v allocations, %v", n, err)
	}
	h.Eager = []driver.ID{"1"}
	h.body = append([]byte{codeFixExt1, extEager}, '2')
	if err := c.Verify(h, testLimits, genericForms); err == nil {
		t.Error("a reference that the header does not name is accepted")
	}
}
