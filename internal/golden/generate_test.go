//go:build goldengenerate

// This file is documentation: it tells how the files in testdata were made, by commit 7dfbdd8, with
//
//	go test -tags goldengenerate -run Generate ./internal/golden
//
// It is not compiled with the other tests, need not compile with later versions of the library, and
// refuses to write files that are there.
package golden

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"go/format"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs"
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

// write makes a file that is not there.
func write(path string, data []byte) {
	f := must(os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644))
	must(f.Write(data))
	check(f.Close())
}

// What becomes stamps_test.go, which is put in its place by hand.
var stampText, untilText bytes.Buffer

func TestGenerate(t *testing.T) {
	stampText.WriteString(`package golden

// stamps are those of each store: by its name and that of the table, and the ID. They were written
// when the stores were made.
var stamps = map[string]map[string]stamp{
`)
	dir := t.TempDir()
	quiet := slog.New(slog.DiscardHandler)

	file := filepath.Join(dir, "store.db")
	populate(t, "sqlite", "sqlite://"+file, "sqlite://"+file)
	damageSQL(must(sql.Open("sqlite", file)), "UPDATE store SET data = substr(data, 1, 20) || x'00' || substr(data, 22) WHERE id = ")
	if _, err := os.Stat(file + "-wal"); err == nil {
		panic("there is a WAL")
	}
	write("testdata/store.db", must(os.ReadFile(file)))

	pg := testserver.Postgres(t)
	db := pg.NewDB(t)
	populate(t, "postgres", pg.URL(db), pg.URL(db))
	damageSQL(pg.Open(t, db), "UPDATE store SET data = set_byte(data, 20, 0) WHERE id = ")
	out := must(exec.Command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "-U", "test", "-h", pg.Dir(), db).Output())
	out = regexp.MustCompile(`(?m)^(--.*|\\.*)?\n`).ReplaceAll(out, nil)
	write("testdata/postgres.sql", out)

	my := testserver.MariaDB(t)
	db = my.NewDB(t)
	populate(t, "mariadb", my.URL(db), my.URL(db))
	damageSQL(my.Open(t, db), "UPDATE store SET data = insert(data, 21, 1, x'00') WHERE id = ")
	out = must(exec.Command("mariadb-dump", "--no-defaults", "--socket="+must(url.Parse(my.URL(db))).Query().Get("socket"), "-u", "root", "--hex-blob",
		"--skip-extended-insert", "--skip-add-locks", "--skip-disable-keys", "--skip-comments", "--default-character-set=utf8mb4", db).Output())
	out = regexp.MustCompile(`(?m)^(/\*M?!.*)?\n`).ReplaceAll(out, nil)
	write("testdata/mariadb.sql", out)

	root := filepath.Join(dir, "fs")
	populate(t, "fs", "file://"+root+"/store", "file://"+root+"/texts")
	path := filepath.Join(root, "store", damaged)
	b := must(os.ReadFile(path))
	b[len(b)-12] ^= 0xff // in the data
	check(os.WriteFile(path, b, 0o600))
	lapse(filepath.Join(root, "store", "20"))
	old := interrupt(filepath.Join(root, "marked"))
	check(os.CopyFS(filepath.Join(root, "unmarked"), os.DirFS(filepath.Join(root, "marked"))))
	for _, sub := range []string{"", ".brine.kv"} { // as it was before the list of the renames had its name
		d := filepath.Join(root, "unmarked", sub)
		check(os.Rename(filepath.Join(d, ".brine.commit"), filepath.Join(d, ".brine.commit.tmp")))
	}
	two := filepath.Join(root, "unmarked", "2")
	check(os.Rename(two, filepath.Join(root, "unmarked", ".brine.tmp.0")))
	check(os.WriteFile(two, old, 0o600))
	write("testdata/fs.tar.gz", archive(root))

	file = filepath.Join(dir, "records.db")
	s := must(persistence.MakeStore(t.Context(), "sqlite://"+file, &persistence.Options{Logger: quiet}))
	check(insert(t.Context(), s))
	check(s.Close())
	raw := must(sql.Open("sqlite", file))
	var list bytes.Buffer
	for i, r := range records() {
		var data []byte
		check(raw.QueryRow("SELECT data FROM store WHERE id = ?", i+1).Scan(&data))
		text := hex.EncodeToString(data)
		if len(data) > 4096 {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			must(w.Write(data))
			check(w.Close())
			text = "gzip:" + base64.StdEncoding.EncodeToString(z.Bytes())
		}
		fmt.Fprintf(&list, "%d\t%s\t%s\n", i+1, r.name, text)
	}
	check(raw.Close())
	write("testdata/records.txt", list.Bytes())

	stampText.WriteString("}\n\n// untils are when the running claims of each store end, in Unix microseconds.\nvar untils = map[string]int64{\n")
	stampText.Write(untilText.Bytes())
	stampText.WriteString("}\n")
	write("testdata/stamps_test.go", must(format.Source(stampText.Bytes())))
}

