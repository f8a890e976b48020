package mysql_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/sql/mysql"
)

// harmless are the session variables of MariaDB 10.11 that docs/servers.md does not speak of, by
// why they change neither an answer nor an error.
var harmless = map[string]string{
	"memory and buffers": `big_tables bulk_insert_buffer_size join_buffer_size join_buffer_space_limit max_heap_table_size
		max_length_for_sort_data max_rowid_filter_size mrr_buffer_size net_buffer_length preload_buffer_size query_alloc_block_size
		query_prealloc_size range_alloc_block_size read_buffer_size read_rnd_buffer_size rowid_merge_buff_size
		tmp_memory_table_size tmp_table_size transaction_alloc_block_size transaction_prealloc_size innodb_tmpdir`,
	"plans and statistics": `analyze_max_length analyze_sample_percentage eq_range_index_dive_limit expensive_subquery_limit
		histogram_size histogram_type in_predicate_conversion_threshold max_seeks_for_key optimizer_adjust_secondary_key_costs
		optimizer_extra_pruning_depth optimizer_join_limit_pref_ratio optimizer_max_sel_args optimizer_max_sel_arg_weight
		optimizer_prune_level optimizer_search_depth optimizer_selectivity_sampling_limit optimizer_trace
		optimizer_trace_max_mem_size optimizer_use_condition_selectivity use_stat_tables`,
	"hints of joins, checksums, and types that no statement uses": `old old_mode`,
	"what is logged": `log_disabled_statements log_queries_not_using_indexes log_slow_admin_statements
		log_slow_disabled_statements log_slow_filter log_slow_max_warnings log_slow_min_examined_row_limit log_slow_query
		log_slow_query_time log_slow_rate_limit log_slow_slave_statements log_slow_verbosity log_warnings long_query_time
		min_examined_row_limit profiling profiling_history_size slow_query_log sql_log_off`,
	"what replicas and other nodes get": `binlog_alter_two_phase binlog_annotate_row_events
		binlog_direct_non_transactional_updates binlog_row_image default_master_connection gtid_seq_no last_gtid
		max_relay_log_size skip_parallel_replication sql_slave_skip_counter wsrep_gtid_seq_no`,
	"other engines than InnoDB, and tables that are locked or delayed": `aria_repair_threads aria_sort_buffer_size aria_stats_method
		deadlock_search_depth_long deadlock_search_depth_short deadlock_timeout_long deadlock_timeout_short innodb_table_locks
		keep_files_on_create low_priority_updates max_delayed_threads max_insert_delayed_threads myisam_repair_threads
		myisam_sort_buffer_size myisam_stats_method`,
	"every text column names its character set": `character_set_database character_set_filesystem character_set_server
		collation_database collation_server`,
	"what no statement uses": `column_compression_threshold column_compression_zlib_level column_compression_zlib_strategy
		column_compression_zlib_wrap default_regex_flags default_week_format innodb_ft_enable_stopword
		innodb_ft_user_stopword_table lc_time_names max_sp_recursion_depth max_tmp_tables old_passwords query_cache_strip_comments
		rand_seed1 rand_seed2 sql_quote_show_create standard_compliant_cte system_versioning_insert_history
		updatable_views_with_limit`,
	"warnings, progress and what the driver does not ask for": `error_count max_error_count note_verbosity progress_report_time
		session_track_schema session_track_state_change session_track_system_variables session_track_transaction_info sql_notes
		sql_warnings warning_count`,
	"the connection": `external_user in_transaction interactive_timeout net_retry_count proxy_user pseudo_thread_id tcp_nodelay
		thread_pool_priority`,
}

// servers are the rows of the tables in docs/servers.md that are about MySQL and MariaDB, by the
// names of variables in their first column.
func servers(t *testing.T) map[string][]string {
	t.Helper()
	doc, err := os.ReadFile("../../../docs/servers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(doc), "\n## MySQL and MariaDB\n")
	if !found {
		t.Fatal("docs/servers.md has no section on MySQL and MariaDB")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	rows := map[string][]string{}
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for _, match := range name.FindAllStringSubmatch(cells[0], -1) {
			if rows[match[1]] != nil {
				t.Errorf("docs/servers.md has %s twice", match[1])
			}
			rows[match[1]] = cells
		}
	}
	return rows
}

// A version of the server with a variable that nobody has thought about fails this test.
func TestEverySessionVariableIsDecidedUpon(t *testing.T) {
	t.Parallel()
	rows := servers(t)
	known := map[string]bool{}
	for _, list := range harmless {
		for _, name := range strings.Fields(list) {
			if known[name] || rows[name] != nil {
				t.Errorf("%s is decided upon twice", name)
			}
			known[name] = true
		}
	}
	vars, err := testserver.SharedMariaDB(t).Open(t, "").QueryContext(t.Context(),
		"SELECT lower(variable_name) FROM information_schema.system_variables WHERE variable_scope <> 'GLOBAL'")
	if err != nil {
		t.Fatal(err)
	}
	defer vars.Close()
	n := 0
	for vars.Next() {
		var name string
		if err := vars.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if n++; !known[name] && rows[name] == nil {
			t.Errorf("the session variable %s is new: can it change an answer, end a statement or fail a write? "+
				"Then it belongs into the pins and into docs/servers.md, else to the harmless ones", name)
		}
	}
	if err := vars.Err(); err != nil || n < 150 {
		t.Errorf("%d session variables, %v", n, err)
	}
}

// The table says what the code does.
func TestTheTableOfServersSaysWhatIsSet(t *testing.T) {
	t.Parallel()
	rows, pinned := servers(t), mysql.Pinned()
	for name, value := range pinned {
		value = "`" + strings.ReplaceAll(value, "'", "") + "`"
		if row := rows[name]; row == nil || !strings.HasSuffix(strings.TrimSpace(row[len(row)-1]), value) {
			t.Errorf("%s is set to %s, and docs/servers.md says %q", name, value, row)
		}
	}
	for _, name := range mysql.Examined {
		if rows[name] == nil && name != "log_bin" && name != "wsrep_provider" { // these tell whether others count
			t.Errorf("docs/servers.md lacks %s", name)
		}
	}
	set := regexp.MustCompile("^`[^`]*`$") // the cell of what is set, and set to
	others := []string{"tx_isolation", "transaction_isolation", "tx_read_only", "transaction_read_only", "character_set_connection", "old_alter_table"}
	for name, row := range rows {
		if pinned[name] == "" && set.MatchString(strings.TrimSpace(row[len(row)-1])) && !slices.Contains(others, name) {
			t.Errorf("docs/servers.md says that %s is set", name)
		}
	}
}
