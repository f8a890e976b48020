package mysql_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/battery"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/mysql"
)

// hostile are values of variables that may be set for all sessions. Those that are pinned come
// first, then some that are left alone although they look as if they mattered.
var hostile = map[string][]string{
	"sql_mode":                          {"'ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE'", "''", "'ORACLE'"},
	"character_set_client":              {"latin1"},
	"character_set_results":             {"latin1"},
	"collation_connection":              {"latin1_german2_ci", "utf8mb4_general_ci"},
	"lc_messages":                       {"'de_DE'", "'ja_JP'"},
	"autocommit":                        {"0"},
	"completion_type":                   {"'CHAIN'", "'RELEASE'"},
	"foreign_key_checks":                {"0"},
	"unique_checks":                     {"0"},
	"check_constraint_checks":           {"0"},
	"sql_select_limit":                  {"100", "1"},
	"max_join_size":                     {"10"},
	"sql_big_selects":                   {"0"},
	"sql_safe_updates":                  {"1"},
	"sql_auto_is_null":                  {"1"},
	"sql_if_exists":                     {"1"},
	"system_versioning_asof":            {"'2020-01-01'"},
	"alter_algorithm":                   {"'INSTANT'", "'COPY'", "'NOCOPY'"},
	"join_cache_level":                  {"8", "0", "4"},
	"max_statement_time":                {"0.001"},
	"max_session_mem_used":              {"600000", "300000"},
	"tmp_disk_table_size":               {"1024"},
	"innodb_lock_wait_timeout":          {"0", "1"},
	"lock_wait_timeout":                 {"0", "1"},
	"wait_timeout":                      {"1"},
	"net_read_timeout":                  {"1"},
	"net_write_timeout":                 {"1"},
	"idle_transaction_timeout":          {"1"},
	"idle_readonly_transaction_timeout": {"1"},
	"idle_write_transaction_timeout":    {"1"},
	"max_sort_length":                   {"64"},
	"sort_buffer_size":                  {"1024"},
	"tx_isolation":                      {"'READ-UNCOMMITTED'", "'SERIALIZABLE'"},
	"tx_read_only":                      {"1"},

	"binlog_format":                       {"'STATEMENT'", "'ROW'"},
	"binlog_row_image":                    {"'MINIMAL'"},
	"optimizer_switch":                    {"'mrr=on,mrr_cost_based=off,mrr_sort_keys=on'", "'derived_merge=off,semijoin=off,index_condition_pushdown=off,rowid_filter=off'"},
	"optimizer_use_condition_selectivity": {"1"},
	"optimizer_search_depth":              {"0"},
	"in_predicate_conversion_threshold":   {"2"},
	"optimizer_max_sel_arg_weight":        {"1"},
	"optimizer_max_sel_args":              {"1"},
	"eq_range_index_dive_limit":           {"0"},
	"join_buffer_size":                    {"128"},
	"time_zone":                           {"'+13:00'"},
	"group_concat_max_len":                {"4"},
	"max_recursive_iterations":            {"0"},
	"div_precision_increment":             {"0"},
	"old":                                 {"1"},
	"old_mode":                            {"'NO_DUP_KEY_WARNINGS_WITH_IGNORE,ZERO_DATE_TIME_CAST'"},
	"character_set_server":                {"latin1"},
	"character_set_filesystem":            {"latin1"},
	"default_storage_engine":              {"MyISAM"},
	"default_tmp_storage_engine":          {"MyISAM"},
	"system_versioning_alter_history":     {"KEEP"},
	"auto_increment_increment":            {"7"},
	"low_priority_updates":                {"1"},
	"max_length_for_sort_data":            {"4"},
	"read_rnd_buffer_size":                {"1"},
	"tmp_table_size":                      {"0"},
	"max_heap_table_size":                 {"16384"},
	"big_tables":                          {"1"},
	"query_cache_type":                    {"1"},
	"innodb_strict_mode":                  {"0"},
	"innodb_compression_default":          {"1"},
	"innodb_default_encryption_key_id":    {"7"},
	"innodb_snapshot_isolation":           {"1"},
	"innodb_table_locks":                  {"0"},
	"explicit_defaults_for_timestamp":     {"0"},
	"sql_buffer_result":                   {"1"},
	"max_error_count":                     {"0"},
	"sql_warnings":                        {"1"},
	"session_track_state_change":          {"1"},
	"session_track_system_variables":      {"'*'"},
	"session_track_transaction_info":      {"CHARACTERISTICS"},
	"net_buffer_length":                   {"1024"},
	"wsrep_osu_method":                    {"'RSU'"},
	"wsrep_dirty_reads":                   {"1"},
	"wsrep_sync_wait":                     {"15"},
	"updatable_views_with_limit":          {"'NO'"},

	"innodb_default_row_format": {"redundant", "compact"}, // these have no value of a session
	"innodb_force_primary_key":  {"1"},
}

// A harshServer is one whose settings a test changes.
type harshServer struct {
	*testserver.Server
	admin *stdsql.Conn
}