func damageSQL(db *sql.DB, statement string) {
	must(db.Exec(statement + damaged))
	must(db.Exec(fmt.Sprintf("UPDATE store SET claim_until = %d WHERE id = 20", lapsed.UnixMicro())))
	check(db.Close())
}

// lapsed is when the claim that has lapsed ended: long ago, so that the tests do not depend on a
// clock.
var lapsed = time.Unix(1_000_000_000, 1000).UTC()

// lapse gives the claim in a record's file that end.
func lapse(path string) {
	b := must(os.ReadFile(path))
	i := bytes.Index(b, []byte("\xa5claim\x93\xa9gr\xc3\xb6\xc3\x9fe 2\xd7\xff")) + 19
	binary.BigEndian.PutUint64(b[i:], uint64(lapsed.Nanosecond())<<34|uint64(lapsed.Unix()))
	head := 13 + int(binary.BigEndian.Uint32(b[9:]))
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(b[head+1:], crc32.Checksum(b[:head], table))
	last := len(b) - 5
	binary.BigEndian.PutUint32(b[last+1:], crc32.Checksum(b[:last], table))
	check(os.WriteFile(path, b, 0o600))
}

// populate fills the tables store and texts of a database, or two directories.
func populate(t *testing.T, name, storeURL, textsURL string) {
	ctx := t.Context()
	o := persistence.Options{Table: "store", ExtraFields: fields(), Logger: slog.New(slog.DiscardHandler)}
	s := must(persistence.MakeStore(ctx, storeURL, &o))
	tasks := workflow()
	objs := make([]any, len(tasks))
	for i, task := range tasks {
		objs[i] = task
	}
	must(s.SaveAll(ctx, objs...))
	for _, v := range append(plains(), "damaged") {
		must(s.Save(ctx, v))
	}
	for range 2 {
		tasks[18].Priority += 1000
		must(s.SaveOnly(ctx, tasks[18]))
	}
	gone := []persistence.ID{must(s.Save(ctx, "gone")), must(s.Save(ctx, "gone too"))}
	check(s.Remove(ctx, gone...))
	check(s.Remove(ctx, must(s.Save(ctx, &Task{Name: "in between"}))))

	claim := func(name, owner string, lease time.Duration, state string) {
		q := &persistence.Query{Where: []persistence.Cond{persistence.Eq("name", name)}}
		if c := must(s.Claim(ctx, q, persistence.ClaimOptions{Owner: owner, Lease: lease, State: state})); len(c) != 1 {
			panic("nothing claimed")
		}
	}
	claim("task r", "worker 1", 100*365*24*time.Hour, "CLAIMED")
	claim("task t", "größe 2", time.Microsecond, "")

	kv := s.KV()
	for k, v := range pairs() {
		if k != "swapped" {
			check(kv.Set(ctx, k, v))
		}
	}
	check(kv.Set(ctx, "swapped", "old"))
	check(kv.Set(ctx, "gone", 1))
	check(kv.Delete(ctx, "gone"))
	if !must(kv.CompareAndSwap(ctx, "swapped", "old", "new")) {
		panic("not swapped")
	}
	check(kv.Set(ctx, "name", "brine"))
	for c, err := range s.Claims(ctx) {
		check(err)
		if c.ID() == "18" {
			fmt.Fprintf(&untilText, "%q: %d,\n", name, c.Until().UnixMicro())
		}
	}
	writeStamps(ctx, s, name+" store")
	check(s.Close())

	o = persistence.Options{Table: "texts", IDs: idfactory.Sequence(""), Logger: slog.New(slog.DiscardHandler)}
	s = must(persistence.MakeStore(ctx, textsURL, &o))
	one := &Task{Name: "one", State: "NEW", Host: &Machine{Host: "m"}}
	one.Needs = []*Task{{Name: "two", State: "NEW", Needs: []*Task{one}, Host: one.Host, Parent: persistence.RefTo(one)}}
	must(s.Save(ctx, one))
	for id, v := range notes() {
		check(s.Insert(ctx, id, v))
	}
	check(s.Insert(ctx, "gone", 1))
	check(s.Remove(ctx, "gone"))
	check(s.KV().Set(ctx, "answer", "in texts"))
	writeStamps(ctx, s, name+" texts")
	check(s.Close())
}

