package postgres_test

import (
	stdsql "database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/battery"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

// pinned are values of settings that would change a result, end a statement or lose a write if
// connections did not set others.
var pinned = []string{
	"extra_float_digits = -15", "client_encoding = LATIN1", "standard_conforming_strings = off", "gin_fuzzy_search_limit = 1",
	"statement_timeout = '20ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'", "idle_session_timeout = '100ms'",
	"exit_on_error = on", "default_transaction_isolation = serializable", "synchronous_commit = off", "jit = on",
}

// harmless are values of settings that are left as they are, by what they are about.
var harmless = map[string][]string{
	"how values are written": {
		"datestyle = 'SQL, DMY'", "intervalstyle = sql_standard", "timezone = 'America/St_Johns'", "bytea_output = escape", "xmlbinary = hex",
		"lc_monetary = 'C.UTF-8'", "lc_numeric = 'C.UTF-8'", "lc_time = 'C.UTF-8'", "quote_all_identifiers = on",
	},
	"how values are read": {
		"array_nulls = off", "transform_null_equals = on", "backslash_quote = on", "escape_string_warning = off", "xmloption = document",
		"timezone_abbreviations = 'India'", "default_text_search_config = 'pg_catalog.german'",
	},
	"which plans are made": {
		"enable_indexscan = off", "enable_indexonlyscan = off", "enable_bitmapscan = off", "enable_hashagg = off", "enable_material = off",
		"plan_cache_mode = force_generic_plan", "cursor_tuple_fraction = 0", "constraint_exclusion = on", "geqo_threshold = 2",
		"join_collapse_limit = 1", "jit_above_cost = 0", "jit_optimize_above_cost = 0", "random_page_cost = 1000",
	},
	"other plans": {
		"enable_seqscan = off", "enable_sort = off", "enable_hashjoin = off", "enable_nestloop = off", "enable_incremental_sort = off",
		"plan_cache_mode = force_custom_plan", "force_parallel_mode = on", "parallel_setup_cost = 0", "parallel_tuple_cost = 0",
		"min_parallel_table_scan_size = 0", "min_parallel_index_scan_size = 0", "synchronize_seqscans = on",
	},
	"memory and storage": {
		"work_mem = '64kB'", "temp_buffers = 100", "maintenance_work_mem = '1MB'", "hash_mem_multiplier = 1", "max_stack_depth = '100kB'",
		"default_toast_compression = pglz", "commit_delay = 10", "vacuum_cost_delay = 10", "gin_pending_list_limit = 64",
	},
	"the rest": {
		"default_transaction_deferrable = on", "row_security = off", "session_replication_role = replica", "check_function_bodies = off",
		"lo_compat_privileges = on", "client_min_messages = error", `search_path = "$user", public, pg_catalog`, "track_activities = off",
		"deadlock_timeout = '10ms'", "client_connection_check_interval = '10ms'", "stats_fetch_consistency = snapshot",
	},
}

var roles atomic.Int64

// newRole makes a role, which stays.
func newRole(t *testing.T, admin *stdsql.DB, attributes string) string {
	t.Helper()
	name := fmt.Sprintf("role%d", roles.Add(1))
	run(t, admin, "CREATE ROLE "+name+" "+attributes)
	return name
}

func TestNoSettingOfTheServerChangesAnAnswer(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	admin := raw(t, s.URL(""))
	plain, hostile := newRole(t, admin, "LOGIN"), newRole(t, admin, "LOGIN")
	all := map[string][]string{}
	if os.Getenv("BRINE_LONG") != "" { // else all at once, below
		for _, setting := range pinned {
			all[setting] = []string{setting}
		}
	}
	for about, settings := range harmless {
		all[about] = settings
	}
	for name, settings := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := s.NewDB(t)
			run(t, admin, "ALTER DATABASE "+db+" OWNER TO "+plain)
			for _, setting := range settings {
				run(t, admin, "ALTER DATABASE "+db+" SET "+setting)
			}
			battery.Run(t, strings.Replace(s.URL(db), "//test@", "//"+plain+"@", 1))
		})
	}
	for who, on := range map[string]string{
		"of a role":                  "ROLE " + hostile,
		"of a role in one database":  "ROLE " + hostile + " IN DATABASE %s",
		"of all roles in a database": "ROLE ALL IN DATABASE %s",
	} {
		t.Run("all pinned ones "+who, func(t *testing.T) {
			db := s.NewDB(t)
			if strings.Contains(on, "%s") {
				on = fmt.Sprintf(on, db)
			}
			run(t, admin, "ALTER DATABASE "+db+" OWNER TO "+hostile)
			for _, setting := range pinned {
				run(t, admin, "ALTER "+on+" SET "+setting)
			}
			defer run(t, admin, "ALTER "+on+" RESET ALL")
			battery.Run(t, strings.Replace(s.URL(db), "//test@", "//"+hostile+"@", 1))
		})
	}
}

