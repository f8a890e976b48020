package battery

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// save saves one, many at once, and one of them again.
func save(ctx context.Context, s *persistence.Store, n *notes) error {
	all := make([]any, items)
	for i := range all {
		all[i] = item(i)
	}
	if _, err := s.Save(ctx, all[0]); err != nil {
		return err
	}
	if _, err := s.SaveAll(ctx, all[1:]...); err != nil {
		return err
	}
	again := all[17].(*Item)
	again.Done = 1
	id, err := s.Save(ctx, again)
	if err != nil {
		return err
	}
	info, err := s.Stat(ctx, id)
	if err != nil {
		return err
	}
	n.add("revision %d, %d bytes, state %q", info.Revision, info.Size, info.State)
	for i, obj := range all {
		got, err := persistence.Load[Item](ctx, s, obj.(*Item).PersistentID())
		if err != nil {
			return err
		}
		if !got.equal(obj.(*Item)) {
			n.add("item %d came back as %+v", i, got)
		}
	}
	count, err := s.Count(ctx, nil)
	n.add("%d records", count)
	return err
}

// equal compares the contents of two items that refer to none.
func (i *Item) equal(o *Item) bool {
	text := (i.Text == nil) == (o.Text == nil) && (i.Text == nil || *i.Text == *o.Text)
	float := i.Float == o.Float || math.IsNaN(i.Float) && math.IsNaN(o.Float)
	return text && float && i.Name == o.Name && i.State == o.State && i.Int == o.Int && i.Bool == o.Bool &&
		bytes.Equal(i.Bytes, o.Bytes) && i.Time.Equal(o.Time) && i.Done == o.Done
}

// list lists everything by each column.
func list(ctx context.Context, s *persistence.Store, n *notes) error {
	for _, column := range append([]string{"id", "state", "type"}, columns...) {
		for _, desc := range []bool{false, true} {
			names, values, err := stat(ctx, s, &persistence.Query{Order: []persistence.Order{by(column, desc)}}, column)
			if err != nil {
				return fmt.Errorf("by %s: %w", column, err)
			}
			n.many(fmt.Sprintf("by %s, descending: %v", column, desc), names)
			if !desc {
				n.many(column, values)
			}
		}
	}
	return nil
}

func by(column string, desc bool) persistence.Order {
	if desc {
		return persistence.Desc(column)
	}
	return persistence.Asc(column)
}

// stat returns the names of what a query selects, and the values of a column.
func stat(ctx context.Context, s *persistence.Store, q *persistence.Query, column string) (names, values []string, err error) {
	for info, err := range s.StatAll(ctx, q) {
		if err != nil {
			return names, values, err
		}
		names = append(names, name(info))
		values = append(values, fmt.Sprintf("%#v", show(info.Fields[column])))
	}
	return names, values, nil
}

// name is what an item is called; in the IDs of records stores may differ.
func name(info persistence.Info) string { return fmt.Sprint(info.Fields["name"]) }

// show makes a value of a column such that equal ones print alike.
func show(v any) any {
	if t, ok := v.(time.Time); ok {
		return t.UnixMicro()
	}
	return v
}

// pages lists by each column in small pages. Each page begins where the last one ended.
func pages(ctx context.Context, s *persistence.Store, n *notes) error {
	for _, column := range columns {
		if column == "bool" {
			continue // its pages would be of one value
		}
		for _, desc := range []bool{false, true} {
			names, err := paged(ctx, s, column, desc)
			if err != nil {
				return fmt.Errorf("%s: %w", column, err)
			}
			n.many(fmt.Sprintf("%s, descending: %v", column, desc), names)
		}
	}
	return nil
}

