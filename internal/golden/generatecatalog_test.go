//go:build goldencatalog

// This file is documentation: it tells how the files in testdata/catalog were made, with
//
//	go test -tags goldencatalog -run GenerateCatalog ./internal/golden
//
// It is not compiled with the other tests, need not compile with later versions of the library, and
// refuses to write files that are there.
package golden

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	iofs "io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func write(name string, data []byte) {
	f := must(os.OpenFile(filepath.Join("testdata", "catalog", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644))
	must(f.Write(data))
	check(f.Close())
}

var made = map[string]map[string]stampOf{}

func TestGenerateCatalog(t *testing.T) {
	check(os.MkdirAll("testdata/catalog", 0o755))
	dir := t.TempDir()
	file := filepath.Join(dir, "store.db")
	populate(t, "sqlite", "sqlite://"+file, "sqlite://"+file)
	if _, err := os.Stat(file + "-wal"); err == nil {
		panic("there is a WAL")
	}
	write("store.db", must(os.ReadFile(file)))

	pg := testserver.Postgres(t)
	db := pg.NewDB(t)
	populate(t, "postgres", pg.URL(db), pg.URL(db))
	out := must(exec.Command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "-U", "test", "-h", pg.Dir(), db).Output())
	write("postgres.sql", regexp.MustCompile(`(?m)^(--.*|\\.*)?\n`).ReplaceAll(out, nil))

	my := testserver.MariaDB(t)
	db = my.NewDB(t)
	populate(t, "mariadb", my.URL(db), my.URL(db))
	out = must(exec.Command("mariadb-dump", "--no-defaults", "--socket="+must(url.Parse(my.URL(db))).Query().Get("socket"), "-u", "root", "--hex-blob",
		"--skip-extended-insert", "--skip-add-locks", "--skip-disable-keys", "--skip-comments", "--default-character-set=utf8mb4", db).Output())
	write("mariadb.sql", regexp.MustCompile(`(?m)^(/\*M?!.*)?\n`).ReplaceAll(out, nil))

	root := filepath.Join(dir, "fs")
	populate(t, "fs", "file://"+root+"/orders", "file://"+root+"/unique_orders")
	interrupt(filepath.Join(root, "restoring"))
	write("fs.tar.gz", archive(root))
	write("stamps.json", append(must(json.MarshalIndent(made, "", " ")), '\n'))
}

// droppedField is of all types.
var droppedField = extrafields.Func("dropped", extrafields.Bool, func(any) (any, error) { return true, nil })

func populate(t *testing.T, name, ordersURL, uniqueURL string) {
	ctx := t.Context()
	quiet := slog.New(slog.DiscardHandler)
	open := func(fields ...extrafields.Field) *persistence.Store {
		return must(persistence.MakeStore(ctx, ordersURL, &persistence.Options{Table: "orders", ExtraFields: fields, Logger: quiet}))
	}
	list := orders()
	a := open(numberField, urgencyField, placedField, droppedField) // set 1
	must(a.SaveAll(ctx, list[0], list[3], list[4]))                 // 1 to 5, as Save comes upon them
	must(a.Save(ctx, &Zoned{At: []time.Time{placed(0), placed(1), placed(2)}, Times: map[string]time.Time{"ny": placed(3)}}))
	must(a.Save(ctx, "a plain value"))
	check(a.DropField(ctx, "dropped"))
	check(a.Close())

	none := open() // knows no field: 0
	second := must(persistence.Load[Order](ctx, none, list[1].PersistentID()))
	second.Urgency++
	must(none.Save(ctx, second))
	check(none.Close())

	b := open(customerField) // a set of its own
	must(b.Save(ctx, list[5]))
	away := must(b.Save(ctx, &Order{Number: "away", Customer: "Ada", Placed: placed(0)}))
	check(b.Reindex(ctx, nil))
	check(b.Quarantine(ctx, "golden", away))
	claims := must(b.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", list[2].PersistentID())}},
		persistence.ClaimOptions{Owner: "worker 1", Lease: 100 * 365 * 24 * time.Hour, State: "CLAIMED"}))
	if len(claims) != 1 {
		panic("nothing claimed")
	}
	check(b.KV().Set(ctx, "when", placed(0)))
	check(b.KV().Set(ctx, "list", []any{int8(1), "two", placed(1)}))
	noteStamps(ctx, b, name+" orders")
	check(b.Close())

	o := uniqueOptions()
	o.IDs, o.Logger = idfactory.Sequence(""), quiet
	u := must(persistence.MakeStore(ctx, uniqueURL, &o))
	uniques := orders()
	must(u.SaveAll(ctx, uniques[0], uniques[3], uniques[4], uniques[5]))
	check(u.Insert(ctx, "größe/ä b%.txt", "no order"))
	check(u.KV().Set(ctx, "k", uint8(7)))
	noteStamps(ctx, u, name+" unique_orders")
	check(u.Close())
}

