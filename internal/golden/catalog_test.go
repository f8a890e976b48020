package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// The stores of testdata/catalog have format 2, in the table or directory orders, and format 3, in
// unique_orders.

// A stampOf is what a record had when the store was made.
type stampOf struct {
	Type, State                       string
	Revision, Size, Created, Modified int64
}

// A catalogCopy is a copy that a test may write to.
type catalogCopy struct{ name, orders, unique string }

func everyCatalog(t *testing.T, test func(t *testing.T, c catalogCopy)) {
	for name, urls := range map[string]func(t *testing.T) (string, string){
		"sqlite":   func(t *testing.T) (string, string) { u := restoreSQLite(t, "catalog/store.db"); return u, u },
		"postgres": func(t *testing.T) (string, string) { u := restorePostgres(t, "catalog/postgres.sql"); return u, u },
		"mariadb":  func(t *testing.T) (string, string) { u := restoreMariaDB(t, "catalog/mariadb.sql"); return u, u },
		"fs": func(t *testing.T) (string, string) {
			dir := unpack(t, "catalog/fs.tar.gz")
			return "file:" + filepath.Join(dir, "orders"), "file:" + filepath.Join(dir, "unique_orders")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders, unique := urls(t)
			test(t, catalogCopy{name, orders, unique})
		})
	}
}

// catalogStamps returns what the records of a store had, by their IDs.
func catalogStamps(t *testing.T, store string) map[persistence.ID]stampOf {
	t.Helper()
	var all map[string]map[persistence.ID]stampOf
	if err := json.Unmarshal(read(t, "catalog/stamps.json"), &all); err != nil || len(all[store]) == 0 {
		t.Fatalf("%s has %d stamps, %v", store, len(all[store]), err)
	}
	return all[store]
}

// stampsOf returns what the records have.
func stampsOf(t *testing.T, s *persistence.Store) map[persistence.ID]stampOf {
	t.Helper()
	got := map[persistence.ID]stampOf{}
	for _, i := range collect(t, s.StatAll(t.Context(), nil)) {
		got[i.ID] = stampOf{i.Type, i.State, i.Revision, i.Size, i.Created.UnixMicro(), i.Modified.UnixMicro()}
	}
	return got
}

func ordersOptions(log *bytes.Buffer) persistence.Options {
	return persistence.Options{
		Table: "orders", ExtraFields: []extrafields.Field{numberField, urgencyField, placedField, customerField},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
}

// numberOf returns the ID of the order with a number.
func numberOf(t *testing.T, s *persistence.Store, number string) persistence.ID {
	t.Helper()
	for id, o := range loadOrders(t, s) {
		if o.Number == number {
			return id
		}
	}
	t.Fatalf("there is no order %q", number)
	return ""
}

func loadOrders(t *testing.T, s *persistence.Store) map[persistence.ID]*Order {
	t.Helper()
	all := map[persistence.ID]*Order{}
	for _, o := range collect(t, persistence.All[Order](t.Context(), s, nil)) {
		all[o.PersistentID()] = o
	}
	return all
}

// wantOrders are the orders as they stand in a store, by their numbers: those of table orders, or
// those of unique_orders.
func wantOrders(changed bool) map[string]*Order {
	want := map[string]*Order{}
	for _, o := range orders() {
		want[o.Number] = o
	}
	if changed {
		want["zwei"].Urgency++
		want["trois"].State = "CLAIMED"
	}
	return want
}

// sameOrder reports how an order differs from what it was, but for its references.
func sameOrder(want, got *Order) string {
	parts := func(o *Order) (numbers []string) {
		if o.Parts == nil {
			return nil
		}
		numbers = []string{}
		for _, p := range o.Parts {
			numbers = append(numbers, p.Number)
		}
		return numbers
	}
	diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Order{}, "Persistable", "Parts", "After"), compare)
	if d := cmp.Diff(parts(want), parts(got)); d != "" {
		diff += "parts: " + d
	}
	if want.Placed.Location().String() != got.Placed.Location().String() {
		diff += fmt.Sprintf("placed in %v, not %v", got.Placed.Location(), want.Placed.Location())
	}
	return diff
}