// settings returns the values that settings have in the session of a store that writes, where
// hostile is what the database says.
func settings(t *testing.T, s *testserver.Server, param string, hostile []string, names ...string) map[string]string {
	t.Helper()
	name := s.NewDB(t)
	db := raw(t, s.URL(name))
	run(t, db, "CREATE TABLE noted (name TEXT PRIMARY KEY, value TEXT)")
	var notes strings.Builder
	for _, name := range names {
		fmt.Fprintf(&notes, "INSERT INTO public.noted VALUES ('%[1]s', current_setting('%[1]s')); ", name)
	}
	if err := openBackendAndInit(t, s.URL(name), driver.OpenOptions{}); err != nil {
		t.Fatal(err)
	}
	run(t, db, "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+notes.String()+"RETURN NEW; END $$",
		"CREATE TRIGGER noting AFTER INSERT ON store FOR EACH ROW EXECUTE FUNCTION note()")
	for _, setting := range hostile {
		run(t, raw(t, s.URL("")), "ALTER DATABASE "+name+" SET "+setting)
	}
	apply(t, open(t, s.URL(name)+param, integers, driver.OpenOptions{}), create("1", "x"))
	found := map[string]string{}
	rows, err := db.QueryContext(t.Context(), "SELECT name, value FROM noted")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		found[name] = value
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryPinIsInForce(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	want := map[string]string{
		"extra_float_digits": "1", "client_encoding": "UTF8", "standard_conforming_strings": "on", "gin_fuzzy_search_limit": "0", "row_security": "off",
		"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0", "exit_on_error": "off",
		"default_transaction_isolation": "read committed", "transaction_isolation": "read committed", "synchronous_commit": "local", "jit": "off",
	}
	for _, param := range []string{"", "&pooler=session", "&pooler=transaction"} {
		got := settings(t, s, param, append(pinned, "row_security = on"), slices.Collect(maps.Keys(want))...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", param, diff)
		}
	}
}

func TestAnAcknowledgedSaveIsOnTheDisk(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	for name, c := range map[string]struct{ set, param, want string }{
		"nothing is said":               {"", "", "on"},
		"the database says off":         {"off", "", "local"},
		"the database says local":       {"local", "", "local"},
		"the database wants standbys":   {"remote_apply", "", "remote_apply"},
		"the URL says off":              {"", "&options=-c%20synchronous_commit%3Doff", "off"},
		"the URL says something else":   {"off", "&options=-c%20work_mem%3D64MB", "local"},
		"the URL says transaction mode": {"off", "&pooler=transaction", "local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hostile []string
			if c.set != "" {
				hostile = []string{"synchronous_commit = " + c.set}
			}
			if got := settings(t, s, c.param, hostile, "synchronous_commit")["synchronous_commit"]; got != c.want {
				t.Errorf("synchronous_commit is %q, want %q", got, c.want)
			}
		})
	}
}