func noteStamps(ctx context.Context, s *persistence.Store, name string) {
	made[name] = map[string]stampOf{}
	for i, err := range s.StatAll(ctx, nil) {
		check(err)
		made[name][string(i.ID)] = stampOf{i.Type, i.State, i.Revision, i.Size, i.Created.UnixMicro(), i.Modified.UnixMicro()}
	}
}

// interrupt leaves a directory as a crash leaves it in the middle of a commit that puts a record
// back from quarantine.
func interrupt(dir string) {
	ctx := context.Background()
	s := must(persistence.MakeStore(ctx, "file://"+dir, &persistence.Options{Logger: slog.New(slog.DiscardHandler), ExtraFields: []extrafields.Field{numberField}}))
	for i := range 3 {
		must(s.Save(ctx, &Order{Number: []string{"a", "b", "c"}[i], Placed: placed(i)}))
	}
	ids := listed(ctx, s)
	check(s.Quarantine(ctx, "golden", ids[0], ids[1]))
	// A folder gets in the way of the second file once its temporary is there.
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(dir, ".brine.tmp.1")); err == nil {
				check(os.Mkdir(filepath.Join(dir, string(ids[1])), 0o700))
				return
			}
		}
	}()
	check(s.Unquarantine(ctx, ids[0], ids[1])) // it is committed, though not all is in place
	check(s.Close())
	check(os.Remove(filepath.Join(dir, string(ids[1]))))
	must(os.Stat(filepath.Join(dir, ".brine.commit")))
}

func listed(ctx context.Context, s *persistence.Store) (ids []persistence.ID) {
	for id, err := range s.List(ctx, nil) {
		check(err)
		ids = append(ids, id)
	}
	return ids
}

// archive packs a folder: with fixed names, owners and times, so that it holds nothing of the
// machine.
func archive(root string) []byte {
	var out bytes.Buffer
	z := must(gzip.NewWriterLevel(&out, gzip.BestCompression))
	w := tar.NewWriter(z)
	check(filepath.WalkDir(root, func(path string, e iofs.DirEntry, err error) error {
		check(err)
		rel := filepath.ToSlash(must(filepath.Rel(root, path)))
		if rel == "." {
			return nil
		}
		h := &tar.Header{Name: rel, Mode: 0o600, ModTime: time.Unix(1_700_000_000, 0), Format: tar.FormatPAX}
		if e.IsDir() {
			h.Name, h.Mode, h.Typeflag = rel+"/", 0o700, tar.TypeDir
			return w.WriteHeader(h)
		}
		f := must(os.Open(path))
		defer f.Close()
		h.Size, h.Typeflag = must(f.Stat()).Size(), tar.TypeReg
		check(w.WriteHeader(h))
		must(io.Copy(w, f))
		return nil
	}))
	check(w.Close())
	check(z.Close())
	return out.Bytes()
}
