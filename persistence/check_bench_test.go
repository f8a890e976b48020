package persistence_test

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// BenchmarkCheck compares Check with what someone writes by hand: reading all data, and the
// checksum of each record. Both take turns; x/hand is the median of the ratios of their times.
func BenchmarkCheck(b *testing.B) {
	for _, backend := range []string{"sqlite", "fs"} {
		for _, refs := range []int{0, 5} {
			b.Run(fmt.Sprintf("%s/%d refs", backend, refs), func(b *testing.B) { benchCheck(b, backend, refs) })
		}
	}
}

func benchCheck(b *testing.B, backend string, refs int) {
	const n = 10_000
	dir := b.TempDir()
	url, byHand := "file:"+dir, func() int { return sumFiles(b, dir) }
	if backend == "sqlite" {
		path := filepath.Join(dir, "store.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		url, byHand = "sqlite:"+path, func() int { return sumRows(b, db) }
	}
	s := open(b, url, nil)
	objs := make([]any, n)
	for i := range objs {
		objs[i] = &Job{JobData: jobData(i)}
	}
	for i := range objs {
		for k := range refs { // all over the store
			j := objs[i].(*Job)
			j.Deps = append(j.Deps, objs[(i*7919+k*104729)%n].(*Job))
		}
	}
	if _, err := s.SaveAll(b.Context(), objs...); err != nil {
		b.Fatal(err)
	}
	var ratios []float64
	for b.Loop() {
		begin := time.Now()
		if got := byHand(); got < n {
			b.Fatalf("%d records by hand", got)
		}
		hand := time.Since(begin)
		begin = time.Now()
		for f, err := range s.Check(b.Context(), persistence.CheckOptions{}) {
			b.Fatal(f, err)
		}
		ratios = append(ratios, float64(time.Since(begin))/float64(hand))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x/hand")
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sound(data []byte) bool {
	end := len(data) - 4
	return binary.BigEndian.Uint32(data[end:]) == crc32.Checksum(data[:end-1], castagnoli)
}

func sumRows(b *testing.B, db *sql.DB) (n int) {
	rows, err := db.Query("SELECT id, data FROM store ORDER BY id")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil || !sound(data) {
			b.Fatal(id, err)
		}
		n++
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return n
}

func sumFiles(b *testing.B, dir string) (n int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || !sound(data) {
			b.Fatal(e.Name(), err)
		}
		n++
	}
	return n
}