func writeStamps(ctx context.Context, s *persistence.Store, name string) {
	fmt.Fprintf(&stampText, "%q: {\n", name)
	for i, err := range s.Infos(ctx, nil) {
		check(err)
		fmt.Fprintf(&stampText, "%q: {%d, %d, %d, %d},", i.ID, i.Revision, i.Size, i.Created.UnixMicro(), i.Modified.UnixMicro())
		fmt.Fprintln(&stampText, "//", strings.ReplaceAll(fmt.Sprint(i.Type, " ", i.Fields["name"], " ", i.State), "\n", " "))
	}
	for p, err := range s.KV().Range(ctx, "") {
		check(err)
		fmt.Fprintf(&stampText, "%q: {0, 0, %d, %d},\n", "kv "+p.Key, p.Created.UnixMicro(), p.Modified.UnixMicro())
	}
	stampText.WriteString("},\n")
}

// interrupt leaves in a directory what a crash in the middle of a commit leaves, of the objects and
// of the pairs. It returns what the file of record 2, the one that has been renamed already, was
// before.
func interrupt(dir string) []byte {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	s := must(persistence.MakeStore(ctx, "file://"+dir, &persistence.Options{Logger: quiet}))
	for i := range 5 {
		must(s.Save(ctx, fmt.Sprint("old ", i+1)))
	}
	for _, k := range []string{"a", "b", "d", "e"} {
		check(s.KV().Set(ctx, k, "old "+k))
	}
	check(s.Close())
	values := must(persistence.MakeStore(ctx, "file://"+filepath.Join(dir, "..", "..", "values"), &persistence.Options{Logger: quiet}))
	defer values.Close()
	src := must(fs.New(filepath.Join(dir, "..", "..", "values"), driver.OpenOptions{}))
	must(src.Init(ctx, driver.Schema{IntegerIDs: true}))
	defer src.Close()
	rec := func(id, text string) driver.Record { // the record of a text
		from := must(values.Save(ctx, text))
		var r driver.Record
		check(src.View(ctx, func(rd driver.Reader) error {
			r = must(rd.Get(ctx, []driver.ID{from}, driver.Info|driver.Data))[0]
			return nil
		}))
		r.ID, r.Revision = driver.ID(id), 7
		return r
	}
	b := must(fs.New(dir, driver.OpenOptions{Logger: quiet}))
	must(b.Init(ctx, driver.Schema{IntegerIDs: true}))
	old := must(os.ReadFile(filepath.Join(dir, "2")))
	must(b.Apply(obstacle{ctx, dir, "7"}, []driver.Mutation{
		{Op: driver.Update, Rec: rec("2", "new 2")}, {Op: driver.Create, Rec: rec("7", "new 7")},
		{Op: driver.Create, Rec: rec("8", "new 8")}, {Op: driver.Delete, Rec: driver.Record{ID: "4"}},
		{Op: driver.Update, Rec: rec("5", "new 5")},
	}))
	a := must(b.Annex("kv"))
	must(a.Init(ctx, driver.Schema{}))
	must(a.Apply(obstacle{ctx, filepath.Join(dir, ".brine.kv"), "c"}, []driver.Mutation{
		{Op: driver.Create, Rec: rec("c", "new c")}, {Op: driver.Update, Rec: rec("b", "new b")}, {Op: driver.Delete, Rec: driver.Record{ID: "d"}},
	}))
	check(a.Close())
	check(b.Close())
	for _, name := range []string{"7", ".brine.kv/c"} {
		check(os.Remove(filepath.Join(dir, name)))
	}
	for _, name := range []string{".brine.commit", ".brine.kv/.brine.commit"} {
		must(os.Stat(filepath.Join(dir, name)))
	}
	return old
}

// An obstacle is a context that puts a folder in the place of a file when a commit is about to
// begin: the last thing that is done before is to ask the context for its error.
type obstacle struct {
	context.Context
	dir, name string
}

func (o obstacle) Err() error {
	if _, err := os.Stat(filepath.Join(o.dir, ".brine.commit.tmp")); err == nil {
		check(os.MkdirAll(filepath.Join(o.dir, o.name), 0o700))
	}
	return nil
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
