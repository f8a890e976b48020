package golden

import (
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// An Order is a record of the stores in testdata/catalog. Its fields do not change.
type Order struct {
	persistence.Persistable
	Number   string
	Customer string
	Urgency  int
	State    string
	Placed   time.Time
	Parts    []*Order
	After    persistence.Ref[Order]
	Note     string `msgpack:"note,alias:remark,omitempty"`
}

// RecordVersion is that of the records, which older ones do not have.
func (o *Order) RecordVersion() int { return 2 }

// UpgradeRecord implements the upgrade of an older record.
func (o *Order) UpgradeRecord(from int, fields map[string]any) error {
	if from == 0 {
		fields["Urgency"] = int64(1)
	}
	return nil
}

func init() {
	persistence.Register[Order]("golden.order")
	persistence.RegisterAlias[Order]("golden.purchase")
}

// The programs of the stores: each declares other fields.
var (
	numberField   = extrafields.Of("number", func(o *Order) string { return o.Number })
	urgencyField  = extrafields.Of("urgency", func(o *Order) int { return o.Urgency })
	placedField   = extrafields.Of("placed", func(o *Order) time.Time { return o.Placed })
	customerField = extrafields.Of("customer", func(o *Order) string { return o.Customer })
)

// uniqueOptions are those of the store with indexes.
func uniqueOptions() persistence.Options {
	return persistence.Options{
		Table:       "unique_orders",
		ExtraFields: []extrafields.Field{numberField.Unique(), customerField, urgencyField},
		Indexes: []persistence.Index{
			{Columns: []string{"state", "urgency"}},
			{Columns: []string{"customer", "urgency"}, Unique: true},
		},
	}
}

// placed returns a time in New York, in a zone that has no name, or in UTC.
func placed(n int) time.Time {
	at := time.Date(2024, 3, 8+n, 9, 0, 0, 1000*n, time.UTC)
	switch n % 3 {
	case 0:
		loc, err := time.LoadLocation("America/New_York")
		if err != nil {
			panic(err)
		}
		return time.Date(2024, 3, 8+n, 9, 0, 0, 1000*n, loc)
	case 1:
		return at.In(time.FixedZone("", 5400))
	}
	return at
}

// orders are those of the table orders, from ID 1: a graph with a cycle.
func orders() []*Order {
	names := []string{"one", "zwei", "trois", "größer 4", "пять", "六"}
	list := make([]*Order, len(names))
	for i, name := range names {
		list[i] = &Order{Number: name, Customer: []string{"Ada", "Bo"}[i%2], Urgency: i * 1000, State: "NEW", Placed: placed(i)}
	}
	list[0].Parts = []*Order{list[1], list[2], list[1]}
	list[1].Parts = []*Order{list[0]}
	list[2].After = persistence.RefTo(list[3])
	list[3].Parts = []*Order{}
	list[4].Note = "a note"
	return list
}
