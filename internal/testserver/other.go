//go:build !linux && !darwin

package testserver

// Elsewhere no server is started: every engine's locate says so before anything here is called.

const supported = false

type signal int

const (
	interrupt signal = iota
	terminate
)

type process struct{ done chan struct{} }

func spawn(string, string, []string) (*process, error) { return nil, errUnsupported }
func run(string, string, ...string) error              { return errUnsupported }
func output(string, string, ...string) ([]byte, error) { return nil, errUnsupported }
func giveAway(string) error                            { return errUnsupported }
func removeSegment(int)                                {}
func (*process) kill() error                           { return errUnsupported }
func (*process) freeze() error                         { return errUnsupported }
func (*process) thaw() error                           { return errUnsupported }
func (*process) signal(signal) error                   { return errUnsupported }
func (*process) ended() bool                           { return true }

type watchdog struct{}

func watch(string) (*watchdog, error) { return nil, errUnsupported }
func (*watchdog) dismiss()            {}
