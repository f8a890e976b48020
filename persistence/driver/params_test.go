package driver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

func parse(t *testing.T, raw string) url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ url, want string }{ // the backend knows readers and busy_timeout
		"none":                           {"sqlite:/x.db", ""},
		"a known one":                    {"sqlite:/x.db?readers=3", ""},
		"a known one twice":              {"sqlite:/x.db?readers=3&readers=4", `"readers" stands twice`},
		"a misspelling":                  {"sqlite:/x.db?reader=3", `did you mean "readers"?`},
		"in another spelling":            {"sqlite:/x.db?Busy-Timeout=3", `did you mean "busy_timeout"?`},
		"two letters exchanged":          {"sqlite:/x.db?raeders=3", `did you mean "readers"?`},
		"the parameter of another":       {"sqlite:/x.db?sslmode=require", `takes busy_timeout, mode, readers: it is a parameter of postgres URLs`},
		"that of several":                {"sqlite:/x.db?pool_size=3", "postgres and mysql URLs"},
		"a misspelling of another's":     {"sqlite:/x.db?sslmodes=x", `"sslmode" is a parameter of postgres URLs`},
		"what the fragment says":         {"sqlite:/x.db?table=jobs", "#table=NAME"},
		"what a server's URL has":        {"postgres://h/db?password=x", "postgres://user:password@host/database"},
		"that of no server":              {"sqlite:/x.db?host=h", "only the URL of a server"},
		"another word for mode=ro":       {"sqlite:/x.db?immutable=1", "mode=ro"},
		"mode, which is not a backend's": {"sqlite:/x.db?mode=ro", "OpenOptions.ReadOnly"},
		"nothing like it":                {"sqlite:/x.db?colour=red", "takes busy_timeout, mode, readers"},
	} {
		err := driver.CheckParams(parse(t, tt.url), "readers", "busy_timeout")
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestReadMode(t *testing.T) {
	t.Parallel()
	for raw, tt := range map[string]struct {
		rest     string
		readOnly bool
		err      string
	}{
		"sqlite:/x.db":                   {"sqlite:///x.db", false, ""},
		"sqlite:/x.db?mode=ro":           {"sqlite:///x.db", true, ""},
		"sqlite:/x.db?mode=rw":           {"sqlite:///x.db", false, ""},
		"sqlite:/x.db?mode=ro&readers=3": {"sqlite:///x.db?readers=3", true, ""},
		"sqlite:/x.db?mode=rwc":          {"", false, `mode "rwc"`},
		"sqlite:/x.db?mode=ro&mode=rw":   {"", false, "stands twice"},
	} {
		rest, readOnly, err := driver.ReadMode(parse(t, raw))
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %q", raw, err, tt.err)
			}
		case err != nil || rest.String() != parse(t, tt.rest).String() || readOnly != tt.readOnly:
			t.Errorf("%s: %v, %v, %v; want %v, %v", raw, rest, readOnly, err, tt.rest, tt.readOnly)
		}
	}
}

func TestSimilarNames(t *testing.T) {
	t.Parallel()
	names := []string{"state", "claim_owner", "id"}
	for s, want := range map[string]struct{ similar, nearest string }{
		"state":      {"state", "state"},
		"sate":       {"state", "state"},
		"STATES":     {"state", "state"},
		"claimOwner": {"claim_owner", "claim_owner"},
		"di":         {"id", "id"},
		"colour":     {"", "id"},
	} {
		got := driver.Similar(s, names)
		if got != want.similar {
			t.Errorf("Similar(%q) is %q, want %q", s, got, want.similar)
		}
		if nearest := driver.Nearest(s, names); want.similar != "" && nearest != want.nearest || nearest == "" {
			t.Errorf("Nearest(%q) is %q, want %q", s, nearest, want.nearest)
		}
	}
	if driver.Similar("x", nil) != "" || driver.Nearest("x", nil) != "" {
		t.Error("there is something like x among nothing")
	}
}

func TestNamesOfTables(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"store": "", "_x9": "", strings.Repeat("a", 63): "",
		"": "invalid", "9x": "invalid", "a-b": "invalid", `a"`: "invalid", "tä": "invalid", strings.Repeat("a", 64): "invalid",
		"Brine_Stores": "reserved", "sqlite_x": "reserved", "PG_x": "reserved",
	} {
		err := driver.CheckTable(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
		if valid := driver.ValidName(name); valid != (want != "invalid") {
			t.Errorf("%q is valid: %v", name, valid)
		}
	}
}

func TestCheckOfAClaim(t *testing.T) {
	t.Parallel()
	valid := driver.Claiming{Owner: "me", Lease: time.Second, Limit: 1}
	for name, tt := range map[string]struct {
		change func(c *driver.Claiming)
		ok     bool
		is     error
	}{
		"as it should be":          {func(*driver.Claiming) {}, true, nil},
		"the shortest lease":       {func(c *driver.Claiming) { c.Lease = time.Microsecond }, true, nil},
		"a shorter one":            {func(c *driver.Claiming) { c.Lease = time.Microsecond - 1 }, false, nil},
		"no owner":                 {func(c *driver.Claiming) { c.Owner = "" }, false, nil},
		"the longest owner":        {func(c *driver.Claiming) { c.Owner = strings.Repeat("ä", 255) }, true, nil},
		"a longer one":             {func(c *driver.Claiming) { c.Owner = strings.Repeat("ä", 256) }, false, driver.ErrTooLarge},
		"an owner that is no text": {func(c *driver.Claiming) { c.Owner = "\xff" }, false, driver.ErrUnstorable},
		"an owner with NUL":        {func(c *driver.Claiming) { c.Owner = "a\x00" }, false, driver.ErrUnstorable},
		"no limit":                 {func(c *driver.Claiming) { c.Limit = 0 }, false, nil},
	} {
		c := valid
		tt.change(&c)
		err := c.Check()
		if (err == nil) != tt.ok || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoggedOnce(t *testing.T) {
	t.Parallel()
	var l driver.Logged
	for _, tt := range []struct {
		text  string
		first bool
	}{{"a", true}, {"b", true}, {"a", false}, {"", true}, {"", false}, {"b", false}} {
		if got := l.First(tt.text); got != tt.first {
			t.Errorf("%q: %v, want %v", tt.text, got, tt.first)
		}
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	opener := func(context.Context, url.URL, driver.OpenOptions) (driver.Backend, error) { return plainBackend{}, nil }
	driver.Register("testing", opener)
	if o, found := driver.Lookup("testing"); !found || o == nil || !slices.Contains(driver.Schemes(), "testing") {
		t.Error("what was registered is not found")
	}
	for scheme, o := range map[string]driver.Opener{"nothing": nil, "testing": opener} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register of %q does not panic", scheme)
				}
			}()
			driver.Register(scheme, o)
		}()
	}
	if _, found := driver.Lookup("nothing"); found {
		t.Error("what panicked is registered")
	}
}
