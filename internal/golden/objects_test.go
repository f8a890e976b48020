package golden

import (
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// The objects of the table store, as a program has them. The numbers of the IDs are those of the
// order here: the root first, the others as Save comes upon them. See ids in stores_test.go.
func day(n int) time.Time { return time.Date(2024, 2, n, 12, 30, 15, 123456000, time.UTC) }

// workflow is a graph of tasks: a chain of three layers whose tasks share what they need, a cycle,
// references to itself, lazy references, and machines that are not registered.
func workflow() []*Task {
	alpha := &Machine{Host: "alpha.example.org", Cores: 8}
	beta := &Machine{Host: "beta.example.org", Cores: 65535}
	alpha.Peers = map[string]*Machine{"b": beta, "self": alpha}
	beta.Peers = map[string]*Machine{}
	tasks := make([]*Task, 20)
	for i := range tasks {
		tasks[i] = &Task{Name: "task " + string(rune('a'+i)), State: []string{"NEW", "RUNNING", "DONE"}[i%3],
			Priority: i*1000 - 5000, Weight: float64(i) / 4, Urgent: i%2 == 1, Host: alpha}
	}
	for i := 1; i < len(tasks); i++ {
		tasks[i].Needs = []*Task{tasks[0]}
		if i >= 3 {
			tasks[i].Needs = []*Task{tasks[i-1], tasks[i-3], tasks[i-1]}
			tasks[i].Parent = persistence.RefTo(tasks[i-2])
		}
	}
	t := tasks
	t[0].Needs = []*Task{t[19], t[0]} // cycles
	t[1].Needs, t[1].Host = []*Task{}, beta
	t[2].Needs, t[2].Host = nil, nil
	t[3].Digest, t[3].Due = []byte{0, 1, 0xff}, day(3)
	t[4].Digest, t[4].Due = []byte{}, time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)
	t[5].Meta = map[string]any{
		"nil": nil, "int": 7, "int64": int64(7), "uint8": uint8(200), "f": 1.5, "f32": float32(0.25), "s": "x", "b": []byte("bytes"),
		"list": []any{1, "two", 3.0}, "map": map[string]any{"deep": true}, "strings": []string{"a", "b"}, "task": t[2],
		"when": day(5), "took": time.Minute, "settings": Settings{"inner", [3]int8{1, -2, 3}, time.Second},
		"*settings": &Settings{Title: "pointer"}, "level": Level("high"),
	}
	t[6].Level = Level("low")
	t[7].Level = t[1]
	t[8].Note = "größer, 'quoted', \"twice\", back\\slash, tab\t, line\nline, 日本語, 🙂, 100%; --"
	t[9].Name = "Größe Ä \\ ' \" ; é"
	t[10].Due = time.Date(2024, 2, 10, 1, 2, 3, 4, time.FixedZone("", -5400))
	t[11].Note = strings.Repeat("long ", 300)
	great := ints(1<<62+1, -1<<63)
	t[12].Priority, t[13].Priority = great[0], great[1]
	t[14].Weight, t[15].Weight = -1e308, 5e-324
	t[16].State = "ÜBER-STATE"
	return tasks
}

// plains are the values without an identity, in the order in which they are saved.
func plains() []any {
	return []any{
		map[string]any{"kind": "map", "n": 1},
		[]string{"a", "", "c"},
		"a string",
		time.Date(2024, 2, 29, 23, 59, 59, 1, time.UTC),
		&Settings{"settings", [3]int8{-128, 0, 127}, 90 * time.Minute},
		&Plain{1, -1},
		map[int]bool{3: true, 1: false},
		int64(-70000),
		[]any{nil, true, []int{1, 2}},
	}
}

// notes are the values of the table texts that were stored under IDs chosen by hand.
func notes() map[persistence.ID]any {
	return map[persistence.ID]any{
		"größe/ä b%.txt": "escaped",
		".hidden":        "leading dot",
		"CON":            "reserved on Windows",
		"plain-name_1.x": "plain",
		persistence.ID(strings.Repeat("ü/", 63) + "z"): "long: its file name has a checksum",
	}
}

// pairs are the key-value pairs beside the table store.
func pairs() map[string]any {
	return map[string]any{
		"answer": 42, "name": "brine", "settings": &Settings{Title: "kv", Took: time.Hour}, "list": []any{"x", 1.5},
		"tmp/ä": map[string]any{"nested": map[string]any{"n": int8(1)}}, "when": day(1), "swapped": "new",
	}
}
