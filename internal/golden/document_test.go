package golden

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An example is a block of docs/format.md: its language, the file that it is taken from, and its
// lines.
type example struct{ lang, source, text string }

func examples(t *testing.T) []example {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "format.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	blocks := strings.Split(string(doc), "\n```")
	for i := 1; i < len(blocks); i += 2 {
		head, text, _ := strings.Cut(blocks[i], "\n")
		lang, source, _ := strings.Cut(head, " ")
		out = append(out, example{lang, source, text})
	}
	return out
}

// The examples of the document are what the golden files hold.
func TestExamplesOfTheDocument(t *testing.T) {
	t.Parallel()
	records := recordsByName(t)
	dirs := map[string]string{"fs.tar.gz": unpack(t, "fs.tar.gz"), "catalog/fs.tar.gz": unpack(t, "catalog/fs.tar.gz")}
	kinds := map[string]int{}
	for _, ex := range examples(t) {
		kinds[ex.lang]++
		if ex.lang == "sql" {
			holds(t, ex)
			continue
		}
		var digits strings.Builder
		for line := range strings.Lines(ex.text) {
			line, _, _ = strings.Cut(line, "#")
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
		got, err := hex.DecodeString(digits.String())
		if err != nil {
			t.Fatalf("%s: %v", ex.source, err)
		}
		file, name, _ := strings.Cut(ex.source, ":")
		var want []byte
		switch file {
		case "records.txt":
			want = records[name]
		default:
			if want, err = os.ReadFile(filepath.Join(dirs[file], filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
		}
		if len(want) == 0 || !bytes.Equal(got, want) {
			t.Errorf("%s is\n%x\nin the document, and is\n%x", ex.source, got, want)
		}
	}
	if kinds["hex"] < 10 || kinds["sql"] != 4 || len(kinds) != 2 {
		t.Errorf("the document has %v", kinds)
	}
}

func recordsByName(t *testing.T) map[string][]byte {
	byName := map[string][]byte{}
	for i, data := range goldenRecords(t) {
		byName[records()[i].name] = data
	}
	return byName
}

// holds reports each statement of an example that its file does not hold.
func holds(t *testing.T, ex example) {
	t.Helper()
	schema := string(read(t, ex.source))
	if strings.HasSuffix(ex.source, ".db") {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, []byte(schema), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow("SELECT group_concat(sql, ';' || char(10)) || ';' FROM sqlite_schema").Scan(&schema); err != nil {
			t.Fatal(err)
		}
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(ex.text), ";\n") {
		if statement == "" || !strings.Contains(schema, strings.TrimSuffix(statement, ";")) {
			t.Errorf("%s does not hold %s", ex.source, statement)
		}
	}
}
