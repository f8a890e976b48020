package persistence_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// Survey has what is hard to show without its type. It is not registered.
type Survey struct {
	persistence.Persistable
	Any    map[string]any
	Next   *Station
	Other  *Station
	Index  map[int]string
	Keys   map[[2]byte]*Station
	When   time.Time
	Raw    []byte
	Text   string
	Big    uint64
	Ratio  float64
	Plan   *Plan
	Backup persistence.Ref[Plan]
}

type Station struct {
	Name string
	Next *Station
}

type Plan struct {
	persistence.Persistable
	Title string
}

// newSurvey returns a survey that refers to the plan, once loaded lazily.
func newSurvey(plan *Plan) *Survey {
	loop := &Station{Name: "loop"}
	loop.Next = loop
	return &Survey{
		Any:  map[string]any{"int8": int8(3), "n": 7, "n64": int64(8), "nan": math.NaN(), "when": time.Unix(0, 5).UTC(), "$odd": nil, "c": 1i, "list": []any{"a", 1}},
		Next: loop, Other: loop, Index: map[int]string{10: "ten", -1: "minus one"}, Keys: map[[2]byte]*Station{{1, 2}: loop},
		When: time.Date(2024, 3, 8, 9, 0, 0, 1, time.FixedZone("Mars/Olympus", 3600)), Raw: []byte{1, 2, 255}, Text: "\xff\"<\n",
		Big: math.MaxUint64, Ratio: 3, Plan: plan, Backup: persistence.RefTo(plan),
	}
}

func TestRecordsNeedNoTypes(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{extrafields.Of("title", func(p *Plan) string { return p.Title })}})
		plan := &Plan{Title: "plan"}
		survey := newSurvey(plan)
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, plan, survey))
		rec := must[*persistence.Record](t)(s.Record(ctx, ids[1]))
		info := must[persistence.Info](t)(s.Stat(ctx, ids[1]))
		if diff := cmp.Diff(info, rec.Info); diff != "" {
			t.Errorf("not what Stat says: %s", diff)
		}
		if rec.Type != "persistence_test.Survey" || rec.Size != int64(len(rec.Bytes)) || rec.Version != 0 {
			t.Errorf("type %q, size %d, version %d", rec.Type, rec.Size, rec.Version)
		}
		if !slices.Equal(rec.Refs, ids[:1]) || !slices.Equal(rec.LazyRefs, ids[:1]) {
			t.Errorf("it refers to %v and %v", rec.Refs, rec.LazyRefs)
		}
		got := must[any](t)(rec.Value()).(map[string]any)
		loop := got["Next"].(map[string]any)
		if loop["Name"] != "loop" || fmt.Sprintf("%p", loop["Next"]) != fmt.Sprintf("%p", loop) || fmt.Sprintf("%p", got["Other"]) != fmt.Sprintf("%p", loop) {
			t.Error("what is shared is not")
		}
		for k := range got["Keys"].(map[any]any) {
			if b, ok := k.(*[]byte); !ok || string(*b) != "\x01\x02" {
				t.Errorf("the key %v", k)
			}
		}
		for _, name := range []string{"Next", "Other", "Keys"} {
			delete(got, name)
		}
		want := map[string]any{
			"Any": map[string]any{
				"int8": persistence.Typed{Type: "int8", Value: int64(3)}, "n": int64(7), "n64": int64(8), "nan": math.NaN(), "when": time.Unix(0, 5).UTC(), "$odd": nil, "c": 1i,
				"list": persistence.Typed{Type: "[]interface {}", Value: []any{"a", int64(1)}},
			},
			"Index": map[any]any{int64(10): "ten", int64(-1): "minus one"}, "When": survey.When, "Raw": []byte{1, 2, 255}, "Text": survey.Text,
			"Big": uint64(math.MaxUint64), "Ratio": 3.0, "Plan": persistence.RecordRef{ID: ids[0]}, "Backup": persistence.RecordRef{ID: ids[0], Lazy: true},
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Error(diff)
		}
		if zone, _ := got["When"].(time.Time).Zone(); zone != "Mars/Olympus" {
			t.Errorf("the zone is %q", zone)
		}
		var titles []any
		for rec, err := range s.Records(ctx, nil) {
			if err != nil {
				t.Fatal(err)
			}
			titles = append(titles, rec.Fields["title"])
		}
		if diff := cmp.Diff([]any{"plan", nil}, titles); diff != "" {
			t.Error(diff)
		}
		_, err := s.Record(ctx, "4000")
		wantIs(t, err, persistence.ErrNotFound, "record", "4000")
		_, err = s.Record(ctx, "no number")
		wantIs(t, err, persistence.ErrNotFound)
		for _, err := range s.Records(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("nowhere", 1)}}) {
			if err == nil {
				t.Error("a column that is not there is no error")
			}
		}
	})
}

