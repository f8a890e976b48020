package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/sql"
)

// The types of columns, as the catalogue names them.
var (
	integerTypes = []string{"tinyint", "smallint", "mediumint", "int", "bigint"}
	textTypes    = []string{"varchar", "tinytext", "text", "mediumtext", "longtext"} // CHAR loses spaces at the end
	byteTypes    = []string{"varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
)

// Keys of an index have up to 3,072 bytes; of what may be longer so many characters or bytes are
// indexed.
const (
	maxKeyBytes = 3072
	indexedPart = "(255)"
)

// Inspect implements [sql.Dialect].
func (d *dialect) Inspect(ctx context.Context, q sqlx.QueryerContext, table string) (*sql.Table, error) {
	name := "BINARY t.table_name = ?"
	if d.server.Load().lowerCase != 0 { // the server minds no letter case in names of tables
		name = "lower(t.table_name) = lower(?)"
	}
	var found, typ, engine, transactions string
	err := each(ctx, q, `SELECT t.table_name, t.table_type, coalesce(t.engine, ''), coalesce(e.transactions, '')
		FROM information_schema.tables AS t LEFT JOIN information_schema.engines AS e ON e.engine = t.engine
		WHERE t.table_schema = database() AND t.table_name = ? AND `+name, []any{table, table}, []any{&found, &typ, &engine, &transactions}, func() {})
	switch {
	case err != nil || found == "":
		return nil, err
	case strings.Contains(typ, "VIEW") || typ == "SEQUENCE":
		return nil, fmt.Errorf("%s: %q is a %s, no table", d.Location(), found, strings.ToLower(typ))
	case transactions != "YES":
		return nil, fmt.Errorf("%s: table %q is kept by %s, which has no transactions: InnoDB is wanted", d.Location(), found, engine)
	}
	t := &sql.Table{Name: found}
	var column, nullable, data, declared, collation string
	var octets uint64
	var computed bool
	err = each(ctx, q, `SELECT column_name, is_nullable, data_type, column_type, coalesce(collation_name, ''), coalesce(character_octet_length, 0),
		coalesce(generation_expression, '') <> ''
		FROM information_schema.columns WHERE table_schema = database() AND table_name = ? AND BINARY table_name = ? ORDER BY ordinal_position`,
		[]any{found, found}, []any{&column, &nullable, &data, &declared, &collation, &octets, &computed}, func() {
			data = strings.ToLower(data)
			isText, isBytes := slices.Contains(textTypes, data), slices.Contains(byteTypes, data)
			col := sql.Column{
				Name: column, Type: declared, Nullable: nullable == "YES", Computed: computed,
				Integers: slices.Contains(integerTypes, data), Texts: isText || isBytes,
				Binary: isBytes || slices.Contains(binaryCollations, collation),
			}
			if long := data != "varchar" && data != "varbinary" || octets > maxKeyBytes; long && col.Texts {
				col.IndexPart = indexedPart
			}
			t.Columns = append(t.Columns, col)
		})
	if err != nil {
		return nil, err
	}
	return t, d.indexes(ctx, q, t)
}

func (d *dialect) indexes(ctx context.Context, q sqlx.QueryerContext, t *sql.Table) error {
	var last, index, column string // column is "" where there is an expression
	var part, unique bool          // part: the beginning of the column alone
	return each(ctx, q, `SELECT index_name, coalesce(column_name, ''), sub_part IS NOT NULL, non_unique = 0
		FROM information_schema.statistics WHERE table_schema = database() AND table_name = ? AND BINARY table_name = ? AND index_type = 'BTREE'
		ORDER BY index_name, seq_in_index`, []any{t.Name, t.Name}, []any{&index, &column, &part, &unique}, func() {
		if index != last {
			t.Indexes = append(t.Indexes, sql.Index{Name: index, Unique: unique, Binary: true})
			last = index
		}
		x := &t.Indexes[len(t.Indexes)-1]
		x.Columns = append(x.Columns, column)
		// An index on a part speeds up a search, but its uniqueness is that of the part.
		x.Unique = x.Unique && !part
		for _, c := range t.Columns {
			if c.Name == column {
				x.Binary = x.Binary && (c.Binary || !c.Texts)
			}
		}
	})
}

// each runs a query and calls row after each row has been scanned into dest. Names of columns play
// no part: a caller's DB may change them (columnsWithAlias).
func each(ctx context.Context, q sqlx.QueryerContext, text string, args, dest []any, row func()) (err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row()
	}
	return rows.Err()
}
