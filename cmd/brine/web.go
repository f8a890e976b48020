package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/drawing"
	"github.com/brine-go/brine/persistence/web"
)

func newWeb(a *app) *cobra.Command {
	var listen string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "web URL",
		Short: "show a store in a browser, for reading",
		Long: `Web serves pages that show a store: types and states with counts that move while a run goes on, the
records with filters and sorting, each record with its values and references, and the graph around
it as a picture. It prints the address of the first page, and ends with Ctrl-C.

It asks for no password, so it listens on this machine alone unless --listen says otherwise. Browsers
may then ask for the pages by the address or name that they are to use, which --host gives.`,
		Example: `  brine web tasks.db
  brine web postgres://me@db/tasks --listen 127.0.0.1:8080`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.web(cmd.Context(), args[0], listen, hosts)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "the `ADDRESS` and port to listen on; port 0 is any free one")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a `NAME` or address by which browsers may ask, besides those of this machine")
	return cmd
}

// web serves the pages until ctx ends.
func (a *app) web(ctx context.Context, rawURL, listen string, hosts []string) (err error) {
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return usagef("web: --listen %s: want ADDRESS:PORT, such as 127.0.0.1:8080", listen)
	}
	store, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return withHint(err, "Port 0 takes any that is free: --listen 127.0.0.1:0, the default.")
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if ok && !addr.IP.IsLoopback() {
		a.warn("the pages are for everybody who reaches %s: they ask for no password", addr)
		if !addr.IP.IsUnspecified() {
			hosts = append(hosts, addr.IP.String())
		} else if len(hosts) == 0 {
			a.warn("browsers elsewhere need --host with the name or address of this machine that they use")
		}
	}
	server := &http.Server{
		Handler: web.Handler(store, &web.Options{
			Draw:  func(dot []byte) ([]byte, error) { return drawing.Draw(ctx, dot, "svg") },
			Hosts: hosts, Columns: a.columns[store],
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // longer than a page may take, or its end would be one of the request
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,

		DisableGeneralOptionsHandler: true, // the pages refuse OPTIONS
	}
	if err := a.printAddress(pageURL(l.Addr(), hosts)); err != nil {
		return errors.Join(err, l.Close())
	}
	a.note("Ctrl-C ends it.")
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the pages: %w", err)
	case <-ctx.Done():
	}
	// Ctrl-C is how it ends: requests that are under way have a moment.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(end) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the pages: %w", err)
	}
	return nil
}

// printAddress prints the address of the first page at once.
func (a *app) printAddress(address string) error {
	if a.json {
		if err := a.printJSON(map[string]string{"url": address}); err != nil {
			return err
		}
	} else {
		a.printf("%s\n", address)
	}
	return a.out.Flush()
}

// pageURL returns the address of the first page, for a browser on this machine, or for that of the
// first of hosts.
func pageURL(addr net.Addr, hosts []string) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return "http://" + addr.String() + "/"
	}
	host := at.Addr().Unmap()
	if !host.IsUnspecified() {
		return "http://" + netip.AddrPortFrom(host, at.Port()).String() + "/"
	}
	name := "localhost"
	if len(hosts) > 0 {
		name = hosts[0]
	}
	return "http://" + net.JoinHostPort(name, fmt.Sprint(at.Port())) + "/"
}
