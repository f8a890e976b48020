package postgres

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/sql"
)

// byBytes is a SQL expression: whether collation %[1]s (an OID) compares text by its bytes. The
// default one does as the database does, and newer servers have columns for that which older ones
// lack.
const byBytes = `(%[1]s = 0 OR EXISTS (SELECT 1 FROM pg_catalog.pg_collation l WHERE l.oid = %[1]s AND (
	l.collname IN ('C', 'POSIX', 'ucs_basic') AND l.collnamespace = 'pg_catalog'::regnamespace OR
	l.collname = 'default' AND EXISTS (SELECT 1 FROM pg_catalog.pg_database b WHERE b.datname = current_database()
		AND b.datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(b)->>'datlocprovider', 'c') = 'c'))))`

// Inspect implements [sql.Dialect].
func (d *dialect) Inspect(ctx context.Context, q sqlx.QueryerContext, table string) (*sql.Table, error) {
	var entry struct {
		OID        int64
		Name, Kind string
		Encoding   string
		Policies   bool // for this user
		Unreadable bool
	}
	err := sqlx.GetContext(ctx, q, &entry, `SELECT c.oid, c.relname AS name, c.relkind::text AS kind, current_setting('server_encoding') AS encoding,
		row_security_active(c.oid) AS policies, NOT has_any_column_privilege(c.oid, 'SELECT') AS unreadable
		FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(quote_ident($1))`, table)
	if errors.Is(err, stdsql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if entry.Kind != "r" && entry.Kind != "p" {
		return nil, fmt.Errorf("%s: %q is no table", d.location, entry.Name)
	}
	if entry.Encoding != "UTF8" {
		return nil, fmt.Errorf("%s keeps its text as %s: only UTF8 sorts by bytes as stores do", d.location, entry.Encoding)
	}
	if entry.Policies {
		return nil, fmt.Errorf("%s: table %q has row-level security, whose policies would hide records from this user: "+noPolicies, d.location, entry.Name)
	}
	t := &sql.Table{Name: entry.Name, Unreadable: entry.Unreadable}
	var columns []struct {
		Name, Type, Base           string
		Nullable, Computed, Binary bool
	}
	err = sqlx.SelectContext(ctx, q, &columns, fmt.Sprintf(`SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
		t.typname AS base, NOT a.attnotnull AS nullable, a.attgenerated <> '' OR a.attidentity = 'a' AS computed, `+byBytes+` AS binary
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, "a.attcollation"), entry.OID)
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		t.Columns = append(t.Columns, sql.Column{
			Name: c.Name, Type: c.Type, Nullable: c.Nullable, Computed: c.Computed,
			Integers: c.Base == "int8" || c.Base == "int4" || c.Base == "numeric",
			Texts:    c.Base == "text" || c.Base == "varchar" || c.Base == "citext",
			Binary:   c.Binary && (c.Base == "text" || c.Base == "varchar"),
		})
	}
	return t, d.indexes(ctx, q, t, entry.OID)
}

// indexes reads the indexes of whole columns of the whole table.
func (d *dialect) indexes(ctx context.Context, q sqlx.QueryerContext, t *sql.Table, oid int64) error {
	var parts []struct {
		Index                   int64
		Name                    string
		Unique, Binary, Partial bool
		Column                  string // "": an expression
	}
	err := sqlx.SelectContext(ctx, q, &parts, fmt.Sprintf(`SELECT i.indexrelid AS index, c.relname AS name, i.indisunique AS unique, i.indpred IS NOT NULL AS partial, coalesce(a.attname, '') AS column,
		`+byBytes+` AS binary
		FROM pg_catalog.pg_index i CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS n
		JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
		LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n] AND a.attnum > 0
		WHERE i.indrelid = $1 AND i.indisvalid AND m.amname = 'btree' ORDER BY i.indexrelid, n`, "i.indcollation[n]"), oid)
	if err != nil {
		return err
	}
	last := int64(-1)
	for _, p := range parts {
		if p.Index != last {
			t.Indexes = append(t.Indexes, sql.Index{Name: p.Name, Unique: p.Unique, Binary: true, Partial: p.Partial})
			last = p.Index
		}
		x := &t.Indexes[len(t.Indexes)-1]
		x.Columns = append(x.Columns, p.Column)
		x.Binary = x.Binary && p.Binary
	}
	return nil
}
