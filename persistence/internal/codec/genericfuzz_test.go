package codec

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// FuzzGeneric makes generic values of bodies that nobody encoded. What can be made sense of can be
// stored again, and from then on has the same bytes.
func FuzzGeneric(f *testing.F) {
	c := newCodec(f, append(registeredTypes, reflect.TypeFor[vertex](), reflect.TypeFor[all]())...)
	w, tasks := graphWorld(4)
	v := &vertex{Name: "a", Ref: tasks[1], Refs: map[*task]string{tasks[0]: "x"}, Lazy: ref[task]{Link{Obj: tasks[2]}}}
	v.Edges = []*vertex{v, {Name: "b"}}
	v.Keyed = map[*vertex]any{v: 1, v.Edges[1]: []any{int8(1), point{1, 2}}}
	v.ByKey = map[any]*vertex{[2]any{1, "x"}: nil, int64(1): v, 1: v, complex64(1): v}
	n := 1
	for _, obj := range []any{
		v, &task{Needs: tasks}, &kinds{Slice: []string{"a"}, Float32: 1.5}, []any{&n, &n, 2i, float32(1), uint64(1 << 63)}, map[*int]*int{&n: &n},
		[]any{time.Date(2024, 3, 8, 9, 0, 0, 0, time.FixedZone("Mars/Olympus", 60)), []complex64{1i}, map[int]string{1: "a"}},
	} {
		h, err := c.Parse(encode(f, c, w, obj), testLimits)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(h.format == versionZones, h.Type, h.body)
	}
	f.Fuzz(func(t *testing.T, zones bool, typ string, body []byte) {
		if len(body) == 0 || len(body) > 1<<16 || typ == "" {
			return
		}
		lim := Limits{1 << 24, 200}
		ids := []driver.ID{"t.0", "t.1", "t.2", "t.3"}
		h := Header{Type: typ, Eager: ids, Lazy: ids, body: body, format: versionFirst}
		if zones {
			h.format = versionZones
		}
		var o Origins
		_, unknown := c.Generic(h, lim, genericForms, nil)
		if err := c.Verify(h, lim, genericForms); (err == nil) != (unknown == nil) {
			t.Fatalf("Verify says %v, Generic %v", err, unknown)
		}
		v, err := c.Generic(h, lim, genericForms, &o)
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Fatal(err)
			}
			return
		}
		first, err := c.Regeneric(h, v, lim, genericForms, &o)
		if err != nil {
			t.Fatalf("what was read is not stored: %v", err)
		}
		if end, ok := skip(first.body, 0); !ok || end != len(first.body) {
			t.Fatalf("it is not one value: %x", first.body)
		}
		// Without origins it is stored too, unless what was shared is too much.
		if plain, err := c.Regeneric(h, v, Limits{1 << 18, lim.MaxDepth}, genericForms, nil); err != nil && !errors.Is(err, driver.ErrTooLarge) {
			t.Fatalf("what was read is not stored without origins: %v", err)
		} else if end, ok := skip(plain.body, 0); err == nil && (!ok || end != len(plain.body)) {
			t.Fatalf("it is not one value: %x", plain.body)
		}
		o = Origins{}
		if v, err = c.Generic(first, lim, genericForms, &o); err != nil {
			t.Fatalf("what was stored is not read: %v\n%x", err, first.body)
		}
		again, err := c.Regeneric(first, v, lim, genericForms, &o)
		if err != nil || !bytes.Equal(first.body, again.body) {
			t.Fatalf("other bytes, %v:\n%x\n%x", err, first.body, again.body)
		}
	})
}
