package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// A server is what the engine has to know of the one that it is connected to.
type server struct {
	version   string
	packet    int64 // max_allowed_packet
	lowerCase int   // lower_case_table_names
	collation string
	host      string
	port      int
	db        string
}

func (s *server) location() string { return fmt.Sprintf("mysql://%s:%d/%s", s.host, s.port, s.db) }

// binaryCollations compare utf8mb4 by bytes, spaces at the end included: on MariaDB, and on MySQL.
var binaryCollations = []string{"utf8mb4_nopad_bin", "utf8mb4_0900_bin"}

// Open implements [sql.Dialect].
func (d *dialect) Open(_ context.Context, create bool) (*sql.Pools, error) {
	db := d.open()
	pools := &sql.Pools{Writer: db, Reader: db, Keep: d.pool, Borrowed: d.borrowed}
	if d.borrowed {
		pools.Setup = setup(d.readOnly)
	}
	pools.Probe = func(ctx context.Context, c *sqlx.Conn) error {
		err := d.probe(ctx, c)
		if err == nil {
			err = d.examine(ctx, c, create)
		}
		if err == nil && d.borrowed && !d.readOnly { // to read, it need not be known how an UPDATE counts
			err = d.probeBorrowed(ctx, c)
		}
		return err
	}
	return pools, nil
}

// probe asks the server what it is.
func (d *dialect) probe(ctx context.Context, c *sqlx.Conn) error {
	s := &server{}
	err := each(ctx, c, `SELECT version(), @@max_allowed_packet, @@lower_case_table_names, @@hostname, @@port, coalesce(database(), ''),
		coalesce((SELECT max(collation_name) FROM information_schema.collations WHERE collation_name IN ('`+strings.Join(binaryCollations, "', '")+`')), '')`,
		nil, []any{&s.version, &s.packet, &s.lowerCase, &s.host, &s.port, &s.db, &s.collation}, func() {})
	if err != nil {
		return err
	}
	if s.db == "" {
		return fmt.Errorf("%s: no database is selected", s.location())
	}
	if s.collation == "" {
		return fmt.Errorf("%s: server %s cannot compare text by bytes: MySQL 8.0.17 or MariaDB 10.2 is wanted", s.location(), s.version)
	}
	d.server.Store(s)
	d.traits.MaxValue = s.packet
	if d.ofServer.SkipLocked = "FOR UPDATE SKIP LOCKED"; !skipsLocked(s.version) {
		d.ofServer.SkipLocked = "FOR UPDATE"
	}
	return nil
}

// skipsLocked reports whether a server knows SKIP LOCKED: MySQL since 8.0, and MariaDB since 10.6.
// On others a claim waits for those that are under way.
func skipsLocked(version string) bool {
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 || err != nil {
		return true
	}
	if strings.Contains(version, "MariaDB") {
		return major > 10 || major == 10 && minor >= 6
	}
	return major >= 8
}

// probeBorrowed finds out whether the caller's DB counts as the engine needs it: rows that an
// UPDATE found, not those that it changed.
func (d *dialect) probeBorrowed(ctx context.Context, c *sqlx.Conn) error {
	for _, text := range [...]string{
		"CREATE TEMPORARY TABLE IF NOT EXISTS brine_probe (a INT PRIMARY KEY) ENGINE=InnoDB",
		"DELETE FROM brine_probe",
		"INSERT INTO brine_probe VALUES (1)",
	} {
		if _, err := c.ExecContext(ctx, text); err != nil {
			if d.Classify(err) == sql.ReadOnly || d.Classify(err) == sql.Failing {
				// A user who may not make tables cannot find out. UPDATEs that change nothing are
				// rare.
				return nil
			}
			return err
		}
	}
	res, err := c.ExecContext(ctx, "UPDATE brine_probe SET a = 1")
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if _, dropped := c.ExecContext(ctx, "DROP TEMPORARY TABLE brine_probe"); err != nil || dropped != nil {
		return errors.Join(err, dropped)
	}
	if n != 1 {
		return fmt.Errorf("%s: the DB counts the rows that an UPDATE changed, not those that it found: its DSN must have clientFoundRows=true", d.Location())
	}
	return nil
}

// A connector makes connections to the first of some hosts that can be written, and sets them up.
type connector struct {
	hosts []sqldriver.Connector
	addrs []string // of hosts
	setup []string
	// readOnly: a host that can be read is as good.
	readOnly bool
	timeout  time.Duration // of each host
	last     atomic.Int32  // the host that was good last
}

