package main

import (
	"context"
	"fmt"
	"time"

	"github.com/netresearch/go-cron"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/persistence/jobstore"
)

// Job is run at the times of a cron expression, each time once.
type Job struct {
	persistence.Persistable
	Name string
	Spec string
	Text string
	Next time.Time // the due time that is to be run next, in the location in which the job was added
	Runs int64     // that are done
	Last Attempt   // to run the job
}

// An Attempt to run a job is saved before anything else is done. A process that finds one for the
// due time that it is about to run knows that the attempt was cut short.
type Attempt struct {
	Due   time.Time
	By    int       // the process
	Until time.Time // when the process was to lose the job, unless it had extended that
}

func init() { persistence.Register[Job]("scheduler.Job") }

func openStore(ctx context.Context, url string) (*jobstore.Store[Job], error) {
	return jobstore.Open(ctx, url, jobstore.Options[Job]{
		ID:          func(j *Job) string { return j.Name },
		NextRunTime: func(j *Job) time.Time { return j.Next },
	})
}

// parser accepts the expressions of crontab, optionally with seconds first, @daily and @every 5m,
// and with a time zone of their own: CRON_TZ=Europe/Berlin 0 6 * * *.
var parser = cron.MustNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)

// after returns the first time of the job after t, in the location of t, by whose clocks it goes
// unless Spec names another one. If there is none for years it returns the zero
// time, which pauses the job.
func (j *Job) after(t time.Time) (time.Time, error) {
	schedule, err := parser.Parse(j.Spec)
	if err != nil {
		return time.Time{}, fmt.Errorf("job %q: %w", j.Name, err)
	}
	return schedule.Next(t), nil
}