func newHarshServer(t *testing.T) *harshServer {
	t.Helper()
	s := testserver.MariaDB(t, testserver.Flags("--log-bin", "--query-cache-size=16M"))
	admin, err := s.Open(t, "").Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return &harshServer{s, admin}
}

func (s *harshServer) exec(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := s.admin.ExecContext(context.WithoutCancel(t.Context()), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// set sets variables for the sessions that begin until the test ends.
func (s *harshServer) set(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		s.exec(t, "SET GLOBAL "+name+" = "+vars[name])
		t.Cleanup(func() { s.exec(t, "SET GLOBAL "+name+" = DEFAULT") })
	}
}

// The first values of all variables at once, then the second ones, and so on; with BRINE_LONG each
// value alone.
func TestSettingsOfTheServerChangeNoAnswer(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	try := func(name string, vars map[string]string) {
		t.Run(name, func(t *testing.T) {
			url := s.URL(s.NewDB(t))
			s.set(t, vars)
			battery.Run(t, url)
		})
	}
	for i := 0; ; i++ {
		vars := map[string]string{}
		for name, values := range hostile {
			if i < len(values) {
				vars[name] = values[i]
			}
		}
		if len(vars) == 0 {
			break
		}
		try(fmt.Sprintf("%d variables at once", len(vars)), vars)
	}
	if os.Getenv("BRINE_LONG") != "" {
		for _, name := range slices.Sorted(maps.Keys(hostile)) {
			for _, value := range hostile[name] {
				try(name+" = "+value, map[string]string{name: value})
			}
		}
	}
}

func TestEveryPinIsTried(t *testing.T) {
	t.Parallel()
	for name := range mysql.Pinned() {
		switch name {
		case "timestamp": // no server has one for all sessions: see the test of init_connect
		case "max_execution_time": // MySQL's
		default:
			if len(hostile[name]) == 0 {
				t.Errorf("no hostile value of %s is tried", name)
			}
		}
	}
}

// What is set in init_connect holds for users without privileges.
func TestInitConnectChangesNoAnswer(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	db := s.NewDB(t)
	url := strings.Replace(s.URL(db), "//root@", "//worker@", 1)
	s.exec(t, "CREATE USER worker@localhost", "GRANT ALL ON "+db+".* TO worker@localhost",
		`SET GLOBAL init_connect = "SET timestamp = 1000000, sql_select_limit = 3, sql_mode = '', completion_type = 'RELEASE', insert_id = 5, rand_seed1 = 1, tx_read_only = 1, idle_transaction_timeout = 1"`)
	s.set(t, map[string]string{"binlog_format": "'STATEMENT'"})
	battery.Run(t, url)

	b, _ := open(t, url, integers, driver.OpenOptions{Table: "leases"})
	apply(t, b, create("1", "task"))
	for _, owner := range []string{"first", "second"} {
		recs, err := b.(driver.Claimer).Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: owner, Lease: time.Millisecond, Limit: 1})
		if err != nil || len(recs) != 1 {
			t.Fatalf("the %s claim: %d records, %v", owner, len(recs), err)
		}
		if late := time.Since(recs[0].Claim.Until); late < -time.Minute || late > time.Minute {
			t.Errorf("the %s claim ends at %v", owner, recs[0].Claim.Until)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSettingsChangeNothingOfACallersDB(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	db := s.NewDB(t)
	c := rawConfig(t, s.URL(db))
	c.ClientFoundRows = true
	c.Params = map[string]string{"timestamp": "1000000"}
	pool := sqlx.NewDb(rawDB(t, c), "mysql")
	s.set(t, map[string]string{
		"sql_select_limit": "2", "completion_type": "'CHAIN'", "tx_read_only": "1", "sql_safe_updates": "1", "max_session_mem_used": "600000",
		"alter_algorithm": "'INSTANT'", "tmp_disk_table_size": "1024", "innodb_force_primary_key": "1", "binlog_format": "'STATEMENT'",
	})
	b, err := mysql.New(pool, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(t.Context(), integers); err != nil {
		t.Fatal(err)
	}
	apply(t, b, create("1", "a"), create("2", "b"), create("3", "c"))
	if got := scan(t, b, &driver.Query{}); len(got) != 3 {
		t.Errorf("listed %q", got)
	}
	recs, err := b.(driver.Claimer).Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 5})
	if err != nil || len(recs) != 3 || time.Until(recs[0].Claim.Until) > 2*time.Hour || time.Until(recs[0].Claim.Until) < 0 {
		t.Errorf("claims %+v, %v", recs, err)
	}
}

// The rows of a claim are joined to those that have been sorted, and come in their order as long as
// the planner does not sort them by their keys.
func TestClaimsAreInOrderWhateverThePlannerMayDo(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	url := s.URL(s.NewDB(t))
	s.set(t, map[string]string{"join_cache_level": "8", "optimizer_switch": "'mrr=on,mrr_cost_based=off,mrr_sort_keys=on'"})
	b, _ := open(t, url, driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "priority", Kind: driver.Int, Indexed: true}}}, driver.OpenOptions{})
	const n = 1000
	ms := make([]driver.Mutation, n)
	for i := range ms {
		ms[i] = create(driver.ID(fmt.Sprint(i+1)), strings.Repeat("x", 500), int64(n-i))
	}
	apply(t, b, ms...)
	run(t, s.Open(t, url[strings.LastIndex(url[:strings.Index(url, "?")], "/")+1:strings.Index(url, "?")]), "ANALYZE TABLE store")
	q := &driver.Query{Order: []driver.Order{{Column: "priority"}}}
	recs, err := b.(driver.Claimer).Claim(t.Context(), q, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	var got []driver.ID
	for _, rec := range recs {
		got = append(got, rec.ID)
	}
	if want := []driver.ID{"1000", "999", "998", "997", "996"}; !slices.Equal(got, want) {
		t.Errorf("claimed %q, want %q", got, want)
	}
}

