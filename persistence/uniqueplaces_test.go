package persistence_test

import (
	stdsql "database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

func TestClaimsMeetAUniqueIndexThatWasMadeLater(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}}))
		running, first, second := &Seat{State: "RUNNING", Row: 1}, &Seat{State: "NEW", Row: 1}, &Seat{State: "NEW", Row: 2}
		_, err := s.SaveAll(ctx, running, first, second)
		check(t, err)
		must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}, Indexes: []persistence.Index{byPlace}}))
		claims, err := s.Claim(ctx, &persistence.Query{State: []string{"NEW"}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 5, State: "RUNNING"})
		if len(claims) != 1 || claims[0].ID() != second.PersistentID() {
			t.Errorf("%d claims", len(claims))
		}
		wantUnique(t, err, running.PersistentID(), driver.ColState, "row")
	})
}

func TestAUniqueIndexIsDroppedElsewhere(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		both := &persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique(), rowField().Unique()}}
		s := must[*persistence.Store](t)(open(both))
		a := &Seat{Code: "a", Row: 1}
		_, err := s.Save(ctx, a)
		check(t, err)
		rows := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}}))
		check(t, s.DropField(ctx, "code"))
		_, err = rows.Save(ctx, &Seat{Row: 1})
		wantUnique(t, err, a.PersistentID(), "row")
		if _, err := s.Save(ctx, &Seat{Code: "b", Row: 3}); err == nil || errors.Is(err, persistence.ErrUnique) {
			t.Errorf("the field was dropped: %v", err)
		}
		check(t, rows.DropIndex(ctx, persistence.Index{Columns: []string{"row"}, Unique: true}))
		if _, err := rows.Save(ctx, &Seat{Row: 1}); err != nil {
			t.Errorf("nothing is unique any more: %v", err)
		}
	})
}

func TestValuesOfATableMadeByHandAreExchanged(t *testing.T) {
	t.Parallel()
	for backend, place := range map[string]func(t *testing.T) (url string, db *stdsql.DB, text, blob string){
		"sqlite": func(t *testing.T) (string, *stdsql.DB, string, string) {
			path := filepath.Join(t.TempDir(), "store.db")
			db := must[*stdsql.DB](t)(stdsql.Open("sqlite", path))
			t.Cleanup(func() { db.Close() })
			return "sqlite:" + path, db, "TEXT", "BLOB"
		},
		"postgres": func(t *testing.T) (string, *stdsql.DB, string, string) {
			server := testserver.SharedPostgres(t)
			name := server.NewDB(t)
			return server.URL(name), server.Open(t, name), `text COLLATE "C"`, "bytea"
		},
		"mariadb": func(t *testing.T) (string, *stdsql.DB, string, string) {
			server := testserver.SharedMariaDB(t)
			name := server.NewDB(t)
			return server.URL(name), server.Open(t, name), "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "longblob"
		},
	} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			url, db, text, blob := place(t)
			execs(t, db,
				"CREATE TABLE store (id bigint NOT NULL PRIMARY KEY, type "+text+" NOT NULL, data "+blob+" NOT NULL, state "+text+" NOT NULL, code "+text+" NOT NULL UNIQUE)")
			s := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{codeField()}})
			a, b := &Seat{Code: "a", Row: 1}, &Seat{Code: "b", Row: 2}
			_, err := s.SaveAll(ctx, a, b)
			check(t, err)
			_, err = s.Save(ctx, &Seat{Code: "a"})
			wantUnique(t, err, a.PersistentID(), "code")
			a.Code, b.Code = b.Code, a.Code
			_, err = s.SaveAll(ctx, a, b)
			if err != nil {
				t.Errorf("values are exchanged in one save: %v", err)
			}
			got := must[*Seat](t)(persistence.Load[Seat](ctx, s, a.PersistentID()))
			if got.Code != "b" {
				t.Errorf("got the code %q", got.Code)
			}
		})
	}
}

func TestUniqueValuesOnSharedConnections(t *testing.T) {
	t.Parallel()
	server := testserver.SharedPostgres(t)
	u := withParam(server.URL(server.NewDB(t)), "pooler=transaction")
	ctx := t.Context()
	s := open(t, u, &persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique(), rowField()}, Indexes: []persistence.Index{byPlace}})
	a, b := &Seat{Code: "a", Row: 1, State: "NEW"}, &Seat{Code: "b", Row: 1, State: "RUNNING"}
	c := &Seat{Code: "c", Row: 2, State: "NEW"}
	_, err := s.SaveAll(ctx, a, b, c)
	check(t, err)
	a.Code, b.Code = b.Code, a.Code
	_, err = s.SaveAll(ctx, a, b)
	check(t, err)
	_, err = s.Save(ctx, &Seat{Code: "a", Row: 5})
	wantUnique(t, err, b.PersistentID(), "code")
	claims, err := s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Or(persistence.Eq("state", "NEW"), persistence.Eq("row", 77))}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 5, State: "RUNNING"})
	if len(claims) != 1 || claims[0].ID() != c.PersistentID() {
		t.Errorf("%d claims", len(claims))
	}
	wantUnique(t, err, b.PersistentID(), "state", "row")
	ro := open(t, u, &persistence.Options{ReadOnly: true, ExtraFields: []extrafields.Field{codeField().Unique(), rowField()}, Indexes: []persistence.Index{byPlace}})
	if n, err := ro.Count(ctx, nil); n != 3 || err != nil {
		t.Error(n, err)
	}
	_, err = s.Save(ctx, &Seat{Code: "z", Row: 9})
	check(t, err)
}
