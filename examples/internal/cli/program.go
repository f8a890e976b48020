// Package cli is what the example programs share: how a program reads its command line, how it
// ends, and which store it uses by default.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes of the programs.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2   // the command line is wrong
	ExitInterrupted = 130 // a signal ended the program early; shells use the same code
)

// A Program is the name of a program and what it accepts on its command line.
type Program struct {
	Name string

	// Commands are the commands with their arguments, in the notation of a usage line: "add
	// NAME...", "list [OWNER]". A program without commands accepts flags only.
	Commands []string

	// Default says what the program does without a command, as in "it lists all". If it is empty
	// and there are commands, one is required.
	Default string
}

// Main runs the program, and exits when run has returned. SIGINT and SIGTERM end the context of
// run; the second signal kills the process.
func (p Program) Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	os.Exit(p.Exit(ctx, err, os.Stderr))
}

// Exit prints err, which run has returned, and returns the exit code that goes with it.
func (p Program) Exit(ctx context.Context, err error, stderr io.Writer) int {
	err = Interrupted(ctx, err, "")
	_, usage := errors.AsType[*usageError](err)
	_, interrupted := errors.AsType[*interruptedError](err)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitOK
	case usage:
		fmt.Fprintf(stderr, "%s: %v\nrun %s -h for usage\n", p.Name, err, p.Name)
		return ExitUsage
	}
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	if interrupted {
		return ExitInterrupted
	}
	return ExitFailed
}

// UsageErrorf returns an error for a command line that is wrong.
func UsageErrorf(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Interrupted replaces an error that the end of ctx has caused by one that says so in plain words,
// followed by hint, which may be empty. It returns any other error, and nil, unchanged.
func Interrupted(ctx context.Context, err error, hint string) error {
	if _, done := errors.AsType[*interruptedError](err); done || ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return &interruptedError{hint}
}

type interruptedError struct{ hint string }

func (e *interruptedError) Error() string {
	if e.hint == "" {
		return "interrupted"
	}
	return "interrupted: " + e.hint
}

func (e *interruptedError) Unwrap() error { return context.Canceled }
