package persistence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/brine-go/brine/persistence"
)

// A program that looks after a store has none of the types of those that write to it.
func ExampleStore_Records() {
	ctx := context.Background()
	store := openExample(ctx)
	defer store.Close()
	if _, err := store.Save(ctx, &Stage{Name: "link", After: []*Stage{{Name: "compile", Host: "node-3"}}}); err != nil {
		log.Fatal(err)
	}
	for rec, err := range store.Records(ctx, &persistence.Query{Type: "pipeline.Stage"}) {
		if err != nil {
			log.Fatal(err)
		}
		value, err := rec.Value()
		if err != nil {
			log.Fatal(err)
		}
		fields := value.(map[string]any)
		fmt.Println(rec.ID, fields["Name"], rec.Fields["host"], rec.Refs)
		line, err := json.Marshal(rec)
		if err != nil {
			log.Fatal(err)
		}
		var parts struct{ Value json.RawMessage }
		if err := json.Unmarshal(line, &parts); err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(parts.Value))
	}
	// Output:
	// 1 link  [2]
	// {"After":[{"$ref":"2"}],"Host":"","Name":"link","State":""}
	// 2 compile node-3 []
	// {"After":null,"Host":"node-3","Name":"compile","State":""}
}
