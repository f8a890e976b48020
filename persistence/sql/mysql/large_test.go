package mysql_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

// noise returns n bytes that no compression makes smaller.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b) // never fails
	return b
}

func blob(id driver.ID, n int) driver.Mutation {
	m := create(id, "")
	m.Rec.Data = noise(n)
	return m
}

func TestObjectsUpToThePacketLimitAreStored(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := testserver.MariaDB(t, testserver.Flags("--max-allowed-packet=1M"))
	b, _ := open(t, s.URL(s.NewDB(t)), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "note", Kind: driver.Text}}}, driver.OpenOptions{})
	with := func(m driver.Mutation, note string) driver.Mutation {
		m.Rec.Fields = []any{note}
		return m
	}
	kept := []driver.Mutation{with(blob("1", limit), "x"), with(blob("2", limit-1), "x"), with(create("3", "y"), strings.Repeat("n", limit))}
	for _, m := range kept {
		apply(t, b, m)
	}
	// Far more than one packet, in one batch: rows of every size.
	var batch []driver.Mutation
	for i := range 120 {
		batch = append(batch, with(blob(driver.ID(fmt.Sprint(1000+i)), i*i*20), strings.Repeat("n", i*997%90_000)))
	}
	apply(t, b, batch...)
	for _, m := range append(batch, kept...) {
		got := get(t, b, everything, m.Rec.ID)[m.Rec.ID]
		if !bytes.Equal(got.Data, m.Rec.Data) || got.Fields[0] != m.Rec.Fields[0] {
			t.Fatalf("record %q came back as %d bytes of data and %d of text, not as %d and %d", m.Rec.ID,
				len(got.Data), len(got.Fields[0].(string)), len(m.Rec.Data), len(m.Rec.Fields[0].(string)))
		}
	}

	for _, tt := range []struct {
		name  string
		m     driver.Mutation
		words []string
	}{
		{"data a byte over it", with(blob("7", limit+1), "x"), []string{`"7"`, "1048577", "1048576"}},
		{"data far over it", with(blob("7", 8*limit), "x"), []string{`"7"`, "8388608", "1048576"}},
		{"a text over it", with(create("7", "y"), strings.Repeat("n", limit+1)), []string{`"7"`, "1048576"}},
	} {
		for _, ms := range [][]driver.Mutation{{tt.m}, {with(create("8", "z"), "x"), tt.m, with(create("9", "z"), "x")}} {
			_, err := b.Apply(t.Context(), ms)
			var re *driver.RecordError
			if !errors.Is(err, driver.ErrTooLarge) || !errors.As(err, &re) || re.ID != "7" {
				t.Fatalf("%s, in %d mutations: %v", tt.name, len(ms), err)
			}
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s: the error lacks %s: %v", tt.name, word, err)
				}
			}
			if len(err.Error()) > 1000 {
				t.Errorf("%s: an error of %d bytes", tt.name, len(err.Error()))
			}
			if n := len(scan(t, b, &driver.Query{})); n != len(batch)+len(kept) {
				t.Fatalf("%s: %d records instead of %d", tt.name, n, len(batch)+len(kept))
			}
			// The statement that choked serves again, with other values.
			apply(t, b, with(create("7", "short"), "x"))
			if got := get(t, b, everything, "7")["7"]; string(got.Data) != "short" || got.Fields[0] != "x" {
				t.Fatalf("%s: afterwards %q, %q", tt.name, got.Data, got.Fields[0])
			}
			apply(t, b, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: "7"}})
		}
	}
}

func TestALimitThatSinksIsFoundOut(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t)
	rawURL := s.URL(s.NewDB(t))
	b, _ := open(t, rawURL, integers, driver.OpenOptions{})
	apply(t, b, blob("1", 2<<20))
	s.Restart()
	run(t, raw(t, rawURL), "SET GLOBAL max_allowed_packet = 1048576") // what the store's next connection gets
	for range 2 {
		if _, err := b.Apply(t.Context(), []driver.Mutation{blob("2", 2<<20)}); !errors.Is(err, driver.ErrTooLarge) || !strings.Contains(err.Error(), `"2"`) {
			t.Errorf("two MiB where one is allowed: %v", err)
		}
		apply(t, b, driver.Mutation{Op: driver.Put, Rec: record("3", "works")})
	}
	if len(get(t, b, everything, "1", "2", "3")) != 2 {
		t.Error("the records are not what was acknowledged")
	}
}

func TestAHundredMegabytes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a few hundred megabytes of memory")
	}
	m := blob("1", 100<<20)
	for _, tt := range []struct {
		name, packet string
		fits         bool
	}{{"fits in 256M", "256M", true}, {"does not fit in 16M", "16M", false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := testserver.MariaDB(t, testserver.Flags("--max-allowed-packet="+tt.packet))
			b, _ := open(t, s.URL(s.NewDB(t)), integers, driver.OpenOptions{})
			_, err := b.Apply(t.Context(), []driver.Mutation{m, create("2", "beside it")})
			if !tt.fits {
				if !errors.Is(err, driver.ErrTooLarge) || !strings.Contains(err.Error(), "104857600") || !strings.Contains(err.Error(), "16777216") {
					t.Errorf("error %v", err)
				}
				if ids := scan(t, b, &driver.Query{}); len(ids) != 0 {
					t.Errorf("%q was written", ids)
				}
				apply(t, b, create("2", "beside it"))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := get(t, b, everything, "1", "2"); !bytes.Equal(got["1"].Data, m.Rec.Data) || string(got["2"].Data) != "beside it" {
				t.Errorf("%d bytes came back", len(got["1"].Data))
			}
			apply(t, b, driver.Mutation{Op: driver.Update, Rec: record("1", "small again"), IfRev: 1})
		})
	}
}

func TestLongTextsSortToTheirEnd(t *testing.T) {
	t.Parallel()
	b, _ := open(t, fresh(t), driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "note", Kind: driver.Text}, {Name: "raw", Kind: driver.Bytes, Indexed: true}}}, driver.OpenOptions{})
	same := strings.Repeat("é", 8000) // by default the first 1,024 bytes count
	apply(t, b, create("1", "", same+"c", []byte(same+"c")), create("2", "", same+"b", []byte(same+"b")), create("3", "", same+"a", []byte(same+"a")))
	for _, column := range []string{"note", "raw"} {
		order := []driver.Order{{Column: column}}
		if ids := scan(t, b, &driver.Query{Order: order}); strings.Join(idTexts(ids), " ") != "3 2 1" {
			t.Errorf("by %s: %q", column, ids)
		}
		var last any = same + "b"
		if column == "raw" {
			last = []byte(same + "b")
		}
		if ids := scan(t, b, &driver.Query{Order: order, After: &driver.Cursor{Values: []any{last}, ID: "2"}}); strings.Join(idTexts(ids), " ") != "1" {
			t.Errorf("by %s, after the second: %q", column, ids)
		}
	}
}

func idTexts(ids []driver.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return texts
}
