package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/mem"
)

// A Room has a number that no other room of its floor has.
type Room struct {
	persistence.Persistable
	Floor, Number int
	Name          string
}

func ExampleUniqueError() {
	ctx := context.Background()
	store, err := persistence.MakeStore(ctx, "mem:", &persistence.Options{
		ExtraFields: []extrafields.Field{
			extrafields.Of("name", func(r *Room) string { return r.Name }).Unique(),
			extrafields.Of("floor", func(r *Room) int { return r.Floor }),
			extrafields.Of("number", func(r *Room) int { return r.Number }),
		},
		Indexes: []persistence.Index{{Columns: []string{"floor", "number"}, Unique: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	red, blue := &Room{Floor: 1, Number: 1, Name: "red"}, &Room{Floor: 1, Number: 2, Name: "blue"}
	if _, err := store.SaveAll(ctx, red, blue); err != nil {
		log.Fatal(err)
	}
	_, err = store.Save(ctx, &Room{Floor: 1, Number: 2, Name: "green"})
	if taken, ok := errors.AsType[*persistence.UniqueError](err); ok {
		fmt.Println(taken.Columns, "are those of", taken.Holder)
	}

	// One save may exchange what is unique.
	red.Number, blue.Number = blue.Number, red.Number
	if _, err := store.SaveAll(ctx, red, blue); err != nil {
		log.Fatal(err)
	}
	for room, err := range persistence.All[Room](ctx, store, &persistence.Query{Order: []persistence.Order{persistence.Asc("number")}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(room.Number, room.Name)
	}
	// Output:
	// [floor number] are those of 2
	// 1 blue
	// 2 red
}