func TestStoresWithColumns(t *testing.T) {
	t.Parallel()
	everyCatalog(t, func(t *testing.T, c catalogCopy) {
		ctx := t.Context()
		var log bytes.Buffer
		s := open(t, c.orders, ordersOptions(&log))
		want := catalogStamps(t, c.name+" orders")
		if diff := cmp.Diff(want, stampsOf(t, s)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if text := log.String(); strings.Count(text, "Options.Reindex") != 1 || !strings.Contains(text, "number, urgency, placed") || strings.Contains(text, "customer") {
			t.Errorf("opening it said %s", text)
		}
		columns := func() (names []string) {
			t.Helper()
			infos, err := s.Columns(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range infos {
				names = append(names, fmt.Sprint(i.Name, " ", i.Kind, " ", i.Complete, " ", strings.Join(i.Types, ",")))
			}
			return names
		}
		const types = " golden.order,golden.purchase"
		if diff := cmp.Diff([]string{"customer text true" + types, "number text false" + types, "placed time false" + types, "urgency int false" + types}, columns()); diff != "" {
			t.Errorf("columns (-want +got)\n%s", diff)
		}
		ids := map[string]persistence.ID{}
		for id, o := range loadOrders(t, s) {
			ids[o.Number] = id
			if diff := sameOrder(wantOrders(true)[o.Number], o); diff != "" {
				t.Errorf("%s (-want +got)\n%s", id, diff)
			}
		}
		if len(ids) != 6 {
			t.Fatalf("%d orders", len(ids))
		}
		ada := []persistence.ID{ids["one"], ids["trois"], ids["пять"]}
		slices.SortFunc(ada, idfactory.Compare)
		if got := list(t, s, where(persistence.Eq("customer", "Ada"))); !slices.Equal(got, ada) {
			t.Errorf("Ada's are %v, not %v", got, ada)
		}
		// Of one a program without the columns wrote all, of another it raised the urgency.
		stale := map[persistence.ID]bool{}
		for _, f := range collect(t, s.Vet(ctx, nil)) {
			if f.Kind != persistence.StaleColumn {
				t.Errorf("found %v", f)
			}
			stale[f.ID] = true
		}
		if diff := cmp.Diff(map[persistence.ID]bool{ids["zwei"]: true, ids["六"]: true}, stale); diff != "" {
			t.Errorf("stale (-want +got)\n%s", diff)
		}
		if err := s.Reindex(ctx, nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range columns() {
			if strings.Contains(name, "false") {
				t.Errorf("%s after Reindex", name)
			}
		}
		if got := list(t, s, where(persistence.Eq("urgency", 1001), persistence.Eq("number", "zwei"))); !slices.Equal(got, []persistence.ID{ids["zwei"]}) {
			t.Errorf("found %v", got)
		}
		for _, f := range collect(t, s.Vet(ctx, nil)) {
			t.Errorf("after Reindex: %v", f)
		}
		unchangedByUse(t, s, want)

		var claims []string
		for _, cl := range collect(t, s.Claims(ctx)) {
			claims = append(claims, fmt.Sprint(cl.ID(), " ", cl.Owner(), " ", cl.Token(), " ", cl.Until().After(time.Now().AddDate(50, 0, 0))))
		}
		if diff := cmp.Diff([]string{fmt.Sprint(ids["trois"], " worker 1 2 true")}, claims); diff != "" {
			t.Errorf("claims (-want +got)\n%s", diff)
		}
		pairs := map[string]any{}
		for _, p := range collect(t, s.KV().Range(ctx, "")) {
			pairs[p.Key] = p.Value
		}
		when := placed(0) // a struct loads as a pointer
		if diff := cmp.Diff(map[string]any{"when": &when, "list": []any{int8(1), "two", placed(1)}}, pairs, compare); diff != "" {
			t.Errorf("pairs (-want +got)\n%s", diff)
		}
		var away []persistence.ID
		for _, q := range collect(t, s.Quarantined(ctx)) {
			if q.Err != nil || q.Reason != "golden" {
				t.Errorf("in quarantine: %+v", q)
			}
			away = append(away, q.ID)
		}
		if len(away) != 1 {
			t.Fatalf("%d records are in quarantine", len(away))
		}
		if err := s.Unquarantine(ctx, away...); err != nil {
			t.Fatal(err)
		}
		back, err := persistence.Load[Order](ctx, s, away[0])
		if err != nil || back.Number != "away" || !back.Placed.Equal(placed(0)) {
			t.Errorf("%+v came back, %v", back, err)
		}
		if got := list(t, s, where(persistence.Eq("customer", "Ada"))); len(got) != 4 {
			t.Errorf("Ada's are %v", got)
		}
		// Numbers that were given out are not given out again.
		saved, err := s.Save(ctx, &Order{})
		if err != nil {
			t.Fatal(err)
		}
		if want[saved] != (stampOf{}) || saved == away[0] {
			t.Errorf("the next ID is %s", saved)
		}
	})
}

// unchangedByUse saves, migrates and checks what is there, which writes nothing.
func unchangedByUse(t *testing.T, s *persistence.Store, want map[persistence.ID]stampOf) {
	t.Helper()
	for id := range want {
		obj, err := s.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := obj.(persistence.Object); ok {
			if _, err := s.Save(t.Context(), o); err != nil {
				t.Error(err)
			}
		}
	}
	report, err := s.Migrate(t.Context(), persistence.MigrateOptions{})
	if err != nil || report.Rewritten+report.Failed != 0 {
		t.Errorf("migrated %+v, %v", report, err)
	}
	for _, f := range collect(t, s.Check(t.Context(), persistence.CheckOptions{})) {
		t.Errorf("check finds %v", f)
	}
	if diff := cmp.Diff(want, stampsOf(t, s)); diff != "" {
		t.Errorf("something was written: (-want +got)\n%s", diff)
	}
}

func TestStoresWithUniqueIndexes(t *testing.T) {
	t.Parallel()
	everyCatalog(t, func(t *testing.T, c catalogCopy) {
		ctx := t.Context()
		want := catalogStamps(t, c.name+" unique_orders")
		for name, o := range map[string]persistence.Options{
			"a program that declares them":   uniqueOptions(),
			"a program that does not":        {Table: "unique_orders", ExtraFields: []extrafields.Field{numberField, customerField, urgencyField}},
			"a program that declares no one": {Table: "unique_orders"},
		} {
			s := open(t, c.unique, o)
			if diff := cmp.Diff(want, stampsOf(t, s)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
			infos, err := s.Columns(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var columns []string
			for _, i := range infos {
				columns = append(columns, fmt.Sprint(i.Name, " ", i.Unique, " ", i.Complete))
			}
			if diff := cmp.Diff([]string{"customer false true", "number true true", "urgency false true"}, columns); diff != "" {
				t.Errorf("%s: columns (-want +got)\n%s", name, diff)
			}
			unchangedByUse(t, s, want)
		}
		o := uniqueOptions()
		o.IDs = idfactory.Sequence("")
		s := open(t, c.unique, o)
		for id, got := range loadOrders(t, s) {
			if diff := sameOrder(wantOrders(false)[got.Number], got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", id, diff)
			}
		}
		holder := numberOf(t, s, "zwei")
		for name, taken := range map[string]*Order{
			"the number":               {Number: "zwei", Customer: "Cy"},
			"the customer and urgency": {Number: "new", Customer: "Bo", Urgency: 1000},
		} {
			_, err := s.Save(ctx, taken)
			if u, ok := errors.AsType[*persistence.UniqueError](err); !ok || !errors.Is(err, persistence.ErrUnique) || u.Holder != holder {
				t.Errorf("%s: %v", name, err)
			}
		}
		if id, err := s.Save(ctx, &Order{Number: "new", Customer: "Cy"}); err != nil || want[id] != (stampOf{}) {
			t.Errorf("a new order is %s, %v", id, err)
		}
		if got := list(t, s, &persistence.Query{State: []string{"NEW"}, Where: []persistence.Cond{persistence.Ge("urgency", 4000)}, Order: []persistence.Order{persistence.Desc("urgency")}}); !slices.Equal(got, []persistence.ID{numberOf(t, s, "六"), numberOf(t, s, "пять")}) {
			t.Errorf("found %v", got)
		}
		if v, err := persistence.Value[uint8](ctx, s.KV(), "k"); v != 7 || err != nil {
			t.Errorf("the pair is %v, %v", v, err)
		}
		if v, err := s.Load(ctx, "größe/ä b%.txt"); v != "no order" || err != nil {
			t.Errorf("the plain value is %v, %v", v, err)
		}
	})
}

// A commit that puts records back from quarantine is finished by whoever comes next.
func TestAnUnfinishedReturnFromQuarantine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(unpack(t, "catalog/fs.tar.gz"), "restoring")
	s := open(t, "file:"+dir, persistence.Options{ExtraFields: []extrafields.Field{numberField}})
	var numbers []string
	for _, o := range loadOrders(t, s) {
		numbers = append(numbers, o.Number)
	}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []string{"a", "b", "c"}) {
		t.Errorf("the orders are %q", numbers)
	}
	if away := collect(t, s.Quarantined(t.Context())); len(away) != 0 {
		t.Errorf("in quarantine are %v", away)
	}
	if got := list(t, s, where(persistence.Ge("number", "a"))); len(got) != 3 {
		t.Errorf("found %v", got)
	}
	for _, f := range collect(t, s.Check(t.Context(), persistence.CheckOptions{})) {
		t.Errorf("check finds %v", f)
	}
	if _, err := os.Stat(filepath.Join(dir, ".brine.commit")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the list of the commit is left: %v", err)
	}
}

// The formats are those that these stores are to hold for later versions.
func TestFormatsOfTheStoresWithACatalog(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "catalog/fs.tar.gz")
	for file, mark := range map[string]string{
		"orders/.brine.meta": "\xa7brinem2", "orders/1": "\xa7brine/2", "unique_orders/.brine.meta": "\xa7brinem3",
		"restoring/.brine.commit": "\xa7brinec1",
	} {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil || !bytes.HasPrefix(b, []byte(mark)) {
			t.Errorf("%s begins with %.8q, not with %q; %v", file, b, mark, err)
		}
	}
	for _, dump := range []string{"catalog/postgres.sql", "catalog/mariadb.sql"} {
		text := string(read(t, dump))
		for table, format := range map[string]string{"orders": ", 2, '{", "unique_orders": ", 3, '{"} {
			i := strings.Index(text, "VALUES ('"+table+"'")
			if i < 0 {
				t.Errorf("%s has no store %s", dump, table)
				continue
			}
			if line, _, _ := strings.Cut(text[i:], "\n"); !strings.Contains(strings.ReplaceAll(line, ",", ", "), format) && !strings.Contains(line, format) {
				t.Errorf("%s: the store %s has another format: %s", dump, table, line)
			}
		}
	}
}

func TestReaderInPythonReadsTheStoresWithACatalog(t *testing.T) {
	t.Parallel()
	python(t)
	dir := unpack(t, "catalog/fs.tar.gz")
	url := restoreSQLite(t, "catalog/store.db")
	db := strings.TrimPrefix(url, "sqlite:")
	for _, c := range []struct {
		name, url string
		args      []string
	}{
		{"orders", url, []string{db, "--table=orders"}},
		{"unique_orders", url, []string{db, "--table=unique_orders"}},
		{"orders", "file:" + filepath.Join(dir, "orders"), []string{filepath.Join(dir, "orders")}},
		{"unique_orders", "file:" + filepath.Join(dir, "unique_orders"), []string{filepath.Join(dir, "unique_orders")}},
		{"restoring", "file:" + filepath.Join(dir, "restoring"), []string{filepath.Join(dir, "restoring")}},
	} {
		t.Run(c.name+" of "+strings.Split(c.url, ":")[0], func(t *testing.T) {
			objects := printed(t, c.args...) // before Go opens the store, and finishes a commit
			pairs := printed(t, append(c.args, "--pairs")...)
			checked := reader(t, append([]string{"check"}, c.args...)...)
			s := open(t, c.url, persistence.Options{Table: c.name})
			compareRead(t, s, objects, func(i persistence.Info) (any, error) { return s.Load(t.Context(), i.ID) })
			comparePairs(t, s, pairs)
			if checked != "" {
				t.Errorf("check found %q", checked)
			}
		})
	}
}