func TestAViewOutlivesTheTimeoutsOfTheServer(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	url := s.URL(s.NewDB(t))
	s.set(t, map[string]string{"wait_timeout": "1", "idle_transaction_timeout": "1", "idle_readonly_transaction_timeout": "1"})
	b, _ := open(t, url, integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"))
	err := b.View(t.Context(), func(r driver.Reader) error {
		for range 2 {
			if recs, err := r.Get(t.Context(), []driver.ID{"1"}, everything); err != nil || len(recs) != 1 {
				return fmt.Errorf("%d records, %w", len(recs), err)
			}
			time.Sleep(2500 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// On a server that logs statements writers lock more than records; they must still come to an end.
func TestManyWriteToAServerThatLogsStatements(t *testing.T) {
	t.Parallel()
	const writers, each = 6, 30
	s := newHarshServer(t)
	url := s.URL(s.NewDB(t))
	s.set(t, map[string]string{"binlog_format": "'STATEMENT'"})
	b, _ := open(t, url, integers, driver.OpenOptions{})
	var wg sync.WaitGroup
	claimed := make(chan driver.ID, writers*each)
	for range writers {
		wg.Go(func() {
			for range each / 2 {
				first, err := b.NextIDs(t.Context(), 2)
				if err != nil {
					t.Error(err)
					return
				}
				ms := []driver.Mutation{create(driver.ID(fmt.Sprint(first)), "a"), {Op: driver.Put, Rec: record(driver.ID(fmt.Sprint(first+1)), "b")}}
				if _, err := b.Apply(t.Context(), ms); err != nil {
					t.Error(err)
					return
				}
				recs, err := b.(driver.Claimer).Claim(t.Context(), &driver.Query{}, driver.Claiming{Owner: "me", Lease: time.Hour, Limit: 2})
				if err != nil {
					t.Error(err)
					return
				}
				for _, rec := range recs {
					claimed <- rec.ID
				}
			}
		})
	}
	wg.Wait()
	close(claimed)
	times := map[driver.ID]int{}
	for id := range claimed {
		if times[id]++; times[id] > 1 {
			t.Errorf("%q was claimed twice", id)
		}
	}
	if got := scan(t, b, &driver.Query{}); len(got) != writers*each {
		t.Errorf("%d records", len(got))
	}
}

func TestWhatCannotBePinnedIsNamed(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	url, empty := s.URL(s.NewDB(t)), s.URL(s.NewDB(t))
	made, _ := open(t, url, integers, driver.OpenOptions{})
	apply(t, made, create("1", "x"))
	s.set(t, map[string]string{"enforce_storage_engine": "MyISAM"})
	for _, url := range []string{url, empty} {
		b, err := openBackend(url, driver.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Init(t.Context(), integers)
		if err == nil || !strings.Contains(err.Error(), "enforce_storage_engine is MyISAM") || !strings.Contains(err.Error(), "SET GLOBAL enforce_storage_engine = NULL") {
			t.Errorf("opened: %v", err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	b, _ := open(t, url, integers, driver.OpenOptions{NoCreate: true})
	apply(t, b, create("2", "x"))
}

func TestAServerThatGivesNoRowsIsRefused(t *testing.T) {
	t.Parallel()
	s := newHarshServer(t)
	url := s.URL(s.NewDB(t))
	s.set(t, map[string]string{"sql_select_limit": "0"})
	b, err := openBackend(url, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "SET GLOBAL sql_select_limit") {
		t.Errorf("opened: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestANodeThatDoesNotReplicateIsRefused(t *testing.T) {
	if os.Getenv("BRINE_LONG") == "" {
		t.Skip("starts a cluster: with BRINE_LONG=1")
	}
	node := testserver.Galera(t)[0]
	url := node.URL(node.NewDB(t))
	admin := node.Open(t, "")
	run(t, admin, "SET GLOBAL wsrep_on = OFF")
	b, err := openBackend(url, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "SET GLOBAL wsrep_on = ON") {
		t.Errorf("opened: %v", err)
	}
	run(t, admin, "SET GLOBAL wsrep_on = ON")
	if _, err := b.Init(t.Context(), integers); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
