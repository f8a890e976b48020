package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func init() { cobra.EnableCommandSorting = false } // they stand in the order of newRoot

// The groups of commands in the manual.
const (
	groupLook   = "look"
	groupVerify = "verify"
	groupMove   = "move"
	groupClean  = "clean"
	groupShell  = "shell"
)

// newRoot returns the command with all its commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "brine COMMAND URL [ARGUMENTS] [--FLAGS]",
		Short:         "look after stores of Go objects",
		SilenceErrors: true, // exit prints them
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.unknownCommand,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object a line, for programs")
	root.SetFlagErrorFunc(flagError)
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look"},
		&cobra.Group{ID: groupVerify, Title: "Verify"},
		&cobra.Group{ID: groupMove, Title: "Copy and compare"},
		&cobra.Group{ID: groupClean, Title: "Clean up"},
		&cobra.Group{ID: groupShell, Title: "Shell"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupLook,
		newLs(a),
		newShow(a),
		newQuery(a),
		newCount(a),
		newStat(a),
		newStores(a),
		newKV(a),
		newClaims(a),
		newRefs(a),
		newGraph(a),
		newWeb(a),
	)
	add(groupVerify,
		newCheck(a),
		newQuarantine(a),
	)
	add(groupMove,
		newCp(a),
		newDiff(a),
		newExport(a),
		newImport(a),
	)
	add(groupClean,
		newRm(a),
		newGC(a),
		newCompact(a),
	)
	add(groupShell, newCompletion(a))
	root.SetHelpCommandGroupID(groupShell)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Short = "print this manual, or explain a command"
		help.Args = a.helpTopic
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd != root {
			if cmd.Long = a.fill(cmd.Long); a.isTerminal {
				root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", a.width)))
			}
			help(cmd, args)
			return
		}
		a.manual(root)
	})
	return root
}

// unknownCommand runs where the first argument is no command.
func (a *app) unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	err := usagef("unknown command %q", args[0])
	if like := root.SuggestionsFor(args[0]); len(like) > 0 {
		return withHint(err, "Did you mean \"brine %s\"?", strings.Join(like, `" or "brine `))
	}
	if _, statErr := os.Stat(args[0]); statErr == nil || strings.Contains(args[0], ":") {
		return withHint(err, "A command comes before the URL of a store: \"brine ls %s\".", args[0])
	}
	return withHint(err, `"brine help" lists the commands.`)
}

// helpTopic checks the arguments of "brine help": the names of a command.
func (a *app) helpTopic(help *cobra.Command, args []string) error {
	cmd, rest, err := help.Root().Find(args)
	switch {
	case err != nil || len(rest) == 0:
		return err
	case cmd == help.Root():
		return a.unknownCommand(cmd, rest)
	}
	return withHint(usagef("%s has no command %q", nameOfCommand(cmd), rest[0]), `"%s --help" explains it.`, cmd.CommandPath())
}

// flagError makes a usage error of an error about a flag.
func flagError(cmd *cobra.Command, err error) error {
	err = usagef("%s: %w", nameOfCommand(cmd), err)
	if strings.Contains(err.Error(), "unknown ") {
		return withHint(err, `"%s --help" lists the flags. An argument that begins with "-" goes last, after "--".`, cmd.CommandPath())
	}
	return err
}

// nameOfCommand returns the name of a command without that of the program: "kv set".
func nameOfCommand(cmd *cobra.Command) string {
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return name
}

// arguments checks the arguments against the line that says how the command is used: "show URL
// ID..." wants two or more, "kv URL [KEY]" one or two.
func arguments(cmd *cobra.Command, args []string) error {
	var err error
	params := strings.Fields(cmd.Use)[1:]
	for i, param := range params {
		if i >= len(args) {
			if !strings.HasPrefix(param, "[") {
				err = usagef("%s: %s is missing", nameOfCommand(cmd), strings.TrimSuffix(param, "..."))
			}
			break
		}
		if strings.Contains(param, "...") {
			return nil
		}
	}
	if err == nil && len(args) > len(params) {
		err = usagef("%s: one argument too many: %q", nameOfCommand(cmd), args[len(params)])
	}
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	return withHint(err, "Usage:   %s\nExample: %s", cmd.UseLine(), strings.TrimSpace(example))
}

// manual prints the manual.
func (a *app) manual(root *cobra.Command) {
	a.printf("%s", a.fill(manualHead))
	for _, group := range root.Groups() {
		commands := root.Commands()
		shown := false
		for _, cmd := range commands {
			if cmd.GroupID != group.ID || cmd.Hidden {
				continue
			}
			if !shown {
				a.printf("%s\n", a.paint(bold, group.Title))
				shown = true
			}
			a.printf("  %-11s %s\n", cmd.Name(), cmd.Short)
		}
	}
	a.printf("%s", a.fill(manualTail))
}

const manualHead = `brine looks after stores of Go objects. It needs none of their Go types.

  brine COMMAND URL [ARGUMENTS] [--FLAGS]
  brine COMMAND --help          how a command is used, with examples

  brine ls tasks.db --state FAILED
  brine show tasks.db 7
  brine cp tasks.db postgres://user@host/db

`

const manualTail = `
A URL names a store:
  a SQLite file             tasks.db  sqlite:tasks.db  sqlite:///abs/tasks.db
  a directory               jobs  file:jobs  file:///abs/jobs
  a table of PostgreSQL     postgres://user@host:5432/db
  one of MySQL or MariaDB   mysql://user@host:3306/db

"#table=NAME" after a URL names another table than "store"; "?mode=ro" opens for reading only.
Commands that only look open every store for reading only, and make nothing.

A password need not stand in the URL: PostgreSQL's may come from PGPASSWORD or a PGPASSFILE. No
password is ever printed.

On a terminal the output is for people: aligned, cut to the width, coloured unless NO_COLOR is set.
In a pipe tables are tab-separated and whole, with sizes in bytes and times in UTC (RFC 3339). With
--json each line is one object, and its names stay the same.

What removes or overwrites asks first, or wants --yes; --dry-run (-n) says what would be done.

Exit codes: 0 done; 1 found something (check, diff); 2 wrong usage; 3 failed.
`
