package main

import "github.com/spf13/cobra"

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print the completion script of bash, zsh or fish",
		Long: `Completion prints a script that makes a shell complete the commands and flags of brine, the files of
stores, and the IDs, types and states in them. A store is asked for at most a second.`,
		Example: `  source <(brine completion bash)             # for this shell; in ~/.bashrc for all
  brine completion zsh > "${fpath[1]}/_brine"
  brine completion fish > ~/.config/fish/completions/brine.fish`,
		Args:      arguments,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			}
			return withHint(usagef("completion: unknown shell %q", args[0]), "There are scripts for bash, zsh and fish.")
		},
	}
}
