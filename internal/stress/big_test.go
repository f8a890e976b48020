package stress_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// Blob is an object of any size.
type Blob struct {
	persistence.Persistable
	Name     string
	Data     []byte
	Children []*Blob
}

func init() { persistence.Register[Blob]("stress.Blob") }

// one big object at a time: each is in memory several times over.
var oneBig sync.Mutex

func bigSize() int {
	if long() {
		return 100 << 20
	}
	return 20 << 20 // over MariaDB's default limit too
}

// incompressible returns bytes that no server can make smaller.
func incompressible(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestBigObjectIsStoredOrRefusedWithNothingLost(t *testing.T) {
	t.Parallel()
	embedded(t, func(t *testing.T, url string) { big(t, url, true) })
	for name, test := range map[string]struct {
		start  func(testing.TB, ...testserver.Option) *testserver.Server
		flags  []string
		stored bool
	}{
		"postgres": {testserver.Postgres, nil, true},
		"mariadb":  {testserver.MariaDB, nil, false},
		"mariadb that takes large packets": {testserver.MariaDB,
			[]string{"--max-allowed-packet=512M", "--innodb-log-file-size=1G"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := test.start(t, testserver.Flags(test.flags...))
			big(t, srv.URL(srv.NewDB(t)), test.stored)
		})
	}
}

// big grows a small object beyond what some servers take.
func big(t *testing.T, url string, stored bool) {
	t.Helper()
	oneBig.Lock()
	defer oneBig.Unlock()
	s, ctx := openStore(t, url), t.Context()
	small := &Blob{Name: "small", Data: []byte("old")}
	id, err := s.Save(ctx, small)
	if err != nil {
		t.Fatal(err)
	}
	data := incompressible(bigSize())
	small.Data = data
	_, err = s.Save(ctx, small)
	got, lerr := persistence.Load[Blob](ctx, openStore(t, url), id)
	if lerr != nil {
		t.Fatalf("after a save that ended with %v: load: %v", err, lerr)
	}
	switch {
	case stored && err != nil:
		t.Fatalf("an object of %d bytes was not stored: %v", len(data), err)
	case stored && !bytes.Equal(got.Data, data):
		t.Fatalf("an object of %d bytes came back as one of %d, or with other bytes", len(data), len(got.Data))
	case stored:
	case !errors.Is(err, persistence.ErrTooLarge):
		t.Fatalf("an object of %d bytes, which the server does not take, was refused with %v", len(data), err)
	case string(got.Data) != "old":
		t.Fatalf("the old revision is gone: %d bytes", len(got.Data))
	default:
		t.Logf("refused: %v", err)
		if size := fmt.Sprint(len(data))[:3]; !strings.Contains(err.Error(), size) {
			t.Errorf("the error does not name the size, %d", len(data))
		}
		if want := fmt.Sprintf("the largest field is stress.Blob.Data with %d", len(data)+5); !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}

	// A new object of that size, together with a small one: both or none.
	n, err := s.Count(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.SaveAll(ctx, &Blob{Name: "another"}, &Blob{Name: "new", Data: data})
	if stored != (err == nil) || err != nil && !errors.Is(err, persistence.ErrTooLarge) {
		t.Errorf("two objects, one of them large: %v", err)
	}
	now, cerr := s.Count(ctx, nil)
	if cerr != nil {
		t.Fatal(cerr)
	}
	if err == nil && now != n+2 || err != nil && now != n {
		t.Errorf("%d records where %d were, after %v", now, n, err)
	}

	// The store goes on, and the object too.
	small.Data = []byte("new")
	if _, err := s.Save(ctx, small); err != nil {
		t.Fatalf("the object, small again: %v", err)
	}
	if got, err := persistence.Load[Blob](ctx, s, id); err != nil || string(got.Data) != "new" {
		t.Fatalf("the object, small again: %v", err)
	}
}

func TestRootOfManyChildrenComesBackEqual(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		children := 5040 // one more than breaks a list of IDs in a BLOB of 65,535 bytes
		if strings.HasPrefix(url, "file:") && !long() || testing.Short() {
			children = 500 // where there is no such limit
		}
		s, ctx := openStore(t, url), t.Context()
		root := &Blob{Name: "root"}
		for i := range children {
			root.Children = append(root.Children, &Blob{Name: fmt.Sprint("child ", i)})
		}
		id, err := s.Save(ctx, root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := persistence.Load[Blob](ctx, openStore(t, url), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names(root), names(got)); diff != "" {
			t.Fatal(diff)
		}
		if n, err := s.Count(ctx, nil); err != nil || n != int64(children+1) {
			t.Fatalf("%d records, %v", n, err)
		}
	})
}

func names(b *Blob) []string {
	all := []string{b.Name}
	for _, child := range b.Children {
		all = append(all, child.Name)
	}
	return all
}
