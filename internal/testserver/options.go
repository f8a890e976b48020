package testserver

// An Option changes how a server is started.
type Option func(*config)

type config struct {
	tcp     bool
	tls     bool
	expired bool
	flags   []string
	users   []account
}

type account struct{ name, password string }

func newConfig(opts []Option) config {
	var c config
	for _, o := range opts {
		o(&c)
	}
	return c
}

// TCP makes the server listen on a free port of 127.0.0.1 too; see [Server.TCP].
func TCP() Option { return func(c *config) { c.tcp = true } }

// TLS makes the server listen on TCP and offer TLS there, with a certificate for localhost and
// 127.0.0.1 that is signed by an authority of its own ([Server.CA]). It still accepts connections
// without TLS.
func TLS() Option { return func(c *config) { c.tcp, c.tls = true, true } }

// ExpiredTLS is [TLS] with a certificate that ended yesterday.
func ExpiredTLS() Option { return func(c *config) { c.tcp, c.tls, c.expired = true, true, true } }

// Flags adds arguments to the server's command line, after the package's own, so that they win:
// Flags("-c", "max_connections=20") or Flags("--max-allowed-packet=1M").
func Flags(args ...string) Option {
	return func(c *config) { c.flags = append(c.flags, args...) }
}

// Password makes a user that must give a password, over the socket and over TCP, and may do
// everything in every database. The users that the URLs of [Server.URL] name need none.
func Password(user, password string) Option {
	return func(c *config) { c.users = append(c.users, account{user, password}) }
}
