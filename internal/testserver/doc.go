// Package testserver starts private, throwaway database servers for tests: PostgreSQL (also a
// primary with a streaming standby, or with PgBouncer before it) and MariaDB (also a Galera cluster
// of three nodes).
//
// [Postgres] and [MariaDB] start a server for one test, which may kill, pause and restart it;
// [SharedPostgres] and [SharedMariaDB] give one that all tests of a process share, each test in a
// database of its own ([Server.NewDB]). Where the server is not installed the test is skipped,
// naming the package to install; with BRINE_REQUIRE_SERVERS=1 in the environment it fails instead.
// BRINE_SERVERS=none skips it in any case, unless servers are required.
//
// A server listens on a socket in a temporary folder, and on a free port of 127.0.0.1 only where
// that is asked for or needed. It runs as an unprivileged user when the test is root. What one test
// process starts lies in one folder; an empty data folder is initialised once per process and
// copied for each server. Nothing is flushed to the disk, so a server that is killed loses nothing
// it has acknowledged, but a machine that is, would.
//
// Nothing is left behind, however a test process ends: a second process, the watchdog, holds the
// reading end of a pipe whose other end only the test process has. When that closes, it kills
// every process whose command line names the folder, their descendants too, and removes the folder.
//
// It is a package for Linux and macOS; elsewhere the tests are skipped.
package testserver
