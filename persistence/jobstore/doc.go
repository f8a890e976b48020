// Package jobstore keeps the jobs of a scheduler: each with an ID and the time at which it is to run next. Any number of
// schedulers, in as many processes, may share one store: a job that is due is acquired by one of them.
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
//	err = store.Add(ctx, &Job{Name: "digest", Next: tomorrow})
//
//	jobs, err := store.Acquire(ctx, "worker 7", time.Now(), 10, time.Minute)
//	for _, a := range jobs {
//		job := a.Job()
//		send(job)
//		job.Next = job.Next.AddDate(0, 0, 1)
//		err := a.Done(ctx) // its new time is saved, and it can be acquired again
//	}
//
// A job is a struct that embeds [persistence.Persistable], so it is stored as the record that it is, may refer to other objects, and can be
// queried by extra fields ([Options].Store, [Store.Objects]). Register it, and each listing is one query; a type that is not registered works
// too, but then every job is read by itself.
//
// # Times
//
// A job keeps its own time.Time, with its zone. What the store orders and compares by is a column of UTC, cut
// to the microsecond below. A job whose time is zero is paused: never due. Jobs of one time stand in the order of their IDs, that is of their bytes.
//
// # Jobs that cannot be read
//
// A job that is damaged, of a type that the program does not know, or that refers to something that is gone, is
// reported in an [UnreadableError], beside all the others, and kept as it is. Acquire sets it aside for a while, so that it keeps nobody
// from the jobs behind it.
//
// It is the job store of APScheduler (apscheduler.jobstores), which must not be shared and deletes what it cannot restore.
package jobstore