func TestSettingsThatDamageAreRefused(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	for _, c := range []struct{ setting, want string }{
		{"zero_damaged_pages = on", "zero_damaged_pages is on"},
		{"ignore_checksum_failure = on", "ignore_checksum_failure is on"},
	} {
		db := s.NewDB(t)
		run(t, raw(t, s.URL("")), "ALTER DATABASE "+db+" SET "+c.setting)
		if err := openBackendAndInit(t, s.URL(db), driver.OpenOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/"+db) {
			t.Errorf("%s: error %v", c.setting, err)
		}
	}
	db := s.NewDB(t)
	run(t, raw(t, s.URL("")), "ALTER DATABASE "+db+" SET default_transaction_read_only = on")
	if err := openBackendAndInit(t, s.URL(db), driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) || !strings.Contains(err.Error(), "default_transaction_read_only") {
		t.Errorf("error %v", err)
	}
}

func TestAPolicyHidesNothing(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	admin := raw(t, s.URL(""))
	owning, sees, other := newRole(t, admin, "LOGIN"), newRole(t, admin, "LOGIN BYPASSRLS"), newRole(t, admin, "LOGIN")
	name := s.NewDB(t)
	run(t, admin, "ALTER DATABASE "+name+" OWNER TO "+owning)
	as := func(role string) string { return strings.Replace(s.URL(name), "//test@", "//"+role+"@", 1) }
	save := func(st *persistence.Store) persistence.ID {
		id, err := st.Save(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	makeStore := func(url string) (*persistence.Store, error) {
		st, err := persistence.MakeStore(t.Context(), url, nil)
		if err == nil {
			t.Cleanup(func() { st.Close() })
		}
		return st, err
	}
	own, err := makeStore(as(owning))
	if err != nil {
		t.Fatal(err)
	}
	id := save(own)
	db := raw(t, s.URL(name))
	run(t, db, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+sees+", "+other, "GRANT ALL ON SCHEMA public TO "+sees+", "+other)
	before, err := makeStore(as(other) + "&pool_size=1")
	if err != nil {
		t.Fatal(err)
	}
	safe, err := makeStore(as(other) + "&pooler=transaction")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(st *persistence.Store) error{
		"load": func(st *persistence.Store) error { _, err := st.Load(t.Context(), id); return err },
		"count": func(st *persistence.Store) error {
			n, err := st.Count(t.Context(), nil)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d records of 1", n)
			}
			return err
		},
	}
	for name, call := range calls {
		if err := errors.Join(call(before), call(safe)); err != nil {
			t.Errorf("%s before: %v", name, err)
		}
	}
	run(t, db, "ALTER TABLE store ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON store USING (state = 'none')")
	named := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "row-level security") && strings.Contains(err.Error(), "BYPASSRLS") &&
			strings.Contains(err.Error(), "store") && !errors.Is(err, persistence.ErrNotFound) && !errors.Is(err, persistence.ErrReadOnly)
	}
	for name, call := range calls {
		for _, st := range []*persistence.Store{before, safe} {
			if err := call(st); !named(err) {
				t.Errorf("%s of a store opened before: error %v", name, err)
			}
		}
	}
	for _, role := range []string{owning, sees, "test"} {
		st, err := makeStore(as(role))
		if err == nil {
			err = errors.Join(calls["load"](st), calls["count"](st))
		}
		if err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	for _, param := range []string{"", "&pooler=session", "&pooler=transaction"} {
		if _, err := makeStore(as(other) + param); !named(err) {
			t.Errorf("another role %s: error %v", param, err)
		}
	}
	run(t, db, "ALTER TABLE store FORCE ROW LEVEL SECURITY")
	if _, err := makeStore(as(owning)); !named(err) {
		t.Errorf("the owner under FORCE: error %v", err)
	}
	if err := calls["count"](own); !named(err) {
		t.Errorf("the owner's open store under FORCE: error %v", err)
	}
}

func TestASessionThatTheServerEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	for _, set := range []string{"statement_timeout = 1", "idle_session_timeout = 1"} {
		db := s.NewDB(t)
		run(t, raw(t, s.URL("")), "ALTER DATABASE "+db+" SET exit_on_error = on", "ALTER DATABASE "+db+" SET "+set)
		for range 30 {
			if err := openBackendAndInit(t, s.URL(db)+"&pool_idle=0", driver.OpenOptions{}); err != nil {
				t.Errorf("%s: %v", set, err)
			}
		}
	}
}