func paged(ctx context.Context, s *persistence.Store, column string, desc bool) (names []string, err error) {
	const size = 70
	seen := map[string]bool{}
	q := &persistence.Query{Order: []persistence.Order{by(column, desc)}, Limit: size, Where: []persistence.Cond{persistence.NotNull(column)}}
	for {
		before := len(names)
		var last any
		for info, err := range s.StatAll(ctx, q) {
			if err != nil {
				return names, err
			}
			last = info.Fields[column]
			if name := name(info); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		if len(names) == before {
			return names, nil
		}
		from := persistence.Ge(column, last)
		if desc {
			from = persistence.Le(column, last)
		}
		q.Where = []persistence.Cond{from}
	}
}

// selectSome selects by values of each kind.
func selectSome(ctx context.Context, s *persistence.Store, n *notes) error {
	one := item(23)
	for i, cond := range []persistence.Cond{
		persistence.Eq("text", *one.Text), persistence.Ne("short", *one.Text), persistence.Lt("text", "a"), persistence.Ge("short", "b"),
		persistence.HasPrefix("text", `back\`), persistence.HasPrefix("short", "%"),
		persistence.Eq("int", one.Int), persistence.In("int", one.Int, int64(math.MinInt64), int64(math.MaxInt64)),
		persistence.Eq("float", one.Float), persistence.Gt("float", one.Float), persistence.NotIn("float", one.Float, -math.MaxFloat64),
		persistence.Eq("bool", true), persistence.Eq("bytes", item(27).Bytes), persistence.Gt("bytes", []byte{0x80}),
		persistence.Eq("time", one.Time), persistence.Le("time", one.Time), persistence.IsNull("text"), persistence.NotNull("float"),
		persistence.IsNull("float"), persistence.Eq("text", ""),
	} {
		names, _, err := stat(ctx, s, &persistence.Query{Where: []persistence.Cond{cond}}, "name")
		if err != nil {
			return fmt.Errorf("condition %d: %w", i, err)
		}
		n.many(fmt.Sprintf("condition %d", i), names)
	}
	names, _, err := stat(ctx, s, &persistence.Query{State: []string{`DONE \'`}, Type: "battery.Item"}, "name")
	n.many("by state", names)
	return err
}

// groups counts by each column.
func groups(ctx context.Context, s *persistence.Store, n *notes) error {
	for _, column := range append([]string{"state"}, columns...) {
		found, err := s.CountBy(ctx, column, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", column, err)
		}
		var lines []string
		for _, g := range found {
			lines = append(lines, fmt.Sprintf("%#v:%d", show(g.Value), g.Count))
		}
		n.many(column, lines)
	}
	return nil
}

// graph saves an object that refers to 150 others, and loads it. Half of the others refer to each
// other.
func graph(ctx context.Context, s *persistence.Store, n *notes) error {
	const refs = 150
	root := &Item{Name: "root", State: "GRAPH"}
	for i := range refs {
		dep := &Item{Name: fmt.Sprintf("dep%03d", i), State: "GRAPH", Int: int64(i)}
		if i%2 == 1 {
			dep.Deps = []*Item{root.Deps[i-1], root}
		}
		root.Deps = append(root.Deps, dep)
	}
	id, err := s.Save(ctx, root)
	if err != nil {
		return err
	}
	got, err := persistence.Load[Item](ctx, s, id)
	if err != nil {
		return err
	}
	n.add("%q refers to %d", got.Name, len(got.Deps))
	for i, dep := range got.Deps {
		if dep.Name != root.Deps[i].Name || dep.Int != int64(i) || i%2 == 1 && (dep.Deps[0] != got.Deps[i-1] || dep.Deps[1] != got) {
			n.add("reference %d leads to %q", i, dep.Name)
		}
	}
	got.Deps[99].Name = "renamed"
	if _, err = s.Save(ctx, got); err != nil {
		return err
	}
	names, _, err := stat(ctx, s, &persistence.Query{State: []string{"GRAPH"}}, "name")
	n.many("saved again", names)
	return err
}

// update changes what a query selects.
func update(ctx context.Context, s *persistence.Store, n *notes) error {
	changed, err := persistence.Update(ctx, s, &persistence.Query{Where: []persistence.Cond{persistence.Eq("bool", true)}}, func(i *Item) error {
		i.Done++
		i.Int++
		i.Float = math.Nextafter(i.Float, 2)
		return nil
	})
	n.add("%d changed", changed)
	if err != nil {
		return err
	}
	names, values, err := stat(ctx, s, &persistence.Query{Order: []persistence.Order{persistence.Desc("float")}, State: []string{"READY", "NEW"}}, "float")
	n.many("by float", names)
	n.many("floats", values)
	return err
}

// claims claims some records until there are no more, completes most, extends one and releases one.
func claims(ctx context.Context, s *persistence.Store, n *notes) error {
	q := &persistence.Query{State: []string{"READY"}, Where: []persistence.Cond{persistence.Lt("int", int64(0))}, Order: []persistence.Order{persistence.Asc("int")}}
	claimed := 0
	for {
		got, err := s.Claim(ctx, q, persistence.ClaimOptions{Owner: `me\'`, Lease: time.Hour, Limit: 20, State: "RUNNING"})
		if err != nil {
			return err
		}
		if len(got) == 0 {
			break
		}
		for _, c := range got {
			claimed++
			it, err := persistence.LoadClaimed[Item](ctx, c)
			if err != nil {
				return err
			}
			n.add("%s is %s of %s", it.Name, it.State, c.Owner())
			switch it.State = "DONE"; claimed {
			case 1:
				err = c.Release(ctx)
			case 2:
				err = c.Extend(ctx, 2*time.Hour)
			default:
				err = c.Complete(ctx, it)
			}
			if err != nil {
				return err
			}
		}
	}
	left := 0
	for c, err := range s.Claims(ctx) {
		if err != nil {
			return err
		}
		left++
		n.add("%s is claimed for %d h", name(c.Info()), int(time.Until(c.Until()).Hours()+0.5))
	}
	found, err := s.CountBy(ctx, "state", nil)
	n.add("%d claimed, %d left, %v", claimed, left, found)
	return err
}

// pairs sets, swaps, deletes and lists pairs.
func pairs(ctx context.Context, s *persistence.Store, n *notes) error {
	kv := s.KV()
	for i, text := range texts {
		if err := kv.Set(ctx, fmt.Sprintf("key %03d%s", i, strings.TrimSpace(text)), map[string]any{"text": text, "n": int64(i)}); err != nil {
			return err
		}
	}
	for i := range 300 {
		if err := kv.Set(ctx, fmt.Sprintf("many/%03d", i), int64(i)); err != nil {
			return err
		}
	}
	for i := range int64(3) {
		swapped, err := kv.CompareAndSwap(ctx, "many/001", i, i+1)
		if err != nil {
			return err
		}
		n.add("%d swapped: %v", i, swapped)
	}
	if err := kv.Delete(ctx, "many/000"); err != nil {
		return err
	}
	for _, prefix := range []string{"key ", "many/", `key 011back\`, "none"} {
		var found []string
		for p, err := range kv.Range(ctx, prefix) {
			if err != nil {
				return err
			}
			found = append(found, fmt.Sprintf("%q=%#v", p.Key, p.Value))
		}
		n.many("with prefix "+prefix, found)
	}
	return nil
}

// remove removes what a query selects, more records than one page of a listing has, then the rest.
func remove(ctx context.Context, s *persistence.Store, n *notes) error {
	removed, err := s.RemoveAll(ctx, &persistence.Query{Where: []persistence.Cond{persistence.NotNull("float"), persistence.HasPrefix("name", "item")}})
	n.add("%d removed", removed)
	if err != nil {
		return err
	}
	names, _, err := stat(ctx, s, nil, "name")
	if err != nil {
		return err
	}
	slices.Sort(names)
	n.many("left", names)
	if removed, err = s.RemoveAll(ctx, nil); err != nil {
		return err
	}
	count, err := s.Count(ctx, nil)
	n.add("%d removed, %d left", removed, count)
	return err
}
