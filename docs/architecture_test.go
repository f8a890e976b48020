package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxWayLines is how many lines a file may have that a reader opens to follow a Save or a Load.
const maxWayLines = 400

// The README is the first file that is opened, those of the table follow.
func TestTheWaysOfASaveAndALoadAreShort(t *testing.T) {
	t.Parallel()
	text := read(t, "architecture.md")
	for heading, most := range map[string]int{"## One Save, file by file": 10, "## One Load, file by file": 8} {
		_, section, found := strings.Cut(text, heading)
		if !found {
			t.Fatalf("no section %q", heading)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		seen := map[string]bool{"README.md": true}
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
			path := row[1]
			if seen[path] {
				t.Errorf("%s: %s is opened twice", heading, path)
			}
			seen[path] = true
			if n := strings.Count(read(t, "../"+path), "\n"); n > maxWayLines {
				t.Errorf("%s: %s has %d lines, at most %d", heading, path, n, maxWayLines)
			}
		}
		if len(seen) < 6 || len(seen) > most {
			t.Errorf("%s: %d files with the README, want up to %d", heading, len(seen), most)
		}
	}
}

// A file may be renamed, and the document must name it by its new name.
func TestFilesNamedInTheArchitectureExist(t *testing.T) {
	t.Parallel()
	var names []string
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		names = append(names, filepath.ToSlash(path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(names, "\n") + "\n"
	found := regexp.MustCompile("`([a-z][\\w/]*\\.(?:go|js|py))`").FindAllStringSubmatch(read(t, "architecture.md"), -1)
	if len(found) < 50 {
		t.Errorf("%d names of files, want at least 50", len(found))
	}
	for _, name := range found {
		if !strings.Contains(all, "/"+name[1]+"\n") {
			t.Errorf("there is no file %s", name[1])
		}
	}
}

// The guide has tables for readers who come from another library. What they name of Brine must
// exist.
func TestTheTablesOfTheGuideNameWhatExists(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, dir := range []string{"persistence", "persistence/driver", "persistence/jobstore", "extrafields", "idfactory", "url"} {
		exported(t, "../"+dir, known)
	}
	text := read(t, "guide.md")
	name := regexp.MustCompile(`\.?\b[A-Z][A-Za-z]+\b`)
	count := 0
	for _, section := range strings.Split(text, "\n## Coming from ")[1:] {
		for _, row := range regexp.MustCompile(`(?m)^\|[^|]+\|([^|]+)\|([^|]*)\|$`).FindAllStringSubmatch(section, -1) {
			for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(row[1]+row[2], -1) {
				code = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(code, "")
				for _, word := range name.FindAllString(code, -1) {
					word = strings.TrimPrefix(word, ".")
					if count++; !known[word] && !theirs[word] {
						t.Errorf("%s: there is no %s", strings.TrimSpace(row[0]), word)
					}
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("%d names, want at least 100", count)
	}
}

// theirs are the names in the tables that belong to the reader's program or to another library.
var theirs = map[string]bool{
	"Session": true, "Tasks": true, "Type": true, "State": true, "IdFactory": true, "LoadError": true, "ConflictingIdError": true,
	"JobLookupError": true, "CLAIMED": true, "OLD": true, "Execution": true, "T": true,
}

// exported adds the exported names of a package to known: of functions, types, methods, fields,
// variables and constants.
func exported(t *testing.T, dir string, known map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BlockStmt:
				return false
			case *ast.FuncDecl:
				known[n.Name.Name] = true
			case *ast.TypeSpec:
				known[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					known[name.Name] = true
				}
			case *ast.Field:
				for _, name := range n.Names {
					known[name.Name] = true
				}
			}
			return true
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
