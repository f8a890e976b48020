package persistence_test

import (
	"database/sql"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// record returns the bytes that the store at path keeps for an object.
func record(t testing.TB, path string, id persistence.ID) []byte {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var data []byte
	if err := db.QueryRow("SELECT data FROM store WHERE id=?", string(id)).Scan(&data); err != nil {
		t.Fatal(err)
	}
	return data
}

// overwrite replaces the bytes of a record.
func overwrite(t testing.TB, path string, id persistence.ID, data []byte) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	if err == nil {
		_, err = db.Exec("UPDATE store SET data=? WHERE id=?", data, string(id))
		db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
