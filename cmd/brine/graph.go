package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/drawing"
	"github.com/brine-go/brine/persistence"
)

// pictures are the formats of package drawing.
var pictures = []string{"svg", "png"}

const dotFormat = "dot"

// The lines of DOT, nodes and edges, that are drawn. Larger pictures take long, above all PNGs.
const (
	maxDrawn = 4000
	maxPNG   = 1500
)

func newGraph(a *app) *cobra.Command {
	var output, format string
	cmd := &cobra.Command{
		Use:   "graph URL ID...",
		Short: "draw what records reach, as SVG, PNG or DOT",
		Long: `Graph draws the records with the IDs and all that they reach: the type, ID and state of each, references
as arrows, lazy ones dashed. A reference to a record that is missing leads to a dotted box.

The end of the file's name says which picture it is: .svg, .png or .dot, the language of Graphviz. Without
--output it prints DOT. Large graphs are not drawn: print DOT for other programs.

With --json and --output it prints one object with file, format and bytes.`,
		Example: `  brine graph tasks.db 1 --output graph.svg
  brine graph tasks.db 1 2 | dot -Tpdf > graph.pdf`,
		Args:              arguments,
		ValidArgsFunction: a.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := pictureFormat(output, format)
			if err != nil {
				return err
			}
			return a.graph(cmd.Context(), args[0], args[1:], output, format)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write; it is replaced")
	cmd.Flags().StringVar(&format, "format", "", "dot, svg or png (default: as the name of the file ends)")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(append([]string{dotFormat}, pictures...), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// pictureFormat returns the format to write.
func pictureFormat(output, format string) (string, error) {
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(output), "."))
		switch {
		case output == "" || format == "gv":
			format = dotFormat
		case format == "":
			return "", usagef("graph: --output %q: the name of a file ends in .svg, .png or .dot, or say --format", output)
		}
	}
	if format != dotFormat && !slices.Contains(pictures, format) {
		return "", withHint(usagef("graph: no pictures of format %q are made", format), "There are svg, png and dot; the program dot of Graphviz makes others of dot.")
	}
	return format, nil
}

func (a *app) graph(ctx context.Context, rawURL string, args []string, output, format string) error {
	if format == "png" && output == "" && a.isTerminal {
		return usagef("graph: a PNG is not for a terminal: --output FILE")
	}
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := a.ids(ctx, s, args)
	if err != nil {
		return err
	}
	picture, err := a.picture(ctx, s, ids, format)
	if err != nil {
		return err
	}
	if output == "" {
		_, err := a.out.Write(picture)
		return err
	}
	if err := os.WriteFile(output, picture, 0o666); err != nil { //nolint:gosec // the umask says who may read it
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"file": output, "format": format, "bytes": len(picture)})
	}
	a.note("%s", "wrote "+output+" ("+humanSize(int64(len(picture)))+")")
	return nil
}

// picture returns the graph in a format.
func (a *app) picture(ctx context.Context, s *persistence.Store, ids []persistence.ID, format string) ([]byte, error) {
	var dot bytes.Buffer
	if err := s.WriteDOT(ctx, &dot, ids...); err != nil {
		return nil, err
	}
	if format == dotFormat {
		return dot.Bytes(), nil
	}
	most, hint := int64(maxDrawn), `Name records that reach less, or print it with "--format dot" for other programs.`
	if format == "png" {
		most, hint = maxPNG, `Draw it as SVG, name records that reach less, or print it with "--format dot" for other programs.`
	}
	if n := int64(bytes.Count(dot.Bytes(), []byte("\n"))); n > most {
		return nil, withHint(fmt.Errorf("the graph is too large to draw: it has more than %s nodes and references", withCommas(most)), "%s", hint)
	}
	p := a.progress("drawing", 0)
	defer p.end()
	return drawing.Draw(ctx, dot.Bytes(), format)
}
