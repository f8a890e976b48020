package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Flags returns a set for the program's flags, to be given to Parse.
func (p Program) Flags() *flag.FlagSet { return flag.NewFlagSet(p.Name, flag.ContinueOnError) }

// Parse parses args. It returns a usage error if the flags, or the command and its arguments after
// them, are not what the program accepts. It prints nothing, except for -h: then it prints the
// usage to stdout and returns flag.ErrHelp.
func (p Program) Parse(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	flags.SetOutput(io.Discard) // Exit prints the error
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stdout, p.usage())
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return err
	} else if err != nil {
		return UsageErrorf("%w", err)
	}
	return p.check(flags.Args())
}

func (p Program) usage() string {
	line := "usage: " + p.Name + " [flags]"
	commands := strings.Join(p.Commands, " | ")
	switch {
	case commands == "":
		return line
	case p.Default == "":
		return line + " " + commands
	}
	return fmt.Sprintf("%s [%s]; without a command %s", line, commands, p.Default)
}

// check checks a command and its arguments.
func (p Program) check(words []string) error {
	if len(words) == 0 {
		if len(p.Commands) > 0 && p.Default == "" {
			return UsageErrorf("a command is missing")
		}
		return nil
	}
	if len(p.Commands) == 0 {
		return UsageErrorf("unexpected argument %q", words[0])
	}
	for _, c := range p.Commands {
		if params := strings.Fields(c); params[0] == words[0] {
			return checkArgs(params, words)
		}
	}
	return UsageErrorf("unknown command %q", words[0])
}

// checkArgs checks words, a command and its arguments, against the same in usage notation.
func checkArgs(params, words []string) error {
	for i, param := range params {
		if i >= len(words) && !strings.HasPrefix(param, "[") {
			return UsageErrorf("%s: %s is missing", words[0], strings.TrimSuffix(param, "..."))
		}
		if strings.Contains(param, "...") {
			return nil
		}
	}
	if len(words) > len(params) {
		return UsageErrorf("%s: unexpected argument %q", words[0], words[len(params)])
	}
	return nil
}
