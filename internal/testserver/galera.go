package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Galera starts a cluster of three MariaDB nodes, each a primary of the same data, on ports of
// 127.0.0.1 (Galera's own traffic needs them; the sockets work too). A node that was killed takes
// up again where it was when it is restarted, from what the others have kept or from a whole copy
// of one of them. The first to be restarted when none runs begins the cluster anew with what it
// has: it should be the one that was killed last.
func Galera(t testing.TB, opts ...Option) [3]*Server {
	t.Helper()
	require(t, galera{})
	cfg := newConfig(append([]Option{TCP()}, opts...))
	nodes, err := retryPorts(func() ([]*instance, error) { return startCluster(cfg, 3, copyNode) })
	if err != nil {
		t.Fatal(err)
	}
	var servers [3]*Server
	for k, i := range nodes {
		servers[k] = own(t, i)
	}
	return servers
}

// galera locates what a node needs beside the server.
type galera struct{}

var galeraProvider = sync.OnceValue(func() string {
	for _, pattern := range []string{
		"/usr/lib/galera/libgalera_smm.so", "/usr/lib*/galera*/libgalera_smm.so", "/usr/lib*/libgalera_smm.so",
		"/usr/local/lib/libgalera_smm.*", "/opt/homebrew/lib/libgalera_smm.*",
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
})

func (galera) locate() error {
	if err := mariadb.locate(); err != nil {
		return err
	}
	if galeraProvider() == "" {
		return errors.New("no Galera library on this machine: install the package galera-4")
	}
	if _, ok := findBinary("rsync"); !ok {
		return errors.New("no rsync on this machine, which Galera copies nodes with: install the package rsync")
	}
	return nil
}

// A cluster is what its nodes know of each other.
type cluster struct {
	name  string
	nodes []*instance
	ports []nodePorts
}

type nodePorts struct{ group, ist, sst int }

// galeraTemplate is the data folder of a node that has been the only one of a cluster: of the nodes
// that begin as copies of it, none needs to copy another.
var galeraTemplate template

func copyNode(i *instance) error {
	from, err := galeraTemplate.get("ga-template", makeNode)
	if err != nil {
		return err
	}
	return run(i.dir, "cp", "-R", from, i.data())
}

func makeNode(data string) error {
	nodes, err := retryPorts(func() ([]*instance, error) { return startCluster(newConfig([]Option{TCP()}), 1, nil) })
	if err != nil {
		return err
	}
	i := nodes[0]
	if err := i.shutdown(); err != nil {
		return errors.Join(err, i.remove())
	}
	if err := os.Rename(i.data(), data); err != nil {
		return errors.Join(err, i.remove())
	}
	return errors.Join(i.remove(), os.Remove(filepath.Join(data, "galera.cache")))
}

// startCluster starts the nodes of a cluster in turn, with data folders filled by copyData.
func startCluster(cfg config, size int, copyData func(*instance) error) (_ []*instance, err error) {
	c := &cluster{name: uuid.NewString()[:13]} // it may have 32 bytes
	defer func() {
		for _, i := range c.nodes {
			if err != nil {
				_ = i.remove()
			}
		}
	}()
	for k := range size {
		i, err := newInstance(mariadb, cfg, copyData)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, i)
		var p nodePorts
		for _, port := range []*int{&p.group, &p.ist, &p.sst} {
			if *port, err = freePort(); err != nil {
				return nil, err
			}
		}
		c.ports = append(c.ports, p)
		i.ready = synced
		i.launchFlags = func() ([]string, error) { return c.flags(k) }
	}
	if err := c.nodes[0].first(); err != nil {
		return nil, err
	}
	errs := make([]error, size)
	var joining sync.WaitGroup
	for k, i := range c.nodes[1:] {
		joining.Go(func() { errs[k] = i.start() })
	}
	joining.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, i := range c.nodes {
		if err := i.with(func(ctx context.Context, db *sql.DB) error {
			return until(ctx, func() error { return status(ctx, db, "wsrep_cluster_size", fmt.Sprint(size)) })
		}); err != nil {
			return nil, err
		}
	}
	return c.nodes, nil
}

