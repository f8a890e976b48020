package postgres

import (
	"context"
	stdsql "database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// cancelTimeout is how long a request to cancel a statement may take.
const cancelTimeout = time.Second

// A connector makes connections.
type connector struct {
	*pq.Connector
	early    *pq.Connector // sends the settings of early at the very beginning
	sessions *sessions
}

// early are settings that can end a session before the others are made. Poolers refuse a connection
// that begins with them, so it is not the first that does.
var early = map[string]string{"statement_timeout": "0", "idle_session_timeout": "0"}

func newConnector(s *settings, ss *sessions) (*connector, error) {
	c, err := pq.NewConnectorConfig(s.config)
	if err != nil {
		return nil, err
	}
	config := s.config
	config.Runtime = early
	e, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	c.Dialer(dialer{})
	e.Dialer(dialer{})
	return &connector{Connector: c, early: e, sessions: ss}, nil
}

// errUnsuitable: no server is in the state that target_session_attrs asks for.
var errUnsuitable = errors.New("no server is as target_session_attrs wants it")

// Connect implements [sqldriver.Connector].
func (c *connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	var conn sqldriver.Conn
	var err error
	hasty := c.sessions.hasty.Load()
	if hasty {
		conn, err = c.early.Connect(ctx)
		if err != nil && strings.Contains(err.Error(), "startup parameter") {
			hasty = false
			c.sessions.hasty.Store(false)
		}
	}
	if !hasty {
		conn, err = c.Connector.Connect(ctx)
	}
	if err != nil {
		for _, text := range [...]string{"session is read-only", "session is not read-only", "server is in hot standby mode", "server is not in hot standby mode"} {
			if strings.Contains(err.Error(), text) {
				return nil, fmt.Errorf("%w: %w", errUnsuitable, err)
			}
		}
		return nil, err
	}
	return conn, nil
}

// A dialer reports the connections that it makes to the engine.
type dialer struct{}

var _ pq.DialerContext = dialer{}

// DialContext implements [pq.DialerContext].
func (dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	nc, mine := sql.Dialed(ctx, nc)
	if mine {
		return nc, nil
	}
	// This one is for asking the server to cancel a statement, which must not take long.
	if err := nc.SetDeadline(time.Now().Add(cancelTimeout)); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return brief{nc}, nil
}

// Dial implements [pq.Dialer].
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements [pq.Dialer].
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// A brief connection has a deadline that stays.
type brief struct{ net.Conn }

func (brief) SetDeadline(time.Time) error { return nil }

// Open implements [sql.Dialect].
func (d *dialect) Open(_ context.Context, create bool) (*sql.Pools, error) {
	if d.db != nil {
		return &sql.Pools{Writer: d.db, Reader: d.db, Keep: d.pool, Borrowed: true, Ready: d.sessions.ready}, nil
	}
	db := sqlx.NewDb(stdsql.OpenDB(d.connector), "postgres")
	pools := &sql.Pools{Writer: db, Reader: db, Keep: d.pool, Ready: d.sessions.ready}
	if !d.checked.Load() && d.schema != "" {
		pools.Probe = func(ctx context.Context, c *sqlx.Conn) error {
			err := d.makeSchema(ctx, c, create)
			d.checked.Store(err == nil)
			return err
		}
	}
	return pools, nil
}

// makeSchema creates the schema that the URL names where it is missing.
func (d *dialect) makeSchema(ctx context.Context, c *sqlx.Conn, create bool) error {
	there := func() (found bool, err error) {
		return found, c.GetContext(ctx, &found, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)", d.schema)
	}
	found, err := there()
	switch {
	case err != nil || found:
		return err
	case !create:
		return fmt.Errorf("%s: there is no schema %q, and nothing may be created", d.location, d.schema)
	}
	if _, err = c.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS "`+d.schema+`"`); err != nil {
		// Two that do so at once can still meet.
		if found, _ := there(); found {
			return nil
		}
		if state(err) == "42501" || d.Classify(err) == sql.ReadOnly {
			return fmt.Errorf("%s: %w: %w", d.location, driver.ErrReadOnly, err)
		}
	}
	return err
}
