// Package docs_test checks that the Go code in the documents compiles.
package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestCodeInDocumentsCompiles(t *testing.T) {
	for _, doc := range []struct {
		path   string
		blocks int // at least: fewer mean that they are not found
	}{
		{"guide.md", 20},
		{"../README.md", 1},
	} {
		t.Run(filepath.Base(doc.path), func(t *testing.T) {
			text, err := os.ReadFile(doc.path)
			if err != nil {
				t.Fatal(err)
			}
			blocks := codeBlocks(string(text))
			if len(blocks) < doc.blocks {
				t.Errorf("%d blocks of Go, want at least %d", len(blocks), doc.blocks)
			}
			for _, err := range check(t, filepath.Base(doc.path), blocks) {
				t.Error(err)
			}
		})
	}
}

func TestWrongCodeInDocumentsIsFound(t *testing.T) {
	const program = "```go\npackage main\n\ntype Task struct{ Name string }\n```\n\n"
	tests := []struct{ name, block, want string }{
		{"no such method", "store.Keep(ctx, task)", "doc.md:8:7: store.Keep undefined"},
		{"a result too few", "id, err := store.Load(ctx, id), nil", "doc.md:8"},
		{"no such field", "func f(t *Task) string {\n\treturn t.Title\n}", "doc.md:9:11: t.Title undefined"},
		{"no such type", "type Job struct{ Of *Work }", "doc.md:8:22: undefined: Work"},
		{"bad syntax", "if store.Close() {", "doc.md:"},
		{"no such package", "package main\n\nimport _ \"github.com/brine-go/brine/sheep\"", "brine/sheep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			errs := check(t, "doc.md", codeBlocks(program+"```go\n"+tt.block+"\n```\n"))
			if len(errs) == 0 || !strings.Contains(errs[0].Error(), tt.want) {
				t.Errorf("got %v, want an error of %q", errs, tt.want)
			}
		})
	}
}

// A block is a block of Go code in a document.
type block struct {
	line int // of its first line of code
	code string
}

// codeBlocks returns the blocks of Go code of a Markdown document.
func codeBlocks(doc string) []block {
	var blocks []block
	var code []string
	inside := false
	for i, line := range strings.Split(doc, "\n") {
		switch {
		case !inside && line == "```go":
			inside, code = true, nil
		case inside && line == "```":
			inside = false
			blocks = append(blocks, block{line: i - len(code) + 1, code: strings.Join(code, "\n")})
		case inside:
			code = append(code, line)
		}
	}
	return blocks
}

// What a block that is no whole file may use without saying so. What it does not use is no error.
const (
	header = `package main; import (
"context"; "encoding/json"; "errors"; "fmt"; "log"; "net/http"; "os"; "os/exec"; "strconv"; "time"
"github.com/brine-go/brine/extrafields"
"github.com/brine-go/brine/idfactory"
"github.com/brine-go/brine/persistence"
"github.com/brine-go/brine/persistence/driver"
"github.com/brine-go/brine/persistence/jobstore"
"github.com/brine-go/brine/persistence/sql/postgres"
"github.com/brine-go/brine/persistence/web"
"github.com/jmoiron/sqlx")
`
	function = "func _(ctx context.Context, store *persistence.Store, id persistence.ID, task *Task) error {{\n"
)

// check compiles the blocks of a document as one program and returns what is wrong. A block is a
// file, or declarations, or statements of a function.
func check(t *testing.T, name string, blocks []block) []error {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for i, b := range blocks {
		file, err := parse(fset, fmt.Sprintf("%s block %d", name, i+1), name, b)
		if err != nil {
			return []error{err}
		}
		files = append(files, file)
	}
	imp, err := newImporter(t, fset, files)
	if err != nil {
		return []error{err}
	}
	var errs []error
	config := types.Config{
		Importer: imp,
		Error: func(err error) {
			var e types.Error
			if !errors.As(err, &e) || !e.Soft { // soft: something is not used
				errs = append(errs, err)
			}
		},
	}
	_, _ = config.Check("main", fset, files, nil) // the error is the first of errs, or a soft one
	return errs
}

// parse parses a block in the first form that it may have. Positions are those in the document.
func parse(fset *token.FileSet, file, doc string, b block) (*ast.File, error) {
	code := fmt.Sprintf("//line %s:%d:1\n%s\n", doc, b.line, b.code)
	if strings.HasPrefix(b.code, "package ") {
		return parser.ParseFile(fset, file, code, parser.SkipObjectResolution)
	}
	f, err := parser.ParseFile(fset, file, header+code, parser.SkipObjectResolution)
	if err == nil {
		return f, nil
	}
	return parser.ParseFile(fset, file, header+function+code+"}\nreturn nil }\n", parser.SkipObjectResolution)
}

// newImporter returns an importer of what files import, from the go command's build cache. Of
// packages imported for their side effects it makes sure that they are there, and builds nothing.
func newImporter(t *testing.T, fset *token.FileSet, files []*ast.File) (types.Importer, error) {
	t.Helper()
	used, blank := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			if spec.Name != nil && spec.Name.Name == "_" {
				blank[path] = true
			} else {
				used[path] = true
			}
		}
	}
	if _, err := goList(t, "{{.ImportPath}}", slices.Sorted(maps.Keys(blank))); err != nil {
		return nil, err
	}
	out, err := goList(t, "{{.ImportPath}}\t{{.Export}}", slices.Sorted(maps.Keys(used)), "-export", "-deps")
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for line := range strings.Lines(out) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			exports[path] = file
		}
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	}
	return blankImporter{importer.ForCompiler(fset, "gc", lookup), used, blank}, nil
}

// A blankImporter gives an empty package for those that are imported for their side effects alone.
type blankImporter struct {
	types.Importer
	used, blank map[string]bool
}

func (i blankImporter) Import(path string) (*types.Package, error) {
	if i.blank[path] && !i.used[path] {
		p := types.NewPackage(path, filepath.Base(path))
		p.MarkComplete()
		return p, nil
	}
	return i.Importer.Import(path)
}

// goList returns what go list says of the packages, in a format.
func goList(t *testing.T, format string, packages []string, args ...string) (string, error) {
	t.Helper()
	if len(packages) == 0 {
		return "", nil
	}
	args = append(append([]string{"list", "-f", format}, args...), packages...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	return string(out), nil
}