// flags are those of a node that starts, which depend on who else runs.
func (c *cluster) flags(k int) ([]string, error) {
	i := c.nodes[k]
	var members []string
	alone := true
	for n, p := range c.ports {
		members = append(members, fmt.Sprintf("127.0.0.1:%d", p.group))
		alone = alone && (n == k || !c.nodes[n].answers())
	}
	flags := []string{
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", "--wsrep-provider=" + galeraProvider(),
		"--wsrep-cluster-name=" + c.name, "--wsrep-cluster-address=gcomm://" + strings.Join(members, ","),
		fmt.Sprintf("--wsrep-node-name=n%d", k+1), fmt.Sprintf("--wsrep-node-address=127.0.0.1:%d", c.ports[k].group),
		"--wsrep-sst-method=rsync", fmt.Sprintf("--wsrep-sst-receive-address=127.0.0.1:%d", c.ports[k].sst),
		fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d;gcache.size=64M;gcache.page_size=64M",
			c.ports[k].group, c.ports[k].ist),
	}
	position, err := i.recover()
	if err != nil {
		return nil, err
	}
	if position != "" {
		flags = append(flags, "--wsrep-start-position="+position)
	}
	if alone {
		// What a node remembers of its last companions would make it wait for them.
		if err := os.Remove(filepath.Join(i.data(), "gvwstate.dat")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err := i.allowBootstrap(); err != nil {
			return nil, err
		}
		flags = append(flags, "--wsrep-new-cluster")
	}
	return flags, nil
}

var recovered = regexp.MustCompile(`WSREP: Recovered position:? *([0-9a-f-]{36}:-?\d+)`)

// recover asks a node that was killed where it had come to, as its service script does; "" if its
// folder says so already.
func (i *instance) recover() (string, error) {
	state, err := os.ReadFile(i.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !regexp.MustCompile(`(?m)^seqno:\s*-1`).Match(state) {
		return "", nil
	}
	out, err := output(i.dir, mariadb.server, "--no-defaults", "--datadir="+i.data(), "--tmpdir="+i.dir,
		"--socket="+filepath.Join(i.dir, "r"), "--pid-file="+filepath.Join(i.dir, "rpid"), "--skip-networking",
		"--innodb-log-file-size=16M", "--wsrep-recover", "--wsrep-on=ON", "--wsrep-cluster-address=gcomm://", "--wsrep-provider="+galeraProvider(), "--binlog-format=ROW",
		"--disable-log-error")
	if err != nil {
		return "", err
	}
	m := recovered.FindAllSubmatch(out, -1)
	if m == nil {
		return "", fmt.Errorf("the server does not say where it had come to:\n%s", out)
	}
	return string(m[len(m)-1][1]), nil
}

func (i *instance) stateFile() string { return filepath.Join(i.data(), "grastate.dat") }

// allowBootstrap says that a node may begin a cluster, if it has been in one.
func (i *instance) allowBootstrap() error {
	b, err := os.ReadFile(i.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(i.stateFile(), []byte(strings.Replace(string(b), "safe_to_bootstrap: 0", "safe_to_bootstrap: 1", 1)), 0o660)
}

// synced says whether a node takes part in the cluster.
func synced(ctx context.Context, db *sql.DB) error {
	if err := status(ctx, db, "wsrep_ready", "ON"); err != nil {
		return err
	}
	return status(ctx, db, "wsrep_local_state_comment", "Synced")
}

func status(ctx context.Context, db *sql.DB, name, want string) error {
	var n, got string
	if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE "+sqlText(name)).Scan(&n, &got); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s is %s, not %s", name, got, want)
	}
	return nil
}
