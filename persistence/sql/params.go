package sql

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// PoolParams are the query parameters of a server's URL that [ParsePool] reads.
var PoolParams = []string{"connect_timeout", "pool_idle", "pool_idle_time", "pool_lifetime", "pool_pre_ping", "pool_size"}

// The defaults of a pool.
const (
	defaultPoolSize       = 10
	defaultConnectTimeout = 10 * time.Second
	maxPoolSize           = 10_000
)

// ParsePool returns how connections are to be kept: what o says, else what the URL says, else the
// default of [driver.Pool]. Nothing of the result is zero but PrePing; a negative time means never,
// a negative Idle none.
//
//	pool_size=10         connections at most
//	pool_idle=10         connections kept while not in use; 0: none
//	pool_lifetime=1h     a connection older than this is replaced; 0: never
//	pool_idle_time=5m    a connection not used for so long is closed; 0: never
//	pool_pre_ping=false  true: ask the server at each use of a connection whether it is alive
//	connect_timeout=10s  of making one connection
//
// A time is a Go duration or a number of seconds.
func ParsePool(u url.URL, o driver.Pool) (driver.Pool, error) {
	q := u.Query()
	p := driver.Pool{Size: defaultPoolSize, Lifetime: -1, IdleTime: -1, ConnectTimeout: defaultConnectTimeout}
	fail := func(name, want string) (driver.Pool, error) {
		return driver.Pool{}, fmt.Errorf("%s %q in a %s URL is no %s", name, q.Get(name), u.Scheme(), want)
	}
	for _, x := range [...]struct {
		name  string
		least int
		dest  *int
	}{{"pool_size", 1, &p.Size}, {"pool_idle", 0, &p.Idle}} {
		if !q.Has(x.name) {
			continue
		}
		n, err := strconv.Atoi(q.Get(x.name))
		if err != nil || n < x.least || n > maxPoolSize {
			return fail(x.name, fmt.Sprintf("number between %d and %d", x.least, maxPoolSize))
		}
		*x.dest = n
		if n == 0 {
			*x.dest = -1
		}
	}
	for _, x := range [...]struct {
		name string
		dest *time.Duration
	}{{"pool_lifetime", &p.Lifetime}, {"pool_idle_time", &p.IdleTime}, {"connect_timeout", &p.ConnectTimeout}} {
		if !q.Has(x.name) {
			continue
		}
		d, ok := parseDuration(q.Get(x.name))
		if !ok || d == 0 && x.dest == &p.ConnectTimeout {
			return fail(x.name, "duration such as 30s")
		}
		if *x.dest = d; d == 0 {
			*x.dest = -1
		}
	}
	if q.Has("pool_pre_ping") {
		var err error
		if p.PrePing, err = strconv.ParseBool(q.Get("pool_pre_ping")); err != nil {
			return fail("pool_pre_ping", "true or false")
		}
	}
	return mergePool(o, p)
}

// mergePool returns o with its zero fields taken from p.
func mergePool(o, p driver.Pool) (driver.Pool, error) {
	if o.Size < 0 || o.Size > maxPoolSize {
		return driver.Pool{}, fmt.Errorf("a pool of %d connections: between 1 and %d are possible", o.Size, maxPoolSize)
	}
	if o.ConnectTimeout < 0 {
		return driver.Pool{}, fmt.Errorf("connect timeout of %v: it must be positive", o.ConnectTimeout)
	}
	if o.Size != 0 {
		p.Size = o.Size
	}
	if o.Idle != 0 {
		p.Idle = o.Idle
	}
	if p.Idle == 0 || p.Idle > p.Size {
		p.Idle = p.Size
	}
	if o.Lifetime != 0 {
		p.Lifetime = o.Lifetime
	}
	if o.IdleTime != 0 {
		p.IdleTime = o.IdleTime
	}
	if o.ConnectTimeout != 0 {
		p.ConnectTimeout = o.ConnectTimeout
	}
	p.PrePing = p.PrePing || o.PrePing
	return p, nil
}

// parseDuration reads a Go duration, or a number of seconds.
func parseDuration(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	return d, err == nil && d >= 0
}

// Adopt completes the options of a Backend on a database that the caller has opened.
func Adopt(db *sqlx.DB, o driver.OpenOptions) (driver.OpenOptions, driver.Pool, error) {
	if db == nil {
		return o, driver.Pool{}, errors.New("no database given")
	}
	if o.Table == "" {
		o.Table = "store"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	pool, err := ParsePool(url.URL{}, o.Pool)
	return o, pool, err
}
