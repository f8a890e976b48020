package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errDeclined: a person was asked, and did not want it.
var errDeclined = errors.New("nothing was done")

// confirm asks whether something is to be done, such as "Remove 3 records?". With --yes it does not
// ask. Where nobody can be asked, that is a usage error.
func (a *app) confirm(question string) error {
	if a.yes {
		return nil
	}
	if !a.canAsk {
		return withHint(usagef("nobody can be asked: %s", question),
			"Add --yes to do it without being asked, or --dry-run to see what would be done.")
	}
	if err := a.out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.errOut, "%s [y/N] ", printable(a.redact(question)))
	answered := make(chan error, 1)
	go func() { answered <- readAnswer(a.in) }()
	select {
	case err := <-answered:
		return err
	case <-a.interrupted:
		return context.Canceled
	}
}

// readAnswer reads a line, and returns an error unless it is a yes.
func readAnswer(in io.Reader) error {
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
