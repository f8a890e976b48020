package battery

import (
	"fmt"
	"math"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// items is how many records there are: more than a server's first page of a listing.
const items = 320

// An Item has a value of each kind of column. Some values are nil, and none of the text, bytes and
// floats stands for itself when it is rounded, escaped, padded or cut.
type Item struct {
	persistence.Persistable
	Name  string
	State string
	Text  *string
	Int   int64
	Float float64 // NaN: a column that is NULL
	Bool  bool
	Bytes []byte
	Time  time.Time
	Deps  []*Item
	Done  int
}

func init() { persistence.Register[Item]("battery.Item") }

// columns are the extra columns, one of each kind; those with an index are limited in length.
var columns = []string{"text", "short", "int", "float", "bool", "bytes", "time"}

var fields = []extrafields.Field{
	extrafields.Of("name", func(i *Item) string { return i.Name }),
	extrafields.Get("text", extrafields.Text, "Text"),
	extrafields.Get("short", extrafields.Text, "Text").Indexed(),
	extrafields.Of("int", func(i *Item) int64 { return i.Int }).Indexed(),
	extrafields.Of("float", func(i *Item) float64 { return i.Float }).Indexed(),
	extrafields.Of("bool", func(i *Item) bool { return i.Bool }),
	extrafields.Of("bytes", func(i *Item) []byte { return i.Bytes }),
	extrafields.Of("time", func(i *Item) time.Time { return i.Time }).Indexed(),
}

// texts are what servers quote, escape, fold and pad.
var texts = []string{
	"", "a", "A", "b ", "b", "é", "E", "ß", "ss", "日本", "😀", `back\slash`, `\\`, `\'`, "'", "''", `"`, "%", "_", "?", "$1", ":x", "--", "/*", ";",
	"NULL", "true", "1", "01", "1.0", "1e3", "tab\t", "line\n", "\r\n", "\x7f", "z", "Z", "ä", "\u0130", "İ", "ı",
}

// item returns record i. Neighbouring floats differ in their last bit alone, and neighbouring times
// in a microsecond.
func item(i int) *Item {
	it := &Item{
		Name: fmt.Sprintf("item%03d", i), State: [...]string{"NEW", "READY", "DONE \\'"}[i%3],
		Int: int64(i*7919%items) - items/2, Float: math.Float64frombits(math.Float64bits(1.1) + uint64(i*7%items)), Bool: i%2 == 0,
		Bytes: []byte{byte(i), 0, '\\', '\'', byte(i >> 3), 255}[:i%7],
		Time:  time.Date(2026, 11, 27, 1, 30, 0, 1000*(i*31%items), time.UTC).AddDate(i%5*300-600, 0, 0),
	}
	if i%11 != 0 {
		text := texts[i%len(texts)]
		if i%2 == 0 {
			text += fmt.Sprint(i)
		}
		it.Text = &text
	}
	switch i {
	case 3:
		it.Int = math.MinInt64
	case 4:
		it.Int = math.MaxInt64
	case 5:
		it.Float = math.SmallestNonzeroFloat64
	case 6:
		it.Float = -math.MaxFloat64
	case 7, 14, 21:
		it.Float = math.NaN()
	case 8:
		it.Time = time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	case 9:
		it.Time = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	}
	return it
}
