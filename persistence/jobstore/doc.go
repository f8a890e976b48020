// Package jobstore keeps the jobs of a scheduler: each has an ID and the time at which it is to
// run next. Any number of schedulers, in any number of processes, may share one store; a job
// that is due is acquired by one of them.
//
//	type Job struct {
//		persistence.Persistable
//		Name string
//		Next time.Time
//	}
//
//	func init() { persistence.Register[Job]("mail.Job") }
//
//	store, err := jobstore.Open(ctx, "sqlite:jobs.db", jobstore.Options[Job]{
//		ID:          func(j *Job) string { return j.Name },
//		NextRunTime: func(j *Job) time.Time { return j.Next },
//	})
//	newYork, err := time.LoadLocation("America/New_York")
//	err = store.Add(ctx, &Job{Name: "digest", Next: time.Date(2024, 3, 8, 9, 0, 0, 0, newYork)})
//
//	jobs, err := store.Acquire(ctx, "worker 7", time.Now(), 10, time.Minute)
//	for _, a := range jobs {
//		job := a.Job()
//		send(job)
//		job.Next = job.Next.AddDate(0, 0, 1) // at 9:00 in New York, also after the clocks change
//		err := a.Done(ctx) // saves the new time; the job can be acquired again
//	}
//
// A job is a struct that embeds [persistence.Persistable]. It is stored as an ordinary record,
// may refer to other objects, and can be queried by extra fields ([Options].Store,
// [Store.Objects]). If its type is registered, a listing is one query; an unregistered type
// works too, but then every job is read by itself.
//
// # Times
//
// A job keeps its own time.Time, with its location. The store orders and compares by a column in
// UTC, rounded down to the microsecond. A job whose time is zero is paused: it is never due.
// Jobs with equal times are ordered by the bytes of their IDs.
//
// A time in a named location ([time.LoadLocation]) comes back in that location in every process,
// whatever its local zone. So what is computed from it, with AddDate or a cron expression, keeps
// the time of day there when the clocks change. Three things do not:
//
//   - A time in Local, as time.Now returns it. Another machine may have another local zone; there,
//     the time comes back with its offset, which stays the same the whole year.
//   - A time in a location that the machine's zone database lacks: it comes back with the offset
//     and the name, and is stored again unchanged. Programs that import time/tzdata have all
//     locations.
//   - A time of day that the clocks skip. AddDate gives 3:30 instead of 2:30 on that day, and then
//     3:30 on each day after it. A job that runs at such a time keeps its time of day in a field
//     of its own and makes each time from that, with time.Date.
//
// # Jobs that cannot be read
//
// A job that is damaged, has a type that the program does not know, or refers to an object that
// no longer exists, is reported in an [UnreadableError], in addition to all other jobs, and
// kept as it is. Acquire skips it for a while, so that it does not block the jobs after it.
//
// It is the job store of APScheduler (apscheduler.jobstores), which must not be shared and
// deletes jobs that it cannot restore.
package jobstore