func TestRecordsAreSelectedAndReadInPages(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		const n = 1200 // several pages
		objs := make([]any, n)
		for i := range objs {
			objs[i] = &Task{Name: fmt.Sprint(i), State: []string{"NEW", "DONE"}[i%2]}
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		q := &persistence.Query{State: []string{"DONE"}, Order: []persistence.Order{persistence.Desc("id")}, Limit: 550}
		i := n - 1
		for rec, err := range s.Records(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			if v := must[any](t)(rec.Value()).(map[string]any); rec.ID != ids[i] || v["Name"] != fmt.Sprint(i) {
				t.Fatalf("record %s is %v, want the one of %d", rec.ID, v, i)
			}
			i -= 2
		}
		if i != n-1-2*550 {
			t.Errorf("it ended before %d", i)
		}
		for range s.Records(ctx, nil) {
			break // and no lock or connection is left
		}
		check(t, s.Remove(ctx, ids[0]))
	})
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	damaged(t, 400, []persistence.ID{"3", "200"}, func(t *testing.T, s *persistence.Store, dropped int) {
		n, bad := 0, map[persistence.ID]bool{}
		for rec, err := range s.Records(t.Context(), nil) {
			if e := new(persistence.Error); errors.As(err, &e) && errors.Is(err, persistence.ErrCorrupt) {
				bad[e.ID] = true
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(rec); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 398 || len(bad) != 2 || !bad["3"] || !bad["200"] {
			t.Errorf("%d records and errors for %v", n, bad)
		}
		_, err := s.Record(t.Context(), "3")
		wantIs(t, err, persistence.ErrCorrupt, `"3"`)
	})
}

func TestRecordsOverTheLimits(t *testing.T) {
	t.Parallel()
	url, ctx := storeURL(t, "sqlite"), t.Context()
	deep := any(1)
	for range 100 {
		deep = []any{deep}
	}
	s := open(t, url, nil)
	ids := must[[]persistence.ID](t)(s.SaveAll(ctx, map[string]any{"a": deep}, []byte(strings.Repeat("x", 2000)), "short"))
	narrow := open(t, url, &persistence.Options{Limits: persistence.Limits{MaxBytes: 1900, MaxDepth: 10}})
	rec := must[*persistence.Record](t)(narrow.Record(ctx, ids[0]))
	_, err := rec.Value()
	wantIs(t, err, persistence.ErrTooLarge, string(ids[0]))
	_, err = json.Marshal(rec)
	wantIs(t, err, persistence.ErrTooLarge)
	_, err = narrow.Record(ctx, ids[1])
	wantIs(t, err, persistence.ErrTooLarge, string(ids[1]))
	var seen []string
	for rec, err := range narrow.Records(ctx, nil) {
		if err != nil {
			wantIs(t, err, persistence.ErrTooLarge, string(ids[1]))
			seen = append(seen, "error")
			continue
		}
		seen = append(seen, string(rec.ID))
	}
	if diff := cmp.Diff([]string{string(ids[0]), "error", string(ids[2])}, seen); diff != "" {
		t.Error(diff)
	}
	// A record made by hand has the default limits.
	byHand := persistence.Record{Bytes: must[*persistence.Record](t)(s.Record(ctx, ids[0])).Bytes}
	if _, err := byHand.Value(); err != nil {
		t.Error(err)
	}
	_, err = persistence.Record{Bytes: []byte("x")}.Value()
	wantIs(t, err, persistence.ErrCorrupt)
	_, err = persistence.Record{}.MarshalJSON()
	wantIs(t, err, persistence.ErrCorrupt)
}
