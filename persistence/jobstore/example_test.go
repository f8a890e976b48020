package jobstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
	_ "github.com/brine-go/brine/persistence/mem"
)

// A Letter is sent every day.
type Letter struct {
	persistence.Persistable
	To   string
	Next time.Time
}

func init() { persistence.Register[Letter]("letters.Letter") }

func Example() {
	ctx := context.Background()
	store, err := jobstore.Open(ctx, "mem:", jobstore.Options[Letter]{
		ID:          func(l *Letter) string { return l.To },
		NextRunTime: func(l *Letter) time.Time { return l.Next },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		log.Fatal(err)
	}
	morning := time.Date(2024, 3, 9, 8, 0, 0, 0, newYork) // the clocks change on the next day
	for i, name := range []string{"Ada", "Grace", "Edsger"} {
		if err := store.Add(ctx, &Letter{To: name, Next: morning.Add(time.Duration(i) * time.Hour)}); err != nil {
			log.Fatal(err)
		}
	}
	letters, err := store.Acquire(ctx, "the postman", morning.Add(time.Hour), 10, time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range letters {
		letter := a.Job()
		letter.Next = letter.Next.AddDate(0, 0, 1)
		fmt.Println("sent to", letter.To, "and again", letter.Next)
		if err := a.Done(ctx); err != nil {
			log.Fatal(err)
		}
	}
	next, _, err := store.NextRunTime(ctx)
	fmt.Println("next", next, err)
	// Output:
	// sent to Ada and again 2024-03-10 08:00:00 -0400 EDT
	// sent to Grace and again 2024-03-10 09:00:00 -0400 EDT
	// next 2024-03-09 15:00:00 +0000 UTC <nil>
}
