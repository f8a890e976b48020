package persistence_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/brine-go/brine/persistence"
)

// Version 1 of a program.
type (
	recipeV1 struct { // registered as kitchen.Recipe
		persistence.Persistable
		Name     string
		Servings int
	}
	mealV1 struct { // not registered, so it is stored under the name that Go prints
		persistence.Persistable
		Name string
	}
	ovenV1 struct { // registered as kitchen.Oven
		persistence.Persistable
		Model   string
		Degrees string
	}
)

func init() {
	children["kitchen"] = func(ctx context.Context, store *persistence.Store) error {
		persistence.Register[recipeV1]("kitchen.Recipe")
		persistence.Register[ovenV1]("kitchen.Oven")
		_, err := store.SaveAll(ctx,
			&recipeV1{Name: "Bread", Servings: 4},
			&mealV1{Name: "Breakfast"},
			&ovenV1{Model: "Red", Degrees: "220"},
		)
		return err
	}
}

// openKitchen opens a store in dir that version 1 of the program, in a process of its own, has
// written three records to.
func openKitchen(ctx context.Context, dir string) *persistence.Store {
	url := "sqlite:" + filepath.ToSlash(filepath.Join(dir, "kitchen.db"))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD=kitchen", "BRINE_TEST_URL="+url)
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%v\n%s", err, out)
	}
	store, err := persistence.MakeStore(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	return store
}

// A Recipe had Servings in version 1 of the program.
type Recipe struct {
	persistence.Persistable
	Name string
}

// A field that a type no longer has is kept with the object, and its save writes it back.
func Example_removedField() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	persistence.Register[Recipe]("kitchen.Recipe") // usually in an init function
	store := openKitchen(ctx, dir)
	defer store.Close()

	recipe, err := persistence.Load[Recipe](ctx, store, "1")
	if err != nil {
		log.Fatal(err)
	}
	recipe.Name = "Rye bread"
	if _, err := store.Save(ctx, recipe); err != nil {
		log.Fatal(err)
	}
	record, err := store.Record(ctx, "1")
	if err != nil {
		log.Fatal(err)
	}
	fields, err := record.Value()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(fields)
	// Output:
	// map[Name:Rye bread Servings:4]
}

// A Meal was a mealV1 with a Name in version 1 of the program.
type Meal struct {
	persistence.Persistable
	Title string `msgpack:",alias:Name"`
}

// A type that was renamed is found under its old name too. Without Register that is the name that
// Go prints for the type, such as main.Meal.
func ExampleRegisterAlias() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	persistence.Register[Meal]("kitchen.Meal") // usually in an init function
	persistence.RegisterAlias[Meal]("persistence_test.mealV1")
	store := openKitchen(ctx, dir)
	defer store.Close()

	for meal, err := range persistence.All[Meal](ctx, store, nil) {
		if err != nil {
			log.Fatal(err)
		}
		meal.Title += " for two"
		id, err := store.Save(ctx, meal)
		if err != nil {
			log.Fatal(err)
		}
		info, err := store.Stat(ctx, id)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(meal.Title, "is a", info.Type)
	}
	// Output:
	// Breakfast for two is a kitchen.Meal
}

// The Degrees of an Oven were a text in version 1 of the program.
type Oven struct {
	persistence.Persistable
	Model   string
	Degrees int
}

func (*Oven) RecordVersion() int { return 1 }

func (*Oven) UpgradeRecord(from int, fields map[string]any) error {
	if from < 1 {
		text, _ := fields["Degrees"].(string)
		degrees, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		fields["Degrees"] = degrees
	}
	return nil
}

// A type with the methods RecordVersion and UpgradeRecord makes records of older versions into new
// ones when they are loaded. Vet tells which ones those are, and Migrate rewrites them at once.
func Example_upgrade() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	persistence.Register[Oven]("kitchen.Oven") // usually in an init function
	store := openKitchen(ctx, dir)
	defer store.Close()

	oven, err := persistence.Load[Oven](ctx, store, "3")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(oven.Model, oven.Degrees+10)

	ovens := &persistence.Query{Type: persistence.TypeName[Oven]()}
	for f, err := range store.Vet(ctx, ovens) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Kind, f.ID+":", f.Detail)
	}
	report, err := store.Migrate(ctx, persistence.MigrateOptions{Query: ovens})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", report)
	// Output:
	// Red 230
	// OldForm 3: version 0, and this program has 1
	// {Seen:1 Rewritten:1 Skipped:0 Failed:0}
}
