package url_test

import (
	"fmt"

	"github.com/brine-go/brine/url"
)

func ExampleParse() {
	u, err := url.Parse("postgresql+psycopg2://me:pa/ss@db.example.org/jobs#table=tasks")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u)
	fmt.Println(u.Scheme(), u.Driver(), u.Host(), u.Path(), u.Table(), u.Password())
	// Output:
	// postgresql+psycopg2://me:xxxxx@db.example.org/jobs#table=tasks
	// postgresql psycopg2 db.example.org /jobs tasks pa/ss
}

func ExampleURL_Join() {
	u, _ := url.Parse("/var/lib/jobs")
	fmt.Println(u.Join("2026/run 1"))
	fmt.Println(u.Join("../../etc"))
	// Output:
	// file:///var/lib/jobs/2026/run%201
	// file:///var/lib/jobs/etc
}

func ExampleKeyMap() {
	var checksums url.KeyMap[string]
	_ = checksums.Set("/data/in.csv", "9e10")
	sum, ok := checksums.Get("file:///data/in.csv")
	fmt.Println(sum, ok)
	// Output: 9e10 true
}

func ExampleValueMap() {
	var outputs url.ValueMap[string]
	_ = outputs.Set("stdout", "/results/out.txt")
	for name, u := range outputs.All() {
		fmt.Println(name, u.Path())
	}
	// Output: stdout /results/out.txt
}