// newConnector returns what connects to the places of s.
func newConnector(s *settings, o driver.OpenOptions) (*connector, error) {
	c := &connector{
		addrs: s.addrs, setup: setup(o.ReadOnly, s.vars...), readOnly: o.ReadOnly,
		timeout: s.pool.ConnectTimeout / time.Duration(len(s.addrs)),
	}
	for _, addr := range s.addrs {
		config := s.config.Clone()
		config.Addr, config.Logger = addr, debugLogger{o.Logger}
		config.DialFunc = dial
		if config.AllowFallbackToPlaintext {
			// Falling back, the driver changes the configuration, which connections share unless
			// there is a hook like this.
			if err := config.Apply(mysql.BeforeConnect(func(context.Context, *mysql.Config) error { return nil })); err != nil {
				return nil, err
			}
		}
		host, err := mysql.NewConnector(config)
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, host)
	}
	return c, nil
}

// dial tells the engine of the connection, so that it can cut it when the server falls silent.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		conn, _ = sql.Dialed(ctx, conn)
	}
	return conn, err
}

// Connect implements [sqldriver.Connector].
func (c *connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	first := int(c.last.Load())
	var errs []error
	for i := range c.hosts {
		at := (first + i) % len(c.hosts)
		conn, err := c.connect(ctx, at)
		if err == nil {
			c.last.Store(int32(at))
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

// connect connects to one of the hosts.
func (c *connector) connect(ctx context.Context, at int) (sqldriver.Conn, error) {
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.prepared(within, at)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return nil, &silentError{c.addrs[at], c.timeout}
	}
	return conn, err
}

// A silentError is the error of a host that did not answer in time.
type silentError struct {
	addr string
	time time.Duration
}

func (e *silentError) Error() string {
	return fmt.Sprintf("no answer from %s within %v", e.addr, e.time)
}

// prepared connects, and sets the connection up.
func (c *connector) prepared(ctx context.Context, at int) (sqldriver.Conn, error) {
	conn, err := c.hosts[at].Connect(ctx)
	if errors.Is(err, io.EOF) { // the answer to the one question that the driver asks has no row
		err = errNoRows
	}
	if err != nil {
		return nil, err
	}
	for _, text := range c.setup {
		if err == nil {
			_, err = conn.(sqldriver.ExecerContext).ExecContext(ctx, text, nil)
		}
	}
	if err == nil && len(c.hosts) > 1 {
		err = usable(ctx, conn, c.readOnly)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

var errNoRows = errors.New("the server gives no rows at all: SET GLOBAL sql_select_limit = 18446744073709551615, its default")

var errNotWritable = errors.New("the server is read-only, or a cluster's node that is not ready")

// usable refuses a server that is one of several and cannot be written: a replica, which will do if
// nothing is to be written, or a node that has lost its cluster.
func usable(ctx context.Context, conn sqldriver.Conn, toRead bool) error {
	readOnly, err := second(ctx, conn, "SHOW GLOBAL VARIABLES LIKE 'read_only'")
	if err != nil {
		return err
	}
	cluster, err := second(ctx, conn, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")
	if err != nil {
		return err
	}
	ready := "ON"
	if cluster == "ON" {
		if ready, err = second(ctx, conn, "SHOW GLOBAL STATUS LIKE 'wsrep_ready'"); err != nil {
			return err
		}
	}
	if readOnly == "ON" && !toRead || ready != "ON" {
		return errNotWritable
	}
	return nil
}

// second returns the second column of the one row that a statement gives; "": there is none.
func second(ctx context.Context, conn sqldriver.Conn, text string) (value string, err error) {
	rows, err := conn.(sqldriver.QueryerContext).QueryContext(ctx, text, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]sqldriver.Value, len(rows.Columns()))
	switch err := rows.Next(row); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil || len(row) != 2:
		return "", err
	}
	if b, ok := row[1].([]byte); ok {
		return string(b), nil
	}
	return fmt.Sprint(row[1]), nil
}

// Driver implements [sqldriver.Connector].
func (c *connector) Driver() sqldriver.Driver { return c.hosts[0].Driver() }

// debugLogger takes what the driver has to tell: connections that were lost, whose errors are
// returned too.
type debugLogger struct{ logger *slog.Logger }

// Print implements [mysql.Logger].
func (l debugLogger) Print(v ...any) { l.logger.Debug("mysql driver", "message", fmt.Sprint(v...)) }
